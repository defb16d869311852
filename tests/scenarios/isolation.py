# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""What isolates a card next to an adapter, as the kernel of each topology sees it."""

from p2plab import scenario

# Below one switch without ACS the card reaches the adapter past the IOMMU, though they are in
# groups of their own. The emulated IOMMU has
# Linux forget mappings at once ("caching mode").
LEVELS = {"one-switch": "none", "two-ports": "none", "switch-iommu": "none",
          "ports-iommu": "iommu-strict"}


@scenario("{}/refcard", each=list(LEVELS), timeout=120)
def isolation_is_told_and_can_be_demanded(lab):
    a = lab["a"]
    level = LEVELS[a.spec.topology]
    told = a.run("p2prdma info --json").json()["reach"][0]["isolation"]
    lab.is_equal(told["level"], level, f"info tells the level: {told['reason']}")
    refused = a.run("p2prdma recv --card 0 --isolation iommu-strict --wait 1 --port 0", check=False)
    if level == "iommu-strict":
        lab.ok("nobody came" in refused.out or "not_isolated" not in refused.out
               and "is demanded" not in refused.out, "a level that is there is accepted")
    else:
        lab.ok("isolation iommu-strict is demanded, but there is none" in refused.out,
               f"a level that is not there is refused: {refused.out.strip()[-200:]}")
    if level == "iommu-strict":
        daemon = a.start_daemon("--isolation iommu-strict")
        a.run("kill -TERM $(pidof p2prdmad)")
        lab.is_equal(daemon.wait().rc, 0, "p2prdmad serves with a level that is there")
    else:
        for adapter in ("", " --adapter efa_0"):
            refused = a.run(f"p2prdmad --isolation iommu-strict{adapter}", check=False)
            lab.is_equal((refused.rc, "isolation iommu-strict is demanded, but there is none"
                          in refused.out), (5, True),
                         f"p2prdmad{adapter} refuses without it: {refused.out.strip()[-200:]}")
