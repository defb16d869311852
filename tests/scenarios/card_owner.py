# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""What scenarios about a card and its own machine share: registers from inside the machines, and
a process on the host that owns windows, doorbells, bells and the control area."""

from p2plab import Dialogue

CARD, NEIGHBOUR = "1b36:1100/0", "1b36:1100/1"  # in the host
POOL, APERTURE = "1b36:1101", "1b36:1102"  # in the card's own machine
SLOT = 0x10000
ONES = 2**64 - 1
READ, WRITE = 1, 2


_registers = {}  # by machine: the program that accesses them


def devmem(machine, function, commands):
    """Has tests/guest/devmem access registers; returns what was read."""
    server = _registers.get(machine)
    if not server or not server.process.running:
        server = _registers[machine] = Dialogue(machine, "/src/tests/guest/devmem -")
    kind, *words = server.ask(f"{function} {commands}").split(" ")
    if kind != "=":
        raise RuntimeError(f"{machine.name}: {' '.join(words)}")
    return [int(word, 0) for word in words]


class Owner(Dialogue):
    """A process running tests/guest/card_owner."""

    def __init__(self, machine):
        super().__init__(machine, "/src/tests/guest/card_owner")

    def __call__(self, command, timeout=30):
        """A number, or the errno's name."""
        kind, text = self.ask(command, timeout).split(maxsplit=1)
        if kind == "!":
            return text
        return None if text == "None" else int(text)
