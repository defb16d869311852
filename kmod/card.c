// SPDX-License-Identifier: GPL-2.0-only
/*
 * The card object: class and char device, and the state that says whether the
 * hardware may be touched.
 */
#include <linux/fs.h>
#include <linux/idr.h>
#include <linux/poll.h>
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

	p2p_area_destroy(&card->doorbells);
	p2p_area_destroy(&card->mem);
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
	struct p2p_file *open = kzalloc(sizeof(*open), GFP_KERNEL_ACCOUNT);

	if (!open)
		return -ENOMEM;
	if (READ_ONCE(card->state) == P2P_CARD_GONE) {
		kfree(open);
		return -ENODEV;
	}
	open->card = card;
	open->resets = READ_ONCE(card->resets);
	file->private_data = open;
	return 0;
}

static int card_close(struct inode *inode, struct file *file)
{
	struct p2p_file *open = file->private_data;

	p2p_bells_unbind_all(open);
	kfree(open);
	return 0;
}

static __poll_t card_poll(struct file *file, poll_table *table)
{
	struct p2p_file *open = file->private_data;
	struct p2p_card *card = open->card;
	__poll_t mask = 0;

	poll_wait(file, &card->changed, table);
	if (READ_ONCE(card->state) == P2P_CARD_GONE)
		mask |= EPOLLHUP;
	if (READ_ONCE(card->resets) != open->resets)
		mask |= EPOLLERR;
	return mask;
}

static const struct file_operations card_fops = {
	.owner = THIS_MODULE,
	.open = card_open,
	.release = card_close,
	.poll = card_poll,
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
	init_waitqueue_head(&card->changed);
	p2p_area_init(&card->mem);
	p2p_area_init(&card->doorbells);
	mutex_init(&card->mems_lock);
	INIT_LIST_HEAD(&card->mems);
	p2p_windows_init(card);
	p2p_bells_init(card);
	p2p_control_init(card);
	return card;
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
	int ret = p2p_area_set(&card->mem, card, bar, 0, size);

	if (ret) {
		pci_err(card->pdev,
			"BAR %d cannot hold %llu bytes of card memory\n", bar,
			size);
		return ret;
	}
	card->caps |= P2PRDMA_CAP_MEM;
	return 0;
}

/**
 * p2p_card_set_doorbells() - say where the card's doorbell pages are
 * @card: the card, in its driver's start()
 * @bar: the BAR that holds them
 * @offset: of page 0 in the BAR
 * @count: number of pages
 *
 * Return: 0, or a negative errno after logging why they cannot be used.
 */
int p2p_card_set_doorbells(struct p2p_card *card, int bar, u64 offset,
			   u64 count)
{
	int ret = p2p_area_set(&card->doorbells, card, bar, offset,
			       count * P2P_GRANULE);

	if (ret) {
		pci_warn(card->pdev,
			 "no doorbells: BAR %d cannot hold %llu pages at 0x%llx\n",
			 bar, count, offset);
		return ret;
	}
	/* Page 0 is for the owner of the control area. */
	p2p_pool_set_aside(&card->doorbells.pool, P2P_GRANULE);
	card->caps |= P2PRDMA_CAP_DOORBELL;
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
 * On return no mapping, process or importer can reach the card's memory, and its
 * machine nothing through windows. Waits, without a limit, for importers that
 * cannot be revoked: returning early would let them write to an address that may
 * soon belong to another device.
 */
void p2p_card_block(struct p2p_card *card, enum p2p_card_state state)
{
	WRITE_ONCE(card->state, state);
	if (state == P2P_CARD_RESETTING)
		WRITE_ONCE(card->resets, card->resets + 1);
	wake_up_all(&card->changed);
	/* Wait for all that still saw the old state. */
	down_write(&card->lock);
	up_write(&card->lock);
	p2p_control_stop(card);
	/* Before a reset stops the count of what is under way. */
	p2p_windows_shut(card);
	p2p_bells_stop(card);
	p2p_mem_revoke_all(card);
}

/**
 * p2p_card_unblock() - let a card be used again that was reset
 * @card: the card; the caller holds its PCI device's device_lock
 */
void p2p_card_unblock(struct p2p_card *card)
{
	p2p_mem_restore_all(card);
	p2p_windows_admit(card);
	p2p_bells_start(card);
	WRITE_ONCE(card->state, P2P_CARD_LIVE);
	wake_up_all(&card->changed);
}
