#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""Checks the models in models/ with spin: each holds, and fails with any of its guards taken out.

    tests/models/run.py [--long] [MODEL...]

Runs inside the lab's root. Ends with "N passed, N failed". --long: more losses and repeats.
"""

import argparse
import concurrent.futures
import pathlib
import re
import subprocess
import sys
import tempfile

MODELS = {  # name: (guards, with what else to define), what --long defines
    "l2_reliability": ([("NO_DUPLICATE_CHECK",), ("NO_LIFETIME", "MESSAGES=9"), ("ACK_HELD",), ("NO_FORGET",)],
                       ["LOSSES=2", "REPEATS=2", "SPURIOUS=2"]),
    "l2_fault": ([("NO_PROBE",), ("NO_REPEAT",), ("NO_EPOCH",), ("NO_FREEZE",), ("NO_SACK",)],
                 ["LOSSES=3", "REPEATS=2"]),
    "l2_connection": ([("NO_EPOCH",), ("NO_TAG",), ("NO_KEEP_ALIVE",)],
                      ["LOSSES=2", "REPEATS=2"]),
}
# Less at once in make check: both keep all kinds of trouble.
SHORT = {"l2_reliability": ["LOSSES=1"], "l2_fault": ["LOSSES=1"], "l2_connection": []}
TABLES = ["tests/models/l2_tables.cpp", "lib/l2/connection_states.cpp"]


def run(command, **more):
    return subprocess.run(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False, **more)


def tables(directory):
    """The state machines of the code, as Promela."""
    program = directory / "tables"
    subprocess.run(["g++", "-std=c++20", "-I.", "-Iinclude", "-o", str(program), *TABLES], check=True)
    (directory / "l2_tables.pml").write_text(subprocess.run([str(program)], check=True, text=True,
                                                            stdout=subprocess.PIPE).stdout)


def verify(directory, model, defines, optimized):
    """Searches all states; returns the number of errors, None if that was impossible, and what it said."""
    place = pathlib.Path(tempfile.mkdtemp(dir=directory))
    for file in (directory / "l2_tables.pml", pathlib.Path("models") / f"{model}.pml"):
        (place / file.name).write_text(file.read_text())
    made = run(["spin", "-a", *(f"-D{one}" for one in defines), f"{model}.pml"], cwd=place)
    if "rror" in made.stdout or made.returncode:
        return None, made.stdout
    built = run(["gcc", optimized, "-w", "-DSAFETY", "-DMEMLIM=6000", "-o", "pan", "pan.c"], cwd=place)
    if built.returncode:
        return None, built.stdout
    said = run(["./pan", "-m500000", "-w24"], cwd=place).stdout
    errors = re.search(r"errors: (\d+)", said)
    if not errors or "max search depth too small" in said or "out of memory" in said:
        return None, said
    return int(errors[1]), said


def states(said):
    return re.search(r"(\S+) states, stored", said)[1]


def check(directory, model, guards, defines):
    """One line of the result: whether it is as it must be, and what to print."""
    errors, said = verify(directory, model, [*guards, *defines], "-O0" if guards else "-O2")
    name = f"{model} without {guards[0][3:] if guards[0].startswith('NO_') else guards[0]}" if guards else model
    if errors is None:
        return False, f"{name}: not searched\n{said[-2000:]}"
    if guards:
        return errors > 0, f"{name}: {'fails, as it must' if errors else 'does not fail'}"
    return errors == 0, f"{name}: {states(said)} states, {'holds' if errors == 0 else 'fails' + said[-2000:]}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--long", action="store_true")
    parser.add_argument("model", nargs="*")
    arguments = parser.parse_args()
    if unknown := set(arguments.model) - set(MODELS):
        parser.error(f"no model {', '.join(sorted(unknown))}; there are {', '.join(MODELS)}")
    jobs = []
    for model, (mutants, more) in MODELS.items():
        if not arguments.model or model in arguments.model:
            jobs.append((model, (), more if arguments.long else SHORT[model]))
            jobs += [(model, guards, ()) for guards in mutants]
    failed = 0
    with tempfile.TemporaryDirectory(prefix="models-") as name:
        directory = pathlib.Path(name)
        tables(directory)
        with concurrent.futures.ThreadPoolExecutor(1 if arguments.long else 2) as pool:
            for good, text in pool.map(lambda job: check(directory, *job), jobs):
                print("ok" if good else "FAILED", "-", text, flush=True)
                failed += not good
    print(f"{len(jobs) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
