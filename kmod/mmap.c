// SPDX-License-Identifier: GPL-2.0-only
/*
 * Card memory in a process: pages are inserted on fault, so that they can be
 * taken away (unmap_mapping_range()) and come back after a reset.
 */
#include <linux/dma-buf.h>
#include <linux/mm.h>
#include <linux/sizes.h>

#include "card.h"
#include "compat.h"
#include "memory.h"

/* One fault maps all of the VMA inside an aligned block of this size. */
#define FAULT_BLOCK SZ_2M

static pgoff_t fault_pgoff(const struct vm_area_struct *vma, unsigned long addr)
{
	return vma->vm_pgoff + ((addr - vma->vm_start) >> PAGE_SHIFT);
}

static vm_fault_t fault_insert(struct vm_area_struct *vma, unsigned long addr)
{
	struct p2p_mem *mem = vma->vm_private_data;
	u64 offset = (u64)fault_pgoff(vma, addr) << PAGE_SHIFT;

	if (offset >= mem->size)
		return VM_FAULT_SIGBUS;
	return vmf_insert_pfn(vma, addr, PHYS_PFN(p2p_mem_phys(mem) + offset));
}

static vm_fault_t fault_block(struct vm_fault *vmf)
{
	struct vm_area_struct *vma = vmf->vma;
	unsigned long block = ALIGN_DOWN(vmf->address, FAULT_BLOCK);
	unsigned long addr = max(vma->vm_start, block);
	/* The last byte, since the block may end at the end of memory. */
	unsigned long last = min(vma->vm_end - 1, block + FAULT_BLOCK - 1);
	vm_fault_t ret = fault_insert(vma, vmf->address & PAGE_MASK);

	if (ret != VM_FAULT_NOPAGE)
		return ret;
	for (; addr < last; addr += PAGE_SIZE)
		if (fault_insert(vma, addr) != VM_FAULT_NOPAGE)
			break;
	return VM_FAULT_NOPAGE;
}

static vm_fault_t mem_fault(struct vm_fault *vmf)
{
	struct p2p_mem *mem = vmf->vma->vm_private_data;
	vm_fault_t ret;

	if (p2p_card_enter(mem->card))
		return VM_FAULT_SIGBUS;
	ret = fault_block(vmf);
	p2p_card_exit(mem->card);
	return ret;
}

static const struct vm_operations_struct mem_vm_ops = {
	.fault = mem_fault,
};

/**
 * p2p_mem_mmap() - mmap() of the dma-buf
 * @dmabuf: the dma-buf, which the VMA's file keeps alive
 * @vma: the new mapping; its range was checked against the size by the core
 *
 * Return: 0; -EINVAL for a private mapping; -EBUSY while the card is being
 * reset; -ENODEV if it is gone.
 */
int p2p_mem_mmap(struct dma_buf *dmabuf, struct vm_area_struct *vma)
{
	struct p2p_mem *mem = dmabuf->priv;
	int ret;

	/* A private copy of card memory is not card memory. */
	if (!(vma->vm_flags & VM_SHARED))
		return -EINVAL;
	ret = p2p_card_usable(mem->card);
	if (ret)
		return ret;

	vm_flags_set(vma, VM_IO | VM_PFNMAP | VM_DONTEXPAND | VM_DONTDUMP |
				  VM_DONTCOPY);
	if (mem->cache == P2PRDMA_CACHE_WC)
		vma->vm_page_prot = pgprot_writecombine(vma->vm_page_prot);
	else
		vma->vm_page_prot = pgprot_noncached(vma->vm_page_prot);
	vma->vm_page_prot = pgprot_decrypted(vma->vm_page_prot);
	vma->vm_private_data = mem;
	vma->vm_ops = &mem_vm_ops;
	return 0;
}
