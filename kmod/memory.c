// SPDX-License-Identifier: GPL-2.0-only
/*
 * Card memory: allocated, zeroed, exported as a dma-buf, revoked.
 */
#include <linux/dma-buf.h>
#include <linux/dma-resv.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/io.h>
#include <linux/mm.h>
#include <linux/sched/signal.h>
#include <linux/sizes.h>
#include <linux/slab.h>

#include "card.h"
#include "compat.h"
#include "dma.h"
#include "memory.h"

/* How much is zeroed between two looks at signals and the card's state. */
#define ZERO_CHUNK SZ_2M

/* How often those who keep a card from going are named. */
#define ANNOUNCE_PERIOD (10 * HZ)

/**
 * p2p_mem_phys() - where the CPU finds the memory
 * @mem: the memory
 *
 * Return: the CPU physical address of its first byte.
 */
phys_addr_t p2p_mem_phys(const struct p2p_mem *mem)
{
	return mem->card->mem_base + mem->offset;
}

/**
 * p2p_mem_card_offset() - where the memory lies in the card's
 * @dmabuf: what p2p_mem_export() returned
 *
 * Return: the offset of its first byte, as the card's own machine counts.
 */
u64 p2p_mem_card_offset(const struct dma_buf *dmabuf)
{
	const struct p2p_mem *mem = dmabuf->priv;

	return mem->offset;
}

static int mem_zero_chunk(phys_addr_t phys, size_t size)
{
	void __iomem *io = ioremap_wc(phys, size);

	if (!io)
		return -ENOMEM;
	memset_io(io, 0, size);
	/* Drain the CPU's combining buffers, then push the posted writes. */
	wmb();
	readb(io + size - 1);
	iounmap(io);
	return 0;
}

static int mem_zero(struct p2p_mem *mem)
{
	u64 done, chunk;
	int ret;

	for (done = 0; done < mem->size; done += chunk) {
		if (fatal_signal_pending(current))
			return -EINTR;
		/* Whoever waits for the card to be unused need not wait long. */
		ret = p2p_card_usable(mem->card);
		if (ret)
			return ret;
		chunk = min_t(u64, mem->size - done, ZERO_CHUNK);
		ret = mem_zero_chunk(p2p_mem_phys(mem) + done, chunk);
		if (ret)
			return ret;
		cond_resched();
	}
	return 0;
}

/*
 * On x86 the type of a page that is inserted into a VMA comes from the table of
 * reserved memory types, uncached if it has none, whatever the VMA asks for.
 */
static int mem_reserve_cache(struct p2p_mem *mem)
{
	int ret;

	if (mem->cache != P2PRDMA_CACHE_WC)
		return 0;
	ret = arch_io_reserve_memtype_wc(p2p_mem_phys(mem), mem->size);
	mem->cache_reserved = !ret;
	return ret;
}

static void mem_unreserve_cache(struct p2p_mem *mem)
{
	if (mem->cache_reserved)
		arch_io_free_memtype_wc(p2p_mem_phys(mem), mem->size);
	mem->cache_reserved = false;
}

static struct p2p_mem *mem_alloc(struct p2p_card *card,
				 const struct p2prdma_mem_alloc *args)
{
	struct p2p_mem *mem = kzalloc(sizeof(*mem), GFP_KERNEL_ACCOUNT);
	int ret;

	if (!mem)
		return ERR_PTR(-ENOMEM);
	mem->card = card;
	mem->size = ALIGN(args->length, P2P_GRANULE);
	mem->cache = args->cache;
	mem->policy = args->policy;
	init_waitqueue_head(&mem->unmapped);

	ret = p2p_pool_alloc(&card->pool, mem->size, args->alignment,
			     &mem->offset);
	if (ret)
		goto err_free;
	ret = mem_reserve_cache(mem);
	if (ret)
		goto err_pool;
	mem->owner = get_pid(task_tgid(current));
	get_task_comm(mem->owner_comm, current->group_leader);
	get_device(&card->dev);
	return mem;

err_pool:
	p2p_pool_free(&card->pool, mem->offset, mem->size);
err_free:
	kfree(mem);
	return ERR_PTR(ret);
}

static void mem_free(struct p2p_mem *mem)
{
	p2p_pool_free(&mem->card->pool, mem->offset, mem->size);
	put_pid(mem->owner);
	put_device(&mem->card->dev);
	kfree(mem);
}

/**
 * p2p_mem_export() - allocate card memory and export it
 * @card: the card; the caller is between p2p_card_enter() and p2p_card_exit()
 * @args: checked length, alignment, cache and policy
 *
 * Return: a dma-buf of zeroed memory, to be released by dma_buf_put(); or an
 * ERR_PTR: -ENOSPC, -ENOMEM, -ENFILE, -EINTR, -ENODEV or -EBUSY.
 */
struct dma_buf *p2p_mem_export(struct p2p_card *card,
			       const struct p2prdma_mem_alloc *args)
{
	DEFINE_DMA_BUF_EXPORT_INFO(info);
	struct dma_buf *dmabuf;
	struct p2p_mem *mem;
	int ret;

	mem = mem_alloc(card, args);
	if (IS_ERR(mem))
		return ERR_CAST(mem);
	ret = mem_zero(mem);
	if (ret)
		goto err_free;

	info.ops = &p2p_dma_buf_ops;
	info.size = mem->size;
	info.flags = O_RDWR | O_CLOEXEC;
	info.priv = mem;
	dmabuf = dma_buf_export(&info);
	if (IS_ERR(dmabuf)) {
		ret = PTR_ERR(dmabuf);
		goto err_free;
	}

	/*
	 * p2p_card_block() waits for this caller's p2p_card_exit() before it
	 * reads the list, so no memory can slip past a revocation.
	 */
	mutex_lock(&card->mems_lock);
	mem->dmabuf = dmabuf;
	list_add_tail(&mem->card_node, &card->mems);
	mutex_unlock(&card->mems_lock);
	return dmabuf;

err_free:
	mem_unreserve_cache(mem);
	mem_free(mem);
	return ERR_PTR(ret);
}

/**
 * p2p_mem_release() - the dma-buf's last reference is gone
 * @dmabuf: the dma-buf
 *
 * May run long after the card was unbound.
 */
void p2p_mem_release(struct dma_buf *dmabuf)
{
	struct p2p_mem *mem = dmabuf->priv;

	mutex_lock(&mem->card->mems_lock);
	list_del(&mem->card_node);
	mem_unreserve_cache(mem);
	mutex_unlock(&mem->card->mems_lock);
	mem_free(mem);
}

/*
 * Holds all memory of a card that is not about to be released, so that it can
 * be walked without mems_lock, which a dying process needs to release the next
 * one. What is about to be released has neither mappings nor importers.
 */
static void mem_hold_all(struct p2p_card *card, struct list_head *held)
{
	struct p2p_mem *mem;

	mutex_lock(&card->mems_lock);
	list_for_each_entry(mem, &card->mems, card_node)
		if (get_file_active(&mem->dmabuf->file))
			list_add_tail(&mem->held_node, held);
	mutex_unlock(&card->mems_lock);
}

static void mem_drop_all(struct list_head *held)
{
	struct p2p_mem *mem, *next;

	list_for_each_entry_safe(mem, next, held, held_node) {
		list_del(&mem->held_node);
		dma_buf_put(mem->dmabuf);
	}
}

static void mem_revoke(struct p2p_mem *mem)
{
	struct dma_buf *dmabuf = mem->dmabuf;

	/* No fault can insert a page again: see p2p_card_block(). */
	unmap_mapping_range(dmabuf->file->f_mapping, 0, 0, 1);

	dma_resv_lock(dmabuf->resv, NULL);
	mem->revoked = true;
	p2p_dma_invalidate(mem);
	dma_resv_wait_timeout(dmabuf->resv, DMA_RESV_USAGE_BOOKKEEP, false,
			      MAX_SCHEDULE_TIMEOUT);
	dma_resv_unlock(dmabuf->resv);
}

static void mem_announce(struct p2p_mem *mem)
{
	struct dma_buf *dmabuf = mem->dmabuf;
	struct dma_buf_attachment *attach;

	dma_resv_lock(dmabuf->resv, NULL);
	list_for_each_entry(attach, &dmabuf->attachments, node)
		if (p2p_dma_is_mapped(attach))
			dev_warn_ratelimited(&mem->card->dev,
					     "waiting for %s to let go of %llu bytes of card memory that process %d (%s) allocated\n",
					     dev_name(attach->dev), mem->size,
					     pid_nr(mem->owner),
					     mem->owner_comm);
	dma_resv_unlock(dmabuf->resv);
}

static bool mem_is_unmapped(struct p2p_mem *mem)
{
	bool unmapped;

	/* Under the lock, so that the importer's unmap is complete. */
	dma_resv_lock(mem->dmabuf->resv, NULL);
	unmapped = !mem->mapped;
	dma_resv_unlock(mem->dmabuf->resv);
	return unmapped;
}

static void mem_announce_all(struct list_head *held)
{
	struct p2p_mem *mem;

	list_for_each_entry(mem, held, held_node)
		mem_announce(mem);
}

static void mem_wait_unmapped_all(struct list_head *held)
{
	unsigned long announce = jiffies;
	struct p2p_mem *mem;

	list_for_each_entry(mem, held, held_node) {
		while (!mem_is_unmapped(mem)) {
			if (time_after_eq(jiffies, announce)) {
				mem_announce_all(held);
				announce = jiffies + ANNOUNCE_PERIOD;
			}
			wait_event_timeout(mem->unmapped,
					   !READ_ONCE(mem->mapped),
					   ANNOUNCE_PERIOD);
		}
	}
}

static void mem_send_uevent(struct p2p_card *card)
{
	char *env[] = { "P2PRDMA_EVENT=waiting-for-importers", NULL };

	kobject_uevent_env(&card->dev.kobj, KOBJ_CHANGE, env);
}

/* The addresses may belong to another device soon: nothing may be left there. */
static void mem_unreserve_all(struct p2p_card *card)
{
	struct p2p_mem *mem;

	mutex_lock(&card->mems_lock);
	list_for_each_entry(mem, &card->mems, card_node)
		mem_unreserve_cache(mem);
	mutex_unlock(&card->mems_lock);
}

/**
 * p2p_mem_revoke_all() - take a card's memory from everybody
 * @card: the card, whose state forbids new use; device_lock is held
 *
 * Waits without a limit for importers that cannot be revoked, naming them.
 */
void p2p_mem_revoke_all(struct p2p_card *card)
{
	struct p2p_mem *mem;
	bool waits = false;
	LIST_HEAD(held);

	mem_hold_all(card, &held);
	list_for_each_entry(mem, &held, held_node) {
		mem_revoke(mem);
		waits |= !mem_is_unmapped(mem);
	}
	if (waits)
		mem_send_uevent(card);
	mem_wait_unmapped_all(&held);
	mem_drop_all(&held);
	if (p2p_card_usable(card) == -ENODEV)
		mem_unreserve_all(card);
}

/**
 * p2p_mem_restore_all() - let importers map again after a reset
 * @card: the card; device_lock is held
 */
void p2p_mem_restore_all(struct p2p_card *card)
{
	struct p2p_mem *mem;
	LIST_HEAD(held);

	mem_hold_all(card, &held);
	list_for_each_entry(mem, &held, held_node) {
		dma_resv_lock(mem->dmabuf->resv, NULL);
		mem->revoked = false;
		dma_resv_unlock(mem->dmabuf->resv);
	}
	mem_drop_all(&held);
}
