# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""The p2prdma command between two machines' cards over EFA: sizes, pieces, both ways."""

from p2plab import scenario

MIB = 1 << 20
CARD = 4 * MIB
MACHINE = f"one-switch,card_memory={CARD}"

# name: size of the file, options of the sender, of the receiver, pieces, regions
CASES = {
    "empty": (0, "", "", 0, 0),
    "one byte": (1, "", "", 1, 1),
    "an odd size": (4095, "", "", 1, 1),
    "more than a write": (MIB + 1, "", "", 1, 1),
    "as large as the card": (CARD, "", "", 1, 1),
    "larger than the card": (3 * CARD + 17, "", "", 7, 2),
    "in pieces as the sender wants": (MIB + 1, "--piece 256K", "", 5, 2),
    "in pieces as the receiver wants": (MIB + 1, "--piece 256K", "--piece 65536", 17, 2),
    "from card memory": (MIB + 1, "--card 0", "", 1, 1),
    "from card memory, larger than the card": (2 * CARD + 1, "--card 0", "", 5, 2),
}


def free(machine):
    return machine.run("cat /sys/class/p2prdma/card0/mem_free").out.strip()


@scenario([MACHINE, MACHINE], name="transfer_sizes.card_to_card", timeout=240)
def card_to_card(lab):
    """Files of all sizes arrive as they are, and nothing stays allocated."""
    a, b = lab["a"], lab["b"]
    for name, (size, of_sender, of_receiver, pieces, regions) in CASES.items():
        b.run(f"head -c {size} /dev/urandom > /tmp/f")
        receiver = a.start(f"p2prdma recv --card 0 --out /tmp/g --json {of_receiver}")
        receiver.wait_output("listening on 17471", 20)
        sent = b.run(f"p2prdma send /tmp/f --to a --json {of_sender}", timeout=60).json()
        received = receiver.wait(30).json()
        digest = b.run("sha256sum < /tmp/f").out.split()[0]
        lab.is_equal(a.run("sha256sum < /tmp/g").out.split()[0], digest, f"{name}: the file is right")
        lab.is_equal((sent["sha256"], received["sha256"], sent["bytes"], received["bytes"]),
                     (digest, digest, size, size), f"{name}: both ends report it")
        lab.is_equal((received["pieces"], len(received["rkeys"])), (pieces, regions),
                     f"{name}: pieces and regions")
        way = "peer_switch" if "--card" in of_sender else "host"
        lab.is_equal((sent["path"], received["path"], received["card"], received["device"]),
                     (way, "peer_switch", 0, "efa_0"), f"{name}: the ways")
    lab.is_equal((free(a), free(b)), (str(CARD), str(CARD)), "all card memory is free again")


@scenario([MACHINE, MACHINE], name="transfer_sizes.for_people", timeout=120, long=True)
def for_people(lab):
    """Without --json: sentences, a file on standard output, addresses and ports."""
    a, b = lab["a"], lab["b"]
    b.run("head -c 100000 /dev/urandom > /tmp/f")
    receiver = a.start("p2prdma recv --card card0 --port 9000 --bind 10.77.0.1 --out - > /tmp/g")
    receiver.wait_output("listening on 9000", 20)
    sender = b.run("p2prdma send /tmp/f --to 10.77.0.1:9000 --device efa_0 --card 0").out
    lab.ok("equal at both ends" in sender and "from card0 through efa_0 (peer_switch)" in sender,
           "the sender's report")
    lab.ok("into card0 through efa_0 (peer_switch)" in receiver.wait(30).out, "the receiver's report")
    digests = {m.run(f"sha256sum < /tmp/{f}").out for m, f in ((a, "g"), (b, "f"))}
    lab.is_equal(len(digests), 1, "standard output has the file and nothing else")
    receiver = a.start("p2prdma recv --card 0")
    receiver.wait_output("listening", 20)
    shown = b.run("script -qec 'p2prdma send /tmp/f --to a' /dev/null", timeout=60).out
    lab.ok("#] 97.7 KiB of 97.7 KiB" in shown, "on a terminal there is a progress bar")
    lab.ok("#]" not in sender + receiver.wait(30).out, "and only there")
    lab.ok("efa_0" in a.run("p2prdma list").out, "list tells of the adapter")
    cards = a.run("p2prdma list --json").json()["cards"]
    lab.is_equal([(c["card"], c["driver"], c["mem_size"]) for c in cards], [(0, "refcard", CARD)],
                 "list tells of the card")
    info = a.run(f"p2prdma info {cards[0]['pci']} --json").json()
    lab.is_equal([(r["device"], r["reach"]) for r in info["reach"]], [("efa_0", "peer_switch")],
                 "info tells who reaches the card")
    lab.ok("reaches card0" in a.run("p2prdma info /dev/p2prdma/card0").out, "and says so in words")
