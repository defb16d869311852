/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef P2PRDMA_AREA_H
#define P2PRDMA_AREA_H

#include <linux/types.h>

#include "pool.h"

struct p2p_card;
struct p2pdma_provider;

/**
 * struct p2p_area - a part of a card's BAR, of which pieces are given out
 * @bar: the BAR
 * @base: CPU physical address of its first byte
 * @provider: the kernel's handle on the BAR; NULL without P2PRDMA_CAP_P2PDMA
 * @pool: what of it is given out
 */
struct p2p_area {
	int bar;
	phys_addr_t base;
	struct p2pdma_provider *provider;
	struct p2p_pool pool;
};

void p2p_area_init(struct p2p_area *area);
int p2p_area_set(struct p2p_area *area, struct p2p_card *card, int bar,
		 u64 offset, u64 size);
void p2p_area_destroy(struct p2p_area *area);

#endif
