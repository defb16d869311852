// SPDX-License-Identifier: GPL-2.0-only
/*
 * Clients: open files of /dev/p2prdma/localN, and the slots under which the host
 * knows them. A client has a slot from its first call until the host has
 * answered that it is gone, or the epoch ends.
 */
#include <linux/poll.h>
#include <linux/slab.h>

#include "local_card.h"

/* The low bits of a number tell the slot, also after it wrapped. */
static_assert(!(P2PRDMA_CONTROL_CLIENTS & (P2PRDMA_CONTROL_CLIENTS - 1)));

static struct p2p_local_slot *slot_of(struct p2p_local *local, u32 number)
{
	return &local->slots[number % P2PRDMA_CONTROL_CLIENTS];
}

static void client_free(struct kref *ref)
{
	struct p2p_local_client *client =
		container_of(ref, struct p2p_local_client, ref);

	put_device(&client->local->dev);
	kfree(client);
}

/**
 * p2p_local_client_get() - one more reference
 * @client: the client
 *
 * Return: @client.
 */
struct p2p_local_client *p2p_local_client_get(struct p2p_local_client *client)
{
	kref_get(&client->ref);
	return client;
}

/**
 * p2p_local_client_put() - give up a reference
 * @client: the client
 */
void p2p_local_client_put(struct p2p_local_client *client)
{
	kref_put(&client->ref, client_free);
}

/**
 * p2p_local_client_usable() - whether a client may still ask for something
 * @client: the client
 *
 * Return: 0 or why it may not.
 */
int p2p_local_client_usable(const struct p2p_local_client *client)
{
	return READ_ONCE(client->error);
}

/**
 * p2p_local_client_fail() - a client cannot be used any more
 * @client: the client; control_lock is held
 * @error: why, negative errno; the first reason stays
 */
void p2p_local_client_fail(struct p2p_local_client *client, int error)
{
	if (!client->error)
		WRITE_ONCE(client->error, error);
	wake_up_interruptible(&client->wait);
}

/**
 * p2p_local_client_lose() - the host took back what the client still used
 * @client: the client; control_lock is held
 */
void p2p_local_client_lose(struct p2p_local_client *client)
{
	WRITE_ONCE(client->lost, true);
	wake_up_interruptible(&client->wait);
}

static struct p2p_local_slot *free_slot(struct p2p_local *local)
{
	int i;

	for (i = 0; i < P2PRDMA_CONTROL_CLIENTS; i++)
		if (local->slots[i].state == LOCAL_SLOT_FREE)
			return &local->slots[i];
	return NULL;
}

/**
 * p2p_local_client_join() - give a client a number, if it has none
 * @client: the client; control_lock is held and the card is SERVED
 *
 * Return: 0, or -EUSERS if the host has as many clients as it can.
 */
int p2p_local_client_join(struct p2p_local_client *client)
{
	struct p2p_local_slot *slot;

	if (client->number)
		return 0;
	slot = free_slot(client->local);
	if (!slot)
		return -EUSERS;
	slot->number += P2PRDMA_CONTROL_CLIENTS;
	/* The first numbers are left out when they wrap: 0 is nobody's. */
	if (slot->number < P2PRDMA_CONTROL_CLIENTS)
		slot->number += P2PRDMA_CONTROL_CLIENTS;
	slot->state = LOCAL_SLOT_USED;
	WRITE_ONCE(client->number, slot->number);
	return 0;
}

static int tell_gone(struct p2p_local *local, struct p2p_local_slot *slot)
{
	struct p2prdma_message message = {
		.epoch = cpu_to_le32(local->epoch),
		.op = cpu_to_le16(P2PRDMA_OP_CLIENT_GONE),
		.client = cpu_to_le32(slot->number),
		.id = cpu_to_le32(local->next_id),
	};
	int ret = p2p_local_ring_put(local, &message);

	if (ret)
		return ret;
	slot->gone_id = local->next_id++;
	slot->state = LOCAL_SLOT_GONE;
	return 0;
}

/**
 * p2p_local_client_tell_gone() - tell the host which clients are gone
 * @local: the card, SERVED; control_lock is held
 *
 * What does not fit the ring waits for the host's next call, which is due: it
 * has to answer what fills the ring.
 */
void p2p_local_client_tell_gone(struct p2p_local *local)
{
	int i;

	for (i = 0; i < P2PRDMA_CONTROL_CLIENTS; i++)
		if (local->slots[i].state == LOCAL_SLOT_CLOSED &&
		    tell_gone(local, &local->slots[i]))
			return;
}

/**
 * p2p_local_client_is_gone() - take the host's answer that a client is gone
 * @local: the card; control_lock is held
 * @reply: the message
 *
 * Return: whether it was that, to a question that was asked.
 */
bool p2p_local_client_is_gone(struct p2p_local *local,
			      const struct p2prdma_message *reply)
{
	u32 number = le32_to_cpu(reply->client);
	struct p2p_local_slot *slot = slot_of(local, number);

	if (le16_to_cpu(reply->op) != P2PRDMA_OP_CLIENT_GONE ||
	    slot->state != LOCAL_SLOT_GONE || slot->number != number ||
	    slot->gone_id != le32_to_cpu(reply->id))
		return false;
	if (reply->status)
		dev_warn_ratelimited(&local->dev,
				     "the host could not clean up after a client: error %u\n",
				     le32_to_cpu(reply->status));
	slot->state = LOCAL_SLOT_FREE;
	return true;
}

/**
 * p2p_local_client_end_all() - the epoch, or the card, has ended
 * @local: the card; control_lock is held
 * @error: what the clients are told: those that the host knew, or all if the
 *	card is gone
 */
void p2p_local_client_end_all(struct p2p_local *local, int error)
{
	struct p2p_local_client *client;
	int i;

	list_for_each_entry(client, &local->clients, node)
		if (client->number || local->gone)
			p2p_local_client_fail(client, error);
	for (i = 0; i < P2PRDMA_CONTROL_CLIENTS; i++)
		local->slots[i].state = LOCAL_SLOT_FREE;
}

static struct p2p_local_client *client_alloc(struct p2p_local *local)
{
	struct p2p_local_client *client =
		kzalloc(sizeof(*client), GFP_KERNEL_ACCOUNT);

	if (!client)
		return NULL;
	kref_init(&client->ref);
	INIT_LIST_HEAD(&client->node);
	init_waitqueue_head(&client->wait);
	address_space_init_once(&client->mapping);
	get_device(&local->dev);
	client->local = local;
	return client;
}

static int client_open(struct inode *inode, struct file *file)
{
	struct p2p_local *local =
		container_of(inode->i_cdev, struct p2p_local, cdev);
	struct p2p_local_client *client = client_alloc(local);
	int ret = 0;

	if (!client)
		return -ENOMEM;
	client->mapping.host = inode;
	client->mapping.a_ops = inode->i_mapping->a_ops;
	mutex_lock(&local->control_lock);
	if (local->gone)
		ret = -ENODEV;
	else
		list_add_tail(&client->node, &local->clients);
	mutex_unlock(&local->control_lock);
	if (ret) {
		p2p_local_client_put(client);
		return ret;
	}
	file->private_data = client;
	file->f_mapping = &client->mapping;
	return 0;
}

static void give_slot_back(struct p2p_local_client *client)
{
	struct p2p_local *local = client->local;
	struct p2p_local_slot *slot = slot_of(local, client->number);

	p2p_local_control_refresh(local);
	/* Otherwise the epoch in which it was the client's is over. */
	if (slot->state != LOCAL_SLOT_USED || slot->number != client->number)
		return;
	slot->state = LOCAL_SLOT_CLOSED;
	p2p_local_client_tell_gone(local);
}

/* All mappings are gone, too: each holds the file. Does not wait for the host. */
static int client_close(struct inode *inode, struct file *file)
{
	struct p2p_local_client *client = file->private_data;
	struct p2p_local *local = client->local;

	mutex_lock(&local->control_lock);
	p2p_local_doorbell_unbind_all(local, client);
	list_del(&client->node);
	if (client->number && !local->gone)
		give_slot_back(client);
	mutex_unlock(&local->control_lock);
	file->f_mapping = inode->i_mapping;
	p2p_local_client_put(client);
	return 0;
}

static __poll_t client_poll(struct file *file, struct poll_table_struct *table)
{
	struct p2p_local_client *client = file->private_data;
	__poll_t events = 0;

	poll_wait(file, &client->wait, table);
	if (READ_ONCE(client->error))
		events |= EPOLLHUP;
	if (READ_ONCE(client->lost))
		events |= EPOLLERR;
	return events;
}

const struct file_operations p2p_local_fops = {
	.owner = THIS_MODULE,
	.open = client_open,
	.release = client_close,
	.unlocked_ioctl = p2p_local_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
	.mmap = p2p_local_grant_mmap,
	.poll = client_poll,
	.llseek = noop_llseek,
};
