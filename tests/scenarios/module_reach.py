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
