# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""A drawing of the two machines of the demonstration, with the bytes that took each way."""


def count(n):
    """A number of bytes for people: 14,505,920 B."""
    return f"{n:,} B"


def box(title, lines, width):
    """A frame with a title; every line is padded to `width`."""
    top = f"┌─ {title} " + "─" * (width - len(title) - 3) + "┐"
    body = [f"│ {line:{width - 1}}│" for line in lines]
    return [top, *body, "└" + "─" * width + "┘"]


def draw(report):
    """The drawing, as one string."""
    routes = report["route_bytes"]
    payload = count(routes["peer_switch"])
    fetched = count(report["sender_route_bytes"]["host_dram"])
    b = box("machine B: sends", [
        "host memory ─► " + fetched,
        "    │          of the file",
        "CPU ── host bridge",
        "           │",
        "        PCIe switch",
        "         │       │",
        "       card   adapter ══",
        "",
        "",
    ], 34)
    a = box("machine A: receives", [
        "host memory ◄─ " + count(routes["host_dram"]) + " of the file",
        "    │          " + count(report["concurrent_host_bytes"]) + " of the hosts' own",
        "CPU ── host bridge: " + count(routes["peer_bridge"]) + " of the file",
        "           │",
        "        PCIe switch",
        "         │       │",
        "══ adapter ════► card memory",
        "   " + payload + " through the switch",
        "   " + count(routes["message"]) + " unresolved (messages to QEMU)",
    ], 52)
    link = [" " * 9] * len(a)
    link[7] = "═ RDMA ═►"
    link[8] = " write   "
    rows = [f"  {left}{mid}{right}" for left, mid, right in zip(b, link, a)]
    same = "equal" if report["sha256_equal"] else "DIFFERENT"
    rows += [
        "",
        f"  file     {report['file']}: {count(report['file_bytes'])} in "
        f"{report['seconds']:.2f} s (emulated: says nothing about hardware)",
        f"  sha256   {report['sha256']} ({same} on both sides)",
        f"  payload bytes through machine A's host memory: {report['payload_host_dram_bytes']}",
        f"  meanwhile host to host over the same adapters: {count(report['concurrent_host_bytes'])}",
    ]
    return "\n".join(rows)
