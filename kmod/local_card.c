// SPDX-License-Identifier: GPL-2.0-only
/*
 * The card in its own machine: class and device, what it has, its end.
 */
#include <linux/bitfield.h>
#include <linux/idr.h>
#include <linux/io-64-nonatomic-lo-hi.h>
#include <linux/slab.h>
#include <linux/sysfs.h>

#include "compat.h"
#include "local_card.h"

#define MAX_LOCALS 64

#define WIN_CAPS_COUNT GENMASK(15, 0)
#define WIN_CAPS_SHIFT GENMASK(23, 16)

static dev_t first_devt;
static DEFINE_IDA(local_ids);

static struct p2p_local *to_local(struct device *dev)
{
	return container_of(dev, struct p2p_local, dev);
}

static ssize_t serial_show(struct device *dev, struct device_attribute *attr,
			   char *buf)
{
	return sysfs_emit(buf, "%016llx\n", to_local(dev)->serial);
}
static DEVICE_ATTR_RO(serial);

static ssize_t aperture_show(struct device *dev, struct device_attribute *attr,
			     char *buf)
{
	const struct p2prdma_pci_addr *at = &to_local(dev)->aperture_at;

	return sysfs_emit(buf, "%04x:%02x:%02x.%d\n", at->domain, at->bus,
			  PCI_SLOT(at->devfn), PCI_FUNC(at->devfn));
}
static DEVICE_ATTR_RO(aperture);

static ssize_t mem_size_show(struct device *dev, struct device_attribute *attr,
			     char *buf)
{
	return sysfs_emit(buf, "%llu\n", to_local(dev)->pool_size);
}
static DEVICE_ATTR_RO(mem_size);

static ssize_t state_show(struct device *dev, struct device_attribute *attr,
			  char *buf)
{
	static const char *const names[] = {
		[P2PRDMA_LOCAL_ALONE] = "alone",
		[P2PRDMA_LOCAL_SERVED] = "served",
		[P2PRDMA_LOCAL_FOREIGN] = "foreign",
	};

	return sysfs_emit(buf, "%s\n", names[READ_ONCE(to_local(dev)->state)]);
}
static DEVICE_ATTR_RO(state);

static ssize_t messages_dropped_show(struct device *dev,
				     struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%llu\n", READ_ONCE(to_local(dev)->dropped));
}
static DEVICE_ATTR_RO(messages_dropped);

static struct attribute *local_attrs[] = {
	&dev_attr_serial.attr,		 &dev_attr_aperture.attr,
	&dev_attr_mem_size.attr,	 &dev_attr_state.attr,
	&dev_attr_messages_dropped.attr, NULL,
};
ATTRIBUTE_GROUPS(local);

static void local_release(struct device *dev)
{
	kfree(to_local(dev));
}

static char *local_devnode(P2P_DEVNODE_CONST struct device *dev, umode_t *mode)
{
	return kasprintf(GFP_KERNEL, "p2prdma/%s", dev_name(dev));
}

static struct class local_class = {
	.name = "p2prdma_local",
	.dev_groups = local_groups,
	.devnode = local_devnode,
	.dev_release = local_release,
};

/**
 * p2p_local_class_init() - make the class and the device numbers
 *
 * Return: 0 or a negative errno.
 */
int p2p_local_class_init(void)
{
	int ret;

	ret = alloc_chrdev_region(&first_devt, 0, MAX_LOCALS, "p2prdma_local");
	if (ret)
		return ret;
	ret = class_register(&local_class);
	if (ret)
		unregister_chrdev_region(first_devt, MAX_LOCALS);
	return ret;
}

/**
 * p2p_local_class_exit() - undo p2p_local_class_init(); no card is left
 */
void p2p_local_class_exit(void)
{
	class_unregister(&local_class);
	unregister_chrdev_region(first_devt, MAX_LOCALS);
	ida_destroy(&local_ids);
}

/**
 * p2p_local_read64() - a 64-bit value of two registers
 * @half: the function
 * @reg: offset of the low half
 *
 * Return: the value.
 */
u64 p2p_local_read64(const struct p2p_local_half *half, u32 reg)
{
	u64 low = readl(half->regs + reg);

	return low | (u64)readl(half->regs + reg + 4) << 32;
}

static struct p2prdma_pci_addr pci_addr(struct pci_dev *pdev)
{
	return (struct p2prdma_pci_addr){
		.domain = pci_domain_nr(pdev->bus),
		.bus = pdev->bus->number,
		.devfn = pdev->devfn,
	};
}

/* The range of BAR 2, or 0 if it is no memory. */
static u64 memory_bar(struct pci_dev *pdev, phys_addr_t *base)
{
	*base = pci_resource_start(pdev, LOCAL_MEM_BAR);
	if (!(pci_resource_flags(pdev, LOCAL_MEM_BAR) & IORESOURCE_MEM) ||
	    !PAGE_ALIGNED(*base))
		return 0;
	return pci_resource_len(pdev, LOCAL_MEM_BAR);
}

static int find_pool(struct p2p_local *local)
{
	struct p2p_local_half *pool = local->pool;
	u64 length = memory_bar(pool->pdev, &local->pool_base);

	local->has_control =
		readl(pool->regs + LOCAL_REG_CAPS) & LOCAL_CAPS_CONTROL;
	local->pool_size = p2p_local_read64(pool, LOCAL_REG_MEM_SIZE);
	if (local->pool_size && local->pool_size <= length &&
	    PAGE_ALIGNED(local->pool_size))
		return 0;
	pci_err(pool->pdev, "BAR %d cannot hold %llu bytes of card memory\n",
		LOCAL_MEM_BAR, local->pool_size);
	return -EINVAL;
}

static int find_windows(struct p2p_local *local)
{
	struct p2p_local_half *aperture = local->aperture;
	u64 length = memory_bar(aperture->pdev, &local->aperture_base);
	u32 caps = readl(aperture->regs + LOCAL_REG_WIN_CAPS);
	u32 shift = FIELD_GET(WIN_CAPS_SHIFT, caps);

	local->windows = FIELD_GET(WIN_CAPS_COUNT, caps);
	if (shift >= PAGE_SHIFT && shift < 48 &&
	    (u64)local->windows << shift <= length) {
		local->aperture_size = (u64)local->windows << shift;
		return 0;
	}
	pci_err(aperture->pdev, "BAR %d cannot hold windows: WIN_CAPS 0x%x\n",
		LOCAL_MEM_BAR, caps);
	return -EINVAL;
}

static int find_doorbells(struct p2p_local *local)
{
	struct p2p_local_half *aperture = local->aperture;
	u64 offset = readl(aperture->regs + LOCAL_REG_DB_OFFSET);
	u64 count = readl(aperture->regs + LOCAL_REG_DB_COUNT);
	u64 length = pci_resource_len(aperture->pdev, LOCAL_REG_BAR);

	if (!count || !PAGE_ALIGNED(offset) ||
	    offset + count * LOCAL_DOORBELL_SIZE > length) {
		pci_err(aperture->pdev,
			"BAR %d cannot hold %llu doorbell pages at 0x%llx\n",
			LOCAL_REG_BAR, count, offset);
		return -EINVAL;
	}
	local->doorbell_base =
		pci_resource_start(aperture->pdev, LOCAL_REG_BAR) + offset;
	local->doorbells = min_t(u64, count, LOCAL_DOORBELLS);
	return 0;
}

static int find_all(struct p2p_local *local)
{
	int ret;

	ret = find_pool(local);
	if (ret)
		return ret;
	ret = find_windows(local);
	if (ret)
		return ret;
	return find_doorbells(local);
}

static struct p2p_local *local_alloc(struct p2p_local_half *pool,
				     struct p2p_local_half *aperture)
{
	struct p2p_local *local = kzalloc(sizeof(*local), GFP_KERNEL);

	if (!local)
		return NULL;
	device_initialize(&local->dev);
	local->dev.class = &local_class;
	local->dev.parent = &pool->pdev->dev;
	local->pool = pool;
	local->aperture = aperture;
	local->pool_at = pci_addr(pool->pdev);
	local->aperture_at = pci_addr(aperture->pdev);
	local->serial = pool->serial;
	mutex_init(&local->grants_lock);
	p2p_local_control_init(local);
	return local;
}

static int local_register(struct p2p_local *local)
{
	int ret;

	local->id = ida_alloc_max(&local_ids, MAX_LOCALS - 1, GFP_KERNEL);
	if (local->id < 0)
		return local->id;
	local->dev.devt =
		MKDEV(MAJOR(first_devt), MINOR(first_devt) + local->id);
	ret = dev_set_name(&local->dev, "local%d", local->id);
	if (ret)
		goto err_id;
	cdev_init(&local->cdev, &p2p_local_fops);
	local->cdev.owner = THIS_MODULE;
	ret = cdev_device_add(&local->cdev, &local->dev);
	if (ret)
		goto err_id;
	return 0;

err_id:
	ida_free(&local_ids, local->id);
	return ret;
}

/**
 * p2p_local_create() - a pair is complete
 * @pool: function P, ready
 * @aperture: function W, ready
 *
 * The caller holds pairs_lock.
 *
 * Return: the card, until p2p_local_destroy(), or an ERR_PTR.
 */
struct p2p_local *p2p_local_create(struct p2p_local_half *pool,
				   struct p2p_local_half *aperture)
{
	struct p2p_local *local = local_alloc(pool, aperture);
	int ret;

	if (!local)
		return ERR_PTR(-ENOMEM);
	ret = find_all(local);
	if (ret)
		goto err_put;
	ret = p2p_local_doorbell_start(local);
	if (ret)
		goto err_put;
	ret = local_register(local);
	if (ret)
		goto err_stop;
	dev_info(&local->dev,
		 "%s and %s are a card's pool of %llu bytes and its %u windows\n",
		 pci_name(pool->pdev), pci_name(aperture->pdev),
		 local->pool_size, local->windows);
	schedule_work(&local->work);
	return local;

err_stop:
	/* A node left from an earlier card may have let somebody in. */
	p2p_local_control_stop(local);
	p2p_local_doorbell_stop(local);
	cancel_work_sync(&local->work);
err_put:
	put_device(&local->dev);
	return ERR_PTR(ret);
}

/**
 * p2p_local_destroy() - a pair ends
 * @local: the card; open files stay open and are told
 *
 * The caller holds pairs_lock. On return nothing touches the functions any more.
 */
void p2p_local_destroy(struct p2p_local *local)
{
	p2p_local_control_stop(local);
	cdev_device_del(&local->cdev, &local->dev);
	ida_free(&local_ids, local->id);
	p2p_local_doorbell_stop(local);
	/* Not before: interrupts queue it. */
	cancel_work_sync(&local->work);
	put_device(&local->dev);
}
