// SPDX-License-Identifier: GPL-2.0-only
/*
 * Doorbell pages: page 0 is the host's call, the others signal the eventfds of
 * the clients that they were granted to.
 *
 * Whoever writes a page without end costs the card a bounded part of a CPU: after
 * BURST interrupts within a jiffy the page stays masked until the next one. What
 * is written meanwhile is pending, and interrupts then.
 */
#include <linux/err.h>
#include <linux/interrupt.h>

#include "compat.h"
#include "local_card.h"

/* Few: an interrupt is slow where registers are emulated. */
#define BURST 16

static void write_mask(struct p2p_local *local)
{
	lockdep_assert_held(&local->doorbells_lock);
	writel(local->mask | local->throttled,
	       local->aperture->regs + LOCAL_REG_DB_MASK);
}

static void unthrottle_work(struct work_struct *work)
{
	struct p2p_local *local = container_of(to_delayed_work(work),
					       struct p2p_local, unthrottle);

	spin_lock_irq(&local->doorbells_lock);
	local->throttled = 0;
	write_mask(local);
	spin_unlock_irq(&local->doorbells_lock);
}

static void throttle(struct p2p_local *local, unsigned int page)
{
	struct p2p_local_doorbell *bell = &local->bells[page];

	if (time_after(jiffies, bell->jiffy)) {
		bell->jiffy = jiffies;
		bell->burst = 0;
	}
	if (++bell->burst < BURST)
		return;
	local->throttled |= BIT(page);
	write_mask(local);
	schedule_delayed_work(&local->unthrottle, 1);
}

static void signal_page(struct p2p_local *local, unsigned int page)
{
	if (page == LOCAL_CONTROL_PAGE)
		schedule_work(&local->work);
	else if (local->bells[page].eventfd)
		eventfd_signal(local->bells[page].eventfd);
	throttle(local, page);
}

static irqreturn_t doorbell_interrupt(int irq, void *data)
{
	struct p2p_local_vector *vector = data;
	struct p2p_local *local = vector->local;
	void __iomem *pending_reg =
		local->aperture->regs + LOCAL_REG_DB_PENDING;
	unsigned long pending;
	unsigned int page;

	spin_lock(&local->doorbells_lock);
	/* What is masked stays pending, and interrupts when it is not. */
	pending = readl(pending_reg) & vector->pages &
		  ~(local->mask | local->throttled);
	/* First, so that what is written from now on interrupts again. */
	if (pending)
		writel(pending, pending_reg);
	for_each_set_bit(page, &pending, LOCAL_DOORBELLS)
		signal_page(local, page);
	spin_unlock(&local->doorbells_lock);
	return pending ? IRQ_HANDLED : IRQ_NONE;
}

static void free_vectors(struct p2p_local *local, unsigned int count)
{
	while (--count > 0)
		pci_free_irq(local->aperture->pdev, count,
			     &local->vectors[count]);
	pci_free_irq_vectors(local->aperture->pdev);
	pci_clear_master(local->aperture->pdev);
}

static int request_vectors(struct p2p_local *local)
{
	struct pci_dev *pdev = local->aperture->pdev;
	unsigned int i;
	int ret;

	/* Vector 0 is reserved. */
	for (i = 1; i < LOCAL_VECTORS; i++) {
		ret = pci_request_irq(pdev, i, doorbell_interrupt, NULL,
				      &local->vectors[i], "p2prdma-%s-%u",
				      pci_name(pdev), i);
		if (ret) {
			free_vectors(local, i);
			return ret;
		}
	}
	return 0;
}

static void init_doorbells(struct p2p_local *local)
{
	unsigned int i;

	spin_lock_init(&local->doorbells_lock);
	INIT_DELAYED_WORK(&local->unthrottle, unthrottle_work);
	for (i = 0; i < LOCAL_VECTORS; i++)
		local->vectors[i].local = local;
	for (i = 0; i < local->doorbells; i++) {
		local->vectors[1 + i % (LOCAL_VECTORS - 1)].pages |= BIT(i);
		local->bells[i].jiffy = jiffies;
	}
	local->mask = ~0U;
}

/**
 * p2p_local_doorbell_start() - listen to the host
 * @local: a card that nobody uses yet, with @doorbells set
 *
 * Return: 0 or a negative errno. p2p_local_doorbell_stop() undoes it.
 */
int p2p_local_doorbell_start(struct p2p_local *local)
{
	struct pci_dev *pdev = local->aperture->pdev;
	int ret;

	init_doorbells(local);
	writel(~0U, local->aperture->regs + LOCAL_REG_DB_MASK);
	ret = pci_alloc_irq_vectors(pdev, LOCAL_VECTORS, LOCAL_VECTORS,
				    PCI_IRQ_MSIX);
	if (ret < 0)
		return ret;
	/* MSI-X messages are DMA. */
	pci_set_master(pdev);
	ret = request_vectors(local);
	if (ret)
		return ret;
	spin_lock_irq(&local->doorbells_lock);
	local->mask &= ~BIT(LOCAL_CONTROL_PAGE);
	write_mask(local);
	spin_unlock_irq(&local->doorbells_lock);
	return 0;
}

/**
 * p2p_local_doorbell_stop() - hear nothing any more
 * @local: the card, gone
 */
void p2p_local_doorbell_stop(struct p2p_local *local)
{
	spin_lock_irq(&local->doorbells_lock);
	local->mask = ~0U;
	write_mask(local);
	spin_unlock_irq(&local->doorbells_lock);
	free_vectors(local, LOCAL_VECTORS);
	/* After the interrupts, which schedule it. */
	cancel_delayed_work_sync(&local->unthrottle);
}

static int bind_page(struct p2p_local_client *client, u32 page, u32 grant,
		     u32 generation, struct eventfd_ctx *eventfd)
{
	struct p2p_local *local = client->local;
	struct p2p_local_doorbell *bell = &local->bells[page];
	int ret = -EBUSY;

	spin_lock_irq(&local->doorbells_lock);
	if (!bell->eventfd) {
		ret = 0;
		bell->eventfd = eventfd;
		bell->client = client;
		bell->grant = grant;
		bell->generation = generation;
		/* What came before is told by one signal, not by an interrupt. */
		writel(BIT(page), local->aperture->regs + LOCAL_REG_DB_PENDING);
		local->mask &= ~BIT(page);
		write_mask(local);
		eventfd_signal(eventfd);
	}
	spin_unlock_irq(&local->doorbells_lock);
	return ret;
}

static void unbind_page(struct p2p_local *local, u32 page)
{
	struct eventfd_ctx *eventfd;

	spin_lock_irq(&local->doorbells_lock);
	eventfd = local->bells[page].eventfd;
	local->bells[page].eventfd = NULL;
	if (!local->gone) {
		local->mask |= BIT(page);
		write_mask(local);
	}
	spin_unlock_irq(&local->doorbells_lock);
	eventfd_ctx_put(eventfd);
}

static int unbind_grant(struct p2p_local_client *client, u32 grant)
{
	struct p2p_local *local = client->local;
	u32 i;

	/* Bindings change under control_lock only. */
	for (i = 0; i < local->doorbells; i++)
		if (local->bells[i].eventfd &&
		    local->bells[i].client == client &&
		    local->bells[i].grant == grant) {
			unbind_page(local, i);
			return 0;
		}
	return -ENOENT;
}

static int bind_grant(struct p2p_local_client *client, u32 grant, int fd)
{
	struct eventfd_ctx *eventfd;
	u32 page, generation;
	int ret;

	ret = p2p_local_grant_page(client, grant, &page, &generation);
	if (ret)
		return ret;
	eventfd = eventfd_ctx_fdget(fd);
	if (IS_ERR(eventfd))
		return -EBADF;
	ret = bind_page(client, page, grant, generation, eventfd);
	if (ret)
		eventfd_ctx_put(eventfd);
	return ret;
}

/**
 * p2p_local_doorbell_bind() - ioctl(P2PRDMA_LOCAL_EVENT)
 * @client: who asks
 * @args: the ioctl's argument
 *
 * Return: 0 or a negative errno, as include/uapi/linux/p2prdma_local.h says.
 */
int p2p_local_doorbell_bind(struct p2p_local_client *client,
			    const struct p2prdma_local_event *args)
{
	struct p2p_local *local = client->local;
	int ret;

	if (args->flags)
		return -EOPNOTSUPP;
	mutex_lock(&local->control_lock);
	ret = p2p_local_client_usable(client);
	if (!ret)
		ret = args->eventfd == -1
			      ? unbind_grant(client, args->grant)
			      : bind_grant(client, args->grant, args->eventfd);
	mutex_unlock(&local->control_lock);
	return ret;
}

/**
 * p2p_local_doorbell_revoke() - undo bindings whose grant does not hold any more
 * @local: the card, SERVED; control_lock is held
 */
void p2p_local_doorbell_revoke(struct p2p_local *local)
{
	struct p2p_local_doorbell *bell;
	u32 i;

	for (i = 0; i < local->doorbells; i++) {
		bell = &local->bells[i];
		if (bell->eventfd && !p2p_local_grant_holds(local, bell->grant,
							    bell->generation))
			unbind_page(local, i);
	}
}

/**
 * p2p_local_doorbell_unbind_all() - undo bindings
 * @local: the card; control_lock is held
 * @client: whose, or NULL for all
 */
void p2p_local_doorbell_unbind_all(struct p2p_local *local,
				   struct p2p_local_client *client)
{
	u32 i;

	for (i = 0; i < local->doorbells; i++)
		if (local->bells[i].eventfd &&
		    (!client || local->bells[i].client == client))
			unbind_page(local, i);
}
