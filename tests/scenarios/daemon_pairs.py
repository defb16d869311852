# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""Two hosts, each with a card that is a machine: what their daemons do for cards that talk to each
other."""

import time

from card_client import *
from daemon_faults import eventually, free_memory, greeted
from p2plab import scenario

PAIRS = ["one-switch/machine", "one-switch/machine"]
PROGRAM = "/src/build/lab/examples/card_to_card"


@scenario(PAIRS, timeout=300, long=True)
def daemon_streams(lab):
    """TCP of the hosts for the cards' programs."""
    for host in "ab":
        lab[host].start_daemon()
    here, there = greeted(Process(lab["ac"]), "h"), greeted(Process(lab["bc"]), "t")
    status, listener = here.stream(LISTEN, port=7000)
    lab.is_equal(status, "OK", "a card's program listens on its host")
    lab.is_equal(here.stream(ACCEPT, number=listener, wait=100)[0], "EAGAIN", "a wait has an end")
    status, out = there.stream(CONNECT, port=7000, wait=5000, host=b"a")
    lab.is_equal(status, "OK", "another's connects, by name")
    status, inward = here.stream(ACCEPT, number=listener, wait=5000)
    lab.is_equal(status, "OK", "and is accepted")
    data = bytes(range(216))
    lab.is_equal(there.send(out, data), "OK", "a message is sent")
    lab.is_equal(here.stream(RECEIVE, number=inward, wait=5000, length=224), ("OK", data), "and received")
    lab.is_equal(here.stream(RECEIVE, number=inward, length=1)[0], "EAGAIN", "there is no more")
    lab.is_equal(there.destroy(CLOSE, out), "OK", "closed")
    lab.is_equal(here.stream(RECEIVE, number=inward, wait=5000, length=1), ("OK", b""),
                 "the other side sees the end")
    lab.is_equal([there.stream(CONNECT, port=7001, wait=5000, host=host)[0]
                  for host in (b"a", b"no-such-host")], ["ECONNREFUSED", "EHOSTUNREACH"],
                 "who cannot be reached is told apart")
    lab.is_equal(here.stream(LISTEN, port=7000)[0], "EADDRINUSE", "a port is used once")


def start_transfer(lab, megabytes):
    lab["bc"].run(f"head -c {megabytes}M /dev/urandom > /tmp/file")
    receiver = lab["ac"].start(f"{PROGRAM} receive /tmp/file")
    time.sleep(1)  # it listens when it is ready; the sender waits for it a while
    sender = lab["bc"].start(f"{PROGRAM} send a /tmp/file 4096")
    return receiver, sender


@scenario(PAIRS, timeout=400)
def daemon_killed_in_flight(lab):
    """The receiver's daemon is killed while the cards exchange data."""
    daemons = {host: lab[host].start_daemon() for host in "ab"}
    baseline = {host: free_memory(lab[host]) for host in "ab"}
    receiver, sender = start_transfer(lab, 24)
    sender.wait_output('"sent"', timeout=60)
    daemons["a"].kill()
    daemons["a"].wait(check=False)
    results = [process.wait(timeout=120, check=False) for process in (receiver, sender)]
    for name, result in zip(("receiver", "sender"), results):
        lab.ok(result.rc == 1, f"the {name} ends with an error: {result.out.splitlines()[-1]}")
    lab.ok(eventually(lambda: free_memory(lab["b"]) == baseline["b"]), "nothing is left of the sender")
    daemons["a"] = lab["a"].start_daemon()
    lab.ok(eventually(lambda: free_memory(lab["a"]) >= baseline["a"]), "nor of the receiver")
    receiver, sender = start_transfer(lab, 1)
    lab.is_equal([sender.wait(120).rc, receiver.wait(120).rc], [0, 0], "after that all works again")
    same = [lab[card].run("sha256sum < /tmp/file").out for card in ("ac", "bc")]
    lab.is_equal(same[0], same[1], "to the last byte")
