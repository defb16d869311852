# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""A card whose kernel means harm, against the real daemon and the real adapter."""

from card_client import *
from daemon_faults import address, driver, eventually, free_memory, greeted, make_all
from p2plab import scenario

MACHINES = ["one-switch/refcard", "one-switch/none,efas=0,card_of=a.card0"]


@scenario(MACHINES, timeout=240)
def daemon_hostile(lab):
    """R2.8: ten seconds of messages and rings that are wrong in every way."""
    hostile(lab, 10)


@scenario(MACHINES, timeout=360, long=True)
def daemon_hostile_long(lab):
    """R2.8: two minutes of them."""
    hostile(lab, 120)


def hostile(lab, seconds):
    host, card = lab["a"], lab["b"]
    daemon = host.start_daemon()
    baseline = free_memory(host)
    path, functions = driver(card, "1b36:1101"), [address(card, "1b36:1101"),
                                                  address(card, "1b36:1102")]
    for function in functions:
        card.run(f"echo {function} > /sys/bus/pci/devices/{function}/driver/unbind")
    out = card.run(f"/src/tests/guest/hostile_card {seconds} 1", timeout=seconds + 60).out
    lab.diag(out.strip())
    lab.ok(int(out.split()[0]) > 20 * seconds, "it got far")
    lab.ok(daemon.running, "the daemon lives")
    lab.ok(eventually(lambda: free_memory(host) == baseline), "and nothing is left")
    lab.ok("refused with errno 5:" not in daemon.output(), "nothing failed for want of a check")
    for function in functions:
        card.run(f"echo {function} > /sys/bus/pci/drivers_probe")
    card.run("for i in 1 2 3 4 5 6 7 8 9 10; do [ -e /dev/p2prdma/local0 ] && break; sleep 0.2; done")
    make_all(greeted(Process(card), "n"))
    lab.ok(True, "a well-behaved kernel is served after it")
