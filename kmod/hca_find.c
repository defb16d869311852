// SPDX-License-Identifier: GPL-2.0-only
/*
 * What is behind a mapping that a process has of an RDMA adapter.
 */
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/slab.h>

#include "compat.h"
#include "hca.h"

/* The mapping must be the caller's own, and hold the whole range. */
static struct vm_area_struct *find_vma_locked(struct p2p_regs *regs,
					      struct file *uverbs)
{
	unsigned long last = regs->address + regs->length - 1;
	struct vm_area_struct *vma;

	mmap_assert_locked(current->mm);
	vma = vma_lookup(current->mm, regs->address);
	if (!vma || vma->vm_file != uverbs || last >= vma->vm_end)
		return ERR_PTR(-EFAULT);
	if (!(vma->vm_flags & VM_WRITE))
		return ERR_PTR(-EPERM);
	if (!(vma->vm_flags & VM_SHARED))
		return ERR_PTR(-EOPNOTSUPP);
	return vma;
}

#if P2P_HAVE_PROVIDER

static bool is_uncached(pgprot_t prot)
{
	return pgprot_val(pgprot_noncached(prot)) == pgprot_val(prot);
}

static bool is_write_combined(pgprot_t prot)
{
	return pgprot_val(pgprot_writecombine(prot)) == pgprot_val(prot) &&
	       !is_uncached(prot);
}

static int find_pfn(struct vm_area_struct *vma, unsigned long address, u32 kind,
		    unsigned long *pfn)
{
	struct follow_pfnmap_args args = { .vma = vma, .address = address };
	int ret;

	if (follow_pfnmap_start(&args))
		return -EFAULT;
	*pfn = args.pfn;
	if (!args.writable)
		ret = -EPERM;
	else if (kind == P2PRDMA_HCA_QUEUE)
		ret = is_write_combined(args.pgprot) ? 0 : -EOPNOTSUPP;
	else
		ret = is_uncached(args.pgprot) ? 0 : -EOPNOTSUPP;
	follow_pfnmap_end(&args);
	return ret;
}

static int find_bar(struct p2p_regs *regs)
{
	struct pci_dev *pdev = regs->hca->pdev;
	struct resource range = {
		.start = regs->phys,
		.end = regs->phys + regs->size - 1,
		.flags = IORESOURCE_MEM,
	};
	int bar;

	for (bar = 0; bar < PCI_STD_NUM_BARS; bar++) {
		if (!pci_resource_len(pdev, bar) ||
		    !resource_contains(pci_resource_n(pdev, bar), &range))
			continue;
		regs->provider = pcim_p2pdma_provider(pdev, bar);
		return regs->provider ? 0 : -EOPNOTSUPP;
	}
	return -EXDEV;
}

static int find_registers_locked(struct p2p_regs *regs,
				 struct vm_area_struct *vma, u32 kind)
{
	unsigned long start = regs->address & PAGE_MASK;
	unsigned long pfn, first = 0;
	u64 done;
	int ret;

	if (!(vma->vm_flags & VM_PFNMAP))
		return -EOPNOTSUPP;
	for (done = 0; done < regs->size; done += PAGE_SIZE) {
		ret = find_pfn(vma, start + done, kind, &pfn);
		if (ret)
			return ret;
		if (!done)
			first = pfn;
		else if (pfn != first + (done >> PAGE_SHIFT))
			return -EOPNOTSUPP;
	}
	regs->phys = PFN_PHYS(first);
	return find_bar(regs);
}

#else

static int find_registers_locked(struct p2p_regs *regs,
				 struct vm_area_struct *vma, u32 kind)
{
	return -EOPNOTSUPP;
}

#endif

/**
 * p2p_regs_unpin() - let go of a ring's pages
 * @regs: anything, also registers
 */
void p2p_regs_unpin(struct p2p_regs *regs)
{
	unpin_user_pages_dirty_lock(regs->pages, regs->page_count, true);
	kvfree(regs->pages);
	regs->pages = NULL;
	regs->page_count = 0;
}

/* The driver maps its pages one by one, so they are no registers. */
static int pin_ring_locked(struct p2p_regs *regs, struct vm_area_struct *vma)
{
	unsigned long count = regs->size >> PAGE_SHIFT;
	long pinned;

	if (vma->vm_flags & (VM_IO | VM_PFNMAP))
		return -EOPNOTSUPP;
	regs->pages = kvcalloc(count, sizeof(*regs->pages), GFP_KERNEL_ACCOUNT);
	if (!regs->pages)
		return -ENOMEM;
	pinned = pin_user_pages(regs->address, count,
				FOLL_WRITE | FOLL_LONGTERM, regs->pages);
	if (pinned < 0)
		return pinned == -EINTR || pinned == -ENOMEM ? pinned : -EFAULT;
	regs->page_count = pinned;
	return pinned == count ? 0 : -EFAULT;
}

/**
 * p2p_regs_find() - look behind the caller's mapping
 * @regs: in: adapter, address, length, size; out: what is there. The caller is
 *	in p2p_hca_enter() and was in p2p_hca_prepare() before
 * @uverbs: the file that must be mapped there
 * @kind: enum p2prdma_hca_kind that it must be
 *
 * Return: 0, or a negative errno as P2PRDMA_HCA_REGS says. p2p_regs_unpin() is
 * needed in both cases.
 */
int p2p_regs_find(struct p2p_regs *regs, struct file *uverbs, u32 kind)
{
	struct vm_area_struct *vma;
	int ret;

	ret = mmap_read_lock_killable(current->mm);
	if (ret)
		return ret;
	vma = find_vma_locked(regs, uverbs);
	if (IS_ERR(vma))
		ret = PTR_ERR(vma);
	else if (kind == P2PRDMA_HCA_RING)
		ret = pin_ring_locked(regs, vma);
	else
		ret = find_registers_locked(regs, vma, kind);
	mmap_read_unlock(current->mm);
	return ret;
}
