// SPDX-License-Identifier: GPL-2.0-only
/*
 * Card driver "refcard": the reference card of Documentation/refcard.rst. This is
 * its way up and down; refcard_ops.c is what happens in between.
 */
#include <linux/dma-mapping.h>
#include <linux/iopoll.h>
#include <linux/module.h>
#include <linux/pci.h>
#include <linux/slab.h>
#include <linux/sysfs.h>

#include "card.h"
#include "refcard.h"

#define REFCARD_REG_BAR 0
#define REFCARD_MEM_BAR 2

/* How long a card may take until it is ready, and how often it is asked. */
#define READY_TIMEOUT_US (5 * USEC_PER_SEC)
#define READY_POLL_US 10000

static u64 read_reg64(struct refcard *ref, u32 reg)
{
	u64 low = readl(ref->regs + reg);

	return low | (u64)readl(ref->regs + reg + 4) << 32;
}

static ssize_t serial_show(struct device *dev, struct device_attribute *attr,
			   char *buf)
{
	struct p2p_card *card = container_of(dev, struct p2p_card, dev);
	struct refcard *ref = card->priv;

	return sysfs_emit(buf, "%016llx\n", ref->serial);
}
static DEVICE_ATTR_RO(serial);

static struct attribute *refcard_attrs[] = {
	&dev_attr_serial.attr,
	NULL,
};
ATTRIBUTE_GROUPS(refcard);

static int check_identity(struct pci_dev *pdev, struct refcard *ref)
{
	u32 magic = readl(ref->regs + REG_MAGIC);
	u32 version = readl(ref->regs + REG_VERSION);

	if (magic != MAGIC_VALUE) {
		pci_err(pdev, "not a reference card: MAGIC reads 0x%08x\n",
			magic);
		return -ENODEV;
	}
	if (FIELD_GET(VERSION_MAJOR, version) != MAJOR_KNOWN) {
		pci_err(pdev,
			"the card's registers are of version %lu.%lu, this driver knows %d\n",
			FIELD_GET(VERSION_MAJOR, version),
			FIELD_GET(VERSION_MINOR, version), MAJOR_KNOWN);
		return -ENODEV;
	}
	ref->minor = FIELD_GET(VERSION_MINOR, version);
	return 0;
}

static int wait_ready(struct pci_dev *pdev, struct refcard *ref)
{
	u32 status;
	int ret;

	ret = read_poll_timeout(readl, status,
				status == ~0U || status & STATUS_READY,
				READY_POLL_US, READY_TIMEOUT_US, false,
				ref->regs + REG_STATUS);
	if (status == ~0U) {
		pci_err(pdev, "the card does not answer\n");
		return -ENODEV;
	}
	if (ret)
		pci_err(pdev, "the card is not ready after %lu s, STATUS 0x%x\n",
			READY_TIMEOUT_US / USEC_PER_SEC, status);
	else if (status & STATUS_FAULT)
		pci_warn(pdev, "the card reports a fault\n");
	return ret;
}

static int check_scratch(struct pci_dev *pdev, struct refcard *ref)
{
	const u32 pattern = 0x5aa5f00f;
	u32 value;

	writel(pattern, ref->regs + REG_SCRATCH);
	value = readl(ref->regs + REG_SCRATCH);
	writel(0, ref->regs + REG_SCRATCH);
	if (value == pattern)
		return 0;
	pci_err(pdev, "SCRATCH reads 0x%08x after 0x%08x was written\n", value,
		pattern);
	return -EIO;
}

static int wake_up_card(struct pci_dev *pdev, struct refcard *ref)
{
	int ret;

	ret = check_identity(pdev, ref);
	if (ret)
		return ret;
	ret = wait_ready(pdev, ref);
	if (ret)
		return ret;
	return check_scratch(pdev, ref);
}

static int start_memory(struct p2p_card *card, struct refcard *ref)
{
	u64 size = read_reg64(ref, REG_MEM_SIZE);

	if (!(ref->caps & CAPS_MEM))
		return 0;
	if (!IS_ALIGNED(size, 4096)) {
		pci_err(card->pdev, "MEM_SIZE %llu is no multiple of 4096\n",
			size);
		return -EINVAL;
	}
	return p2p_card_set_memory(card, REFCARD_MEM_BAR, size);
}

static bool has_windows(struct refcard *ref)
{
	return ref->caps & CAPS_WINDOW;
}

static void start_doorbells(struct p2p_card *card, struct refcard *ref)
{
	u64 registers = has_windows(ref) ? REG_WINDOWS_END : DB_PAGE_SIZE;
	u64 offset = readl(ref->regs + REG_DB_OFFSET);
	u64 count = readl(ref->regs + REG_DB_COUNT);

	/* With larger pages a mapping would show more than one doorbell. */
	if (!(ref->caps & CAPS_DOORBELL) || !count || PAGE_SIZE != DB_PAGE_SIZE)
		return;
	if (offset < registers)
		pci_warn(card->pdev,
			 "no doorbells: page 0 at 0x%llx is among the registers\n",
			 offset);
	else if (!p2p_card_set_doorbells(card, REFCARD_REG_BAR, offset, count))
		ref->doorbells = ref->regs + offset;
}

/* Whoever had the card before may have left some open. */
static int close_all_windows(struct p2p_card *card)
{
	u32 slot;

	for (slot = 0; slot < card->windows.count; slot++) {
		refcard_window_clear(card, slot);
		if (refcard_window_idle(card, slot)) {
			pci_err(card->pdev, "window %u does not become idle\n",
				slot);
			return -EIO;
		}
	}
	return 0;
}

static int start_windows(struct p2p_card *card, struct refcard *ref)
{
	u32 caps = readl(ref->regs + REG_WIN_CAPS);
	u32 count = FIELD_GET(WIN_COUNT, caps);
	u32 shift = FIELD_GET(WIN_SLOT_SHIFT, caps);

	if (count > P2P_WINDOWS_MAX || shift < PAGE_SHIFT || shift > 56) {
		pci_warn(card->pdev,
			 "no windows: WIN_CAPS is 0x%08x, but at most %d windows can be used, of 2^%d to 2^56 bytes\n",
			 caps, P2P_WINDOWS_MAX, PAGE_SHIFT);
		return 0;
	}
	card->windows.count = count;
	card->windows.slot_size = 1ULL << shift;
	if (count)
		card->caps |= P2PRDMA_CAP_WINDOW;
	return close_all_windows(card);
}

/* Nor may the card go on in an epoch of a kernel that went without a word. */
static void end_left_epoch(struct p2p_card *card, struct refcard *ref)
{
	if (!readl(ref->regs + REG_CTRL_EPOCH))
		return;
	refcard_control_set(card, 0, 0, 0);
	refcard_ring(card, 0);
}

/* What the card does by itself: windows, and bells by interrupt 0. */
static int start_own_machine(struct p2p_card *card, struct refcard *ref)
{
	int ret;

	if (!has_windows(ref))
		return 0;
	if (pci_resource_len(card->pdev, REFCARD_REG_BAR) < REG_WINDOWS_END) {
		pci_warn(card->pdev, "no windows: BAR %d is too small\n",
			 REFCARD_REG_BAR);
		return 0;
	}
	ret = start_windows(card, ref);
	if (ret)
		return ret;
	if (pci_alloc_irq_vectors(card->pdev, 1, 1, PCI_IRQ_MSIX) == 1)
		card->caps |= P2PRDMA_CAP_BELL;
	else
		pci_warn(card->pdev, "no bells: no MSI-X vector\n");
	if (ref->caps & CAPS_CONTROL && card->caps & P2PRDMA_CAP_MEM &&
	    card->caps & P2PRDMA_CAP_DOORBELL) {
		card->caps |= P2PRDMA_CAP_CONTROL;
		end_left_epoch(card, ref);
	}
	return 0;
}

static int start_parts(struct p2p_card *card, struct refcard *ref)
{
	int ret;

	ref->caps = readl(ref->regs + REG_CAPS);
	ref->serial = read_reg64(ref, REG_SERIAL);
	ret = start_memory(card, ref);
	if (ret)
		return ret;
	start_doorbells(card, ref);
	return start_own_machine(card, ref);
}

static int refcard_map(struct p2p_card *card, struct refcard *ref)
{
	if (!(pci_resource_flags(card->pdev, REFCARD_REG_BAR) &
	      IORESOURCE_MEM) ||
	    pci_resource_len(card->pdev, REFCARD_REG_BAR) < REG_END) {
		pci_err(card->pdev, "BAR %d holds no registers\n",
			REFCARD_REG_BAR);
		return -ENODEV;
	}
	ref->regs = pci_iomap(card->pdev, REFCARD_REG_BAR, 0);
	return ref->regs ? 0 : -ENOMEM;
}

static int refcard_start(struct p2p_card *card)
{
	struct refcard *ref = kzalloc(sizeof(*ref), GFP_KERNEL);
	int ret;

	if (!ref)
		return -ENOMEM;
	card->priv = ref;
	ret = refcard_map(card, ref);
	if (ret)
		goto err_free;
	ret = wake_up_card(card->pdev, ref);
	if (ret)
		goto err_unmap;
	ret = start_parts(card, ref);
	if (ret)
		goto err_unmap;
	dma_set_mask_and_coherent(&card->pdev->dev, DMA_BIT_MASK(64));
	/* Any part of a window may be one piece. */
	dma_set_max_seg_size(&card->pdev->dev, UINT_MAX);
	pci_set_master(card->pdev);
	return 0;

err_unmap:
	pci_iounmap(card->pdev, ref->regs);
err_free:
	card->priv = NULL;
	kfree(ref);
	return ret;
}

static void refcard_stop(struct p2p_card *card)
{
	struct refcard *ref = card->priv;

	pci_clear_master(card->pdev);
	if (card->caps & P2PRDMA_CAP_BELL)
		pci_free_irq_vectors(card->pdev);
	pci_iounmap(card->pdev, ref->regs);
	card->priv = NULL;
	kfree(ref);
}

static int refcard_reset_done(struct p2p_card *card)
{
	int ret = wake_up_card(card->pdev, card->priv);

	/* A card that hung has lost it. */
	if (!ret)
		pci_set_master(card->pdev);
	return ret;
}

static const struct p2p_card_ops refcard_ops = {
	.name = "refcard",
	.groups = refcard_groups,
	.start = refcard_start,
	.stop = refcard_stop,
	.reset_done = refcard_reset_done,
	.ring = refcard_ring,
	.window_set = refcard_window_set,
	.window_clear = refcard_window_clear,
	.window_idle = refcard_window_idle,
	.bells_take = refcard_bells_take,
	.bells_mask = refcard_bells_mask,
	.control_set = refcard_control_set,
	.memory_given = refcard_memory_given,
};

static int refcard_probe(struct pci_dev *pdev, const struct pci_device_id *id)
{
	return p2p_bind(pdev, &refcard_ops);
}

static const struct pci_device_id refcard_table[] = {
	{ PCI_DEVICE(PCI_VENDOR_ID_REDHAT, 0x1100) },
	{}
};
MODULE_DEVICE_TABLE(pci, refcard_table);

static struct pci_driver refcard_driver = {
	.name = "p2prdma_refcard",
	.id_table = refcard_table,
	.probe = refcard_probe,
	.remove = p2p_unbind,
	.err_handler = &p2p_err_handlers,
};

/**
 * p2p_refcard_init() - register the driver
 *
 * Return: 0 or a negative errno.
 */
int p2p_refcard_init(void)
{
	return pci_register_driver(&refcard_driver);
}

/**
 * p2p_refcard_exit() - unregister the driver
 */
void p2p_refcard_exit(void)
{
	pci_unregister_driver(&refcard_driver);
}
