// SPDX-License-Identifier: GPL-2.0-only
/*
 * The card object: class and char device, and the state that says whether the
 * hardware may be touched.
 */
#include <linux/fs.h>
#include <linux/idr.h>
#include <linux/slab.h>

#include "card.h"
#include "compat.h"
#include "dma.h"
#include "memory.h"

#define P2P_MAX_CARDS 256

static dev_t first_devt;
static DEFINE_IDA(card_ids);

static void card_release(struct device *dev)
{
	struct p2p_card *card = container_of(dev, struct p2p_card, dev);

	p2p_pool_destroy(&card->pool);
	pci_dev_put(card->pdev);
	kfree(card);
}

static char *card_devnode(P2P_DEVNODE_CONST struct device *dev, umode_t *mode)
{
	return kasprintf(GFP_KERNEL, "p2prdma/%s", dev_name(dev));
}

static struct class card_class = {
	.name = "p2prdma",
	.dev_groups = p2p_card_groups,
	.devnode = card_devnode,
	.dev_release = card_release,
};

static int card_open(struct inode *inode, struct file *file)
{
	struct p2p_card *card = container_of(inode->i_cdev, struct p2p_card,
					     cdev);

	/* The file's reference to the cdev is one to the card. */
	file->private_data = card;
	return READ_ONCE(card->state) == P2P_CARD_GONE ? -ENODEV : 0;
}

static const struct file_operations card_fops = {
	.owner = THIS_MODULE,
	.open = card_open,
	.unlocked_ioctl = p2p_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
	.llseek = noop_llseek,
};

/**
 * p2p_card_class_init() - make the class and the device numbers
 *
 * Return: 0 or a negative errno.
 */
int p2p_card_class_init(void)
{
	int ret;

	ret = alloc_chrdev_region(&first_devt, 0, P2P_MAX_CARDS, "p2prdma");
	if (ret)
		return ret;
	ret = class_register(&card_class);
	if (ret)
		unregister_chrdev_region(first_devt, P2P_MAX_CARDS);
	return ret;
}

/**
 * p2p_card_class_exit() - undo p2p_card_class_init(); no card is left
 */
void p2p_card_class_exit(void)
{
	class_unregister(&card_class);
	unregister_chrdev_region(first_devt, P2P_MAX_CARDS);
	ida_destroy(&card_ids);
}

/**
 * p2p_card_alloc() - a card that nobody sees yet
 * @pdev: its PCI function
 * @ops: its driver
 *
 * Return: the card, to be freed by put_device(&card->dev), or an ERR_PTR.
 */
struct p2p_card *p2p_card_alloc(struct pci_dev *pdev,
				const struct p2p_card_ops *ops)
{
	struct p2p_card *card = kzalloc(sizeof(*card), GFP_KERNEL);

	if (!card)
		return ERR_PTR(-ENOMEM);
	device_initialize(&card->dev);
	card->dev.class = &card_class;
	card->dev.parent = &pdev->dev;
	card->dev.groups = ops->groups;
	card->pdev = pci_dev_get(pdev);
	card->ops = ops;
	card->state = P2P_CARD_LIVE;
	init_rwsem(&card->lock);
	p2p_pool_init(&card->pool);
	mutex_init(&card->mems_lock);
	INIT_LIST_HEAD(&card->mems);
	return card;
}

static void withhold(struct p2p_card *card, u32 location, u32 size)
{
	if ((location & PCI_MSIX_TABLE_BIR) == card->mem_bar)
		p2p_pool_withhold(&card->pool, location & PCI_MSIX_TABLE_OFFSET,
				  size);
}

/* Who can write the MSI-X table can send any interrupt. */
static void withhold_msix(struct p2p_card *card)
{
	struct pci_dev *pdev = card->pdev;
	u32 table, pba;
	u16 control;

	if (!pdev->msix_cap)
		return;
	pci_read_config_word(pdev, pdev->msix_cap + PCI_MSIX_FLAGS, &control);
	pci_read_config_dword(pdev, pdev->msix_cap + PCI_MSIX_TABLE, &table);
	pci_read_config_dword(pdev, pdev->msix_cap + PCI_MSIX_PBA, &pba);
	control = (control & PCI_MSIX_FLAGS_QSIZE) + 1;
	withhold(card, table, control * PCI_MSIX_ENTRY_SIZE);
	withhold(card, pba, DIV_ROUND_UP(control, 64) * 8);
}

/**
 * p2p_card_set_memory() - say where the card's memory is
 * @card: the card, in its driver's start()
 * @bar: the BAR that holds it, from the BAR's first byte
 * @size: bytes of it, at most the BAR's length
 *
 * Pages of it that hold the MSI-X table or pending bits are never given out.
 *
 * Return: 0, or a negative errno after logging why the memory cannot be used.
 */
int p2p_card_set_memory(struct p2p_card *card, int bar, u64 size)
{
	struct pci_dev *pdev = card->pdev;
	int ret;

	if (!(pci_resource_flags(pdev, bar) & IORESOURCE_MEM) ||
	    !PAGE_ALIGNED(pci_resource_start(pdev, bar)) ||
	    size < P2P_GRANULE || size > pci_resource_len(pdev, bar)) {
		pci_err(pdev, "BAR %d cannot hold %llu bytes of card memory\n",
			bar, size);
		return -EINVAL;
	}
	card->mem_bar = bar;
	card->mem_base = pci_resource_start(pdev, bar);
	card->caps |= P2PRDMA_CAP_MEM;
	ret = p2p_pool_fill(&card->pool, size);
	if (ret)
		return ret;
	withhold_msix(card);
	return 0;
}

/**
 * p2p_card_register() - show the card to user space
 * @card: a complete card
 *
 * Return: 0 or a negative errno.
 */
int p2p_card_register(struct p2p_card *card)
{
	int ret;

	card->id = ida_alloc_max(&card_ids, P2P_MAX_CARDS - 1, GFP_KERNEL);
	if (card->id < 0)
		return card->id;
	card->dev.devt = MKDEV(MAJOR(first_devt), MINOR(first_devt) + card->id);
	ret = dev_set_name(&card->dev, "card%d", card->id);
	if (ret)
		goto err_id;
	cdev_init(&card->cdev, &card_fops);
	card->cdev.owner = THIS_MODULE;
	ret = cdev_device_add(&card->cdev, &card->dev);
	if (ret)
		goto err_id;
	return 0;

err_id:
	ida_free(&card_ids, card->id);
	return ret;
}

/**
 * p2p_card_unregister() - hide a blocked card from user space
 * @card: the card; files that are open stay open
 */
void p2p_card_unregister(struct p2p_card *card)
{
	cdev_device_del(&card->cdev, &card->dev);
	ida_free(&card_ids, card->id);
}

/**
 * p2p_card_usable() - a look at the card's state, which may change at once
 * @card: the card
 *
 * Return: 0, -EBUSY while it is being reset, -ENODEV once it is gone.
 */
int p2p_card_usable(struct p2p_card *card)
{
	switch (READ_ONCE(card->state)) {
	case P2P_CARD_LIVE:
		return 0;
	case P2P_CARD_RESETTING:
		return -EBUSY;
	default:
		return -ENODEV;
	}
}

/**
 * p2p_card_enter() - begin to use the card's memory or registers
 * @card: the card
 *
 * Return: 0, and the card stays usable until p2p_card_exit(); or what
 * p2p_card_usable() returns, and nothing is held.
 */
int p2p_card_enter(struct p2p_card *card)
{
	int ret;

	down_read(&card->lock);
	ret = p2p_card_usable(card);
	if (ret)
		up_read(&card->lock);
	return ret;
}

/**
 * p2p_card_exit() - undo a successful p2p_card_enter()
 * @card: the card
 */
void p2p_card_exit(struct p2p_card *card)
{
	up_read(&card->lock);
}

/**
 * p2p_card_block() - end all use of the card
 * @card: the card; the caller holds its PCI device's device_lock
 * @state: the new state, not P2P_CARD_LIVE
 *
 * On return no mapping, process or importer can reach the card's memory. Waits,
 * without a limit, for importers that cannot be revoked: returning early would
 * let them write to an address that may soon belong to another device.
 */
void p2p_card_block(struct p2p_card *card, enum p2p_card_state state)
{
	WRITE_ONCE(card->state, state);
	/* Wait for all that still saw the old state. */
	down_write(&card->lock);
	up_write(&card->lock);
	p2p_mem_revoke_all(card);
}

/**
 * p2p_card_unblock() - let a card be used again that was reset
 * @card: the card; the caller holds its PCI device's device_lock
 */
void p2p_card_unblock(struct p2p_card *card)
{
	p2p_mem_restore_all(card);
	WRITE_ONCE(card->state, P2P_CARD_LIVE);
}
