# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""What goes wrong with a transfer: a sentence, an exit status, and nothing is left behind."""

from p2plab import scenario

MIB = 1 << 20
CARD = 8 * MIB
MACHINE = f"one-switch,card_memory={CARD}"
# The status of the command, as Documentation/command.rst has it.
FAILED, USAGE, NO_DEVICE, NO_SPACE, UNREACHABLE, PEER_LOST, MISMATCH = range(1, 8)


def free(machine):
    return int(machine.run("cat /sys/class/p2prdma/card0/mem_free").out)


def files(machine):
    return machine.run("ls -A /tmp/out").out.split()


def transfer(lab, what):
    """A whole transfer: everything still works."""
    a, b = lab["a"], lab["b"]
    receiver = a.start("p2prdma recv --card 0 --json")
    receiver.wait_output("listening", 20)
    b.run("p2prdma send /src/Makefile --to a", timeout=60)
    lab.ok(receiver.wait(30).json()["sha256_equal"], f"{what}: a new transfer works")
    lab.is_equal(free(a), CARD, f"{what}: all card memory is free")


def begin(lab):
    """A transfer that is under way: pieces so small that it takes its time."""
    a, b = lab["a"], lab["b"]
    receiver = a.start("exec p2prdma recv --card 0 --out /tmp/out/f --json")
    receiver.wait_output("listening", 20)
    sender = b.start("exec p2prdma send /tmp/large --to a --json --piece 4K")
    a.run("until ls -A /tmp/out | grep -q . && [ $(stat -c %s /tmp/out/.f.*) -gt 65536 ]; "
          "do sleep 0.05; done", timeout=30)
    return receiver, sender


@scenario([MACHINE, MACHINE], timeout=200, series="faults")
def killed(lab):
    """kill -9 of either end, and SIGTERM, in the middle."""
    a, b = lab["a"], lab["b"]
    a.run("mkdir /tmp/out")
    b.run("truncate -s 256M /tmp/large")
    for end, signal, status in (("sender", 9, None), ("receiver", 9, None), ("receiver", 15, 130),
                                ("sender", 2, 130)):
        what = f"signal {signal} to the {end}"
        receiver, sender = begin(lab)
        lab.ok(free(a) < CARD, f"{what}: card memory is in use before")
        dies, stays = (sender, receiver) if end == "sender" else (receiver, sender)
        dies.kill(signal)
        died, stayed = dies.wait(20, check=False), stays.wait(20, check=False)
        lab.diag(stayed.out.strip())
        if status:
            lab.is_equal(died.rc, status, f"{what}: its own status")
            lab.is_equal(stayed.json()["code"], "peer_failed", f"{what}: the other is told")
        else:
            lab.is_equal((stayed.rc, stayed.json()["code"]), (PEER_LOST, "peer_lost"),
                         f"{what}: the other notices")
        # Only one who was killed outright cannot tidy up.
        lab.is_equal(len(files(a)), 1 if end == "receiver" and signal == 9 else 0,
                     f"{what}: no file is left")
        a.run("rm -f /tmp/out/.f.*")
        lab.is_equal((free(a), free(b)), (CARD, CARD), f"{what}: all card memory is free")
    transfer(lab, "after it all")


@scenario([MACHINE, MACHINE], timeout=150, series="faults")
def no_room(lab):
    """A full card, a full disk: both ends are told, with the figures."""
    a, b = lab["a"], lab["b"]
    hold = ("import fcntl, struct, sys, os, time\n"
            "card = os.open('/dev/p2prdma/card0', os.O_RDWR)\n"
            f"request = bytearray(struct.pack('=IIQQIIiI', 40, 0, {CARD}, 0, 0, 0, -1, 0))\n"
            "fcntl.ioctl(card, 0xb941, request)\n"
            "print('held', flush=True)\n"
            "time.sleep(1000)\n")
    a.run(f"cat > /tmp/hold.py <<'EOF'\n{hold}EOF")
    holder = a.start("python3 /tmp/hold.py")
    holder.wait_output("held", 30)
    receiver = a.start("p2prdma recv --card 0 --json --out /tmp/g")
    receiver.wait_output("listening", 20)
    sent = b.run("p2prdma send /src/Makefile --to a --json", check=False)
    received = receiver.wait(20, check=False)
    lab.is_equal((received.rc, received.json()["code"]), (NO_SPACE, "card_full"), "the card is full")
    lab.diag(received.json()["error"])
    lab.ok("0 bytes free" in received.json()["error"], "the sentence has the figures")
    lab.is_equal(sent.rc, NO_SPACE, "the sender ends with the same status")
    lab.ok("card0 is full" in sent.json()["error"], "and with the sentence")
    sent = b.run("p2prdma send /src/Makefile --to a --card 0 --json", check=False)
    lab.is_equal(sent.rc, PEER_LOST, "the receiver has ended")
    holder.kill()
    holder.wait(10, check=False)
    a.run("mkdir /tmp/small && mount -t tmpfs -o size=64k tmpfs /tmp/small")
    b.run("truncate -s 200K /tmp/f")
    receiver = a.start("p2prdma recv --card 0 --json --out /tmp/small/f")
    receiver.wait_output("listening", 20)
    sent = b.run("p2prdma send /tmp/f --to a --json", check=False)
    received = receiver.wait(20, check=False)
    lab.is_equal((received.rc, received.json()["code"], sent.rc), (NO_SPACE, "disk_full", NO_SPACE),
                 "the disk is full")
    lab.is_equal(a.run("ls -A /tmp/small; umount /tmp/small").out, "", "no file is left")
    transfer(lab, "after both")


@scenario([MACHINE, MACHINE], timeout=150, series="faults")
def strangers(lab):
    """What connects and is no sender is told of and ignored; a version is checked."""
    a, b = lab["a"], lab["b"]
    b.run("cat > /tmp/say.py <<'EOF'\n"
          "import socket, sys\n"
          "s = socket.create_connection(('a', 17471), 10)\n"
          "s.sendall(bytes.fromhex(sys.argv[1]))\n"
          "s.settimeout(20)\n"
          "while s.recv(4096): pass\n"
          "EOF")
    receiver = a.start("p2prdma recv --card 0 --json")
    receiver.wait_output("listening", 20)
    b.run("python3 /tmp/say.py " + b"GET / HTTP/1.1\r\n\r\n12345678".hex())
    receiver.wait_output("the peer is no p2prdma command", 10)
    b.run("python3 /tmp/say.py 50325246" + "0700" + "00" * 18)
    receiver.wait_output("the peer speaks version 7 of the protocol, this command version 1", 10)
    b.run("python3 /tmp/say.py 50325246010001" + "00ffffffff" + "00" * 12)
    receiver.wait_output("wrong length", 10)
    b.run("python3 /tmp/say.py ''", timeout=20)  # says nothing
    receiver.wait_output("nothing happened for 5 seconds", 20)
    lab.ok(receiver.running, "the receiver still waits")
    sent = b.run("p2prdma send /src/Makefile --to a --json", timeout=30).json()
    lab.is_equal(receiver.wait(20).json()["sha256"], sent["sha256"], "the sender comes through")
    b.run("cat > /tmp/serve.py <<'EOF'\n"
          "import socket, sys\n"
          "s = socket.create_server(('', 17471))\n"
          "print('ready', flush=True)\n"
          "c, _ = s.accept()\n"
          "c.sendall(bytes.fromhex(sys.argv[1]))\n"
          "c.recv(4096)\n"
          "EOF")
    for said, words in (("50325246" + "0200" + "00" * 18, "version 2"), (b"220 smtp ready, hello\r\n....".hex(), "no p2prdma"),
                        ("", "nothing happened")):
        server = b.start(f"python3 /tmp/serve.py '{said}'")
        server.wait_output("ready", 20)
        result = a.run("p2prdma send /src/Makefile --to b --timeout 2", check=False)
        lab.ok(result.rc in (FAILED, PEER_LOST) and words in result.out, f"a receiver that is none: {words}")
        server.kill()
        server.wait(10, check=False)


LIAR = """
import hashlib, socket, struct, sys
s = socket.create_connection(('a', 17471), 10)
f = s.makefile('rwb')
def get():
    magic, version, kind, size, zero, token = struct.unpack('<IHHIIQ', f.read(24))
    return kind, token, f.read(size)
def put(kind, token, body):
    f.write(struct.pack('<4sHHIIQ', b'P2RF', 1, kind, len(body), 0, token) + body)
    f.flush()
kind, token, hello = get()
put(1, token, hello)
lie = sys.argv[1]
put(2, token, struct.pack('<QQ', 1 << 63 if lie == 'size' else 8192, 4096))
print(get()[0])
if lie == 'order':
    put(4, token, struct.pack('<QQ', 1, 4096))
if lie == 'length':
    put(4, token, struct.pack('<QQ', 0, 1 << 40))
if lie == 'token':
    put(4, token ^ 1, struct.pack('<QQ', 0, 4096))
if lie == 'digest':
    for piece in 0, 1:
        put(4, token, struct.pack('<QQ', piece, 4096))
        while get()[0] == 6: pass
    put(7, token, struct.pack('<Q', 8192) + hashlib.sha256(b'x' * 8192).digest())
while f.read(1): pass
"""


@scenario([MACHINE, MACHINE], timeout=150, series="faults")
def liars(lab):
    """A sender that follows the protocol, but for one lie."""
    a, b = lab["a"], lab["b"]
    a.run("mkdir /tmp/out")
    b.run(f"cat > /tmp/liar.py <<'EOF'\n{LIAR}EOF")
    for lie, status, words in (("order", FAILED, "not the piece that was due"),
                               ("length", FAILED, "not the piece that was due"),
                               ("token", FAILED, "another transfer"),
                               ("digest", MISMATCH, "are not those")):
        receiver = a.start("p2prdma recv --card 0 --json --out /tmp/out/f")
        receiver.wait_output("listening", 20)
        b.run(f"python3 /tmp/liar.py {lie}", timeout=20)
        received = receiver.wait(20, check=False)
        lab.is_equal((received.rc, words in received.json()["error"]), (status, True), f"{lie}: seen")
        lab.is_equal((files(a), free(a)), ([], CARD), f"{lie}: nothing is left")
    receiver = a.start("p2prdma recv --card 0 --json")
    receiver.wait_output("listening", 20)
    b.run("python3 /tmp/liar.py size", timeout=20, check=False)
    receiver.wait_output("a file's size is out of range", 20)
    b.run("p2prdma send /src/Makefile --to a", timeout=60)
    lab.ok(receiver.wait(20).json()["sha256_equal"], "size: refused before it is a transfer")


@scenario([MACHINE, MACHINE], timeout=120, series="faults")
def file_changes(lab):
    """A file that changes its size while it is sent is no file that was sent."""
    a, b = lab["a"], lab["b"]
    a.run("mkdir /tmp/out")
    b.run("truncate -s 256M /tmp/large")
    receiver, sender = begin(lab)
    b.run("truncate -s 1M /tmp/large")
    sent, received = sender.wait(30, check=False), receiver.wait(30, check=False)
    lab.is_equal((sent.rc, sent.json()["code"]), (FAILED, "file_changed"), "the sender says so")
    lab.ok("became shorter" in received.json()["error"], "the receiver is told")
    lab.is_equal((received.rc, files(a)), (FAILED, []), "and leaves no file")
    lab.is_equal(free(a), CARD, "all card memory is free")


def bind(machine, address):
    """Binds a card to its driver, and waits until it can be used."""
    machine.run(f"echo {address} > /sys/bus/pci/drivers_probe", timeout=20)
    machine.run("until [ -e /dev/p2prdma/card0 ]; do sleep 0.1; done", timeout=20)


@scenario([MACHINE, MACHINE], timeout=150, series="faults")
def card_goes(lab):
    """The card is unbound in the middle: the command ends, then the unbind does."""
    a = lab["a"]
    a.run("mkdir /tmp/out")
    lab["b"].run("truncate -s 256M /tmp/large")
    receiver, sender = begin(lab)
    address = a.run("basename $(readlink -f /sys/class/p2prdma/card0/device)").out.strip()
    unbind = a.start(f"echo {address} > /sys/bus/pci/devices/{address}/driver/unbind")
    received, sent = receiver.wait(30, check=False), sender.wait(30, check=False)
    lab.diag(received.json()["error"])
    lab.is_equal((received.rc, received.json()["code"]), (NO_DEVICE, "card_gone"), "the receiver says so")
    lab.is_equal(sent.rc, NO_DEVICE, "the sender is told")
    lab.is_equal(unbind.wait(20).rc, 0, "the unbind ends")
    lab.is_equal(files(a), [], "no file is left")
    bind(a, address)
    receiver = a.start("p2prdma recv --card 0 --json")
    receiver.wait_output("listening", 20)
    a.run(f"echo {address} > /sys/bus/pci/devices/{address}/driver/unbind", timeout=20)
    lab.is_equal(receiver.wait(20, check=False).json()["code"], "card_gone", "one that waits ends too")
    bind(a, address)
    transfer(lab, "after it was bound again")


@scenario([MACHINE, MACHINE], timeout=150, series="faults")
def bad_input(lab):
    """Each mistake has its sentence and status. Last of its series: module and adapter go."""
    a, b = lab["a"], lab["b"]
    b.run("mkfifo /tmp/fifo; echo x > /tmp/f")
    for machine, arguments, status, words in (
            (b, "send /tmp/none --to a", FAILED, "no file /tmp/none"),
            (b, "send /tmp --to a", FAILED, "/tmp is a directory"),
            (b, "send /tmp/fifo --to a", FAILED, "not a regular file"),
            (b, "send /tmp/f --to nobody", PEER_LOST, "nobody"),
            (b, "send /tmp/f --to a", PEER_LOST, "Connection refused"),
            (b, "send /tmp/f --to a:x", USAGE, "a:x"),
            (b, "send /tmp/f", USAGE, "--to"),
            (b, "send /tmp/f --to a --card 7", NO_DEVICE, "no card 7; there is card0"),
            (b, "send /tmp/f --to a --card /dev/null", NO_DEVICE, "not a card"),
            (a, "recv --card 00:1f.0", NO_DEVICE, "0000:00:1f.0"),
            (a, "recv --device mlx5_0", NO_DEVICE, "no RDMA device mlx5_0; there is efa_0"),
            (a, "recv --out /tmp", FAILED, "/tmp is a directory"),
            (a, "recv --out /none/f", FAILED, "/none/f"),
            (a, "recv --json --out -", USAGE, "standard output"),
            (a, "recv --piece 0", USAGE, "--piece"),
            (a, "recv --bind 192.0.2.1", FAILED, "17471"),
            (a, "recv --wait 1", PEER_LOST, "nothing happened for 1 second"),
            (a, "frobnicate", USAGE, "frobnicate"),
            (a, "", USAGE, "list, info, send, recv or l2")):
        result = machine.run(f"p2prdma {arguments}", check=False)
        lines = [l for l in result.out.splitlines() if not l.startswith("listening")]
        lab.is_equal((result.rc, len(lines), words in result.out), (status, 1, True), f"p2prdma {arguments}")
        if words not in result.out:
            lab.diag(result.out)
    result = a.run("chmod 600 /dev/p2prdma/card0; setpriv --reuid 65534 --clear-groups p2prdma info", check=False)
    lab.is_equal((result.rc, "no permission to open /dev/p2prdma/card0" in result.out), (FAILED, True),
                 "another user's card")
    receiver = a.start("exec p2prdma recv")
    receiver.wait_output("listening", 20)
    lab.ok("Address already in use" in a.run("p2prdma recv", check=False).out, "a port in use")
    receiver.kill()
    a.run("rmmod p2prdma_ib p2prdma")
    lab.ok("modprobe p2prdma" in a.run("p2prdma list", check=False).out, "no module")
    b.run("echo 1 > /sys/class/infiniband/efa_0/device/remove", timeout=20)
    lab.is_equal(b.run("p2prdma send /tmp/f --to a", check=False).rc, NO_DEVICE, "no RDMA device")
    result = a.run("p2prdma recv --card 7 --json", check=False)
    lab.is_equal(result.json()["code"], "module_not_loaded", "as JSON")


@scenario(["refused", "one-switch/none"], timeout=120)
def refused(lab):
    """The kernel refuses when the adapter, named by the user, is to map the card's memory."""
    a, b = lab["a"], lab["b"]
    free_before = free(a)
    receiver = a.start("p2prdma recv --card 0 --device efa_0 --json")
    receiver.wait_output("listening", 20)
    sent = b.run("p2prdma send /src/Makefile --to a --json", check=False)
    received = receiver.wait(20, check=False)
    lab.diag(received.json()["error"])
    lab.is_equal((received.rc, received.json()["code"], sent.rc), (UNREACHABLE, "unreachable", UNREACHABLE),
                 "both ends have the status")
    for name in ("efa_0", "card0", "host bridge 0000:00:00.0"):
        lab.ok(name in received.json()["error"] and name in sent.json()["error"], f"both name {name}")
    receiver = b.start("exec p2prdma recv")
    receiver.wait_output("listening", 20)
    sent = a.run("p2prdma send /src/Makefile --to b --card 0 --device efa_0 --json", check=False)
    lab.is_equal((sent.rc, sent.json()["code"]), (UNREACHABLE, "unreachable"), "and so it is for a sender")
    lab.ok("refused" in a.run("p2prdma info --json").out, "info says so beforehand")
    lab.is_equal(free(a), free_before, "nothing stays allocated")
    a.run("p2prdma send /src/Makefile --to b", timeout=60)
    lab.is_equal(receiver.wait(20).rc, 0, "from host memory it works, to the receiver that still waits")
