# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""The EFA model against stock software: efa.ko, libefa, ibv_devinfo, ibv_ud_pingpong, perftest."""

import itertools
import time

from p2plab import Spec, Timeout, scenario

TWO_ADAPTERS = Spec(card="none", efas=2, cpus=2, modules=("efa",))
ONE_ADAPTER = Spec(card="none", efas=1, cpus=1, modules=("efa",))
LIMIT = 30  # seconds for one pair of programs

# perftest on EFA: -x 0, for there are no LIDs; -Q 1 with UD, for libefa refuses requests without
# completion; -I 0 for write latency, for perftest asks for no inline writes when it makes its queue
# pairs.

_ports = itertools.count(18500)


def listens(machine, port, program):
    """Waits until something inside the machine listens on a TCP port, or the program has ended."""
    for _ in range(40):
        if not program.running:
            return False
        look = f"timeout 2 sh -c 'until grep -qi :{port:04X} /proc/net/tcp*; do sleep 0.1; done'"
        if machine.run(look, check=False).rc == 0:
            return True
    return False


def eventually(condition, limit=20):
    """Waits until a condition holds; False if it does not within the limit."""
    deadline = time.monotonic() + limit
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


def ended(program, limit):
    """Status and output of a program; it is ended if it does not end by itself."""
    try:
        result = program.wait(limit, check=False)
        return result.rc, result.out
    except Timeout:
        return "time limit", program.output()


# perftest measures the CPU's clock before it reports, and gives up if the machine was too busy.
UNMEASURED = "Can't produce a report"


def pair(lab, server, client, command):
    """Runs a program on two (machine, adapter) ends and reports whether both ended well."""
    for _ in range(3):
        status, out, served, server_out = run_pair(server, client, command)
        if UNMEASURED not in out + server_out:
            break
    if not lab.ok(status == 0 and served == 0, command):
        lab.diag(f"client, status {status}: {out[-1500:]}")
        lab.diag(f"server, status {served}: {server_out[-1500:]}")
    return out


def run_pair(server, client, command):
    """Status and output of the client, then of the server."""
    (a, a_device), (b, b_device) = server, client
    port = next(_ports)
    host = "127.0.0.1" if a is b else a.name
    serving = a.start(f"{command} -d {a_device} -p {port}")
    status, out = "not started", ""
    if listens(a, port, serving):
        status, out = ended(b.start(f"{command} -d {b_device} -p {port} {host}"), LIMIT)
    return status, out, *ended(serving, 10 if status == 0 else 1)


def run_all(lab, server, client, commands):
    for command in commands:
        pair(lab, server, client, command)


SENDS = (
    "ib_send_lat -x 0 -c UD -n 200 -s 512",
    "ib_send_lat -x 0 -c SRD -n 200 -s 64",
    "ib_send_lat -x 0 -c SRD -n 200 -s 64 -I 80",
    "ib_send_lat -x 0 -c SRD -n 100 -s 8192 -e",
    "ib_send_bw -x 0 -Q 1 -c UD -n 500 -s 1024",
    "ib_send_bw -x 0 -Q 1 -c UD -n 500 -s 1024 -e",
    "ib_send_bw -x 0 -c SRD -n 1000 -s 4096",
    "ib_send_bw -x 0 -c SRD -n 1000 -s 4096 -e -q 4",
    "ib_send_bw -x 0 -c SRD -n 500 -s 8192 -b",
)
WRITES = (
    "ib_write_bw -x 0 -c SRD -n 500 -s 65536",
    "ib_write_bw -x 0 -c SRD -n 500 -s 4096 -q 4",
    "ib_write_bw -x 0 -c SRD -n 20 -s 1048576",
    "ib_write_bw -x 0 -c SRD -n 5 -s 16777216",
    "ib_write_bw -x 0 -c SRD -n 200 -s 65536 --write_with_imm",
    "ib_write_lat -x 0 -c SRD -n 200 -s 8 -I 0",
    "ib_write_lat -x 0 -c SRD -n 100 -s 16384 -I 0",
)
READS = (
    "ib_read_bw -x 0 -c SRD -n 500 -s 65536",
    "ib_read_bw -x 0 -c SRD -n 20 -s 1048576 -e -q 4",
    "ib_read_lat -x 0 -c SRD -n 200 -s 4096",
    "ib_read_lat -x 0 -c SRD -n 100 -s 4096 -e",
)


@scenario(TWO_ADAPTERS, timeout=120, series="series")
def devinfo(lab):
    """The driver takes both adapters; what it tells about them is right."""
    a = lab["a"]
    info = a.run("ibv_devinfo -v").out
    lab.is_equal(info.count("hca_id:\tefa_"), 2, "ibv_devinfo shows two adapters")
    lab.is_equal(info.count("PORT_ACTIVE"), 2, "both ports are active")
    gids = {line.split()[-1] for line in info.splitlines() if "GID[" in line}
    lab.is_equal(len(gids), 2, "their GIDs differ")
    command = "ibv_ud_pingpong -g 0 -n 100 -s 1024"
    pair(lab, (a, "efa_0"), (a, "efa_1"), command)
    pair(lab, (a, "efa_0"), (a, "efa_1"), command + " -e")


@scenario(TWO_ADAPTERS, timeout=400, series="series")
def sends(lab):
    """Sends, datagram and reliable, between two adapters of one machine."""
    a = lab["a"]
    run_all(lab, (a, "efa_0"), (a, "efa_1"), SENDS)


@scenario(TWO_ADAPTERS, timeout=400, series="series")
def rdma(lab):
    """RDMA writes and reads between two adapters of one machine."""
    a = lab["a"]
    run_all(lab, (a, "efa_0"), (a, "efa_1"), WRITES + READS)


@scenario(Spec("switch-iommu", card="none", efas=2, cpus=2, modules=("efa",)), timeout=200)
def iommu(lab):
    """The same behind an IOMMU: bus addresses that are not memory addresses, page by page."""
    a = lab["a"]
    run_all(lab, (a, "efa_0"), (a, "efa_1"),
            ("ib_send_bw -x 0 -c SRD -n 500 -s 4096 -e", "ib_write_bw -x 0 -c SRD -n 50 -s 1048576",
             "ib_read_bw -x 0 -c SRD -n 50 -s 1048576"))


@scenario([ONE_ADAPTER, ONE_ADAPTER], timeout=300)
def two_machines(lab):
    """The same across the fabric."""
    run_all(lab, (lab["a"], "efa_0"), (lab["b"], "efa_0"),
            ("ibv_ud_pingpong -g 0 -n 100", "ib_send_bw -x 0 -Q 1 -c UD -n 500 -s 1024",
             "ib_send_lat -x 0 -c SRD -n 200 -s 64", "ib_send_bw -x 0 -c SRD -n 1000 -s 4096 -q 4",
             "ib_write_bw -x 0 -c SRD -n 20 -s 1048576", "ib_read_bw -x 0 -c SRD -n 20 -s 1048576 -e"))


def is_clean(machine, device):
    """True if nothing that software made on an adapter is left."""
    state = machine.counters(device)["model"]
    return state["queue_pairs"] == 0 and not any(r["live"] for r in state["regions"])


@scenario(TWO_ADAPTERS, timeout=150, series="series")
def killed(lab):
    """Programs that are killed at work leave nothing; nor does the driver; both come again."""
    a = lab["a"]
    command = "ib_write_bw -x 0 -c SRD -s 65536 -q 2 -D 60"
    server = a.start(f"{command} -d efa_0 -p 18400")
    lab.ok(listens(a, 18400, server), "a server waits")
    client = a.start(f"{command} -d efa_1 -p 18400 127.0.0.1")
    moved = lambda: a.counters("efa0")["model"]["counters"]["write_receive_bytes"] > 1 << 22
    lab.ok(eventually(moved), "bytes arrive")
    client.kill()
    client.wait(20, check=False)
    lab.ok(eventually(lambda: is_clean(a, "efa1")), "a killed client leaves nothing")
    server.kill()
    server.wait(20, check=False)
    lab.ok(eventually(lambda: is_clean(a, "efa0")), "a killed server leaves nothing")
    a.run("rmmod efa && insmod /src/build/lab/efa/efa.ko", timeout=30)
    pair(lab, (a, "efa_0"), (a, "efa_1"), "ib_write_bw -x 0 -c SRD -n 100 -s 65536")
    lab.is_equal(a.counters("efa0")["model"]["counters"]["admin_errors"], 0, "no command failed")
