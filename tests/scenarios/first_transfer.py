# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""One machine, two adapters and a card below one switch: RDMA into and out of card memory."""

from p2plab import scenario


@scenario("one-switch,efas=2", timeout=150)
def card_memory(lab):
    """RDMA write and read with card memory, verified byte by byte."""
    a = lab["a"]
    lab.guest_tests(a, "card_rdma_test", timeout=100)
    routes = a.counters("efa1")["dma"]["write"]
    lab.ok(routes["peer_switch"] > 0, "the adapter wrote through the switch")
    lab.guest_tests(a, "memory_adopt_test")
    cost(lab, a)


def cost(lab, a):
    """What an RDMA write of 64 KiB into card memory costs, in operations."""
    before = a.counters("efa1")["dma"]["messages"]
    result = a.run("/src/build/lab/bench/rdma_write card", timeout=60).json()
    lab.is_equal(result["syscalls_per_write"], 0.0, "no system call for a write")
    lab.is_equal(a.counters("efa1")["dma"]["messages"] - before, 0,
                 "no vfio-user message for the payload")
