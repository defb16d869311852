/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef P2PRDMA_MEMORY_H
#define P2PRDMA_MEMORY_H

#include <linux/list.h>
#include <linux/pid.h>
#include <linux/sched.h>
#include <linux/types.h>
#include <linux/wait.h>

struct dma_buf;
struct file;
struct p2p_area;
struct p2p_card;
struct p2p_mem;
struct p2prdma_mem_alloc;
struct vm_area_struct;

/**
 * struct p2p_mem_kind - what an exported range is for
 * @name: in messages
 * @importable: devices may import it
 * @zeroed: it is memory, and reads as zero when it is exported
 * @released: the last reference to it is gone, perhaps long after the card.
 *	Gives the range back
 */
struct p2p_mem_kind {
	const char *name;
	bool importable;
	bool zeroed;
	void (*released)(struct p2p_mem *mem);
};

/**
 * struct p2p_mem_range - a range that is to be exported
 * @area: of which it is a part
 * @kind: what it is for
 * @offset: in the area, bytes
 * @size: bytes
 * @cache: enum p2prdma_cache
 * @policy: enum p2prdma_policy
 */
struct p2p_mem_range {
	struct p2p_area *area;
	const struct p2p_mem_kind *kind;
	u64 offset;
	u64 size;
	u32 cache;
	u32 policy;
};

/**
 * struct p2p_mem - a range of a card's BAR, exported as a dma-buf
 * @card: the card it is a part of; referenced
 * @area: the part of the card that it was taken from
 * @kind: what it is for
 * @dmabuf: the dma-buf, whose release frees this object
 * @card_node: in @card->mems
 * @held_node: in the list of those that are being revoked
 * @offset: of the range in @area, bytes
 * @size: of the range, bytes
 * @cache: enum p2prdma_cache
 * @cache_reserved: the platform knows of @cache; guarded by @card->mems_lock
 *	once the memory is exported
 * @policy: enum p2prdma_policy
 * @given: the card was told that devices may access it; guarded by
 *	@card->mems_lock
 * @owner: the process that allocated it; referenced. For messages only
 * @owner_comm: its name then
 * @mapped: mappings that importers hold; guarded by the dma_resv
 * @pins: pins that importers hold; guarded by the dma_resv
 * @revoked: no importer may map it; guarded by the dma_resv
 * @unmapped: woken when @mapped falls to 0
 */
struct p2p_mem {
	struct p2p_card *card;
	struct p2p_area *area;
	const struct p2p_mem_kind *kind;
	struct dma_buf *dmabuf;
	struct list_head card_node;
	struct list_head held_node;
	u64 offset;
	u64 size;
	u32 cache;
	bool cache_reserved;
	u32 policy;
	bool given;
	struct pid *owner;
	char owner_comm[TASK_COMM_LEN];
	unsigned int mapped;
	unsigned int pins;
	bool revoked;
	wait_queue_head_t unmapped;
};

/* memory.c */
struct dma_buf *p2p_mem_alloc(struct p2p_card *card,
			      const struct p2prdma_mem_alloc *args);
struct dma_buf *p2p_mem_export(struct p2p_card *card,
			       const struct p2p_mem_range *range);
void p2p_mem_release(struct dma_buf *dmabuf);
phys_addr_t p2p_mem_phys(const struct p2p_mem *mem);
bool p2p_mem_is_of(const struct dma_buf *dmabuf, const struct p2p_card *card);
u64 p2p_mem_card_offset(const struct dma_buf *dmabuf);
void p2p_mem_revoke_all(struct p2p_card *card);
void p2p_mem_restore_all(struct p2p_card *card);

/* mmap.c */
int p2p_mem_mmap(struct dma_buf *dmabuf, struct vm_area_struct *vma);

#endif
