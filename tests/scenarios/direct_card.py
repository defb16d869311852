# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""lib/direct on a card's own machine: its CPU drives the host's adapter."""

from p2plab import scenario

# With and without an IOMMU, on one switch and on two root ports; make check-long has all four.
TOPOLOGIES, OTHERS = ["one-switch", "ports-iommu"], ["two-ports", "switch-iommu"]
# The host's own traffic, from its second adapter to that which the card drives: again and again
# until a file says that it is enough. The daemon goes first: it has the same CPU.
TRAFFIC = """
perftest="nice -n 19 ib_write_bw -x 0 -c SRD -s 65536 -t 16 -D 3 -N"
until [ -e /run/out/enough ]; do
    $perftest -d efa_0 >/tmp/server 2>&1 & server=$!
    for i in $(seq 100); do ss -tln | grep -q :18515 && break; sleep 0.1; done
    $perftest -d efa_1 127.0.0.1 >/tmp/client 2>&1 && wait $server || {
        cat /tmp/server /tmp/client; exit 1; }
    echo finished
done
"""


def written(host):
    """Bytes that others have written through the adapter into the host's memory."""
    return sum(r["bytes_written"].get("host_dram", 0)
               for r in host.counters("efa0")["model"]["regions"])


@scenario(["{}/machine,efas=2"], each=TOPOLOGIES, each_long=OTHERS, timeout=500)
def direct_card(lab):
    """Operations, batches, wraps, errors, visibility, counters and events, beside the host's own
    traffic; then while the host stands still."""
    host, card = lab["a"], lab["ac"]
    host.start_daemon("--adapter efa_0")
    traffic = host.start(TRAFFIC)
    traffic.wait_output("finished", 60)
    before = written(host)
    lab.guest_tests(card, "direct_card_test", timeout=400)
    beside = written(host) - before
    lab.ok(beside > 1 << 20, f"the host's own traffic went on beside: {beside} bytes")
    stand_still(lab, host, card)
    (host.out_dir / "enough").touch()
    result = traffic.wait(60, check=False)
    lab.is_equal(result.rc, 0, f"and ended well, {result.out.count('finished')} times")


def stand_still(lab, host, card):
    program = card.start("/src/build/lab/guest/direct_card_test [.stopped]")
    program.wait_output("ready", 60)
    with host.stopped():
        (card.out_dir / "stopped").touch()
        program.wait_output("done", 120)
    lab.is_equal(program.wait(60, check=False).rc, 0,
                 "R2.2 R6.1 400 operations and 100 wake-ups while the host stands still")


@scenario(["{}/machine,efa_counters=0"], each=["one-switch"], each_long=["ports-iommu"], timeout=400)
def direct_relay(lab):
    """R6.8: an adapter without completion counters: the daemon finds what is new in the queues
    in the card's memory, and wakes the card; the same programs work."""
    daemon = lab["a"].start_daemon()
    lab.guest_tests(lab["ac"], "direct_card_test", "'[relay],[.no-counters]'", timeout=300)
    lab.ok("no completion counters" in daemon.output(), "what cannot be relayed is in the log")
