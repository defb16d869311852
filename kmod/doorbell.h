/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef P2PRDMA_DOORBELL_H
#define P2PRDMA_DOORBELL_H

struct dma_buf;
struct p2p_card;
struct p2prdma_doorbell_open;

struct dma_buf *p2p_doorbell_open(struct p2p_card *card,
				  struct p2prdma_doorbell_open *args);

#endif
