# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""Registers of an RDMA adapter behind windows of a card: p2prdma_ib.ko."""

import pathlib

from p2plab import scenario
from p2plab.machine import kmod_dir

TEST = "uapi_hca_test"
UNBIND = ("address=$(basename $(readlink -f /sys/class/infiniband/efa_0/device)); "
          "echo $address >/sys/bus/pci/drivers/efa/unbind")
SOME, OTHERS = ["one-switch"], ["two-ports", "switch-iommu", "ports-iommu"]


@scenario("{}/refcard,efas=2,cpus=2,modules=efa+p2prdma+p2prdma_ib", each=SOME, each_long=OTHERS, timeout=180)
def passes_tests(lab):
    """What a process has mapped goes behind windows, and away with the mapping."""
    a = lab["a"]
    module = pathlib.Path(kmod_dir(a.run("uname -r").out.strip())) / "p2prdma_ib.ko"
    lab.ok(b"softdep=pre: ib_uverbs\0" in module.read_bytes(),
           "modprobe loads ib_uverbs first, whose end then comes after this module's")
    lab.guest_tests(a, TEST, "'~*unbinding*'", timeout=120)
    lab.is_equal(a.run("cat /sys/class/p2prdma/card0/windows_in_use").out.strip(), "0",
                 "no window is left")
    result = a.run(f"P2PRDMA_EFA_UNBIND='{UNBIND}' /src/build/lab/guest/{TEST} '*unbinding*'",
                   timeout=60, check=False)
    lab.diag(result.out[-1500:])
    lab.is_equal(result.rc, 0, "unbinding the adapter's driver takes windows away")
    a.run("for i in $(seq 100); do [ -e /sys/class/infiniband/efa_0 ] || exit 0; sleep 0.1; done; "
          "exit 1")
    lab.ok(True, "and when the process has ended, the driver is unbound")
    a.run("rmmod p2prdma_ib && rmmod p2prdma && rmmod efa")
    lab.ok(True, "the modules can be unloaded afterwards")


@scenario("refused/refcard,modules=efa+p2prdma+p2prdma_ib")
def out_of_reach(lab):
    """Where the host bridge does not forward, a window onto registers is refused with a reason."""
    a = lab["a"]
    result = a.run(f"/src/build/lab/guest/{TEST} '*go behind windows*'", check=False)
    lab.ok(result.rc != 0 and "95 == 0" in result.out, "no window onto registers")
    lab.ok("cannot be used for peer-to-peer DMA" in a.run("dmesg").out, "the kernel says why")
