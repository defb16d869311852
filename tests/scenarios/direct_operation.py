# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""What an operation of a card's CPU costs in steady state, pinned in tests/golden."""

import json
import pathlib
import signal

from p2plab import scenario

GOLDEN = pathlib.Path("/src/tests/golden/direct_operation.json")
OPERATIONS = 800
KINDS = ("write", "inline_80", "batch_16", "event")


def counted(lab):
    """What the lab server counts, over all machines."""
    devices = lab.server.request("counters")["devices"]
    registers = [bar for c in devices.values() for bar in c["registers"].values()]
    return {
        "mmio_writes": sum(bar["writes"] for bar in registers),
        "mmio_reads": sum(bar["reads"] for bar in registers),
        "vfio_user_messages": sum(c["messages"]["total"] + c["dma"]["messages"]
                                  for c in devices.values()),
        "card_interrupts": devices["ac.aperture"]["interrupts"],
        "host_interrupts": sum(c["interrupts"] for name, c in devices.items()
                               if name.startswith("a.")),
    }


def watched(lab, name, action):
    """What the host did meanwhile."""
    host = lab["a"]
    watcher = host.start(f"/src/tests/guest/host_activity /run/out {name}")
    watcher.wait_output("watching", 20)
    action()
    (host.out_dir / f"end-{name}").touch()
    seen = watcher.wait(20).json()
    if seen["who"]:
        lab.diag(f"{name}: system calls by process: {seen['who']}")
    return seen


def measure(lab, daemon, program, kind):
    """What the operations of one kind cost, each. The daemon, which looks after its adapters from
    time to time, has nothing to do with them: it is stopped meanwhile."""
    card, counts = lab["ac"], []

    def go():
        counts.append(counted(lab))
        (card.out_dir / f"go-{kind}").touch()
        program.wait_output(f"done {kind}", 60)
        counts.append(counted(lab))

    program.wait_output(f"ready {kind}", 60)
    daemon.kill(signal.SIGSTOP)
    seen = watched(lab, kind, go)
    daemon.kill(signal.SIGCONT)
    before, after = counts
    (card.out_dir / f"end-{kind}").touch()
    cost = {key: (after[key] - before[key]) / OPERATIONS for key in after}
    cost["host_system_calls"] = seen["system_calls"] / OPERATIONS
    cost["host_interrupts"] += seen["interrupts"] / OPERATIONS
    return cost


@scenario("one-switch/machine", name="direct_operation.R2.2_R6.1_costs", timeout=240)
def costs(lab):
    """MMIO writes, messages, and of the host: 0 system calls and 0 interrupts."""
    daemon = lab["a"].start_daemon()
    seen = watched(lab, "something", lambda: lab["a"].run("ibv_devinfo"))
    lab.ok(seen["system_calls"] > 100, "system calls of the host are seen")
    program = lab["ac"].start(f"/src/build/lab/guest/direct_operation /run/out {OPERATIONS}")
    got = {kind: measure(lab, daemon, program, kind) for kind in KINDS}
    slept = int(program.wait(30).out.rpartition("done event slept ")[2].split()[0])
    lab.ok(slept > OPERATIONS / 2, f"operations with an event sleep: {slept} of {OPERATIONS} times")
    (lab.run_dir / "direct_operation.json").write_text(json.dumps(got, indent=1) + "\n")
    golden = json.loads(GOLDEN.read_text())
    for kind in KINDS:
        if kind in golden["per_operation"]:
            lab.is_equal(got[kind], golden["per_operation"][kind],
                         f"{kind}: what an operation costs")
        else:
            limits = golden["per_operation_at_most"][kind]
            lab.is_equal({key: min(value, limits[key]) for key, value in got[kind].items()},
                         got[kind], f"{kind}: what an operation costs at most")
        lab.is_equal((got[kind]["host_system_calls"], got[kind]["host_interrupts"]), (0, 0),
                     f"R2.2 {kind}: the host has no part in it")
    lab.ok(0 < got["event"]["card_interrupts"] <= 1,
           "R6.1 an operation that sleeps interrupts the card, once at most")
    lab.is_equal((got["event"]["host_system_calls"], got["event"]["host_interrupts"]), (0, 0),
                 "R6.1 and not the host, which executes no system call")
