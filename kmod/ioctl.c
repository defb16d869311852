// SPDX-License-Identifier: GPL-2.0-only
/*
 * The ioctls of /dev/p2prdma/cardN. The general format is described in
 * include/uapi/linux/p2prdma.h.
 */
#include <linux/dma-buf.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/log2.h>
#include <linux/overflow.h>
#include <linux/uaccess.h>

#include <linux/p2prdma_control.h>

#include "card.h"
#include "doorbell.h"
#include "memory.h"
#include "reach.h"

/**
 * union ioctl_args - the argument of any ioctl
 * @size: what all begin with
 * @info: of P2PRDMA_GET_INFO
 * @alloc: of P2PRDMA_MEM_ALLOC
 * @reach: of P2PRDMA_REACH
 * @window: of P2PRDMA_WINDOW_OPEN
 * @doorbell: of P2PRDMA_DOORBELL_OPEN
 * @event: of P2PRDMA_EVENT_BIND
 * @control: of P2PRDMA_CONTROL_OPEN
 */
union ioctl_args {
	u32 size;
	struct p2prdma_get_info info;
	struct p2prdma_mem_alloc alloc;
	struct p2prdma_query_reach reach;
	struct p2prdma_window_open window;
	struct p2prdma_doorbell_open doorbell;
	struct p2prdma_event_bind event;
	struct p2prdma_control_open control;
};

/**
 * struct ioctl_call - one ioctl on its way through the dispatcher
 * @card: the card
 * @file: the caller's open file
 * @args: the kernel's copy of the argument
 * @made: set by a handler that creates a descriptor; published, or released if
 *	the result cannot be copied out
 * @fd: the number reserved for @made
 */
struct ioctl_call {
	struct p2p_card *card;
	struct file *file;
	union ioctl_args args;
	struct file *made;
	int fd;
};

static void fill_info(struct p2p_card *card, struct p2prdma_get_info *info)
{
	struct pci_dev *pdev = card->pdev;

	info->abi_version = P2PRDMA_ABI_VERSION;
	info->numa_node = dev_to_node(&pdev->dev);
	info->capabilities = card->caps;
	info->mem_size = p2p_pool_size(&card->mem.pool);
	info->mem_free = p2p_pool_available(&card->mem.pool);
	info->mem_largest_free = p2p_pool_largest(&card->mem.pool);
	info->mem_granule = P2P_GRANULE;
	info->pci_domain = pci_domain_nr(pdev->bus);
	info->pci_bus = pdev->bus->number;
	info->pci_devfn = pdev->devfn;
	info->pci_vendor = pdev->vendor;
	info->pci_device = pdev->device;
	strscpy_pad(info->driver, card->ops->name, sizeof(info->driver));
}

static int get_info(struct ioctl_call *call)
{
	struct p2prdma_get_info *info = &call->args.info;
	int ret;

	if (info->flags)
		return -EOPNOTSUPP;
	ret = p2p_card_enter(call->card);
	if (ret)
		return ret;
	fill_info(call->card, info);
	p2p_card_exit(call->card);
	return 0;
}

static int check_alloc(struct p2p_card *card,
		       const struct p2prdma_mem_alloc *alloc)
{
	u64 end;

	if (alloc->flags || alloc->__reserved)
		return -EOPNOTSUPP;
	if (!alloc->length ||
	    check_add_overflow(alloc->length, (u64)P2P_GRANULE - 1, &end))
		return -EINVAL;
	if (alloc->alignment && !is_power_of_2(alloc->alignment))
		return -EINVAL;
	if (alloc->cache > P2PRDMA_CACHE_UC ||
	    alloc->policy > P2PRDMA_POLICY_REVOCABLE)
		return -EINVAL;
	if (!(card->caps & P2PRDMA_CAP_MEM))
		return -EOPNOTSUPP;
	if (alloc->policy == P2PRDMA_POLICY_REVOCABLE &&
	    !(card->caps & P2PRDMA_CAP_REVOKE))
		return -EOPNOTSUPP;
	return 0;
}

/* A handler for an ioctl that creates a descriptor: make() does the rest. */
static int make_file(struct ioctl_call *call,
		     struct file *(*make)(struct ioctl_call *call))
{
	struct file *file;

	if (!(call->file->f_mode & FMODE_WRITE))
		return -EACCES;
	call->fd = get_unused_fd_flags(O_CLOEXEC);
	if (call->fd < 0)
		return call->fd;
	file = make(call);
	if (IS_ERR(file)) {
		put_unused_fd(call->fd);
		return PTR_ERR(file);
	}
	call->made = file;
	return 0;
}

static struct file *file_of(struct dma_buf *dmabuf)
{
	return IS_ERR(dmabuf) ? ERR_CAST(dmabuf) : dmabuf->file;
}

static struct file *make_memory(struct ioctl_call *call)
{
	struct p2prdma_mem_alloc *alloc = &call->args.alloc;
	struct dma_buf *dmabuf;
	int ret;

	ret = p2p_card_enter(call->card);
	if (ret)
		return ERR_PTR(ret);
	dmabuf = p2p_mem_alloc(call->card, alloc);
	p2p_card_exit(call->card);
	if (!IS_ERR(dmabuf)) {
		alloc->length = dmabuf->size;
		alloc->card_offset = p2p_mem_card_offset(dmabuf);
		alloc->fd = call->fd;
	}
	return file_of(dmabuf);
}

static int mem_alloc(struct ioctl_call *call)
{
	int ret = check_alloc(call->card, &call->args.alloc);

	return ret ? ret : make_file(call, make_memory);
}

static int query_reach(struct ioctl_call *call)
{
	struct p2prdma_query_reach *reach = &call->args.reach;
	int ret;

	if (reach->flags || reach->__reserved)
		return -EOPNOTSUPP;
	ret = p2p_card_enter(call->card);
	if (ret)
		return ret;
	ret = p2p_reach_query(call->card, reach);
	p2p_card_exit(call->card);
	return ret;
}

static int check_window(struct p2p_card *card,
			const struct p2prdma_window_open *window)
{
	u32 known = P2PRDMA_ACCESS_READ | P2PRDMA_ACCESS_WRITE;

	if (window->flags || !(card->caps & P2PRDMA_CAP_WINDOW))
		return -EOPNOTSUPP;
	if (!window->access || window->access & ~known)
		return -EINVAL;
	if (!window->length || window->length > card->windows.slot_size)
		return -EINVAL;
	return p2p_card_usable(card);
}

static struct file *make_window(struct ioctl_call *call)
{
	call->args.window.fd = call->fd;
	return p2p_window_open(call->card, &call->args.window);
}

static int window_open(struct ioctl_call *call)
{
	int ret = check_window(call->card, &call->args.window);

	return ret ? ret : make_file(call, make_window);
}

static int check_doorbell(struct p2p_card *card,
			  const struct p2prdma_doorbell_open *doorbell)
{
	if (doorbell->flags & ~P2PRDMA_DOORBELL_CONTROL ||
	    !(card->caps & P2PRDMA_CAP_DOORBELL))
		return -EOPNOTSUPP;
	if (doorbell->policy > P2PRDMA_POLICY_REVOCABLE)
		return -EINVAL;
	if (doorbell->policy == P2PRDMA_POLICY_REVOCABLE &&
	    !(card->caps & P2PRDMA_CAP_REVOKE))
		return -EOPNOTSUPP;
	return 0;
}

static struct file *make_doorbell(struct ioctl_call *call)
{
	struct dma_buf *dmabuf;
	int ret;

	ret = p2p_card_enter(call->card);
	if (ret)
		return ERR_PTR(ret);
	call->args.doorbell.fd = call->fd;
	dmabuf = p2p_doorbell_open(call->card, &call->args.doorbell);
	p2p_card_exit(call->card);
	return file_of(dmabuf);
}

static int doorbell_open(struct ioctl_call *call)
{
	int ret = check_doorbell(call->card, &call->args.doorbell);

	return ret ? ret : make_file(call, make_doorbell);
}

static int event_bind(struct ioctl_call *call)
{
	struct p2prdma_event_bind *event = &call->args.event;
	int ret;

	if (!(call->file->f_mode & FMODE_WRITE))
		return -EACCES;
	if (event->flags || !(call->card->caps & P2PRDMA_CAP_BELL))
		return -EOPNOTSUPP;
	if (event->bell >= P2P_BELLS)
		return -EINVAL;
	ret = p2p_card_enter(call->card);
	if (ret)
		return ret;
	ret = p2p_bell_bind(call->file->private_data, event->bell,
			    event->eventfd);
	p2p_card_exit(call->card);
	return ret;
}

static struct file *make_control(struct ioctl_call *call)
{
	struct p2prdma_control_open *control = &call->args.control;
	struct dma_buf *dmabuf;
	int ret;

	ret = p2p_card_enter(call->card);
	if (ret)
		return ERR_PTR(ret);
	control->fd = call->fd;
	control->length = P2PRDMA_CONTROL_SIZE;
	dmabuf = p2p_control_open(call->card, &control->epoch);
	p2p_card_exit(call->card);
	return file_of(dmabuf);
}

static int control_open(struct ioctl_call *call)
{
	struct p2prdma_control_open *control = &call->args.control;

	if (control->flags || control->__reserved ||
	    !(call->card->caps & P2PRDMA_CAP_CONTROL))
		return -EOPNOTSUPP;
	return make_file(call, make_control);
}

/**
 * struct ioctl_op - what the dispatcher knows of an ioctl
 * @cmd: its number
 * @min_size: size of its structure as first published
 * @size: size of its structure in this kernel
 * @handler: does it; the argument's flags are for the handler to check
 */
struct ioctl_op {
	unsigned int cmd;
	u32 min_size;
	u32 size;
	int (*handler)(struct ioctl_call *call);
};

#define IOCTL_OP(number, type, last, function)                               \
	{ .cmd = (number), .min_size = offsetofend(type, last),              \
	  .size = sizeof(type), .handler = (function) }

static const struct ioctl_op ioctl_ops[] = {
	IOCTL_OP(P2PRDMA_GET_INFO, struct p2prdma_get_info, driver, get_info),
	IOCTL_OP(P2PRDMA_MEM_ALLOC, struct p2prdma_mem_alloc, __reserved,
		 mem_alloc),
	IOCTL_OP(P2PRDMA_REACH, struct p2prdma_query_reach, __reserved,
		 query_reach),
	IOCTL_OP(P2PRDMA_WINDOW_OPEN, struct p2prdma_window_open, slot_size,
		 window_open),
	IOCTL_OP(P2PRDMA_DOORBELL_OPEN, struct p2prdma_doorbell_open, length,
		 doorbell_open),
	IOCTL_OP(P2PRDMA_EVENT_BIND, struct p2prdma_event_bind, eventfd,
		 event_bind),
	IOCTL_OP(P2PRDMA_CONTROL_OPEN, struct p2prdma_control_open, __reserved,
		 control_open),
};

static const struct ioctl_op *find_op(unsigned int cmd)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(ioctl_ops); i++)
		if (ioctl_ops[i].cmd == cmd)
			return &ioctl_ops[i];
	return NULL;
}

static int copy_args_in(const struct ioctl_op *op, union ioctl_args *args,
			void __user *user)
{
	u32 size;
	int ret;

	if (get_user(size, (u32 __user *)user))
		return -EFAULT;
	if (size < op->min_size)
		return -EINVAL;
	if (size > PAGE_SIZE)
		return -E2BIG;
	ret = copy_struct_from_user(args, op->size, user, size);
	/* Another thread may have changed it since; the checked one counts. */
	args->size = size;
	return ret;
}

static int copy_args_out(const struct ioctl_op *op, union ioctl_args *args,
			 void __user *user)
{
	if (copy_to_user(user, args, min(args->size, op->size)))
		return -EFAULT;
	return 0;
}

static void publish(struct ioctl_call *call)
{
	/* Another thread may close it at once: nothing may follow. */
	if (call->made)
		fd_install(call->fd, call->made);
}

static void withdraw(struct ioctl_call *call)
{
	if (!call->made)
		return;
	put_unused_fd(call->fd);
	fput(call->made);
}

/**
 * p2p_ioctl() - dispatch an ioctl
 * @file: an open /dev/p2prdma/cardN
 * @cmd: the number
 * @arg: user address of the structure
 *
 * Return: 0 or a negative errno, as include/uapi/linux/p2prdma.h says.
 */
long p2p_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct p2p_file *open = file->private_data;
	struct ioctl_call call = { .card = open->card, .file = file };
	const struct ioctl_op *op = find_op(cmd);
	void __user *user = (void __user *)arg;
	int ret;

	if (!op)
		return -ENOTTY;
	ret = copy_args_in(op, &call.args, user);
	if (ret)
		return ret;
	ret = op->handler(&call);
	if (ret)
		return ret;
	ret = copy_args_out(op, &call.args, user);
	if (ret)
		withdraw(&call);
	else
		publish(&call);
	return ret;
}
