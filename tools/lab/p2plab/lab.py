# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""Some machines, the server that models their devices, and the network between them."""

import fcntl
import glob
import os
import pathlib
import shutil
import tempfile

from .machine import Machine
from .server import Server
from .tap import absorb_junit
from .topology import Layout, Spec, named


def kernels():
    """The kernel releases of the lab's root, the oldest first."""
    releases = [os.path.basename(p)[len("vmlinuz-"):] for p in glob.glob("/boot/vmlinuz-*")]
    return sorted(releases, key=lambda r: tuple(map(int, r.split("+")[0].split("-")[0].split("."))))


def newest_kernel():
    """The newest kernel release of the lab's root."""
    return kernels()[-1]


def release_of(spec):
    """The kernel release that a machine boots."""
    return {"": newest_kernel(), "oldest": kernels()[0]}.get(spec.kernel, spec.kernel)


class InUse(Exception):
    """Another run writes to the same directory."""


def claim(directory):
    """Makes the directory, empty, and ours until the descriptor returned is closed."""
    directory.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise InUse(f"{directory} is in use by another run of the lab") from None
    for old in directory.iterdir():
        shutil.rmtree(old) if old.is_dir() and not old.is_symlink() else old.unlink()
    return descriptor


class Lab:
    """Machines "a", "b", ...: booted and ready when the constructor returns. The own machine of
    the card of machine "a" is "ac".

    Use as a context manager. `tap` (optional) receives ok() and diagnostics.
    """

    def __init__(self, specs, run_dir, tap=None, shell=False, boot=True):
        specs = named([Spec.of(s) for s in ([specs] if isinstance(specs, (str, Spec)) else specs)])
        self.run_dir = pathlib.Path(run_dir)
        self._claim = claim(self.run_dir)
        self._tap = tap
        self._ram_dir = pathlib.Path(tempfile.mkdtemp(prefix="lab-"))
        self.machines = {}
        self.server = None
        layouts = [Layout(name, spec, self._ram_dir, self._ram_dir, i)
                   for i, (name, spec) in enumerate(specs.items())]
        try:
            if any(layout.devices for layout in layouts):
                self.server = Server(layouts, self.run_dir)
            self._start(layouts, shell)
            for machine in self.machines.values():
                machine.wait_ready()
        except BaseException:
            self.close()
            raise

    def __getitem__(self, name):
        return self.machines[name]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    # -- for scenarios ------------------------------------------------------------------------

    def ok(self, condition, description):
        """One TAP line. Returns the condition as a bool."""
        return self._tap.ok(condition, description)

    def is_equal(self, got, expected, description):
        """One TAP line; tells what was got if it is not what was expected."""
        if got != expected:
            self.diag(f"{description}: got {got!r}, expected {expected!r}")
        return self.ok(got == expected, description)

    def diag(self, text):
        self._tap.diag(text)

    def skip(self, description, reason):
        self._tap.skip(description, reason)

    def take_violations(self):
        """What must not happen and did, so far: lines "DEVICE: KIND"; they then count as expected.
        A scenario that ends with others fails."""
        seen = self.server.request("violations", take=True)["violations"] if self.server else []
        for v in seen:
            self.diag(f"{describe_violation(v)}, {v['count']} times")
        return [f"{v['device']}: {v['kind']}" for v in seen]

    def tidy(self):
        """Ends what still runs in the machines, and removes their files in /tmp."""
        for machine in self.machines.values():
            machine.end_commands()
            machine.run("rm -rf /tmp/* /tmp/.[!.]*")

    def guest_tests(self, machine, program, arguments="", timeout=60):
        """Runs a Catch2 program of tests/guest in a machine; one TAP line for each test case."""
        report = machine.out_dir / f"{program}.xml"
        result = machine.run(f"/src/build/lab/guest/{program} {arguments} --reporter compact "
                             f"--reporter junit::out=/run/out/{program}.xml", timeout, check=False)
        failed = absorb_junit(report, self._tap)
        if result.rc != 0 and not failed:
            self.ok(False, f"{program} ended with status {result.rc}")
        if result.rc != 0:
            self.diag(result.out)

    # -- inside -------------------------------------------------------------------------------

    def _start(self, layouts, shell):
        hosts = {layout.name: f"10.77.0.{layout.index + 1}" for layout in layouts}
        for layout in layouts:
            release = release_of(layout.spec)
            short = ".".join(release.split(".")[:2])
            self.machines[layout.name] = Machine(
                layout, f"/src/build/lab/vmlinux-{short}",
                f"/src/build/lab/initramfs-{short}.cpio", self.run_dir / layout.name,
                self._network(layout, layouts), hosts, self.server, shell)

    def _network(self, layout, layouts):
        """An Ethernet between two hosts, for TCP; a card's own machine has none."""
        hosts = [other for other in layouts if not other.spec.card_of]
        if layout not in hosts or len(hosts) < 2:
            return []
        if len(hosts) > 2:
            raise ValueError("the lab joins at most two hosts by Ethernet")
        path = self._ram_dir / "ethernet.sock"
        end = "server=on" if layout is hosts[0] else "server=off,reconnect-ms=100"
        mac = f"52:54:00:00:00:{layout.index + 1:02x}"
        dma = ",iommu_platform=on,disable-legacy=on" if layout.spec.dma_net else ""
        return ["-netdev", f"stream,id=n0,{end},addr.type=unix,addr.path={path}",
                "-device", f"virtio-net-pci,netdev=n0,mac={mac},romfile={dma}"]

    def close(self):
        for machine in self.machines.values():
            machine.stop()
        violations = self._violations()
        status = self.server.stop() if self.server else 0
        shutil.rmtree(self._ram_dir, ignore_errors=True)
        os.close(self._claim)
        if self._tap:
            for machine in self.machines.values():
                for line in machine.kernel_complaints():
                    self._tap.fail_later(f"kernel log of machine {machine.name}: {line}")
            for violation in violations:
                self._tap.fail_later(f"violation: {violation}")
            if status != 0:
                self._tap.fail_later(f"the lab server ended with status {status}; "
                                     f"see {self.run_dir}/server.log")

    def _violations(self):
        """Those that nobody expected; a server that is gone tells none, but has a status."""
        try:
            seen = self.server.request("violations")["violations"] if self.server else []
        except (OSError, ValueError, RuntimeError):
            return []
        return [describe_violation(v) for v in seen]


def describe_violation(violation):
    return f"{violation['device']}: {violation['kind']} (first: {violation['first']})"
