# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""Cards that go while their memory is in use, and a module that comes and goes."""

from p2plab import scenario

TEST = "/src/build/lab/guest/uapi_gone_test"
MODULE = "/src/build/lab/kmod-$(uname -r | cut -d. -f1,2)/p2prdma.ko"


def pci_address(machine):
    return machine.run("basename $(readlink -f /sys/class/p2prdma/card0/device)").out.strip()


def driver_of(machine, address):
    return machine.run(f"basename $(readlink -f /sys/bus/pci/devices/{address}/driver)").out.strip()


def passes(lab, how, remove, bring_back):
    """Runs the test with a shell command that takes the card away, and one that brings it back."""
    result = lab["a"].run(f"P2PRDMA_REMOVE='{remove}' P2PRDMA_RETURN='{bring_back}' {TEST}",
                          timeout=90, check=False)
    lab.diag(result.out[-2000:])
    lab.is_equal(result.rc, 0, how)


@scenario("one-switch/{},efas=0,modules=p2prdma,cpus=2", each=["refcard"], each_long=["ivshmem", "pci"])
def unbind_and_remove(lab):
    """Unbind, and removal of the PCI device, while the memory is mapped and others allocate."""
    a = lab["a"]
    address = pci_address(a)
    driver = f"/sys/bus/pci/drivers/{driver_of(a, address)}"
    device = f"/sys/bus/pci/devices/{address}"
    passes(lab, "unbind", f"echo {address} >{driver}/unbind", f"echo {address} >{driver}/bind")
    passes(lab, "remove", f"echo 1 >{device}/remove", "echo 1 >/sys/bus/pci/rescan")
    a.run("rmmod p2prdma")
    lab.ok(True, "the module can be unloaded afterwards")


@scenario("one-switch/ivshmem,efas=0,modules=p2prdma,cpus=2")
def unplug(lab):
    """A card is unplugged while its memory is mapped."""
    a = lab["a"]
    test = a.start(TEST)
    test.wait_output("ready", 60)
    a.qmp("device_del", id="card0")
    result = test.wait(60, check=False)
    lab.diag(result.out[-2000:])
    lab.is_equal(result.rc, 0, "the card was unplugged while mapped")


@scenario("one-switch/ivshmem,efas=0,modules=")
def load_and_unload(lab):
    """100 times; nothing is left over, and a module in use stays."""
    a = lab["a"]
    a.run(f"insmod {MODULE} && rmmod p2prdma")  # what the first time allocates for good
    slab = "awk '/^Slab|^Percpu|^VmallocUsed/ { sum += $2 } END { print sum }' /proc/meminfo"
    loop = f"for i in $(seq 100); do insmod {MODULE} && rmmod p2prdma || exit 1; done"
    before = int(a.run(slab).out)
    lab.is_equal(a.run(loop, timeout=100, check=False).rc, 0, "100 times loaded and unloaded")
    after = int(a.run(slab).out)
    lab.diag(f"kernel memory: {before} kB before, {after} kB after")
    lab.ok(after - before < 400, "less than a page of kernel memory was lost each time")
    lab.is_equal(a.run("ls /sys/class/p2prdma /dev/p2prdma 2>/dev/null", check=False).out, "",
                 "no class, no device node left")

    a.run(f"insmod {MODULE}")
    holder = a.start("exec 3<>/dev/p2prdma/card0; echo open; sleep 1000")
    holder.wait_output("open")
    refused = a.run("rmmod p2prdma", check=False)
    lab.ok(refused.rc != 0, "unload is refused while a card is open")
    holder.kill()
    holder.wait(check=False)
    lab.is_equal(a.run("rmmod p2prdma", check=False).rc, 0, "and works when it is closed")


@scenario("one-switch/pci,efas=0,modules=")
def binding(lab):
    """The generic driver takes a card by ids=, by new_id and by driver_override; not by itself."""
    a = lab["a"]
    address = a.run("lspci -Dn -d 1b36:0005 | cut -d' ' -f1").out.strip()
    cards = "ls /sys/class/p2prdma"
    driver = "/sys/bus/pci/drivers/p2prdma_pci"

    def is_bound(how):
        lab.is_equal(a.run(cards).out.strip(), "card0", how)

    a.run(f"insmod {MODULE}")
    lab.is_equal(a.run(cards).out, "", "a device that nobody named is left alone")
    a.run(f"echo 1b36 0005 >{driver}/new_id")
    is_bound("new_id")
    a.run(f"rmmod p2prdma; insmod {MODULE}")
    a.run(f"echo p2prdma_pci >/sys/bus/pci/devices/{address}/driver_override; "
          f"echo {address} >/sys/bus/pci/drivers_probe")
    is_bound("driver_override")
    a.run(f"rmmod p2prdma; echo >/sys/bus/pci/devices/{address}/driver_override")
    a.run(f"insmod {MODULE} ids=8086:ffff,1b36:0005")
    is_bound("ids=")
    a.run("rmmod p2prdma")
    for bad in ("1b36", "hello", "1b36:0005,zz"):
        lab.ok(a.run(f"insmod {MODULE} ids={bad}", check=False).rc != 0, f"ids={bad} is refused")
        lab.ok(f'is not vendor:device' in a.run("dmesg | tail -n 3").out, "with a sentence")
