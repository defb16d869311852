/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * DOC: Locks, in the order in which they are taken
 *
 *   device_lock(card's PCI device)  probe, remove, reset: held by the core
 *     mmap_lock                     fault and mmap: held by the core
 *       card->lock, for reading     any use of the card's memory or registers
 *         card->control.lock        who has the control area
 *           card->mems_lock         the list of exported memory
 *           pool.lock of an area    the allocator
 *         card->bells.lock          which bell has which eventfd; irqsave
 *   window->lock                    what is attached to a window
 *     dma_resv of a dma-buf         mem->revoked, mem->mapped, mem->pins
 *       regs->lock                  the windows onto HCA registers, p2prdma_ib
 *         card->windows.lock        which window is enabled; a leaf
 *
 * The last two are also taken in mmu notifiers: nothing is allocated under
 * them, nor is a lock taken under which something is.
 *
 * card->lock is taken for writing only to wait until everybody who saw the old
 * card->state is done (p2p_card_block()), and nothing is done inside. User
 * memory is not touched under it, since a fault takes it inside mmap_lock.
 *
 * None of the card's locks is held while the dma_resv of an exported memory is
 * taken or while importers are waited for: a process that is being killed must
 * be able to fault, to unmap and to release its memory meanwhile, as it may
 * itself be the importer's owner.
 *
 * DOC: Lifetimes
 *
 * A card lives as long as its struct device is referenced: by the PCI driver
 * while bound, by open files (through the cdev) and by each exported memory.
 * What belongs to the device, that is registers, BARs and the p2pdma provider,
 * lives only until the driver's remove() returns, and is used only between
 * p2p_card_enter() and p2p_card_exit(), or by an importer's mapping, for which
 * remove() waits. Card memory that is released later only clears its bits in
 * the pool.
 */
#ifndef P2PRDMA_CARD_H
#define P2PRDMA_CARD_H

#include <linux/cdev.h>
#include <linux/device.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/pci.h>
#include <linux/rwsem.h>
#include <linux/wait.h>
#include <linux/p2prdma.h>

#include "area.h"
#include "bell.h"
#include "control.h"
#include "window.h"

struct p2p_card;

/**
 * enum p2p_card_state - whether a card may be used
 * @P2P_CARD_LIVE: yes
 * @P2P_CARD_RESETTING: not now: it is being reset
 * @P2P_CARD_GONE: never again: it is unbound, removed, or did not survive a reset
 */
enum p2p_card_state {
	P2P_CARD_LIVE,
	P2P_CARD_RESETTING,
	P2P_CARD_GONE,
};

/**
 * struct p2p_card_ops - a card driver, below the common part of bind.c
 * @name: what GET_INFO and sysfs call it; shorter than P2PRDMA_NAME_LEN
 * @groups: sysfs attributes of its own, or NULL
 * @start: find the card's memory and call p2p_card_set_memory(). The PCI device
 *	is enabled and all its memory BARs are requested. 0 or a negative errno,
 *	and then nothing is left claimed.
 * @stop: undo @start; nobody uses the card any more. May be NULL.
 * @reset_done: bring the card back after a function level reset: 0, or a
 *	negative errno if it cannot be used any more. May be NULL.
 * @ring: write to a doorbell page; with P2PRDMA_CAP_DOORBELL
 * @window_set: enable a window that is disabled: 0, or -EIO if the card does
 *	not obey. With P2PRDMA_CAP_WINDOW, like the next two, which may be
 *	called in atomic context
 * @window_clear: disable a window
 * @window_idle: wait until a disabled window has nothing under way: 0, or
 *	-ETIMEDOUT after about a second
 * @bells_take: which of some bells were rung since the last call, as a mask.
 *	With P2PRDMA_CAP_BELL, like the next one. In interrupt context
 * @bells_mask: mask of the bells that must not interrupt
 * @control_set: tell the card's machine where its control area is; with
 *	P2PRDMA_CAP_CONTROL
 * @memory_given: tell the card which of its memory devices may access; NULL
 *	unless the card checks it
 *
 * The operations are called only while the card may be used (p2p_card_enter())
 * or until the part of the module that calls them was stopped.
 */
struct p2p_card_ops {
	const char *name;
	const struct attribute_group **groups;
	int (*start)(struct p2p_card *card);
	void (*stop)(struct p2p_card *card);
	int (*reset_done)(struct p2p_card *card);
	void (*ring)(struct p2p_card *card, u32 page);
	int (*window_set)(struct p2p_card *card, u32 slot, u64 target,
			  u64 length, u32 access);
	void (*window_clear)(struct p2p_card *card, u32 slot);
	int (*window_idle)(struct p2p_card *card, u32 slot);
	u32 (*bells_take)(struct p2p_card *card, u32 mask);
	void (*bells_mask)(struct p2p_card *card, u32 mask);
	void (*control_set)(struct p2p_card *card, u64 offset, u32 size,
			    u32 epoch);
	void (*memory_given)(struct p2p_card *card, u64 offset, u64 length,
			     bool given);
};

/**
 * struct p2p_card - an add-in card, bound or with users left
 * @dev: /sys/class/p2prdma/cardN; its references are the card's
 * @cdev: /dev/p2prdma/cardN
 * @pdev: the PCI function; referenced until the card is freed
 * @ops: its driver
 * @priv: the driver's own, from @ops->start to @ops->stop
 * @id: N
 * @lock: see the top of this file
 * @state: changed under the PCI device's device_lock, then @lock is flushed
 * @resets: how often it was reset; changed like @state
 * @changed: woken when @state or @resets changes
 * @caps: mask of enum p2prdma_cap; constant once registered
 * @mem: its memory; with P2PRDMA_CAP_MEM
 * @doorbells: its doorbell pages; with P2PRDMA_CAP_DOORBELL
 * @mems_lock: guards @mems
 * @mems: all of both that is exported, struct p2p_mem
 * @windows: with P2PRDMA_CAP_WINDOW
 * @bells: with P2PRDMA_CAP_BELL
 * @control: with P2PRDMA_CAP_CONTROL
 */
struct p2p_card {
	struct device dev;
	struct cdev cdev;
	struct pci_dev *pdev;
	const struct p2p_card_ops *ops;
	void *priv;
	int id;
	struct rw_semaphore lock;
	enum p2p_card_state state;
	unsigned int resets;
	wait_queue_head_t changed;
	u64 caps;
	struct p2p_area mem;
	struct p2p_area doorbells;
	struct mutex mems_lock;
	struct list_head mems;
	struct p2p_windows windows;
	struct p2p_bells bells;
	struct p2p_control control;
};

/**
 * struct p2p_file - an open /dev/p2prdma/cardN
 * @card: the card; the file's reference to the cdev is one to it
 * @resets: how often the card had been reset then
 */
struct p2p_file {
	struct p2p_card *card;
	unsigned int resets;
};

/* card.c */
int p2p_card_class_init(void);
void p2p_card_class_exit(void);
struct p2p_card *p2p_card_alloc(struct pci_dev *pdev,
				const struct p2p_card_ops *ops);
int p2p_card_set_memory(struct p2p_card *card, int bar, u64 size);
int p2p_card_set_doorbells(struct p2p_card *card, int bar, u64 offset,
			   u64 count);
int p2p_card_register(struct p2p_card *card);
void p2p_card_unregister(struct p2p_card *card);
int p2p_card_usable(struct p2p_card *card);
int p2p_card_enter(struct p2p_card *card);
void p2p_card_exit(struct p2p_card *card);
void p2p_card_block(struct p2p_card *card, enum p2p_card_state state);
void p2p_card_unblock(struct p2p_card *card);

/* bind.c */
int p2p_bind(struct pci_dev *pdev, const struct p2p_card_ops *ops);
void p2p_unbind(struct pci_dev *pdev);
extern const struct pci_error_handlers p2p_err_handlers;

/* ioctl.c */
long p2p_ioctl(struct file *file, unsigned int cmd, unsigned long arg);

/* sysfs.c */
extern const struct attribute_group *p2p_card_groups[];

/* pci.c, ivshmem.c, refcard.c */
int p2p_pci_init(void);
void p2p_pci_exit(void);
int p2p_ivshmem_init(void);
void p2p_ivshmem_exit(void);
int p2p_refcard_init(void);
void p2p_refcard_exit(void);

#endif
