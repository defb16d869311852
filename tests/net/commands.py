#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""The p2prdma command over Ethernet frames, between network namespaces: l2 and --via l2."""

import hashlib
import json
import os
import pathlib
import signal
import subprocess
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from tool import P2PRDMA, Started, check, run, run_parts, serve  # noqa: E402

def pings(a, b, directory):
    """ping, perf, stat and capture against a server."""
    server = serve(a, directory, "--name", "one")
    status, ping = run(b, "l2", "ping", "-i", b.interface, "one", "-c", "50", "--json")
    check(status == 0 and ping["sent"] == 50 and ping["lost"] == 0, f"ping by name: {ping}")
    status, ping = run(b, "l2", "ping", "-i", b.interface, a.mac, "-c", "20", "--size", "100000",
                       "--polling", "--port-kind", "ring", "--json")
    check(status == 0 and ping["lost"] == 0, "ping by address: large, polling, by ring")
    for operation in ("send", "write", "read", "fetch-add", "compare-swap"):
        status, perf = run(b, "l2", "perf", "-i", b.interface, a.mac, "--op", operation,
                           "--time", "0.3", "--queue-pairs", "4", "--window", "8", "--json")
        check(status == 0 and perf["operations"] > 0, f"perf --op {operation}: {perf}"[:200])
    status, stat = run(b, "l2", "stat", "-i", b.interface, "--json")
    check(status == 0 and [p["name"] for p in stat["peers"]] == ["one"], f"stat: {stat}"[:300])
    status, stat = run(a, "l2", "stat", "-i", a.interface, "--json")
    counters = stat["processes"][0]["counters"] if stat["processes"] else {}
    check(counters.get("frames_received", 0) > 0, "stat sees the server's counters")
    status, _ = server.end(signal.SIGTERM)
    check(status == 0, "the server ends well at a signal")


def capture(a, b, directory):
    """R3.1: what passes has our EtherType and nothing of IP; tshark can read the file."""
    file = pathlib.Path(directory) / "frames.pcapng"
    server = serve(a, directory)
    tap = Started(a, directory, "l2", "capture", "-i", a.interface, "-w", file, "--time", "20",
                  ready="capturing")
    run(b, "l2", "ping", "-i", b.interface, a.mac, "-c", "5")
    status, text = tap.end(signal.SIGINT)
    lines = text.splitlines()
    check(status == 0 and len(lines) > 10, f"capture: {len(lines)} lines")
    check(all("not a frame" not in line for line in lines), "each is a frame")
    check(any("connect_request" in l for l in lines) and any(" send " in l for l in lines),
          "connection and messages are seen")
    read = subprocess.run(["tshark", "-r", file, "-T", "fields", "-e", "eth.type"], check=False,
                          capture_output=True, text=True)
    types = set(read.stdout.split())
    check(types == {"0x88b5"} and len(read.stdout.split()) == len(lines),
          f"R3.1: tshark reads the same frames, all of one EtherType: {types}")
    server.end(signal.SIGTERM)


TAP = """
import collections, json, signal, socket, sys
seen = collections.Counter()
def end(*_):
    print(json.dumps(seen), flush=True)
    sys.exit()
signal.signal(signal.SIGTERM, end)
tap = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
tap.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
tap.bind((sys.argv[1], 0))
print("ready", flush=True)
while True:
    seen[tap.recv(64)[12:14].hex()] += 1
"""


def no_ip(a, b, directory):
    """R3.1: whatever passes at either end during a transfer has our EtherType: no IP, no ARP."""
    taps = []
    for station in (a, b):
        taps.append(station.start([sys.executable, "-c", TAP, station.interface],
                                  stdout=subprocess.PIPE))
        check(taps[-1].stdout.readline() == "ready\n", "all frames are looked at")
    transfer(a, b, directory, 300_000, [], [])
    for tap in taps:
        tap.terminate()
        seen = json.loads(tap.communicate(timeout=20)[0])
        check(set(seen) == {"88b5"} and seen["88b5"] > 200, f"R3.1: frames by EtherType: {seen}")


def transfers(a, b, directory):
    """Files, in all sizes that are special, under loss, with a key, into the file's own pages."""
    key = pathlib.Path(directory) / "key"
    key.write_bytes(os.urandom(32))
    key.chmod(0o600)
    cases = [(0, [], []), (1, [], []), (5_000_001, [], []),
             (1_000_000, ["--piece", "64K"], []),
             (1_000_000, ["--implicit"], ["--lose", "0.01"]),
             (1_000_000, ["--implicit", "--faults", "rnr"], []),
             (1_000_000, ["--key", key], ["--key", key]),
             (1_000_000, ["--port-kind", "ring", "--lose", "0.02"], ["--port-kind", "packet"])]
    for size, receiver_words, sender_words in cases:
        transfer(a, b, directory, size, receiver_words, sender_words)


def transfer(a, b, directory, size, receiver_words, sender_words):
    source, target = (pathlib.Path(directory) / name for name in ("source", "target"))
    source.write_bytes(os.urandom(size))
    target.unlink(missing_ok=True)
    receiver = Started(a, directory, "recv", "--via", "l2", "-i", a.interface, "--name", "one",
                       "--out", target, "--json", *receiver_words, ready="listening on 17471")
    status, sent = run(b, "send", source, "--via", "l2", "-i", b.interface, "--to", "one", "--json",
                       *sender_words)
    _, out = receiver.end()
    digest = hashlib.sha256(source.read_bytes()).hexdigest()
    words = " ".join(map(str, [*receiver_words, "|", *sender_words]))
    check(status == 0 and sent["sha256"] == digest == json.loads(out)["sha256"]
          and target.read_bytes() == source.read_bytes(),
          f"{size} bytes, {words}: {sent if status else 'the file is right'}")
    left = [p.name for p in pathlib.Path(directory).iterdir() if p.name.startswith(".target")]
    check(not left, "no temporary file is left")


def failures(a, b, directory):
    """What goes wrong is said in one sentence, with the right status."""
    source = pathlib.Path(directory) / "source"
    source.write_bytes(b"x" * 5000)
    for status, words in (
            (6, ["send", source, "--via", "l2", "-i", b.interface, "--to", "nobody"]),
            (6, ["l2", "ping", "-i", b.interface, a.mac, "--timeout", "1"]),
            (2, ["send", source, "--via", "l2", "--to", "one"]),
            (2, ["recv", "--via", "l2", "-i", b.interface, "--implicit"]),
            (2, ["l2", "ping", "-i", b.interface]),
            (2, ["l2"])):
        done = b.run([P2PRDMA, *words], check=False, timeout=40)
        check(done.returncode == status and done.stderr.count("\n") == 1,
              f"status {status}: {done.returncode} {done.stderr.strip()}")
    done = b.run([P2PRDMA, "l2", "ping", "-i", "none0", a.mac], check=False)
    check(done.returncode == 3 and "none0" in done.stderr, f"no interface: {done.stderr.strip()}")
    done = b.run(["setpriv", "--bounding-set=-net_raw", "--inh-caps=-net_raw", "--ambient-caps=-all",
                  P2PRDMA, "l2", "ping", "-i", b.interface, a.mac], check=False)
    check(done.returncode == 1 and "setcap cap_net_raw" in done.stderr,
          f"without the capability: {done.stderr.strip()}")


if __name__ == "__main__":
    run_parts((pings, capture, no_ip, transfers, failures))
