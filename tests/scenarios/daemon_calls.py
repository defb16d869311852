# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""p2prdmad serves the programs of a card's own machine: each kind of call, and what it refuses."""

from card_client import *
from p2plab import scenario

MACHINES = ["one-switch/refcard", "one-switch/none,efas=0,card_of=a.card0"]
ONES = 2**64 - 1


@scenario(MACHINES, timeout=200)
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
