# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""lib/direct on a card's own machine: its CPU drives the host's adapter."""

from p2plab import scenario

HOSTS = [f"{t}/machine" for t in ("one-switch", "two-ports", "switch-iommu", "ports-iommu")]


@scenario(["{}"], each=HOSTS, timeout=400)
def direct_card(lab):
    """Operations, batches, wraps, errors, visibility, counters and events."""
    lab["a"].start_daemon()
    lab.guest_tests(lab["ac"], "direct_card_test", timeout=300)


@scenario(["{}/machine,efa_counters=0"], each=["one-switch", "ports-iommu"], timeout=400)
def direct_relay(lab):
    """R6.8: an adapter without completion counters: the daemon finds what is new in the queues
    in the card's memory, and wakes the card; the same programs work."""
    daemon = lab["a"].start_daemon()
    lab.guest_tests(lab["ac"], "direct_card_test", "'[relay],[.no-counters]'", timeout=300)
    lab.ok("no completion counters" in daemon.output(), "what cannot be relayed is in the log")
