# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""p2prdma send and recv on cards' own machines."""

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


@scenario(["one-switch/machine", "one-switch/machine"], timeout=400)
def direct_transfer(lab):
    """From card to card, from a card to a host and back: control by the hosts, data direct."""
    a, b, ac, bc = lab["a"], lab["b"], lab["ac"], lab["bc"]
    a.start_daemon()
    b.start_daemon()
    sent, received = transfer(lab, ac, bc, "b", "card to card")
    lab.is_equal([r["path"] for r in (sent, received)], ["card", "card"], "both drive an adapter")
    lab.is_equal(sent["device"], "efa_0", "which is the host's")
    sent, received = transfer(lab, ac, b, "b", "card to host")
    lab.is_equal([r["path"] for r in (sent, received)], ["card", "host"], "only the card is direct")
    transfer(lab, b, ac, "a", "host to card")
    refused(lab, ac)


def refused(lab, card):
    """What cannot be ends with a sentence."""
    gone = card.run("p2prdma send /etc/hostname --to a:9 --via card", timeout=60, check=False)
    lab.ok(gone.rc != 0 and "cannot connect to a:9" in gone.out, "nobody listens: " + gone.out)
    none = card.run("p2prdma send /etc/hostname --to a --via host", timeout=60, check=False)
    lab.ok(none.rc != 0 and "no RDMA device" in none.out, "no own adapter: " + none.out)
