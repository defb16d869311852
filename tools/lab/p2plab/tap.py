# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""Test Anything Protocol, written as results come in."""

import xml.etree.ElementTree as xml


class Tap:
    """Collects the results of one scenario and writes them to `stream`."""

    def __init__(self, name, stream):
        self.name, self._stream = name, stream
        self.passed = self.failed = self.skipped = 0
        self.failures = []
        self._late = []

    def ok(self, condition, description):
        self._count(bool(condition))
        if not condition:
            self.failures.append(description)
        self._line(f"{'ok' if condition else 'not ok'} {self._number()} - {description}")
        return bool(condition)

    def skip(self, description, reason):
        self.skipped += 1
        self._line(f"ok {self._number()} - {description} # SKIP {reason}")

    def diag(self, text):
        for line in str(text).splitlines():
            self._line(f"# {line}")

    def fail_later(self, description):
        """A failure that is known only when the machines are off."""
        self._late.append(description)

    def end(self):
        if self._late:
            for line in self._late[:20]:
                self.diag(line)
            self.ok(False, f"{len(self._late)} complaints in kernel or server logs; "
                           f"the first: {self._late[0]}")
        if self.passed + self.failed + self.skipped == 0:
            self.ok(False, f"{self.name} proves something")
        self._line(f"1..{self._number()}")

    def _count(self, good):
        if good:
            self.passed += 1
        else:
            self.failed += 1

    def _number(self):
        return self.passed + self.failed + self.skipped

    def _line(self, text):
        self._stream.write(text.replace("\n", " ") + "\n")
        self._stream.flush()


def absorb_junit(path, tap):
    """Takes over the test cases of a JUnit report; returns how many failed."""
    try:
        cases = list(xml.parse(path).getroot().iter("testcase"))
    except (OSError, xml.ParseError):
        tap.ok(False, f"{path.name} was written")
        return 1
    failed = 0
    for case in cases:
        skipped = case.find("skipped")
        bad = case.find("failure") is not None or case.find("error") is not None
        failed += bad
        if skipped is not None:
            tap.skip(case.get("name"), skipped.get("message") or (skipped.text or "").strip())
        else:
            tap.ok(not bad, case.get("name"))
    return failed
