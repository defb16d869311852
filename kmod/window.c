// SPDX-License-Identifier: GPL-2.0-only
/*
 * Windows: what the card's own machine may reach of a dma-buf. Each imports its
 * dma-buf without pinning it, so that the exporter can take it away at any time.
 */
#include <linux/anon_inodes.h>
#include <linux/dma-resv.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/kref.h>
#include <linux/poll.h>
#include <linux/scatterlist.h>
#include <linux/slab.h>

#include "card.h"
#include "compat.h"
#include "memory.h"
#include "window.h"

/* How long a device that still fills a dma-buf may keep a window from opening. */
#define FENCE_TIMEOUT (10 * HZ)

/**
 * struct p2p_window - a window, open or taken away
 * @ref: of the file, and of who takes it away
 * @card: whose it is; referenced
 * @slot: its number
 * @enabled: the card lets accesses through; guarded by @card->windows.lock
 * @gone: it was taken away, and will not be enabled; guarded like @enabled
 * @changed: woken when @gone is set
 * @lock: guards @dmabuf and @attach
 * @dmabuf: what lies behind it; referenced; NULL once it was let go of
 * @attach: the card's attachment to it
 * @sgt: the mapping, or NULL; guarded by the dma_resv
 * @dir: of the mapping
 * @offset: in the dma-buf, of the first byte that the card reaches; constant
 * @length: bytes that it reaches; constant
 */
struct p2p_window {
	struct kref ref;
	struct p2p_card *card;
	u32 slot;
	bool enabled;
	bool gone;
	wait_queue_head_t changed;
	struct mutex lock;
	struct dma_buf *dmabuf;
	struct dma_buf_attachment *attach;
	struct sg_table *sgt;
	enum dma_data_direction dir;
	u64 offset;
	u64 length;
};

/**
 * p2p_windows_init() - no window is open
 * @card: the card
 */
void p2p_windows_init(struct p2p_card *card)
{
	spin_lock_init(&card->windows.lock);
}

static void clear_locked(struct p2p_window *window)
{
	window->gone = true;
	if (window->enabled)
		window->card->ops->window_clear(window->card, window->slot);
	window->enabled = false;
	wake_up_all(&window->changed);
}

/*
 * A card that does not finish could still write to memory that belongs to
 * somebody else by then: it loses the bus.
 */
static void declare_hung_locked(struct p2p_card *card)
{
	struct p2p_windows *windows = &card->windows;
	u32 i;

	pci_clear_master(card->pdev);
	windows->hung = true;
	for (i = 0; i < windows->count; i++)
		if (windows->slots[i])
			clear_locked(windows->slots[i]);
	dev_err(&card->dev,
		"the card does not finish what it has under way through a window: bus mastering is off until it is reset\n");
}

static void disable_locked(struct p2p_window *window)
{
	struct p2p_card *card = window->card;
	bool was_enabled = window->enabled;

	clear_locked(window);
	if (was_enabled && !card->windows.hung &&
	    card->ops->window_idle(card, window->slot))
		declare_hung_locked(card);
}

/**
 * p2p_window_disable() - take away what lies behind a window
 * @window: the window
 *
 * On return nothing that the card did through it lands any more. Takes about a
 * second if the card hangs, and that once. Any context but interrupts; see
 * card.h for the locks that may be held.
 */
void p2p_window_disable(struct p2p_window *window)
{
	spin_lock(&window->card->windows.lock);
	disable_locked(window);
	spin_unlock(&window->card->windows.lock);
}
EXPORT_SYMBOL_GPL(p2p_window_disable);

/**
 * p2p_window_range() - what of its dma-buf a window shows to the card
 * @window: the window
 * @offset: out: first byte
 * @length: out: bytes
 */
void p2p_window_range(const struct p2p_window *window, u64 *offset, u64 *length)
{
	*offset = window->offset;
	*length = window->length;
}
EXPORT_SYMBOL_GPL(p2p_window_range);

static void unmap_locked(struct p2p_window *window,
			 struct dma_buf_attachment *attach)
{
	dma_resv_assert_held(attach->dmabuf->resv);
	if (!window->sgt)
		return;
	dma_buf_unmap_attachment(attach, window->sgt, window->dir);
	window->sgt = NULL;
}

static void window_invalidate(struct dma_buf_attachment *attach)
{
	struct p2p_window *window = attach->importer_priv;

	/* May come before the attachment is known to the window. */
	p2p_window_disable(window);
	unmap_locked(window, attach);
}

const struct dma_buf_attach_ops p2p_window_attach_ops = {
	.allow_peer2peer = true,
	.P2P_INVALIDATE_OP = window_invalidate,
};
EXPORT_SYMBOL_GPL(p2p_window_attach_ops);

/* Where a range of a mapping begins for the device, if it has no gap. */
static int find_contiguous(struct sg_table *sgt, u64 offset, u64 length,
			   dma_addr_t *start)
{
	struct scatterlist *sg;
	u64 begin = 0, found = 0;
	int i;

	for_each_sgtable_dma_sg(sgt, sg, i) {
		u64 size = sg_dma_len(sg);
		u64 skip = found ? 0 : offset - begin;

		begin += size;
		if (skip >= size)
			continue;
		if (!found)
			*start = sg_dma_address(sg) + skip;
		else if (sg_dma_address(sg) != *start + found)
			return -ENXIO;
		found += size - skip;
		if (found >= length)
			return 0;
	}
	return -ENXIO;
}

static int shut_error_locked(struct p2p_window *window)
{
	struct p2p_card *card = window->card;
	int ret = p2p_card_usable(card);

	lockdep_assert_held(&card->windows.lock);
	if (card->windows.hung)
		return -EIO;
	if (card->windows.shut)
		return ret ? ret : -EBUSY;
	return window->gone ? -ENODEV : 0;
}

static int check_open(struct p2p_window *window)
{
	int ret;

	spin_lock(&window->card->windows.lock);
	ret = shut_error_locked(window);
	spin_unlock(&window->card->windows.lock);
	return ret;
}

static int enable(struct p2p_window *window, dma_addr_t target,
		  const struct p2prdma_window_open *args)
{
	struct p2p_card *card = window->card;
	int ret;

	spin_lock(&card->windows.lock);
	ret = shut_error_locked(window);
	if (!ret) {
		ret = card->ops->window_set(card, window->slot, target,
					    args->length, args->access);
		window->enabled = !ret;
		/* It may have been open for a moment. */
		if (ret && card->ops->window_idle(card, window->slot))
			declare_hung_locked(card);
	}
	spin_unlock(&card->windows.lock);
	return ret;
}

/* Whoever fills the memory must be done before the card may look. */
static int wait_filled(struct dma_buf *dmabuf)
{
	long left = dma_resv_wait_timeout(dmabuf->resv, DMA_RESV_USAGE_KERNEL,
					  true, FENCE_TIMEOUT);

	if (left > 0)
		return 0;
	return left ? left : -ETIMEDOUT;
}

static int map_locked(struct p2p_window *window,
		      const struct p2prdma_window_open *args)
{
	struct sg_table *sgt;
	dma_addr_t target;
	int ret;

	/* Whoever shuts the windows waits for the dma_resv after this. */
	ret = check_open(window);
	if (ret)
		return ret;
	sgt = dma_buf_map_attachment(window->attach, window->dir);
	if (IS_ERR(sgt))
		return PTR_ERR(sgt);
	window->sgt = sgt;
	ret = wait_filled(window->attach->dmabuf);
	if (!ret)
		ret = find_contiguous(sgt, args->offset, args->length, &target);
	if (!ret)
		ret = enable(window, target, args);
	if (ret)
		unmap_locked(window, window->attach);
	return ret;
}

static int map(struct p2p_window *window,
	       const struct p2prdma_window_open *args)
{
	struct dma_resv *resv = window->dmabuf->resv;
	int ret;

	ret = dma_resv_lock_interruptible(resv, NULL);
	if (ret)
		return ret;
	ret = map_locked(window, args);
	dma_resv_unlock(resv);
	return ret;
}

static void let_go_locked(struct p2p_window *window)
{
	struct dma_buf *dmabuf = window->dmabuf;

	dma_resv_lock(dmabuf->resv, NULL);
	p2p_window_disable(window);
	unmap_locked(window, window->attach);
	dma_resv_unlock(dmabuf->resv);
	dma_buf_detach(dmabuf, window->attach);
	dma_buf_put(dmabuf);
	window->attach = NULL;
	window->dmabuf = NULL;
}

static void let_go(struct p2p_window *window)
{
	mutex_lock(&window->lock);
	if (window->attach)
		let_go_locked(window);
	mutex_unlock(&window->lock);
}

static int attach_locked(struct p2p_window *window, struct dma_buf *dmabuf)
{
	struct dma_buf_attachment *attach;

	attach = dma_buf_dynamic_attach(dmabuf, &window->card->pdev->dev,
					&p2p_window_attach_ops, window);
	if (IS_ERR(attach))
		return PTR_ERR(attach);
	get_dma_buf(dmabuf);
	window->attach = attach;
	window->dmabuf = dmabuf;
	return 0;
}

static int connect(struct p2p_window *window, struct dma_buf *dmabuf,
		   const struct p2prdma_window_open *args)
{
	int ret;

	mutex_lock(&window->lock);
	/* Whoever shuts the windows waits for the lock after this. */
	ret = check_open(window);
	if (!ret)
		ret = attach_locked(window, dmabuf);
	if (!ret) {
		ret = map(window, args);
		if (ret)
			let_go_locked(window);
	}
	mutex_unlock(&window->lock);
	return ret;
}

static int take_slot(struct p2p_window *window)
{
	struct p2p_windows *windows = &window->card->windows;
	int ret = -ENOSPC;
	u32 i;

	spin_lock(&windows->lock);
	for (i = 0; i < windows->count; i++)
		if (!windows->slots[i])
			break;
	if (i < windows->count) {
		window->slot = i;
		windows->slots[i] = window;
		ret = 0;
	}
	spin_unlock(&windows->lock);
	return ret;
}

static void window_free(struct kref *ref)
{
	struct p2p_window *window = container_of(ref, struct p2p_window, ref);
	struct p2p_windows *windows = &window->card->windows;

	spin_lock(&windows->lock);
	windows->slots[window->slot] = NULL;
	spin_unlock(&windows->lock);
	put_device(&window->card->dev);
	kfree(window);
}

static struct p2p_window *window_alloc(struct p2p_card *card,
				       const struct p2prdma_window_open *args)
{
	struct p2p_window *window = kzalloc(sizeof(*window),
					    GFP_KERNEL_ACCOUNT);
	int ret;

	if (!window)
		return ERR_PTR(-ENOMEM);
	kref_init(&window->ref);
	init_waitqueue_head(&window->changed);
	mutex_init(&window->lock);
	window->card = card;
	/* A card may read to push its writes. */
	window->dir = args->access & P2PRDMA_ACCESS_WRITE ? DMA_BIDIRECTIONAL :
							    DMA_TO_DEVICE;
	window->offset = args->offset;
	window->length = args->length;
	ret = take_slot(window);
	if (ret) {
		kfree(window);
		return ERR_PTR(ret);
	}
	get_device(&card->dev);
	return window;
}

static int window_release(struct inode *inode, struct file *file)
{
	struct p2p_window *window = file->private_data;

	let_go(window);
	kref_put(&window->ref, window_free);
	return 0;
}

static __poll_t window_poll(struct file *file, poll_table *table)
{
	struct p2p_window *window = file->private_data;

	poll_wait(file, &window->changed, table);
	return READ_ONCE(window->gone) ? EPOLLHUP : 0;
}

static long window_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	if (cmd != P2PRDMA_WINDOW_SHUT)
		return -ENOTTY;
	if (arg)
		return -EINVAL;
	let_go(file->private_data);
	return 0;
}

static const struct file_operations window_fops = {
	.owner = THIS_MODULE,
	.release = window_release,
	.unlocked_ioctl = window_ioctl,
	.compat_ioctl = window_ioctl,
	.poll = window_poll,
	.llseek = noop_llseek,
};

static int check_range(struct p2p_card *card, struct dma_buf *dmabuf,
		       const struct p2prdma_window_open *args)
{
	fmode_t mode = dmabuf->file->f_mode;

	/* No switch routes a request back to where it came from. */
	if (p2p_mem_is_of(dmabuf, card))
		return -EOPNOTSUPP;
	if (args->offset > dmabuf->size ||
	    args->length > dmabuf->size - args->offset)
		return -EINVAL;
	if (args->access & P2PRDMA_ACCESS_READ && !(mode & FMODE_READ))
		return -EACCES;
	if (args->access & P2PRDMA_ACCESS_WRITE && !(mode & FMODE_WRITE))
		return -EACCES;
	return 0;
}

static struct file *open_onto(struct p2p_card *card, struct dma_buf *dmabuf,
			      struct p2prdma_window_open *args)
{
	struct p2p_window *window;
	struct file *file;
	int ret;

	ret = check_range(card, dmabuf, args);
	if (ret)
		return ERR_PTR(ret);
	window = window_alloc(card, args);
	if (IS_ERR(window))
		return ERR_CAST(window);
	ret = connect(window, dmabuf, args);
	if (ret)
		goto err_window;
	file = anon_inode_getfile("p2prdma-window", &window_fops, window,
				  O_RDWR);
	if (IS_ERR(file)) {
		ret = PTR_ERR(file);
		goto err_connect;
	}
	args->slot = window->slot;
	args->slot_size = card->windows.slot_size;
	args->aperture_offset = args->slot * args->slot_size;
	return file;

err_connect:
	let_go(window);
err_window:
	kref_put(&window->ref, window_free);
	return ERR_PTR(ret);
}

/**
 * p2p_window_open() - let the card's machine reach a part of a dma-buf
 * @card: the card, which has windows. The caller is not between
 *	p2p_card_enter() and p2p_card_exit(): the exporter may be the same card
 * @args: in: checked access and length; out: the window
 *
 * Return: the window's file; or an ERR_PTR as P2PRDMA_WINDOW_OPEN says.
 */
struct file *p2p_window_open(struct p2p_card *card,
			     struct p2prdma_window_open *args)
{
	struct dma_buf *dmabuf = dma_buf_get(args->dmabuf_fd);
	struct file *file;

	if (IS_ERR(dmabuf))
		return PTR_ERR(dmabuf) == -EINVAL ? ERR_PTR(-EBADF) :
						    ERR_CAST(dmabuf);
	file = open_onto(card, dmabuf, args);
	dma_buf_put(dmabuf);
	return file;
}

static struct p2p_window *hold_slot(struct p2p_card *card, u32 slot)
{
	struct p2p_window *window;

	spin_lock(&card->windows.lock);
	window = card->windows.slots[slot];
	if (window && !kref_get_unless_zero(&window->ref))
		window = NULL;
	spin_unlock(&card->windows.lock);
	return window;
}

/**
 * p2p_windows_shut() - take all windows away, and admit no new ones
 * @card: the card; device_lock is held
 *
 * On return nothing that its machine did through them lands any more, and
 * nothing is mapped for it.
 */
void p2p_windows_shut(struct p2p_card *card)
{
	struct p2p_windows *windows = &card->windows;
	struct p2p_window *window;
	u32 i;

	spin_lock(&windows->lock);
	windows->shut = true;
	spin_unlock(&windows->lock);
	/* One at a time: each may take a second. */
	for (i = 0; i < windows->count; i++) {
		spin_lock(&windows->lock);
		if (windows->slots[i])
			disable_locked(windows->slots[i]);
		spin_unlock(&windows->lock);
	}

	for (i = 0; i < windows->count; i++) {
		window = hold_slot(card, i);
		if (!window)
			continue;
		let_go(window);
		kref_put(&window->ref, window_free);
	}
}

/**
 * p2p_windows_admit() - let windows be opened again after a reset
 * @card: the card; device_lock is held
 */
void p2p_windows_admit(struct p2p_card *card)
{
	spin_lock(&card->windows.lock);
	card->windows.shut = false;
	card->windows.hung = false;
	spin_unlock(&card->windows.lock);
}

/**
 * p2p_windows_in_use() - how many slots are taken
 * @card: the card
 *
 * Return: from 0 to the number of its windows.
 */
unsigned int p2p_windows_in_use(struct p2p_card *card)
{
	unsigned int i, used = 0;

	spin_lock(&card->windows.lock);
	for (i = 0; i < card->windows.count; i++)
		used += !!card->windows.slots[i];
	spin_unlock(&card->windows.lock);
	return used;
}
