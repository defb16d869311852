// SPDX-License-Identifier: GPL-2.0-only
/*
 * The allocator of card memory: a bitmap of granules, first fit. Card memory is
 * given out in few, large pieces, so exact figures matter more than speed.
 */
#include <linux/bitmap.h>
#include <linux/find.h>

#include "pool.h"

/**
 * p2p_pool_init() - make an empty pool
 * @pool: the pool, all zero
 */
void p2p_pool_init(struct p2p_pool *pool)
{
	mutex_init(&pool->lock);
}

/**
 * p2p_pool_fill() - start with all of a card's memory free
 * @pool: the pool, empty
 * @size: bytes of card memory; a tail shorter than a granule is not used
 *
 * Return: 0, or -ENOMEM. p2p_pool_destroy() undoes it.
 */
int p2p_pool_fill(struct p2p_pool *pool, u64 size)
{
	/* The bitmap functions count in 32 bits: 8 TiB at 4 KiB a granule. */
	u64 granules = min_t(u64, size / P2P_GRANULE, INT_MAX);

	pool->used = kvcalloc(BITS_TO_LONGS(granules), sizeof(long),
			      GFP_KERNEL);
	if (!pool->used)
		return -ENOMEM;
	pool->granules = granules;
	pool->usable = granules;
	pool->free = granules;
	return 0;
}

/**
 * p2p_pool_destroy() - free the pool's own memory
 * @pool: the pool; one that is all zero is allowed
 */
void p2p_pool_destroy(struct p2p_pool *pool)
{
	kvfree(pool->used);
	pool->used = NULL;
}

/**
 * p2p_pool_withhold() - take bytes that must never be given out
 * @pool: the pool, before its first allocation
 * @offset: first byte; rounded down to a granule
 * @size: number of bytes; what lies beyond the pool is ignored
 */
void p2p_pool_withhold(struct p2p_pool *pool, u64 offset, u64 size)
{
	u64 first = offset / P2P_GRANULE;
	u64 end = min_t(u64, DIV_ROUND_UP_ULL(offset + size, P2P_GRANULE),
			pool->granules);

	mutex_lock(&pool->lock);
	for (; first < end; first++) {
		if (__test_and_set_bit(first, pool->used))
			continue;
		pool->usable--;
		pool->free--;
	}
	mutex_unlock(&pool->lock);
}

/**
 * p2p_pool_set_aside() - keep the first bytes for those who ask for them
 * @pool: the pool, before its first allocation
 * @size: bytes, a multiple of the granule
 */
void p2p_pool_set_aside(struct p2p_pool *pool, u64 size)
{
	pool->aside = size / P2P_GRANULE;
}

/**
 * p2p_pool_take() - take a particular range
 * @pool: the pool
 * @offset: of the range, a multiple of the granule
 * @size: bytes, a multiple of the granule; the range lies inside the pool
 *
 * Return: 0, or -EBUSY if any of it is in use.
 */
int p2p_pool_take(struct p2p_pool *pool, u64 offset, u64 size)
{
	unsigned long first = offset / P2P_GRANULE;
	unsigned long end = first + size / P2P_GRANULE;
	int ret = -EBUSY;

	mutex_lock(&pool->lock);
	if (find_next_bit(pool->used, end, first) < end)
		goto out;
	bitmap_set(pool->used, first, end - first);
	pool->free -= end - first;
	ret = 0;
out:
	mutex_unlock(&pool->lock);
	return ret;
}

/**
 * p2p_pool_alloc() - take a free range
 * @pool: the pool
 * @size: bytes, a multiple of the granule and not 0
 * @alignment: alignment of the range inside the card, a power of two
 * @offset: out: where the range begins in the card's memory
 *
 * Return: 0, or -ENOSPC if no free range is large enough.
 */
int p2p_pool_alloc(struct p2p_pool *pool, u64 size, u64 alignment, u64 *offset)
{
	u64 count = size / P2P_GRANULE;
	u64 mask = max_t(u64, alignment, P2P_GRANULE) / P2P_GRANULE - 1;
	unsigned long first;
	int ret = -ENOSPC;

	mutex_lock(&pool->lock);
	if (count > pool->free)
		goto out;
	first = bitmap_find_next_zero_area(pool->used, pool->granules,
					   pool->aside, count, mask);
	if (first >= pool->granules)
		goto out;
	bitmap_set(pool->used, first, count);
	pool->free -= count;
	*offset = (u64)first * P2P_GRANULE;
	ret = 0;
out:
	mutex_unlock(&pool->lock);
	return ret;
}

/**
 * p2p_pool_free() - give a range back
 * @pool: the pool
 * @offset: as p2p_pool_alloc() returned it
 * @size: as it was passed to p2p_pool_alloc()
 */
void p2p_pool_free(struct p2p_pool *pool, u64 offset, u64 size)
{
	mutex_lock(&pool->lock);
	bitmap_clear(pool->used, offset / P2P_GRANULE, size / P2P_GRANULE);
	pool->free += size / P2P_GRANULE;
	mutex_unlock(&pool->lock);
}

/**
 * p2p_pool_size() - bytes that can be allocated when nothing is
 * @pool: the pool
 *
 * Return: bytes, a multiple of the granule.
 */
u64 p2p_pool_size(struct p2p_pool *pool)
{
	return (u64)pool->usable * P2P_GRANULE;
}

/**
 * p2p_pool_in_use() - bytes that are given out now
 * @pool: the pool
 *
 * Return: bytes, a multiple of the granule.
 */
u64 p2p_pool_in_use(struct p2p_pool *pool)
{
	return p2p_pool_size(pool) - p2p_pool_available(pool);
}

/**
 * p2p_pool_available() - bytes that are free now
 * @pool: the pool
 *
 * Return: bytes, a multiple of the granule.
 */
u64 p2p_pool_available(struct p2p_pool *pool)
{
	return (u64)READ_ONCE(pool->free) * P2P_GRANULE;
}

/**
 * p2p_pool_largest() - the largest range that could be allocated now
 * @pool: the pool
 *
 * Return: bytes, a multiple of the granule; 0 if the pool is full.
 */
u64 p2p_pool_largest(struct p2p_pool *pool)
{
	unsigned long start, end, largest = 0;

	mutex_lock(&pool->lock);
	start = pool->aside;
	for_each_clear_bitrange_from(start, end, pool->used, pool->granules)
		largest = max(largest, end - start);
	mutex_unlock(&pool->lock);
	return (u64)largest * P2P_GRANULE;
}
