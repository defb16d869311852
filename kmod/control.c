// SPDX-License-Identifier: GPL-2.0-only
/*
 * The control area: a range of the card's memory through which the card's own
 * machine asks, and a daemon on the host grants. What is in it is theirs.
 */
#include <linux/dma-buf.h>
#include <linux/random.h>

#include <linux/p2prdma_control.h>

#include "card.h"
#include "control.h"
#include "memory.h"

/* The doorbell page that is kept for calls of the host. */
#define CONTROL_DOORBELL 0

/**
 * p2p_control_init() - nobody has opened it
 * @card: the card
 */
void p2p_control_init(struct p2p_card *card)
{
	mutex_init(&card->control.lock);
}

/* The last reference is gone, perhaps long after the card. */
static void control_released(struct p2p_mem *mem)
{
	struct p2p_card *card = mem->card;
	bool usable = !p2p_card_enter(card);

	mutex_lock(&card->control.lock);
	if (usable) {
		card->ops->control_set(card, 0, 0, 0);
		card->ops->ring(card, CONTROL_DOORBELL);
	}
	card->control.open = false;
	mutex_unlock(&card->control.lock);
	if (usable)
		p2p_card_exit(card);
}

/**
 * p2p_control_stop() - tell the card that the epoch is over
 * @card: the card, which is being blocked: the area's owner cannot tell it
 */
void p2p_control_stop(struct p2p_card *card)
{
	mutex_lock(&card->control.lock);
	if (card->control.open) {
		card->ops->control_set(card, 0, 0, 0);
		card->ops->ring(card, CONTROL_DOORBELL);
	}
	mutex_unlock(&card->control.lock);
}

static const struct p2p_mem_kind control_kind = {
	.name = "the control area",
	.zeroed = true,
	.released = control_released,
};

static u32 other_epoch(u32 old)
{
	u32 epoch;

	do {
		epoch = get_random_u32();
	} while (!epoch || epoch == P2PRDMA_CONTROL_LEFT || epoch == old);
	return epoch;
}

static int allocate_locked(struct p2p_card *card)
{
	int ret;

	if (card->control.allocated)
		return 0;
	ret = p2p_pool_alloc(&card->mem.pool, P2PRDMA_CONTROL_SIZE,
			     P2PRDMA_CONTROL_SIZE, &card->control.offset);
	card->control.allocated = !ret;
	return ret;
}

static struct dma_buf *open_locked(struct p2p_card *card)
{
	struct p2p_control *control = &card->control;
	struct p2p_mem_range range = {
		.area = &card->mem,
		.kind = &control_kind,
		.size = P2PRDMA_CONTROL_SIZE,
		.cache = P2PRDMA_CACHE_UC,
	};
	struct dma_buf *dmabuf;
	int ret;

	if (control->open)
		return ERR_PTR(-EBUSY);
	ret = allocate_locked(card);
	if (ret)
		return ERR_PTR(ret);
	range.offset = control->offset;
	dmabuf = p2p_mem_export(card, &range);
	if (IS_ERR(dmabuf))
		return dmabuf;
	control->open = true;
	control->epoch = other_epoch(control->epoch);
	card->ops->control_set(card, control->offset, P2PRDMA_CONTROL_SIZE,
			       control->epoch);
	return dmabuf;
}

/**
 * p2p_control_open() - open the control area
 * @card: the card, which has a machine of its own; the caller is between
 *	p2p_card_enter() and p2p_card_exit()
 * @epoch: out: number of this opening
 *
 * Return: a dma-buf whose last reference ends the epoch; or an ERR_PTR: -EBUSY,
 * -ENOSPC, -ENOMEM, -ENFILE, -EINTR, -ENODEV.
 */
struct dma_buf *p2p_control_open(struct p2p_card *card, u32 *epoch)
{
	struct dma_buf *dmabuf;

	mutex_lock(&card->control.lock);
	dmabuf = open_locked(card);
	*epoch = card->control.epoch;
	mutex_unlock(&card->control.lock);
	return dmabuf;
}
