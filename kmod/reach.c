// SPDX-License-Identifier: GPL-2.0-only
/*
 * Which devices can reach a card's memory, by which way, and if not, why not.
 */
#include <linux/iommu.h>
#include <linux/pci.h>
#include <linux/pci-p2pdma.h>
#ifdef CONFIG_X86
#include <asm/processor.h>
#endif

#include "card.h"
#include "compat.h"
#include "reach.h"

/**
 * struct reach_path - the way between a peer and a card
 * @common: the lowest bridge above both; @card's own function if they are the
 *	same; NULL if only the root complex joins them
 * @acs: a bridge on the way below @common that sends peer-to-peer traffic up
 *	to the root complex; NULL if there is none
 * @translated: the peer's accesses go up to an IOMMU, whatever joins the two
 * @hops: as the kernel counts them
 *
 * The bridges are borrowed from the two devices, which hold what is above them.
 */
struct reach_path {
	struct pci_dev *common;
	struct pci_dev *acs;
	bool translated;
	int hops;
};

#if P2P_HAVE_PROVIDER || !IS_ENABLED(CONFIG_IOMMU_API)

/* Below a switch the kernel gives out bus addresses, IOMMU or not. */
static bool is_translated(struct pci_dev *peer)
{
	return false;
}

#else

/* What dma_map_resource() returns is then no address that a switch knows. */
static bool is_translated(struct pci_dev *peer)
{
	struct iommu_domain *domain = iommu_get_domain_for_dev(&peer->dev);

	return domain && domain->type != IOMMU_DOMAIN_IDENTITY;
}

#endif

static bool redirects(struct pci_dev *bridge)
{
	int pos = pci_find_ext_capability(bridge, PCI_EXT_CAP_ID_ACS);
	u16 ctrl;

	if (!pos)
		return false;
	pci_read_config_word(bridge, pos + PCI_ACS_CTRL, &ctrl);
	return ctrl & (PCI_ACS_RR | PCI_ACS_CR | PCI_ACS_EC);
}

/* Hops from @dev up to @above, or to the root bus if @above is not found. */
static int hops_up(struct pci_dev *dev, struct pci_dev *above, bool *found)
{
	int hops = 0;

	for (; dev && dev != above; dev = pci_upstream_bridge(dev))
		hops++;
	*found = dev;
	return hops;
}

static struct reach_path find_path(struct pci_dev *card, struct pci_dev *peer)
{
	struct reach_path path = { .translated = is_translated(peer) };
	struct pci_dev *dev;
	bool found = false;
	int hops = 0;

	for (dev = card; dev; dev = pci_upstream_bridge(dev), hops++) {
		if (!path.acs && redirects(dev))
			path.acs = dev;
		path.hops = hops + hops_up(peer, dev, &found);
		if (found)
			break;
	}
	if (!found) {
		path.hops = hops + hops_up(peer, NULL, &found);
		path.acs = NULL;
		return path;
	}
	path.common = dev;
	for (dev = peer; dev != path.common && !path.acs;
	     dev = pci_upstream_bridge(dev))
		if (redirects(dev))
			path.acs = dev;
	return path;
}

static bool goes_by_switch(const struct reach_path *path)
{
	return path->common && !path->acs && !path->translated;
}

#if P2P_HAVE_PROVIDER

static int reach_distance(struct p2p_card *card, struct pci_dev *peer,
			  const struct reach_path *path)
{
	return pci_p2pdma_distance(card->pdev, &peer->dev, false);
}

#else

/* The part of the kernel's list of able root complexes that can be asked for. */
static bool root_complex_forwards(void)
{
#ifdef CONFIG_X86
	return boot_cpu_data.x86_vendor == X86_VENDOR_AMD &&
	       boot_cpu_data.x86 >= 0x17;
#else
	return false;
#endif
}

static int reach_distance(struct p2p_card *card, struct pci_dev *peer,
			  const struct reach_path *path)
{
	if (goes_by_switch(path) || root_complex_forwards())
		return path->hops;
	return -1;
}

#endif

static enum p2prdma_reach reach_verdict(const struct reach_path *path,
					int distance)
{
	if (distance < 0)
		return P2PRDMA_REACH_REFUSED;
	if (goes_by_switch(path))
		return P2PRDMA_REACH_SWITCH;
	return P2PRDMA_REACH_BRIDGE;
}

static struct pci_dev *top_bridge(struct pci_dev *dev)
{
	while (pci_upstream_bridge(dev))
		dev = pci_upstream_bridge(dev);
	return dev;
}

static struct pci_bus *root_bus(struct pci_dev *dev)
{
	return top_bridge(dev)->bus;
}

static struct p2prdma_pci_addr addr_of(struct pci_dev *dev)
{
	return (struct p2prdma_pci_addr){
		.domain = pci_domain_nr(dev->bus),
		.bus = dev->bus->number,
		.devfn = dev->devfn,
	};
}

static void fill_host_bridge(struct p2p_card *card,
			     struct p2prdma_query_reach *query)
{
	struct pci_bus *bus = root_bus(card->pdev);
	struct pci_dev *host = pci_get_slot(bus, PCI_DEVFN(0, 0));

	query->host_vendor = host ? host->vendor : 0xffff;
	query->host_device = host ? host->device : 0xffff;
	pci_dev_put(host);
	if (query->reach == P2PRDMA_REACH_SWITCH)
		return;
	query->common = (struct p2prdma_pci_addr){
		.domain = pci_domain_nr(bus),
		.bus = bus->number,
		.devfn = PCI_DEVFN(0, 0),
	};
}

static void fill_reach(struct p2p_card *card, struct pci_dev *peer,
		       struct p2prdma_query_reach *query)
{
	struct reach_path path = find_path(card->pdev, peer);

	query->distance = -1;
	query->reach = P2PRDMA_REACH_UNSUPPORTED;
	if (card->caps & P2PRDMA_CAP_MEM) {
		query->distance = reach_distance(card, peer, &path);
		query->reach = reach_verdict(&path, query->distance);
	}
	query->card_port = addr_of(top_bridge(card->pdev));
	query->peer_port = addr_of(top_bridge(peer));
	if (query->reach == P2PRDMA_REACH_SWITCH)
		query->common = addr_of(path.common);
	fill_host_bridge(card, query);
}

/**
 * p2p_reach_query() - answer ioctl(P2PRDMA_REACH)
 * @card: the card; the caller is between p2p_card_enter() and p2p_card_exit()
 * @query: in: the peer; out: the rest
 *
 * Return: 0; -ENXIO if there is no such peer.
 */
int p2p_reach_query(struct p2p_card *card, struct p2prdma_query_reach *query)
{
	const struct p2prdma_pci_addr *addr = &query->peer;
	struct pci_dev *peer;

	if (addr->bus > 0xff || addr->devfn > 0xff || addr->domain > INT_MAX)
		return -ENXIO;
	peer = pci_get_domain_bus_and_slot(addr->domain, addr->bus,
					   addr->devfn);
	if (!peer)
		return -ENXIO;
	fill_reach(card, peer, query);
	pci_dev_put(peer);
	return 0;
}

static void explain_refusal(struct p2p_card *card, struct pci_dev *peer)
{
	struct p2prdma_query_reach query = {};
	struct reach_path path = find_path(card->pdev, peer);
	struct p2prdma_pci_addr *host = &query.common;
	char reason[64] = "no common PCIe switch";

	if (path.acs)
		snprintf(reason, sizeof(reason), "ACS redirection at bridge %s",
			 pci_name(path.acs));
	else if (path.common && path.translated)
		strscpy(reason, "an IOMMU translates its addresses");
	fill_reach(card, peer, &query);
	dev_warn_ratelimited(&card->dev,
			     "%s cannot reach the memory of %s: %s, and host bridge %04x:%02x:%02x.%d [%04x:%04x] is not known to forward peer-to-peer traffic\n",
			     pci_name(peer), pci_name(card->pdev), reason,
			     host->domain, host->bus, PCI_SLOT(host->devfn),
			     PCI_FUNC(host->devfn), query.host_vendor,
			     query.host_device);
}

static struct pci_dev *pci_ancestor(struct device *dev)
{
	while (dev && !dev_is_pci(dev))
		dev = dev->parent;
	return dev ? to_pci_dev(dev) : NULL;
}

/**
 * p2p_reach_check() - may a device import the card's memory?
 * @card: the card; the caller is between p2p_card_enter() and p2p_card_exit()
 * @dev: the device that would do the DMA
 *
 * Return: 0, or -EOPNOTSUPP after logging the cause in one sentence.
 */
int p2p_reach_check(struct p2p_card *card, struct device *dev)
{
	struct pci_dev *peer = pci_ancestor(dev);
	struct reach_path path;

	if (!peer) {
		dev_warn_ratelimited(&card->dev,
				     "%s cannot reach the memory of %s: it is not a PCI device\n",
				     dev_name(dev), pci_name(card->pdev));
		return -EOPNOTSUPP;
	}
	path = find_path(card->pdev, peer);
	if (reach_distance(card, peer, &path) >= 0)
		return 0;
	explain_refusal(card, peer);
	return -EOPNOTSUPP;
}
