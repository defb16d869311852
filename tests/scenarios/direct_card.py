# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""lib/direct on a card's own machine: its CPU drives the host's adapter."""

from p2plab import scenario

HOSTS = [f"{t}/machine" for t in ("one-switch", "two-ports", "switch-iommu", "ports-iommu")]


@scenario(["{}"], each=HOSTS, timeout=400)
def direct_card(lab):
    """Operations, batches, wraps, errors, visibility, counters and events."""
    lab["a"].start_daemon()
    lab.guest_tests(lab["ac"], "direct_card_test", timeout=300)
