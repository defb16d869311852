# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""lib/direct on a host's own mappings, beside rdma-core's EFA provider."""

from p2plab import Spec, scenario


@scenario(Spec(card="none", efas=2, modules=("efa",)), timeout=180)
def direct_native(lab):
    """The same work requests bit by bit; transfers, batches, wraps, errors."""
    lab.guest_tests(lab["a"], "direct_efa_test")
