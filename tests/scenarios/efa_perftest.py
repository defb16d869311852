# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""The EFA model against stock software: efa.ko, libefa, ibv_devinfo, ibv_ud_pingpong, perftest."""

import itertools

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


def ended(program, limit):
    """Status and output of a program; it is ended if it does not end by itself."""
    try:
        result = program.wait(limit, check=False)
        return result.rc, result.out
    except Timeout:
        return "time limit", program.output()


def pair(lab, server, client, command):
    """Runs a program on two (machine, adapter) ends and reports whether both ended well."""
    (a, a_device), (b, b_device) = server, client
    port = next(_ports)
    host = "127.0.0.1" if a is b else a.name
    serving = a.start(f"{command} -d {a_device} -p {port}")
    status, out = "not started", ""
    if listens(a, port, serving):
        status, out = ended(b.start(f"{command} -d {b_device} -p {port} {host}"), LIMIT)
    served, server_out = ended(serving, 10 if status == 0 else 1)
    if not lab.ok(status == 0 and served == 0, command):
        lab.diag(f"client, status {status}: {out[-1500:]}")
        lab.diag(f"server, status {served}: {server_out[-1500:]}")
    return out


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


@scenario(TWO_ADAPTERS, timeout=120)
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


@scenario(TWO_ADAPTERS, timeout=400)
def sends(lab):
    """Sends, datagram and reliable, between two adapters of one machine."""
    a = lab["a"]
    run_all(lab, (a, "efa_0"), (a, "efa_1"), SENDS)


@scenario(TWO_ADAPTERS, timeout=400)
def writes(lab):
    """RDMA writes between two adapters of one machine."""
    a = lab["a"]
    run_all(lab, (a, "efa_0"), (a, "efa_1"), WRITES)


@scenario(TWO_ADAPTERS, timeout=400)
def reads(lab):
    """RDMA reads between two adapters of one machine."""
    a = lab["a"]
    run_all(lab, (a, "efa_0"), (a, "efa_1"), READS)


@scenario([ONE_ADAPTER, ONE_ADAPTER], timeout=300)
def two_machines(lab):
    """The same across the fabric."""
    run_all(lab, (lab["a"], "efa_0"), (lab["b"], "efa_0"),
            ("ibv_ud_pingpong -g 0 -n 100", "ib_send_bw -x 0 -Q 1 -c UD -n 500 -s 1024",
             "ib_send_lat -x 0 -c SRD -n 200 -s 64", "ib_send_bw -x 0 -c SRD -n 1000 -s 4096 -q 4",
             "ib_write_bw -x 0 -c SRD -n 20 -s 1048576", "ib_read_bw -x 0 -c SRD -n 20 -s 1048576 -e"))
