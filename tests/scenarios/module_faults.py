# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""Cards that are broken or lie: each is refused with one sentence, and nothing stays claimed."""

from p2plab import scenario

MODULE = "/src/build/lab/kmod-$(uname -r | cut -d. -f1,2)/p2prdma.ko"
CARDS = "ls /sys/class/p2prdma 2>/dev/null"

# Registers of Documentation/refcard.rst, what they read, and what the driver says to it.
LIES = (
    ({"0x00": 0x12345678}, "not a reference card: MAGIC reads 0x12345678"),
    ({"0x04": 0x00020003}, "registers are of version 2.3, this driver knows 1"),
    ({"0x0c": 0xffffffff}, "the card does not answer"),
    ({"0x28": 7}, "SCRATCH reads 0x00000007"),
    ({"0x18": 4097}, "MEM_SIZE 4097 is no multiple of 4096"),
    ({"0x18": 0}, "BAR 2 cannot hold 0 bytes"),
    ({"0x18": 0x08000000}, "BAR 2 cannot hold 134217728 bytes"),
    ({"0x1c": 0xffffffff}, "BAR 2 cannot hold"),
)
DOORBELL_LIES = ({"0x20": 0}, {"0x20": 0x8001}, {"0x20": 0x3f000}, {"0x24": 0xffffffff},
                 {"0x20": 0xfffff000, "0x24": 0xffffffff})
WINDOW_LIES = ({"0x1000": 0x100021}, {"0x1000": 0xb0010}, {"0x1000": 0x400010},
               {"0x1000": 0xffffffff})


def lie(machine, registers):
    machine.server("device", "card0", request={"lies": registers})


def said(machine):
    """What the kernel has said about the card since the last call."""
    return machine.run("dmesg -c | grep -i -e p2prdma -e '0000:0'", check=False).out


def load(machine):
    said(machine)
    machine.run(f"rmmod p2prdma 2>/dev/null; insmod {MODULE}", timeout=30)
    return machine.run(CARDS, check=False).out.strip()


@scenario("one-switch/refcard,efas=0,modules=", series="series")
def lies(lab):
    """Registers with impossible contents."""
    a = lab["a"]
    for registers, sentence in LIES:
        lie(a, registers)
        lab.is_equal(load(a), "", f"{registers} is refused")
        text = said(a)
        if not lab.ok(sentence in text, f"with the sentence: {sentence}"):
            lab.diag(text)
    for registers in DOORBELL_LIES:
        lie(a, registers)
        lab.is_equal(load(a), "card0", f"{registers}: the card is used")
        lab.is_equal(a.run("cat /sys/class/p2prdma/card0/capabilities").out.strip(), "0x37",
                     "but no doorbells")
    for registers in WINDOW_LIES:
        lie(a, registers)
        lab.is_equal(load(a), "card0", f"{registers}: the card is used")
        lab.is_equal(a.run("cat /sys/class/p2prdma/card0/capabilities").out.strip(), "0x6f",
                     "but no windows")
    lie(a, {})
    lab.is_equal(load(a), "card0", "an honest card works afterwards")
    lab.is_equal(a.run("cat /sys/class/p2prdma/card0/capabilities").out.strip(), "0x7f",
                 "with doorbells and windows")
    lab.is_equal(a.run("cat /sys/class/p2prdma/card0/serial").out.strip(), "0000000000001000",
                 "and its serial number")


@scenario("one-switch/refcard,efas=0,modules=", series="series")
def no_memory(lab):
    """A card that says that it has no memory is there, and gives none."""
    a = lab["a"]
    lie(a, {"0x08": 2})
    lab.is_equal(load(a), "card0", "it is bound")
    lab.is_equal(a.run("cat /sys/class/p2prdma/card0/mem_size").out.strip(), "0", "of 0 bytes")
    result = a.run("/src/build/lab/guest/uapi_test 'MEM_ALLOC rounds*'", check=False)
    lab.ok("95 == 0" in result.out, "an allocation is EOPNOTSUPP")
    lie(a, {})


@scenario("one-switch/refcard,efas=0,modules=", series="series")
def not_ready(lab):
    """A card that is not ready in time, at first or after a reset."""
    a = lab["a"]
    reset = "echo 1 >/sys/class/p2prdma/card0/device/reset"
    info = "/src/build/lab/guest/uapi_test 'GET_INFO tells*'"
    a.server("device", "card0", request={"ready": False})
    lab.is_equal(load(a), "", "refused")
    lab.ok("not ready after 5 s" in said(a), "with a sentence")
    a.server("device", "card0", request={"ready": True, "fault": True})
    lab.is_equal(load(a), "card0", "ready: bound")
    lab.ok("reports a fault" in said(a), "a fault is reported")
    a.run(reset)
    lab.ok("fault" not in said(a), "and cleared by a reset")
    lab.is_equal(a.run(info, check=False).rc, 0, "the card works after the reset")

    a.server("device", "card0", request={"ready": False})
    holder = a.start("exec 3<>/dev/p2prdma/card0; echo open; sleep 1000")
    holder.wait_output("open")
    a.run(reset, timeout=30)
    lab.ok("did not come back from its reset" in said(a), "a card that does not come back is gone")
    result = a.run(info, check=False)
    lab.ok("No such device" in result.out, "for all: ENODEV")
    a.server("device", "card0", request={"ready": True})
    address = a.run("basename $(readlink -f /sys/class/p2prdma/card0/device)").out.strip()
    a.run(f"cd /sys/bus/pci/drivers/p2prdma_refcard; echo {address} >unbind; echo {address} >bind")
    lab.is_equal(a.run(info, check=False).rc, 0, "until it is bound anew")


@scenario("one-switch/pci,efas=0,modules=p2prdma")
def not_a_reference_card(lab):
    """Another device, given to the reference card's driver."""
    a = lab["a"]
    address = a.run("basename $(readlink -f /sys/class/p2prdma/card0/device)").out.strip()
    device = f"/sys/bus/pci/devices/{address}"
    said(a)
    a.run(f"echo {address} >{device}/driver/unbind; echo p2prdma_refcard >{device}/driver_override;"
          f"echo {address} >/sys/bus/pci/drivers_probe", check=False)
    lab.is_equal(a.run(CARDS).out, "", "is refused")
    lab.ok("not a reference card" in said(a), "with a sentence")
    a.run(f"echo >{device}/driver_override; echo {address} >/sys/bus/pci/drivers_probe")
    lab.is_equal(a.run(CARDS).out.strip(), "card0", "and is free for the generic driver again")


@scenario("one-switch/ivshmem,cards=2,efas=0,modules=")
def not_an_ivshmem(lab):
    """A network adapter whose BAR 2 is its MSI-X table, given to the driver of ivshmem."""
    a = lab["a"]
    address = a.run("lspci -Dn -d 1af4:1110 | tail -n 1 | cut -d' ' -f1").out.strip()
    device = f"/sys/bus/pci/devices/{address}"

    def wait(condition):
        a.run(f"for i in $(seq 300); do {condition} && exit 0; sleep 0.1; done; exit 1", timeout=60)

    a.qmp("device_del", id="card1")
    wait(f"[ ! -e {device} ]")
    a.qmp("device_add", driver="vmxnet3", id="net", bus="dn2", romfile="")
    wait(f"[ -e {device}/driver_override ]")
    a.run(f"insmod {MODULE}; echo p2prdma_ivshmem >{device}/driver_override")
    probe = f"echo {address} >/sys/bus/pci/drivers_probe"
    a.run(probe)
    lab.is_equal(a.run(f"cat {device}/p2prdma/card1/mem_size").out.strip(), "0",
                 "the MSI-X table is not handed out")
    a.run(f"echo {address} >{device}/driver/unbind; mount -t securityfs none /sys/kernel/security;"
          " echo integrity >/sys/kernel/security/lockdown")
    a.run(probe, check=False)
    lab.is_equal(a.run(CARDS).out.strip(), "card0", "a locked down kernel refuses to bind it")
    card = a.run("basename $(readlink -f /sys/class/p2prdma/card0/device)").out.strip()
    a.run(f"cd /sys/bus/pci/drivers/p2prdma_ivshmem; echo {card} >unbind; echo {card} >bind")
    lab.is_equal(a.run(CARDS).out.strip(), "card0", "but not a true ivshmem")
