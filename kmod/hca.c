// SPDX-License-Identifier: GPL-2.0-only
/*
 * The RDMA adapters of this machine, as the RDMA core tells of them.
 */
#include <linux/fs.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <rdma/ib_verbs.h>

#include "compat.h"
#include "hca.h"

static DEFINE_MUTEX(hcas_lock);
static LIST_HEAD(hcas);

static void hca_free(struct kref *ref)
{
	struct p2p_hca *hca = container_of(ref, struct p2p_hca, ref);

	pci_dev_put(hca->pdev);
	put_device(hca->parent);
	kfree(hca);
}

/**
 * p2p_hca_put() - undo p2p_hca_get()
 * @hca: the adapter
 */
void p2p_hca_put(struct p2p_hca *hca)
{
	kref_put(&hca->ref, hca_free);
}

static struct pci_dev *pci_ancestor(struct device *dev)
{
	while (dev && !dev_is_pci(dev))
		dev = dev->parent;
	return dev ? to_pci_dev(dev) : NULL;
}

static struct p2p_hca *hca_create(struct device *parent, struct pci_dev *pdev)
{
	struct p2p_hca *hca = kzalloc(sizeof(*hca), GFP_KERNEL);

	if (!hca)
		return NULL;
	kref_init(&hca->ref);
	hca->parent = get_device(parent);
	hca->pdev = pci_dev_get(pdev);
	init_rwsem(&hca->lock);
	mutex_init(&hca->exports_lock);
	INIT_LIST_HEAD(&hca->exports);
	return hca;
}

static struct ib_client hca_client;

static int hca_add(struct ib_device *ibdev)
{
	struct pci_dev *pdev = pci_ancestor(ibdev->dev.parent);
	struct p2p_hca *hca;

	if (!pdev)
		return -EOPNOTSUPP;
	hca = hca_create(ibdev->dev.parent, pdev);
	if (!hca)
		return -ENOMEM;
	ib_set_client_data(ibdev, &hca_client, hca);
	mutex_lock(&hcas_lock);
	list_add_tail(&hca->node, &hcas);
	mutex_unlock(&hcas_lock);
	return 0;
}

/* The adapter's driver may take its registers back once this returns. */
static void hca_remove(struct ib_device *ibdev, void *data)
{
	struct p2p_hca *hca = data;

	mutex_lock(&hcas_lock);
	list_del(&hca->node);
	mutex_unlock(&hcas_lock);
	/* Waits for those who are about to export something. */
	down_write(&hca->lock);
	hca->gone = true;
	up_write(&hca->lock);
	p2p_regs_take_away_all(hca);
	p2p_hca_put(hca);
}

static struct ib_client hca_client = {
	.name = "p2prdma",
	.add = hca_add,
	.remove = hca_remove,
	/* EFA has none. */
	.no_kverbs_req = true,
};

/**
 * p2p_hca_init() - begin to listen to the RDMA core
 *
 * Return: 0 or a negative errno.
 */
int p2p_hca_init(void)
{
	return ib_register_client(&hca_client);
}

/**
 * p2p_hca_exit() - forget all adapters
 */
void p2p_hca_exit(void)
{
	ib_unregister_client(&hca_client);
}

static int is_uverbs_of(struct device *dev, void *data)
{
	const dev_t *devt = data;

	return dev->devt == *devt && dev->class &&
	       !strcmp(dev->class->name, "infiniband_verbs");
}

/**
 * p2p_hca_get() - the adapter that a file belongs to
 * @uverbs: any open file
 *
 * Return: the adapter, to be dropped by p2p_hca_put(); NULL if the file is no
 * uverbs device's.
 */
struct p2p_hca *p2p_hca_get(struct file *uverbs)
{
	struct inode *inode = file_inode(uverbs);
	dev_t devt = inode->i_rdev;
	struct p2p_hca *hca, *found = NULL;

	if (!S_ISCHR(inode->i_mode))
		return NULL;
	mutex_lock(&hcas_lock);
	list_for_each_entry(hca, &hcas, node) {
		if (!device_for_each_child(hca->parent, &devt, is_uverbs_of))
			continue;
		kref_get(&hca->ref);
		found = hca;
		break;
	}
	mutex_unlock(&hcas_lock);
	return found;
}

/**
 * p2p_hca_enter() - begin to use the adapter
 * @hca: the adapter
 *
 * Return: 0, and its driver stays until p2p_hca_exit_use(); or -ENODEV.
 */
int p2p_hca_enter(struct p2p_hca *hca)
{
	down_read(&hca->lock);
	if (!hca->gone)
		return 0;
	up_read(&hca->lock);
	return -ENODEV;
}

/**
 * p2p_hca_exit_use() - undo a successful p2p_hca_enter()
 * @hca: the adapter
 */
void p2p_hca_exit_use(struct p2p_hca *hca)
{
	up_read(&hca->lock);
}

#if P2P_HAVE_PROVIDER

/**
 * p2p_hca_prepare() - let the adapter take part in peer-to-peer DMA
 * @hca: the adapter; the caller is not in p2p_hca_enter()
 *
 * What is prepared lasts as long as the adapter's driver is bound.
 *
 * Return: 0 or a negative errno.
 */
int p2p_hca_prepare(struct p2p_hca *hca)
{
	struct device *dev = &hca->pdev->dev;
	int ret;

	ret = device_lock_interruptible(dev);
	if (ret)
		return ret;
	/* Without a driver, a later probe would find managed resources. */
	ret = dev->driver ? pcim_p2pdma_init(hca->pdev) : -ENODEV;
	device_unlock(dev);
	return ret;
}

#else

/**
 * p2p_hca_prepare() - without p2pdma, adapters do not take part
 * @hca: the adapter
 *
 * Return: 0; rings are memory of the host.
 */
int p2p_hca_prepare(struct p2p_hca *hca)
{
	return 0;
}

#endif
