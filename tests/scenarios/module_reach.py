# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""What the kernel says about who reaches a card, compared with how the machine is built."""

from p2plab import scenario

SWITCH, BRIDGE, REFUSED, UNSUPPORTED = "0123"

# Topology: the verdict, hops (to a common switch 4; else up to the root bus on both sides).
EXPECTED = {
    "one-switch": (SWITCH, "4"),
    "two-ports": (BRIDGE, "4"),
    "refused": (REFUSED, "-1"),
    "switch-iommu": (SWITCH, "4"),
    "ports-iommu": (BRIDGE, "4"),
}


def bridges_above(machine, device):
    """The PCI functions above a device, topmost first, and the device."""
    path = machine.run(f"readlink -f /sys/bus/pci/devices/{device}").out.strip().split("/")
    return [part for part in path if part.count(":") == 2]


@scenario("{},efas=0,cards=2,modules=p2prdma", each=[f"{t}/ivshmem" for t in EXPECTED])
def verdict(lab):
    """Verdict, distance, ports and common bridge are those of the topology."""
    a = lab["a"]
    card, peer = (a.run(f"basename $(readlink -f /sys/class/p2prdma/card{n}/device)").out.strip()
                  for n in (0, 1))
    answer = a.run(f"/src/build/lab/guest/uapi_reach {peer}").out
    lab.diag(answer)
    got = dict(item.split("=") for item in answer.split())
    reach, distance = EXPECTED[a.spec.topology]
    above_card, above_peer = bridges_above(a, card), bridges_above(a, peer)
    lab.is_equal(got["reach"], reach, "verdict")
    lab.is_equal(got["distance"], distance, "distance")
    lab.is_equal(got["card_port"], above_card[0], "the root port above the card")
    lab.is_equal(got["peer_port"], above_peer[0], "the root port above the peer")
    shared = [x for x, y in zip(above_card, above_peer) if x == y]
    lab.is_equal(got["common"], shared[-1] if reach == SWITCH else "0000:00:00.0",
                 "the common bridge, or the host bridge")
    lab.is_equal(got["host"], "8086:29c0", "the host bridge's ids")


@scenario("switch-iommu/ivshmem,efas=0,cards=2,modules=p2prdma,kernel=oldest")
def translated(lab):
    """A kernel without p2pdma hands out what the IOMMU translates: no switch understands that."""
    a = lab["a"]
    card, peer = (a.run(f"basename $(readlink -f /sys/class/p2prdma/card{n}/device)").out.strip()
                  for n in (0, 1))
    lab.ok(" reach=2 distance=-1 " in " " + a.run(f"/src/build/lab/guest/uapi_reach {peer}").out,
           "refused, although both are below one switch")
    a.run("insmod /src/build/lab/kmod-$(uname -r | cut -d. -f1,2)/p2prdma_test_importer.ko")
    result = a.run(f"P2PRDMA_IMPORTER={peer} /src/build/lab/guest/uapi_importer_test "
                   "'an importer alone keeps the memory allocated'", check=False)
    lab.ok("95 == 0" in result.out, "attach fails with EOPNOTSUPP")
    log = a.run("dmesg | grep 'cannot reach'").out
    lab.ok(f"{peer} cannot reach the memory of {card}: an IOMMU translates its addresses" in log,
           "the kernel log says why")
