#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""An Ethernet segment on one machine: stations are network namespaces, joined by a veth pair or,
if there are more than two or a bridge is wanted, by a bridge in a namespace of its own.

    with Segment(mtu=9000) as (a, b):
        server = b.start(["p2prdma", "l2", "serve", b.interface])
        print(a.run(["p2prdma", "l2", "ping", a.interface, b.mac]).stdout)

Needs CAP_NET_ADMIN and CAP_SYS_ADMIN (scripts/in-root gives them), ip, unshare, nsenter, taskset.
Everything is gone when the segment is closed or its process ends, however that comes about.
"""

import ctypes
import fcntl
import re
import socket
import struct
import subprocess
import sys
import time

INTERFACE = "eth0"
BRIDGE = "br0"
_ETHTOOL = {"tso": 0x1F, "gso": 0x24, "gro": 0x2C}  # ETHTOOL_STSO, _SGSO, _SGRO
_SIOCETHTOOL = 0x8946


class Namespace:
    """A network namespace, and what was started in it."""

    def __init__(self, name):
        self.name = name
        self._started = []
        # cat ends when this process does, and with it the namespace.
        self._holder = subprocess.Popen(
            ["unshare", "--net", "sh", "-c", "echo made; exec cat >/dev/null"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        if self._holder.stdout.readline() != "made\n":
            raise RuntimeError(f"{name}: a network namespace cannot be made here")
        self.run(["ip", "link", "set", "lo", "up"])
        self.run(["sh", "-c", "! [ -e /proc/sys/net/ipv6 ] || "
                  "echo 1 >/proc/sys/net/ipv6/conf/default/disable_ipv6"])

    @property
    def pid(self):
        """Of a process in the namespace."""
        return self._holder.pid

    def command(self, command, core=None):
        """The same command, inside; on one core only if `core` is a number."""
        pin = [] if core is None else ["taskset", "--cpu-list", str(core)]
        return ["nsenter", f"--net=/proc/{self.pid}/ns/net", *pin, *map(str, command)]

    def run(self, command, core=None, check=True, timeout=60, **options):
        """Runs it to its end. With check, a failure raises what it said on stderr."""
        options = {"capture_output": True, "text": True, **options}
        done = subprocess.run(self.command(command, core), check=False, timeout=timeout, **options)
        if check and done.returncode:
            raise RuntimeError(f"{self.name}: {' '.join(map(str, command))}: exit "
                               f"{done.returncode}: {done.stderr}")
        return done

    def start(self, command, core=None, **options):
        """Starts it; it is killed with the segment if it has not ended before."""
        options = {"stdin": subprocess.DEVNULL, "text": True, **options}
        process = subprocess.Popen(self.command(command, core), **options)
        self._started.append(process)
        return process

    def close(self):
        for process in self._started:
            if process.poll() is None:
                process.kill()
            process.wait()
        self._holder.stdin.close()
        self._holder.stdout.close()
        self._holder.wait()


class Station(Namespace):
    """One end of the segment: interface, mac, ip."""

    def __init__(self, number):
        super().__init__(f"station {number}")
        self.interface = INTERFACE
        self.mac = f"02:00:00:00:00:{number + 1:02x}"
        self.ip = f"10.88.0.{number + 1}"

    def configure(self, mtu):
        link = ["ip", "link", "set", self.interface]
        self.run([*link, "address", self.mac, "mtu", str(mtu)])
        self.run([*link, "up"])
        self.run(["ip", "address", "add", f"{self.ip}/24", "dev", self.interface])

    def set_mtu(self, mtu):
        self.run(["ip", "link", "set", self.interface, "mtu", str(mtu)])

    def set_up(self, is_up):
        self.run(["ip", "link", "set", self.interface, "up" if is_up else "down"])

    def set_offloads(self, **offloads):
        """set_offloads(tso=False, gso=False, gro=True): as ethtool -K."""
        settings = [f"{name}={int(value)}" for name, value in offloads.items()]
        self.run([sys.executable, __file__, self.interface, *settings])

    def counters(self):
        """Of the interface: {"rx_packets": 1, ...}."""
        names = "bytes packets errs drop fifo frame compressed multicast".split()
        text = self.run(["cat", "/proc/net/dev"]).stdout
        values = re.search(rf"^ *{self.interface}:(.*)$", text, re.M).group(1).split()
        return {f"{way}_{name}": int(value)
                for way, part in (("rx", values[:8]), ("tx", values[8:]))
                for name, value in zip(names, part)}


def _wait_for(namespace, interface, sign):
    deadline = time.monotonic() + 10
    while sign not in namespace.run(["ip", "-d", "link", "show", interface]).stdout:
        if time.monotonic() > deadline:
            raise RuntimeError(f"{namespace.name}: {interface} does not come to {sign}")
        time.sleep(0.01)


class Segment:
    """Stations that hear each other. bridge=None: only if there are more than two."""

    def __init__(self, stations=2, mtu=1500, bridge=None):
        self._bridge = None
        self.stations = []
        try:
            for number in range(stations):
                self.stations.append(Station(number))
            if stations > 2 if bridge is None else bridge:
                self._join_by_bridge(mtu)
            else:
                self._join_by_cable(mtu)
            for station in self.stations:
                station.configure(mtu)
            self._wait_until_up()
        except BaseException:
            self.close()
            raise

    def _join_by_cable(self, mtu):
        a, b = self.stations
        a.run(["ip", "link", "add", INTERFACE, "mtu", mtu, "type", "veth",
               "peer", "name", INTERFACE, "mtu", mtu, "netns", b.pid])

    def _join_by_bridge(self, mtu):
        self._bridge = Namespace("bridge")
        run = self._bridge.run
        run(["ip", "link", "add", BRIDGE, "mtu", mtu, "type", "bridge", "forward_delay", "0"])
        run(["ip", "link", "set", BRIDGE, "up"])
        for number, station in enumerate(self.stations):
            port = f"port{number}"
            run(["ip", "link", "add", port, "mtu", mtu, "type", "veth",
                 "peer", "name", INTERFACE, "mtu", mtu, "netns", station.pid])
            run(["ip", "link", "set", port, "master", BRIDGE, "up"])

    def _wait_until_up(self):
        for station in self.stations:
            _wait_for(station, INTERFACE, "LOWER_UP")
        for number in range(len(self.stations) if self._bridge else 0):
            _wait_for(self._bridge, f"port{number}", "state forwarding")

    @property
    def bridge(self):
        """The namespace of the bridge, with port0, port1...; None without one."""
        return self._bridge

    def close(self):
        for namespace in [*self.stations, self._bridge]:
            if namespace:
                namespace.close()

    def __iter__(self):
        return iter(self.stations)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def _set_offload(interface, name, value):
    setting = ctypes.create_string_buffer(struct.pack("=II", _ETHTOOL[name], value))
    request = struct.pack("16sP", interface.encode(), ctypes.addressof(setting)).ljust(40, b"\0")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, _SIOCETHTOOL, request)


if __name__ == "__main__":
    for word in sys.argv[2:]:
        _set_offload(sys.argv[1], word.split("=")[0], int(word.split("=")[1]))
