# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""What p2prdmad does when something goes away or hangs: itself, its clients, the card's machine,
the card, the adapter. Whoever remains is told, keeps going, and nothing is left behind."""

import re
import time

from card_client import *
from p2plab import scenario

MACHINES = ["one-switch/refcard", "one-switch/none,efas=0,card_of=a.card0"]
ERR, HUP = 8, 16


def eventually(check, timeout=20):
    """Whether `check` becomes true."""
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        if check():
            return True
        time.sleep(0.1)
    return False


def read(machine, path):
    return machine.run(f"cat {path}").out.strip()


def free_memory(host):
    return int(read(host, "/sys/class/p2prdma/card0/mem_free"))


def address(machine, ids):
    """Of the PCI function with that vendor and device."""
    vendor, device = ids.split(":")
    return machine.run(f"for d in /sys/bus/pci/devices/*; do grep -q 0x{vendor} $d/vendor && "
                       f"grep -q 0x{device} $d/device && basename $d; done; true").out.split()[0]


def driver(machine, ids):
    return machine.run(f"readlink -f /sys/bus/pci/devices/{address(machine, ids)}/driver").out.strip()


def make_all(client):
    """One of each kind that needs no queue pair."""
    number, grant, _ = client.memory(65536)
    client.region(number, 65536)
    client.cq(64)
    client.event()
    client.ah(client.adapter()["gid"])
    return number, grant


def make_all_and_work(client):
    """The same with a queue pair, and its ring mapped."""
    make_all(client)
    cq, *_ = client.cq(64)
    _, _, send, _ = client.qp(cq)
    client.map(f"ring-{client.name}", send[0], 4096)


def in_time(lab, host, command, what, limit=30):
    """A command of the host's ends before `limit` seconds have passed."""
    begun = time.monotonic()
    host.run(command, timeout=60)
    seconds = time.monotonic() - begun
    lab.ok(seconds < limit, f"{what}: within {limit} s ({seconds:.1f})")


def traffic(lab, host, card):
    """The card's CPU writes by RDMA, one after the other, without end; returns the program."""
    def arrived():
        return host.counters("efa0")["model"]["counters"]["write_receive_bytes"]

    (card.out_dir / "go-write").touch()
    program = card.start("/src/build/lab/guest/direct_operation /run/out 1000000000")
    program.wait_output("ready write", 60)
    before = arrived()
    lab.ok(eventually(lambda: arrived() > before + 6400), "a queue pair is at work")
    return program


def ends(lab, program):
    """What went away under it is an error, or a SIGBUS, of its own."""
    result = program.wait(30, check=False)
    lab.ok(result.rc not in (0, -9), f"its program ends: status {result.rc}, {result.out[-80:]!r}")


def greeted(process, name):
    """A new client, as soon as there is a daemon for it."""
    attempts = []

    def attempt():
        attempts.append(process.client(f"{name}{len(attempts)}"))
        return attempts[-1].refusal(HELLO, "IIQ32s", 1, 1, 0, b"test") == "OK"

    if not eventually(attempt):
        raise RuntimeError("no daemon serves the card")
    return attempts[-1]


@scenario(MACHINES, timeout=240, series="series")
def daemon_restart(lab):
    """Killed, stopped, started twice."""
    host, card = lab["a"], lab["b"]
    daemon = host.start_daemon()
    baseline = free_memory(host)
    second = host.run("p2prdmad", check=False)
    lab.is_equal((second.rc, "another p2prdmad" in second.out), (4, True),
                 "a second daemon for the same card ends with a sentence")
    process = Process(card)
    client = greeted(process, "c")
    _, grant = make_all(client)
    client.map("m", grant, 65536)
    daemon.kill()
    daemon.wait(check=False)
    lab.ok(eventually(lambda: client.state() & HUP), "a killed daemon's clients are told")
    lab.is_equal(client.raw(MEM_ALLOC, b"\0" * 16)[0], "!ECONNRESET", "their calls fail cleanly")
    lab.ok(eventually(lambda: free_memory(host) >= baseline), "nothing is left on the host")
    daemon = host.start_daemon()
    newcomer = greeted(process, "n")
    make_all(newcomer)
    lab.ok(True, "a new daemon serves new clients")
    lab.is_equal(client.raw(MEM_ALLOC, b"\0" * 16)[0], "!ECONNRESET", "but no old ones")
    host.run("kill -TERM $(pidof p2prdmad)")
    lab.is_equal(daemon.wait().rc, 0, "SIGTERM ends it with status 0")
    lab.ok(eventually(lambda: newcomer.state() & HUP), "and its clients are told")
    daemon_stopped_under_hanging_card(lab, host, card, process)
    lab.ok(eventually(lambda: free_memory(host) >= baseline), "nothing is left on the host")


def daemon_stopped_under_hanging_card(lab, host, card, process):
    daemon = host.start_daemon()
    client = greeted(process, "h")
    make_all_and_work(client)
    with card.stopped():
        begun = time.monotonic()
        host.run("kill -TERM $(pidof p2prdmad)")
        lab.is_equal(daemon.wait(10).rc, 0, "SIGTERM ends it with status 0 when the card hangs, "
                                            f"after {time.monotonic() - begun:.1f} s")
    lab.ok(eventually(lambda: client.state() & HUP), "clients are told once it hangs no more")


@scenario(MACHINES, timeout=240, series="series")
def daemon_client_killed(lab):
    """With all that a client can have, mapped."""
    host, card = lab["a"], lab["b"]
    host.start_daemon()
    baseline = free_memory(host)
    for _ in range(3):
        process = Process(card)
        client = greeted(process, "c")
        _, grant = make_all(client)
        client.map("m", grant, 65536)
        lab.ok(free_memory(host) < baseline, "the client has memory")
        process.kill()
        lab.ok(eventually(lambda: free_memory(host) == baseline), "killed, it has none")
    other = greeted(Process(card), "o")
    make_all(other)
    lab.ok(True, "others are served")


@scenario(MACHINES, timeout=240, long=True)
def daemon_card_machine(lab):
    """The drivers of the card's own machine go and come back."""
    host, card = lab["a"], lab["b"]
    daemon = host.start_daemon()
    baseline = free_memory(host)
    client = greeted(Process(card), "c")
    make_all(client)
    path, pool = driver(card, "1b36:1101"), address(card, "1b36:1101")
    card.run(f"echo {pool} > {path}/unbind")
    lab.ok(eventually(lambda: free_memory(host) == baseline), "all that its clients had is gone")
    lab.ok(eventually(lambda: "new epoch" in daemon.output()), "the daemon says so")
    card.run(f"echo {pool} > {path}/bind")
    card.run("for i in 1 2 3 4 5 6 7 8 9 10; do [ -e /dev/p2prdma/local0 ] && break; sleep 0.2; done")
    make_all(greeted(Process(card), "n"))
    lab.ok(True, "when it is back, new clients are served")


@scenario(MACHINES, timeout=300, series="series")
def daemon_card_machine_reset(lab):
    """The card's machine is reset without a word, with all that a client can have."""
    host, card = lab["a"], lab["b"]
    daemon = host.start_daemon()
    baseline = free_memory(host)
    client = greeted(Process(card), "c")
    make_all(client)
    cq, *_ = client.cq(64)
    client.qp(cq)
    card.reset()
    lab.ok(eventually(lambda: "new epoch" in daemon.output()), "the daemon notices its new start")
    lab.ok(eventually(lambda: free_memory(host) == baseline), "nothing of its former life is left")
    client = greeted(Process(card), "n")
    make_all(client)
    cq, *_ = client.cq(64)
    client.qp(cq)
    lab.ok(True, "and it is served again")


@scenario(MACHINES, timeout=300, series="series")
def daemon_card_gone(lab):
    """The card is reset, and unbound from its driver in the host: at work, and hanging."""
    host, card = lab["a"], lab["b"]
    daemon = host.start_daemon()
    function, path = address(host, "1b36:1100"), driver(host, "1b36:1100")
    reset = f"echo 1 > /sys/bus/pci/devices/{function}/reset"
    process = Process(card)

    def reset_is_noticed(client, times):
        lab.ok(eventually(lambda: daemon.output().count("was reset") == times), "it is noticed")
        lab.ok(eventually(lambda: client.state() & HUP), "the client is told")

    def unbound_and_back(client, times):
        lab.ok(eventually(lambda: daemon.output().count("has been removed") == times),
               "the daemon waits for the card")
        lab.ok(eventually(lambda: client.state() & HUP), "the client is told")
        served = daemon.output().count("serving")
        host.run(f"echo {function} > {path}/bind", timeout=60)
        lab.ok(eventually(lambda: daemon.output().count("serving") > served), "and serves it again")

    client = greeted(process, "c")
    make_all(client)
    program = traffic(lab, host, card)
    in_time(lab, host, reset, "a reset of a card at work")
    reset_is_noticed(client, 1)
    ends(lab, program)
    client = greeted(process, "d")
    make_all_and_work(client)
    with card.stopped():
        in_time(lab, host, reset, "a reset of a card that hangs")
    reset_is_noticed(client, 2)

    client = greeted(process, "e")
    make_all(client)
    program = traffic(lab, host, card)
    in_time(lab, host, f"echo {function} > {path}/unbind", "unbinding a card at work")
    unbound_and_back(client, 1)
    ends(lab, program)
    client = greeted(process, "f")
    make_all_and_work(client)
    with card.stopped():
        in_time(lab, host, f"echo {function} > {path}/unbind", "unbinding a card that hangs")
    unbound_and_back(client, 2)
    make_all(greeted(process, "g"))
    lab.ok(True, "with new clients")


@scenario(MACHINES, timeout=240, series="series")
def daemon_adapter_gone(lab):
    """The adapter's driver is unbound under the daemon, which goes on without it, and under the
    card's work."""
    host, card = lab["a"], lab["b"]
    host.start_daemon()
    client = greeted(Process(card), "c")
    number, _, _ = client.memory(8192)
    region, *_ = client.region(number, 8192)
    cq, *_ = client.cq(64)
    qp, _, send, _ = client.qp(cq, receive=16)
    event, *_ = client.event()
    counter = client.counter(qp, 1, event)
    client.map("ring", send[0], 4096)
    function = host.run("basename $(readlink -f /sys/class/infiniband/efa_0/device)").out.strip()
    path = host.run(f"readlink -f /sys/bus/pci/devices/{function}/driver").out.strip()
    program = traffic(lab, host, card)
    traced = {"window_ioctl": "w", "efa_destroy_qp": "d"}
    host.run(f"mount -t tracefs tracefs /sys/kernel/tracing; cd /sys/kernel/tracing && "
             f"echo {' '.join(traced)} > set_ftrace_filter && echo function > current_tracer")
    in_time(lab, host, f"echo {function} > {path}/unbind", "its driver goes though clients use it")
    trace = host.run("cat /sys/kernel/tracing/trace").out
    order = "".join(letter for line in trace.splitlines() for name, letter in traced.items()
                    if f" {name} " in line)
    lab.ok(re.fullmatch("(w{2,4}d)+", order) and "wwwwd" in order,
           f"the windows are shut before the queue pair behind them is destroyed: {order}")
    ends(lab, program)
    lab.is_equal(client.refusal(CQ_CREATE, "II", 0, 64), "ENODEV", "calls on it say so")
    lab.ok(eventually(lambda: client.state() & ERR), "the client is told that its windows are gone")
    client.unmap("ring")
    lab.is_equal([client.destroy(op, of) for op, of in
                  [(COUNTER_DESTROY, counter), (QP_DESTROY, qp), (CQ_DESTROY, cq),
                   (EVENT_DESTROY, event), (MR_DEREG, region), (MEM_FREE, number)]], ["OK"] * 6,
                 "what was made can be given up")
    number, _, _ = client.memory(8192)
    lab.ok(number, "the card's memory is still there")
    host.run(f"echo {function} > {path}/bind", timeout=60)
    newcomer = greeted(Process(card), "n")
    lab.ok(eventually(lambda: newcomer.refusal(CQ_CREATE, "II", 0, 64) == "OK"),
           "when it is back, new clients have it")
