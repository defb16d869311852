/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef P2PRDMA_WINDOW_H
#define P2PRDMA_WINDOW_H

#include <linux/dma-buf.h>
#include <linux/spinlock.h>
#include <linux/types.h>

struct file;
struct p2p_card;
struct p2p_window;
struct p2prdma_window_open;

#define P2P_WINDOWS_MAX 32

/**
 * struct p2p_windows - a card's windows
 * @lock: guards all of it, and all that is enabled; see card.h
 * @count: how many the card has; constant once the card is registered
 * @slot_size: bytes that each may have at most; the same
 * @shut: none may be enabled: the card is being reset or is gone
 * @hung: the card did not finish what it had under way; none may be enabled
 *	until it is reset
 * @slots: who has them
 */
struct p2p_windows {
	spinlock_t lock;
	u32 count;
	u64 slot_size;
	bool shut;
	bool hung;
	struct p2p_window *slots[P2P_WINDOWS_MAX];
};

void p2p_windows_init(struct p2p_card *card);
void p2p_windows_shut(struct p2p_card *card);
void p2p_windows_admit(struct p2p_card *card);
unsigned int p2p_windows_in_use(struct p2p_card *card);

struct file *p2p_window_open(struct p2p_card *card,
			     struct p2prdma_window_open *args);

/* Also for p2prdma_ib.ko, which exports to windows only. */
void p2p_window_disable(struct p2p_window *window);
void p2p_window_range(const struct p2p_window *window, u64 *offset,
		      u64 *length);
extern const struct dma_buf_attach_ops p2p_window_attach_ops;

#endif
