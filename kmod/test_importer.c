// SPDX-License-Identifier: GPL-2.0-only
/*
 * p2prdma_test_importer.ko: a device driver's view of card memory, for tests.
 *
 * Attaches a dma-buf on behalf of any PCI function, as a driver that pins, that
 * can be revoked, or that does not know peer-to-peer memory. No DMA is done. An
 * open file of /dev/p2prdma_test_importer is one importer; closing it lets go
 * of everything. How to use it, by example, from a process with a dma-buf 5:
 *
 *   write "attach 5 0000:03:00.0 pinning"    or "revocable", or "plain"
 *   write "map"
 *   read  "mapped 1 invalidated 0 bytes 1048576"
 *   write "unmap"
 *   write "detach"
 *
 * A write fails with the errno of what it tried.
 */
#include <linux/dma-buf.h>
#include <linux/dma-resv.h>
#include <linux/fs.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/pci.h>
#include <linux/scatterlist.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "compat.h"

/**
 * struct importer - one attachment
 * @lock: one command at a time
 * @pdev: on whose behalf; referenced
 * @dmabuf: referenced; NULL if nothing is attached
 * @attach: the attachment
 * @pins: it pins while it is mapped
 * @sgt: the mapping, or NULL; guarded by the dma_resv
 * @invalidated: how often it was told to let go; guarded by the dma_resv
 */
struct importer {
	struct mutex lock;
	struct pci_dev *pdev;
	struct dma_buf *dmabuf;
	struct dma_buf_attachment *attach;
	bool pins;
	struct sg_table *sgt;
	unsigned int invalidated;
};

static void importer_unmap_locked(struct importer *imp)
{
	if (!imp->sgt)
		return;
	dma_buf_unmap_attachment(imp->attach, imp->sgt, DMA_BIDIRECTIONAL);
	imp->sgt = NULL;
	if (imp->pins)
		dma_buf_unpin(imp->attach);
}

static void importer_invalidate(struct dma_buf_attachment *attach)
{
	struct importer *imp = attach->importer_priv;

	imp->invalidated++;
	importer_unmap_locked(imp);
}

static const struct dma_buf_attach_ops revocable_ops = {
	.allow_peer2peer = true,
	.P2P_INVALIDATE_OP = importer_invalidate,
};

#ifdef P2PRDMA_HAVE_INVALIDATE
static const struct dma_buf_attach_ops pinning_ops = {
	.allow_peer2peer = true,
};
#else
/* Old kernels insist on a callback; a driver that pins ignores it. */
static void importer_ignore(struct dma_buf_attachment *attach)
{
}

static const struct dma_buf_attach_ops pinning_ops = {
	.allow_peer2peer = true,
	.move_notify = importer_ignore,
};
#endif

static const struct dma_buf_attach_ops *ops_by_name(const char *name)
{
	if (!strcmp(name, "pinning"))
		return &pinning_ops;
	if (!strcmp(name, "revocable"))
		return &revocable_ops;
	return NULL; /* plain */
}

static int importer_attach(struct importer *imp, int fd, const char *address,
			   const char *kind)
{
	const struct dma_buf_attach_ops *ops = ops_by_name(kind);
	unsigned int domain, bus, slot, func;
	struct dma_buf_attachment *attach;
	struct dma_buf *dmabuf;
	struct pci_dev *pdev;
	int ret;

	if (imp->dmabuf)
		return -EBUSY;
	if (sscanf(address, "%x:%x:%x.%x", &domain, &bus, &slot, &func) != 4)
		return -EINVAL;
	pdev = pci_get_domain_bus_and_slot(domain, bus, PCI_DEVFN(slot, func));
	if (!pdev)
		return -ENXIO;
	dmabuf = dma_buf_get(fd);
	if (IS_ERR(dmabuf)) {
		ret = PTR_ERR(dmabuf);
		goto err_pdev;
	}
	attach = dma_buf_dynamic_attach(dmabuf, &pdev->dev, ops, imp);
	if (IS_ERR(attach)) {
		ret = PTR_ERR(attach);
		goto err_dmabuf;
	}
	imp->pdev = pdev;
	imp->attach = attach;
	imp->pins = ops == &pinning_ops;
	imp->invalidated = 0;
	imp->dmabuf = dmabuf;
	return 0;

err_dmabuf:
	dma_buf_put(dmabuf);
err_pdev:
	pci_dev_put(pdev);
	return ret;
}

static int importer_map_locked(struct importer *imp)
{
	struct sg_table *sgt;
	int ret;

	if (imp->sgt)
		return -EBUSY;
	if (imp->pins) {
		ret = dma_buf_pin(imp->attach);
		if (ret)
			return ret;
	}
	sgt = dma_buf_map_attachment(imp->attach, DMA_BIDIRECTIONAL);
	if (IS_ERR(sgt)) {
		if (imp->pins)
			dma_buf_unpin(imp->attach);
		return PTR_ERR(sgt);
	}
	imp->sgt = sgt;
	return 0;
}

static int importer_map(struct importer *imp)
{
	int ret;

	if (!imp->dmabuf)
		return -ENOTCONN;
	dma_resv_lock(imp->dmabuf->resv, NULL);
	ret = importer_map_locked(imp);
	dma_resv_unlock(imp->dmabuf->resv);
	return ret;
}

static int importer_unmap(struct importer *imp)
{
	if (!imp->dmabuf)
		return -ENOTCONN;
	dma_resv_lock(imp->dmabuf->resv, NULL);
	importer_unmap_locked(imp);
	dma_resv_unlock(imp->dmabuf->resv);
	return 0;
}

static int importer_detach(struct importer *imp)
{
	int ret = importer_unmap(imp);

	if (ret)
		return ret;
	dma_buf_detach(imp->dmabuf, imp->attach);
	dma_buf_put(imp->dmabuf);
	pci_dev_put(imp->pdev);
	imp->dmabuf = NULL;
	return 0;
}

static int importer_command(struct importer *imp, const char *text)
{
	char address[16], kind[16];
	int fd;

	if (!strcmp(text, "map"))
		return importer_map(imp);
	if (!strcmp(text, "unmap"))
		return importer_unmap(imp);
	if (!strcmp(text, "detach"))
		return importer_detach(imp);
	if (sscanf(text, "attach %d %15s %15s", &fd, address, kind) == 3)
		return importer_attach(imp, fd, address, kind);
	return -EINVAL;
}

static ssize_t importer_write(struct file *file, const char __user *user,
			      size_t size, loff_t *pos)
{
	struct importer *imp = file->private_data;
	char text[64];
	int ret;

	if (size >= sizeof(text))
		return -EINVAL;
	if (copy_from_user(text, user, size))
		return -EFAULT;
	text[size] = '\0';
	mutex_lock(&imp->lock);
	ret = importer_command(imp, strim(text));
	mutex_unlock(&imp->lock);
	return ret ? ret : size;
}

static u64 mapped_bytes(struct sg_table *sgt)
{
	struct scatterlist *sg;
	u64 bytes = 0;
	int i;

	for_each_sgtable_dma_sg(sgt, sg, i)
		bytes += sg_dma_len(sg);
	return bytes;
}

static int importer_status(struct importer *imp, char *text, size_t size)
{
	u64 bytes = 0;
	bool mapped;

	if (!imp->dmabuf)
		return scnprintf(text, size, "detached\n");
	dma_resv_lock(imp->dmabuf->resv, NULL);
	mapped = imp->sgt;
	if (mapped)
		bytes = mapped_bytes(imp->sgt);
	dma_resv_unlock(imp->dmabuf->resv);
	return scnprintf(text, size, "mapped %d invalidated %u bytes %llu\n",
			 mapped, imp->invalidated, bytes);
}

static ssize_t importer_read(struct file *file, char __user *user, size_t size,
			     loff_t *pos)
{
	struct importer *imp = file->private_data;
	char text[80];
	loff_t start = 0;
	int length;

	mutex_lock(&imp->lock);
	length = importer_status(imp, text, sizeof(text));
	mutex_unlock(&imp->lock);
	/* Each read begins anew: the status, not a stream. */
	return simple_read_from_buffer(user, size, &start, text, length);
}

static int importer_open(struct inode *inode, struct file *file)
{
	struct importer *imp = kzalloc(sizeof(*imp), GFP_KERNEL);

	if (!imp)
		return -ENOMEM;
	mutex_init(&imp->lock);
	file->private_data = imp;
	return 0;
}

static int importer_release(struct inode *inode, struct file *file)
{
	struct importer *imp = file->private_data;

	if (imp->dmabuf)
		importer_detach(imp);
	kfree(imp);
	return 0;
}

static const struct file_operations importer_fops = {
	.owner = THIS_MODULE,
	.open = importer_open,
	.release = importer_release,
	.read = importer_read,
	.write = importer_write,
};

static struct miscdevice importer_device = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "p2prdma_test_importer",
	.fops = &importer_fops,
	.mode = 0600,
};

module_misc_device(importer_device);

MODULE_DESCRIPTION("Imports dma-bufs on behalf of PCI functions, for tests");
MODULE_AUTHOR("The p2prdma authors");
MODULE_LICENSE("GPL");
P2P_IMPORT_DMA_BUF();
