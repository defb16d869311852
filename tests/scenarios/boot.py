# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""The lab itself: machines boot, commands run in them, time limits hold."""

from p2plab import Spec, Timeout, scenario

BARE = Spec(card="none", efas=0, modules=())


@scenario([BARE, BARE], name="boot.two_machines")
def two_machines(lab):
    """Two machines boot and reach each other over Ethernet."""
    a, b = lab["a"], lab["b"]
    lab.is_equal(a.run("hostname").out.strip(), "a", "a command runs in machine a")
    lab.is_equal(b.run("exit 7", check=False).rc, 7, "a command's status comes back")
    lab.ok("bytes from" in a.run("busybox ping -c 1 -w 5 b").out, "a reaches b by name")


@scenario(BARE, name="boot.limits")
def limits(lab):
    """A command that does not end is ended, with all its children."""
    a = lab["a"]
    sleeper = a.start("sleep 1000 & sleep 1000")
    try:
        sleeper.wait(0.5)
        lab.ok(False, "a time limit ends the wait")
    except Timeout:
        lab.ok(True, "a time limit ends the wait")
    lab.ok(sleeper.wait(10, check=False).rc != 0, "the command was killed")
    lab.is_equal(a.run("pgrep -c sleep", check=False).out.strip(), "0", "and so were its children")
