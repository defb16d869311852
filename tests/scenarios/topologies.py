# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""The transfer between two machines in all topologies, with cards of all three drivers."""

from p2plab import scenario

FILE = "/src/build/lab/p2prdma-lab"  # some megabytes that are no kernel image

# What the adapter model says about the way that the payload took on the receiving machine.
# "message" is a way of the emulation only: QEMU, not the lab server, resolved the address.
WAYS = {
    "one-switch/refcard": "peer_switch",
    "one-switch/ivshmem": "peer_switch",
    "one-switch/pci": "message",
    "two-ports/refcard": "peer_bridge",
    "two-ports/ivshmem": "peer_bridge",
    "two-ports/pci": "message",
    "switch-iommu/refcard": "peer_switch",
    "ports-iommu/refcard": "message",
    "ports-iommu/ivshmem": "peer_bridge",
    "ports-iommu/pci": "message",
}


# Each driver once, with and without an IOMMU; make check-long has all.
SOME = ["one-switch/pci", "two-ports/ivshmem", "ports-iommu/refcard"]


@scenario(["{}", "one-switch/none"], each=SOME, each_long=[w for w in WAYS if w not in SOME],
          timeout=180)
def transfer(lab):
    """A file arrives in the card, by the way that the topology has, never by host memory."""
    a, b = lab["a"], lab["b"]
    machine = f"{a.spec.topology}/{a.spec.card}"
    free = a.run("cat /sys/class/p2prdma/card0/mem_free").out
    receiver = a.start("p2prdma recv --card 0 --out /tmp/f --json")
    receiver.wait_output("listening", 20)
    b.run(f"p2prdma send {FILE} --to a --json", timeout=90)
    report = receiver.wait(90).json()
    lab.ok(report["sha256_equal"], "the digest of what lies in the card is the sender's")
    lab.is_equal(a.run(f"cmp /tmp/f {FILE} && echo same").out.strip(), "same",
                 "the received file is the sent one")
    regions = [r for r in a.counters("efa0")["model"]["regions"] if r["rkey"] in report["rkeys"]]
    moved = {k: sum(r["bytes_written"].get(k, 0) for r in regions) for k in
             ("peer_switch", "peer_bridge", "host_dram", "message")}
    lab.is_equal({k for k, n in moved.items() if n}, {WAYS[machine]}, f"the way was {WAYS[machine]}")
    lab.is_equal(moved[WAYS[machine]], report["bytes"], "each byte was written once")
    lab.is_equal(a.run("cat /sys/class/p2prdma/card0/mem_free").out, free,
                 "the card's memory is free again")


@scenario("refused/{}", each=["refcard"], each_long=["ivshmem", "pci"])
def refused(lab):
    """Where the kernel refuses, the sentence names both devices and the bridge."""
    a = lab["a"]
    free = a.run("cat /sys/class/p2prdma/card0/mem_free").out
    result = a.run("p2prdma recv --card 0 --out /tmp/f", check=False, timeout=20)
    lab.diag(result.out)
    lab.ok(result.rc not in (0, 1, 2), f"a status of its own ({result.rc})")
    card = a.run("basename $(readlink -f /sys/class/p2prdma/card0/device)").out.strip()
    adapter = a.run("basename $(readlink -f /sys/class/infiniband/efa_0/device)").out.strip()
    for what, name in (("card", card), ("adapter", adapter), ("host bridge", "0000:00:00.0")):
        lab.ok(name in result.out, f"the sentence names the {what} {name}")
    lab.is_equal(len(result.out.strip().splitlines()), 1, "it is one line")
    lab.is_equal(a.run("cat /sys/class/p2prdma/card0/mem_free").out, free, "nothing stays allocated")
    lab.is_equal(a.run("ls /tmp/f", check=False).rc, 2, "no file is left")
