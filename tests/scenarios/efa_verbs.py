# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""The EFA model through libefa: what perftest does not ask of it."""

from p2plab import Spec, scenario


@scenario(Spec(card="none", efas=2, modules=("efa",)), timeout=120)
def verbs(lab):
    """Errors and their status, inline and unsolicited writes, RNR, completion counters."""
    lab.guest_tests(lab["a"], "efa_verbs_test")
