// SPDX-License-Identifier: GPL-2.0-only
/*
 * The ioctls of /dev/p2prdma/localN. The general format is described in
 * include/uapi/linux/p2prdma.h.
 */
#include <linux/uaccess.h>

#include "local_card.h"

/**
 * union local_args - the argument of any ioctl
 * @size: what all begin with
 * @info: of P2PRDMA_LOCAL_INFO
 * @call: of P2PRDMA_LOCAL_CALL
 * @event: of P2PRDMA_LOCAL_EVENT
 */
union local_args {
	u32 size;
	struct p2prdma_local_info info;
	struct p2prdma_local_call call;
	struct p2prdma_local_event event;
};

static void fill_info(const struct p2p_local_client *client,
		      struct p2prdma_local_info *info)
{
	const struct p2p_local *local = client->local;

	info->abi_version = P2PRDMA_ABI_VERSION;
	info->state = local->state;
	info->epoch = local->epoch;
	info->client = client->number;
	info->serial = local->serial;
	info->pool_size = local->pool_size;
	info->windows = local->windows;
	info->doorbells = local->doorbells;
	info->pool = local->pool_at;
	info->aperture = local->aperture_at;
}

static int local_info(struct file *file, union local_args *args)
{
	struct p2p_local_client *client = file->private_data;
	struct p2p_local *local = client->local;
	int ret = -ENODEV;

	if (args->info.flags)
		return -EOPNOTSUPP;
	mutex_lock(&local->control_lock);
	if (!local->gone) {
		p2p_local_control_refresh(local);
		fill_info(client, &args->info);
		ret = 0;
	}
	mutex_unlock(&local->control_lock);
	return ret;
}

static int local_call(struct file *file, union local_args *args)
{
	if (!(file->f_mode & FMODE_WRITE))
		return -EACCES;
	return p2p_local_call(file->private_data, &args->call);
}

static int local_event(struct file *file, union local_args *args)
{
	if (!(file->f_mode & FMODE_WRITE))
		return -EACCES;
	return p2p_local_doorbell_bind(file->private_data, &args->event);
}

/**
 * struct local_op - what the dispatcher knows of an ioctl
 * @cmd: its number
 * @min_size: size of its structure as first published
 * @size: size of its structure in this kernel
 * @handler: does it
 */
struct local_op {
	unsigned int cmd;
	u32 min_size;
	u32 size;
	int (*handler)(struct file *file, union local_args *args);
};

#define LOCAL_OP(number, type, last, function)                                 \
	{                                                                      \
		.cmd = (number), .min_size = offsetofend(type, last),          \
		.size = sizeof(type), .handler = (function)                    \
	}

static const struct local_op local_ops[] = {
	LOCAL_OP(P2PRDMA_LOCAL_INFO, struct p2prdma_local_info, aperture,
		 local_info),
	LOCAL_OP(P2PRDMA_LOCAL_CALL, struct p2prdma_local_call, __reserved,
		 local_call),
	LOCAL_OP(P2PRDMA_LOCAL_EVENT, struct p2prdma_local_event, eventfd,
		 local_event),
};

static const struct local_op *find_op(unsigned int cmd)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(local_ops); i++)
		if (local_ops[i].cmd == cmd)
			return &local_ops[i];
	return NULL;
}

static int copy_args_in(const struct local_op *op, union local_args *args,
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

/**
 * p2p_local_ioctl() - dispatch an ioctl
 * @file: an open /dev/p2prdma/localN
 * @cmd: the number
 * @arg: user address of the structure
 *
 * Return: 0 or a negative errno, as include/uapi/linux/p2prdma_local.h says.
 */
long p2p_local_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	const struct local_op *op = find_op(cmd);
	void __user *user = (void __user *)arg;
	union local_args args;
	int ret;

	if (!op)
		return -ENOTTY;
	ret = copy_args_in(op, &args, user);
	if (ret)
		return ret;
	ret = op->handler(file, &args);
	if (ret)
		return ret;
	if (copy_to_user(user, &args, min(args.size, op->size)))
		return -EFAULT;
	return 0;
}
