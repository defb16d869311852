# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""p2prdma send and recv on cards' own machines."""

import time

from p2plab import scenario

SIZE = 3_000_001
SENDER = f"head -c {SIZE} /dev/urandom >/tmp/f && p2prdma send /tmp/f --json --to"


def transfer(lab, source, target, to, what):
    """A file of random bytes from one machine to another; both reports."""
    receiver = target.start("p2prdma recv --json --wait 60 --out /tmp/got")
    receiver.wait_output("listening", 30)
    sent = source.run(f"{SENDER} {to}", timeout=120).json()
    received = receiver.wait(60).json()
    lab.ok(sent["sha256_equal"] and sent["sha256"] == received["sha256"], f"{what}: the digest")
    lab.is_equal(received["bytes"], SIZE, f"{what}: every byte")
    return sent, received


PAIR = ["one-switch/machine", "one-switch/machine"]


@scenario(PAIR, timeout=300)
def direct_transfer(lab):
    """From card to card: control by the hosts, data direct."""
    a, b, ac, bc = lab["a"], lab["b"], lab["ac"], lab["bc"]
    a.start_daemon()
    b.start_daemon()
    sent, received = transfer(lab, ac, bc, "b", "card to card")
    lab.is_equal([r["path"] for r in (sent, received)], ["card", "card"], "both drive an adapter")
    lab.is_equal(sent["device"], "efa_0", "which is the host's")
    refused(lab, ac)


@scenario(PAIR, timeout=300, long=True)
def direct_transfer_to_host(lab):
    """From a card to a host that has one, too, and back."""
    a, b, ac = lab["a"], lab["b"], lab["ac"]
    a.start_daemon()
    b.start_daemon()
    sent, received = transfer(lab, ac, b, "b", "card to host")
    lab.is_equal([r["path"] for r in (sent, received)], ["card", "host"], "only the card is direct")
    transfer(lab, b, ac, "a", "host to card")


def refused(lab, card):
    """What cannot be ends with a sentence."""
    gone = card.run("p2prdma send /etc/hostname --to a:9 --via card", timeout=60, check=False)
    lab.ok(gone.rc != 0 and "cannot connect to a:9" in gone.out, "nobody listens: " + gone.out)
    none = card.run("p2prdma send /etc/hostname --to a --via host", timeout=60, check=False)
    lab.ok(none.rc != 0 and "no RDMA device" in none.out, "no own adapter: " + none.out)


@scenario(["one-switch/machine", "one-switch/refcard"], timeout=300)
def direct_loss(lab):
    """The host's daemon is killed while a card's program sends: that ends with a sentence."""
    a, b, ac = lab["a"], lab["b"], lab["ac"]
    daemon = a.start_daemon()
    receiver = b.start("p2prdma recv --wait 60 --timeout 20 --out /tmp/got")
    receiver.wait_output("listening", 30)
    sender = ac.start("truncate -s 2G /tmp/f && p2prdma send /tmp/f --piece 1M --to b")
    before = moved(a)
    lab.ok(before.grows(), "data flow")
    daemon.kill(9)
    result = sender.wait(60, check=False)
    lab.ok(result.rc in range(1, 128), f"the sender ends by itself, with status {result.rc}")
    lab.ok("p2prdma: " in result.out, "and says why: " + result.out.splitlines()[-1])
    lab.ok(receiver.wait(60, check=False).rc != 0, "the receiver has noticed")


class moved:
    """Bytes that an adapter has written through the switch or read there."""

    def __init__(self, machine):
        self.machine, self.start = machine, self.bytes(machine)

    @staticmethod
    def bytes(machine):
        return machine.counters("efa0")["dma"]["read"]["peer_switch"]

    def grows(self, timeout=60):
        end = time.monotonic() + timeout
        while self.bytes(self.machine) < self.start + (1 << 20) and time.monotonic() < end:
            time.sleep(0.05)
        return self.bytes(self.machine) >= self.start + (1 << 20)
