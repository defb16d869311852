// SPDX-License-Identifier: GPL-2.0-only
/*
 * Card memory for other devices: the dma-buf exporter.
 */
#include <linux/dma-mapping.h>
#include <linux/dma-resv.h>
#include <linux/scatterlist.h>
#include <linux/sizes.h>
#include <linux/slab.h>

#include "card.h"
#include "compat.h"
#include "dma.h"
#include "memory.h"
#include "reach.h"

#if P2P_HAVE_PROVIDER

static int find_provider(struct p2p_card *card, struct p2p_area *area)
{
	area->provider = pcim_p2pdma_provider(card->pdev, area->bar);
	return area->provider ? 0 : -EOPNOTSUPP;
}

/**
 * p2p_dma_init() - take part in the kernel's peer-to-peer DMA
 * @card: a card whose areas are known, before it is registered
 *
 * The provider lives until remove() has returned.
 *
 * Return: 0, or a negative errno after logging why.
 */
int p2p_dma_init(struct p2p_card *card)
{
	int ret;

	if (!(card->caps & (P2PRDMA_CAP_MEM | P2PRDMA_CAP_DOORBELL)))
		return 0;
	ret = pcim_p2pdma_init(card->pdev);
	if (ret) {
		pci_err(card->pdev, "no peer-to-peer DMA: error %d\n", ret);
		return ret;
	}
	if (card->caps & P2PRDMA_CAP_MEM)
		ret = find_provider(card, &card->mem);
	if (!ret && card->caps & P2PRDMA_CAP_DOORBELL)
		ret = find_provider(card, &card->doorbells);
	if (ret)
		return ret;
	card->caps |= P2PRDMA_CAP_P2PDMA;
	if (P2P_HAVE_REVOCABLE)
		card->caps |= P2PRDMA_CAP_REVOKE;
	return 0;
}

static struct sg_table *dma_map(struct p2p_mem *mem,
				struct dma_buf_attachment *attach,
				enum dma_data_direction dir)
{
	struct phys_vec vec = {
		.paddr = p2p_mem_phys(mem),
		.len = mem->size,
	};

	return dma_buf_phys_vec_to_sgt(attach, mem->area->provider, &vec, 1,
				       mem->size, dir);
}

static void dma_unmap(struct dma_buf_attachment *attach, struct sg_table *sgt,
		      enum dma_data_direction dir)
{
	p2p_free_phys_sgt(attach, sgt, dir);
}

#else

/* sg_dma_len() has 32 bits. */
#define DMA_PIECE SZ_2G

/**
 * p2p_dma_init() - without p2pdma there is nothing to prepare
 * @card: the card
 *
 * Return: 0.
 */
int p2p_dma_init(struct p2p_card *card)
{
	return 0;
}

static void dma_unmap_pieces(struct device *dev, struct sg_table *sgt,
			     unsigned int count, enum dma_data_direction dir)
{
	struct scatterlist *sg;
	unsigned int i;

	for_each_sg(sgt->sgl, sg, count, i)
		dma_unmap_resource(dev, sg_dma_address(sg), sg_dma_len(sg), dir,
				   DMA_ATTR_SKIP_CPU_SYNC);
}

/* The importer gets DMA addresses only: there is no page behind them. */
static int dma_map_pieces(struct device *dev, struct p2p_mem *mem,
			  struct sg_table *sgt, enum dma_data_direction dir)
{
	struct scatterlist *sg;
	unsigned int i;
	u64 done = 0;

	for_each_sgtable_dma_sg(sgt, sg, i) {
		u64 len = min_t(u64, mem->size - done, DMA_PIECE);
		dma_addr_t addr;

		addr = dma_map_resource(dev, p2p_mem_phys(mem) + done, len, dir,
					DMA_ATTR_SKIP_CPU_SYNC);
		if (dma_mapping_error(dev, addr)) {
			dma_unmap_pieces(dev, sgt, i, dir);
			return -ENOMEM;
		}
		sg_set_page(sg, NULL, len, 0);
		sg_dma_address(sg) = addr;
		sg_dma_len(sg) = len;
		done += len;
	}
	return 0;
}

static struct sg_table *dma_map(struct p2p_mem *mem,
				struct dma_buf_attachment *attach,
				enum dma_data_direction dir)
{
	struct sg_table *sgt = kzalloc(sizeof(*sgt), GFP_KERNEL);
	int ret;

	if (!sgt)
		return ERR_PTR(-ENOMEM);
	ret = sg_alloc_table(sgt, DIV_ROUND_UP_ULL(mem->size, DMA_PIECE),
			     GFP_KERNEL);
	if (ret)
		goto err_free;
	ret = dma_map_pieces(attach->dev, mem, sgt, dir);
	if (ret)
		goto err_table;
	return sgt;

err_table:
	sg_free_table(sgt);
err_free:
	kfree(sgt);
	return ERR_PTR(ret);
}

static void dma_unmap(struct dma_buf_attachment *attach, struct sg_table *sgt,
		      enum dma_data_direction dir)
{
	dma_unmap_pieces(attach->dev, sgt, sgt->nents, dir);
	sg_free_table(sgt);
	kfree(sgt);
}

#endif

static int dma_check_importer(struct p2p_mem *mem,
			      struct dma_buf_attachment *attach)
{
	struct p2p_card *card = mem->card;

	if (!mem->kind->importable) {
		dev_warn_ratelimited(&card->dev,
				     "refused to %s: no device imports %s\n",
				     dev_name(attach->dev), mem->kind->name);
		return -EOPNOTSUPP;
	}
	if (!attach->peer2peer) {
		dev_warn_ratelimited(&card->dev,
				     "refused to %s: its driver does not accept peer-to-peer memory\n",
				     dev_name(attach->dev));
		return -EOPNOTSUPP;
	}
	if (mem->policy == P2PRDMA_POLICY_REVOCABLE &&
	    !dma_buf_attach_revocable(attach)) {
		dev_warn_ratelimited(&card->dev,
				     "refused to %s: it pins memory, and this memory was allocated as revocable\n",
				     dev_name(attach->dev));
		return -EOPNOTSUPP;
	}
	return p2p_reach_check(card, attach->dev);
}

static int mem_dma_attach(struct dma_buf *dmabuf,
			  struct dma_buf_attachment *attach)
{
	struct p2p_mem *mem = dmabuf->priv;
	int ret;

	ret = p2p_card_enter(mem->card);
	if (ret)
		return ret;
	ret = dma_check_importer(mem, attach);
	p2p_card_exit(mem->card);
	return ret;
}

/*
 * Card memory never moves, so a pin only has to be refused to importers that
 * the policy does not admit, which attach has done. Kernels that cannot tell
 * importers apart pin each mapping.
 */
static int mem_dma_pin(struct dma_buf_attachment *attach)
{
	struct p2p_mem *mem = attach->dmabuf->priv;

	dma_resv_assert_held(attach->dmabuf->resv);
	if (mem->revoked)
		return -ENODEV;
	mem->pins++;
	return 0;
}

static void mem_dma_unpin(struct dma_buf_attachment *attach)
{
	struct p2p_mem *mem = attach->dmabuf->priv;

	dma_resv_assert_held(attach->dmabuf->resv);
	mem->pins--;
}

/* Each attachment counts its own mappings, for p2p_dma_is_mapped(). */
static void count_mapping(struct dma_buf_attachment *attach, int add)
{
	attach->priv = (void *)((long)attach->priv + add);
}

static struct sg_table *mem_dma_map(struct dma_buf_attachment *attach,
				    enum dma_data_direction dir)
{
	struct p2p_mem *mem = attach->dmabuf->priv;
	struct sg_table *sgt;

	dma_resv_assert_held(attach->dmabuf->resv);
	if (mem->revoked)
		return ERR_PTR(-ENODEV);
	sgt = dma_map(mem, attach, dir);
	if (!IS_ERR(sgt)) {
		mem->mapped++;
		count_mapping(attach, 1);
	}
	return sgt;
}

static void mem_dma_unmap(struct dma_buf_attachment *attach,
			  struct sg_table *sgt, enum dma_data_direction dir)
{
	struct p2p_mem *mem = attach->dmabuf->priv;

	dma_resv_assert_held(attach->dmabuf->resv);
	dma_unmap(attach, sgt, dir);
	count_mapping(attach, -1);
	/* The attachment keeps @mem alive until its importer has returned. */
	WRITE_ONCE(mem->mapped, mem->mapped - 1);
	if (!mem->mapped)
		wake_up_all(&mem->unmapped);
}

const struct dma_buf_ops p2p_dma_buf_ops = {
	.attach = mem_dma_attach,
	.pin = mem_dma_pin,
	.unpin = mem_dma_unpin,
	.map_dma_buf = mem_dma_map,
	.unmap_dma_buf = mem_dma_unmap,
	.mmap = p2p_mem_mmap,
	.release = p2p_mem_release,
};

/**
 * p2p_dma_is_mapped() - does this importer have the memory mapped?
 * @attach: an attachment of exported memory, whose dma_resv is held
 *
 * Return: true if it has.
 */
bool p2p_dma_is_mapped(const struct dma_buf_attachment *attach)
{
	dma_resv_assert_held(attach->dmabuf->resv);
	return attach->priv;
}

/**
 * p2p_dma_invalidate() - make importers that can let go of a revoked memory
 * @mem: the memory; its dma_resv is held
 */
void p2p_dma_invalidate(struct p2p_mem *mem)
{
	struct dma_buf_attachment *attach;

	dma_resv_assert_held(mem->dmabuf->resv);
	if (P2P_HAVE_REVOCABLE || !mem->pins) {
		dma_buf_invalidate_mappings(mem->dmabuf);
		return;
	}
	/* Old kernels have importers that only complain when they are pinned. */
	list_for_each_entry(attach, &mem->dmabuf->attachments, node)
		if (attach->importer_ops == &p2p_window_attach_ops)
			p2p_window_attach_ops.P2P_INVALIDATE_OP(attach);
}
