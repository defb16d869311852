// SPDX-License-Identifier: GPL-2.0-only
/*
 * Registers and rings of RDMA adapters for windows, and for nothing else: only a
 * window can be taken away at once, in the middle of an mmu notifier. There is
 * no mmap() either.
 */
#include <linux/dma-buf.h>
#include <linux/dma-mapping.h>
#include <linux/dma-resv.h>
#include <linux/pci-p2pdma.h>
#include <linux/scatterlist.h>
#include <linux/slab.h>

#include "compat.h"
#include "hca.h"
#include "window.h"

/**
 * struct p2p_regs_user - a window that is attached
 * @node: in @users of the registers while they are mapped
 * @window: the window
 */
struct p2p_regs_user {
	struct list_head node;
	struct p2p_window *window;
};

static bool is_inside(const struct p2p_regs *regs, struct p2p_window *window)
{
	u64 offset, length;

	p2p_window_range(window, &offset, &length);
	return offset >= regs->offset &&
	       offset - regs->offset <= regs->length &&
	       length <= regs->length - (offset - regs->offset);
}

static int check_window(const struct p2p_regs *regs,
			struct dma_buf_attachment *attach)
{
	if (attach->importer_ops != &p2p_window_attach_ops) {
		dev_warn_ratelimited(attach->dev,
				     "refused: only windows of p2prdma cards reach registers of %s\n",
				     pci_name(regs->hca->pdev));
		return -EOPNOTSUPP;
	}
	if (!is_inside(regs, attach->importer_priv))
		return -EINVAL;
#if P2P_HAVE_PROVIDER
	/* Says in the kernel's log what is in the way. */
	if (regs->provider &&
	    pci_p2pdma_distance(regs->hca->pdev, attach->dev, true) < 0)
		return -EOPNOTSUPP;
#endif
	return 0;
}

static int regs_attach(struct dma_buf *dmabuf,
		       struct dma_buf_attachment *attach)
{
	struct p2p_regs_user *user = kzalloc(sizeof(*user), GFP_KERNEL_ACCOUNT);
	int ret;

	if (!user)
		return -ENOMEM;
	ret = check_window(dmabuf->priv, attach);
	if (ret) {
		kfree(user);
		return ret;
	}
	INIT_LIST_HEAD(&user->node);
	user->window = attach->importer_priv;
	attach->priv = user;
	return 0;
}

static void regs_detach(struct dma_buf *dmabuf,
			struct dma_buf_attachment *attach)
{
	kfree(attach->priv);
}

#if P2P_HAVE_PROVIDER

static struct sg_table *map_registers(struct p2p_regs *regs,
				      struct dma_buf_attachment *attach,
				      enum dma_data_direction dir)
{
	struct phys_vec vec = { .paddr = regs->phys, .len = regs->size };

	return dma_buf_phys_vec_to_sgt(attach, regs->provider, &vec, 1,
				       regs->size, dir);
}

static void unmap_registers(struct dma_buf_attachment *attach,
			    struct sg_table *sgt, enum dma_data_direction dir)
{
	p2p_free_phys_sgt(attach, sgt, dir);
}

#else

static struct sg_table *map_registers(struct p2p_regs *regs,
				      struct dma_buf_attachment *attach,
				      enum dma_data_direction dir)
{
	return ERR_PTR(-EOPNOTSUPP);
}

static void unmap_registers(struct dma_buf_attachment *attach,
			    struct sg_table *sgt, enum dma_data_direction dir)
{
}

#endif

static struct sg_table *map_ring(struct p2p_regs *regs,
				 struct dma_buf_attachment *attach,
				 enum dma_data_direction dir)
{
	struct sg_table *sgt = kzalloc(sizeof(*sgt), GFP_KERNEL);
	int ret;

	if (!sgt)
		return ERR_PTR(-ENOMEM);
	ret = sg_alloc_table_from_pages(sgt, regs->pages, regs->page_count, 0,
					regs->size, GFP_KERNEL);
	if (ret)
		goto err_free;
	ret = dma_map_sgtable(attach->dev, sgt, dir, 0);
	if (ret)
		goto err_table;
	return sgt;

err_table:
	sg_free_table(sgt);
err_free:
	kfree(sgt);
	return ERR_PTR(ret);
}

static void unmap_ring(struct dma_buf_attachment *attach, struct sg_table *sgt,
		       enum dma_data_direction dir)
{
	dma_unmap_sgtable(attach->dev, sgt, dir, 0);
	sg_free_table(sgt);
	kfree(sgt);
}

/* Whoever sets @dead takes away what it finds; later ones are refused here. */
static int add_user(struct p2p_regs *regs, struct p2p_regs_user *user)
{
	int ret = -ENODEV;

	spin_lock(&regs->lock);
	if (!regs->dead) {
		list_add_tail(&user->node, &regs->users);
		ret = 0;
	}
	spin_unlock(&regs->lock);
	return ret;
}

static void remove_user(struct p2p_regs *regs, struct p2p_regs_user *user)
{
	spin_lock(&regs->lock);
	list_del_init(&user->node);
	spin_unlock(&regs->lock);
}

static struct sg_table *regs_map(struct dma_buf_attachment *attach,
				 enum dma_data_direction dir)
{
	struct p2p_regs *regs = attach->dmabuf->priv;
	struct sg_table *sgt;
	int ret;

	dma_resv_assert_held(attach->dmabuf->resv);
	ret = add_user(regs, attach->priv);
	if (ret)
		return ERR_PTR(ret);
	if (regs->pages)
		sgt = map_ring(regs, attach, dir);
	else
		sgt = map_registers(regs, attach, dir);
	if (IS_ERR(sgt))
		remove_user(regs, attach->priv);
	return sgt;
}

static void regs_unmap(struct dma_buf_attachment *attach, struct sg_table *sgt,
		       enum dma_data_direction dir)
{
	struct p2p_regs *regs = attach->dmabuf->priv;

	dma_resv_assert_held(attach->dmabuf->resv);
	if (regs->pages)
		unmap_ring(attach, sgt, dir);
	else
		unmap_registers(attach, sgt, dir);
	remove_user(regs, attach->priv);
}

const struct dma_buf_ops p2p_regs_dma_buf_ops = {
	.attach = regs_attach,
	.detach = regs_detach,
	.map_dma_buf = regs_map,
	.unmap_dma_buf = regs_unmap,
	.release = p2p_regs_release,
};

/**
 * p2p_regs_disable() - no card reaches the registers any more, for good
 * @regs: the registers; @lock is held
 *
 * Allocates nothing and takes one leaf lock, as an mmu notifier must. What is
 * mapped for the windows is still to be unmapped.
 */
void p2p_regs_disable(struct p2p_regs *regs)
{
	struct p2p_regs_user *user;

	lockdep_assert_held(&regs->lock);
	regs->dead = true;
	list_for_each_entry(user, &regs->users, node)
		p2p_window_disable(user->window);
}
