# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""p2prdmad serves the programs of a card's own machine: each kind of call, and what it refuses."""

from card_client import *
from p2plab import scenario

SOME, OTHERS = ["one-switch"], ["two-ports", "switch-iommu", "ports-iommu"]
MACHINES = ["{}/refcard", "one-switch/none,efas=0,card_of=a.card0"]
ONES = 2**64 - 1


@scenario(MACHINES, each=SOME, each_long=OTHERS, timeout=200)
def daemon_calls(lab):
    """From HELLO to the end of a client."""
    host, card = lab["a"], lab["b"]
    host.start_daemon()
    process = Process(card)
    client = process.client()
    greeting(lab, client)
    memory(lab, host, process, client)
    regions(lab, client)
    handles(lab, client)


def greeting(lab, client):
    lab.is_equal(client.refusal(MEM_ALLOC, "QII", 4096, 0, 0), "EPROTO", "HELLO comes first")
    lab.is_equal(client.refusal(HELLO, "IIQ32s", 2, 3, 0, b"x"), "EOPNOTSUPP",
                 "there is a version in common, or none")
    hello = client.hello()
    lab.is_equal((hello["version"], hello["adapters"]), (1, 1), "HELLO tells version and adapters")
    lab.is_equal(hello["capabilities"], 3, "and what is offered: a direct data path and streams")
    lab.is_equal(client.refusal(HELLO, "IIQ32s", 1, 1, 0, b"x"), "EPROTO", "HELLO comes once")
    lab.is_equal(client.raw(99, b"")[0], "ENOSYS", "an unknown op is told from a failure")
    adapter = client.adapter()
    lab.is_equal(adapter["name"], "efa_0", "the adapter tells its name")
    lab.is_equal(adapter["caps"], 31, "and that it can all")
    lab.ok(adapter["reason"], "and why the isolation is what it is: " + adapter["reason"])


def memory(lab, host, process, client):
    number, grant, length = client.memory(10000)
    lab.is_equal(length, 12288, "memory comes in pages")
    client.map("m", grant, length)
    lab.is_equal([client.peek("m", i) for i in (0, 4096, 12280)], [0, 0, 0], "it reads as zero")
    client.poke("m", 8, 0x1122334455667788)
    lab.is_equal(client.peek("m", 8), 0x1122334455667788, "and keeps what is stored")
    other = process.client("other")
    other.hello()
    lab.is_equal(other.destroy(MEM_FREE, number), "ENOENT", "another client's objects are not found")
    lab.is_equal(other.map("x", grant, length), "!ENOENT", "nor mapped")
    other.close()
    client.unmap("m")
    lab.is_equal(client.destroy(MEM_FREE, number), "OK", "memory is freed")
    lab.is_equal(client.destroy(MEM_FREE, number), "ENOENT", "once")
    again, grant, length = client.memory(12288)
    client.map("m", grant, length)
    lab.is_equal(client.peek("m", 8), 0, "what it held is gone when it is given out again")
    client.unmap("m")
    client.destroy(MEM_FREE, again)
    lab.is_equal([client.refusal(MEM_ALLOC, "QII", *values) for values in
                  [(0, 0, 0), (4096, 8, 0), (4096, 0, 1), (1 << 40, 0, 0), (2**64 - 1, 0, 0)]],
                 ["EINVAL", "EINVAL", "EINVAL", "ENOSPC", "EINVAL"], "bad values are refused")


def regions(lab, client):
    number, _, length = client.memory(8192)
    region, lkey, rkey, address = client.region(number, 8192)
    lab.ok(lkey and rkey, "card memory is registered")
    lab.is_equal(client.destroy(MEM_FREE, number), "EBUSY", "and stays while it is")
    lab.is_equal([client.refusal(MR_REG, "IIQQII", *values) for values in
                  [(0, number, 0, 8193, 1, 0), (0, number, 8192, 1, 1, 0), (0, number, 1, 8192, 1, 0),
                   (0, number, 0, 0, 1, 0), (0, number, 2**64 - 1, 2, 1, 0), (1, number, 0, 1, 1, 0),
                   (0, number, 0, 8192, 1 << 5, 0), (0, 4711, 0, 1, 1, 0)]],
                 ["EINVAL"] * 7 + ["ENOENT"], "R2.4 a region ends where its memory does")
    lab.is_equal([client.destroy(MR_DEREG, region), client.destroy(MEM_FREE, number)], ["OK", "OK"],
                 "both go")


def handles(lab, client):
    cq, grant, offset, entries, size = client.cq(64)
    lab.ok(entries >= 64 and size in (16, 32), "a completion queue in card memory")
    client.map("cq", grant, offset + entries * size)
    lab.is_equal([client.peek("cq", i) for i in range(0, entries * size, 256)],
                 [0] * (entries * size // 256), "it is zeroed")
    client.unmap("cq")
    handle, _ = client.ah(client.adapter()["gid"])
    event, _, kind, page, reason = client.event()
    lab.is_equal((kind, reason), (0, ""), "an event is raised without the host")
    lab.ok(page, "on a doorbell page of the client's own")
    lab.is_equal([client.destroy(op, number) for op, number in
                  [(CQ_DESTROY, cq), (AH_DESTROY, handle), (EVENT_DESTROY, event)]], ["OK"] * 3,
                 "all go again")


def resources(host):
    """What the host has for clients: free card memory, and the daemon's descriptors."""
    free = host.run("cat /sys/class/p2prdma/card0/mem_free").out.strip()
    return free, host.run("ls /proc/$(pidof p2prdmad)/fd | wc -l").out.strip()


def life(client):
    """A queue pair with all around it, made and destroyed."""
    memory, _, _ = client.memory(65536)
    region, *_ = client.region(memory, 65536)
    cq, *_ = client.cq(64)
    qp, number, send, receive = client.qp(cq, receive=64)
    event, *_ = client.event()
    counter = client.counter(qp, 1, event)
    handle, _ = client.ah(client.adapter()["gid"])
    busy = [client.destroy(CQ_DESTROY, cq), client.destroy(EVENT_DESTROY, event)]
    gone = [client.destroy(op, of) for op, of in
            [(COUNTER_DESTROY, counter), (QP_DESTROY, qp), (CQ_DESTROY, cq), (EVENT_DESTROY, event),
             (AH_DESTROY, handle), (MR_DEREG, region), (MEM_FREE, memory)]]
    return busy, gone, number, send, receive


@scenario(["one-switch/refcard", MACHINES[1]], timeout=400, long=True)
def daemon_queue_pairs(lab):
    """Made, mapped, destroyed; fifty times, and nothing is left."""
    host, card = lab["a"], lab["b"]
    host.start_daemon()
    client = Process(card).client()
    client.hello()
    busy, gone, number, send, receive = life(client)
    lab.is_equal(busy, ["EBUSY", "EBUSY"], "what a queue pair needs stays while it is there")
    lab.is_equal(gone, ["OK"] * 7, "it is made and destroyed")
    lab.ok(number, "it has a number")
    lab.is_equal((send[4], send[5], receive[5]), (64, 64, 64), "and queues as wished")
    baseline = resources(host)
    for _ in range(50):
        busy, gone, *_ = life(client)
        if gone != ["OK"] * 7:
            lab.is_equal(gone, ["OK"] * 7, "destroyed again and again")
    lab.is_equal(resources(host), baseline, "fifty times, and nothing is left")
    windows(lab, client)


def windows(lab, client):
    cq, *_ = client.cq(64)
    qp, _, send, receive = client.qp(cq, send=16, receive=16)
    lab.ok(send[5] >= 64, "a small ring fills a page all the same")
    lab.is_equal(client.map("ring", send[0], send[4] * send[5]), "None", "the ring can be mapped")
    lab.is_equal(client.map("bell", send[2], 4), "None", "and the doorbell")
    lab.is_equal(client.map("rring", receive[0], 4096), "None", "and the receive ring")
    lab.is_equal(client.map("rbell", receive[2], 4), "None", "and its doorbell")
    lab.is_equal(client.peek("ring", 0), ONES, "queue memory cannot be read")
    for alias in "ring", "bell", "rring", "rbell":
        client.unmap(alias)
    qp2, _, large, _ = client.qp(cq, inline=80)
    lab.is_equal(large[4], 128, "much inline data makes large requests")
    lab.is_equal([client.refusal(QP_CREATE, "8I", 0, cq, cq, *values, 1, 0) for values in
                  [(0, 0, 0), (1 << 20, 0, 0), (16, 1 << 20, 0), (16, 0, 4096)]],
                 ["EINVAL"] * 4, "bad values are refused")
    lab.is_equal([client.destroy(QP_DESTROY, qp), client.destroy(QP_DESTROY, qp2)], ["OK"] * 2,
                 "all go again")


@scenario(["one-switch/refcard,kernel=oldest,modules=p2prdma+p2prdma_ib"], timeout=100)
def daemon_old_kernel(lab):
    """The oldest kernel, which does not route peer-to-peer DMA: the daemon says so, and ends."""
    host = lab["a"]
    lab.is_equal(host.run("uname -r").out.split(".")[:2], ["6", "12"], "the kernel is 6.12")
    result = host.run("p2prdmad", check=False)
    lab.ok("CONFIG_PCI_P2PDMA" in result.out, "the sentence names what is missing: " + result.out)
    lab.is_equal((result.rc, len(result.out.strip().splitlines())), (1, 1), "it is all that is said")


@scenario(["refused/refcard", MACHINES[1]], timeout=200)
def daemon_out_of_reach(lab):
    """R6.8: what the direct way needs and is not there: said, and refused; the rest works."""
    host, card = lab["a"], lab["b"]
    daemon = host.start_daemon()
    client = Process(card).client()
    lab.is_equal(client.refusal(HELLO, "IIQ32s", 1, 1, 1, b"x"), "EOPNOTSUPP",
                 "who needs a direct data path is refused at once")
    hello = client.hello()
    adapter = client.adapter()
    lab.is_equal(adapter["caps"] & ~3, 0, "the adapter says that it cannot")
    lab.ok("no direct data path" in adapter["reason"], "and why: " + adapter["reason"])
    lab.is_equal(hello["capabilities"] & 1, 0, "HELLO does not offer what no adapter can do")
    number, grant, length = client.memory(8192)
    client.map("m", grant, length)
    client.poke("m", 0, 42)
    lab.is_equal(client.peek("m", 0), 42, "memory is there")
    lab.is_equal(client.refusal(CQ_CREATE, "II", 0, 64), "EOPNOTSUPP", "completion queues are not")
    lab.ok("no completion queue in card memory" in daemon.output(), "and the log says why")
    lab.is_equal(client.refusal(MR_REG, "IIQQII", 0, number, 0, 8192, 1, 0), "EOPNOTSUPP",
                 "nor are regions")
    lab.is_equal(client.refusal(EVENT_CREATE, "II", 0, 1), "EOPNOTSUPP",
                 "nor are events, which nothing could raise")
    lab.ok("nothing could raise an event" in daemon.output(), "and the log says that, too")
