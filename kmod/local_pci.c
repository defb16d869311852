// SPDX-License-Identifier: GPL-2.0-only
/*
 * The two PCI functions of a card in its own machine: the pool and the aperture.
 * Those of equal serial number are a pair, whichever comes first; a pair ends
 * when one of them is removed, reset or suspended.
 */
#include <linux/bitfield.h>
#include <linux/iopoll.h>
#include <linux/io-64-nonatomic-lo-hi.h>
#include <linux/module.h>
#include <linux/pci.h>
#include <linux/slab.h>

#include "local_card.h"

#define VERSION_MAJOR GENMASK(31, 16)
#define MAJOR_KNOWN 1

/* How long a function may take until it is ready, and how often it is asked. */
#define READY_TIMEOUT_US (5 * USEC_PER_SEC)
#define READY_POLL_US 10000

/**
 * struct p2p_local_kind - pool or aperture
 * @name: for messages
 * @magic: what its register MAGIC reads
 * @regs_end: bytes of registers that it has at least
 */
struct p2p_local_kind {
	const char *name;
	u32 magic;
	u32 regs_end;
};

static const struct p2p_local_kind pool_kind = {
	.name = "pool",
	.magic = 0x50523250,
	.regs_end = LOCAL_REG_CTRL_EPOCH + 4,
};

static const struct p2p_local_kind aperture_kind = {
	.name = "aperture",
	.magic = 0x57523250,
	.regs_end = LOCAL_REG_WIN_CAPS + 4,
};

static DEFINE_MUTEX(pairs_lock); /* guards halves and their @ready and @local */
static LIST_HEAD(halves);

static int check_identity(struct p2p_local_half *half)
{
	u32 magic = readl(half->regs + LOCAL_REG_MAGIC);
	u32 version = readl(half->regs + LOCAL_REG_VERSION);

	if (magic != half->kind->magic) {
		pci_err(half->pdev,
			"not the %s of a reference card: MAGIC reads 0x%08x\n",
			half->kind->name, magic);
		return -ENODEV;
	}
	if (FIELD_GET(VERSION_MAJOR, version) != MAJOR_KNOWN) {
		pci_err(half->pdev,
			"the card's registers are of version 0x%08x, this driver knows %d.x\n",
			version, MAJOR_KNOWN);
		return -ENODEV;
	}
	return 0;
}

static int wait_ready(struct p2p_local_half *half)
{
	u32 status;
	int ret;

	ret = read_poll_timeout(readl, status,
				status == ~0U || status & LOCAL_STATUS_READY,
				READY_POLL_US, READY_TIMEOUT_US, false,
				half->regs + LOCAL_REG_STATUS);
	if (!ret && status != ~0U)
		return 0;
	pci_err(half->pdev, "the %s is not ready, STATUS 0x%x\n",
		half->kind->name, status);
	return ret ? ret : -ENODEV;
}

static int bring_up(struct p2p_local_half *half)
{
	int ret;

	ret = check_identity(half);
	if (ret)
		return ret;
	ret = wait_ready(half);
	if (ret)
		return ret;
	half->serial = p2p_local_read64(half, LOCAL_REG_SERIAL);
	return 0;
}

static struct p2p_local_half *find_partner(const struct p2p_local_half *half)
{
	struct p2p_local_half *other;

	list_for_each_entry(other, &halves, node)
		if (other->ready && !other->local &&
		    other->kind != half->kind && other->serial == half->serial)
			return other;
	return NULL;
}

/* A half without a partner waits for it, so nothing here is an error of probe. */
static void pair(struct p2p_local_half *half)
{
	struct p2p_local_half *other, *pool, *aperture;
	struct p2p_local *local;

	mutex_lock(&pairs_lock);
	half->ready = true;
	other = find_partner(half);
	if (!other)
		goto out;
	pool = half->kind == &pool_kind ? half : other;
	aperture = half->kind == &pool_kind ? other : half;
	local = p2p_local_create(pool, aperture);
	if (IS_ERR(local)) {
		pci_err(half->pdev, "cannot use pool and aperture: error %ld\n",
			PTR_ERR(local));
		goto out;
	}
	pool->local = local;
	aperture->local = local;
out:
	mutex_unlock(&pairs_lock);
}

static void unpair(struct p2p_local_half *half)
{
	struct p2p_local *local;

	mutex_lock(&pairs_lock);
	half->ready = false;
	local = half->local;
	if (local) {
		local->pool->local = NULL;
		local->aperture->local = NULL;
		p2p_local_destroy(local);
	}
	mutex_unlock(&pairs_lock);
}

static int map_registers(struct p2p_local_half *half)
{
	struct pci_dev *pdev = half->pdev;

	if (!(pci_resource_flags(pdev, LOCAL_REG_BAR) & IORESOURCE_MEM) ||
	    pci_resource_len(pdev, LOCAL_REG_BAR) < half->kind->regs_end) {
		pci_err(pdev, "BAR %d holds no registers\n", LOCAL_REG_BAR);
		return -ENODEV;
	}
	half->regs = pci_iomap(pdev, LOCAL_REG_BAR, 0);
	return half->regs ? 0 : -ENOMEM;
}

static int half_start(struct p2p_local_half *half)
{
	int ret;

	ret = map_registers(half);
	if (ret)
		return ret;
	ret = bring_up(half);
	if (ret) {
		pci_iounmap(half->pdev, half->regs);
		return ret;
	}
	pci_set_drvdata(half->pdev, half);
	mutex_lock(&pairs_lock);
	list_add_tail(&half->node, &halves);
	mutex_unlock(&pairs_lock);
	pair(half);
	return 0;
}

static int half_probe(struct pci_dev *pdev, const struct pci_device_id *id)
{
	struct p2p_local_half *half = kzalloc(sizeof(*half), GFP_KERNEL);
	int bars = pci_select_bars(pdev, IORESOURCE_MEM);
	int ret;

	if (!half)
		return -ENOMEM;
	half->pdev = pdev;
	half->kind = (const struct p2p_local_kind *)id->driver_data;
	ret = pci_enable_device_mem(pdev);
	if (ret)
		goto err_free;
	ret = pci_request_selected_regions(pdev, bars, KBUILD_MODNAME);
	if (ret)
		goto err_disable;
	ret = half_start(half);
	if (ret)
		goto err_regions;
	return 0;

err_regions:
	pci_release_selected_regions(pdev, bars);
err_disable:
	pci_disable_device(pdev);
err_free:
	kfree(half);
	return ret;
}

static void half_remove(struct pci_dev *pdev)
{
	struct p2p_local_half *half = pci_get_drvdata(pdev);

	unpair(half);
	mutex_lock(&pairs_lock);
	list_del(&half->node);
	mutex_unlock(&pairs_lock);
	pci_set_drvdata(pdev, NULL);
	pci_iounmap(pdev, half->regs);
	pci_release_selected_regions(pdev,
				     pci_select_bars(pdev, IORESOURCE_MEM));
	pci_disable_device(pdev);
	kfree(half);
}

static void half_down(struct pci_dev *pdev)
{
	unpair(pci_get_drvdata(pdev));
}

static void half_up(struct pci_dev *pdev)
{
	struct p2p_local_half *half = pci_get_drvdata(pdev);

	if (!bring_up(half))
		pair(half);
}

static const struct pci_error_handlers half_err_handlers = {
	.reset_prepare = half_down,
	.reset_done = half_up,
};

static int half_suspend(struct device *dev)
{
	half_down(to_pci_dev(dev));
	return 0;
}

static int half_resume(struct device *dev)
{
	half_up(to_pci_dev(dev));
	return 0;
}

static DEFINE_SIMPLE_DEV_PM_OPS(half_pm_ops, half_suspend, half_resume);

static const struct pci_device_id half_table[] = {
	{ PCI_DEVICE(PCI_VENDOR_ID_REDHAT, 0x1101),
	  .driver_data = (kernel_ulong_t)&pool_kind },
	{ PCI_DEVICE(PCI_VENDOR_ID_REDHAT, 0x1102),
	  .driver_data = (kernel_ulong_t)&aperture_kind },
	{}
};
MODULE_DEVICE_TABLE(pci, half_table);

static struct pci_driver half_driver = {
	.name = "p2prdma_local",
	.id_table = half_table,
	.probe = half_probe,
	.remove = half_remove,
	.err_handler = &half_err_handlers,
	.driver.pm = pm_sleep_ptr(&half_pm_ops),
};

/**
 * p2p_local_init() - make the class and register the driver
 *
 * Return: 0 or a negative errno.
 */
int p2p_local_init(void)
{
	int ret;

	ret = p2p_local_class_init();
	if (ret)
		return ret;
	ret = pci_register_driver(&half_driver);
	if (ret)
		p2p_local_class_exit();
	return ret;
}

/**
 * p2p_local_exit() - undo p2p_local_init()
 */
void p2p_local_exit(void)
{
	pci_unregister_driver(&half_driver);
	p2p_local_class_exit();
}
