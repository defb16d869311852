# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""The card as a machine: what its own CPU reaches through the pool and the aperture. No driver
takes part: programs in both machines access the registers of Documentation/refcard.rst."""

import time

from card_owner import APERTURE, CARD, NEIGHBOUR, ONES, POOL, SLOT, devmem
from p2plab import scenario

WINDOW, STRIDE = 0x2000, 0x40
OUTSIDE, CLOSED, REFUSED, BAD_SETUP = 1, 2, 4, 8


def window(number, commands):
    """Commands for registers of a window of the host face, "W+0x.." being relative to it."""
    base = WINDOW + number * STRIDE
    return " ".join(hex(base + int(word[2:], 0)) if word.startswith("W+") else word
                    for word in commands.split())


def open_window(host, number, target, length):
    devmem(host, CARD, window(number, f"w32 0 W+0 {target & 0xffffffff} w32 0 W+4 {target >> 32} "
                                      f"w32 0 W+8 {length} w32 0 W+0x10 1"))


def close_window(host, number):
    """Disabled, and nothing is under way any more."""
    devmem(host, CARD, window(number, "w32 0 W+0x10 0 wait32 0 W+0x18 0"))


def errors(host, number):
    """Takes the sticky errors of a window."""
    got, = devmem(host, CARD, window(number, "r32 0 W+0x14 w32 0 W+0x14 0xffffffff"))
    return got


def set_up(lab):
    """Switches all functions on; returns host, card and the bus address of the neighbour's memory."""
    host, card = lab["a"], lab["ac"]
    devmem(host, CARD, "enable msix")
    memory, = devmem(host, NEIGHBOUR, "enable bar 2")
    devmem(card, POOL, "enable")
    devmem(card, APERTURE, "enable msix")
    return host, card, memory


@scenario(["one-switch/machine,modules=", "one-switch/machine,modules="], long=True)
def pairs(lab):
    """Two hosts and their cards' machines; a card goes on when its host stands still."""
    lab.is_equal(sorted(lab.machines), ["a", "ac", "b", "bc"], "each card has a machine")
    for host, card in (("a", "ac"), ("b", "bc")):
        devmem(lab[host], CARD, "enable")
        devmem(lab[card], POOL, "enable")
        lab.is_equal(devmem(lab[card], POOL, "r64 0 0x10"), devmem(lab[host], CARD, "r64 0 0x10"),
                     f"{card} is that of {host}'s card")
    with lab["a"].stopped():
        lab.is_equal(lab["a"].qmp("query-status")["status"], "paused", "a host stands still")
        lab.is_equal(devmem(lab["ac"], POOL, "w64 2 0 5 r64 2 0"), [5], "its card does not")
    lab.is_equal(devmem(lab["a"], CARD, "r64 2 0"), [5], "the host goes on")


@scenario("one-switch/machine,cards=2,modules=")
def violations(lab):
    """The lab tells of what right software does not do."""
    host, card = lab["a"], lab["ac"]
    set_up(lab)
    adapter = "1d0f:efa1"
    queues, = devmem(host, adapter, "enable bar 2")
    lab.is_equal(lab.take_violations(), [], "so far all is well")

    devmem(host, adapter, "w32 4 0x5000 1")
    lab.is_equal(lab.take_violations(), ["a.efa0: a doorbell write for nothing that exists"],
                 "R2.3 a doorbell on a page that is not allocated")

    open_window(host, 0, queues, 0x1000)
    devmem(card, APERTURE, "w64 2 0 1 r64 2 0")
    lab.is_equal(lab.take_violations(), ["a.efa0: a.card0 wrote to queue memory of no queue pair"],
                 "a window that leads to queue memory of nobody")
    close_window(host, 0)

    memory, = devmem(host, NEIGHBOUR, "bar 2")
    devmem(host, NEIGHBOUR, "w32 0 0x7f00 0x1000 w32 0 0x7f08 0x1000 w32 0 0x7f10 1")
    open_window(host, 0, memory + 0x1000, 0x1000)
    devmem(card, APERTURE, "w64 2 0 1 r64 2 0")
    lab.is_equal(lab.take_violations(), [], "memory that was given out may be written")
    devmem(host, NEIGHBOUR, "w32 0 0x7f10 2")
    devmem(card, APERTURE, "w64 2 0 1 r64 2 0")
    lab.is_equal(lab.take_violations(),
                 [f"a.card1: a.card0 {what} card memory that was not given out, or was taken back"
                  for what in ("read", "wrote to")], "memory that was taken back may not")
    close_window(host, 0)




@scenario("{}/machine,cards=2,modules=", each=[], each_long=["one-switch", "two-ports"], timeout=180)
def card_machine(lab):
    """Pool, windows and doorbells carry what they should, and nothing else."""
    host, card, memory = set_up(lab)
    identity(lab, host, card)
    shared_pool(lab, host, card)
    open_windows(lab, host, card, memory)
    faults(lab, host, card, memory)
    closing(lab, host, card)
    doorbells(lab, host, card)
    host_stopped(lab, host, card, memory)


def identity(lab, host, card):
    serial = devmem(host, CARD, "r64 0 0x10")
    lab.is_equal(devmem(card, POOL, "r32 0 0 r64 0 0x10"), [0x50523250, *serial],
                 "the pool knows which card it is of")
    lab.is_equal(devmem(card, APERTURE, "r32 0 0 r64 0 0x10"), [0x57523250, *serial],
                 "the aperture knows which card it is of")
    lab.is_equal(devmem(host, CARD, "r32 0 0x1000"), devmem(card, APERTURE, "r32 0 0x1000"),
                 "both see as many windows")


def shared_pool(lab, host, card):
    devmem(host, CARD, "w64 2 0x12340 0x1122334455667788")
    lab.is_equal(devmem(card, POOL, "r64 2 0x12340 w64 2 0x3fffff8 0x55aa"), [0x1122334455667788],
                 "the card sees what the host wrote into the pool")
    lab.is_equal(devmem(host, CARD, "r64 2 0x3fffff8"), [0x55aa],
                 "the host sees what the card wrote into the pool")


def open_windows(lab, host, card, memory):
    open_window(host, 3, memory + 0x2404, 0x100)
    at = 3 * SLOT
    got = devmem(card, APERTURE, f"w64 2 {at} 0x0102030405060708 w32 2 {at + 0xfc} 0x99 "
                                 f"r64 2 {at} r32 2 {at + 0xfc}")
    lab.is_equal(got, [0x0102030405060708, 0x99], "loads through a window see the stores before")
    lab.is_equal(devmem(host, NEIGHBOUR, "r32 2 0x2400 r32 2 0x2404 r32 2 0x2408 r32 2 0x2500 "
                                         "r32 2 0x2504"),
                 [0, 0x05060708, 0x01020304, 0x99, 0], "the stores are where the window leads")
    close_window(host, 3)


def faults(lab, host, card, memory):
    open_window(host, 0, memory, 0x1000)
    lab.is_equal(devmem(card, APERTURE, "w64 2 0xffc 1 w64 2 0x1000 1 r64 2 0x1000"), [ONES],
                 "a load beyond a window's end reads all ones")
    lab.is_equal(errors(host, 0), OUTSIDE, "and the host is told")
    lab.is_equal(devmem(host, NEIGHBOUR, "r32 2 0x1000 r32 2 0x1004"), [0, 0],
                 "nothing is stored beyond it")
    devmem(host, CARD, window(0, "w32 0 W+0 0"))
    got = devmem(host, CARD, window(0, "r32 0 W+0"))
    lab.is_equal((got, errors(host, 0)), ([memory & 0xffffffff], BAD_SETUP),
                 "an enabled window keeps its target")
    devmem(host, CARD, "master 0")
    lab.is_equal(devmem(card, APERTURE, "w64 2 0 0x77 r64 2 0"), [ONES],
                 "without bus mastering nothing goes out")
    lab.is_equal(errors(host, 0), REFUSED, "and the host is told that, too")
    lab.is_equal(devmem(card, APERTURE, f"r32 0 {WINDOW + 0x14}"), [OUTSIDE | REFUSED],
                 "the card sees its errors until it clears them itself")
    devmem(host, CARD, "master 1")
    close_window(host, 0)


def closing(lab, host, card):
    """The window leads to a register that counts what arrives: behind a bridge, by message."""
    page, count = devmem(host, NEIGHBOUR, "bar 0 r32 0 0xaff0")
    for i in range(3):
        open_window(host, 1, page + 0xa000, 8)
        flood = card.start(f"/src/tests/guest/devmem {APERTURE} flood 2 {SLOT}")
        end = time.monotonic() + 20
        while devmem(host, NEIGHBOUR, "r32 0 0xaff0") == [count] and time.monotonic() < end:
            time.sleep(0.05)
        close_window(host, 1)
        old, (count,) = count, devmem(host, NEIGHBOUR, "r32 0 0xaff0")
        time.sleep(0.2)
        after, = devmem(host, NEIGHBOUR, "r32 0 0xaff0")
        flood.kill()
        flood.wait(check=False)
        lab.ok(old != count == after, f"closed while the card stores: nothing lands ({i})")
    lab.is_equal(devmem(card, APERTURE, f"r64 2 {SLOT}"), [ONES], "a closed window reads all ones")
    lab.is_equal(errors(host, 1), CLOSED, "stores into a closed window are told")


def doorbells(lab, host, card):
    devmem(card, APERTURE, "w32 0 0x30 0")
    devmem(host, CARD, "w32 0 0x1010 0")
    rung = card.counters("aperture")["interrupts"]
    devmem(host, CARD, "w64 0 0xa000 0x1234")
    lab.is_equal(devmem(card, APERTURE, "r32 0 0x2c r32 0 0xaff0 r64 0 0xaff8"), [4, 1, 0x1234],
                 "a doorbell page of the host face is pending for the card, with count and value")
    lab.is_equal(card.counters("aperture")["interrupts"], rung + 1, "and interrupts it")
    rung = host.counters("card0")["interrupts"]
    devmem(card, APERTURE, "w32 0 0x34 0x21")
    lab.is_equal(devmem(host, CARD, "r32 0 0x100c w32 0 0x100c 0x20 r32 0 0x100c"), [0x21, 1],
                 "the card's bells are pending for the host")
    lab.is_equal(host.counters("card0")["interrupts"], rung + 1, "and interrupt it")
    page = devmem(host, NEIGHBOUR, "bar 0")[0] + 0x9000
    open_window(host, 2, page, 4)
    devmem(card, APERTURE, f"w32 2 {2 * SLOT} 0x42 r32 2 {2 * SLOT}")
    lab.is_equal(devmem(host, NEIGHBOUR, "r32 0 0x9ff0 r64 0 0x9ff8"), [1, 0x42],
                 "a window onto another card's doorbell page rings it")
    close_window(host, 2)


def host_stopped(lab, host, card, memory):
    open_window(host, 0, memory, 0x1000)
    open_window(host, 2, devmem(host, NEIGHBOUR, "bar 0")[0] + 0x9000, 4)
    host.qmp("stop")
    commands = " ".join(f"w64 2 {8 * i} {i + 100}" for i in range(64))
    got = devmem(card, APERTURE, f"{commands} w32 2 {2 * SLOT} 0x43 r64 2 {8 * 63}")
    lab.is_equal(got, [163], "the card's loads go on while the host's CPUs stand still")
    lab.is_equal(host.server("counters")["devices"]["a.card1"]["model"]["doorbells"][1], 2,
                 "so do its stores, onto registers")
    host.qmp("cont")
    reads = " ".join(f"r64 2 {8 * i}" for i in range(64))
    lab.is_equal(devmem(host, NEIGHBOUR, reads), list(range(100, 164)), "and into memory")
    close_window(host, 0)
    close_window(host, 2)
