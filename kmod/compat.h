/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What differs between the kernels that the module builds on. Kbuild probes the
 * kernel's headers and defines P2PRDMA_HAVE_*; no version number is compared.
 */
#ifndef P2PRDMA_COMPAT_H
#define P2PRDMA_COMPAT_H

#include <linux/dma-buf.h>
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/pci-p2pdma.h>
#ifdef P2PRDMA_HAVE_PHYS_VEC
#include <linux/dma-buf-mapping.h>
#endif

#ifdef P2PRDMA_IMPORT_NS_TOKEN
#define P2P_IMPORT_DMA_BUF() MODULE_IMPORT_NS(DMA_BUF)
#else
#define P2P_IMPORT_DMA_BUF() MODULE_IMPORT_NS("DMA_BUF")
#endif

/*
 * With a p2pdma provider the kernel decides how a device reaches a BAR.
 * Without, the module maps by dma_map_resource() and decides in reach.c.
 */
#if defined(P2PRDMA_HAVE_PHYS_VEC) && IS_ENABLED(CONFIG_PCI_P2PDMA)
#define P2P_HAVE_PROVIDER 1
static inline void p2p_free_phys_sgt(struct dma_buf_attachment *attach,
				     struct sg_table *sgt,
				     enum dma_data_direction dir)
{
	/*
	 * dma_buf_phys_vec_to_sgt() clears this to say that there are no pages,
	 * and sg_free_table() takes it for the number of entries to free: in
	 * 7.3 the entries would leak.
	 */
	sgt->orig_nents = sgt->nents;
	dma_buf_free_sgt(attach, sgt, dir);
}
#else
#define P2P_HAVE_PROVIDER 0
#endif

#ifdef P2PRDMA_HAVE_REVOCABLE
#define P2P_HAVE_REVOCABLE 1
#else
#define P2P_HAVE_REVOCABLE 0
/* An importer that cannot be revoked looks like one that can: assume the worst. */
static inline bool dma_buf_attach_revocable(struct dma_buf_attachment *attach)
{
	return false;
}
#endif

#ifdef P2PRDMA_HAVE_INVALIDATE
#define P2P_INVALIDATE_OP invalidate_mappings
#else
#define P2P_INVALIDATE_OP move_notify
static inline void dma_buf_invalidate_mappings(struct dma_buf *dmabuf)
{
	dma_buf_move_notify(dmabuf);
}
#endif

#ifdef P2PRDMA_HAVE_CONST_DEVNODE
#define P2P_DEVNODE_CONST const
#else
#define P2P_DEVNODE_CONST
#endif

#ifndef P2PRDMA_HAVE_GET_FILE_ACTIVE
/* Only for files that cannot be freed meanwhile. */
static inline struct file *get_file_active(struct file **f)
{
	return get_file_rcu(*f) ? *f : NULL;
}
#endif

#ifndef P2PRDMA_HAVE_VM_FLAGS_SET
static inline void vm_flags_set(struct vm_area_struct *vma, unsigned long flags)
{
	vma->vm_flags |= flags;
}
#endif

#endif
