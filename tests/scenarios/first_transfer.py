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
