# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""Doorbell pages, bells and the control area, with the card's own machine played by devmem."""

from card_owner import APERTURE, CARD, POOL, Owner, devmem
from p2plab import scenario

MACHINES = ["one-switch/refcard,efas=0,modules=p2prdma",
            "one-switch/none,efas=0,card_of=a.card0,modules="]
RING, DB_PENDING, DB_MASK = 0x34, 0x2c, 0x30


def set_up(lab):
    host, card = lab["a"], lab["b"]
    devmem(card, POOL, "enable")
    devmem(card, APERTURE, "enable msix")
    return host, card, Owner(host)


def reset(host):
    host.run("echo 1 >/sys/class/p2prdma/card0/device/reset")


def rung_pages(card):
    """Doorbell pages that are pending for the card, which it clears."""
    pending, = devmem(card, APERTURE, f"r32 0 {DB_PENDING} w32 0 {DB_PENDING} 0xffffffff")
    return pending


@scenario(MACHINES, timeout=180, series="series")
def doorbells(lab):
    """Each page goes to one owner; the card finds who rang, how often, and what was written."""
    host, card, owner = set_up(lab)
    count, base = devmem(card, APERTURE, "r32 0 0x24 r32 0 0x20")
    pages = [owner(f"doorbell d{i} card0") for i in range(count)]
    lab.is_equal(pages, [*range(1, count), "ENOSPC"], "every page but 0 is given out once")
    lab.is_equal((owner("doorbell c card0 1"), owner("doorbell c2 card0 1")), (0, "EBUSY"),
                 "page 0 is given to one who asks for it")
    lab.is_equal(owner("doorbell x card0 2"), "EOPNOTSUPP", "unknown flags are refused")
    lab.is_equal(host.run("cat /sys/class/p2prdma/card0/doorbells_in_use").out.strip(), str(count),
                 "sysfs counts them")
    rung_pages(card)
    at = base + 0x1000 * pages[2]
    before, = devmem(card, APERTURE, f"r32 0 {at + 0xff0}")
    owner("poke d2 0 0x1234")
    owner("poke d2 0x7f8 0x5678")
    owner("poke d2 0xfe8 0x9abc")
    lab.is_equal((devmem(card, APERTURE, f"r32 0 {at + 0xff0} r64 0 {at + 0xff8}"),
                  rung_pages(card)), ([before + 3, 0x5678], 1 << pages[2]),
                 "a write to a mapped page rings the card, once each, and no other page; one to its "
                 "upper half leaves the last value")
    owner("close d2")
    lab.is_equal(owner("doorbell d2 card0"), pages[2], "a page that was closed is given out again")


@scenario(MACHINES, timeout=180, series="series")
def bells(lab):
    """The card's bells become eventfds; a card that rings without end does not stop the host."""
    host, card, owner = set_up(lab)
    lab.is_equal(owner("bell b0 card0 0"), None, "a bell is bound")
    owner("bell b5 card0 5")
    devmem(card, APERTURE, f"w32 0 {RING} 0x20")
    lab.is_equal((owner("rung b5 5000"), owner("rung b0 0")), (1, 0), "only the bell that rang")
    devmem(card, APERTURE, f"w32 0 {RING} 0x40")
    devmem(card, APERTURE, f"w32 0 {RING} 1")
    lab.is_equal((owner("rung b0 5000"), owner("rung b5 0")), (1, 0), "and not one that is not bound")
    owner("bell b6 card0 6")
    lab.is_equal(owner("rung b6 5000"), 1, "what rang before the binding is not lost")
    other = Owner(host)
    lab.is_equal((other("bell x card0 5"), other("unbell card0 5"), other("bell x card0 32"),
                  other("unbell card0 31")), ("EBUSY", "ENOENT", "EINVAL", "ENOENT"),
                 "a bell of another, no such bell, a bell that is not bound")
    owner("unbell card0 5")
    lab.is_equal(other("bell x card0 5"), None, "a bell that was given up can be bound by another")
    other.kill()
    lab.is_equal(owner("bell b5 card0 5"), None, "and once more when that one was killed")

    reset(host)
    lab.is_equal([owner(f"rung b{i} 5000") for i in (0, 5, 6)], [1, 1, 1], "a reset rings them all")
    devmem(card, APERTURE, f"w32 0 {RING} 1")
    lab.is_equal(owner("rung b0 5000"), 1, "after it they ring as before")

    storm = card.start(f"/src/tests/guest/devmem {APERTURE} flood 0 {RING}")
    lab.ok(owner("rung b0 20000") >= 1, "a card that rings without end is heard")
    host.run("dd if=/dev/zero bs=1M count=8 | sha256sum", timeout=120)
    lab.ok(storm.running and owner("rung b0 20000") >= 1, "and the host goes on with its work")
    storm.kill()
    storm.wait(check=False)
    owner("rung b0 1000")
    devmem(card, APERTURE, f"w32 0 {RING} 1")
    lab.ok(owner("rung b0 5000") >= 1, "a single ring after that is heard")


@scenario(MACHINES, timeout=180, series="series")
def control(lab):
    """The control area is told to the card, belongs to one owner, and ends with him."""
    host, card, owner = set_up(lab)

    def told():
        """What the card reads: offset, size, epoch."""
        return devmem(card, POOL, "r64 0 0x40 r32 0 0x48 r32 0 0x4c")

    lab.is_equal(told()[2], 0, "no epoch before the area is opened")
    owner("memory filler card0 65536")
    epoch = owner("control c card0")
    offset, size, seen = told()
    lab.is_equal((size, seen, epoch != 0), (0x10000, epoch, True), "the card is told size and epoch")
    lab.is_equal(rung_pages(card), 0, "but is not called before the owner is ready")
    owner("poke c 0xfff8 0x77")
    lab.is_equal(devmem(card, POOL, f"r64 2 {offset + 0xfff8} w64 2 {offset + 8} 0x88"), [0x77],
                 "the card sees what the owner writes")
    lab.is_equal(owner("peek c 8"), 0x88, "and the owner what the card writes")
    other = Owner(host)
    lab.is_equal(other("control c card0"), "EBUSY", "there is one owner")
    owner("close c")
    lab.is_equal((told()[2], rung_pages(card)), (0, 1), "when it is closed the card is called")
    second = other("control c card0")
    lab.ok(second not in (0, epoch), "another epoch")
    lab.is_equal((told(), other("peek c 8"), other("peek c 0xfff8")),
                 ([offset, size, second], 0, 0), "at the same place, and zeroed")
    rung_pages(card)
    other.kill()
    lab.is_equal((told()[2], rung_pages(card)), (0, 1), "so it is when the owner is killed")
    third = owner("control c card0")
    reset(host)
    lab.is_equal((told(), owner("state card0")), ([0, 0, 0], 8), "a reset ends the epoch")
    lab.is_equal(owner("control d card0"), "EBUSY", "though its owner still has it")
    owner("close c")
    fourth = owner("control c card0")
    lab.ok(fourth not in (0, third) and told()[2] == fourth, "it can be opened again")
