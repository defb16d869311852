# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""Joins this terminal with a serial port of a machine."""

import os
import select
import sys
import termios
import tty

from .machine import connect

LEAVE = b"\x1d"  # Ctrl-]


def attach(path):
    """Copies bytes both ways until Ctrl-] is typed, input ends or the machine goes."""
    port = connect(path)
    port.sendall(b"\n")  # makes the shell show its prompt
    keyboard = sys.stdin.fileno()
    saved = termios.tcgetattr(keyboard) if sys.stdin.isatty() else None
    if saved:
        tty.setraw(keyboard)
    try:
        while True:
            ready, _, _ = select.select([keyboard, port], [], [])
            if port in ready:
                data = port.recv(4096)
                if not data:
                    return
                os.write(sys.stdout.fileno(), data)
            if keyboard in ready:
                data = os.read(keyboard, 1024)
                if not data or LEAVE in data:
                    return
                port.sendall(data)
    finally:
        if saved:
            termios.tcsetattr(keyboard, termios.TCSADRAIN, saved)
