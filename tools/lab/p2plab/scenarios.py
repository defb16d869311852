# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""Finding and running scenarios."""

import importlib.util
import pathlib
import re
import sys
import time
import traceback

from .lab import Lab
from .tap import Tap

_registry = {}


class Skip(Exception):
    """Raised by a scenario that cannot run here; the text says why."""


class Scenario:
    def __init__(self, function, machines, name, timeout, long):
        self.function, self.machines, self.name = function, machines, name
        self.timeout, self.long = timeout, long


def scenario(machines, name=None, timeout=120, long=False, each=None, each_long=()):
    """Marks a function as a scenario.

    machines: a machine (Spec, or text as for Spec.of), or a list of them: "a", "b", ...
    timeout:  seconds for the whole of it, boot included
    long:     only run by "make check-long"
    each:     a list: the scenario is run once for each of these machines instead; what stands
              for {} in `machines`
    each_long: the same, but only run by "make check-long"
    """
    def mark(function):
        base = name or f"{pathlib.Path(function.__code__.co_filename).stem}.{function.__name__}"
        if each is None:
            _registry[base] = Scenario(function, machines, base, timeout, long)
        for value in [*(each or ()), *each_long]:
            put = [m.replace("{}", value) for m in
                   ([machines] if isinstance(machines, str) else machines)]
            full = f"{base}[{value}]"
            _registry[full] = Scenario(function, put, full, timeout, long or value in each_long)
        return function
    return mark


def load(directory):
    """Imports all scenario files of a directory; returns the scenarios by name."""
    sys.path.insert(0, str(directory))
    for path in sorted(pathlib.Path(directory).glob("*.py")):
        spec = importlib.util.spec_from_file_location(path.stem, path)
        spec.loader.exec_module(importlib.util.module_from_spec(spec))
    return dict(_registry)


def run(chosen, run_root, stream):
    """Runs one scenario in this process, with TAP on `stream`; returns the Tap."""
    tap = Tap(chosen.name, stream)
    started = time.monotonic()
    directory = run_root / re.sub("[/,]", "-", chosen.name).replace("[", ".").replace("]", "")
    try:
        with Lab(chosen.machines, directory, tap) as lab:
            chosen.function(lab)
    except Skip as reason:
        tap.skip(chosen.name, str(reason))
    except Exception as error:
        tap.diag(traceback.format_exc())
        tap.ok(False, f"{chosen.name}: {type(error).__name__}: {str(error).partition(chr(10))[0]}")
    tap.end()
    tap.seconds = time.monotonic() - started
    return tap
