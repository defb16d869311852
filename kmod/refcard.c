// SPDX-License-Identifier: GPL-2.0-only
/*
 * Card driver "refcard": the reference card of Documentation/refcard.rst.
 */
#include <linux/bitfield.h>
#include <linux/iopoll.h>
#include <linux/module.h>
#include <linux/pci.h>
#include <linux/slab.h>
#include <linux/sysfs.h>

#include "card.h"

#define REFCARD_REG_BAR 0
#define REFCARD_MEM_BAR 2

#define REG_MAGIC	0x00
#define  MAGIC_VALUE	0x43523250
#define REG_VERSION	0x04
#define  VERSION_MAJOR	GENMASK(31, 16)
#define  VERSION_MINOR	GENMASK(15, 0)
#define  MAJOR_KNOWN	1
#define REG_CAPS	0x08
#define  CAPS_MEM	BIT(0)
#define  CAPS_DOORBELL	BIT(1)
#define REG_STATUS	0x0c
#define  STATUS_READY	BIT(0)
#define  STATUS_FAULT	BIT(1)
#define REG_SERIAL	0x10
#define REG_MEM_SIZE	0x18
#define REG_DB_OFFSET	0x20
#define REG_DB_COUNT	0x24
#define REG_SCRATCH	0x28
#define REG_DB_MASK	0x30
#define REG_END		0x34

#define DB_PAGE_SIZE	4096
#define MSIX_VECTORS	8

/* How long a card may take until it is ready, and how often it is asked. */
#define READY_TIMEOUT_US (5 * USEC_PER_SEC)
#define READY_POLL_US 10000

/**
 * struct refcard - the driver's view of a reference card
 * @regs: BAR 0
 * @serial: its number; constant
 */
struct refcard {
	void __iomem *regs;
	u64 serial;
};

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

	if (!(readl(ref->regs + REG_CAPS) & CAPS_MEM))
		return 0;
	if (!IS_ALIGNED(size, 4096)) {
		pci_err(card->pdev, "MEM_SIZE %llu is no multiple of 4096\n",
			size);
		return -EINVAL;
	}
	return p2p_card_set_memory(card, REFCARD_MEM_BAR, size);
}

/* Doorbells are used only if all their pages lie behind the registers. */
static void start_doorbells(struct p2p_card *card, struct refcard *ref)
{
	u64 offset = readl(ref->regs + REG_DB_OFFSET);
	u64 count = readl(ref->regs + REG_DB_COUNT);
	u64 length = pci_resource_len(card->pdev, REFCARD_REG_BAR);

	if (!(readl(ref->regs + REG_CAPS) & CAPS_DOORBELL) || !count)
		return;
	if (offset < DB_PAGE_SIZE || !IS_ALIGNED(offset, DB_PAGE_SIZE) ||
	    offset + count * DB_PAGE_SIZE > length) {
		pci_warn(card->pdev,
			 "no doorbells: %llu pages at 0x%llx do not fit BAR %d\n",
			 count, offset, REFCARD_REG_BAR);
		return;
	}
	if (pci_alloc_irq_vectors(card->pdev, 1, MSIX_VECTORS, PCI_IRQ_MSIX) <
	    0) {
		pci_warn(card->pdev, "no doorbells: no MSI-X vectors\n");
		return;
	}
	pci_set_master(card->pdev);
	card->caps |= P2PRDMA_CAP_DOORBELL;
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
	ret = refcard_map(card, ref);
	if (ret)
		goto err_free;
	ret = wake_up_card(card->pdev, ref);
	if (ret)
		goto err_unmap;
	ret = start_memory(card, ref);
	if (ret)
		goto err_unmap;
	start_doorbells(card, ref);
	ref->serial = read_reg64(ref, REG_SERIAL);
	card->priv = ref;
	return 0;

err_unmap:
	pci_iounmap(card->pdev, ref->regs);
err_free:
	kfree(ref);
	return ret;
}

static void refcard_stop(struct p2p_card *card)
{
	struct refcard *ref = card->priv;

	if (card->caps & P2PRDMA_CAP_DOORBELL) {
		writel(~0U, ref->regs + REG_DB_MASK);
		pci_clear_master(card->pdev);
		pci_free_irq_vectors(card->pdev);
	}
	pci_iounmap(card->pdev, ref->regs);
	card->priv = NULL;
	kfree(ref);
}

static int refcard_reset_done(struct p2p_card *card)
{
	return wake_up_card(card->pdev, card->priv);
}

static const struct p2p_card_ops refcard_ops = {
	.name = "refcard",
	.groups = refcard_groups,
	.start = refcard_start,
	.stop = refcard_stop,
	.reset_done = refcard_reset_done,
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
