# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""What a kernel log must not contain."""

import re

_complaint = re.compile(
    r"BUG:|kernel BUG at|WARNING:|Oops|Kernel panic|KASAN|KCSAN|UBSAN|"
    r"general protection fault|Unable to handle kernel|"
    r"possible (circular|recursive) locking|inconsistent lock state|"
    r"suspicious RCU usage|sleeping function called|scheduling while atomic|"
    r"DMA-API:|DMAR: \[DMA|INFO: task .* blocked|soft lockup|hung_task|Call Trace:|"
    r"list_(add|del) corruption|refcount_t:|rcu_preempt (self-)?detected stalls?")


def complaints(log):
    """Lines of `log` that tell of a fault in the kernel or in a module."""
    return [line for line in log.splitlines() if _complaint.search(line)]
