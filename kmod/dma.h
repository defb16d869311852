/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef P2PRDMA_DMA_H
#define P2PRDMA_DMA_H

#include <linux/dma-buf.h>

struct p2p_card;
struct p2p_mem;

int p2p_dma_init(struct p2p_card *card);
bool p2p_dma_is_mapped(const struct dma_buf_attachment *attach);
void p2p_dma_invalidate(struct p2p_mem *mem);
extern const struct dma_buf_ops p2p_dma_buf_ops;

#endif
