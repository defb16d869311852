// SPDX-License-Identifier: GPL-2.0-only
/*
 * Ranges of a card's BARs, above all its memory: allocated, zeroed, exported as
 * dma-bufs, revoked.
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
	return mem->area->base + mem->offset;
}

/**
 * p2p_mem_card_offset() - where the memory lies in the card's
 * @dmabuf: what p2p_mem_alloc() returned
 *
 * Return: the offset of its first byte, as the card's own machine counts.
 */
u64 p2p_mem_card_offset(const struct dma_buf *dmabuf)
{
	const struct p2p_mem *mem = dmabuf->priv;

	return mem->offset;
}

/**
 * p2p_mem_is_of() - is it a part of this card?
 * @dmabuf: any dma-buf
 * @card: the card
 *
 * Return: true if it is.
 */
bool p2p_mem_is_of(const struct dma_buf *dmabuf, const struct p2p_card *card)
{
	const struct p2p_mem *mem = dmabuf->priv;

	return dmabuf->ops == &p2p_dma_buf_ops && mem->card == card;
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

/*
 * A card that checks what devices access is told what they may: a range from
 * before its export until no importer has it mapped any more.
 */
static void mem_tell_locked(struct p2p_mem *mem, bool given)
{
	struct p2p_card *card = mem->card;

	lockdep_assert_held(&card->mems_lock);
	if (!card->ops->memory_given || mem->area != &card->mem ||
	    !mem->kind->importable || mem->given == given)
		return;
	mem->given = given;
	card->ops->memory_given(card, mem->offset, mem->size, given);
}

static struct p2p_mem *mem_create(struct p2p_card *card,
				  const struct p2p_mem_range *range)
{
	struct p2p_mem *mem = kzalloc(sizeof(*mem), GFP_KERNEL_ACCOUNT);
	int ret;

	if (!mem)
		return ERR_PTR(-ENOMEM);
	mem->card = card;
	mem->area = range->area;
	mem->kind = range->kind;
	mem->offset = range->offset;
	mem->size = range->size;
	mem->cache = range->cache;
	mem->policy = range->policy;
	init_waitqueue_head(&mem->unmapped);

	ret = mem_reserve_cache(mem);
	if (ret) {
		kfree(mem);
		return ERR_PTR(ret);
	}
	mem->owner = get_pid(task_tgid(current));
	get_task_comm(mem->owner_comm, current->group_leader);
	get_device(&card->dev);
	return mem;
}

static void mem_destroy(struct p2p_mem *mem)
{
	put_pid(mem->owner);
	put_device(&mem->card->dev);
	kfree(mem);
}

static struct dma_buf *mem_make_dmabuf(struct p2p_mem *mem)
{
	DEFINE_DMA_BUF_EXPORT_INFO(info);

	info.ops = &p2p_dma_buf_ops;
	info.size = mem->size;
	info.flags = O_RDWR | O_CLOEXEC;
	info.priv = mem;
	return dma_buf_export(&info);
}

/**
 * p2p_mem_export() - export a range of the card
 * @card: the card; the caller is between p2p_card_enter() and p2p_card_exit()
 * @range: the range, which is the caller's until this succeeds, then its kind's
 *	released() gives it back
 *
 * Return: a dma-buf, to be released by dma_buf_put(); or an ERR_PTR: -ENOMEM,
 * -ENFILE, -EINTR, -ENODEV or -EBUSY.
 */
struct dma_buf *p2p_mem_export(struct p2p_card *card,
			       const struct p2p_mem_range *range)
{
	struct dma_buf *dmabuf;
	struct p2p_mem *mem;
	int ret;

	mem = mem_create(card, range);
	if (IS_ERR(mem))
		return ERR_CAST(mem);
	ret = range->kind->zeroed ? mem_zero(mem) : 0;
	if (ret)
		goto err_destroy;
	dmabuf = mem_make_dmabuf(mem);
	if (IS_ERR(dmabuf)) {
		ret = PTR_ERR(dmabuf);
		goto err_destroy;
	}

	/*
	 * p2p_card_block() waits for this caller's p2p_card_exit() before it
	 * reads the list, so no memory can slip past a revocation.
	 */
	mutex_lock(&card->mems_lock);
	mem->dmabuf = dmabuf;
	list_add_tail(&mem->card_node, &card->mems);
	mem_tell_locked(mem, true);
	mutex_unlock(&card->mems_lock);
	return dmabuf;

err_destroy:
	mem_unreserve_cache(mem);
	mem_destroy(mem);
	return ERR_PTR(ret);
}

static void memory_released(struct p2p_mem *mem)
{
	p2p_pool_free(&mem->area->pool, mem->offset, mem->size);
}

static const struct p2p_mem_kind memory_kind = {
	.name = "card memory",
	.importable = true,
	.zeroed = true,
	.released = memory_released,
};

/**
 * p2p_mem_alloc() - allocate card memory and export it
 * @card: the card; the caller is between p2p_card_enter() and p2p_card_exit()
 * @args: checked length, alignment, cache and policy
 *
 * Return: a dma-buf of zeroed memory, to be released by dma_buf_put(); or an
 * ERR_PTR: -ENOSPC, -ENOMEM, -ENFILE, -EINTR, -ENODEV or -EBUSY.
 */
struct dma_buf *p2p_mem_alloc(struct p2p_card *card,
			      const struct p2prdma_mem_alloc *args)
{
	struct p2p_pool *pool = &card->mem.pool;
	struct p2p_mem_range range = {
		.area = &card->mem,
		.kind = &memory_kind,
		.size = ALIGN(args->length, P2P_GRANULE),
		.cache = args->cache,
		.policy = args->policy,
	};
	struct dma_buf *dmabuf;
	int ret;

	ret = p2p_pool_alloc(pool, range.size, args->alignment, &range.offset);
	if (ret)
		return ERR_PTR(ret);
	dmabuf = p2p_mem_export(card, &range);
	if (IS_ERR(dmabuf))
		p2p_pool_free(pool, range.offset, range.size);
	return dmabuf;
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
	struct p2p_card *card = mem->card;
	bool usable = !p2p_card_enter(card);

	mutex_lock(&card->mems_lock);
	list_del(&mem->card_node);
	mem_unreserve_cache(mem);
	/* If it is not usable, p2p_mem_revoke_all() tells. */
	if (usable)
		mem_tell_locked(mem, false);
	mutex_unlock(&card->mems_lock);
	if (usable)
		p2p_card_exit(card);
	mem->kind->released(mem);
	mem_destroy(mem);
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
					     "waiting for %s to let go of %llu bytes of %s that process %d (%s) allocated\n",
					     dev_name(attach->dev), mem->size,
					     mem->kind->name,
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

static void mem_take_back_all(struct p2p_card *card)
{
	bool gone = p2p_card_usable(card) == -ENODEV;
	struct p2p_mem *mem;

	mutex_lock(&card->mems_lock);
	list_for_each_entry(mem, &card->mems, card_node) {
		mem_tell_locked(mem, false);
		/* The addresses may belong to another device soon. */
		if (gone)
			mem_unreserve_cache(mem);
	}
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
	mem_take_back_all(card);
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
		mutex_lock(&card->mems_lock);
		mem_tell_locked(mem, true);
		mutex_unlock(&card->mems_lock);
		dma_resv_lock(mem->dmabuf->resv, NULL);
		mem->revoked = false;
		dma_resv_unlock(mem->dmabuf->resv);
	}
	mem_drop_all(&held);
}
