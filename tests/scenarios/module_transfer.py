# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""What happens to card memory when things end in the middle of an RDMA transfer into it."""

import time

from p2plab import scenario

STREAM = "/src/build/lab/guest/uapi_rdma_stream"
FREE = "cat /sys/class/p2prdma/card0/mem_free"


def start_stream(machine):
    stream = machine.start(STREAM)
    stream.wait_output("flowing", 60)
    return stream


def written(machine):
    """Bytes that the receiving adapter has written through the switch."""
    return machine.counters("efa1")["dma"]["write"]["peer_switch"]


def grows(machine, timeout=20):
    before, end = written(machine), time.monotonic() + timeout
    while written(machine) == before and time.monotonic() < end:
        time.sleep(0.05)
    return written(machine) > before


def kill(stream):
    stream.kill(9)
    stream.wait(check=False)


def wait_dmesg(machine, text):
    machine.run(f"for i in $(seq 300); do dmesg | grep -q '{text}' && exit 0; sleep 0.1; done; "
                "exit 1", timeout=60)


@scenario("one-switch/refcard,efas=2")
def killed(lab):
    """kill -9 of the process that receives frees all, at whatever moment it comes."""
    a = lab["a"]
    before = a.run(FREE).out
    for moment in (0.0, 0.01, 0.1, 0.3):
        stream = start_stream(a)
        time.sleep(moment)
        kill(stream)
        a.run(f"for i in $(seq 100); do [ $({FREE}) = {before.strip()} ] && exit 0; sleep 0.1; "
              "done; exit 1")
    lab.ok(True, "the card's memory was free again after each kill -9")
    after = written(a)
    time.sleep(0.5)
    lab.is_equal(written(a), after, "the adapter writes no more")


@scenario("one-switch/{},efas=2", each=["refcard"], each_long=["ivshmem"])
def unbound(lab):
    """Unbind waits for the adapter, which goes on writing, until its process ends."""
    a = lab["a"]
    card = a.run("basename $(readlink -f /sys/class/p2prdma/card0/device)").out.strip()
    adapter = a.run("basename $(readlink -f /sys/class/infiniband/efa_1/device)").out.strip()
    driver = f"/sys/bus/pci/drivers/p2prdma_{a.spec.card}"
    stream = start_stream(a)
    unbind = a.start(f"echo {card} >{driver}/unbind")
    wait_dmesg(a, f"waiting for {adapter} to let go of 1048576 bytes .*(uapi_rdma_strea)")
    lab.ok(True, "the kernel log names the adapter and the process")
    lab.ok(grows(a), "the transfer goes on")
    lab.ok(unbind.running, "and unbind waits")
    lab.is_equal(a.run("p2prdma info 0 2>&1", check=False).rc != 0, True,
                 "for everybody else the card is gone")
    kill(stream)
    unbind.wait(30)
    after = written(a)
    lab.is_equal(a.run("ls /sys/class/p2prdma").out, "", "the card is unbound when the process ends")
    time.sleep(0.5)
    lab.is_equal(written(a), after, "the adapter writes no more")

    a.run(f"echo {card} >{driver}/bind")
    lab.is_equal(a.run(FREE).out, a.run("cat /sys/class/p2prdma/card0/mem_size").out,
                 "bound again, all of its memory is free")
    kill(start_stream(a))
    lab.ok(True, "and a transfer works")


@scenario("one-switch/ivshmem,efas=2")
def unplugged(lab):
    """A card that is unplugged while an adapter writes into it goes when the adapter lets go."""
    a = lab["a"]
    stream = start_stream(a)
    a.qmp("device_del", id="card0")
    wait_dmesg(a, "to let go of 1048576 bytes")
    lab.ok(grows(a), "the transfer goes on")
    kill(stream)
    gone = "for i in $(seq 300); do lspci -n | grep -q 1af4:1110 || exit 0; sleep 0.1; done; exit 1"
    lab.is_equal(a.run(gone, timeout=60, check=False).rc, 0, "then the card is gone")
    lab.is_equal(a.run("ls /sys/class/p2prdma").out, "", "for the module, too")
    a.run("rmmod p2prdma_ib p2prdma")
