/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The card as its own machine sees it: /dev/p2prdma/localN.
 *
 * DOC: Locks, in the order in which they are taken
 *
 *   device_lock(either function)    probe, remove, reset: held by the core
 *     pairs_lock                    which functions make a pair
 *       control_lock                epoch, rings, calls, clients and their slots
 *         grants_lock               grants that are mapped; the grant table
 *           doorbells_lock (spin)   eventfds, masks; taken in interrupts
 *     mmap_lock                     fault and mmap: held by the core
 *         grants_lock
 *
 * @gone and @area change with both control_lock and grants_lock held, so that
 * either is enough to use them. Registers are accessed under control_lock with
 * @gone clear, or by the interrupt handlers, which end before the registers go.
 * User memory is not touched under any of them. i_mmap_rwsem, for zapping, is
 * taken under control_lock, never under grants_lock.
 *
 * DOC: Lifetimes
 *
 * A struct p2p_local lives while a pair of functions is bound or a client of it
 * exists. A client is an open file, which its mappings keep open; revocation may
 * hold it a little longer. A grant exists while it is mapped.
 */
#ifndef P2PRDMA_LOCAL_CARD_H
#define P2PRDMA_LOCAL_CARD_H

#include <linux/bits.h>
#include <linux/cdev.h>
#include <linux/device.h>
#include <linux/eventfd.h>
#include <linux/fs.h>
#include <linux/io.h>
#include <linux/kref.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/pci.h>
#include <linux/spinlock.h>
#include <linux/wait.h>
#include <linux/workqueue.h>
#include <linux/p2prdma_control.h>
#include <linux/p2prdma_local.h>

/* Registers of both functions: Documentation/refcard.rst. */
#define LOCAL_REG_MAGIC 0x00
#define LOCAL_REG_VERSION 0x04
#define LOCAL_REG_CAPS 0x08
#define LOCAL_CAPS_CONTROL BIT(3)
#define LOCAL_REG_STATUS 0x0c
#define LOCAL_STATUS_READY BIT(0)
#define LOCAL_REG_SERIAL 0x10
/* Of the pool. */
#define LOCAL_REG_MEM_SIZE 0x18
#define LOCAL_REG_CTRL_OFFSET 0x40
#define LOCAL_REG_CTRL_SIZE 0x48
#define LOCAL_REG_CTRL_EPOCH 0x4c
/* Of the aperture. */
#define LOCAL_REG_DB_OFFSET 0x20
#define LOCAL_REG_DB_COUNT 0x24
#define LOCAL_REG_DB_PENDING 0x2c
#define LOCAL_REG_DB_MASK 0x30
#define LOCAL_REG_HOST_RING 0x34
#define LOCAL_REG_WIN_CAPS 0x1000

#define LOCAL_REG_BAR 0
#define LOCAL_MEM_BAR 2 /* the pool's memory, or the aperture */

#define LOCAL_DOORBELLS 32
#define LOCAL_DOORBELL_SIZE 4096
#define LOCAL_VECTORS 8	     /* doorbell page n raises 1 + n % 7 */
#define LOCAL_CONTROL_PAGE 0 /* the doorbell page by which the host calls */
#define LOCAL_CONTROL_BELL BIT(0)

/* Where a member is in the control area. */
#define LOCAL_HOST_AT(member)                                                  \
	(P2PRDMA_CONTROL_HOST + offsetof(struct p2prdma_control_host, member))
#define LOCAL_CARD_AT(member)                                                  \
	(P2PRDMA_CONTROL_CARD + offsetof(struct p2prdma_control_card, member))

struct p2p_local;
struct p2p_local_grant;
struct p2p_local_kind;

/**
 * struct p2p_local_half - a bound PCI function: pool or aperture
 * @node: in the list of all
 * @pdev: the function
 * @kind: which of the two
 * @regs: its registers
 * @serial: of the card; valid while @ready
 * @ready: it may be paired: not being reset or suspended
 * @local: the pair that it is a part of, or NULL
 */
struct p2p_local_half {
	struct list_head node;
	struct pci_dev *pdev;
	const struct p2p_local_kind *kind;
	void __iomem *regs;
	u64 serial;
	bool ready;
	struct p2p_local *local;
};

/**
 * struct p2p_local_client - an open /dev/p2prdma/localN
 * @ref: the file's, each grant's, and of whoever zaps
 * @local: the card; referenced
 * @node: in @local->clients, while the file is open
 * @mapping: of its mappings alone, so that they can be zapped
 * @wait: woken when @error or @lost changes
 * @number: on the rings; 0 until the first call
 * @error: why it cannot be used any more, negative errno; or 0
 * @lost: the host took back a window that was mapped
 * @calls: under way
 *
 * @number, @error, @lost and @calls change under control_lock; poll() and mmap()
 * look at them without.
 */
struct p2p_local_client {
	struct kref ref;
	struct p2p_local *local;
	struct list_head node;
	struct address_space mapping;
	wait_queue_head_t wait;
	u32 number;
	int error;
	bool lost;
	unsigned int calls;
};

/**
 * enum p2p_local_slot_state - of a client's slot
 * @LOCAL_SLOT_FREE: nobody's
 * @LOCAL_SLOT_USED: an open file's
 * @LOCAL_SLOT_CLOSED: the file is closed, the host does not know it yet
 * @LOCAL_SLOT_GONE: the host was told, and has not answered yet
 */
enum p2p_local_slot_state {
	LOCAL_SLOT_FREE,
	LOCAL_SLOT_USED,
	LOCAL_SLOT_CLOSED,
	LOCAL_SLOT_GONE,
};

/**
 * struct p2p_local_slot - what the host knows as one client
 * @state: of it
 * @number: the client's: the slot in the low bits, then how often it was used,
 *	so that a number does not come again soon
 * @gone_id: of the message CLIENT_GONE
 */
struct p2p_local_slot {
	enum p2p_local_slot_state state;
	u32 number;
	u32 gone_id;
};

/**
 * struct p2p_local_doorbell - a doorbell page
 * @eventfd: signalled when it was written, or NULL; referenced
 * @client: who bound it; valid with @eventfd
 * @grant: by which grant; valid with @eventfd
 * @generation: of that grant
 * @jiffy: when it interrupted last
 * @burst: how often within @jiffy
 */
struct p2p_local_doorbell {
	struct eventfd_ctx *eventfd;
	struct p2p_local_client *client;
	u32 grant;
	u32 generation;
	unsigned long jiffy;
	unsigned int burst;
};

/**
 * struct p2p_local_vector - an MSI-X vector
 * @local: the card
 * @pages: mask of the doorbell pages that raise it
 */
struct p2p_local_vector {
	struct p2p_local *local;
	u32 pages;
};

/**
 * struct p2p_local - a card, in its own machine
 * @dev: /sys/class/p2prdma_local/localN; its references are the card's
 * @cdev: /dev/p2prdma/localN
 * @id: N
 * @pool: function P; valid until @gone
 * @aperture: function W; valid until @gone
 * @pool_at: its PCI address
 * @aperture_at: its PCI address
 * @serial: of the card
 * @pool_base: CPU physical address of the pool
 * @pool_size: bytes
 * @aperture_base: CPU physical address of the aperture
 * @aperture_size: bytes
 * @windows: how many
 * @doorbell_base: CPU physical address of doorbell page 0
 * @doorbells: how many
 * @has_control: it can be told where its control area is
 * @gone: a function is going; nothing may be touched
 *
 * @control_lock: see the top of this file
 * @work: looks what the host wants; queued when it calls
 * @area: the control area of @epoch, or NULL
 * @area_offset: in the pool
 * @epoch: of @area, as the host's register says
 * @state: enum p2prdma_local_state; SERVED while the card takes part in @epoch
 * @left: @epoch is not to be joined (any more)
 * @broken: since the host broke the protocol in it
 * @request_head: requests put
 * @reply_tail: replies taken
 * @grant_change: of the host's header, when the grants were last looked through
 * @next_id: of the next message
 * @pollers: calls that look for their answers by themselves
 * @calls: struct p2p_local_call that wait for an answer
 * @clients: open files
 * @slots: clients as the host knows them
 * @dropped: messages of the host's that were not usable
 *
 * @grants_lock: see the top of this file
 * @grants: those that are mapped, by number
 * @revoked: generation of each grant that was last given up
 *
 * @doorbells_lock: see the top of this file
 * @bells: of each doorbell page
 * @mask: what DB_MASK holds
 * @throttled: pages that are masked since they interrupt too often
 * @unthrottle: ends that
 * @vectors: of the aperture
 */
struct p2p_local {
	struct device dev;
	struct cdev cdev;
	int id;
	struct p2p_local_half *pool;
	struct p2p_local_half *aperture;
	struct p2prdma_pci_addr pool_at;
	struct p2prdma_pci_addr aperture_at;
	u64 serial;
	phys_addr_t pool_base;
	u64 pool_size;
	phys_addr_t aperture_base;
	u64 aperture_size;
	u32 windows;
	phys_addr_t doorbell_base;
	u32 doorbells;
	bool has_control;
	bool gone;

	struct mutex control_lock;
	struct work_struct work;
	void __iomem *area;
	u64 area_offset;
	u32 epoch;
	enum p2prdma_local_state state;
	bool left;
	bool broken;
	u32 request_head;
	u32 reply_tail;
	u32 grant_change;
	u32 next_id;
	unsigned int pollers;
	struct list_head calls;
	struct list_head clients;
	struct p2p_local_slot slots[P2PRDMA_CONTROL_CLIENTS];
	u64 dropped;

	struct mutex grants_lock;
	struct p2p_local_grant *grants[P2PRDMA_CONTROL_GRANT_COUNT];
	u32 revoked[P2PRDMA_CONTROL_GRANT_COUNT];

	spinlock_t doorbells_lock;
	struct p2p_local_doorbell bells[LOCAL_DOORBELLS];
	u32 mask;
	u32 throttled;
	struct delayed_work unthrottle;
	struct p2p_local_vector vectors[LOCAL_VECTORS];
};

/*
 * A word of the control area. The host may write there what it likes, so each is
 * read once, then checked.
 */
static inline u32 p2p_local_word(const struct p2p_local *local, u32 at)
{
	return readl(local->area + at);
}

/* local_pci.c */
int p2p_local_init(void);
void p2p_local_exit(void);

/* local_card.c */
int p2p_local_class_init(void);
void p2p_local_class_exit(void);
struct p2p_local *p2p_local_create(struct p2p_local_half *pool,
				   struct p2p_local_half *aperture);
void p2p_local_destroy(struct p2p_local *local);
u64 p2p_local_read64(const struct p2p_local_half *half, u32 reg);

/* local_control.c */
void p2p_local_control_init(struct p2p_local *local);
void p2p_local_control_stop(struct p2p_local *local);
void p2p_local_control_refresh(struct p2p_local *local);
void p2p_local_control_broken(struct p2p_local *local, const char *why);
void p2p_local_control_ring(struct p2p_local *local);
void p2p_local_control_call_host(struct p2p_local *local);
void p2p_local_control_look(struct p2p_local *local);
void p2p_local_control_poll_begin(struct p2p_local *local);
void p2p_local_control_poll_end(struct p2p_local *local);

/* local_ring.c */
int p2p_local_ring_put(struct p2p_local *local,
		       const struct p2prdma_message *message);
int p2p_local_ring_pending(struct p2p_local *local);
void p2p_local_ring_take(struct p2p_local *local,
			 struct p2prdma_message *message);

/* local_call.c */
int p2p_local_call(struct p2p_local_client *client,
		   struct p2prdma_local_call *args);
void p2p_local_call_replies(struct p2p_local *local);
void p2p_local_call_end_all(struct p2p_local *local, int error);

/* local_client.c */
extern const struct file_operations p2p_local_fops;
struct p2p_local_client *p2p_local_client_get(struct p2p_local_client *client);
void p2p_local_client_put(struct p2p_local_client *client);
int p2p_local_client_usable(const struct p2p_local_client *client);
int p2p_local_client_join(struct p2p_local_client *client);
void p2p_local_client_fail(struct p2p_local_client *client, int error);
void p2p_local_client_lose(struct p2p_local_client *client);
void p2p_local_client_tell_gone(struct p2p_local *local);
bool p2p_local_client_is_gone(struct p2p_local *local,
			      const struct p2prdma_message *reply);
void p2p_local_client_end_all(struct p2p_local *local, int error);

/* local_ioctl.c */
long p2p_local_ioctl(struct file *file, unsigned int cmd, unsigned long arg);

/* local_grant.c */
int p2p_local_grant_mmap(struct file *file, struct vm_area_struct *vma);
int p2p_local_grant_page(struct p2p_local_client *client, u32 index, u32 *page,
			 u32 *generation);
bool p2p_local_grant_holds(struct p2p_local *local, u32 index, u32 generation);
void p2p_local_grant_revoke(struct p2p_local *local);
void p2p_local_grant_end_all(struct p2p_local *local);

/* local_doorbell.c */
int p2p_local_doorbell_start(struct p2p_local *local);
void p2p_local_doorbell_stop(struct p2p_local *local);
int p2p_local_doorbell_bind(struct p2p_local_client *client,
			    const struct p2prdma_local_event *args);
void p2p_local_doorbell_revoke(struct p2p_local *local);
void p2p_local_doorbell_unbind_all(struct p2p_local *local,
				   struct p2p_local_client *client);

#endif
