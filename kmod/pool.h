/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef P2PRDMA_POOL_H
#define P2PRDMA_POOL_H

#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/types.h>

/* The unit of allocation: what an mmap can tell apart. */
#define P2P_GRANULE PAGE_SIZE

/**
 * struct p2p_pool - which granules of a card's memory are in use
 * @lock: guards all members; a leaf lock
 * @used: one bit a granule
 * @granules: number of granules from offset 0 to the end of the memory
 * @usable: granules that are not withheld
 * @free: granules that are neither withheld nor allocated
 * @aside: granules at the start that only p2p_pool_take() gives out
 */
struct p2p_pool {
	struct mutex lock;
	unsigned long *used;
	unsigned long granules;
	unsigned long usable;
	unsigned long free;
	unsigned long aside;
};

void p2p_pool_init(struct p2p_pool *pool);
int p2p_pool_fill(struct p2p_pool *pool, u64 size);
void p2p_pool_destroy(struct p2p_pool *pool);
void p2p_pool_withhold(struct p2p_pool *pool, u64 offset, u64 size);
void p2p_pool_set_aside(struct p2p_pool *pool, u64 size);
int p2p_pool_take(struct p2p_pool *pool, u64 offset, u64 size);
int p2p_pool_alloc(struct p2p_pool *pool, u64 size, u64 alignment, u64 *offset);
void p2p_pool_free(struct p2p_pool *pool, u64 offset, u64 size);
u64 p2p_pool_size(struct p2p_pool *pool);
u64 p2p_pool_in_use(struct p2p_pool *pool);
u64 p2p_pool_available(struct p2p_pool *pool);
u64 p2p_pool_largest(struct p2p_pool *pool);

#endif
