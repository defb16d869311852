/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * p2prdma_ib.ko: registers and rings of RDMA adapters, for windows of cards.
 *
 * DOC: Locks, in the order in which they are taken
 *
 *   hcas_lock                       which adapters there are
 *   hca->lock, for reading          the adapter stays, with its driver
 *     mmap_lock                     looking at the caller's mapping
 *     hca->exports_lock             what of it is exported
 *   dma_resv of a dma-buf
 *     regs->lock                    regs->dead, regs->users; see card.h
 *
 * The device_lock of the adapter's PCI function is taken with none of them held:
 * an unbind holds it while it waits for hca->lock.
 */
#ifndef P2PRDMA_HCA_H
#define P2PRDMA_HCA_H

#include <linux/kref.h>
#include <linux/list.h>
#include <linux/mmu_notifier.h>
#include <linux/mutex.h>
#include <linux/pci.h>
#include <linux/rwsem.h>
#include <linux/spinlock.h>
#include <linux/workqueue.h>
#include <linux/p2prdma.h>

struct dma_buf;
struct file;
struct p2pdma_provider;

/**
 * struct p2p_hca - an RDMA adapter
 * @ref: of the RDMA core's registration, and of each user
 * @node: in the list of all adapters
 * @parent: the device that its uverbs device is a child of; referenced
 * @pdev: the PCI function that it belongs to; referenced
 * @lock: guards @gone
 * @gone: it is being removed: nothing may be exported any more
 * @exports_lock: guards @exports
 * @exports: what of it is exported, struct p2p_regs
 */
struct p2p_hca {
	struct kref ref;
	struct list_head node;
	struct device *parent;
	struct pci_dev *pdev;
	struct rw_semaphore lock;
	bool gone;
	struct mutex exports_lock;
	struct list_head exports;
};

/**
 * struct p2p_regs - registers or a ring of an adapter, exported as a dma-buf
 * @hca: the adapter; referenced
 * @node: in @hca->exports
 * @held_node: in the list of those that are being taken away
 * @dmabuf: the dma-buf, whose release frees this object
 * @address: in @mm, of the first byte
 * @offset: of that byte in the dma-buf
 * @length: bytes
 * @size: bytes of the dma-buf: whole pages
 * @cache: enum p2prdma_cache
 * @phys: registers: CPU physical address of the first page
 * @provider: registers: the kernel's handle on their BAR
 * @pages: a ring: its pages, pinned
 * @page_count: a ring: how many
 * @notifier: tells when the mapping in the process goes
 * @lock: guards the following members; taken in mmu notifiers
 * @dead: it was taken away: nothing may be mapped any more
 * @users: windows that have it mapped, struct p2p_regs_user
 * @takeaway: unmaps it for windows that are disabled already
 */
struct p2p_regs {
	struct p2p_hca *hca;
	struct list_head node;
	struct list_head held_node;
	struct dma_buf *dmabuf;
	unsigned long address;
	u64 offset;
	u64 length;
	u64 size;
	u32 cache;
	phys_addr_t phys;
	struct p2pdma_provider *provider;
	struct page **pages;
	unsigned long page_count;
	struct mmu_interval_notifier notifier;
	spinlock_t lock;
	bool dead;
	struct list_head users;
	struct work_struct takeaway;
};

/* hca.c */
int p2p_hca_init(void);
void p2p_hca_exit(void);
struct p2p_hca *p2p_hca_get(struct file *uverbs);
void p2p_hca_put(struct p2p_hca *hca);
int p2p_hca_prepare(struct p2p_hca *hca);
int p2p_hca_enter(struct p2p_hca *hca);
void p2p_hca_exit_use(struct p2p_hca *hca);

/* hca_regs.c */
struct dma_buf *p2p_regs_export(struct p2p_hca *hca, struct file *uverbs,
				struct p2prdma_hca_regs *args);
void p2p_regs_take_away_all(struct p2p_hca *hca);

/* hca_find.c */
int p2p_regs_find(struct p2p_regs *regs, struct file *uverbs, u32 kind);
void p2p_regs_unpin(struct p2p_regs *regs);

/* hca_dma.c */
extern const struct dma_buf_ops p2p_regs_dma_buf_ops;
void p2p_regs_release(struct dma_buf *dmabuf);
void p2p_regs_disable(struct p2p_regs *regs);

#endif
