// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the module does with a reference card: registers of BAR 0.
 */
#include <linux/io-64-nonatomic-lo-hi.h>
#include <linux/io.h>
#include <linux/iopoll.h>

#include "card.h"
#include "refcard.h"

/* How long a card may take to finish what it has under way. */
#define IDLE_TIMEOUT_US USEC_PER_SEC
#define IDLE_POLL_US 10

/* Two registers. */
static void write_reg64(struct refcard *ref, u32 reg, u64 value)
{
	if (ref->minor < 2)
		lo_hi_writeq(value, ref->regs + reg);
	else
		writeq(value, ref->regs + reg);
}

/**
 * refcard_ring() - write to a doorbell page
 * @card: the card
 * @page: which page
 */
void refcard_ring(struct p2p_card *card, u32 page)
{
	struct refcard *ref = card->priv;

	writel(1, ref->doorbells + page * DB_PAGE_SIZE);
}

static u32 window_control(u32 access)
{
	u32 control = WIN_ENABLED;

	if (!(access & P2PRDMA_ACCESS_READ))
		control |= WIN_NO_LOADS;
	if (!(access & P2PRDMA_ACCESS_WRITE))
		control |= WIN_NO_STORES;
	return control;
}

/**
 * refcard_window_set() - enable a window
 * @card: the card
 * @slot: the window, which is disabled
 * @target: DMA address of the first byte
 * @length: bytes, from 1 to a slot's size
 * @access: mask of enum p2prdma_access
 *
 * Return: 0; -EOPNOTSUPP if the card cannot restrict access; -EIO if it refuses.
 */
int refcard_window_set(struct p2p_card *card, u32 slot, u64 target, u64 length,
		       u32 access)
{
	struct refcard *ref = card->priv;
	u32 regs = REG_WINDOW(slot), control = window_control(access);

	if (control != WIN_ENABLED && ref->minor < 2)
		return -EOPNOTSUPP;
	write_reg64(ref, regs + WIN_TARGET, target);
	write_reg64(ref, regs + WIN_LENGTH, length);
	/* And WIN_ERRORS: those of an earlier use are forgotten. */
	write_reg64(ref, regs + WIN_CONTROL, control | (u64)U32_MAX << 32);
	if (readl(ref->regs + regs + WIN_CONTROL) == control)
		return 0;
	writel(0, ref->regs + regs + WIN_CONTROL);
	return -EIO;
}

/**
 * refcard_window_clear() - disable a window
 * @card: the card
 * @slot: the window
 */
void refcard_window_clear(struct p2p_card *card, u32 slot)
{
	struct refcard *ref = card->priv;

	writel(0, ref->regs + REG_WINDOW(slot) + WIN_CONTROL);
}

/**
 * refcard_window_idle() - wait until nothing is under way through a window
 * @card: the card
 * @slot: the window, which is disabled
 *
 * Return: 0, also if the card does not answer, as it then does no DMA either;
 * -ETIMEDOUT.
 */
int refcard_window_idle(struct p2p_card *card, u32 slot)
{
	struct refcard *ref = card->priv;
	void __iomem *reg = ref->regs + REG_WINDOW(slot) + WIN_OUTSTANDING;
	u32 outstanding;

	return readl_poll_timeout_atomic(reg, outstanding,
					 !outstanding || outstanding == ~0U,
					 IDLE_POLL_US, IDLE_TIMEOUT_US);
}

/**
 * refcard_bells_take() - which bells were rung?
 * @card: the card
 * @mask: the bells that are asked for
 *
 * Return: a mask of those that were; they are not pending any more.
 */
u32 refcard_bells_take(struct p2p_card *card, u32 mask)
{
	struct refcard *ref = card->priv;
	u32 pending = readl(ref->regs + REG_CARD_PENDING) & mask;

	writel(pending, ref->regs + REG_CARD_PENDING);
	return pending;
}

/**
 * refcard_bells_mask() - which bells must not interrupt
 * @card: the card
 * @mask: the bells
 */
void refcard_bells_mask(struct p2p_card *card, u32 mask)
{
	struct refcard *ref = card->priv;

	writel(mask, ref->regs + REG_CARD_MASK);
}

/**
 * refcard_control_set() - tell the card's machine of its control area
 * @card: the card
 * @offset: of the area in the card's memory
 * @size: bytes of it
 * @epoch: number of its opening, or 0
 */
void refcard_control_set(struct p2p_card *card, u64 offset, u32 size, u32 epoch)
{
	struct refcard *ref = card->priv;

	/* Nobody may take the new place for that of the old epoch. */
	writel(0, ref->regs + REG_CTRL_EPOCH);
	write_reg64(ref, REG_CTRL_OFFSET, offset);
	writel(size, ref->regs + REG_CTRL_SIZE);
	writel(epoch, ref->regs + REG_CTRL_EPOCH);
}

/**
 * refcard_memory_given() - tell an emulated card what devices may access
 * @card: the card; calls do not overlap
 * @offset: of a range in the card's memory
 * @length: bytes of it
 * @given: from now on they may, or may not
 */
void refcard_memory_given(struct p2p_card *card, u64 offset, u64 length,
			  bool given)
{
	struct refcard *ref = card->priv;

	if (!(ref->caps & CAPS_LAB))
		return;
	write_reg64(ref, REG_LAB_OFFSET, offset);
	write_reg64(ref, REG_LAB_LENGTH, length);
	writel(given ? LAB_GIVEN : LAB_TAKEN, ref->regs + REG_LAB_COMMAND);
}
