# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""What a machine is made of, as QEMU's arguments and as the lab server's configuration."""

import dataclasses
import json
import pathlib

MIB = 1 << 20


@dataclasses.dataclass(frozen=True)
class Topology:
    """How the devices of a machine hang together."""

    what: str
    switch: bool
    cpu: str = "max"
    iommu: bool = False


topologies = {
    "one-switch": Topology("all devices below one PCIe switch", switch=True),
    "two-ports": Topology("a root port for each device; an EPYC, whose host bridge the kernel "
                          "allows to forward peer-to-peer traffic", switch=False, cpu="EPYC"),
    "refused": Topology("a root port for each device; a host bridge that the kernel does not "
                        "know to forward peer-to-peer traffic", switch=False),
    "switch-iommu": Topology("one PCIe switch, IOMMU on", switch=True, iommu=True),
    "ports-iommu": Topology("a root port for each device, EPYC, IOMMU on", switch=False,
                            cpu="EPYC", iommu=True),
}

cards = ("refcard", "machine", "ivshmem", "pci", "none")
MODULES = ("efa", "p2prdma", "p2prdma_ib")
NAMES = "abcdefgh"


@dataclasses.dataclass(frozen=True)
class Spec:
    """One machine: a topology and what is plugged in."""

    topology: str = "one-switch"
    card: str = "refcard"  # one of `cards`; "machine": a refcard, with a machine of its own
    cards: int = 1
    card_memory: int = 64 * MIB
    efas: int = 1
    efa_counters: int = 1  # 0: adapters without completion counters
    cpus: int = 1
    memory: int = 512 * MIB
    modules: tuple = MODULES  # loaded before the scenario starts
    dma_net: int = 0  # 1: the Ethernet card uses the DMA API, which AF_XDP's zero-copy needs
    kernel: str = ""  # a release; empty: the newest; or "oldest"
    card_of: str = ""  # this is the card's own machine of that card, "MACHINE.CARD"
    name: str = ""  # empty: "a", "b", ... in the order of the list

    def __str__(self):
        """The shortest text that of() understands."""
        options = [f"{f.name}={'+'.join(v) if isinstance(v, tuple) else v}"
                   for f in dataclasses.fields(self)[2:]
                   if (v := getattr(self, f.name)) != f.default]
        return ",".join([f"{self.topology}/{self.card}", *options])

    @staticmethod
    def of(text):
        """From "TOPOLOGY[/CARD][,NAME=VALUE...]", for example "two-ports/ivshmem,efas=2"."""
        if isinstance(text, Spec):
            return text
        head, *options = text.split(",")
        topology, _, card = head.partition("/")
        values = {"topology": topology, "card": card or "refcard"}
        fields = {f.name: f.type for f in dataclasses.fields(Spec)}
        for option in options:
            name, _, value = option.partition("=")
            if name not in fields:
                raise ValueError(f"machine '{text}': unknown option '{name}'")
            if fields[name] is tuple:
                values[name] = tuple(value.split("+")) if value else ()
            else:
                try:
                    values[name] = fields[name](value)
                except ValueError:
                    raise ValueError(f"machine '{text}': {name} takes a number, "
                                     f"not '{value}'") from None
        if topology not in topologies:
            raise ValueError(f"machine '{text}': no topology '{topology}'; there are: "
                             + ", ".join(topologies))
        if values["card"] not in cards:
            raise ValueError(f"machine '{text}': no card '{card}'; there are: " + ", ".join(cards))
        return Spec(**values)


def named(specs):
    """The machines of a lab by their names. A card "machine" of machine "a" becomes a refcard in
    "a" and, right behind it, the card's own machine: "ac"."""
    if len(specs) > len(NAMES):
        raise ValueError(f"at most {len(NAMES)} machines")
    machines = {}
    for letter, spec in zip(NAMES, specs):
        name = spec.name or letter
        own = {name: spec}
        if spec.card == "machine":
            own = {name: dataclasses.replace(spec, card="refcard"),
                   name + "c": card_machine(name, spec)}
        if machines.keys() & own.keys():
            raise ValueError(f"two machines are called '{name}'")
        machines |= own
    return machines


def card_machine(host, spec):
    """The own machine of card0 of a host of that name and specification."""
    return Spec(card="none", efas=0, card_of=f"{host}.card0", kernel=spec.kernel,
                modules=tuple(m for m in spec.modules if m == "p2prdma"))


class Layout:
    """One machine's devices, placed: QEMU arguments and server configuration."""

    def __init__(self, name, spec, run_dir, ram_dir, index):
        self.name, self.spec, self.index = name, spec, index
        self.topology = topologies[spec.topology]
        self.run_dir, self.ram_dir = pathlib.Path(run_dir), pathlib.Path(ram_dir)
        self.qemu = []
        self.devices = []  # for the lab server
        self.bars = []
        self._ports = 0
        self._place()

    def server_config(self):
        return {"name": self.name, "ram": [str(self._ram)], "bars": self.bars,
                "devices": self.devices}

    @property
    def _ram(self):
        return self.ram_dir / f"{self.name}.ram"

    @property
    def _switch(self):
        return "sw0" if self.topology.switch else None

    def _place(self):
        self._machine()
        if self.topology.switch:
            self._bridge("pcie-root-port", "rp0", "pcie.0")
            self.qemu += ["-device", "x3130-upstream,id=up0,bus=rp0"]
        for i in range(self.spec.cards if self.spec.card != "none" else 0):
            getattr(self, "_card_" + self.spec.card)(f"card{i}", i)
        if self.spec.card_of:
            for kind in ("pool", "aperture"):
                self._vfio_user(kind, {"type": f"refcard-{kind}", "of": self.spec.card_of})
        for i in range(self.spec.efas):
            config = {"type": "efa", "fabric": "net0"}
            if not self.spec.efa_counters:
                config["event_counters"] = False
            self._vfio_user(f"efa{i}", config)

    def _machine(self):
        q35 = "q35,accel=tcg,memory-backend=ram"
        self.qemu += [
            "-M", q35, "-cpu", self.topology.cpu, "-smp", str(self.spec.cpus),
            "-m", f"{self.spec.memory // MIB}M",
            "-object", f"memory-backend-file,id=ram,mem-path={self._ram},"
                       f"size={self.spec.memory},share=on",
        ]
        if self.topology.iommu:  # must come before the devices
            self.qemu += ["-device", "intel-iommu,caching-mode=on"]

    def _bridge(self, driver, name, bus):
        self._ports += 1
        self.qemu += ["-device", f"{driver},id={name},bus={bus},chassis={self._ports},"
                                 f"slot={self._ports}"]
        return name

    def _slot(self):
        """A new port for one device: below the switch, or a root port of its own."""
        if self.topology.switch:
            return self._bridge("xio3130-downstream", f"dn{self._ports}", "up0")
        return self._bridge("pcie-root-port", f"rp{self._ports}", "pcie.0")

    def _vfio_user(self, device, config):
        socket = self.run_dir / f"{self.name}.{device}.sock"
        self.devices.append({"id": device, "socket": str(socket), "switch": self._switch, **config})
        self.qemu += ["-device", json.dumps({
            "driver": "vfio-user-pci", "bus": self._slot(), "id": device,
            "socket": {"type": "unix", "path": str(socket)}})]

    def _card_refcard(self, device, i):
        self._vfio_user(device, {"type": "refcard", "memory": self.spec.card_memory,
                                 "serial": 0x1000 * (self.index + 1) + i})

    def _card_ivshmem(self, device, i):
        path = self.ram_dir / f"{self.name}.{device}.mem"
        self.bars.append({"path": str(path), "switch": self._switch})
        self.qemu += [
            "-object", f"memory-backend-file,id={device}m,mem-path={path},"
                       f"size={self.spec.card_memory},share=on",
            "-device", f"ivshmem-plain,id={device},memdev={device}m,bus={self._slot()}"]

    def _card_pci(self, device, i):
        self.qemu += ["-device", f"pci-testdev,id={device},membar={self.spec.card_memory},"
                                 f"membar-backed=on,bus={self._slot()}"]
