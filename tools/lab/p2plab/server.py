# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""The lab server process and its control socket."""

import json
import subprocess

from .machine import connect


class Server:
    """p2prdma-lab: models the devices of all machines of one lab."""

    def __init__(self, layouts, run_dir, program="/src/build/lab/p2prdma-lab"):
        self._control = run_dir / "control.sock"
        config = {"control": str(self._control), "machines": [l.server_config() for l in layouts]}
        path = run_dir / "server.json"
        path.write_text(json.dumps(config, indent=1))
        self._log_path = run_dir / "server.log"
        self._log = open(self._log_path, "w")
        self._process = subprocess.Popen([program, "--config", str(path)], stdin=subprocess.DEVNULL,
                                         stdout=self._log, stderr=subprocess.STDOUT)
        try:
            self._file = connect(self._control, self.check).makefile("rw")
        except BaseException:
            self.stop()
            raise

    def request(self, command, **arguments):
        self._file.write(json.dumps({"cmd": command, **arguments}) + "\n")
        self._file.flush()
        line = self._file.readline()
        if not line:
            self.check()
            raise RuntimeError(f"lab server: no answer to '{command}'")
        reply = json.loads(line)
        if not reply.get("ok"):
            raise RuntimeError(f"lab server: {command}: {reply.get('error')}")
        return reply

    def check(self):
        """Raises if the server has ended."""
        if self._process.poll() is not None:
            raise RuntimeError(f"the lab server ended with status {self._process.returncode}: "
                               + self._log_path.read_text(errors="replace")[-2000:])

    def stop(self):
        """Ends it; returns its status (0 unless it crashed)."""
        if self._process.poll() is None:
            self._process.terminate()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._log.close()
        return self._process.returncode
