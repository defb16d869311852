/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note */
/*
 * p2prdma: peer-to-peer I/O between PCIe add-in cards and RDMA adapters.
 *
 * DOC: General ioctl format
 *
 * Each ioctl on /dev/p2prdma/cardN takes one structure whose first member is
 * its own size. The command numbers carry no size (_IO), so a structure may
 * grow at its end: user space sets @size to the sizeof() it was compiled with;
 * members that it does not know are absent, members that the kernel does not
 * know must be zero. Reserved members and unknown flag bits must be zero.
 * Output members are written only when the ioctl succeeds.
 *
 * Errors that any of them may return:
 *
 * - ENOTTY: the command number is unknown.
 * - EINVAL: @size is smaller than the first published version of the
 *   structure, or a value is out of its documented range.
 * - E2BIG: @size is larger than the kernel's structure and the tail that the
 *   kernel does not know is not all zero; or @size is larger than a page.
 * - EOPNOTSUPP: an unknown flag bit or reserved member is set, or this card
 *   or kernel lacks what was asked for.
 * - EFAULT: the structure lies outside the caller's memory.
 * - ENODEV: the card has been removed or unbound, or has not come back from a
 *   reset.
 * - EBUSY: the card is being reset; later it may work again.
 *
 * poll() of the device node: EPOLLHUP once the card is gone, EPOLLERR once it was
 * reset since this file was opened. A reset closes all windows, ends the opening
 * of the control area, and signals all bells that are bound.
 */
#ifndef _UAPI_LINUX_P2PRDMA_H
#define _UAPI_LINUX_P2PRDMA_H

#include <linux/ioctl.h>
#include <linux/types.h>

/* Rises when an existing structure changes its meaning; 0 = not stable yet. */
#define P2PRDMA_ABI_VERSION 0

#define P2PRDMA_TYPE 0xb9

/* Numbers start at 0x40: 1 and 2 would be taken by the VFS in any ioctl. */
#define P2PRDMA_GET_INFO _IO(P2PRDMA_TYPE, 0x40)
#define P2PRDMA_MEM_ALLOC _IO(P2PRDMA_TYPE, 0x41)
#define P2PRDMA_REACH _IO(P2PRDMA_TYPE, 0x42)
#define P2PRDMA_WINDOW_OPEN _IO(P2PRDMA_TYPE, 0x43)
#define P2PRDMA_DOORBELL_OPEN _IO(P2PRDMA_TYPE, 0x44)
#define P2PRDMA_EVENT_BIND _IO(P2PRDMA_TYPE, 0x45)
#define P2PRDMA_CONTROL_OPEN _IO(P2PRDMA_TYPE, 0x46)

/* On /dev/p2prdma/hca, which p2prdma_ib.ko makes. */
#define P2PRDMA_HCA_REGS _IO(P2PRDMA_TYPE, 0x50)

/*
 * On a window's descriptor, without an argument (0): takes away what lies behind
 * the window, as if it had gone. On return nothing that the card did through it
 * lands any more; the slot stays taken until the descriptor is closed. For who is
 * about to destroy what is behind it while the card may still have the slot mapped.
 * Errors: EINVAL: an argument.
 */
#define P2PRDMA_WINDOW_SHUT _IO(P2PRDMA_TYPE, 0x60)

#define P2PRDMA_NAME_LEN 16

/**
 * enum p2prdma_cap - what a card and the running kernel can do (a bit mask)
 * @P2PRDMA_CAP_MEM: MEM_ALLOC works: the card has memory to give.
 * @P2PRDMA_CAP_P2PDMA: the kernel routes peer-to-peer DMA (CONFIG_PCI_P2PDMA)
 *	and this card takes part in it.
 * @P2PRDMA_CAP_REVOKE: importers that can be revoked are revoked rather than
 *	waited for (P2PRDMA_POLICY_REVOCABLE is accepted).
 * @P2PRDMA_CAP_DOORBELL: the card has doorbell pages: DOORBELL_OPEN works.
 * @P2PRDMA_CAP_WINDOW: the card has windows: WINDOW_OPEN works.
 * @P2PRDMA_CAP_BELL: the card can ring the host: EVENT_BIND works.
 * @P2PRDMA_CAP_CONTROL: the card has a machine of its own that can be told
 *	where its control area is: CONTROL_OPEN works.
 */
enum p2prdma_cap {
	P2PRDMA_CAP_MEM = 1 << 0,
	P2PRDMA_CAP_P2PDMA = 1 << 1,
	P2PRDMA_CAP_REVOKE = 1 << 2,
	P2PRDMA_CAP_DOORBELL = 1 << 3,
	P2PRDMA_CAP_WINDOW = 1 << 4,
	P2PRDMA_CAP_BELL = 1 << 5,
	P2PRDMA_CAP_CONTROL = 1 << 6,
};

/**
 * struct p2prdma_get_info - ioctl(P2PRDMA_GET_INFO): identity and capacity
 * @size: sizeof(struct p2prdma_get_info)
 * @flags: must be 0
 * @abi_version: out: P2PRDMA_ABI_VERSION of the module
 * @numa_node: out: the node that the card is attached to, -1 if unknown
 * @capabilities: out: mask of enum p2prdma_cap
 * @mem_size: out: bytes of card memory that this module manages
 * @mem_free: out: bytes of it that are free
 * @mem_largest_free: out: the largest single allocation possible now, bytes
 * @mem_granule: out: allocations are rounded up to a multiple of this, bytes
 * @pci_domain: out: PCI address of the card
 * @pci_bus: out: see @pci_domain
 * @pci_devfn: out: device in bits 7:3, function in bits 2:0
 * @pci_vendor: out: PCI vendor id
 * @pci_device: out: PCI device id
 * @driver: out: card driver ("pci", "ivshmem", "refcard"), NUL-terminated
 *
 * Errors: those of every ioctl.
 */
struct p2prdma_get_info {
	__u32 size;
	__u32 flags;
	__u32 abi_version;
	__s32 numa_node;
	__aligned_u64 capabilities;
	__aligned_u64 mem_size;
	__aligned_u64 mem_free;
	__aligned_u64 mem_largest_free;
	__u32 mem_granule;
	__u32 pci_domain;
	__u16 pci_bus;
	__u16 pci_devfn;
	__u16 pci_vendor;
	__u16 pci_device;
	__u8 driver[P2PRDMA_NAME_LEN];
};

/**
 * enum p2prdma_cache - how the CPU maps card memory (fixed per allocation)
 * @P2PRDMA_CACHE_WC: write-combining: fast stores, weakly ordered
 * @P2PRDMA_CACHE_UC: uncached: each access goes to the card, in order
 */
enum p2prdma_cache {
	P2PRDMA_CACHE_WC = 0,
	P2PRDMA_CACHE_UC = 1,
};

/**
 * enum p2prdma_policy - which importers an allocation admits
 * @P2PRDMA_POLICY_PINNABLE: any. One that pins (EFA, bnxt_re, mana) makes the
 *	card's unbind wait until it lets go; the wait is announced.
 * @P2PRDMA_POLICY_REVOCABLE: only importers that can be revoked; others are
 *	refused. Needs P2PRDMA_CAP_REVOKE.
 */
enum p2prdma_policy {
	P2PRDMA_POLICY_PINNABLE = 0,
	P2PRDMA_POLICY_REVOCABLE = 1,
};

/**
 * struct p2prdma_mem_alloc - ioctl(P2PRDMA_MEM_ALLOC): card memory as a dma-buf
 * @size: sizeof(struct p2prdma_mem_alloc)
 * @flags: must be 0
 * @length: bytes wanted, > 0; rounded up to the granule. out: bytes given
 * @alignment: 0, or a power of two: alignment of the memory inside the card
 * @cache: one of enum p2prdma_cache
 * @policy: one of enum p2prdma_policy
 * @fd: out: a dma-buf file descriptor (O_CLOEXEC). The memory reads as zero.
 *	It is freed when the last reference to the dma-buf is gone: descriptors,
 *	mappings and importers. mmap() with MAP_SHARED works on it.
 * @__reserved: must be 0
 * @card_offset: out: where the memory lies in the card's, bytes: how the host
 *	names it to the card's own machine. Absent in the first version
 *
 * A private mapping of @fd is refused (EINVAL). A child made by fork() has the
 * descriptor but not the mapping. After the card is gone mmap() is ENODEV, while
 * it is being reset EBUSY; an access to a mapping raises SIGBUS in both cases.
 *
 * Errors: EINVAL: length 0 or overflowing, alignment no power of two, cache or
 * policy unknown. EACCES: the card is not open for writing. ENOSPC: the card
 * has no free range that large. EOPNOTSUPP: the card has no memory, or the
 * policy needs a capability that is absent. EMFILE, ENFILE: no descriptor left.
 * ENOMEM: out of kernel memory. EINTR: a fatal signal arrived while the memory
 * was being zeroed.
 */
struct p2prdma_mem_alloc {
	__u32 size;
	__u32 flags;
	__aligned_u64 length;
	__aligned_u64 alignment;
	__u32 cache;
	__u32 policy;
	__s32 fd;
	__u32 __reserved;
	__aligned_u64 card_offset;
};

/**
 * enum p2prdma_reach - whether a PCI device can reach the card's memory
 * @P2PRDMA_REACH_SWITCH: yes: below a common PCIe switch
 * @P2PRDMA_REACH_BRIDGE: yes: through a host bridge that the kernel allows
 * @P2PRDMA_REACH_REFUSED: no: they have no common switch, or something sends
 *	the traffic past it (ACS redirection, or on a kernel without p2pdma an
 *	IOMMU), and the host bridge is not on the kernel's list of those known
 *	to forward peer-to-peer traffic
 * @P2PRDMA_REACH_UNSUPPORTED: no: the card has no memory to reach
 */
enum p2prdma_reach {
	P2PRDMA_REACH_SWITCH = 0,
	P2PRDMA_REACH_BRIDGE = 1,
	P2PRDMA_REACH_REFUSED = 2,
	P2PRDMA_REACH_UNSUPPORTED = 3,
};

/**
 * struct p2prdma_pci_addr - a PCI function's address
 * @domain: PCI domain (segment)
 * @bus: bus number
 * @devfn: device in bits 7:3, function in bits 2:0
 */
struct p2prdma_pci_addr {
	__u32 domain;
	__u16 bus;
	__u16 devfn;
};

/**
 * struct p2prdma_query_reach - ioctl(P2PRDMA_REACH): can a device reach the card?
 * @size: sizeof(struct p2prdma_query_reach)
 * @flags: must be 0
 * @peer: in: the device that would access the card's memory
 * @reach: out: one of enum p2prdma_reach
 * @distance: out: hops between the two as the kernel counts them, -1 if refused
 * @card_port: out: the root port (or topmost bridge) above the card; the card
 *	itself if it sits on the root bus
 * @peer_port: out: the same for @peer; equal to @card_port below one port
 * @common: out: valid if @reach is P2PRDMA_REACH_SWITCH: the lowest bridge
 *	above both, or the card itself if that is what @peer names. Otherwise
 *	the host bridge's own function (00.0 of the card's root bus), whether
 *	or not a device answers there.
 * @host_vendor: out: PCI vendor id of that host bridge, 0xffff if none answers
 * @host_device: out: its device id
 * @__reserved: must be 0
 *
 * Errors: ENXIO: there is no PCI function at @peer.
 */
struct p2prdma_query_reach {
	__u32 size;
	__u32 flags;
	struct p2prdma_pci_addr peer;
	__u32 reach;
	__s32 distance;
	struct p2prdma_pci_addr card_port;
	struct p2prdma_pci_addr peer_port;
	struct p2prdma_pci_addr common;
	__u16 host_vendor;
	__u16 host_device;
	__u32 __reserved;
};

/**
 * enum p2prdma_access - what a window lets through (a bit mask)
 * @P2PRDMA_ACCESS_READ: loads
 * @P2PRDMA_ACCESS_WRITE: stores
 */
enum p2prdma_access {
	P2PRDMA_ACCESS_READ = 1 << 0,
	P2PRDMA_ACCESS_WRITE = 1 << 1,
};

/**
 * struct p2prdma_window_open - ioctl(P2PRDMA_WINDOW_OPEN): let the card's own
 *	machine reach a range of a dma-buf
 * @size: sizeof(struct p2prdma_window_open)
 * @flags: must be 0
 * @dmabuf_fd: what lies behind the window: HCA registers (P2PRDMA_HCA_REGS),
 *	memory or a doorbell page of another card (its own the card's machine
 *	has already: EOPNOTSUPP), or host memory (udmabuf)
 * @access: mask of enum p2prdma_access, not 0
 * @offset: first byte of the range in the dma-buf
 * @length: bytes of the range, > 0, at most @slot_size; exact to the byte
 * @fd: out: a window file descriptor (O_CLOEXEC). Closing the last copy closes
 *	the window: disabled, waited idle, unmapped. poll() says EPOLLHUP once
 *	the window was taken away (what lies behind it is gone, or the card was
 *	reset); the slot stays in use until the descriptor is closed.
 * @slot: out: which window
 * @aperture_offset: out: where the card finds byte 0 of the range in its
 *	aperture; page-aligned
 * @slot_size: out: bytes that a window may have at most
 *
 * Errors: EINVAL: range empty, beyond the dma-buf or a slot, access 0 or
 * unknown. EACCES: the card is not open for writing, or the export admits less
 * than @access. EBADF: @dmabuf_fd is no dma-buf. ENOSPC: all windows are in use.
 * EOPNOTSUPP: the card has no windows, or cannot reach the memory (the reason
 * is what P2PRDMA_REACH tells), or the kernel (6.12) can only pin what is behind
 * it and the exporter does not let itself be pinned. ENODEV, EBUSY: as always.
 * ENXIO: the range is not contiguous for the card. ETIMEDOUT: another device is
 * still busy with the memory. EIO: the card does not obey, or did not finish what
 * it had under way through another window; only a reset helps.
 */
struct p2prdma_window_open {
	__u32 size;
	__u32 flags;
	__s32 dmabuf_fd;
	__u32 access;
	__aligned_u64 offset;
	__aligned_u64 length;
	__s32 fd;
	__u32 slot;
	__aligned_u64 aperture_offset;
	__aligned_u64 slot_size;
};

/**
 * enum p2prdma_doorbell_flags - of P2PRDMA_DOORBELL_OPEN
 * @P2PRDMA_DOORBELL_CONTROL: page 0, by which the owner of the control area
 *	calls the card; EBUSY if it is open already
 */
enum p2prdma_doorbell_flags {
	P2PRDMA_DOORBELL_CONTROL = 1 << 0,
};

/**
 * struct p2prdma_doorbell_open - ioctl(P2PRDMA_DOORBELL_OPEN): a doorbell page
 *	of the card as a dma-buf
 * @size: sizeof(struct p2prdma_doorbell_open)
 * @flags: mask of enum p2prdma_doorbell_flags
 * @policy: one of enum p2prdma_policy
 * @page: out: which page
 * @fd: out: a dma-buf of one page. Any write of 1 to 8 bytes to its first
 *	0xff0 bytes, by whoever can reach it, interrupts the card, which finds
 *	the number of writes, and the last value that was written to the first
 *	0x800. The page is free again when the last reference to the dma-buf is
 *	gone. mmap() is uncached.
 * @length: out: bytes of the dma-buf
 *
 * Errors: ENOSPC: all pages are in use. EACCES: the card is not open for
 * writing. EOPNOTSUPP: the card has no doorbell pages.
 */
struct p2prdma_doorbell_open {
	__u32 size;
	__u32 flags;
	__u32 policy;
	__u32 page;
	__s32 fd;
	__u32 length;
};

/**
 * struct p2prdma_event_bind - ioctl(P2PRDMA_EVENT_BIND): tie a bell that the
 *	card rings to an eventfd
 * @size: sizeof(struct p2prdma_event_bind)
 * @flags: must be 0
 * @bell: 0 to 31; 0 is the control area's
 * @eventfd: signalled each time the bell rings (rings may coalesce), or -1 to
 *	undo the binding, which closing this open file does as well
 *
 * Errors: EINVAL: no such bell. EBUSY: it is bound through another open file.
 * ENOENT: -1 for a bell that is not bound. EBADF: no eventfd. EACCES: the card
 * is not open for writing. EOPNOTSUPP: the card has no bells.
 */
struct p2prdma_event_bind {
	__u32 size;
	__u32 flags;
	__u32 bell;
	__s32 eventfd;
};

/**
 * struct p2prdma_control_open - ioctl(P2PRDMA_CONTROL_OPEN): the memory through
 *	which the card asks and the host grants
 * @size: sizeof(struct p2prdma_control_open)
 * @flags: must be 0
 * @epoch: out: number of this opening, never 0, other than the one before
 * @length: out: bytes, P2PRDMA_CONTROL_SIZE of p2prdma_control.h
 * @fd: out: a dma-buf, uncached by mmap(), zeroed; no device may import it.
 *	The card's machine is told the epoch only when the owner announces it by
 *	setting the state in the area's header. Once the last reference is gone,
 *	the card is told that the epoch is over.
 * @__reserved: must be 0
 *
 * Errors: EBUSY: it is open already. ENOSPC: no card memory is left for it.
 * EACCES: the card is not open for writing. EOPNOTSUPP: the card has no machine
 * of its own.
 */
struct p2prdma_control_open {
	__u32 size;
	__u32 flags;
	__u32 epoch;
	__u32 length;
	__s32 fd;
	__u32 __reserved;
};

/**
 * enum p2prdma_hca_kind - what the registers of an HCA are
 * @P2PRDMA_HCA_DOORBELL: a doorbell: uncached device registers, any 4-byte
 *	aligned range within a page
 * @P2PRDMA_HCA_QUEUE: queue memory on the device (EFA: LLQ), write-combined:
 *	whole pages only, since a page may hold a foreign queue beside it
 * @P2PRDMA_HCA_RING: a ring in host memory that the driver maps (EFA: receive
 *	queue): whole pages only
 */
enum p2prdma_hca_kind {
	P2PRDMA_HCA_DOORBELL = 0,
	P2PRDMA_HCA_QUEUE = 1,
	P2PRDMA_HCA_RING = 2,
};

/**
 * struct p2prdma_hca_regs - ioctl(P2PRDMA_HCA_REGS): registers or rings that the
 *	caller has mapped from an RDMA device, as a dma-buf
 * @size: sizeof(struct p2prdma_hca_regs)
 * @flags: must be 0
 * @uverbs_fd: the open RDMA device (ibv_context.cmd_fd) whose mapping it is
 * @kind: one of enum p2prdma_hca_kind
 * @address: in the caller's address space
 * @length: bytes, > 0
 * @offset: out: of the first byte in the dma-buf
 * @fd: out: a dma-buf that only windows of this module import, within @offset
 *	and @length; without mmap(). Windows onto it are closed before the
 *	caller's mapping goes, in whatever way it goes.
 * @cache: out: how the CPU must map it: enum p2prdma_cache
 *
 * Errors: EBADF: no uverbs descriptor, or its adapter is gone or no PCI device.
 * ENODEV: the adapter is just going. EFAULT: no mapping of it at @address, or not
 * all of @length. EINVAL: a queue or ring that does not begin and end at a page,
 * so that a page of it may also hold a foreign queue; a doorbell that is not
 * aligned to 4 bytes or reaches beyond its page; no length, or one above 64 MiB.
 * EPERM: the mapping is not writable. EXDEV: what is mapped is not of that
 * device. EOPNOTSUPP: the mapping is not of @kind, or not contiguous; or the
 * kernel cannot route peer-to-peer DMA there (registers without
 * CONFIG_PCI_P2PDMA). Whether whole pages hold a foreign queue is not seen: the
 * caller makes rings of whole pages.
 */
struct p2prdma_hca_regs {
	__u32 size;
	__u32 flags;
	__s32 uverbs_fd;
	__u32 kind;
	__aligned_u64 address;
	__aligned_u64 length;
	__aligned_u64 offset;
	__s32 fd;
	__u32 cache;
};

#endif /* _UAPI_LINUX_P2PRDMA_H */
