# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""A drawing of the demonstration's two hosts and their cards, with the bytes that took each way."""


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
    routes, fetched = report["route_bytes"], report["sender_route_bytes"]
    still = f"still for {report['hosts_stopped_seconds']:.1f} s"
    b = box("host B: " + still, [
        "host memory ─► " + count(fetched["host_dram"]),
        "    │          of the file",
        "CPU ── host bridge",
        "           │",
        "        PCIe switch",
        "         │       │",
        "       card ═► adapter ══",
        "        │ " + count(fetched["peer_switch"]),
        "        │ by the switch",
        "   the card's own CPU",
        "   posts and rings",
    ], 34)
    a = box("host A: " + still, [
        "host memory ◄─ " + count(routes["host_dram"]) + " of the file",
        "    │          " + count(report["concurrent_host_bytes"]) + " of the hosts' own",
        "CPU ── host bridge: " + count(routes["peer_bridge"]) + " of the file",
        "           │",
        "        PCIe switch",
        "         │       │",
        "══ adapter ═══► card",
        "   " + count(routes["peer_switch"]) + " through the switch",
        "   " + count(routes["message"]) + " unresolved (messages to QEMU)",
        "   the card's own CPU checks the digests,",
        "   woken by the adapter's interrupts",
    ], 52)
    link = [" " * 9] * len(a)
    link[7] = "═ RDMA ═►"
    link[8] = " write   "
    rows = [f"  {left}{mid}{right}" for left, mid, right in zip(b, link, a)]
    same = "equal" if report["sha256_equal"] else "DIFFERENT"
    rows += [
        "",
        f"  file     {report['file']}: {count(report['file_bytes'])} in "
        f"{report['operations']:,} operations",
        f"  sha256   {report['sha256']} ({same} on both sides)",
        f"  hosts    {report['hosts_stopped_ops']:,} operations while they stood still: "
        f"{report['host_interrupts']} interrupts of the hosts,",
        f"           {report['p2p_interrupts']:,} of the cards, by the adapters",
        f"  payload bytes through the hosts' memory: {report['payload_host_dram_bytes']}; "
        f"isolation: {report['isolation']}",
        f"  meanwhile host to host over the same adapters: {count(report['concurrent_host_bytes'])}",
        f"  {report['seconds']:.2f} s in all (emulated: says nothing about hardware)",
    ]
    return "\n".join(rows)
