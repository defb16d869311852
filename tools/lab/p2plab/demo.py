# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""The demonstration: a file goes from one machine straight into another machine's card.

While it does, the two hosts use the same adapters for traffic of their own.
"""

import hashlib
import json
import pathlib
import time

from . import picture
from .lab import Lab
from .topology import MIB, Spec

ROUTES = ("peer_switch", "peer_bridge", "host_dram", "message")
CARD_MEMORY = 64 * MIB


class Failed(Exception):
    """The demonstration did not show what it claims; the text says what."""


class Demo:
    def __init__(self, path, shown_name, out_dir, progress):
        self._path, self._name = pathlib.Path(path), shown_name
        self._out, self._say = pathlib.Path(out_dir), progress
        self._bytes = self._path.stat().st_size

    def run(self):
        """Runs it; returns the report. Raises Failed if something is not as it should be."""
        self._say("booting two machines, each with a card and an RDMA adapter below one PCIe switch")
        spec = Spec(card_memory=CARD_MEMORY)
        with Lab([spec, spec], self._out / "machines") as lab:
            report = self._transfer(lab["a"], lab["b"])
            complaints = [c for m in lab.machines.values() for c in m.kernel_complaints()]
        if complaints:
            raise Failed(f"a kernel log has a complaint: {complaints[0]}")
        (self._out / "report.json").write_text(json.dumps(report, indent=1) + "\n")
        check(report)
        return report

    def _transfer(self, a, b):
        self._say("host to host traffic starts: ib_write_bw -c SRD, machine B to machine A")
        traffic = HostTraffic(a, b)
        before = traffic.wait_flowing()
        self._say(f"sending {self._name} ({picture.count(self._bytes)}) into the card of machine A")
        receiver = a.start("p2prdma recv --card 0 --out /run/out/received --json")
        receiver.wait_output("listening", 20)
        limit = 60 + self._bytes // MIB
        sender = b.start(f"p2prdma send {b.path_of(self._path)} --to a --json")
        sent = sender.wait(limit).json()
        received = receiver.wait(limit).json()
        after = host_bytes(a)
        traffic.stop()
        self._say("counting what the adapter of machine A did with the file's memory region")
        routes = route_bytes(a, "rkey", received["rkeys"], "bytes_written")
        arrived = a.out_dir / "received"
        digest, on_a = digest_of(self._path), digest_of(arrived)
        arrived.unlink()
        return {
            "file": self._name,
            "file_bytes": self._bytes,
            "sha256": digest,
            "sha256_equal": received["sha256_equal"] and digest == received["sha256"] == on_a,
            "route_bytes": routes,
            "sender_route_bytes": route_bytes(b, "lkey", sent["lkeys"], "bytes_read"),
            "payload_host_dram_bytes": routes["host_dram"],
            "concurrent_host_bytes": after - before,
            "seconds": received["seconds"],
            "sender": sent,
            "receiver": received,
        }


def check(report):
    """Raises Failed unless the report shows a whole, direct, concurrent transfer."""
    if not report["sha256_equal"]:
        raise Failed("the digests differ")
    if report["payload_host_dram_bytes"] != 0:
        raise Failed(f"{report['payload_host_dram_bytes']} bytes of the file passed through the "
                     "host memory of machine A")
    if report["route_bytes"]["peer_switch"] != report["file_bytes"]:
        raise Failed(f"{report['route_bytes']['peer_switch']} of {report['file_bytes']} bytes went "
                     "through the PCIe switch of machine A")
    if report["concurrent_host_bytes"] <= 0:
        raise Failed("the hosts' own traffic stood still during the transfer")


def digest_of(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def regions_of(machine):
    """The memory regions of a machine's adapter, live and recent, as its model counts them."""
    return machine.counters("efa0")["model"]["regions"]


def route_bytes(machine, key, keys, counter):
    """Bytes by route that a machine's adapter moved for the regions with these keys."""
    regions = [r for r in regions_of(machine) if r[key] in keys]
    if keys and not regions:  # an empty file needs none
        raise Failed(f"the adapter model of machine {machine.name} does not know the file's region")
    return {route: sum(r[counter].get(route, 0) for r in regions) for route in ROUTES}


def host_bytes(machine):
    """Payload that reached the machine's host memory through its adapter."""
    return sum(r["bytes_written"].get("host_dram", 0) for r in regions_of(machine))


class HostTraffic:
    """perftest between the two hosts until stop()."""

    def __init__(self, a, b):
        self._a = a
        command = "ib_write_bw -x 0 -c SRD -d efa_0 -s 65536 -t 16 -n 100000000 -N"
        self._processes = [a.start(command)]
        a.run("for i in $(seq 100); do ss -tln | grep -q :18515 && exit 0; sleep 0.1; done; exit 1")
        self._processes.append(b.start(command + " a"))

    def wait_flowing(self, timeout=30):
        """Waits until bytes arrive; returns how many have so far."""
        deadline = time.monotonic() + timeout
        while host_bytes(self._a) == 0:
            for process in self._processes:
                if not process.running:
                    raise Failed("perftest ended early: " + process.output()[-500:])
            if time.monotonic() > deadline:
                raise Failed(f"perftest moved nothing within {timeout} s")
            time.sleep(0.1)
        return host_bytes(self._a)

    def stop(self):
        for process in reversed(self._processes):
            process.kill(2)
        for process in self._processes:
            process.kill(9)
            process.wait(20, check=False)
