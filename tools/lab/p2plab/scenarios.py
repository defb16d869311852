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


class Series(Scenario):
    """Scenarios one after the other on the same machines, which boot once."""

    def __init__(self, machines, name):
        super().__init__(self.run_parts, machines, name, 0, False)
        self.parts = {}  # by name: a file that another one imports is run twice

    def add(self, part):
        if part.machines != self.machines:
            raise ValueError(f"{part.name} has other machines than the series {self.name}")
        self.parts[part.name] = part
        self.timeout = sum(one.timeout for one in self.parts.values())

    def run_parts(self, lab):
        for part in self.parts.values():
            lab.diag(f"--- {part.name}")
            try:
                part.function(lab)
            except Skip as reason:
                lab.skip(part.name, str(reason))
            lab.tidy()


def scenario(machines, name=None, timeout=120, long=False, each=None, each_long=(), series=None):
    """Marks a function as a scenario.

    machines: a machine (Spec, or text as for Spec.of), or a list of them: "a", "b", ...
    timeout:  seconds for the whole of it, boot included
    long:     only run by "make check-long"
    each:     a list: the scenario is run once for each of these machines instead; what stands
              for {} in `machines`
    each_long: the same, but only run by "make check-long"
    series:   "make check" runs it on the same machines as the others of its file that have this
              word here, after those that stand before it; "make check-long" also alone. It must
              leave the machines as they were, but for programs that run and files in /tmp.
    """
    def register(function, stem, put, full, only_long, place=""):
        one = _registry[full] = Scenario(function, put, full, timeout, only_long or bool(series))
        if series and not only_long:
            together = f"{stem}.{series}{place}"
            _registry.setdefault(together, Series(put, together)).add(one)

    def mark(function):
        stem = pathlib.Path(function.__code__.co_filename).stem
        base = name or f"{stem}.{function.__name__}"
        if each is None:
            register(function, stem, machines, base, long)
        for value in [*(each or ()), *each_long]:
            put = [m.replace("{}", value) for m in
                   ([machines] if isinstance(machines, str) else machines)]
            register(function, stem, put, f"{base}[{value}]", long or value in each_long,
                     f"[{value}]")
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
