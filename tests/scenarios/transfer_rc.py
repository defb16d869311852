# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""The p2prdma command over reliable connections: rxe, the kernel's software adapter."""

from p2plab import Spec, scenario

BARE = Spec(card="none", efas=0, modules=())


@scenario([BARE, BARE], name="transfer_rc.host_to_host", timeout=150)
def host_to_host(lab):
    """Host memory to host memory, with the file in one piece, in many, and empty."""
    a, b = lab["a"], lab["b"]
    for machine in a, b:
        machine.run("modprobe rdma_rxe && rdma link add rxe0 type rxe netdev eth0")
    for size, options in ((0, ""), (1, ""), (1048577, ""), (1048577, "--piece 64K")):
        b.run(f"head -c {size} /dev/urandom > /tmp/f")
        receiver = a.start("p2prdma recv --out /tmp/g --json")
        receiver.wait_output("listening on 17471", 20)
        sent = b.run(f"p2prdma send /tmp/f --to a --json {options}", timeout=60).json()
        received = receiver.wait(30).json()
        case = f"{size} bytes{' in pieces of 64K' if options else ''}"
        digest = b.run("sha256sum < /tmp/f").out.split()[0]
        lab.is_equal(a.run("sha256sum < /tmp/g").out.split()[0], digest, f"{case}: the file is right")
        lab.is_equal((sent["sha256"], received["sha256"]), (digest, digest), f"{case}: the digests")
        lab.is_equal((received["bytes"], received["path"], received["device"], received["card"]),
                     (size, "host", "rxe0", None), f"{case}: the report")
        lab.is_equal(received["pieces"], 17 if options else min(size, 1), f"{case}: the pieces")
        lab.is_equal(len(received["rkeys"]), min(received["pieces"], 2), f"{case}: the regions")
    lab.is_equal(a.run("ls -A /tmp | grep -v '^g$'", check=False).out, "", "no temporary file is left")
