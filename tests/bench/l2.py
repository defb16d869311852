#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""RDMA in Ethernet frames, measured beside what else carries bytes, into build/bench/l2.json.

Two network namespaces, one core each, or two emulated machines. Times of two windows cannot be
compared on a shared machine: all ways of a comparison take turns in one run, and what counts is the
median of the rounds' ratios. Beside each is what was demanded ("must", "aim").
"""

import argparse
import contextlib
import json
import os
import pathlib
import re
import statistics
import subprocess
import sys
import time

sys.dont_write_bytecode = True
TOP = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(TOP / "tests/net"), str(TOP / "tools/lab")]
from netns import Segment  # noqa: E402

BUILD = TOP / "build/lab"
P2PRDMA = BUILD / "p2prdma"
RAW = BUILD / "bench/l2_raw"
OUT = TOP / "build/bench/l2.json"
SERVER_CORE, CLIENT_CORE = 0, 1


class Row:
    """One line of the table: our figure divided by another's."""

    def __init__(self, name, ours, other, must, aim, at_most=False):
        self.name, self.ours, self.other = name, ours, other
        self.must, self.aim, self.at_most = must, aim, at_most

    def judge(self, rounds):
        """From the figures of all rounds, by name; None if one of the two could not be measured."""
        pairs = [(r[self.ours], r[self.other]) for r in rounds if r.get(self.ours) and r.get(self.other)]
        if not pairs:
            return None
        ratio = statistics.median(ours / other for ours, other in pairs)

        def reaches(bound):
            return ratio <= bound if self.at_most else ratio >= bound

        return {"ratio": round(ratio, 3), "must": self.must, "aim": self.aim,
                "at_most": self.at_most, "reached": "aim" if reaches(self.aim) else
                "must" if reaches(self.must) else "no",
                "ours": round(statistics.median(o for o, _ in pairs), 3),
                "other": round(statistics.median(o for _, o in pairs), 3), "against": self.other}


@contextlib.contextmanager
def started(station, command, ready=None, **options):
    """A server on its core; killed at the end if it has not ended."""
    out = subprocess.PIPE if ready else subprocess.DEVNULL
    process = station.start(command, core=SERVER_CORE, stdout=subprocess.DEVNULL, stderr=out, **options)
    try:
        if ready and ready not in process.stderr.readline():
            raise RuntimeError(f"{command}: did not start")
        if not ready:
            time.sleep(0.3)  # those that say nothing when they are ready
        yield process
    finally:
        process.kill()
        process.wait()


def client(station, command, timeout=60):
    return station.run(command, core=CLIENT_CORE, timeout=timeout).stdout


def ours(a, b, *words, server=(), polling=True):
    """The JSON report of a client against a server."""
    polls = ["--polling"] if polling else []
    with started(a, [P2PRDMA, "l2", "serve", "-i", a.interface, *polls, *server], ready="serving"):
        command = [P2PRDMA, "l2", words[0], "-i", b.interface, a.mac, *polls, "--json", *words[1:]]
        return json.loads(client(b, command).splitlines()[-1])


def bandwidth(a, b, seconds, *words, server=()):
    """Gbit/s of writes."""
    return ours(a, b, "perf", "--size", "256K", "--window", "4", "--time", seconds, *words,
                server=server)["gigabits_per_second"]


def half_round_trip(a, b, polling):
    """Microseconds, the median, of 64 bytes."""
    report = ours(a, b, "ping", "--size", "64", "--count", 20000 if polling else 3000,
                  "--port-kind", "ring", server=("--port-kind", "ring"), polling=polling)
    return report["round_trip_us"]["p50"] / 2


def bounds(mtu, seconds):
    """What l2_raw measures of each kind of socket without a protocol, by its own names."""
    done = subprocess.run([RAW, "1", str(seconds / 4), str(mtu)], check=True, timeout=120, capture_output=True,
                          text=True)
    return json.loads(done.stdout)


def iperf(a, b, seconds):
    """Gbit/s that arrived."""
    whole = max(1, round(seconds))  # iperf3 knows no parts of seconds
    with started(a, ["iperf3", "--server", "--one-off"]):
        report = json.loads(client(b, ["iperf3", "--client", a.ip, "--json", "--time", whole]))
    return report["end"]["sum_received"]["bits_per_second"] / 1e9


@contextlib.contextmanager
def without_offloads(a, b):
    for station in a, b:
        station.set_offloads(tso=False, gso=False)
    try:
        yield
    finally:
        for station in a, b:
            station.set_offloads(tso=True, gso=True)


def iperf_without_offloads(a, b, seconds):
    with without_offloads(a, b):
        return iperf(a, b, seconds)


def sockperf(a, b, *words):
    """Microseconds: the median of half round trips of 64 bytes."""
    transport = [w for w in words if w == "--tcp"]
    with started(a, ["sockperf", "server", "-i", a.ip, *words]):
        text = client(b, ["sockperf", "ping-pong", "-i", a.ip, "-m", "64", "-t", "1",
                          *transport, *[w for w in words if w != "--tcp"]])
    return float(re.search(r"percentile 50\.000 = *([\d.]+)", text).group(1))


def libfabric(a, b):
    """Microseconds: the mean of half round trips of 64 bytes over its TCP provider."""
    words = ["-p", "tcp", "-e", "msg", "-S", "64", "-I", "10000"]
    with started(a, ["fi_pingpong", *words]):
        text = client(b, ["fi_pingpong", *words, a.ip])
    return float(text.strip().splitlines()[-1].split()[6])


def attempt(figures, name, function, *arguments):
    """Measures one figure; what cannot be measured here is left out, and said."""
    try:
        figure = function(*arguments)
        figures |= figure if isinstance(figure, dict) else {name: figure}
    except (RuntimeError, subprocess.SubprocessError, ValueError, KeyError, AttributeError,
            IndexError, OSError) as error:
        print(f"  {name}: not measured: {str(error)[:200]}", flush=True)


def take_turns(ways, rounds):
    """All ways, in turn, as often as `rounds`: the figures of each round."""
    result = []
    for _ in range(rounds):
        figures = {}
        for name, (function, *arguments) in ways.items():
            attempt(figures, name, function, *arguments)
        result.append(figures)
    return result


def judge(title, rows, rounds):
    report = {}
    for row in rows:
        verdict = row.judge(rounds)
        report[row.name] = verdict
        said = (f"{verdict['ratio']:6.3f}  must {verdict['must']}, aim {verdict['aim']}: "
                f"{verdict['reached']}" if verdict else "not measured")
        print(f"  {title}, {row.name:48} {said}", flush=True)
    return {"rows": report, "rounds": rounds}


BANDWIDTH_ROWS = {
    1500: [Row("against TCP", "ours", "tcp", 0.30, 0.36),
           Row("against TCP without offloads", "ours", "tcp without offloads", 0.75, 0.9),
           Row("against UDP", "ours", "udp_1500_gbits", 1.3, 1.6),
           Row("other traffic beside an open port against without", "tcp_beside_packet_1500_gbits",
               "tcp_1500_gbits", 0.9, 0.98)],
    9000: [Row("against TCP", "ours", "tcp", 0.75, 0.95)],
    65535: [Row("against TCP", "ours", "tcp", 1.2, 1.5)],
}
LOSS_ROWS = [Row("goodput at 0.1 % loss", "0.1 %", "ours", 0.9, 0.9),
             Row("goodput at 1 % loss", "1 %", "ours", 0.6, 0.6)]


def bandwidths(mtu, rounds, seconds):
    with Segment(mtu=mtu) as (a, b):
        ways = {"ours": (bandwidth, a, b, seconds), "tcp": (iperf, a, b, seconds)}
        ways["raw"] = (bounds, mtu, seconds)
        if mtu == 1500:
            ways["tcp without offloads"] = (iperf_without_offloads, a, b, seconds)
        figures = take_turns(ways, rounds)
    rows = [Row("against raw frames", "ours", f"packet_{mtu}_gbits", 0.80, 0.92), *BANDWIDTH_ROWS[mtu]]
    return judge(f"MTU {mtu}", rows, figures)


def losses(rounds, seconds):
    with Segment() as (a, b):
        ways = {"ours": (bandwidth, a, b, seconds),
                "0.1 %": (bandwidth, a, b, seconds, "--lose", "0.001"),
                "1 %": (bandwidth, a, b, seconds, "--lose", "0.01")}
        return judge("loss", LOSS_ROWS, take_turns(ways, rounds))


def latencies(rounds):
    with Segment() as (a, b):
        ways = {"ours": (half_round_trip, a, b, True), "tcp": (sockperf, a, b, "--tcp", "--nonblocked"),
                "libfabric": (libfabric, a, b), "ours sleeping": (half_round_trip, a, b, False),
                "udp sleeping": (sockperf, a, b)}
        rows = [Row("polling, against TCP", "ours", "tcp", 0.65, 0.45, at_most=True),
                Row("polling, against libfabric's tcp", "ours", "libfabric", 0.65, 0.45, at_most=True),
                Row("sleeping, against UDP", "ours sleeping", "udp sleeping", 1.1, 1.0, at_most=True)]
        return judge("64 B half round trip", rows, take_turns(ways, rounds))


def rate(a, b, seconds, queue_pairs, *server):
    return ours(a, b, "perf", "--size", "64", "--window", "1", "--queue-pairs", queue_pairs,
                "--time", seconds, "--timeout", "30",
                server=("--connections", "20000", *server))["operations_per_second"]


def many(rounds, seconds):
    with Segment() as (a, b):
        ways = {"64": (rate, a, b, seconds, 64), "10000": (rate, a, b, seconds, 10000)}
        rows = [Row("operations with 10,000 queue pairs against 64", "10000", "64", 0.667, 0.9)]
        return judge("scale", rows, take_turns(ways, max(rounds // 2, 1)))


def tax(rounds, seconds):
    """What implicit registration costs while no page is missing."""
    with Segment() as (a, b):
        ways = {"explicit": (bandwidth, a, b, seconds), "implicit": (implicit, a, b, seconds)}
        rows = [Row("implicit memory against explicit", "implicit", "explicit", 0.99, 1.0)]
        return judge("no fault", rows, take_turns(ways, rounds))


def implicit(a, b, seconds):
    return bandwidth(a, b, seconds, server=("--implicit",))


def in_machines(rounds):
    """Between two emulated machines: rdma_rxe, and TCP against AF_XDP with zero-copy."""
    from p2plab import Spec
    from p2plab.lab import Lab
    bare = Spec(card="none", efas=0, modules=(), dma_net=1)
    with Lab([bare, bare], TOP / "build/run/bench-l2") as lab:
        a, b = lab["a"], lab["b"]
        for machine in a, b:
            machine.run("modprobe rdma_rxe && rdma link add rxe0 type rxe netdev eth0")
        ways = {"packet": (machine_bandwidth, a, b, "packet"), "rxe": (rxe_bandwidth, a, b),
                "zero-copy": (machine_bandwidth, a, b, "xdp"), "tcp": (machine_tcp, a, b),
                "ring half round trip": (machine_latency, a, b, "ring"),
                "zero-copy half round trip": (machine_latency, a, b, "xdp"),
                "rxe half round trip": (rxe_latency, a, b)}
        rows = [*(Row(f"{kind}: bandwidth against rdma_rxe", kind, "rxe", 1.2, 2)
                  for kind in ("packet", "zero-copy")),
                *(Row(f"{kind}: half round trip against rdma_rxe", f"{kind} half round trip",
                      "rxe half round trip", 0.3, 0.15, at_most=True) for kind in ("ring", "zero-copy")),
                Row("zero-copy against TCP", "zero-copy", "tcp", 0.45, 0.8)]
        return judge("machines", rows, take_turns(ways, rounds))


@contextlib.contextmanager
def served(machine, command, ready=None):
    process = machine.start(command)
    try:
        if ready:
            process.wait_output(ready, 30)
        else:
            time.sleep(2)
        yield
    finally:
        process.kill()


def machine_client(a, b, kind, words, server=""):
    mac = a.run("cat /sys/class/net/eth0/address").out.strip()
    with served(a, f"p2prdma l2 serve -i eth0 --port-kind {kind} {server}", "serving"):
        return b.run(f"p2prdma l2 {words} -i eth0 {mac} --polling --port-kind {kind} --json",
                     timeout=60).json()


def machine_bandwidth(a, b, kind):
    # A machine has one processor here, which its kernel needs: the server sleeps.
    return machine_client(a, b, kind, "perf --size 256K --window 4 --time 3")["gigabits_per_second"]


def machine_latency(a, b, kind):
    # Both poll, as both ends of ib_send_lat do.
    return machine_client(a, b, kind, "ping --count 500", "--polling")["round_trip_us"]["p50"] / 2


def machine_tcp(a, b):
    with served(a, "iperf3 --server --one-off"):
        report = b.run("iperf3 --client a --time 3 --json", timeout=60)
    return json.loads(report.out)["end"]["sum_received"]["bits_per_second"] / 1e9


def rxe_bandwidth(a, b):
    with served(a, "ib_write_bw -d rxe0 -x 1 -s 65536 -n 200 -F"):
        text = b.run("ib_write_bw -d rxe0 -x 1 -s 65536 -n 200 -F --report_gbits a", timeout=90).out
    return float(re.findall(r"^ *65536 .*$", text, re.M)[-1].split()[3])


def rxe_latency(a, b):
    with served(a, "ib_send_lat -d rxe0 -x 1 -s 64 -n 500 -F"):
        text = b.run("ib_send_lat -d rxe0 -x 1 -s 64 -n 500 -F a", timeout=90).out
    return float(re.findall(r"^ *64 .*$", text, re.M)[-1].split()[4])


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=1, help="of each measurement")
    parser.add_argument("--only", help="parts: 1500,9000,65535,loss,latency,scale,tax,machines")
    arguments = parser.parse_args()
    rounds, seconds = arguments.rounds, arguments.seconds
    parts = {str(mtu): (bandwidths, mtu, rounds, seconds) for mtu in BANDWIDTH_ROWS} | {
        "loss": (losses, rounds, seconds), "latency": (latencies, rounds),
        "scale": (many, rounds, seconds), "tax": (tax, rounds, seconds),
        "machines": (in_machines, rounds)}
    report = {"processors": os.cpu_count(), "rounds": rounds}
    for name, (part, *words) in parts.items():
        if not arguments.only or name in arguments.only.split(","):
            report[name] = part(*words)
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_text(json.dumps(report, indent=1) + "\n")
    print(f"report: {OUT.relative_to(TOP)}")
    missed = [f"{part}, {row}" for part, judged in report.items() if isinstance(judged, dict)
              for row, verdict in judged["rows"].items() if not verdict or verdict["reached"] == "no"]
    if missed:
        sys.exit("not reached, or not measured: " + "; ".join(missed))


if __name__ == "__main__":
    main()
