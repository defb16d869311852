#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""All tests of the project, part by part; ends with "N passed, N failed, N skipped".

Runs inside the lab's root. Each part's output is kept in build/check/.
"""

import argparse
import glob
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as xml
from concurrent.futures import ThreadPoolExecutor

OUT = pathlib.Path("build/check")
SANITIZERS = {"asan": "address,undefined", "tsan": "thread"}
started = time.monotonic()
failures = []


class Counts:
    def __init__(self, passed=0, failed=0, skipped=0):
        self.passed, self.failed, self.skipped = passed, failed, skipped

    def __iadd__(self, other):
        self.passed += other.passed
        self.failed += other.failed
        self.skipped += other.skipped
        return self

    def __str__(self):
        return f"{self.passed} passed, {self.failed} failed, {self.skipped} skipped"


def say(text):
    print(f"[{time.monotonic() - started:4.0f}s] {text}", flush=True)


def failed(what):
    """Says what failed; it is said again at the end, where it is seen."""
    failures.append(what)
    print(f"    FAILED: {what}", flush=True)


def logged(name, command, **more):
    """Runs a command with its output in build/check/NAME.log; returns its status."""
    with open(OUT / f"{name}.log", "w") as log:
        return subprocess.run(command, stdout=log, stderr=subprocess.STDOUT, check=False, **more).returncode


def tail(name, lines=40):
    text = (OUT / f"{name}.log").read_text(errors="replace").splitlines()
    print("\n".join("    " + line for line in text[-lines:]), flush=True)


def catch2(name, program, *arguments, timeout=300):
    """Runs a Catch2 program; one result for each test case."""
    report = OUT / f"{name}.xml"
    report.unlink(missing_ok=True)
    try:
        status = logged(name, [program, *arguments, "--reporter", "compact",
                               "--reporter", f"junit::out={report}"], timeout=timeout)
    except subprocess.TimeoutExpired:
        status = "none: a time limit of %d s" % timeout
    counts = Counts()
    try:
        cases = xml.parse(report).getroot().iter("testcase")
    except (OSError, xml.ParseError):
        cases = []
    for case in cases:
        if case.find("failure") is not None or case.find("error") is not None:
            counts.failed += 1
            failed(f"{name}: {case.get('name')}")
        elif case.find("skipped") is not None:
            counts.skipped += 1
            print(f"    skipped: {case.get('name')}: {case.find('skipped').get('message', '')}")
        else:
            counts.passed += 1
    if status != 0 and counts.failed == 0 or counts.passed == 0:
        counts.failed += 1
        failed(f"{name}: {program} ended with status {status}")
    if counts.failed:
        tail(name)
    return counts


def unit():
    """The unit tests."""
    return catch2("unit", "build/lab/unit-tests")


def unit_asan():
    """The unit tests under the address and undefined-behaviour sanitizers."""
    return catch2("unit-asan", "build/asan/unit-tests", timeout=600)


def unit_tsan():
    """The unit tests under the thread sanitizer."""
    return catch2("unit-tsan", "build/tsan/unit-tests", timeout=600)


def unit_long():
    """Its tests with their full counts, natively."""
    return catch2("unit-long", "build/lab/unit-tests", "[.long]", timeout=3600)


def l2():
    """The tests of the transport over Ethernet frames."""
    return catch2("l2", "build/lab/l2-tests")


def l2_asan():
    """The same under the address and undefined-behaviour sanitizers."""
    return catch2("l2-asan", "build/asan/l2-tests", timeout=600)


def l2_tsan():
    """The same under the thread sanitizer."""
    return catch2("l2-tsan", "build/tsan/l2-tests", timeout=900)


def l2_long(limit=7200):
    """Its tests with their full counts, under the address sanitizer: each in a process of its own."""
    program = "build/asan/l2-tests"
    listed = subprocess.run([program, "[.long]", "--list-tests", "--reporter", "json"], check=False,
                            capture_output=True, text=True, timeout=60)
    try:
        tests = json.loads(listed.stdout)["listings"]["tests"]
    except (ValueError, KeyError):
        failed(f"{program} does not tell its tests: {listed.stderr[-500:]}")
        return Counts(failed=1)
    if not tests:
        failed(f"{program} has no long tests")
        return Counts(failed=1)
    total = Counts()
    for number, test in enumerate(tests, 1):
        name = test["name"]
        only = re.sub(r'([\\,\[\]"*~])', r"\\\1", name)
        say(f"  {number} of {len(tests)}: {name}")
        counts = catch2(f"l2-long-{number}", program, only, timeout=limit)
        print(f"    {counts}", flush=True)
        total += counts
    return total


def models(long):
    """The models of the protocol, by spin; each must also fail with any of its guards taken out."""
    command = ["tests/models/run.py", *(["--long"] if long else [])]
    status = logged("models", command)
    lines = (OUT / "models.log").read_text().splitlines()
    last = re.fullmatch(r"(\d+) passed, (\d+) failed", lines[-1] if lines else "")
    counts = Counts(*map(int, last.groups())) if last else Counts(failed=1)
    if status != 0 or counts.failed:
        counts.failed = max(counts.failed, 1)
        failed(f"models: ended with status {status}")
        tail("models")
    return counts


def network(long):
    """The command over Ethernet frames, between network namespaces of this machine."""
    return programs("tests/net", *(["--long"] if long else []))


def fuzz():
    """The fuzzers of what comes from the wire, half a minute each."""
    return programs("tests/fuzz", "30")


def build_sanitized(parts):
    """Builds what the parts need, again only what has changed. Part of the set-up."""
    for name, sanitizer in SANITIZERS.items():
        programs = [f"build/{name}/{tests}" for tests, needed_by in
                    (("unit-tests", {f"unit_{name}"}), ("l2-tests", {f"l2_{name}", "l2_long"}))
                    if needed_by & set(parts)]
        if not programs:
            continue
        say(f"building the tests with the sanitizer: {sanitizer}")
        flags = f"-fsanitize={sanitizer} -fno-sanitize-recover=all -fno-omit-frame-pointer"
        if logged(f"{name}-build", ["make", "-j2", f"B=build/{name}", "OPT=-O1 -g1", f"SAN={flags}",
                                    *programs]) != 0:
            tail(f"{name}-build")
            sys.exit(f"check: the tests do not build with {sanitizer}")


def module_builds():
    """The module compiles anew without a warning (W=1), modpost's among them, for each kernel of the root."""
    counts = Counts()
    for headers in sorted(glob.glob("/usr/src/linux-headers-*-amd64")):
        release = headers.rpartition("linux-headers-")[2]
        name = f"kmod-{release}"
        subprocess.run(["rm", "-rf", OUT / name], check=True)
        status = logged(name, ["scripts/build-kmod", headers, str(OUT / name), "W=1"])
        log = (OUT / f"{name}.log").read_text()
        warnings = [l for l in log.splitlines() if re.search(r"\b(warning|WARNING|error):", l)
                    and "BTF" not in l]
        if status == 0 and not warnings:
            counts.passed += 1
        else:
            counts.failed += 1
            failed(f"module for kernel {release}: status {status}; " + "; ".join(warnings[:5]))
    return counts


def programs(directory, *arguments):
    """Programs in a directory that test something by themselves: status 0 passed, 77 skipped."""
    counts = Counts()
    for path in sorted(glob.glob(f"{directory}/*")):
        if not os.access(path, os.X_OK):
            continue
        name = pathlib.Path(path).name
        status = logged(name, [path, *arguments])
        if status == 0:
            counts.passed += 1
        elif status == 77:
            counts.skipped += 1
            print(f"    skipped: {name}:")
            tail(name, 1)
        else:
            counts.failed += 1
            failed(f"{path} ended with status {status}")
            tail(name)
    return counts


def commands():
    """The commands as a user calls them, with good and bad arguments."""
    return programs("tests/commands")


def scenarios(long, chosen):
    """Scenarios in emulated machines."""
    command = ["tools/lab/lab", "run", *(["--long"] if long else []), *chosen]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    last = ""
    for line in process.stdout:
        if re.fullmatch(r"\d+ passed, \d+ failed, \d+ skipped\n", line):
            last = line
            continue
        if found := re.search(r"\] FAIL (\S+): ", line):
            failures.append(f"scenario {found[1]}")
        print("    " + line, end="", flush=True)
    status = process.wait()
    counts = Counts(*map(int, re.findall(r"\d+", last)))
    if not last or status != 0 and counts.failed == 0:
        counts.failed += 1
        failed(f"scenarios: the runner ended with status {status}")
    return counts


def demo():
    """make demo and make demo-l2, and what they report."""
    return programs("tests/demo")


# Two of these run at a time: they use one processor each. The others measure time, or use both.
BESIDE_OTHERS = (unit, unit_asan, l2, l2_asan, models, module_builds, commands, unit_tsan, l2_tsan)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--long", action="store_true", help="also what takes longer")
    parser.add_argument("--only", help="parts, by name: unit,unit_asan,...")
    parser.add_argument("scenario", nargs="*", help="only these scenarios (lab run --help)")
    arguments = parser.parse_args()
    OUT.mkdir(parents=True, exist_ok=True)
    parts = [unit, unit_asan, l2, l2_asan, models, network, commands, demo, scenarios]
    if arguments.long:
        parts += [module_builds, fuzz, unit_tsan, unit_long, l2_tsan, l2_long]
    if arguments.only:
        names = arguments.only.split(",")
        if unknown := set(names) - {p.__name__ for p in parts}:
            sys.exit(f"check: no part {', '.join(sorted(unknown))}; there are: "
                     + ", ".join(p.__name__ for p in parts))
        parts = [p for p in parts if p.__name__ in names]
    build_sanitized([p.__name__ for p in parts])
    global started
    say("set-up done")
    started = time.monotonic()
    needs = {scenarios: (arguments.long, arguments.scenario), models: (arguments.long,),
             network: (arguments.long,)}
    def run(part):
        say(f"{part.__name__}: {part.__doc__}")
        counts = part(*needs.get(part, ()))
        say(f"{part.__name__}: {counts}")
        return counts

    total = Counts()
    with ThreadPoolExecutor(2) as pool:
        for counts in pool.map(run, [p for p in parts if p in BESIDE_OTHERS]):
            total += counts
    for part in parts:
        if part not in BESIDE_OTHERS:
            total += run(part)
    say("done; logs are in build/check and build/run")
    for what in failures:
        print(f"FAILED: {what}")
    print(total)
    return 1 if total.failed or total.passed == 0 else 0


if __name__ == "__main__":
    for ending in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(ending, signal.default_int_handler)
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        print("check: interrupted", file=sys.stderr)
        sys.exit(130)
