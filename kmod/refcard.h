/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef P2PRDMA_REFCARD_H
#define P2PRDMA_REFCARD_H

#include <linux/bitfield.h>
#include <linux/bits.h>
#include <linux/types.h>

struct p2p_card;

/* BAR 0, as Documentation/refcard.rst specifies it. */
#define REG_MAGIC	0x00
#define  MAGIC_VALUE	0x43523250
#define REG_VERSION	0x04
#define  VERSION_MAJOR	GENMASK(31, 16)
#define  VERSION_MINOR	GENMASK(15, 0)
#define  MAJOR_KNOWN	1
#define REG_CAPS	0x08
#define  CAPS_MEM	BIT(0)
#define  CAPS_DOORBELL	BIT(1)
#define  CAPS_WINDOW	BIT(2)
#define  CAPS_CONTROL	BIT(3)
#define  CAPS_LAB	BIT(31)
#define REG_STATUS	0x0c
#define  STATUS_READY	BIT(0)
#define  STATUS_FAULT	BIT(1)
#define REG_SERIAL	0x10
#define REG_MEM_SIZE	0x18
#define REG_DB_OFFSET	0x20
#define REG_DB_COUNT	0x24
#define REG_SCRATCH	0x28
#define REG_DB_MASK	0x30
#define REG_CTRL_OFFSET	0x40
#define REG_CTRL_SIZE	0x48
#define REG_CTRL_EPOCH	0x4c
#define REG_END		0x50

/* With CAPS_WINDOW. */
#define REG_WIN_CAPS	0x1000
#define  WIN_COUNT	GENMASK(15, 0)
#define  WIN_SLOT_SHIFT	GENMASK(23, 16)
#define REG_CARD_PENDING 0x100c
#define REG_CARD_MASK	0x1010
#define REG_WINDOW(n)	(0x2000 + (n) * 0x40)
#define  WIN_TARGET	0x00
#define  WIN_LENGTH	0x08
#define  WIN_CONTROL	0x10
#define   WIN_ENABLED	BIT(0)
#define   WIN_NO_LOADS	BIT(1)
#define   WIN_NO_STORES	BIT(2)
#define  WIN_ERRORS	0x14
#define  WIN_OUTSTANDING 0x18
#define REG_WINDOWS_END	0x8000

/* With CAPS_LAB. */
#define REG_LAB_OFFSET	0x7f00
#define REG_LAB_LENGTH	0x7f08
#define REG_LAB_COMMAND	0x7f10
#define  LAB_GIVEN	1
#define  LAB_TAKEN	2

#define DB_PAGE_SIZE	4096

/**
 * struct refcard - the driver's view of a reference card
 * @regs: BAR 0
 * @doorbells: doorbell page 0 in it
 * @minor: version of the registers; constant, like the rest
 * @caps: REG_CAPS
 * @serial: its number
 */
struct refcard {
	void __iomem *regs;
	void __iomem *doorbells;
	u32 minor;
	u32 caps;
	u64 serial;
};

/* refcard_ops.c */
void refcard_ring(struct p2p_card *card, u32 page);
int refcard_window_set(struct p2p_card *card, u32 slot, u64 target, u64 length,
		       u32 access);
void refcard_window_clear(struct p2p_card *card, u32 slot);
int refcard_window_idle(struct p2p_card *card, u32 slot);
u32 refcard_bells_take(struct p2p_card *card, u32 mask);
void refcard_bells_mask(struct p2p_card *card, u32 mask);
void refcard_control_set(struct p2p_card *card, u64 offset, u32 size,
			 u32 epoch);
void refcard_memory_given(struct p2p_card *card, u64 offset, u64 length,
			  bool given);

#endif
