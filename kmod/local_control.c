// SPDX-License-Identifier: GPL-2.0-only
/*
 * The control area: the epochs that the card takes part in, what it does when
 * the host calls. Documentation/control.rst has the rules.
 */
#include <linux/io.h>
#include <linux/overflow.h>
#include <linux/random.h>
#include <linux/slab.h>

#include "local_card.h"

/* 0: the host has no control area open. */
static u32 read_epoch(const struct p2p_local *local)
{
	u32 epoch;

	if (!local->has_control)
		return 0;
	epoch = readl(local->pool->regs + LOCAL_REG_CTRL_EPOCH);
	/* What a function reads that is not there any more. */
	return epoch == ~0U ? 0 : epoch;
}

static bool area_fits(const struct p2p_local *local, u64 offset, u32 size)
{
	u64 end;

	return PAGE_ALIGNED(offset) && size >= P2PRDMA_CONTROL_SIZE &&
	       !check_add_overflow(offset, (u64)P2PRDMA_CONTROL_SIZE, &end) &&
	       end <= local->pool_size;
}

static void set_area(struct p2p_local *local, void __iomem *area, u64 offset)
{
	mutex_lock(&local->grants_lock);
	local->area = area;
	local->area_offset = offset;
	mutex_unlock(&local->grants_lock);
}

static void forget_area(struct p2p_local *local)
{
	void __iomem *area = local->area;

	if (!area)
		return;
	set_area(local, NULL, 0);
	iounmap(area);
}

/* @epoch is of a new opening: find where it is. */
static void find_area(struct p2p_local *local, u32 epoch)
{
	u64 offset = p2p_local_read64(local->pool, LOCAL_REG_CTRL_OFFSET);
	u32 size = readl(local->pool->regs + LOCAL_REG_CTRL_SIZE);
	void __iomem *area;

	/* Offset and size are of this epoch only if it still is the same. */
	if (read_epoch(local) != epoch)
		return;
	if (!area_fits(local, offset, size)) {
		dev_warn_ratelimited(&local->dev,
				     "the host's control area does not fit: %u bytes at 0x%llx\n",
				     size, offset);
		return;
	}
	area = ioremap(local->pool_base + offset, P2PRDMA_CONTROL_SIZE);
	if (area)
		set_area(local, area, offset);
}

static void write_card_page(struct p2p_local *local)
{
	void __iomem *area = local->area;
	u32 i;

	local->request_head = 0;
	local->reply_tail = 0;
	local->grant_change = 0;
	writel(0, area + LOCAL_CARD_AT(request_head));
	writel(0, area + LOCAL_CARD_AT(reply_tail));
	writel(!!local->pollers, area + LOCAL_CARD_AT(polls));
	memset(local->revoked, 0, sizeof(local->revoked));
	for (i = 0; i < P2PRDMA_CONTROL_GRANT_COUNT; i++)
		writel(0, area + LOCAL_CARD_AT(revoked) + 4 * i);
	writel(local->epoch, area + LOCAL_CARD_AT(epoch));
}

/* The area may be another epoch's since the register was read last. */
static bool epoch_holds(const struct p2p_local *local)
{
	return read_epoch(local) == local->epoch;
}

/* Not to be joined again; the host opens another. */
static void leave(struct p2p_local *local)
{
	WRITE_ONCE(local->state, P2PRDMA_LOCAL_ALONE);
	local->left = true;
	if (!epoch_holds(local))
		return;
	writel(P2PRDMA_CONTROL_LEFT, local->area + LOCAL_CARD_AT(epoch));
	p2p_local_control_ring(local);
}

static void join(struct p2p_local *local)
{
	/* An earlier life of this kernel took part in it. */
	if (p2p_local_word(local, LOCAL_CARD_AT(epoch))) {
		leave(local);
		return;
	}
	write_card_page(local);
	WRITE_ONCE(local->state, P2PRDMA_LOCAL_SERVED);
	p2p_local_control_ring(local);
	dev_info_ratelimited(&local->dev,
			     "the host serves the card, epoch %u\n",
			     local->epoch);
}

static enum p2prdma_local_state host_state(struct p2p_local *local)
{
	u32 state;

	if (!local->area)
		return local->epoch ? P2PRDMA_LOCAL_FOREIGN
				    : P2PRDMA_LOCAL_ALONE;
	state = p2p_local_word(local, LOCAL_HOST_AT(state));
	if (state == P2PRDMA_CONTROL_CLOSED)
		return P2PRDMA_LOCAL_ALONE;
	/* The state is written last, so read first. */
	rmb();
	if (state != P2PRDMA_CONTROL_SERVING ||
	    p2p_local_word(local, LOCAL_HOST_AT(magic)) !=
		    P2PRDMA_CONTROL_MAGIC ||
	    p2p_local_word(local, LOCAL_HOST_AT(version)) !=
		    P2PRDMA_CONTROL_VERSION ||
	    p2p_local_word(local, LOCAL_HOST_AT(epoch)) != local->epoch)
		return P2PRDMA_LOCAL_FOREIGN;
	return P2PRDMA_LOCAL_SERVED;
}

/* All that the epoch gave is taken away; its memory may belong to others. */
static void end_epoch(struct p2p_local *local, int error)
{
	WRITE_ONCE(local->state, P2PRDMA_LOCAL_ALONE);
	p2p_local_call_end_all(local, error);
	p2p_local_client_end_all(local, error);
	p2p_local_doorbell_unbind_all(local, NULL);
	p2p_local_grant_end_all(local);
	dev_info_ratelimited(&local->dev, "epoch %u is over\n", local->epoch);
}

static void follow_register(struct p2p_local *local)
{
	u32 epoch = read_epoch(local);

	if (epoch == local->epoch && (local->area || !epoch))
		return;
	if (local->state == P2PRDMA_LOCAL_SERVED)
		end_epoch(local, -ECONNRESET);
	forget_area(local);
	local->epoch = epoch;
	local->left = false;
	local->broken = false;
	if (epoch)
		find_area(local, epoch);
}

/**
 * p2p_local_control_refresh() - see which epoch there is, and join or leave it
 * @local: the card, not gone; control_lock is held
 *
 * A host that was reset does not call, so it is not enough to do this when the
 * host calls.
 */
void p2p_local_control_refresh(struct p2p_local *local)
{
	enum p2prdma_local_state state;

	follow_register(local);
	state = host_state(local);
	if (state != P2PRDMA_LOCAL_SERVED && !epoch_holds(local)) {
		follow_register(local);
		state = host_state(local);
	}
	if (local->state == P2PRDMA_LOCAL_SERVED) {
		if (state == P2PRDMA_LOCAL_SERVED)
			return;
		end_epoch(local, -ECONNRESET);
		leave(local);
	}
	if (state != P2PRDMA_LOCAL_SERVED)
		WRITE_ONCE(local->state, state);
	else if (!local->left)
		join(local);
	else
		WRITE_ONCE(local->state, local->broken ? P2PRDMA_LOCAL_FOREIGN
						       : P2PRDMA_LOCAL_ALONE);
}

/**
 * p2p_local_control_broken() - end an epoch in which the area is impossible
 * @local: the card, SERVED; control_lock is held
 * @why: what the host did, unless the area is another epoch's by now
 */
void p2p_local_control_broken(struct p2p_local *local, const char *why)
{
	if (!epoch_holds(local)) {
		follow_register(local);
		return;
	}
	dev_warn_ratelimited(&local->dev, "the host breaks the protocol: %s\n",
			     why);
	end_epoch(local, -EPROTO);
	leave(local);
	local->broken = true;
	WRITE_ONCE(local->state, P2PRDMA_LOCAL_FOREIGN);
}

/**
 * p2p_local_control_ring() - tell the host to look into the control area
 * @local: the card, not gone; control_lock is held
 */
void p2p_local_control_ring(struct p2p_local *local)
{
	writel(LOCAL_CONTROL_BELL, local->aperture->regs + LOCAL_REG_HOST_RING);
}

/**
 * p2p_local_control_call_host() - ring the host, unless it looks by itself
 * @local: the card, SERVED; control_lock is held
 *
 * For what a host that takes part in the epoch looks at while it polls.
 */
void p2p_local_control_call_host(struct p2p_local *local)
{
	/* A host that stops polling looks once more after it has said so. */
	mb();
	if (!p2p_local_word(local, LOCAL_HOST_AT(polls)))
		p2p_local_control_ring(local);
}

/**
 * p2p_local_control_look() - do what the host wants by now
 * @local: the card, not gone; control_lock is held
 */
void p2p_local_control_look(struct p2p_local *local)
{
	if (local->state == P2PRDMA_LOCAL_SERVED)
		p2p_local_grant_revoke(local);
	if (local->state == P2PRDMA_LOCAL_SERVED)
		p2p_local_call_replies(local);
	if (local->state == P2PRDMA_LOCAL_SERVED)
		p2p_local_client_tell_gone(local);
}

static void set_polls(struct p2p_local *local)
{
	if (local->state == P2PRDMA_LOCAL_SERVED)
		writel(!!local->pollers, local->area + LOCAL_CARD_AT(polls));
}

/**
 * p2p_local_control_poll_begin() - the caller will look for what the host does
 * @local: the card; control_lock is held
 *
 * Until p2p_local_control_poll_end() the host need not ring, and the caller
 * calls p2p_local_control_look() often.
 */
void p2p_local_control_poll_begin(struct p2p_local *local)
{
	if (!local->pollers++)
		set_polls(local);
}

/**
 * p2p_local_control_poll_end() - the host has to ring again
 * @local: the card; control_lock is held
 */
void p2p_local_control_poll_end(struct p2p_local *local)
{
	if (--local->pollers || local->gone)
		return;
	set_polls(local);
	/* What the host did before it saw that, it did without a ring. */
	mb();
	p2p_local_control_look(local);
}

static void control_work(struct work_struct *work)
{
	struct p2p_local *local = container_of(work, struct p2p_local, work);

	mutex_lock(&local->control_lock);
	if (!local->gone) {
		p2p_local_control_refresh(local);
		p2p_local_control_look(local);
	}
	mutex_unlock(&local->control_lock);
}

/**
 * p2p_local_control_init() - of a card that nobody uses yet
 * @local: the card
 */
void p2p_local_control_init(struct p2p_local *local)
{
	int i;

	mutex_init(&local->control_lock);
	INIT_WORK(&local->work, control_work);
	INIT_LIST_HEAD(&local->calls);
	INIT_LIST_HEAD(&local->clients);
	local->next_id = get_random_u32();
	for (i = 0; i < P2PRDMA_CONTROL_CLIENTS; i++)
		local->slots[i].number = i;
}

/**
 * p2p_local_control_stop() - end all use of the card
 * @local: the card
 *
 * On return no process can reach the card, and every call has ended.
 */
void p2p_local_control_stop(struct p2p_local *local)
{
	mutex_lock(&local->control_lock);
	mutex_lock(&local->grants_lock);
	local->gone = true;
	mutex_unlock(&local->grants_lock);
	if (local->state == P2PRDMA_LOCAL_SERVED) {
		end_epoch(local, -ENODEV);
		leave(local);
	} else {
		p2p_local_client_end_all(local, -ENODEV);
	}
	forget_area(local);
	mutex_unlock(&local->control_lock);
}
