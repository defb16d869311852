# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""R6.2: nobody sees stale data in a card, however late what the adapter wrote arrives."""

from p2plab import scenario

DELAY = 150  # milliseconds: longer than a completion takes, even in an emulated machine
LONG_DELAY = 10000  # what is never waited for: a flush ends it


@scenario("{}/machine,efas=2", each=["one-switch"], each_long=["two-ports", "switch-iommu"],
          timeout=240)
def late_data(lab):
    """Completions, flushes, counters and events, of an adapter whose writes take their time."""
    host, card = lab["a"], lab["ac"]
    host.start_daemon()
    host.server("device", "efa1", request={"delay_peer_writes": DELAY})
    lab.guest_tests(card, "direct_visibility_test", "[late]", timeout=120)
    host.server("device", "efa1", request={"delay_peer_writes": LONG_DELAY, "longer_than": 32})
    lab.guest_tests(card, "direct_visibility_test", "[overtaken]", timeout=60)
