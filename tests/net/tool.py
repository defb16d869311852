# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""Runs the p2prdma command in the stations of a segment, and counts what is not as it should be."""

import json
import pathlib
import subprocess
import sys
import tempfile
import time

from netns import Segment

P2PRDMA = str(pathlib.Path(__file__).resolve().parents[2] / "build/lab/p2prdma")
problems = []


def check(good, what):
    print(("ok    " if good else "FAIL  ") + what, flush=True)
    if not good:
        problems.append(what)


class Started:
    """A command that runs, with what it said so far."""

    def __init__(self, station, directory, *words, ready=""):
        self._log = pathlib.Path(directory) / f"log{time.monotonic_ns()}"
        with open(self._log, "w") as log:
            self.process = station.start([P2PRDMA, *words], stdout=subprocess.PIPE, stderr=log)
        end = time.monotonic() + 20
        while ready not in self._log.read_text():
            if self.process.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"{' '.join(map(str, words))}: {self._log.read_text()}")
            time.sleep(0.02)

    def end(self, number=None, timeout=30):
        """Its status and its standard output."""
        if number:
            self.process.send_signal(number)
        out, _ = self.process.communicate(timeout=timeout)
        return self.process.returncode, out


def run(station, *words, timeout=60):
    """Its status, and what it said as JSON (the last object), or as text."""
    done = station.run([P2PRDMA, *words], check=False, timeout=timeout)
    lines = done.stdout.splitlines()
    try:
        return done.returncode, json.loads(lines[-1])
    except (IndexError, ValueError):
        return done.returncode, done.stdout + done.stderr


def serve(station, directory, *words):
    return Started(station, directory, "l2", "serve", "-i", station.interface, *words,
                   ready="serving")


def run_parts(parts):
    """Each on a segment of its own, with a directory of its own; ends the program."""
    for part in parts:
        print(f"-- {part.__doc__}", flush=True)
        with tempfile.TemporaryDirectory() as directory, Segment() as (a, b):
            try:
                part(a, b, directory)
            except (RuntimeError, subprocess.TimeoutExpired) as error:
                check(False, f"{part.__name__}: {error}")
    sys.exit(f"{len(problems)} failed" if problems else 0)
