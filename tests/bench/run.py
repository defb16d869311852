#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""Measurements, into build/bench/NAME.json. Runs inside the lab's root.

Times are of emulated machines and say nothing about hardware: counts are what
counts, and ratios between two ways measured in the same run.
"""

import json
import pathlib
import statistics
import sys

sys.dont_write_bytecode = True
TOP = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TOP / "tools/lab"))
from p2plab.lab import Lab  # noqa: E402

OUT = TOP / "build/bench"
PROGRAMS = "/src/build/lab/bench"
PAYLOAD = 65536
ROUNDS = 5


def memory(lab):
    """Allocation and registration of 1 MiB, card beside host."""
    report = lab["a"].run(f"{PROGRAMS}/memory", timeout=120).json()
    card, host = report["card_register_deregister"], report["host_register_deregister"]
    report["registration_card_to_host"] = round(card["microseconds"] / host["microseconds"], 2)
    return report


def register_messages(counters):
    """vfio-user messages from QEMU: register accesses, doorbells among them."""
    return counters["messages"]["total"]


def dma_messages(counters):
    """vfio-user messages to QEMU: DMA that the lab server could not do by itself."""
    return counters["dma"]["messages"]


def copied(counters):
    """Bytes that a DMA engine copied."""
    return sum(counters["dma"]["read"].values()) + sum(counters["dma"]["write"].values())


def rdma_write(lab):
    """RDMA writes of 64 KiB into card memory and into host memory, counted and timed."""
    rounds = [{target: one_stream(lab["a"], target) for target in ("host", "card")}
              for _ in range(ROUNDS)]
    report = {"payload_bytes": PAYLOAD, "rounds": ROUNDS}
    for target in ("host", "card"):
        report[target] = {**rounds[0][target], "mib_per_second": statistics.median(
            r[target]["mib_per_second"] for r in rounds)}
    report["card_to_host"] = round(statistics.median(
        r["card"]["mib_per_second"] / r["host"]["mib_per_second"] for r in rounds), 2)
    return report


def one_stream(a, target):
    """One run of the program, with what the devices counted meanwhile."""
    devices = ("efa0", "efa1", "card0")
    before = [a.counters(d) for d in devices]
    result = a.run(f"{PROGRAMS}/rdma_write {target}", timeout=120).json()
    after = [a.counters(d) for d in devices]

    def per_write(of):
        return (sum(map(of, after)) - sum(map(of, before))) / result["writes"]

    result["register_messages_per_write"] = round(per_write(register_messages), 2)
    result["dma_messages_per_payload_page"] = round(per_write(dma_messages) / (PAYLOAD / 4096), 4)
    result["copies_per_byte"] = round(per_write(copied) / PAYLOAD, 3)
    return result


CONTROL_AT_MOST = 3


def control_calls(lab):
    """Objects that a card's program has made and destroyed, beside the same calls on the host."""
    lab["a"].start_daemon()
    rounds = [(lab["a"].run(f"{PROGRAMS}/control_host", timeout=120).json(),
               lab["ac"].run(f"{PROGRAMS}/control_card", timeout=120).json())
              for _ in range(ROUNDS)]
    calls = [name for name in rounds[0][0] if name != "rounds"]

    def median(of):
        return {call: round(statistics.median(of(host[call], card[call]) for host, card in rounds),
                            2) for call in calls}

    ratios = median(lambda host, card: card / host)
    for call, ratio in ratios.items():
        if ratio > CONTROL_AT_MOST:
            raise SystemExit(f"bench: {call} takes {ratio} times as long as on the host")
    return {"rounds": ROUNDS, "at_most": CONTROL_AT_MOST,
            "host_microseconds": median(lambda host, card: host),
            "card_microseconds": median(lambda host, card: card), "card_to_host": ratios}


CALLGRIND = ("valgrind --tool=callgrind --collect-atstart=no"
             " --callgrind-out-file=/run/out/direct.callgrind")
DIRECT_AT_MOST = 0.5


def direct(lab):
    """Instructions to post requests and poll their completions: lib/direct beside libefa."""
    command = f"{CALLGRIND} {PROGRAMS}/direct_post"
    a = lab["a"]
    rounds = a.run(f"{command} 2>/dev/null", timeout=300).json()["rounds"]
    counted = dict(map(read_dump, a.out_dir.glob("direct.callgrind.*")))
    nothing = counted.pop("nothing -")
    report = {"command": command, "at_most": DIRECT_AT_MOST}
    for case in sorted({name.split()[0] for name in counted}):
        requests = rounds * (16 if case == "batch_16" else 1)
        ours, stock = (counted[f"{case} {way}"] - nothing for way in ("direct", "stock"))
        report[case] = {"direct": round(ours / requests, 1), "libefa": round(stock / requests, 1),
                        "ratio": round(ours / stock, 3)}
        if ours > DIRECT_AT_MOST * stock:
            raise SystemExit(f"bench: {case} takes {ours / stock:.2f} times libefa's instructions")
    return report


def read_dump(path):
    """The name that the program gave to a dump of callgrind's, and the instructions in it."""
    name, total = None, None
    for line in path.read_text().splitlines():
        if line.startswith("desc: Trigger: Client Request: "):
            name = line.rsplit(": ", 1)[1]
        elif line.startswith("totals: "):
            total = int(line.split()[1])
    return name, total


# What runs in which machines.
PARTS = {
    "one-switch,efas=2,cpus=1": (memory, rdma_write),
    "one-switch/machine": (control_calls,),
    "one-switch/none,efas=2,modules=efa": (direct,),
}


def main():
    OUT.mkdir(parents=True, exist_ok=True)
    for machines, parts in PARTS.items():
        with Lab(machines, TOP / "build/run/bench") as lab:
            for part in parts:
                report = part(lab)
                (OUT / f"{part.__name__}.json").write_text(json.dumps(report, indent=1) + "\n")
                print(f"{part.__name__}: {part.__doc__}")
                print(json.dumps(report, indent=1), flush=True)


if __name__ == "__main__":
    main()
