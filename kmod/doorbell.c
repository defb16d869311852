// SPDX-License-Identifier: GPL-2.0-only
/*
 * Doorbell pages: registers of the card by which devices and processes interrupt
 * the card's own machine, a page for each that it can tell apart.
 */
#include <linux/dma-buf.h>

#include "card.h"
#include "doorbell.h"
#include "memory.h"

static void doorbell_released(struct p2p_mem *mem)
{
	p2p_pool_free(&mem->area->pool, mem->offset, mem->size);
}

static const struct p2p_mem_kind doorbell_kind = {
	.name = "a doorbell page",
	.importable = true,
	.released = doorbell_released,
};

static int take_page(struct p2p_pool *pool, u32 flags, u64 *offset)
{
	if (!(flags & P2PRDMA_DOORBELL_CONTROL))
		return p2p_pool_alloc(pool, P2P_GRANULE, 0, offset);
	*offset = 0;
	return p2p_pool_take(pool, 0, P2P_GRANULE);
}

/**
 * p2p_doorbell_open() - give a doorbell page out
 * @card: the card, which has some; the caller is between p2p_card_enter() and
 *	p2p_card_exit()
 * @args: in: checked flags and policy; out: page and length
 *
 * Return: a dma-buf of the page; or an ERR_PTR: -ENOSPC, -EBUSY, -ENOMEM,
 * -ENFILE.
 */
struct dma_buf *p2p_doorbell_open(struct p2p_card *card,
				  struct p2prdma_doorbell_open *args)
{
	struct p2p_pool *pool = &card->doorbells.pool;
	struct p2p_mem_range range = {
		.area = &card->doorbells,
		.kind = &doorbell_kind,
		.size = P2P_GRANULE,
		.cache = P2PRDMA_CACHE_UC,
		.policy = args->policy,
	};
	struct dma_buf *dmabuf;
	int ret;

	ret = take_page(pool, args->flags, &range.offset);
	if (ret)
		return ERR_PTR(ret);
	dmabuf = p2p_mem_export(card, &range);
	if (IS_ERR(dmabuf)) {
		p2p_pool_free(pool, range.offset, range.size);
		return dmabuf;
	}
	args->page = range.offset / P2P_GRANULE;
	args->length = range.size;
	return dmabuf;
}
