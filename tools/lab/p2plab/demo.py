# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""The demonstration: a program on one host's card writes a file into another host's card.

The cards' own CPUs drive the hosts' adapters, on which the hosts have traffic of their own at
first. Then both hosts stand still, and the transfer goes on.
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
PROGRAM = "/src/build/lab/examples/card_to_card"
PORT = 17472  # the program's
OPERATIONS = 20000  # that the file is cut into
WITH_HOSTS = 2000  # of them, before the hosts stop
STOPPED = 10000  # at least, while they stand still
HOST_SECONDS = 20  # of the hosts' own time that their traffic goes on


class Failed(Exception):
    """The demonstration did not show what it claims; the text says what."""


class Refused(Exception):
    """The file is not fit for it; the text says why."""


class Demo:
    def __init__(self, path, shown_name, out_dir, progress):
        self._path, self._name = pathlib.Path(path), shown_name
        self._out, self._say = pathlib.Path(out_dir), progress
        self._bytes = self._path.stat().st_size

    def run(self):
        """Runs it; returns the report. Raises Refused, or Failed if something is not as
        it should be."""
        memory = self._card_memory()
        self._say("booting two hosts, each with an RDMA adapter and a card below one PCIe switch, "
                  "and the machines that the cards are")
        spec = Spec(card="machine", card_memory=memory)
        with Lab([spec, spec], self._out / "machines") as lab:
            report = self._transfer(lab)
            complaints = [c for m in lab.machines.values() for c in m.kernel_complaints()]
            complaints += lab.take_violations()
        if complaints:
            raise Failed(f"a log has a complaint: {complaints[0]}")
        (self._out / "report.json").write_text(json.dumps(report, indent=1) + "\n")
        check(report)
        return report

    def _card_memory(self):
        if self._bytes < OPERATIONS:
            raise Refused(f"{self._name} has {self._bytes} bytes; {OPERATIONS} writes need at least "
                         "as many")
        if self._bytes > 128 * MIB:
            raise Refused(f"{self._name} has {self._bytes} bytes; a card's program takes at most "
                         f"{128 * MIB} here")
        memory = CARD_MEMORY
        while memory < self._bytes + 2 * MIB:
            memory *= 2
        return memory

    def _transfer(self, lab):
        a, ac, b, bc = (lab[name] for name in ("a", "ac", "b", "bc"))
        self._say("starting p2prdmad on the hosts")
        for host in (a, b):
            host.start_daemon(f"--memory {host.spec.card_memory}")
        self._say("host to host traffic starts: ib_write_bw -c SRD, host B to host A")
        traffic = HostTraffic(a, b)
        before = traffic.wait_flowing()
        known = {host: {r["lkey"] for r in regions_of(host)} for host in (a, b)}
        self._say(f"card B begins to send {self._name} ({picture.count(self._bytes)}) into card A")
        cards = CardTransfer(a, ac, bc, self._path)
        cards.wait_sent(WITH_HOSTS)
        self._say("both hosts stop: their CPUs stand still")
        still = self._stand_still(lab, cards)
        self._say("both hosts go on")
        seconds, (received, sent) = cards.finish(120)
        after = host_bytes(a)
        written = traffic.finish()
        self._say("counting what the adapters did")
        payload, answers = card_regions(a, known[a]), card_regions(b, known[b])
        digest = digest_of(self._path)
        return {
            "file": self._name,
            "file_bytes": self._bytes,
            "sha256": digest,
            "sha256_equal": received["sha256_equal"] and sent["sha256_equal"]
                            and digest == digest_of(cards.arrived),
            "initiator": "card",
            "target": "card",
            "isolation": sent["isolation"],
            "route_bytes": route_bytes(largest(payload), "bytes_written"),
            "sender_route_bytes": route_bytes(largest(answers), "bytes_read"),
            "payload_host_dram_bytes": sum(route_bytes([r], counter)["host_dram"] for r in
                                           payload + answers for counter in
                                           ("bytes_read", "bytes_written")),
            "operations": sent["operations"],
            **still,
            "p2p": sent["events"] == received["events"] == "p2p",
            "concurrent_host_bytes": after - before,
            "host_traffic_finished": written,
            "seconds": seconds,
            "sender": sent,
            "receiver": received,
        }

    def _stand_still(self, lab, cards):
        """What the cards do while both hosts are stopped, and what the hosts' devices notice."""
        hosts, own = (lab["a"], lab["b"]), (lab["ac"], lab["bc"])
        with hosts[0].stopped(), hosts[1].stopped():
            begun = time.monotonic()
            sent = cards.wait_sent(cards.sent() + 1)  # all that counts comes after this
            noticed, rung = noticed_by(hosts), interrupts_of(own)
            now = cards.wait_sent(sent + STOPPED)
            noticed = {key: value - noticed[key] for key, value in noticed_by(hosts).items()}
            return {
                "hosts_stopped_ops": now - sent,
                "hosts_stopped_seconds": round(time.monotonic() - begun, 2),
                "p2p_interrupts": interrupts_of(own) - rung,
                **noticed,
            }


def noticed_by(hosts):
    """What the devices of the hosts had to do with the hosts' CPUs."""
    devices = [d for host in hosts for d in host.server("counters")["devices"].items()
               if d[0].startswith(f"{host.name}.")]
    return {
        "host_interrupts": sum(c["interrupts"] for _, c in devices),
        "host_register_accesses": sum(n for _, c in devices for bar in c["registers"].values()
                                      for n in bar.values()),
    }


def interrupts_of(cards):
    """Interrupts that adapters raised in the cards' machines."""
    return sum(card.counters("aperture")["interrupts"] for card in cards)


def check(report):
    """Raises Failed unless the report shows a whole and direct transfer without the hosts."""
    if not report["sha256_equal"]:
        raise Failed("the digests differ")
    if report["payload_host_dram_bytes"] != 0:
        raise Failed(f"{report['payload_host_dram_bytes']} bytes of the transfer passed through the "
                     "hosts' memory")
    if report["route_bytes"]["peer_switch"] != report["file_bytes"]:
        raise Failed(f"{report['route_bytes']['peer_switch']} of {report['file_bytes']} bytes went "
                     "through the PCIe switch of host A")
    if report["hosts_stopped_ops"] < STOPPED:
        raise Failed(f"only {report['hosts_stopped_ops']} operations while the hosts stood still")
    if report["host_interrupts"] or report["host_register_accesses"]:
        raise Failed("the hosts had a part in the transfer while they stood still")
    if not report["p2p"] or report["p2p_interrupts"] == 0:
        raise Failed("the adapters did not wake the cards themselves")
    if report["concurrent_host_bytes"] <= 0 or not report["host_traffic_finished"]:
        raise Failed("the hosts' own traffic stood still during the transfer, or did not end well")


def digest_of(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def regions_of(machine):
    """The memory regions of a machine's adapter, live and recent, as its model counts them."""
    return machine.counters("efa0")["model"]["regions"]


def card_regions(machine, known):
    """Those that the card's program had registered: all but the known ones."""
    regions = [r for r in regions_of(machine) if r["lkey"] not in known]
    if not regions:
        raise Failed(f"the adapter model of host {machine.name} knows no region of the card")
    return regions


def largest(regions):
    """The file's region: the others are for records of some bytes."""
    return [max(regions, key=lambda r: r["length"])]


def route_bytes(regions, counter):
    """Bytes by route that an adapter moved for regions."""
    return {route: sum(r[counter].get(route, 0) for r in regions) for route in ROUTES}


def host_bytes(machine):
    """Payload that reached the machine's host memory through its adapter."""
    return sum(r["bytes_written"].get("host_dram", 0) for r in regions_of(machine))


def wait_listening(machine, port):
    machine.run(f"for i in $(seq 300); do ss -tln | grep -q :{port} && exit 0; sleep 0.1; done; "
                "exit 1", timeout=60)


class CardTransfer:
    """The example application on both cards."""

    def __init__(self, host, receiver, sender, path):
        self.arrived = receiver.out_dir / "received"
        self._begun = time.monotonic()
        self._receiver = receiver.start(f"{PROGRAM} receive /run/out/received")
        wait_listening(host, PORT)
        self._sender = sender.start([PROGRAM, "send", host.name, sender.path_of(path),
                                     str(-(-path.stat().st_size // OPERATIONS))])

    def sent(self):
        """How many writes are acknowledged, as the sender has said so far."""
        for line in reversed(self._sender.output().splitlines()):
            if line.startswith('{"sent"') and line.endswith("}"):
                return json.loads(line)["sent"]
        return 0

    def wait_sent(self, count, timeout=90):
        deadline = time.monotonic() + timeout
        while (sent := self.sent()) < count:
            for process in (self._sender, self._receiver):
                if not process.running:
                    raise Failed("the card's program ended early: " + process.output()[-500:])
            if time.monotonic() > deadline:
                raise Failed(f"{sent} of {count} writes after {timeout} s")
            time.sleep(0.05)
        return sent

    def finish(self, limit):
        """Seconds in all, and what the receiver and the sender report."""
        results = [p.wait(limit).json() for p in (self._receiver, self._sender)]
        return round(time.monotonic() - self._begun, 2), results


class HostTraffic:
    """perftest between the two hosts for some seconds of their time."""

    def __init__(self, a, b):
        self._a = a
        command = f"ib_write_bw -x 0 -c SRD -d efa_0 -s 65536 -t 16 -D {HOST_SECONDS} -N"
        self._processes = [a.start(command)]
        wait_listening(a, 18515)
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

    def finish(self):
        """Waits for its end, and whether that is a good one."""
        return all(p.wait(HOST_SECONDS + 60, check=False).rc == 0 for p in self._processes)
