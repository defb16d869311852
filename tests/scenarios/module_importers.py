# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""Card memory that other devices' drivers have imported, without an adapter."""

from p2plab import scenario

IMPORTER = "/src/build/lab/kmod-$(uname -r | cut -d. -f1,2)/p2prdma_test_importer.ko"


def address_of(machine, card):
    return machine.run(f"basename $(readlink -f /sys/class/p2prdma/{card}/device)").out.strip()


@scenario("one-switch/{},cards=2,efas=0,modules=p2prdma,cpus=2", each=["refcard"], each_long=["ivshmem"])
def revoked_or_waited_for(lab):
    """Importers are admitted, refused, revoked or waited for, as their kind and policy demand."""
    a = lab["a"]
    a.run(f"insmod {IMPORTER}")
    result = a.run(f"P2PRDMA_IMPORTER={address_of(a, 'card1')} "
                   "/src/build/lab/guest/uapi_importer_test", timeout=100, check=False)
    lab.diag(result.out[-4000:])
    lab.is_equal(result.rc, 0, "uapi_importer_test")
    lab.is_equal(a.run("rmmod p2prdma p2prdma_test_importer", check=False).rc, 0,
                 "both modules can be unloaded: nothing is held")


@scenario("refused/ivshmem,cards=2,efas=0,modules=p2prdma")
def refused(lab):
    """What the kernel does not let through is refused in one sentence that names the cause."""
    a = lab["a"]
    a.run(f"insmod {IMPORTER}")
    importer = address_of(a, "card1")
    result = a.run(f"P2PRDMA_IMPORTER={importer} /src/build/lab/guest/uapi_importer_test "
                   "'an importer alone keeps the memory allocated'", check=False)
    lab.ok("95 == 0" in result.out, "attach fails with EOPNOTSUPP")
    log = a.run("dmesg | grep 'cannot reach'").out.strip()
    lab.diag(log)
    lab.is_equal(len(log.splitlines()), 1, "one sentence")
    for what in (importer, address_of(a, "card0"), "0000:00:00.0 [8086:29c0]"):
        lab.ok(what in log, f"it names {what}")
