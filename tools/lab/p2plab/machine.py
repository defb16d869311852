# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""A running machine: its QEMU process, QMP, and the commands that run inside."""

import contextlib
import dataclasses
import json
import os
import pathlib
import queue
import shlex
import shutil
import signal
import socket
import subprocess
import threading
import time

from . import kernel_log


class Timeout(Exception):
    """Something did not happen within its time limit."""


class CommandFailed(Exception):
    """A command inside a machine ended with a status other than 0."""


@dataclasses.dataclass
class Result:
    rc: int
    out: str  # what it printed, standard error included

    def json(self):
        """The last line of the output that is a JSON object."""
        for line in reversed(self.out.splitlines()):
            if line.startswith("{"):
                return json.loads(line)
        raise ValueError(f"no JSON object in: {self.out!r}")


class Qmp:
    """QEMU's control channel."""

    def __init__(self, path):
        self._socket = connect(path)
        self._file = self._socket.makefile("rw")
        self._file.readline()  # the greeting
        self("qmp_capabilities")

    def __call__(self, command, **arguments):
        self._file.write(json.dumps({"execute": command, "arguments": arguments}) + "\n")
        self._file.flush()
        for line in self._file:
            reply = json.loads(line)
            if "error" in reply:
                raise RuntimeError(f"QMP {command}: {reply['error']['desc']}")
            if "return" in reply:
                return reply["return"]
        raise RuntimeError(f"QMP {command}: QEMU is gone")


def connect(path, check=None, timeout=20):
    """Connects to a unix socket that another process is about to listen on.

    check: raises if that process has ended.
    """
    deadline = time.monotonic() + timeout
    while True:
        s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            s.connect(str(path))
            return s
        except (FileNotFoundError, ConnectionRefusedError):
            s.close()
            if check:
                check()
            if time.monotonic() > deadline:
                raise Timeout(f"nobody listens on {path} after {timeout} s") from None
            time.sleep(0.02)


class Process:
    """A command that runs inside a machine."""

    def __init__(self, machine, ident, command):
        self._machine, self._id, self.command = machine, ident, command
        self._done = threading.Event()
        self._rc = None

    def finished(self, rc):
        self._rc = rc
        self._done.set()

    def output(self):
        """What it has printed so far."""
        try:
            return (self._machine.out_dir / f"{self._id}.log").read_text(errors="replace")
        except FileNotFoundError:
            return ""

    @property
    def running(self):
        return not self._done.is_set()

    def say(self, line):
        """A line for its standard input; it was started with listens=True."""
        self._machine.send(f"say {self._id} {line}")

    def kill(self, sig=signal.SIGKILL):
        """Sends a signal to the command and all its children."""
        self._machine.send(f"kill {self._id} {int(sig)}")

    def wait(self, timeout=30, check=True):
        deadline = time.monotonic() + timeout
        while not self._done.wait(0.2):
            self._machine.check_alive()
            if time.monotonic() > deadline:
                self.kill()
                raise Timeout(f"{self._machine.name}: '{self.command}' still ran after {timeout} s; "
                              f"so far: {self.output()[-2000:]}")
        result = Result(self._rc, self.output())
        if check and result.rc != 0:
            raise CommandFailed(f"{self._machine.name}: '{self.command}' ended with status "
                                f"{result.rc}: {result.out[-2000:]}")
        return result

    def wait_output(self, text, timeout=30):
        """Waits until the output contains `text`; returns the output."""
        deadline = time.monotonic() + timeout
        while True:
            done = self._done.is_set()
            out = self.output()
            if text in out:
                return out
            if done:
                raise CommandFailed(f"{self._machine.name}: '{self.command}' ended (status "
                                    f"{self._rc}) without saying '{text}': {out[-2000:]}")
            if time.monotonic() > deadline:
                raise Timeout(f"{self._machine.name}: '{self.command}' did not say '{text}' within "
                              f"{timeout} s: {out[-2000:]}")
            self._machine.check_alive()
            time.sleep(0.05)


class Dialogue:
    """A program inside a machine that answers each line it hears by a line of its own. Whoever asks
    much saves the start of a program for each question, which takes an emulated machine seconds."""

    def __init__(self, machine, command):
        self.process = machine.start(f"exec {command}", listens=True)
        self._answers = 0

    def ask(self, line, timeout=30):
        """Its answer."""
        self.process.say(line)
        self._answers += 1
        end = time.monotonic() + timeout
        while len(lines := self.process.output().splitlines()) < self._answers:
            if not self.process.running or time.monotonic() > end:
                raise RuntimeError(f"'{self.process.command}' does not answer '{line}': {lines[-5:]}")
            time.sleep(0.02)
        return lines[self._answers - 1]

    def kill(self):
        self.process.kill()
        self.process.wait(check=False)


class Machine:
    """One emulated machine. Made and ended by Lab."""

    def __init__(self, layout, kernel, initramfs, out_dir, network, hosts, server, shell=False):
        self.name, self.spec, self.layout = layout.name, layout.spec, layout
        self.out_dir = pathlib.Path(out_dir)
        self.out_dir.mkdir(parents=True, exist_ok=True)
        self._server = server
        self._commands = {}
        self._ready = threading.Event()
        self._count = 0
        self._said = queue.Queue()
        run = layout.run_dir
        self._serial_path = run / f"{self.name}.serial.sock"
        self.shell_path = run / f"{self.name}.shell.sock"
        (self.out_dir / "hosts").write_text("127.0.0.1 localhost\n" + "".join(
            f"{address} {name}\n" for name, address in hosts.items()))
        (self.out_dir / "machine.env").write_text(
            f"MACHINE={self.name}\nADDRESS={hosts[self.name] if network else ''}\n"
            f"SHELL_PORT={'1' if shell else ''}\n"
            f"MODULES={shlex.quote(' '.join(self.spec.modules))}\n"
            f"PARAMETERS={TESTDEV_IDS if self.spec.card == 'pci' else ''}\n")
        if shell:
            size = shutil.get_terminal_size()
            with open(self.out_dir / "machine.env", "a") as env:
                env.write(f"SHELL_ROWS={size.lines} SHELL_COLUMNS={size.columns} "
                          f"SHELL_TERM={shlex.quote(os.environ.get('TERM', 'dumb'))}\n")
        self._start_qemu(kernel, initramfs, network, shell)

    # -- commands -----------------------------------------------------------------------------

    def start(self, command, listens=False):
        """Starts a shell command inside the machine, as root. listens: to Process.say()."""
        if not isinstance(command, str):
            command = shlex.join(command)
        self._count += 1
        process = Process(self, self._count, command)
        self._commands[self._count] = process
        (self.out_dir / f"{self._count}.sh").write_text(command + "\n")
        self.send(f"{'listen' if listens else 'run'} {self._count}")
        return process

    def run(self, command, timeout=30, check=True):
        """Runs a shell command and waits; returns Result. Raises if its status is not 0."""
        return self.start(command).wait(timeout, check)

    def end_commands(self):
        """Kills the commands that still run."""
        for process in self._commands.values():
            if process.running:
                process.kill()
                process.wait(20, check=False)

    def wait_ready(self, timeout=90):
        deadline = time.monotonic() + timeout
        while not self._ready.wait(0.2):
            self.check_alive()
            if time.monotonic() > deadline:
                raise Timeout(f"{self.name}: not up after {timeout} s: {self._console()[-2000:]}")

    def reset(self, timeout=90):
        """Resets the machine as by its button, and waits until it is up, its modules loaded."""
        self._ready.clear()
        for process in self._commands.values():
            if process.running:
                process.finished(-int(signal.SIGKILL))
        self.qmp("set-action", reboot="reset")  # it was started with -no-reboot
        self.qmp("system_reset")
        self.wait_ready(timeout)

    def start_daemon(self, arguments="", timeout=30):
        """Starts p2prdmad and waits until it serves; returns the process."""
        daemon = self.start(f"p2prdmad {arguments}")
        daemon.wait_output(DAEMON_READY, timeout)
        return daemon

    def path_of(self, path):
        """How a file of the lab's root is called inside the machine."""
        return str(pathlib.Path(path).resolve())

    # -- outside ------------------------------------------------------------------------------

    def qmp(self, command, **arguments):
        """A QMP command to the machine's QEMU; underscores in argument names become dashes."""
        return self._qmp(command, **{k.replace("_", "-"): v for k, v in arguments.items()})

    @contextlib.contextmanager
    def stopped(self):
        """All its virtual CPUs stand still for as long as this lasts; its devices go on."""
        self.qmp("stop")
        try:
            yield
        finally:
            self.qmp("cont")

    def server(self, command, device=None, **arguments):
        """A request to the lab server about this machine's device."""
        if device:
            arguments["device"] = f"{self.name}.{device}"
        return self._server.request(command, **arguments)

    def counters(self, device):
        """The lab server's counters of one of this machine's devices."""
        reply = self.server("counters", device)
        return reply["devices"][f"{self.name}.{device}"]

    def check_alive(self):
        if self._qemu.poll() is not None:
            raise RuntimeError(f"{self.name}: QEMU ended with status {self._qemu.returncode}: "
                               f"{self._qemu_log()[-1000:]} {self._console()[-2000:]}")

    def kernel_log(self):
        parts = [self.out_dir / "kmsg.log", self.out_dir / "console.log"]
        return "\n".join(p.read_text(errors="replace") for p in parts if p.exists())

    def kernel_complaints(self):
        """Lines of the kernel log that must not be there."""
        return kernel_log.complaints(self.kernel_log())

    def stop(self):
        """Powers the machine off; kills it if it does not obey."""
        if self._qemu.poll() is None:
            try:
                self.send("poweroff")
                self._qemu.wait(5)
            except (OSError, subprocess.TimeoutExpired):
                self._qemu.kill()
        self._qemu.wait()
        self._serial.close()
        self._log.close()

    def kill(self):
        """Pulls the plug."""
        self._qemu.kill()
        self._qemu.wait()

    # -- inside -------------------------------------------------------------------------------

    def send(self, line):
        self._serial.sendall((line + "\n").encode())

    def _start_qemu(self, kernel, initramfs, network, shell):
        run, out = self.layout.run_dir, self.out_dir
        append = ("console=ttyS0 panic=-1 quiet loglevel=4 tsc=reliable random.trust_cpu=on "
                  "no_timer_check mitigations=off "
                  "initcall_blacklist=load_system_certificate_list")  # no signatures are checked
        if self.layout.topology.iommu:
            append += " intel_iommu=on"
        share = "security_model=none,multidevs=remap"
        args = [
            "qemu-system-x86_64", "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
            "-kernel", str(kernel), "-initrd", str(initramfs), "-append", append,
            *self.layout.qemu,
            "-serial", f"file:{out}/console.log",
            "-serial", f"unix:{self._serial_path},server=on,wait=off",
            "-qmp", f"unix:{run}/{self.name}.qmp.sock,server=on,wait=off",
            "-virtfs", f"local,path=/src/build/root,mount_tag=root,readonly=on,{share}",
            "-virtfs", f"local,path=/src,mount_tag=src,readonly=on,{share}",
            "-virtfs", f"local,path={out},mount_tag=out,{share}",
            *network,
        ]
        if shell:
            args += ["-serial", f"unix:{self.shell_path},server=on,wait=off"]
        self._log = open(out / "qemu.log", "w")
        self._log.write(shlex.join(args) + "\n")
        self._log.flush()
        self._qemu = subprocess.Popen(args, stdin=subprocess.DEVNULL, stdout=self._log,
                                      stderr=subprocess.STDOUT)
        try:
            self._serial = connect(self._serial_path, self.check_alive)
            self._qmp = Qmp(run / f"{self.name}.qmp.sock")
        except OSError:  # QEMU has ended, or is just about to
            self.kill()
            self.check_alive()
        except BaseException:
            self.kill()
            raise
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self):
        """Follows what tools/lab/guest/main says."""
        try:
            for raw in self._serial.makefile("r", errors="replace"):
                word, *rest = raw.split() or [""]
                if word == "ready":
                    self._ready.set()
                elif word == "done" and len(rest) == 2:
                    self._commands[int(rest[0])].finished(int(rest[1]))
        except (OSError, ValueError):
            pass  # the socket was closed by stop()

    def _console(self):
        path = self.out_dir / "console.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def _qemu_log(self):
        log = (self.out_dir / "qemu.log").read_text(errors="replace")
        return log.partition("\n")[2]  # without the command line


def kmod_dir(release):
    """Where the modules of this project were built for a kernel: 7.3.4+deb13-amd64 -> 7.3."""
    return "/src/build/lab/kmod-" + ".".join(release.split(".")[:2])


DAEMON_READY = "serving"  # p2prdmad says so once, when it answers cards
TESTDEV_IDS = "ids=1b36:0005"  # QEMU's pci-testdev has no driver of its own
