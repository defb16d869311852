// SPDX-License-Identifier: GPL-2.0-only
/*
 * Registers and rings of an RDMA adapter that a process has mapped: exported,
 * and taken away when the process' mapping goes, in whatever way it goes.
 */
#include <linux/dma-buf.h>
#include <linux/dma-resv.h>
#include <linux/fs.h>
#include <linux/sched/mm.h>
#include <linux/sizes.h>
#include <linux/slab.h>

#include "compat.h"
#include "hca.h"

/* More than any queue has; bounds what one call does under mmap_lock. */
#define LENGTH_MAX SZ_64M

/*
 * Reclaim may be waiting for this: nothing is allocated, and no lock is taken
 * under which something is. The dma_resv is one of those.
 */
static bool regs_invalidate(struct mmu_interval_notifier *notifier,
			    const struct mmu_notifier_range *range,
			    unsigned long seq)
{
	struct p2p_regs *regs = container_of(notifier, struct p2p_regs,
					     notifier);

	spin_lock(&regs->lock);
	mmu_interval_set_seq(notifier, seq);
	p2p_regs_disable(regs);
	spin_unlock(&regs->lock);
	schedule_work(&regs->takeaway);
	return true;
}

static const struct mmu_interval_notifier_ops notifier_ops = {
	.invalidate = regs_invalidate,
};

/* Windows unmap in answer to this; they are disabled already. */
static void unmap_all(struct p2p_regs *regs)
{
	dma_resv_lock(regs->dmabuf->resv, NULL);
	dma_buf_invalidate_mappings(regs->dmabuf);
	dma_resv_unlock(regs->dmabuf->resv);
}

static void takeaway_work(struct work_struct *work)
{
	struct p2p_regs *regs = container_of(work, struct p2p_regs, takeaway);

	/* A mapping that went before the export was complete. */
	if (READ_ONCE(regs->dmabuf))
		unmap_all(regs);
}

static void take_away(struct p2p_regs *regs)
{
	spin_lock(&regs->lock);
	p2p_regs_disable(regs);
	spin_unlock(&regs->lock);
	unmap_all(regs);
}

/**
 * p2p_regs_take_away_all() - an adapter goes
 * @hca: the adapter, of which nothing new can be exported
 *
 * On return no card reaches it.
 */
void p2p_regs_take_away_all(struct p2p_hca *hca)
{
	struct p2p_regs *regs, *next;
	LIST_HEAD(held);

	/* What is about to be released has no windows. */
	mutex_lock(&hca->exports_lock);
	list_for_each_entry(regs, &hca->exports, node)
		if (get_file_active(&regs->dmabuf->file))
			list_add_tail(&regs->held_node, &held);
	mutex_unlock(&hca->exports_lock);

	list_for_each_entry_safe(regs, next, &held, held_node) {
		list_del(&regs->held_node);
		take_away(regs);
		dma_buf_put(regs->dmabuf);
	}
}

static void regs_free(struct p2p_regs *regs)
{
	/* Afterwards nobody queues the work. */
	if (regs->notifier.mm)
		mmu_interval_notifier_remove(&regs->notifier);
	cancel_work_sync(&regs->takeaway);
	p2p_regs_unpin(regs);
	p2p_hca_put(regs->hca);
	kfree(regs);
}

/**
 * p2p_regs_release() - the dma-buf's last reference is gone
 * @dmabuf: the dma-buf
 */
void p2p_regs_release(struct dma_buf *dmabuf)
{
	struct p2p_regs *regs = dmabuf->priv;

	mutex_lock(&regs->hca->exports_lock);
	list_del(&regs->node);
	mutex_unlock(&regs->hca->exports_lock);
	regs_free(regs);
}

static int check_alignment(const struct p2prdma_hca_regs *args)
{
	u64 in_page = offset_in_page(args->address);

	if (!args->length || args->length > LENGTH_MAX)
		return -EINVAL;
	if (args->kind != P2PRDMA_HCA_DOORBELL)
		return in_page || !PAGE_ALIGNED(args->length) ? -EINVAL : 0;
	return args->address % 4 || args->length % 4 ||
	       in_page + args->length > PAGE_SIZE ? -EINVAL : 0;
}

static struct p2p_regs *regs_create(struct p2p_hca *hca,
				    const struct p2prdma_hca_regs *args)
{
	struct p2p_regs *regs = kzalloc(sizeof(*regs), GFP_KERNEL_ACCOUNT);

	if (!regs)
		return ERR_PTR(-ENOMEM);
	kref_get(&hca->ref);
	regs->hca = hca;
	regs->address = args->address;
	regs->offset = offset_in_page(args->address);
	regs->length = args->length;
	regs->size = PAGE_ALIGN(regs->offset + regs->length);
	regs->cache = args->kind == P2PRDMA_HCA_DOORBELL ? P2PRDMA_CACHE_UC :
							   P2PRDMA_CACHE_WC;
	spin_lock_init(&regs->lock);
	INIT_LIST_HEAD(&regs->users);
	INIT_WORK(&regs->takeaway, takeaway_work);
	return regs;
}

/* What changes after this is seen by the notifier, what changed before is not. */
static int regs_watch(struct p2p_regs *regs)
{
	int ret;

	ret = mmu_interval_notifier_insert(&regs->notifier, current->mm,
					   regs->address & PAGE_MASK,
					   regs->size, &notifier_ops);
	if (ret)
		regs->notifier.mm = NULL;
	return ret;
}

static int regs_find_watched(struct p2p_regs *regs, struct file *uverbs,
			     u32 kind)
{
	unsigned long seq;
	bool changed;
	int ret;

	ret = regs_watch(regs);
	if (ret)
		return ret;
	/* Waits until nobody is just taking the mapping away. */
	seq = mmu_interval_read_begin(&regs->notifier);
	ret = p2p_regs_find(regs, uverbs, kind);
	if (ret)
		return ret;
	spin_lock(&regs->lock);
	changed = regs->dead || mmu_interval_read_retry(&regs->notifier, seq);
	spin_unlock(&regs->lock);
	return changed ? -EFAULT : 0;
}

static struct dma_buf *make_dmabuf(struct p2p_regs *regs)
{
	DEFINE_DMA_BUF_EXPORT_INFO(info);
	struct dma_buf *dmabuf;

	info.ops = &p2p_regs_dma_buf_ops;
	info.size = regs->size;
	info.flags = O_RDWR | O_CLOEXEC;
	info.priv = regs;
	dmabuf = dma_buf_export(&info);
	if (IS_ERR(dmabuf))
		return dmabuf;
	WRITE_ONCE(regs->dmabuf, dmabuf);
	mutex_lock(&regs->hca->exports_lock);
	list_add_tail(&regs->node, &regs->hca->exports);
	mutex_unlock(&regs->hca->exports_lock);
	return dmabuf;
}

static struct dma_buf *export_entered(struct p2p_hca *hca, struct file *uverbs,
				      struct p2prdma_hca_regs *args)
{
	struct p2p_regs *regs = regs_create(hca, args);
	struct dma_buf *dmabuf;
	int ret;

	if (IS_ERR(regs))
		return ERR_CAST(regs);
	ret = regs_find_watched(regs, uverbs, args->kind);
	if (ret)
		goto err_free;
	dmabuf = make_dmabuf(regs);
	if (IS_ERR(dmabuf)) {
		ret = PTR_ERR(dmabuf);
		goto err_free;
	}
	args->offset = regs->offset;
	args->cache = regs->cache;
	return dmabuf;

err_free:
	regs_free(regs);
	return ERR_PTR(ret);
}

/**
 * p2p_regs_export() - export what the caller has mapped of an adapter
 * @hca: the adapter
 * @uverbs: an open file of it
 * @args: in: kind, address, length; out: offset, cache
 *
 * Return: a dma-buf, or an ERR_PTR as P2PRDMA_HCA_REGS says.
 */
struct dma_buf *p2p_regs_export(struct p2p_hca *hca, struct file *uverbs,
				struct p2prdma_hca_regs *args)
{
	struct dma_buf *dmabuf;
	int ret;

	ret = check_alignment(args);
	if (ret)
		return ERR_PTR(ret);
	/* No range that wraps, or that lies beyond what a process may have. */
	if (!access_ok((void __user *)(uintptr_t)args->address, args->length))
		return ERR_PTR(-EFAULT);
	ret = p2p_hca_prepare(hca);
	if (ret)
		return ERR_PTR(ret);
	ret = p2p_hca_enter(hca);
	if (ret)
		return ERR_PTR(ret);
	dmabuf = export_entered(hca, uverbs, args);
	p2p_hca_exit_use(hca);
	return dmabuf;
}
