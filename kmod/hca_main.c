// SPDX-License-Identifier: GPL-2.0-only
/*
 * p2prdma_ib.ko: /dev/p2prdma/hca, for those who have an RDMA device open.
 */
#include <linux/dma-buf.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/uaccess.h>

#include "compat.h"
#include "hca.h"

static struct dma_buf *export_of_fd(struct p2prdma_hca_regs *args)
{
	struct file *uverbs = fget(args->uverbs_fd);
	struct dma_buf *dmabuf = ERR_PTR(-EBADF);
	struct p2p_hca *hca;

	if (!uverbs)
		return dmabuf;
	hca = p2p_hca_get(uverbs);
	if (hca) {
		dmabuf = p2p_regs_export(hca, uverbs, args);
		p2p_hca_put(hca);
	}
	fput(uverbs);
	return dmabuf;
}

static int hca_regs(struct p2prdma_hca_regs *args, void __user *user)
{
	u32 size = args->size;
	struct dma_buf *dmabuf;

	if (args->flags)
		return -EOPNOTSUPP;
	if (args->kind > P2PRDMA_HCA_RING)
		return -EINVAL;
	args->fd = get_unused_fd_flags(O_CLOEXEC);
	if (args->fd < 0)
		return args->fd;
	dmabuf = export_of_fd(args);
	if (IS_ERR(dmabuf)) {
		put_unused_fd(args->fd);
		return PTR_ERR(dmabuf);
	}
	if (copy_to_user(user, args, min_t(u32, size, sizeof(*args)))) {
		put_unused_fd(args->fd);
		dma_buf_put(dmabuf);
		return -EFAULT;
	}
	/* Another thread may close it at once: nothing may follow. */
	fd_install(args->fd, dmabuf->file);
	return 0;
}

static long hca_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	void __user *user = (void __user *)arg;
	struct p2prdma_hca_regs args;
	u32 size;
	int ret;

	if (cmd != P2PRDMA_HCA_REGS)
		return -ENOTTY;
	if (!(file->f_mode & FMODE_WRITE))
		return -EACCES;
	if (get_user(size, (u32 __user *)user))
		return -EFAULT;
	if (size < offsetofend(struct p2prdma_hca_regs, cache))
		return -EINVAL;
	if (size > PAGE_SIZE)
		return -E2BIG;
	ret = copy_struct_from_user(&args, sizeof(args), user, size);
	if (ret)
		return ret;
	/* Another thread may have changed it since; the checked one counts. */
	args.size = size;
	return hca_regs(&args, user);
}

static const struct file_operations hca_fops = {
	.owner = THIS_MODULE,
	.unlocked_ioctl = hca_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
	.llseek = noop_llseek,
};

static struct miscdevice hca_device = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "p2prdma_hca",
	.nodename = "p2prdma/hca",
	.fops = &hca_fops,
	.mode = 0600,
};

static int __init hca_module_init(void)
{
	int ret;

	ret = p2p_hca_init();
	if (ret)
		return ret;
	ret = misc_register(&hca_device);
	if (ret)
		p2p_hca_exit();
	return ret;
}

static void __exit hca_module_exit(void)
{
	misc_deregister(&hca_device);
	p2p_hca_exit();
}

module_init(hca_module_init);
module_exit(hca_module_exit);

MODULE_DESCRIPTION("Registers of RDMA adapters for the windows of p2prdma cards");
MODULE_AUTHOR("The p2prdma authors");
MODULE_LICENSE("GPL");
/*
 * The RDMA core tells its clients of an adapter's going in the reverse order of
 * their registration. ib_uverbs, registered later than this module, would then
 * first take the mappings away, or wait until who has the adapter open lets go,
 * with windows still open onto it.
 */
MODULE_SOFTDEP("pre: ib_uverbs");
P2P_IMPORT_DMA_BUF();
