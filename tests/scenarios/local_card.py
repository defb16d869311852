# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""The module on the card's own machine. tests/guest/control_peer plays the host's daemon, so that
it can also lie, go and stay silent."""

from p2plab import scenario

HOST = "one-switch/refcard,cards=2,modules=,efas=0"
CARD = "one-switch/none,efas=0,card_of=a.card0,modules=p2prdma,cpus=2"
MACHINES = [HOST, CARD]
TEST = "/src/build/lab/guest/local_card_test"
PEER = "/src/tests/guest/control_peer"
MODULE = "/src/build/lab/kmod-$(uname -r | cut -d. -f1,2)/p2prdma.ko"
LOCAL = "/sys/class/p2prdma_local/local0"


def passes(lab, tags, how, timeout=120, environment=""):
    result = lab["b"].run(f"{environment} {TEST} '{tags}'", timeout=timeout, check=False)
    lab.diag(result.out[-4000:])
    lab.is_equal(result.rc, 0, how)


def start_peer(lab, arguments=""):
    peer = lab["a"].start(f"{PEER} {arguments}")
    peer.wait_output("serving", 30)
    return peer


def end(peer):
    peer.kill()
    peer.wait(check=False)


def wait_served(machine):
    machine.run(f"for i in $(seq 100); do grep -q served {LOCAL}/state && exit 0; sleep 0.1; done; "
                "exit 1", timeout=30)


def epoch(machine):
    return machine.run("p2prdma info --json").json()["epoch"]


def shown(machine, lab):
    wait_served(machine)
    cards = machine.run("p2prdma list --json").json()
    lab.is_equal((cards["cards"], [card["state"] for card in cards["local_cards"]]),
                 ([], ["served"]), "the card is listed")
    info = machine.run("p2prdma info --json").json()
    lab.is_equal([info["pool"], info["aperture"]], list(functions(machine)), "info tells its functions")
    lab.ok("own machine" in machine.run("p2prdma info local0").out, "info says what it is")


def functions(machine):
    """Addresses of pool and aperture."""
    return (machine.run(f"basename $(readlink -f {LOCAL}/device)").out.strip(),
            machine.run(f"cat {LOCAL}/aperture").out.strip())


@scenario(MACHINES, timeout=400)
def local_card(lab):
    all_of_it(lab)


@scenario([HOST, CARD + ",kernel=oldest"], timeout=400, long=True)
def local_card_oldest(lab):
    """The same on the card's oldest kernel."""
    all_of_it(lab)


def all_of_it(lab):
    """Alone, with a daemon of another version, served; what ends and what breaks."""
    lab["b"].run("mount -t debugfs none /sys/kernel/debug 2>/dev/null; true")
    passes(lab, "[alone]", "alone")
    peer = start_peer(lab, "7")
    passes(lab, "[foreign]", "with a daemon of another version")
    end(peer)
    peer = start_peer(lab)
    shown(lab["b"], lab)
    passes(lab, "[served]", "served")
    passes(lab, "[epoch]", "epochs that end")
    out = peer.output()
    lab.is_equal((out.count("untouched"), out.count("\ntouched")), (1, 0),
                 "an area of an epoch that is over is not touched")


@scenario(MACHINES, timeout=200, long=True)
def local_scramble(lab):
    """A host that writes rubbish into the control area while it is used."""
    start_peer(lab)
    passes(lab, "[scramble]", "nobody is harmed")


@scenario(MACHINES, timeout=400, long=True)
def local_removal(lab):
    """Functions are removed, unbound and reset while a call waits and memory is mapped."""
    b = lab["b"]
    start_peer(lab)
    pool, aperture = functions(b)
    driver = "/sys/bus/pci/drivers/p2prdma_local"
    for name, function in (("pool", pool), ("aperture", aperture)):
        device = f"/sys/bus/pci/devices/{function}"
        passes(lab, "[removal]", f"the {name} is unbound", environment=(
            f"P2PRDMA_REMOVE='echo {function} >{driver}/unbind' "
            f"P2PRDMA_RETURN='echo {function} >{driver}/bind'"))
        passes(lab, "[removal]", f"the {name} is removed", environment=(
            f"P2PRDMA_REMOVE='echo 1 >{device}/remove' "
            "P2PRDMA_RETURN='echo 1 >/sys/bus/pci/rescan'"))
        passes(lab, "[removal]", f"the {name} is reset", environment=(
            f"P2PRDMA_REMOVE='echo 1 >{device}/reset' P2PRDMA_RETURN=true"))


@scenario(MACHINES, timeout=300, long=True)
def local_load_and_unload(lab):
    """50 times with a daemon on the host; a module in use stays."""
    b = lab["b"]
    start_peer(lab)
    holder = b.start("exec 3<>/dev/p2prdma/local0; echo open; sleep 1000")
    holder.wait_output("open")
    lab.ok(b.run("rmmod p2prdma", check=False).rc != 0, "unload is refused while a card is open")
    holder.kill()
    holder.wait(check=False)
    wait_served(b)
    old = epoch(b)
    b.run(f"rmmod p2prdma && insmod {MODULE}")
    wait_served(b)
    lab.ok(epoch(b) != old, "an epoch of an earlier life is not joined again")
    loop = f"for i in $(seq 50); do rmmod p2prdma && insmod {MODULE} || exit 1; done"
    lab.is_equal(b.run(loop, timeout=200, check=False).rc, 0, "50 times unloaded and loaded")
    wait_served(b)
    lab.ok(True, "and served in a new epoch")
    b.run("rmmod p2prdma")
    lab.is_equal(b.run("ls /sys/class/p2prdma_local /dev/p2prdma 2>/dev/null", check=False).out, "",
                 "no class, no device node left")
