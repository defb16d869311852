# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""The lab's runner: boots emulated machines and runs scenarios in them.

Everything here runs inside the lab's root (scripts/in-root). A scenario is a
function marked with @scenario in tests/scenarios/*.py.
"""

from .machine import CommandFailed, Dialogue, Machine, Timeout
from .scenarios import Skip, scenario
from .topology import Spec, topologies

__all__ = ["CommandFailed", "Dialogue", "Machine", "Skip", "Spec", "Timeout", "scenario", "topologies"]
