# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""RDMA in Ethernet frames between two machines over virtio-net."""

from p2plab import Spec, scenario

BARE = Spec(card="none", efas=0, modules=())
DMA = Spec(card="none", efas=0, modules=(), dma_net=1)
MAC_OF_A = "52:54:00:00:00:01"
SERVICE = 17472


def without_ip(*machines):
    """From now on nothing but our frames can have brought what arrives."""
    for machine in machines:
        machine.run("ip address flush dev eth0")


def transfer(lab, size, receiver_options="", sender_options="", to="a"):
    """A file from b to a; the reports of both."""
    a, b = lab["a"], lab["b"]
    b.run(f"head -c {size} /dev/urandom > /tmp/f")
    receiver = a.start(f"p2prdma recv --via l2 -i eth0 --out /tmp/g --json {receiver_options}")
    receiver.wait_output("listening on 17471", 20)
    sent = b.run(f"p2prdma send /tmp/f --via l2 -i eth0 --to {to} --json {sender_options}",
                 timeout=90).json()
    received = receiver.wait(30).json()
    digest = b.run("sha256sum < /tmp/f").out.split()[0]
    lab.is_equal((a.run("sha256sum < /tmp/g").out.split()[0], sent["sha256"], received["sha256"]),
                 (digest,) * 3, f"{size} bytes {receiver_options} {sender_options}: all digests")
    return sent, received


@scenario([BARE, BARE], timeout=240, series="series")
def transfers(lab):
    """Files by name and by address, without IP, by both kinds of AF_PACKET, with loss and faults."""
    without_ip(lab["a"], lab["b"])
    for size in (0, 1, 1048577):
        sent, received = transfer(lab, size)
        lab.is_equal((sent["path"], sent["device"], received["bytes"]), ("ethernet", "eth0", size),
                     f"{size} bytes: the reports")
    transfer(lab, 1048577, to=MAC_OF_A)
    transfer(lab, 1048577, "--port-kind ring", "--port-kind packet")
    sent, received = transfer(lab, 1048577, "--implicit", "--lose 0.01")
    lab.ok(received["counters"]["faults"] > 0, "pages of the file were missing, and were brought")
    lab.ok(sent["counters"]["retransmitted"] > 0, "what was lost was sent again")


@scenario([DMA, DMA], timeout=240)
def zero_copy(lab):
    """AF_XDP on virtio-net, with zero-copy."""
    without_ip(lab["a"], lab["b"])
    for machine in lab["a"], lab["b"]:
        chosen = machine.run("p2prdma l2 stat -i eth0 --json").json()
        lab.ok(chosen["port"] == "xdp" and "zero-copy" in chosen["port_reason"],
               f"{machine.name}: {chosen['port_reason']}")
    transfer(lab, 1048577, "--port-kind xdp", "--port-kind xdp")
    transfer(lab, 1048577, "--port-kind packet", "--port-kind xdp")


@scenario([BARE, BARE], timeout=240, series="series")
def memory_of_other_kinds(lab):
    """R7.8: swapped memory and huge pages, which not every machine has."""
    a = lab["a"]
    a.run("modprobe zram && echo 64M >/sys/block/zram0/disksize && mkswap /dev/zram0 && "
          "swapon /dev/zram0 && echo 4 >/proc/sys/vm/nr_hugepages")
    for name in "R7.8: swapped memory comes again", "ProcessPager: pages of hugetlbfs":
        result = a.run(f"/src/build/lab/l2-tests '{name}'", timeout=60, check=False)
        lab.ok(result.rc == 0 and "All tests passed" in result.out, name)
        lab.diag(result.out)
    a.run("swapoff /dev/zram0; echo 0 >/proc/sys/vm/nr_hugepages")


@scenario([BARE, BARE], timeout=240, series="series")
def peer_reboot(lab):
    """R3.6: the peer is reset under load: the other is told in time, and can begin anew."""
    a, b = lab["a"], lab["b"]
    serve = f"p2prdma l2 serve -i eth0 --service {SERVICE}"
    a.start(serve).wait_output("serving", 20)
    load = b.start(f"p2prdma l2 perf -i eth0 {MAC_OF_A} --op write --size 4K --time 120 "
                   "--timeout 60 --json")
    b.run("sent=/sys/class/net/eth0/statistics/tx_packets; enough=$(($(cat $sent) + 1000)); "
          "until [ $(cat $sent) -gt $enough ]; do sleep 0.1; done", timeout=30)
    a.reset()
    result = load.wait(60, check=False)
    lab.ok(result.rc != 0, "the load ends, with an error")
    lab.is_equal(result.json()["code"], "peer_lost",
                 f"which says that the peer has gone: {result.json()['error']}")
    a.start(serve).wait_output("serving", 20)
    ping = b.run(f"p2prdma l2 ping -i eth0 {MAC_OF_A} -c 10 --json", timeout=30).json()
    lab.is_equal((ping["sent"], ping["lost"]), (10, 0), "a new connection works")
