/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note */
/*
 * p2prdma on the card's own machine: /dev/p2prdma/localN, one for each card
 * whose pool and aperture functions this machine has. The general ioctl format
 * is that of p2prdma.h.
 *
 * An open file is a client: the host's daemon gives memory, windows and
 * doorbells to it alone, as grants, and takes them back when the file and all
 * its mappings are gone. mmap() of a grant: offset P2PRDMA_GRANT_OFFSET(grant),
 * MAP_SHARED, length at most the grant's, rounded up to pages. A child made by
 * fork() has the descriptor but not the mapping. An access to a mapping whose
 * grant was taken back raises SIGBUS; stores through a window that the host
 * closed are dropped and loads read all ones.
 *
 * Errors of mmap(): EINVAL: private, or beyond the grant. ENOENT: the client has
 * no such grant. EACCES: writable, and the grant or the open file is for reading
 * only. EPROTO: the grant is not one that the card can follow. Those of
 * P2PRDMA_LOCAL_CALL once the client cannot be used any more.
 *
 * poll(): EPOLLHUP once the client cannot be used any more: the host's daemon,
 * the host or the card's functions are gone, or a call was abandoned. EPOLLERR
 * once the host took back a window that the client still had mapped: a client
 * unmaps what it asks the host to destroy before it asks.
 */
#ifndef _UAPI_LINUX_P2PRDMA_LOCAL_H
#define _UAPI_LINUX_P2PRDMA_LOCAL_H

#include <linux/p2prdma.h>

#define P2PRDMA_LOCAL_INFO _IO(P2PRDMA_TYPE, 0x60)
#define P2PRDMA_LOCAL_CALL _IO(P2PRDMA_TYPE, 0x61)
#define P2PRDMA_LOCAL_EVENT _IO(P2PRDMA_TYPE, 0x62)

/* Where mmap() finds a grant. */
#define P2PRDMA_GRANT_SHIFT 40
#define P2PRDMA_GRANT_OFFSET(grant) ((__u64)(grant) << P2PRDMA_GRANT_SHIFT)

/**
 * enum p2prdma_local_state - whether the host serves this card
 * @P2PRDMA_LOCAL_ALONE: no daemon has opened the control area
 * @P2PRDMA_LOCAL_SERVED: calls are answered
 * @P2PRDMA_LOCAL_FOREIGN: the daemon speaks another version of the control area
 */
enum p2prdma_local_state {
	P2PRDMA_LOCAL_ALONE = 0,
	P2PRDMA_LOCAL_SERVED = 1,
	P2PRDMA_LOCAL_FOREIGN = 2,
};

/**
 * struct p2prdma_local_info - ioctl(P2PRDMA_LOCAL_INFO)
 * @size: sizeof(struct p2prdma_local_info)
 * @flags: must be 0
 * @abi_version: out: P2PRDMA_ABI_VERSION of the module
 * @state: out: enum p2prdma_local_state, now
 * @epoch: out: the daemon's, 0 if there is none
 * @client: out: this open file's number; 0 until its first call
 * @serial: out: of the card; the host sees the same
 * @pool_size: out: bytes of shared memory
 * @windows: out: number of windows
 * @doorbells: out: number of doorbell pages
 * @pool: out: PCI address of the pool function
 * @aperture: out: PCI address of the aperture function
 */
struct p2prdma_local_info {
	__u32 size;
	__u32 flags;
	__u32 abi_version;
	__u32 state;
	__u32 epoch;
	__u32 client;
	__aligned_u64 serial;
	__aligned_u64 pool_size;
	__u32 windows;
	__u32 doorbells;
	struct p2prdma_pci_addr pool;
	struct p2prdma_pci_addr aperture;
};

/**
 * struct p2prdma_local_call - ioctl(P2PRDMA_LOCAL_CALL): ask the host's daemon
 * @size: sizeof(struct p2prdma_local_call)
 * @flags: must be 0
 * @op: enum p2prdma_control_op of p2prdma_control.h
 * @timeout_ms: 1 to 60000: how long to wait for the answer
 * @request: user address of the request's body
 * @reply: user address for the reply's body
 * @request_length: bytes of it, at most P2PRDMA_CONTROL_BODY
 * @reply_length: bytes that fit at @reply. out: bytes of the reply's body,
 *	which is cut to what fits
 * @status: out: 0, or the daemon's refusal: an errno of Linux on x86, positive
 * @__reserved: must be 0
 *
 * Several threads may call at once, up to P2PRDMA_CONTROL_CALLS a client.
 *
 * Errors: EINVAL: op, timeout or length out of range. ENOTCONN: no daemon
 * serves the card. EPROTO: it speaks another version, or broke the protocol.
 * ECONNRESET: the daemon or the host went, or was replaced, since the client's
 * first call: open again. ETIMEDOUT: no answer in time, EINTR: a fatal signal;
 * after these two the client can only be closed (EPIPE), as what the call may
 * have made is unknown. EAGAIN: too many calls at once. EUSERS: there are
 * P2PRDMA_CONTROL_CLIENTS clients already. ENODEV: the functions are gone or
 * were reset since the file was opened. EACCES: it is not open for writing.
 */
struct p2prdma_local_call {
	__u32 size;
	__u32 flags;
	__u32 op;
	__u32 timeout_ms;
	__aligned_u64 request;
	__aligned_u64 reply;
	__u32 request_length;
	__u32 reply_length;
	__u32 status;
	__u32 __reserved;
};

/**
 * struct p2prdma_local_event - ioctl(P2PRDMA_LOCAL_EVENT): tie a granted
 *	doorbell page to an eventfd
 * @size: sizeof(struct p2prdma_local_event)
 * @flags: must be 0
 * @grant: the grant, of kind P2PRDMA_GRANT_DOORBELL
 * @eventfd: signalled when the page was written (writes may coalesce: count and
 *	last value are in the page, which mmap() shows read-only), and once at
 *	the binding, so that what came before is not missed; or -1 to undo
 *
 * Errors: ENOENT: no such grant of this client, or not bound. EINVAL: no
 * doorbell grant. EBUSY: bound already. EBADF: no eventfd. EACCES: the file is
 * not open for writing. Those of mmap() else.
 */
struct p2prdma_local_event {
	__u32 size;
	__u32 flags;
	__u32 grant;
	__s32 eventfd;
};

#endif /* _UAPI_LINUX_P2PRDMA_LOCAL_H */
