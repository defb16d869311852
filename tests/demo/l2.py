#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""make demo-l2 ends well, and its report has what is promised."""

import json
import pathlib
import subprocess
import sys

KEYS = {"bytes", "sha256", "sha256_equal", "seconds", "frames_sent", "frames_again", "frames_lost",
        "faults", "delays", "not_ready", "timeouts"}

# A limit against hanging only: others may use the processors, too.
run = subprocess.run(["tools/l2/demo"], timeout=300, capture_output=True, text=True)
print(run.stdout, run.stderr, sep="\n")
if run.returncode != 0:
    sys.exit(f"status {run.returncode}")
report = json.loads(pathlib.Path("build/demo/l2.json").read_text())
problems = [f"no {key} in {rules}" for rules in ("delay", "rnr") for key in KEYS - report[rules].keys()]
if report["delay"]["delays"] == 0 or report["rnr"]["delays"] != 0:
    problems.append("page-fault delays where there should be none, or none where there should be")
if not all(report[rules]["sha256_equal"] for rules in ("delay", "rnr")):
    problems.append("a digest differs")
if "█" not in run.stdout:
    problems.append("no picture")
sys.exit("\n".join(problems) or 0)
