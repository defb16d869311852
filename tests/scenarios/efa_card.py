# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""Completion queues and counters of an adapter in a card, whatever lies between them."""

from p2plab import scenario

SOME, OTHERS = ["one-switch"], ["two-ports", "switch-iommu", "ports-iommu"]


@scenario("{}/refcard,efas=2", each=SOME, each_long=OTHERS, timeout=180)
def queues(lab):
    """Through libefa: in card memory, and on doorbell pages, which the adapter rings (R6.1)."""
    host = lab["a"]
    lab.guest_tests(host, "efa_card_test", timeout=120)
    lab.is_equal(host.counters("efa0")["dma"]["errors"], 0, "no DMA of the adapter was refused")
