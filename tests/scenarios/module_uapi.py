# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""The module with each of its card drivers: binding, and the tests of its ABI."""

from p2plab import scenario


@scenario("one-switch/{},efas=0,modules=p2prdma", each=["pci", "refcard"], each_long=["ivshmem"])
def passes_tests(lab):
    """A card of each driver passes the tests of the ABI, and is then as it was before."""
    a = lab["a"]
    lab.is_equal(a.run("cat /sys/class/p2prdma/card0/driver").out.strip(), a.spec.card,
                 "the right driver has the card")
    before = a.run("cat /sys/class/p2prdma/card0/mem_free").out
    lab.guest_tests(a, "uapi_test")
    lab.guest_tests(a, "uapi_mmap_test")
    lab.is_equal(a.run("cat /sys/class/p2prdma/card0/mem_free").out, before, "all memory is free")


@scenario("one-switch/ivshmem,efas=0,modules=p2prdma,kernel=oldest")
def on_the_oldest_kernel(lab):
    """The tests of the ABI on a kernel that does not route peer-to-peer DMA."""
    a = lab["a"]
    lab.is_equal(a.run("cat /sys/class/p2prdma/card0/capabilities").out.strip(), "0x1",
                 "memory, and nothing that this kernel lacks")
    lab.guest_tests(a, "uapi_test")
    lab.guest_tests(a, "uapi_mmap_test")
