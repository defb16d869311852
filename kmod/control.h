/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef P2PRDMA_CONTROL_H
#define P2PRDMA_CONTROL_H

#include <linux/mutex.h>
#include <linux/types.h>

struct dma_buf;
struct p2p_card;

/**
 * struct p2p_control - a card's control area
 * @lock: guards all members
 * @offset: where it is in the card's memory; valid if @allocated
 * @allocated: once allocated it stays, since a card that does not know that its
 *	epoch is over may still write there
 * @open: somebody has it
 * @epoch: number of the last opening, 0 before the first
 */
struct p2p_control {
	struct mutex lock;
	u64 offset;
	bool allocated;
	bool open;
	u32 epoch;
};

void p2p_control_init(struct p2p_card *card);
void p2p_control_stop(struct p2p_card *card);
struct dma_buf *p2p_control_open(struct p2p_card *card, u32 *epoch);

#endif
