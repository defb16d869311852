#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""R3.10: an interface that others use too, and that changes while frames pass: TCP beside it, MTU,
link and VLAN, a peer that is killed, two processes, opening and closing a thousand times."""

import json
import pathlib
import signal
import subprocess
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from tool import P2PRDMA, check, run, run_parts, serve  # noqa: E402

OPENINGS = 1000 if "--long" in sys.argv else 30


def load(station, peer, seconds, *words):
    """Writes that go on for so long, in the background."""
    return station.start([P2PRDMA, "l2", "perf", "-i", station.interface, peer, "--size", "8000",
                          "--window", "8", "--time", str(seconds), "--timeout", "8", "--json",
                          *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def result_of(process, timeout=40):
    out, _ = process.communicate(timeout=timeout)
    return process.returncode, json.loads(out.splitlines()[-1])


def wait_for_load(station):
    """Until frames pass."""
    before, end = station.counters()["tx_packets"], time.monotonic() + 20
    while station.counters()["tx_packets"] < before + 1000:
        if time.monotonic() > end:
            raise RuntimeError("the load does not begin")
        time.sleep(0.05)


def beside_tcp(a, b, directory):
    """R3.10: TCP and our frames on one interface, both to their ends."""
    serve(a, directory)
    server = a.start(["iperf3", "--server", "--one-off"], stdout=subprocess.DEVNULL)
    ours = load(b, a.mac, 3)
    wait_for_load(b)
    tcp = b.run(["iperf3", "--client", a.ip, "--time", "1", "--json"], check=False)
    status, perf = result_of(ours)
    server.wait(timeout=20)
    bits = json.loads(tcp.stdout)["end"]["sum_received"]["bits_per_second"] if not tcp.returncode else 0
    check(bits > 1e7, f"R3.10: TCP has {bits / 1e9:.2f} Gbit/s beside it")
    check(status == 0 and perf["operations"] > 0, f"R3.10: and we have {perf['gigabits_per_second']:.2f}")


def changes_of_mtu(a, b, directory):
    """R3.10: the MTU grows under load; and shrinks below the frames of a connection."""
    serve(a, directory)
    ours = load(b, a.mac, 3)
    wait_for_load(b)
    for mtu in (9000, 1500):
        for station in (a, b):
            station.set_mtu(mtu)
        time.sleep(0.5)
    status, perf = result_of(ours)
    check(status == 0, f"R3.10: the load survives a larger MTU, and the old one again: {perf}"[:300])
    ours = load(b, a.mac, 30)
    wait_for_load(b)
    for station in (a, b):
        station.set_mtu(1000)
    status, answer = result_of(ours)
    check(status == 6 and answer["code"] == "peer_lost",
          f"R3.10: frames that no longer fit end it in time: {answer}"[:300])
    status, ping = run(b, "l2", "ping", "-i", b.interface, a.mac, "-c", "5", "--size", "5000", "--json")
    check(status == 0 and ping["lost"] == 0, "R3.10: a new connection has frames that fit")


def link_down(a, b, directory):
    """R3.10: the link goes down and up again under load; and stays down."""
    serve(a, directory)
    ours = load(b, a.mac, 4)
    wait_for_load(b)
    b.set_up(False)
    time.sleep(0.3)
    b.set_up(True)
    status, perf = result_of(ours)
    check(status == 0, f"R3.10: the load survives a short loss of the link: {perf}"[:300])
    ours = load(b, a.mac, 30)
    wait_for_load(b)
    b.set_up(False)
    status, answer = result_of(ours)
    check(status == 6 and answer["code"] in ("peer_lost", "timeout"),
          f"R3.10: a long one ends it, with status 6: {answer}"[:300])


def interface_deleted(a, b, directory):
    """R3.10: the interface goes under load, and with it the peer's, as the two are one cable."""
    server = serve(a, directory)
    ours = load(b, a.mac, 30)
    wait_for_load(b)
    started = time.monotonic()
    b.run(["ip", "link", "delete", b.interface])
    status, answer = result_of(ours)
    took = time.monotonic() - started
    check(status == 6 and answer["code"] in ("peer_lost", "timeout") and took < 12,
          f"R3.10: the load ends after {took:.1f} s, with status {status}: {answer}"[:300])
    status, answer = run(b, "l2", "ping", "-i", b.interface, a.mac, "--json")
    check(status == 3 and b.interface in answer["error"], f"R3.10: a new one is told: {answer}"[:300])
    check(server.process.poll() is None, "R3.10: the server is still there")
    status, _ = server.end(signal.SIGTERM)
    check(status == 0, f"R3.10: and ends well at a signal: {status}")


def peer_killed(a, b, directory):
    """A server that is killed is noticed; one that comes after it is none of its business."""
    server = serve(a, directory)
    ours = load(b, a.mac, 30)
    wait_for_load(b)
    started = time.monotonic()
    server.end(signal.SIGKILL)
    serve(a, directory)
    status, answer = result_of(ours)
    check(status == 6 and answer["code"] == "peer_lost", f"R3.6: the load ends: {answer}"[:300])
    check(time.monotonic() - started < 9, f"R3.6: after {time.monotonic() - started:.1f} s")
    status, ping = run(b, "l2", "ping", "-i", b.interface, a.mac, "-c", "5", "--json")
    check(status == 0 and ping["lost"] == 0, "R3.6: the new one answers")


def address_changes(a, b, directory):
    """The server's interface gets another address: the old one is given up, the new one answers."""
    serve(a, directory)
    ours = load(b, a.mac, 30)
    wait_for_load(b)
    started = time.monotonic()
    a.run(["ip", "link", "set", a.interface, "address", "02:00:00:00:00:77"])
    status, answer = result_of(ours)
    check(status == 6 and answer["code"] == "peer_lost", f"R3.10: the load ends: {answer}"[:300])
    check(time.monotonic() - started < 6, f"R3.10: after {time.monotonic() - started:.1f} s")
    status, ping = run(b, "l2", "ping", "-i", b.interface, "02:00:00:00:00:77", "-c", "5", "--json")
    check(status == 0 and ping["lost"] == 0, f"R3.10: the new address answers: {ping}"[:300])


def vlans(a, b, directory):
    """R3.10: one VLAN does not hear the other."""
    serve(a, directory, "--vlan", "7")
    status, ping = run(b, "l2", "ping", "-i", b.interface, a.mac, "-c", "5", "--vlan", "7", "--json")
    check(status == 0 and ping["lost"] == 0, f"R3.10: within VLAN 7: {ping}"[:200])
    for words in (["--vlan", "8"], []):
        status, _ = run(b, "l2", "ping", "-i", b.interface, a.mac, "--timeout", "1", *words, "--json")
        check(status == 6, f"R3.10: not with {words or 'no tag'}")


def changes_of_vlans(a, b, directory):
    """R3.10: VLANs come and go beside a load in another VLAN, and beside one in none: those of
    other processes, and interfaces of the kernel's where it has them."""
    for words in (["--vlan", "7"], []):
        server = serve(a, directory, *words)
        ours = load(b, a.mac, 3, *words)
        wait_for_load(b)
        for number in ("8", "9"):
            other = serve(a, directory, "--vlan", number)
            status, ping = run(b, "l2", "ping", "-i", b.interface, a.mac, "-c", "5", "--vlan", number,
                               "--json")
            check(status == 0 and ping["lost"] == 0, f"R3.10: VLAN {number} comes, and works")
            other.end(signal.SIGTERM)
            for station in (a, b):
                kernel_vlan(station, number)
        status, perf = result_of(ours)
        check(status == 0 and perf["operations"] > 0,
              f"R3.10: the load in {words or 'no VLAN'} goes on: {perf}"[:300])
        server.end(signal.SIGTERM)


def kernel_vlan(station, number):
    name = f"vlan{number}"
    made = station.run(["ip", "link", "add", "link", station.interface, "name", name, "type", "vlan",
                        "id", number], check=False)
    if made.returncode:
        check("Unknown device type" in made.stderr, "this kernel has no VLAN interfaces")
        return
    station.run(["ip", "link", "set", name, "up"])
    station.run(["ip", "link", "delete", name])


def two_processes(a, b, directory):
    """An interface belongs to one process, but for another EtherType."""
    other = ["--ether-type", "0x88b6"]
    for words in ([], other):
        serve(a, directory, *words)
    loads = [load(b, a.mac, 1, *words) for words in ([], other)]
    for ours in loads:
        status, perf = result_of(ours)
        check(status == 0 and perf["operations"] > 0, f"both work: {perf}"[:200])
    status, answer = run(a, "l2", "serve", "-i", a.interface, "--time", "1", "--json")
    check(status == 1 and "in use" in answer["error"], f"a second one is told: {answer}")


def sockets_of(station):
    return len(station.run(["cat", "/proc/net/packet"]).stdout.splitlines())


def opened_and_closed(a, b, directory):
    """R3.10: many clients come and go; the server holds nothing of theirs."""
    server = serve(a, directory)
    pid = next(p["pid"] for p in run(a, "l2", "stat", "-i", a.interface, "--json")[1]["processes"])
    sockets = None
    for number in range(OPENINGS):
        status, answer = run(b, "l2", "ping", "-i", b.interface, a.mac, "-c", "1", "--json")
        if status:
            check(False, f"R3.10: opening {number}: {answer}")
            return
        if number == OPENINGS // 2:
            sockets = sockets_of(b), descriptors(pid)
    check((sockets_of(b), descriptors(pid)) == sockets, f"R3.10: {OPENINGS} times opened and closed, "
          f"as many sockets and descriptors as before: {sockets}")
    server.end(signal.SIGTERM)


def descriptors(pid):
    return len(list(pathlib.Path(f"/proc/{pid}/fd").iterdir()))


if __name__ == "__main__":
    run_parts((beside_tcp, changes_of_mtu, link_down, interface_deleted, peer_killed,
               address_changes, vlans, changes_of_vlans, two_processes, opened_and_closed))
