// SPDX-License-Identifier: GPL-2.0-only
/*
 * The two rings of the control area. The host's indices and messages are copied
 * once and checked: what it writes later has no effect.
 */
#include "local_card.h"

static void __iomem *request_at(const struct p2p_local *local, u32 index)
{
	return local->area + P2PRDMA_CONTROL_REQUESTS +
	       index % P2PRDMA_CONTROL_SLOTS * sizeof(struct p2prdma_message);
}

static void __iomem *reply_at(const struct p2p_local *local, u32 index)
{
	return local->area + P2PRDMA_CONTROL_REPLIES +
	       index % P2PRDMA_CONTROL_SLOTS * sizeof(struct p2prdma_message);
}

/**
 * p2p_local_ring_put() - send a message to the host, and ring it
 * @local: the card, SERVED; control_lock is held
 * @message: the message
 *
 * Return: 0; -EAGAIN: the ring is full; -EPROTO: it is impossible, and the epoch
 * is over.
 */
int p2p_local_ring_put(struct p2p_local *local,
		       const struct p2prdma_message *message)
{
	u32 tail = p2p_local_word(local, LOCAL_HOST_AT(request_tail));
	u32 used = local->request_head - tail;

	if (used > P2PRDMA_CONTROL_SLOTS) {
		p2p_local_control_broken(local, "request_tail is impossible");
		return -EPROTO;
	}
	if (used == P2PRDMA_CONTROL_SLOTS)
		return -EAGAIN;
	memcpy_toio(request_at(local, local->request_head), message,
		    sizeof(*message));
	/* writel() orders: the message is there before the head says so. */
	writel(++local->request_head,
	       local->area + LOCAL_CARD_AT(request_head));
	p2p_local_control_call_host(local);
	return 0;
}

/**
 * p2p_local_ring_pending() - how many messages the host has sent
 * @local: the card, SERVED; control_lock is held
 *
 * Return: that many, at most P2PRDMA_CONTROL_SLOTS, may be taken now; -EPROTO: the
 * ring is impossible, and the epoch is over.
 */
int p2p_local_ring_pending(struct p2p_local *local)
{
	u32 head = p2p_local_word(local, LOCAL_HOST_AT(reply_head));
	u32 pending = head - local->reply_tail;

	if (pending <= P2PRDMA_CONTROL_SLOTS)
		return pending;
	p2p_local_control_broken(local, "reply_head is impossible");
	return -EPROTO;
}

/**
 * p2p_local_ring_take() - take a message of the host's
 * @local: the card, SERVED; control_lock is held
 * @message: out: a copy of what p2p_local_ring_pending() has seen
 */
void p2p_local_ring_take(struct p2p_local *local,
			 struct p2prdma_message *message)
{
	memcpy_fromio(message, reply_at(local, local->reply_tail),
		      sizeof(*message));
	/* Loads before it are done: the slot may be used again. */
	mb();
	writel(++local->reply_tail, local->area + LOCAL_CARD_AT(reply_tail));
}
