// SPDX-License-Identifier: GPL-2.0-only
/*
 * Grants of the host, mapped by the client that they are for: inserted page by
 * page on fault, so that they can be taken away (unmap_mapping_range()).
 */
#include <linux/bitmap.h>
#include <linux/io.h>
#include <linux/mm.h>
#include <linux/overflow.h>
#include <linux/sizes.h>
#include <linux/slab.h>

#include "compat.h"
#include "local_card.h"

/* Where in the offsets of mmap() the grant's number begins, in pages. */
#define GRANT_PAGE_SHIFT (P2PRDMA_GRANT_SHIFT - PAGE_SHIFT)

/* One fault maps all of the VMA inside an aligned block of this size. */
#define FAULT_BLOCK SZ_2M

/**
 * struct p2p_local_grant - a grant that is mapped
 * @node: in a list of those that are being taken away
 * @client: whose; referenced
 * @index: in the table
 * @generation: in the table
 * @kind: enum p2prdma_grant_kind
 * @flags: mask of enum p2prdma_grant_flags
 * @phys: CPU physical address of its first byte
 * @size: bytes, whole pages
 * @users: VMAs, and whoever takes it away
 * @reserved: the platform knows that it is write-combined
 * @revoked: nothing may be mapped any more
 *
 * The last three are guarded by grants_lock, the rest is constant.
 */
struct p2p_local_grant {
	struct list_head node;
	struct p2p_local_client *client;
	u32 index;
	u32 generation;
	u32 kind;
	u32 flags;
	phys_addr_t phys;
	u64 size;
	unsigned int users;
	bool reserved;
	bool revoked;
};

static u32 grant_at(u32 index)
{
	return P2PRDMA_CONTROL_GRANTS + index * sizeof(struct p2prdma_grant);
}

static u32 grant_word(const struct p2p_local *local, u32 index, u32 member)
{
	return p2p_local_word(local, grant_at(index) + member);
}

static u32 grant_state(const struct p2p_local *local, u32 index)
{
	return grant_word(local, index, offsetof(struct p2prdma_grant, state));
}

static u32 grant_generation(const struct p2p_local *local, u32 index)
{
	return grant_word(local, index,
			  offsetof(struct p2prdma_grant, generation));
}

/**
 * p2p_local_grant_holds() - whether a grant is still the one that it was
 * @local: the card, with a control area
 * @index: in the table
 * @generation: of the grant that is meant
 *
 * Return: true if it is and is valid.
 */
bool p2p_local_grant_holds(struct p2p_local *local, u32 index, u32 generation)
{
	return grant_state(local, index) == P2PRDMA_GRANT_VALID &&
	       grant_generation(local, index) == generation;
}

/* A copy of a client's grant. */
static int read_grant(struct p2p_local_client *client, u32 index,
		      struct p2prdma_grant *entry)
{
	struct p2p_local *local = client->local;
	int ret;

	lockdep_assert_held(&local->grants_lock);
	ret = p2p_local_client_usable(client);
	if (ret)
		return ret;
	if (!index || index >= P2PRDMA_CONTROL_GRANT_COUNT || !local->area ||
	    !READ_ONCE(client->number))
		return -ENOENT;
	memcpy_fromio(entry, local->area + grant_at(index), sizeof(*entry));
	/* If it is the same before and after, all of it was copied as it is. */
	rmb();
	if (le32_to_cpu(entry->state) != P2PRDMA_GRANT_VALID ||
	    le32_to_cpu(entry->client) != client->number ||
	    !p2p_local_grant_holds(local, index,
				   le32_to_cpu(entry->generation)))
		return -ENOENT;
	return 0;
}

/* The end, rounded up to pages, of a range that must be below a limit. */
static bool range_fits(u64 offset, u64 length, u64 limit)
{
	u64 end;

	return length && PAGE_ALIGNED(offset) &&
	       !check_add_overflow(offset, length, &end) && end <= limit;
}

static bool touches_area(const struct p2p_local *local, u64 offset, u64 length)
{
	return offset < local->area_offset + P2PRDMA_CONTROL_SIZE &&
	       local->area_offset < offset + length;
}

static int place_grant(const struct p2p_local *local,
		       struct p2p_local_grant *grant, u64 offset, u64 length)
{
	grant->size = PAGE_ALIGN(length);
	switch (grant->kind) {
	case P2PRDMA_GRANT_POOL:
		grant->phys = local->pool_base + offset;
		return range_fits(offset, length, local->pool_size) &&
				       !touches_area(local, offset, length)
			       ? 0
			       : -EPROTO;
	case P2PRDMA_GRANT_WINDOW:
		grant->phys = local->aperture_base + offset;
		return range_fits(offset, length, local->aperture_size)
			       ? 0
			       : -EPROTO;
	case P2PRDMA_GRANT_DOORBELL:
		grant->phys =
			local->doorbell_base + offset * LOCAL_DOORBELL_SIZE;
		grant->size = LOCAL_DOORBELL_SIZE;
		grant->flags |= P2PRDMA_GRANT_UC | P2PRDMA_GRANT_READ_ONLY;
		return offset > LOCAL_CONTROL_PAGE &&
				       offset < local->doorbells &&
				       PAGE_ALIGNED(grant->phys)
			       ? 0
			       : -EPROTO;
	default:
		return -EPROTO;
	}
}

static int fill_grant(const struct p2p_local *local,
		      struct p2p_local_grant *grant,
		      const struct p2prdma_grant *entry)
{
	int ret;

	grant->generation = le32_to_cpu(entry->generation);
	grant->kind = le32_to_cpu(entry->kind);
	grant->flags = le32_to_cpu(entry->flags);
	ret = place_grant(local, grant, le64_to_cpu(entry->offset),
			  le64_to_cpu(entry->length));
	if (grant->flags & ~(P2PRDMA_GRANT_UC | P2PRDMA_GRANT_READ_ONLY))
		ret = -EPROTO;
	if (ret)
		dev_warn_ratelimited(&local->dev,
				     "the host's grant %u is impossible: kind %u, flags 0x%x, offset 0x%llx, length 0x%llx\n",
				     grant->index, grant->kind, grant->flags,
				     le64_to_cpu(entry->offset),
				     le64_to_cpu(entry->length));
	return ret;
}

/*
 * On x86 the type of a page that is inserted into a VMA comes from the table of
 * reserved memory types, uncached if it has none, whatever the VMA asks for.
 */
static int reserve_cache(struct p2p_local_grant *grant)
{
	int ret;

	if (grant->flags & P2PRDMA_GRANT_UC)
		return 0;
	ret = arch_io_reserve_memtype_wc(grant->phys, grant->size);
	grant->reserved = !ret;
	return ret;
}

static void unreserve_cache(struct p2p_local_grant *grant)
{
	if (grant->reserved)
		arch_io_free_memtype_wc(grant->phys, grant->size);
	grant->reserved = false;
}

static void put_grant(struct p2p_local_grant *grant)
{
	struct p2p_local *local = grant->client->local;

	lockdep_assert_held(&local->grants_lock);
	if (--grant->users)
		return;
	if (local->grants[grant->index] == grant)
		local->grants[grant->index] = NULL;
	unreserve_cache(grant);
	p2p_local_client_put(grant->client);
	kfree(grant);
}

static struct p2p_local_grant *new_grant(struct p2p_local_client *client,
					 u32 index,
					 const struct p2prdma_grant *entry)
{
	struct p2p_local *local = client->local;
	struct p2p_local_grant *grant =
		kzalloc(sizeof(*grant), GFP_KERNEL_ACCOUNT);
	int ret;

	if (!grant)
		return ERR_PTR(-ENOMEM);
	grant->index = index;
	ret = fill_grant(local, grant, entry);
	if (!ret)
		ret = reserve_cache(grant);
	if (ret) {
		kfree(grant);
		return ERR_PTR(ret);
	}
	grant->client = p2p_local_client_get(client);
	local->grants[index] = grant;
	return grant;
}

/* One more user of a client's grant, which is made if none is. */
static struct p2p_local_grant *get_grant(struct p2p_local_client *client,
					 u32 index)
{
	struct p2prdma_grant entry;
	struct p2p_local_grant *grant;
	int ret;

	ret = read_grant(client, index, &entry);
	if (ret)
		return ERR_PTR(ret);
	grant = client->local->grants[index];
	if (!grant)
		grant = new_grant(client, index, &entry);
	else if (grant->generation != le32_to_cpu(entry.generation) ||
		 grant->client != client)
		/* Given anew before the card gave the old one up. */
		grant = ERR_PTR(-EPROTO);
	if (!IS_ERR(grant))
		grant->users++;
	return grant;
}

static vm_fault_t insert_page(struct vm_area_struct *vma, unsigned long addr)
{
	struct p2p_local_grant *grant = vma->vm_private_data;
	u64 page = vma->vm_pgoff + ((addr - vma->vm_start) >> PAGE_SHIFT);

	page &= BIT_ULL(GRANT_PAGE_SHIFT) - 1;
	return vmf_insert_pfn(vma, addr, PHYS_PFN(grant->phys) + page);
}

static vm_fault_t insert_block(struct vm_fault *vmf)
{
	struct vm_area_struct *vma = vmf->vma;
	unsigned long block = ALIGN_DOWN(vmf->address, FAULT_BLOCK);
	unsigned long addr = max(vma->vm_start, block);
	/* The last byte, since the block may end at the end of memory. */
	unsigned long last = min(vma->vm_end - 1, block + FAULT_BLOCK - 1);
	vm_fault_t ret = insert_page(vma, vmf->address & PAGE_MASK);

	if (ret != VM_FAULT_NOPAGE)
		return ret;
	for (; addr < last; addr += PAGE_SIZE)
		if (insert_page(vma, addr) != VM_FAULT_NOPAGE)
			break;
	return VM_FAULT_NOPAGE;
}

static vm_fault_t grant_fault(struct vm_fault *vmf)
{
	struct p2p_local_grant *grant = vmf->vma->vm_private_data;
	struct p2p_local *local = grant->client->local;
	vm_fault_t ret = VM_FAULT_SIGBUS;

	/* Whoever revokes it takes the lock, then zaps what is inserted here. */
	mutex_lock(&local->grants_lock);
	if (!grant->revoked)
		ret = insert_block(vmf);
	mutex_unlock(&local->grants_lock);
	return ret;
}

static void grant_vma_open(struct vm_area_struct *vma)
{
	struct p2p_local_grant *grant = vma->vm_private_data;
	struct p2p_local *local = grant->client->local;

	mutex_lock(&local->grants_lock);
	grant->users++;
	mutex_unlock(&local->grants_lock);
}

static void grant_vma_close(struct vm_area_struct *vma)
{
	struct p2p_local_grant *grant = vma->vm_private_data;
	/* Outlives the grant: the VMA's file refers to it. */
	struct p2p_local *local = grant->client->local;

	mutex_lock(&local->grants_lock);
	put_grant(grant);
	mutex_unlock(&local->grants_lock);
}

static const struct vm_operations_struct grant_vm_ops = {
	.open = grant_vma_open,
	.close = grant_vma_close,
	.fault = grant_fault,
};

static int check_vma(const struct p2p_local_grant *grant,
		     struct vm_area_struct *vma)
{
	u64 first = vma->vm_pgoff & (BIT_ULL(GRANT_PAGE_SHIFT) - 1);

	/* A private copy of a device's memory is not that memory. */
	if (!(vma->vm_flags & VM_SHARED))
		return -EINVAL;
	if (first + vma_pages(vma) > grant->size >> PAGE_SHIFT)
		return -EINVAL;
	if (grant->flags & P2PRDMA_GRANT_READ_ONLY && vma->vm_flags & VM_WRITE)
		return -EACCES;
	return 0;
}

static void set_up_vma(struct p2p_local_grant *grant,
		       struct vm_area_struct *vma)
{
	vm_flags_set(vma, VM_IO | VM_PFNMAP | VM_DONTEXPAND | VM_DONTDUMP |
				  VM_DONTCOPY);
	if (grant->flags & P2PRDMA_GRANT_READ_ONLY)
		vm_flags_clear(vma, VM_MAYWRITE);
	if (grant->flags & P2PRDMA_GRANT_UC)
		vma->vm_page_prot = pgprot_noncached(vma->vm_page_prot);
	else
		vma->vm_page_prot = pgprot_writecombine(vma->vm_page_prot);
	vma->vm_page_prot = pgprot_decrypted(vma->vm_page_prot);
	vma->vm_private_data = grant;
	vma->vm_ops = &grant_vm_ops;
}

/**
 * p2p_local_grant_mmap() - mmap() of a client's file
 * @file: the file
 * @vma: the new mapping, whose offset names the grant
 *
 * Return: 0 or a negative errno, as include/uapi/linux/p2prdma_local.h says.
 */
int p2p_local_grant_mmap(struct file *file, struct vm_area_struct *vma)
{
	struct p2p_local_client *client = file->private_data;
	struct p2p_local *local = client->local;
	struct p2p_local_grant *grant;
	int ret = 0;

	if (vma->vm_pgoff >> GRANT_PAGE_SHIFT >= P2PRDMA_CONTROL_GRANT_COUNT)
		return -ENOENT;
	mutex_lock(&local->grants_lock);
	grant = get_grant(client, vma->vm_pgoff >> GRANT_PAGE_SHIFT);
	if (IS_ERR(grant)) {
		ret = PTR_ERR(grant);
		goto out;
	}
	ret = check_vma(grant, vma);
	if (ret)
		put_grant(grant);
	else
		set_up_vma(grant, vma);
out:
	mutex_unlock(&local->grants_lock);
	return ret;
}

/**
 * p2p_local_grant_page() - which doorbell page a client was granted
 * @client: the client
 * @index: of the grant
 * @page: out: number of the page
 * @generation: out: of the grant
 *
 * Return: 0; -ENOENT: the client has no such grant; -EINVAL: it is of another
 * kind; -EPROTO: there is no such page; or why the client is not usable.
 */
int p2p_local_grant_page(struct p2p_local_client *client, u32 index, u32 *page,
			 u32 *generation)
{
	struct p2p_local *local = client->local;
	struct p2p_local_grant grant = { .index = index };
	struct p2prdma_grant entry;
	int ret;

	mutex_lock(&local->grants_lock);
	ret = read_grant(client, index, &entry);
	mutex_unlock(&local->grants_lock);
	if (ret)
		return ret;
	if (le32_to_cpu(entry.kind) != P2PRDMA_GRANT_DOORBELL)
		return -EINVAL;
	ret = fill_grant(local, &grant, &entry);
	*page = le64_to_cpu(entry.offset);
	*generation = grant.generation;
	return ret;
}

/* Nothing can be inserted any more, and it is kept until take_away(). */
static void revoke(struct p2p_local_grant *grant, struct list_head *revoked)
{
	grant->revoked = true;
	grant->users++;
	grant->client->local->grants[grant->index] = NULL;
	list_add_tail(&grant->node, revoked);
}

static void take_away(struct p2p_local *local, struct list_head *revoked)
{
	struct p2p_local_grant *grant, *next;

	list_for_each_entry(grant, revoked, node)
		unmap_mapping_range(&grant->client->mapping,
				    (loff_t)grant->index << P2PRDMA_GRANT_SHIFT,
				    grant->size, 1);
	mutex_lock(&local->grants_lock);
	list_for_each_entry_safe(grant, next, revoked, node) {
		/* The range may be given to others as another type. */
		unreserve_cache(grant);
		list_del(&grant->node);
		put_grant(grant);
	}
	mutex_unlock(&local->grants_lock);
}

/*
 * Finds what the host took back: grants that are mapped, and with them in @given
 * all that it waits for.
 */
static void find_revoked(struct p2p_local *local, struct list_head *revoked,
			 unsigned long *given)
{
	struct p2p_local_grant *grant;
	u32 i, state, generation;

	for (i = 1; i < P2PRDMA_CONTROL_GRANT_COUNT; i++) {
		/* In this order: REVOKED is of this generation, or a later one. */
		generation = grant_generation(local, i);
		state = grant_state(local, i);
		grant = local->grants[i];
		if (grant && (state != P2PRDMA_GRANT_VALID ||
			      generation != grant->generation)) {
			if (grant->kind == P2PRDMA_GRANT_WINDOW)
				p2p_local_client_lose(grant->client);
			revoke(grant, revoked);
		}
		if (state == P2PRDMA_GRANT_REVOKED &&
		    generation != local->revoked[i]) {
			local->revoked[i] = generation;
			__set_bit(i, given);
		}
	}
}

static void tell_given_up(struct p2p_local *local, const unsigned long *given)
{
	u32 i;

	if (bitmap_empty(given, P2PRDMA_CONTROL_GRANT_COUNT))
		return;
	for_each_set_bit(i, given, P2PRDMA_CONTROL_GRANT_COUNT)
		writel(local->revoked[i],
		       local->area + LOCAL_CARD_AT(revoked) + 4 * i);
	p2p_local_control_call_host(local);
}

/**
 * p2p_local_grant_revoke() - give up what the host took back
 * @local: the card, SERVED; control_lock is held
 */
void p2p_local_grant_revoke(struct p2p_local *local)
{
	DECLARE_BITMAP(given, P2PRDMA_CONTROL_GRANT_COUNT) = {};
	u32 change = p2p_local_word(local, LOCAL_HOST_AT(grant_change));
	LIST_HEAD(revoked);

	if (change == local->grant_change)
		return;
	/* What changes from here on is counted, and followed by another call. */
	local->grant_change = change;
	mutex_lock(&local->grants_lock);
	find_revoked(local, &revoked, given);
	mutex_unlock(&local->grants_lock);
	take_away(local, &revoked);
	p2p_local_doorbell_revoke(local);
	tell_given_up(local, given);
}

/**
 * p2p_local_grant_end_all() - the epoch is over: no grant holds
 * @local: the card; control_lock is held, and no client is usable that had one
 */
void p2p_local_grant_end_all(struct p2p_local *local)
{
	LIST_HEAD(revoked);
	u32 i;

	mutex_lock(&local->grants_lock);
	for (i = 1; i < P2PRDMA_CONTROL_GRANT_COUNT; i++)
		if (local->grants[i])
			revoke(local->grants[i], &revoked);
	mutex_unlock(&local->grants_lock);
	take_away(local, &revoked);
}
