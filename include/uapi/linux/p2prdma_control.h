/* SPDX-License-Identifier: (GPL-2.0-only WITH Linux-syscall-note) OR BSD-2-Clause */
/*
 * The control area: what card and host say to each other through a range of the
 * card's memory. Its register-level surroundings are in
 * Documentation/refcard.rst, its rules in Documentation/control.rst.
 *
 * All is little-endian. Each part has one writer: the host's daemon, or the
 * kernel of the card's machine. The other copies what it reads once, then checks
 * the copy. A client is an open /dev/p2prdma/localN: the card's kernel stamps
 * requests with its number; programs on the card write bodies only.
 *
 * A ring: indices run freely and are taken modulo P2PRDMA_CONTROL_SLOTS; it is
 * empty when they are equal. A producer writes the slot, then the head, then
 * rings: the card bell 0 of the host, the host doorbell page 0 of the card.
 */
#ifndef _UAPI_LINUX_P2PRDMA_CONTROL_H
#define _UAPI_LINUX_P2PRDMA_CONTROL_H

#include <linux/types.h>

#define P2PRDMA_CONTROL_MAGIC 0x4c525443 /* "CTRL" */
#define P2PRDMA_CONTROL_VERSION 1 /* of this layout; of messages see HELLO */

/* Layout of the area, bytes. */
#define P2PRDMA_CONTROL_HOST 0x0000 /* struct p2prdma_control_host */
#define P2PRDMA_CONTROL_CARD 0x1000 /* struct p2prdma_control_card */
#define P2PRDMA_CONTROL_REQUESTS 0x2000 /* ring, the card produces */
#define P2PRDMA_CONTROL_REPLIES 0x6000 /* ring, the host produces */
#define P2PRDMA_CONTROL_GRANTS 0xa000 /* struct p2prdma_grant [], the host's */
#define P2PRDMA_CONTROL_SIZE 0x10000

#define P2PRDMA_CONTROL_SLOTS 64
#define P2PRDMA_CONTROL_BODY 224
#define P2PRDMA_CONTROL_GRANT_COUNT 256 /* 0 is never used */
#define P2PRDMA_CONTROL_CLIENTS 32 /* at once */
#define P2PRDMA_CONTROL_CALLS 2 /* of a client, under way at once */

/**
 * enum p2prdma_control_state - of struct p2prdma_control_host
 * @P2PRDMA_CONTROL_CLOSED: as zeroed: the rest is not to be looked at
 * @P2PRDMA_CONTROL_SERVING: the daemon answers requests
 */
enum p2prdma_control_state {
	P2PRDMA_CONTROL_CLOSED = 0,
	P2PRDMA_CONTROL_SERVING = 1,
};

/**
 * struct p2prdma_control_host - written by the host
 * @magic: P2PRDMA_CONTROL_MAGIC
 * @version: P2PRDMA_CONTROL_VERSION
 * @epoch: of this opening, as in the card's register CTRL_EPOCH
 * @state: enum p2prdma_control_state, written last
 * @request_tail: requests that the host has taken
 * @reply_head: replies that the host has put
 * @grant_change: counts the grants given and revoked, after each of which the
 *	host rings
 * @polls: 1 while the host looks for requests by itself: no bell is needed. It
 *	looks once more after it has written 0
 */
struct p2prdma_control_host {
	__le32 magic;
	__le32 version;
	__le32 epoch;
	__le32 state;
	__le32 request_tail;
	__le32 reply_head;
	__le32 grant_change;
	__le32 polls;
};

/*
 * Written by the card into its epoch when it ends its part in the host's epoch:
 * its driver goes, or it found an epoch of which an earlier life of its kernel
 * took part, or the host broke the protocol. It takes part in an epoch at most
 * once: the host destroys all clients and opens the control area anew.
 */
#define P2PRDMA_CONTROL_LEFT 0xffffffff

/**
 * struct p2prdma_control_card - written by the card's kernel
 * @epoch: the epoch that the card takes part in; 0: none; or
 *	P2PRDMA_CONTROL_LEFT. While it is not the host's, nothing else here means
 *	anything
 * @request_head: requests that the card has put
 * @reply_tail: replies that the card has taken
 * @polls: 1 while the card looks for replies and changes of the grants by itself:
 *	the host need not ring. It looks once more after it has written 0
 * @revoked: for each grant, the generation that the card has last given up: it
 *	has no mapping of it left
 */
struct p2prdma_control_card {
	__le32 epoch;
	__le32 request_head;
	__le32 reply_tail;
	__le32 polls;
	__le32 revoked[P2PRDMA_CONTROL_GRANT_COUNT];
};

/**
 * struct p2prdma_message - a slot of either ring
 * @epoch: of the sender; a message of another epoch is dropped
 * @op: enum p2prdma_control_op; the reply repeats it
 * @length: bytes of @body
 * @client: who asks; the reply repeats it
 * @id: chosen by the card's kernel; the reply repeats it
 * @status: request: 0. Reply: 0, or an errno of Linux on x86, positive, and then
 *	@length is 0
 * @__reserved: 0
 * @body: struct p2prdma_NAME_request or _reply of the op. A newer sender's may be
 *	longer: unknown bytes must be 0 in requests and are ignored in replies
 */
struct p2prdma_message {
	__le32 epoch;
	__le16 op;
	__le16 length;
	__le32 client;
	__le32 id;
	__le32 status;
	__le32 __reserved[3];
	__u8 body[P2PRDMA_CONTROL_BODY];
};

/**
 * enum p2prdma_grant_kind - what a grant shows
 * @P2PRDMA_GRANT_POOL: a range of the pool
 * @P2PRDMA_GRANT_WINDOW: the slot of a window in the aperture
 * @P2PRDMA_GRANT_DOORBELL: a doorbell page: its count and last value, mapped
 *	read-only, and its interrupt
 */
enum p2prdma_grant_kind {
	P2PRDMA_GRANT_POOL = 1,
	P2PRDMA_GRANT_WINDOW = 2,
	P2PRDMA_GRANT_DOORBELL = 3,
};

/**
 * enum p2prdma_grant_state - of a grant
 * @P2PRDMA_GRANT_FREE: there is none
 * @P2PRDMA_GRANT_VALID: the client may use it
 * @P2PRDMA_GRANT_REVOKED: taken back; the card unmaps it everywhere, then writes
 *	the generation into its revoked[]
 */
enum p2prdma_grant_state {
	P2PRDMA_GRANT_FREE = 0,
	P2PRDMA_GRANT_VALID = 1,
	P2PRDMA_GRANT_REVOKED = 2,
};

/**
 * enum p2prdma_grant_flags - of a grant
 * @P2PRDMA_GRANT_UC: mapped uncached; else write-combined
 * @P2PRDMA_GRANT_READ_ONLY: no writable mapping
 */
enum p2prdma_grant_flags {
	P2PRDMA_GRANT_UC = 1 << 0,
	P2PRDMA_GRANT_READ_ONLY = 1 << 1,
};

/**
 * struct p2prdma_grant - what a client may map
 * @state: enum p2prdma_grant_state, written last
 * @generation: other than any before in this slot and epoch, not 0
 * @client: to whom
 * @kind: enum p2prdma_grant_kind
 * @flags: mask of enum p2prdma_grant_flags
 * @__reserved: 0
 * @offset: POOL: in the pool, page-aligned; WINDOW: in the aperture,
 *	page-aligned; DOORBELL: the page's number
 * @length: bytes
 */
struct p2prdma_grant {
	__le32 state;
	__le32 generation;
	__le32 client;
	__le32 kind;
	__le32 flags;
	__le32 __reserved0;
	__le64 offset;
	__le64 length;
	__le64 __reserved[3];
};

/**
 * enum p2prdma_control_op - what a card may ask
 * @P2PRDMA_OP_HELLO: a client's first call
 * @P2PRDMA_OP_CLIENT_GONE: by the card's kernel only: the file and all its
 *	mappings are gone; everything of the client is destroyed and its grants
 *	are free. No body, and none in the reply.
 *
 * Objects are named by ids that the daemon gives to this client: never 0.
 * Destroying takes a struct p2prdma_id_request and has no reply body: EBUSY
 * while another object depends on it.
 */
enum p2prdma_control_op {
	P2PRDMA_OP_HELLO = 1,
	P2PRDMA_OP_CLIENT_GONE = 2,
	P2PRDMA_OP_ADAPTER_QUERY = 3,
	P2PRDMA_OP_MEM_ALLOC = 4,
	P2PRDMA_OP_MEM_FREE = 5,
	P2PRDMA_OP_MR_REG = 6,
	P2PRDMA_OP_MR_DEREG = 7,
	P2PRDMA_OP_CQ_CREATE = 8,
	P2PRDMA_OP_CQ_DESTROY = 9,
	P2PRDMA_OP_QP_CREATE = 10,
	P2PRDMA_OP_QP_DESTROY = 11,
	P2PRDMA_OP_AH_CREATE = 12,
	P2PRDMA_OP_AH_DESTROY = 13,
	P2PRDMA_OP_EVENT_CREATE = 14,
	P2PRDMA_OP_EVENT_DESTROY = 15,
	P2PRDMA_OP_COUNTER_CREATE = 16,
	P2PRDMA_OP_COUNTER_DESTROY = 17,
	P2PRDMA_OP_STREAM_LISTEN = 18,
	P2PRDMA_OP_STREAM_ACCEPT = 19,
	P2PRDMA_OP_STREAM_CONNECT = 20,
	P2PRDMA_OP_STREAM_SEND = 21,
	P2PRDMA_OP_STREAM_RECEIVE = 22,
	P2PRDMA_OP_STREAM_CLOSE = 23,
};

/* Errno in short: EINVAL a value out of range; ENOENT no such id; ENOSPC no
 * room, or the client's quota is used up; EOPNOTSUPP the adapter, kernel or
 * policy lacks it; ENODEV the adapter is gone; ENOSYS the op is unknown; EPROTO
 * the body has a wrong length, or HELLO is missing or came twice.
 */

struct p2prdma_id_request {
	__le32 id;
	__le32 __reserved;
};

struct p2prdma_id_reply {
	__le32 id;
	__le32 __reserved;
};

/**
 * enum p2prdma_hello_caps - what a daemon offers
 * @P2PRDMA_HELLO_DIRECT: an adapter at least whose queues a card's program can
 *	drive: it has completion queues in card memory
 * @P2PRDMA_HELLO_STREAMS: TCP connections of the host's
 */
enum p2prdma_hello_caps {
	P2PRDMA_HELLO_DIRECT = 1 << 0,
	P2PRDMA_HELLO_STREAMS = 1 << 1,
};

/**
 * struct p2prdma_hello_request - versions and capabilities
 * @version_min: lowest message version that the client speaks
 * @version_max: highest; there is version 1
 * @capabilities: mask of enum p2prdma_hello_caps that the client cannot do
 *	without: EOPNOTSUPP if the daemon does not offer, or know, one of them
 * @name: of the program, NUL-padded; for the log
 */
struct p2prdma_hello_request {
	__le32 version_min;
	__le32 version_max;
	__le64 capabilities;
	__u8 name[32];
};

/**
 * struct p2prdma_hello_reply - what was agreed on
 * @version: of messages; EOPNOTSUPP if there is none in common
 * @epoch: of the daemon
 * @capabilities: mask of enum p2prdma_hello_caps: all that the daemon offers now
 * @adapters: how many this client may use
 * @max_qps: quotas of this client
 * @max_mem: bytes of card memory
 * @hostname: the host's, NUL-padded
 */
struct p2prdma_hello_reply {
	__le32 version;
	__le32 epoch;
	__le64 capabilities;
	__le32 adapters;
	__le32 max_qps;
	__le64 max_mem;
	__u8 hostname[64];
};

/**
 * enum p2prdma_isolation - what contains the card towards an adapter
 * @P2PRDMA_ISOLATION_NONE: nothing but the card's own hardware
 * @P2PRDMA_ISOLATION_LAZY: an IOMMU that forgets mappings a little late
 * @P2PRDMA_ISOLATION_STRICT: an IOMMU that forgets them at once
 */
enum p2prdma_isolation {
	P2PRDMA_ISOLATION_NONE = 0,
	P2PRDMA_ISOLATION_LAZY = 1,
	P2PRDMA_ISOLATION_STRICT = 2,
};

/**
 * enum p2prdma_adapter_caps - what an adapter can do for a card
 * @P2PRDMA_ADAPTER_RDMA_READ: RDMA read
 * @P2PRDMA_ADAPTER_RDMA_WRITE: RDMA write
 * @P2PRDMA_ADAPTER_CQ_IN_CARD: completion queues in card memory; without it a
 *	card's program cannot drive the adapter
 * @P2PRDMA_ADAPTER_COUNTER: completion counters in card memory and on doorbells
 * @P2PRDMA_ADAPTER_P2P_EVENT: it raises events by itself; without it, but with
 *	CQ_IN_CARD, the host relays them
 */
enum p2prdma_adapter_caps {
	P2PRDMA_ADAPTER_RDMA_READ = 1 << 0,
	P2PRDMA_ADAPTER_RDMA_WRITE = 1 << 1,
	P2PRDMA_ADAPTER_CQ_IN_CARD = 1 << 2,
	P2PRDMA_ADAPTER_COUNTER = 1 << 3,
	P2PRDMA_ADAPTER_P2P_EVENT = 1 << 4,
};

/**
 * struct p2prdma_adapter_query_request - ADAPTER_QUERY
 * @adapter: 0 to HELLO's adapters - 1
 * @__reserved: 0
 */
struct p2prdma_adapter_query_request {
	__le32 adapter;
	__le32 __reserved;
};

/**
 * struct p2prdma_adapter_query_reply - an adapter
 * @caps: mask of enum p2prdma_adapter_caps
 * @isolation: enum p2prdma_isolation
 * @family: 1: EFA
 * @max_send: entries of a send queue, at most
 * @max_receive: entries of a receive queue
 * @max_cq: entries of a completion queue
 * @max_inline: bytes of inline data that the 128-byte work requests hold
 * @max_message: bytes of a SEND
 * @max_rdma: bytes of an RDMA operation
 * @gid: of port 1
 * @name: NUL-padded
 * @reason: why the isolation is what it is; or why there is no direct data path,
 *	or why events are relayed. NUL-terminated UTF-8
 */
struct p2prdma_adapter_query_reply {
	__le32 caps;
	__le32 isolation;
	__le32 family;
	__le32 max_send;
	__le32 max_receive;
	__le32 max_cq;
	__le32 max_inline;
	__le32 max_message;
	__le64 max_rdma;
	__u8 gid[16];
	__u8 name[24];
	__u8 reason[128];
};

/**
 * struct p2prdma_mem_alloc_request - MEM_ALLOC: memory of the pool, zeroed
 * @length: bytes, > 0; rounded up to pages
 * @flags: mask of enum p2prdma_grant_flags
 * @__reserved: 0
 */
struct p2prdma_mem_alloc_request {
	__le64 length;
	__le32 flags;
	__le32 __reserved;
};

struct p2prdma_mem_alloc_reply {
	__le32 id;
	__le32 grant;
	__le64 length;
};

/**
 * struct p2prdma_mr_reg_request - MR_REG: let an adapter reach memory
 * @adapter: which
 * @memory: id of a memory or of an event (its doorbell page as an RDMA target)
 * @offset: of the region's first byte in the memory
 * @length: bytes, > 0
 * @access: IBV_ACCESS_* bits; at most local write, remote write, remote read
 * @__reserved: 0
 */
struct p2prdma_mr_reg_request {
	__le32 adapter;
	__le32 memory;
	__le64 offset;
	__le64 length;
	__le32 access;
	__le32 __reserved;
};

/**
 * struct p2prdma_mr_reg_reply - a memory region
 * @id: of the region
 * @lkey: for work requests of the same adapter
 * @rkey: for the peers
 * @__reserved: 0
 * @address: of the first byte, for work requests, local and remote
 */
struct p2prdma_mr_reg_reply {
	__le32 id;
	__le32 lkey;
	__le32 rkey;
	__le32 __reserved;
	__le64 address;
};

/**
 * struct p2prdma_cq_create_request - CQ_CREATE: a completion queue in card memory
 * @adapter: which
 * @entries: at least that many
 */
struct p2prdma_cq_create_request {
	__le32 adapter;
	__le32 entries;
};

/**
 * struct p2prdma_cq_create_reply - a completion queue, zeroed; phase starts at 1
 * @id: of the queue
 * @grant: of kind POOL, uncached, where the adapter writes completions
 * @offset: of entry 0 in the grant
 * @entries: how many there are, a power of two
 * @entry_size: bytes
 */
struct p2prdma_cq_create_reply {
	__le32 id;
	__le32 grant;
	__le64 offset;
	__le32 entries;
	__le32 entry_size;
};

/**
 * struct p2prdma_qp_create_request - QP_CREATE: an SRD queue pair, ready to send
 * @adapter: which
 * @send_cq: id
 * @receive_cq: id; may be the same
 * @send_entries: at least that many
 * @receive_entries: at least that many; 0: no receive queue
 * @inline_bytes: of data in work requests: at most 32 makes them 64 bytes long,
 *	more 128 where the adapter can
 * @qkey: of the queue pair
 * @__reserved: 0
 */
struct p2prdma_qp_create_request {
	__le32 adapter;
	__le32 send_cq;
	__le32 receive_cq;
	__le32 send_entries;
	__le32 receive_entries;
	__le32 inline_bytes;
	__le32 qkey;
	__le32 __reserved;
};

/**
 * struct p2prdma_queue - where the card finds a work queue
 * @ring_grant: grant of the ring; 0: no such queue
 * @ring_offset: of entry 0 in the grant
 * @doorbell_grant: grant of the doorbell
 * @doorbell_offset: in the grant
 * @entry_size: bytes
 * @entries: a power of two
 * @max_batch: entries that may be written before the doorbell must be rung; 0:
 *	no limit
 * @__reserved: 0
 */
struct p2prdma_queue {
	__le32 ring_grant;
	__le32 ring_offset;
	__le32 doorbell_grant;
	__le32 doorbell_offset;
	__le32 entry_size;
	__le32 entries;
	__le32 max_batch;
	__le32 __reserved;
};

/**
 * struct p2prdma_qp_create_reply - a queue pair
 * @id: of the queue pair, in calls
 * @number: of the queue pair, for peers
 * @send: its send queue
 * @receive: its receive queue
 */
struct p2prdma_qp_create_reply {
	__le32 id;
	__le32 number;
	struct p2prdma_queue send;
	struct p2prdma_queue receive;
};

struct p2prdma_ah_create_request {
	__le32 adapter;
	__le32 __reserved;
	__u8 gid[16];
};

/**
 * struct p2prdma_ah_create_reply - an address handle
 * @id: of the handle, in calls
 * @number: for work requests
 */
struct p2prdma_ah_create_reply {
	__le32 id;
	__le32 number;
};

/**
 * enum p2prdma_event_kind - who raises an event
 * @P2PRDMA_EVENT_P2P: the adapter or a peer writes the card's doorbell page
 * @P2PRDMA_EVENT_RELAY: the host's daemon does, on the adapter's behalf
 */
enum p2prdma_event_kind {
	P2PRDMA_EVENT_P2P = 0,
	P2PRDMA_EVENT_RELAY = 1,
};

/**
 * struct p2prdma_event_create_request - EVENT_CREATE: a doorbell page
 * @adapter: whose completions are to raise it
 * @flags: bit 0: relayed by the host, even if the adapter could
 */
struct p2prdma_event_create_request {
	__le32 adapter;
	__le32 flags;
};

/**
 * struct p2prdma_event_create_reply - an event; its page's last value is 0
 * @id: of the event
 * @grant: of kind DOORBELL
 * @kind: enum p2prdma_event_kind
 * @page: number of the doorbell page
 * @reason: why it is relayed, NUL-terminated; empty if it is not
 */
struct p2prdma_event_create_reply {
	__le32 id;
	__le32 grant;
	__le32 kind;
	__le32 page;
	__u8 reason[128];
};

/**
 * struct p2prdma_counter_create_request - COUNTER_CREATE: a completion counter
 * @qp: id of the queue pair whose completions it counts; before any is posted
 * @ops: IBV_QP_ATTACH_COMP_CNTR_OP_* bits
 * @target: id of an event, which each count raises, or of a memory. A relayed
 *	event of an adapter without COUNTER: what is reported in completion queues
 *	is counted; EOPNOTSUPP for @ops of peers
 * @__reserved: 0
 * @offset: of the 8-byte counter in the memory, a multiple of 8; 0 for an event
 *
 * Destroying it gives up its id: it counts until its queue pair is destroyed.
 */
struct p2prdma_counter_create_request {
	__le32 qp;
	__le32 ops;
	__le32 target;
	__le32 __reserved;
	__le64 offset;
};

/*
 * Streams: TCP connections of the host's, for the card's programs to exchange
 * addresses and keys before they talk by RDMA.
 */

/**
 * struct p2prdma_stream_request - STREAM_LISTEN, _ACCEPT, _CONNECT, _RECEIVE
 * @id: ACCEPT: of a listener. RECEIVE: of a stream. Else 0
 * @port: LISTEN, CONNECT: TCP port
 * @wait_ms: ACCEPT, CONNECT, RECEIVE: how long the daemon may wait before it
 *	answers EAGAIN, at most 10000
 * @length: RECEIVE: bytes wanted, at most P2PRDMA_CONTROL_BODY
 * @host: CONNECT: name or address, NUL-padded
 *
 * LISTEN, ACCEPT and CONNECT answer struct p2prdma_id_reply. RECEIVE answers the
 * bytes that are there, none at the end of the stream.
 */
struct p2prdma_stream_request {
	__le32 id;
	__le32 port;
	__le32 wait_ms;
	__le32 length;
	__u8 host[128];
};

/**
 * struct p2prdma_stream_send_request - STREAM_SEND
 * @id: of the stream
 * @length: bytes of @data, of which all or none are taken (EAGAIN)
 * @data: as many bytes as the message holds
 */
struct p2prdma_stream_send_request {
	__le32 id;
	__le32 length;
	__u8 data[P2PRDMA_CONTROL_BODY - 8];
};

#endif /* _UAPI_LINUX_P2PRDMA_CONTROL_H */
