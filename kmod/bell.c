// SPDX-License-Identifier: GPL-2.0-only
/*
 * Bells: the card's machine interrupts the host, which signals an eventfd.
 *
 * A card that rings without end costs the host a bounded part of a CPU: after
 * BURST interrupts within one jiffy the bells stay masked until the next one.
 * What rings meanwhile is pending, and interrupts then.
 */
#include <linux/eventfd.h>
#include <linux/interrupt.h>
#include <linux/pci.h>

#include "bell.h"
#include "card.h"

/* MSI-X vector of the bells. */
#define BELL_VECTOR 0

/* Few: an interrupt is slow where registers are emulated. */
#define BURST 16

static void mask_update_locked(struct p2p_card *card)
{
	lockdep_assert_held(&card->bells.lock);
	if (card->bells.running)
		card->ops->bells_mask(card, ~card->bells.bound);
}

static void unmask_work(struct work_struct *work)
{
	struct p2p_card *card = container_of(to_delayed_work(work),
					     struct p2p_card, bells.unmask);

	spin_lock_irq(&card->bells.lock);
	mask_update_locked(card);
	spin_unlock_irq(&card->bells.lock);
}

/**
 * p2p_bells_init() - no bell is bound
 * @card: the card
 */
void p2p_bells_init(struct p2p_card *card)
{
	spin_lock_init(&card->bells.lock);
	INIT_DELAYED_WORK(&card->bells.unmask, unmask_work);
	/* Not 0, which is in the future for the first minutes. */
	card->bells.tick = jiffies;
}

static bool too_many_locked(struct p2p_bells *bells)
{
	if (time_after(jiffies, bells->tick)) {
		bells->tick = jiffies;
		bells->count = 0;
	}
	return ++bells->count >= BURST;
}

static void signal_locked(struct p2p_bells *bells, u32 rung)
{
	unsigned long mask = rung;
	unsigned int i;

	for_each_set_bit(i, &mask, P2P_BELLS)
		eventfd_signal(bells->bell[i].eventfd);
}

static irqreturn_t bells_interrupt(int irq, void *data)
{
	struct p2p_card *card = data;
	struct p2p_bells *bells = &card->bells;

	spin_lock(&bells->lock);
	if (bells->running) {
		if (too_many_locked(bells)) {
			card->ops->bells_mask(card, ~0U);
			schedule_delayed_work(&bells->unmask, 1);
		}
		signal_locked(bells,
			      card->ops->bells_take(card, bells->bound));
	}
	spin_unlock(&bells->lock);
	return IRQ_HANDLED;
}

/**
 * p2p_bells_request() - listen to the card
 * @card: a card that is not registered yet; all bells are masked
 *
 * Return: 0 or a negative errno. p2p_bells_free() undoes it.
 */
int p2p_bells_request(struct p2p_card *card)
{
	if (!(card->caps & P2PRDMA_CAP_BELL))
		return 0;
	return pci_request_irq(card->pdev, BELL_VECTOR, bells_interrupt, NULL,
			       card, "p2prdma-%s", pci_name(card->pdev));
}

/**
 * p2p_bells_free() - listen no more
 * @card: the card, after p2p_bells_stop()
 */
void p2p_bells_free(struct p2p_card *card)
{
	if (card->caps & P2PRDMA_CAP_BELL)
		pci_free_irq(card->pdev, BELL_VECTOR, card);
}

/**
 * p2p_bells_start() - hear the bells that are bound
 * @card: the card; device_lock is held
 *
 * After a reset they are all signalled: what rang before it is lost.
 */
void p2p_bells_start(struct p2p_card *card)
{
	if (!(card->caps & P2PRDMA_CAP_BELL))
		return;
	spin_lock_irq(&card->bells.lock);
	card->bells.running = true;
	mask_update_locked(card);
	signal_locked(&card->bells, card->bells.bound);
	spin_unlock_irq(&card->bells.lock);
}

/**
 * p2p_bells_stop() - hear no bell, and leave the registers alone
 * @card: the card; device_lock is held
 */
void p2p_bells_stop(struct p2p_card *card)
{
	if (!(card->caps & P2PRDMA_CAP_BELL))
		return;
	spin_lock_irq(&card->bells.lock);
	if (card->bells.running)
		card->ops->bells_mask(card, ~0U);
	card->bells.running = false;
	spin_unlock_irq(&card->bells.lock);
	cancel_delayed_work_sync(&card->bells.unmask);
}

static struct eventfd_ctx *set_locked(struct p2p_card *card, u32 number,
				      struct p2p_file *owner,
				      struct eventfd_ctx *eventfd)
{
	struct p2p_bell *bell = &card->bells.bell[number];
	struct eventfd_ctx *old = bell->eventfd;

	bell->eventfd = eventfd;
	bell->owner = eventfd ? owner : NULL;
	if (eventfd)
		card->bells.bound |= BIT(number);
	else
		card->bells.bound &= ~BIT(number);
	mask_update_locked(card);
	return old;
}

static int bind(struct p2p_file *owner, u32 number, struct eventfd_ctx *eventfd)
{
	struct p2p_bells *bells = &owner->card->bells;
	struct p2p_bell *bell = &bells->bell[number];
	struct eventfd_ctx *old = NULL;
	int ret = 0;

	spin_lock_irq(&bells->lock);
	if (bell->eventfd && bell->owner != owner)
		ret = eventfd ? -EBUSY : -ENOENT;
	else if (!eventfd && !bell->eventfd)
		ret = -ENOENT;
	else
		old = set_locked(owner->card, number, owner, eventfd);
	spin_unlock_irq(&bells->lock);
	if (old)
		eventfd_ctx_put(old);
	return ret;
}

/**
 * p2p_bell_bind() - tie a bell to an eventfd
 * @owner: through which open file; the caller is between p2p_card_enter() and
 *	p2p_card_exit() of its card, which has bells
 * @number: which, less than P2P_BELLS
 * @eventfd: the descriptor, in place of an earlier one of the same file; or -1
 *	to undo the binding
 *
 * Return: 0, or a negative errno as P2PRDMA_EVENT_BIND says.
 */
int p2p_bell_bind(struct p2p_file *owner, u32 number, int eventfd)
{
	struct eventfd_ctx *ctx;
	int ret;

	if (eventfd == -1)
		return bind(owner, number, NULL);
	ctx = eventfd_ctx_fdget(eventfd);
	if (IS_ERR(ctx))
		return -EBADF;
	ret = bind(owner, number, ctx);
	if (ret)
		eventfd_ctx_put(ctx);
	return ret;
}

/**
 * p2p_bells_unbind_all() - an open file is closed
 * @owner: the file; its card may be gone
 */
void p2p_bells_unbind_all(struct p2p_file *owner)
{
	u32 i;

	for (i = 0; i < P2P_BELLS; i++)
		bind(owner, i, NULL);
}
