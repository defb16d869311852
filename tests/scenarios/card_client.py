# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""What scenarios about the daemon share: clients in the card's own machine, and the bodies of
include/uapi/linux/p2prdma_control.h."""

import errno
import struct

from p2plab import Dialogue

HELLO, CLIENT_GONE, ADAPTER_QUERY = 1, 2, 3
MEM_ALLOC, MEM_FREE, MR_REG, MR_DEREG, CQ_CREATE, CQ_DESTROY = 4, 5, 6, 7, 8, 9
QP_CREATE, QP_DESTROY, AH_CREATE, AH_DESTROY = 10, 11, 12, 13
EVENT_CREATE, EVENT_DESTROY, COUNTER_CREATE, COUNTER_DESTROY = 14, 15, 16, 17
LISTEN, ACCEPT, CONNECT, SEND, RECEIVE, CLOSE = 18, 19, 20, 21, 22, 23
LOCAL_WRITE, REMOTE_WRITE, REMOTE_READ = 1, 2, 4

NO_BODY = ""


class Refused(Exception):
    """The daemon's status, as the errno's name."""


class Process(Dialogue):
    """tests/guest/card_client in a card's machine."""

    def __init__(self, machine):
        super().__init__(machine, "/src/tests/guest/card_client")

    def __call__(self, command, timeout=30):
        """The answer's text, or the errno's name after a "!"."""
        kind, _, text = self.ask(command, timeout).partition(" ")
        return f"!{text}" if kind == "!" else text

    def client(self, name="c"):
        return Client(self, name)


class Client:
    """An open card, and what the daemon makes for it."""

    def __init__(self, process, name):
        self.process, self.name = process, name
        process(f"open {name}")

    def raw(self, op, body):
        """The daemon's errno's name or "OK", and the reply's body."""
        answer = self.process(f"call {self.name} {op} {body.hex() if body else '-'}")
        if answer.startswith("!"):
            return answer, b""
        status, _, reply = answer.partition(" ")
        name = errno.errorcode.get(int(status), status) if int(status) else "OK"
        return {"ENOTSUP": "EOPNOTSUPP"}.get(name, name), bytes.fromhex(reply)

    def call(self, op, layout, *values, reply=None):
        status, body = self.raw(op, struct.pack("<" + layout, *values))
        if status != "OK":
            raise Refused(status)
        return struct.unpack("<" + reply, body) if reply else body

    def refusal(self, op, layout, *values):
        """The name of the errno, or "OK"."""
        return self.raw(op, struct.pack("<" + layout, *values))[0]

    def hello(self):
        version, epoch, offers, adapters, qps, memory, host = self.call(
            HELLO, "IIQ32s", 1, 1, 0, self.name.encode(), reply="IIQIIQ64s")
        return {"version": version, "epoch": epoch, "capabilities": offers, "adapters": adapters,
                "qps": qps, "memory": memory, "host": host.rstrip(b"\0").decode()}

    def adapter(self, number=0):
        *numbers, rdma, gid, name, reason = self.call(ADAPTER_QUERY, "II", number, 0,
                                                      reply="8IQ16s24s128s")
        keys = "caps isolation family max_send max_receive max_cq max_inline max_message".split()
        return dict(zip(keys, numbers)) | {
            "max_rdma": rdma, "gid": gid, "name": name.rstrip(b"\0").decode(),
            "reason": reason.rstrip(b"\0").decode()}

    def memory(self, length, flags=0):
        """id, grant, length."""
        return self.call(MEM_ALLOC, "QII", length, flags, 0, reply="IIQ")

    def region(self, memory, length, offset=0, access=LOCAL_WRITE | REMOTE_WRITE | REMOTE_READ):
        """id, lkey, rkey, address."""
        got = self.call(MR_REG, "IIQQII", 0, memory, offset, length, access, 0, reply="IIIIQ")
        return got[0], got[1], got[2], got[4]

    def cq(self, entries=64):
        """id, grant, offset, entries, entry size."""
        return self.call(CQ_CREATE, "II", 0, entries, reply="IIQII")

    def qp(self, cq, send=64, receive=0, inline=0, qkey=0x1234):
        """id, number, send queue, receive queue; each a tuple of struct p2prdma_queue."""
        got = self.call(QP_CREATE, "8I", 0, cq, cq, send, receive, inline, qkey, 0, reply="18I")
        return got[0], got[1], got[2:10], got[10:18]

    def ah(self, gid):
        """id, number."""
        return self.call(AH_CREATE, "II16s", 0, 0, gid, reply="II")

    def event(self, relayed=0):
        """id, grant, kind, page, reason."""
        *numbers, reason = self.call(EVENT_CREATE, "II", 0, relayed, reply="IIII128s")
        return *numbers, reason.rstrip(b"\0").decode()

    def counter(self, qp, operations, target, offset=0):
        return self.call(COUNTER_CREATE, "IIIIQ", qp, operations, target, 0, offset,
                         reply="II")[0]

    def destroy(self, op, number):
        return self.refusal(op, "II", number, 0)

    def stream(self, op, number=0, port=0, wait=0, length=0, host=b""):
        """The name of the errno or "OK", and the body: of all but RECEIVE an id."""
        status, body = self.raw(op, struct.pack("<IIII128s", number, port, wait, length, host))
        if status == "OK" and op != RECEIVE:
            return status, struct.unpack("<II", body)[0]
        return status, body

    def send(self, number, data):
        return self.raw(SEND, struct.pack("<II", number, len(data)) + data)[0]

    def map(self, alias, grant, length):
        return self.process(f"map {self.name} {alias} {grant} {length}")

    def peek(self, alias, offset):
        return int(self.process(f"peek {alias} {offset}"))

    def poke(self, alias, offset, value):
        return self.process(f"poke {alias} {offset} {value}")

    def unmap(self, alias):
        return self.process(f"unmap {alias}")

    def state(self):
        return int(self.process(f"state {self.name}"))

    def close(self):
        return self.process(f"close {self.name}")
