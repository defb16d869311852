// SPDX-License-Identifier: GPL-2.0-only
/*
 * A part of a card's BAR: its memory, or its doorbell pages.
 */
#include <linux/pci.h>

#include "area.h"
#include "card.h"

/**
 * p2p_area_init() - make an area of no bytes
 * @area: the area, all zero
 */
void p2p_area_init(struct p2p_area *area)
{
	p2p_pool_init(&area->pool);
}

static void withhold(struct p2p_area *area, u64 first, u32 location, u32 size)
{
	u64 start = location & PCI_MSIX_TABLE_OFFSET;
	u64 end = start + size;

	if ((location & PCI_MSIX_TABLE_BIR) != area->bar || end <= first)
		return;
	start = max(start, first);
	p2p_pool_withhold(&area->pool, start - first, end - start);
}

/* Who can write the MSI-X table can send any interrupt. */
static void withhold_msix(struct p2p_area *area, struct pci_dev *pdev,
			  u64 first)
{
	u32 table, pba;
	u16 control;

	if (!pdev->msix_cap)
		return;
	pci_read_config_word(pdev, pdev->msix_cap + PCI_MSIX_FLAGS, &control);
	pci_read_config_dword(pdev, pdev->msix_cap + PCI_MSIX_TABLE, &table);
	pci_read_config_dword(pdev, pdev->msix_cap + PCI_MSIX_PBA, &pba);
	control = (control & PCI_MSIX_FLAGS_QSIZE) + 1;
	withhold(area, first, table, control * PCI_MSIX_ENTRY_SIZE);
	withhold(area, first, pba, DIV_ROUND_UP(control, 64) * 8);
}

/**
 * p2p_area_set() - say where an area is
 * @area: the area, of no bytes yet
 * @card: the card, in its driver's start()
 * @bar: the BAR that holds it
 * @offset: of its first byte in the BAR, a multiple of the granule
 * @size: bytes of it, up to the BAR's end at most
 *
 * Pages of it that hold the MSI-X table or pending bits are never given out.
 *
 * Return: 0; -EINVAL if it does not fit the BAR; -ENOMEM.
 */
int p2p_area_set(struct p2p_area *area, struct p2p_card *card, int bar,
		 u64 offset, u64 size)
{
	struct pci_dev *pdev = card->pdev;
	u64 length = pci_resource_len(pdev, bar);
	int ret;

	if (!(pci_resource_flags(pdev, bar) & IORESOURCE_MEM) ||
	    !PAGE_ALIGNED(pci_resource_start(pdev, bar)) ||
	    !PAGE_ALIGNED(offset) || size < P2P_GRANULE || offset > length ||
	    size > length - offset)
		return -EINVAL;
	ret = p2p_pool_fill(&area->pool, size);
	if (ret)
		return ret;
	area->bar = bar;
	area->base = pci_resource_start(pdev, bar) + offset;
	withhold_msix(area, pdev, offset);
	return 0;
}

/**
 * p2p_area_destroy() - free the area's own memory
 * @area: the area; one of no bytes is allowed
 */
void p2p_area_destroy(struct p2p_area *area)
{
	p2p_pool_destroy(&area->pool);
}
