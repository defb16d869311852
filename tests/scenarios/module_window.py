# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""Windows that the module opens for the card's own machine, which is played by devmem."""

import time

from card_owner import APERTURE, CARD, ONES, POOL, READ, SLOT, WRITE, Owner, devmem
from p2plab import scenario

SOME, OTHERS = ["one-switch"], ["two-ports", "switch-iommu", "ports-iommu"]
MACHINES = ["{}/refcard,cards=2,efas=0,modules=p2prdma",
            "one-switch/none,efas=0,card_of=a.card0,modules="]
BOTH = READ | WRITE


def set_up(lab):
    host, card = lab["a"], lab["b"]
    devmem(card, POOL, "enable")
    devmem(card, APERTURE, "enable msix")
    return host, card, Owner(host)


def errors(card, slot):
    """What the card's side knows of a window: LENGTH, then the sticky errors, which it clears."""
    base = 0x2000 + slot * 0x40
    return devmem(card, APERTURE, f"r64 0 {base + 8} r32 0 {base + 0x14} w32 0 {base + 0x14} 31")


@scenario(MACHINES, each=SOME, each_long=OTHERS, timeout=180, series="series")
def leads(lab):
    """Windows onto memory of another card and of the host, and onto a doorbell page."""
    host, card, owner = set_up(lab)
    host.run("echo 4 >/proc/sys/vm/nr_hugepages")
    owner("memory other card1 65536")
    owner("host small 4096")
    owner("host huge 2097152")
    owner("doorbell bell card1")
    for slot, (target, where) in enumerate([("other", "memory of another card"),
                                            ("small", "a page of the host"),
                                            ("huge", "a huge page of the host")]):
        at = owner(f"window {target}-window card0 {target} 3 0x804 0x100")
        lab.is_equal(at, slot * SLOT, f"{where}: opened")
        got = devmem(card, APERTURE, f"w64 2 {at} 0x0102030405060708 r64 2 {at} "
                                     f"w32 2 {at + 0xfc} 7 w32 2 {at + 0x100} 8 r32 2 {at + 0x100}")
        lab.is_equal(got, [0x0102030405060708, 0xffffffff], f"{where}: stores and loads go there")
        words = [owner(f"peek {target} {offset}") for offset in (0x7fc, 0x800, 0x808, 0x900, 0x908)]
        lab.is_equal(words, [0, 0x0506070800000000, 0x01020304, 7, 0],
                     f"{where}: exact to the byte")
        lab.is_equal(errors(card, slot), [0x100, 1], f"{where}: the card is told what was outside")
    at = owner("window bell-window card0 bell 2 0 4")
    devmem(card, APERTURE, f"w32 2 {at} 0x42 r32 2 {at}")
    lab.is_equal((owner("peek bell 0xff0") & 0xffffffff, owner("peek bell 0xff8")), (1, 0x42),
                 "another card's doorbell page: rung")
    lab.is_equal(host.run("cat /sys/class/p2prdma/card0/windows_in_use").out.strip(), "4",
                 "sysfs counts the windows")


@scenario(MACHINES, each=["one-switch"], timeout=180, series="series")
def access(lab):
    """A window lets through what it was opened for; bad requests are refused."""
    host, card, owner = set_up(lab)
    owner("memory m card1 8192")
    read, write = owner(f"window r card0 m {READ} 0 64"), owner(f"window w card0 m {WRITE} 0 64")
    owner("poke m 0 77")
    lab.is_equal(devmem(card, APERTURE, f"w64 2 {read} 5 r64 2 {read}"), [77],
                 "no stores through a window for loads")
    lab.is_equal(errors(card, 0), [64, 16], "which is an error for the card")
    lab.is_equal(devmem(card, APERTURE, f"w64 2 {write} 5 r64 2 {write} r64 2 {read}"), [ONES, 5],
                 "no loads through a window for stores")
    for request, error in [("m 0 0 64", "EINVAL"), ("m 4 0 64", "EINVAL"), ("m 3 0 0", "EINVAL"),
                           ("m 3 8192 1", "EINVAL"), ("m 3 1 8192", "EINVAL"),
                           ("m 3 0xffffffffffffffff 2", "EINVAL"), ("m 3 0 65537", "EINVAL")]:
        lab.is_equal(owner(f"window x card0 {request}"), error, f"onto {request}: {error}")
    owner("bell event card0 3")
    lab.is_equal(owner("window x card0 event 3 0 8"), "EBADF", "onto an eventfd")
    owner("memory own card0 8192")
    lab.is_equal(owner("window x card0 own 3 0 8"), "EOPNOTSUPP", "onto the card's own memory")
    owner("control c card1")
    lab.is_equal(owner("window x card0 c 3 0 8"), "EOPNOTSUPP", "onto a control area")
    opened = [owner(f"window fill{i} card0 m 3 0 8") for i in range(40)]
    lab.is_equal(opened, [i * SLOT for i in range(2, 32)] + ["ENOSPC"] * 10,
                 "all windows can be opened, and not one more")
    owner("close fill5")
    lab.is_equal(owner("window again card0 m 3 0 8"), 7 * SLOT, "a closed window's slot is free")


def flooded(lab, card, at, arrived):
    """The card stores into a window as fast as it can; returns once something has arrived."""
    before = arrived()
    flood = card.start(f"/src/tests/guest/devmem {APERTURE} flood 2 {at}")
    end = time.monotonic() + 30
    while arrived() == before and time.monotonic() < end:
        time.sleep(0.05)
    lab.ok(arrived() != before, "the card stores through the window")
    return flood


def quiet(lab, flood, arrived, what):
    """Nothing arrives any more, while the card goes on."""
    count = arrived()
    time.sleep(0.3)
    lab.ok(flood.running and arrived() == count, what)
    flood.kill()
    flood.wait(check=False)


@scenario(MACHINES, each=["ports-iommu"], each_long=["one-switch"], timeout=240)
def closing(lab):
    """A window is closed, its owner killed, its card reset or unbound, while the card stores."""
    host, card, owner = set_up(lab)
    owner("doorbell bell card1")
    pci = [host.run(f"basename $(readlink -f /sys/class/p2prdma/card{i}/device)").out.strip()
           for i in (0, 1)]
    neighbour = f"/sys/bus/pci/devices/{pci[1]}"

    def arrived():
        return owner("peek bell 0xff0") & 0xffffffff

    at = owner("window w card0 bell 2 0 8")
    flood = flooded(lab, card, at, arrived)
    owner("close w")
    quiet(lab, flood, arrived, "closed: nothing arrives")

    other = Owner(host)
    other("doorbell bell card1")
    at = other("window w card0 bell 2 8 8")
    flood = flooded(lab, card, at, lambda: other("peek bell 0xff0"))
    other.kill()
    host.run("for i in $(seq 100); do [ $(cat /sys/class/p2prdma/card0/windows_in_use) = 0 ] && "
             "exit 0; sleep 0.1; done; exit 1")
    lab.is_equal(devmem(card, APERTURE, f"r64 0 {0x2000 + 8}"), [0],
                 "the owner is killed: the window is closed")
    flood.kill()
    flood.wait(check=False)

    at = owner("window w card0 bell 2 0 8")
    flood = flooded(lab, card, at, arrived)
    lab.is_equal(owner("hup w 0"), 0, "an open window does not hang up")
    host.run(f"echo 1 >/sys/bus/pci/devices/{pci[0]}/reset")
    quiet(lab, flood, arrived, "the card is reset: nothing arrives")
    lab.is_equal((owner("hup w 1000"), owner("state card0")), (1, 8),
                 "the window hangs up, and the card's file tells of the reset")
    owner("close w")

    at = owner("window w card0 bell 2 0 8")
    lab.is_equal(at, 0, "after the reset a window can be opened")
    flood = flooded(lab, card, at, arrived)
    host.run(f"echo {pci[1]} >{neighbour}/driver/unbind")
    lab.is_equal(owner("hup w 1000"), 1, "the target's card is unbound: the window hangs up")
    flood.kill()
    flood.wait(check=False)
    owner("close w")
    owner("close bell")
    owner("forget card1")
    host.run(f"echo {pci[1]} >/sys/bus/pci/drivers/p2prdma_refcard/bind")

    owner("doorbell bell card1")
    at = owner("window w card0 bell 2 0 8")
    flood = flooded(lab, card, at, arrived)
    host.run(f"echo {pci[0]} >/sys/bus/pci/devices/{pci[0]}/driver/unbind")
    quiet(lab, flood, arrived, "the card is unbound: nothing arrives")
    lab.is_equal((owner("hup w 1000"), owner("state card0") & 16), (1, 16),
                 "window and card hang up")
    lab.is_equal(owner("window v card0 bell 2 0 8"), "ENODEV", "no window of a card that is gone")


@scenario(MACHINES, each=["one-switch"], each_long=["ports-iommu"], timeout=240, series="series")
def target_goes(lab):
    """The card whose memory is behind a window is unbound or reset while the other stores into
    it: the lab complains if anything lands afterwards."""
    host, card, owner = set_up(lab)
    device = host.run("readlink -f /sys/class/p2prdma/card1/device").out.strip()
    address = device.rpartition("/")[2]
    driver = "/sys/bus/pci/drivers/p2prdma_refcard"
    for how in (f"echo 1 >{device}/reset", f"echo {address} >{driver}/unbind"):
        owner("memory m card1 4096")
        at = owner("window w card0 m 3 0 8")
        flood = flooded(lab, card, at, lambda: owner("peek m 0"))
        host.run(how)
        lab.is_equal(owner("hup w 1000"), 1, "the window hangs up")
        before, = devmem(card, APERTURE, "r32 0 0x201c")
        time.sleep(0.2)
        lab.ok(flood.running and devmem(card, APERTURE, "r32 0 0x201c") != [before],
               "what the card goes on storing is dropped")
        flood.kill()
        flood.wait(check=False)
        owner("close w")
        owner("close m")
    owner("forget card1")
    host.run(f"echo {address} >{driver}/bind")


@scenario(MACHINES, each=["one-switch"], timeout=180, series="series")
def hangs(lab):
    """A card that never has done what it began: cut off within about a second, until its reset."""
    host, card, owner = set_up(lab)
    address = host.run("basename $(readlink -f /sys/class/p2prdma/card0/device)").out.strip()
    owner("memory m card1 4096")
    owner("window w0 card0 m 3 0 8")
    at = owner("window w1 card0 m 3 8 8")
    host.server("device", "card0", request={"lies": {"0x2018": 1}})
    begun = time.monotonic()
    owner("close w0")
    lab.ok(time.monotonic() - begun < 30, "closing its window ends")
    lab.ok("does not finish what it has under way" in host.run("dmesg").out, "the kernel says why")
    lab.is_equal((owner("hup w1 1000"), owner("window w2 card0 m 3 0 8")), (1, "EIO"),
                 "all its windows are taken away, and there are no new ones")
    lab.is_equal(devmem(card, APERTURE, f"r64 2 {at}"), [ONES], "nothing is behind them")
    command = int(host.run(f"setpci -s {address} COMMAND").out, 16)
    lab.is_equal(command & 4, 0, "bus mastering is off")
    host.server("device", "card0", request={"lies": {}})
    host.run(f"echo 1 >/sys/bus/pci/devices/{address}/reset")
    at = owner("window w3 card0 m 3 0 8")
    devmem(card, APERTURE, f"w64 2 {at} 0x55 r64 2 {at}")
    lab.is_equal(owner("peek m 0"), 0x55, "after its reset it works again")


@scenario(["one-switch/refcard,cards=2,efas=0,modules=p2prdma,kernel=oldest",
           "one-switch/none,efas=0,card_of=a.card0,modules="], timeout=180)
def on_the_oldest_kernel(lab):
    """A kernel whose importers pin: windows work, and are taken away all the same."""
    host, card, owner = set_up(lab)
    owner("memory m card1 4096")
    owner("host h 4096")
    device = host.run("readlink -f /sys/class/p2prdma/card1/device").out.strip()
    address = device.rpartition("/")[2]
    for target in "mh":
        at = owner(f"window {target}w card0 {target} 3 0 8")
        devmem(card, APERTURE, f"w64 2 {at} 0x77 r64 2 {at}")
        lab.is_equal(owner(f"peek {target} 0"), 0x77, "a store goes through")
    host.run(f"echo {address} >/sys/bus/pci/drivers/p2prdma_refcard/unbind")
    lab.is_equal((owner("hup mw 1000"), owner("hup hw 0")), (1, 0),
                 "the unbind of the card behind a window takes it away")
