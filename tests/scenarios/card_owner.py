# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""What scenarios about a card and its own machine share: registers from inside the machines, and
a process on the host that owns windows, doorbells, bells and the control area."""

import time

CARD, NEIGHBOUR = "1b36:1100/0", "1b36:1100/1"  # in the host
POOL, APERTURE = "1b36:1101", "1b36:1102"  # in the card's own machine
SLOT = 0x10000
ONES = 2**64 - 1
READ, WRITE = 1, 2


def devmem(machine, function, commands):
    """Runs tests/guest/devmem; returns what was read."""
    out = machine.run(f"/src/tests/guest/devmem {function} {commands}").out
    return [int(line, 0) for line in out.split()]


class Owner:
    """A process running tests/guest/card_owner."""

    _count = 0

    def __init__(self, machine):
        Owner._count += 1
        self._machine, self._fifo = machine, f"/tmp/owner{Owner._count}"
        machine.run(f"mkfifo {self._fifo}")
        # The second descriptor keeps the FIFO open between two commands.
        self.process = machine.start(f"exec /src/tests/guest/card_owner {self._fifo} "
                                     f"3<>{self._fifo}")
        self._answers = 0

    def __call__(self, command, timeout=30):
        """A number, or the errno's name."""
        self._machine.run(f"echo '{command}' >{self._fifo}")
        self._answers += 1
        kind, text = self._answer(timeout).split(maxsplit=1)
        if kind == "!":
            return text
        return None if text == "None" else int(text)

    def kill(self):
        self.process.kill()
        self.process.wait(check=False)

    def _answer(self, timeout):
        end = time.monotonic() + timeout
        while len(lines := self.process.output().splitlines()) < self._answers:
            if not self.process.running or time.monotonic() > end:
                raise RuntimeError(f"card_owner: no answer {self._answers}: {lines[-5:]}")
            time.sleep(0.02)
        return lines[self._answers - 1]
