/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef P2PRDMA_BELL_H
#define P2PRDMA_BELL_H

#include <linux/spinlock.h>
#include <linux/types.h>
#include <linux/workqueue.h>

struct eventfd_ctx;
struct p2p_card;
struct p2p_file;

#define P2P_BELLS 32

/**
 * struct p2p_bell - a bell that the card's machine can ring
 * @eventfd: signalled when it rings; referenced; NULL: not bound
 * @owner: through which open file it was bound
 */
struct p2p_bell {
	struct eventfd_ctx *eventfd;
	struct p2p_file *owner;
};

/**
 * struct p2p_bells - a card's bells
 * @lock: guards all members; taken in interrupts
 * @running: the registers may be touched
 * @bound: mask of the bells that are bound
 * @tick: when the last interrupt was, in jiffies
 * @count: how many there were in that jiffy
 * @unmask: lets bells that rang too often interrupt again
 * @bell: the bells
 */
struct p2p_bells {
	spinlock_t lock;
	bool running;
	u32 bound;
	unsigned long tick;
	unsigned int count;
	struct delayed_work unmask;
	struct p2p_bell bell[P2P_BELLS];
};

void p2p_bells_init(struct p2p_card *card);
int p2p_bells_request(struct p2p_card *card);
void p2p_bells_free(struct p2p_card *card);
void p2p_bells_start(struct p2p_card *card);
void p2p_bells_stop(struct p2p_card *card);
int p2p_bell_bind(struct p2p_file *owner, u32 number, int eventfd);
void p2p_bells_unbind_all(struct p2p_file *owner);

#endif
