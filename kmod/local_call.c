// SPDX-License-Identifier: GPL-2.0-only
/*
 * Calls of the card's programs to the host's daemon: a request, and the wait for
 * its reply.
 */
#include <linux/completion.h>
#include <linux/err.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "local_card.h"

#define TIMEOUT_MAX_MS 60000

/*
 * An answer often comes sooner than an interrupt and a wake-up take, so a call
 * looks for it so long before it sleeps. Where the host cannot work meanwhile,
 * such as on one core for both, that long is lost.
 */
#define POLL_US 2000

/* How often a call that waits makes sure that the epoch goes on. */
#define LOOK_PERIOD HZ

/**
 * struct p2p_local_call - a call that waits for its answer
 * @node: in the card's calls until it is answered; then empty
 * @client: whose
 * @done: it was answered, or will not be
 * @error: 0: @message is the reply; or a negative errno
 * @message: the request, then the reply
 *
 * Guarded by control_lock.
 */
struct p2p_local_call {
	struct list_head node;
	struct p2p_local_client *client;
	struct completion done;
	int error;
	struct p2prdma_message message;
};

static int check_args(const struct p2prdma_local_call *args)
{
	if (args->flags || args->__reserved)
		return -EOPNOTSUPP;
	if (!args->op || args->op > U16_MAX ||
	    args->op == P2PRDMA_OP_CLIENT_GONE)
		return -EINVAL;
	if (!args->timeout_ms || args->timeout_ms > TIMEOUT_MAX_MS)
		return -EINVAL;
	if (args->request_length > P2PRDMA_CONTROL_BODY)
		return -EINVAL;
	return 0;
}

static struct p2p_local_call *call_alloc(struct p2p_local_client *client,
					 const struct p2prdma_local_call *args)
{
	struct p2p_local_call *call =
		kzalloc(sizeof(*call), GFP_KERNEL_ACCOUNT);

	if (!call)
		return ERR_PTR(-ENOMEM);
	if (copy_from_user(call->message.body, u64_to_user_ptr(args->request),
			   args->request_length)) {
		kfree(call);
		return ERR_PTR(-EFAULT);
	}
	INIT_LIST_HEAD(&call->node);
	init_completion(&call->done);
	call->client = client;
	call->message.op = cpu_to_le16(args->op);
	call->message.length = cpu_to_le16(args->request_length);
	return call;
}

static int check_served(const struct p2p_local *local)
{
	switch (local->state) {
	case P2PRDMA_LOCAL_SERVED:
		return 0;
	case P2PRDMA_LOCAL_FOREIGN:
		return -EPROTO;
	default:
		return -ENOTCONN;
	}
}

static int send_locked(struct p2p_local_call *call)
{
	struct p2p_local_client *client = call->client;
	struct p2p_local *local = client->local;
	int ret;

	if (local->gone)
		return -ENODEV;
	p2p_local_control_refresh(local);
	ret = p2p_local_client_usable(client);
	if (ret)
		return ret;
	ret = check_served(local);
	if (ret)
		return ret;
	ret = p2p_local_client_join(client);
	if (ret)
		return ret;
	if (client->calls == P2PRDMA_CONTROL_CALLS)
		return -EAGAIN;
	call->message.epoch = cpu_to_le32(local->epoch);
	call->message.client = cpu_to_le32(client->number);
	call->message.id = cpu_to_le32(local->next_id++);
	ret = p2p_local_ring_put(local, &call->message);
	/* The epoch is over: the client knows why. */
	return ret == -EPROTO ? p2p_local_client_usable(client) ?: ret : ret;
}

static int call_begin(struct p2p_local_call *call)
{
	struct p2p_local *local = call->client->local;
	int ret;

	mutex_lock(&local->control_lock);
	ret = send_locked(call);
	if (!ret) {
		call->client->calls++;
		list_add_tail(&call->node, &local->calls);
	}
	mutex_unlock(&local->control_lock);
	return ret;
}

static void look_at_epoch(struct p2p_local *local)
{
	mutex_lock(&local->control_lock);
	if (!local->gone) {
		p2p_local_control_refresh(local);
		/* Who looks for all, so that the host need not ring, may be slow. */
		p2p_local_control_look(local);
	}
	mutex_unlock(&local->control_lock);
}

static bool poll_once(struct p2p_local *local)
{
	bool ended;

	mutex_lock(&local->control_lock);
	ended = local->gone;
	if (!ended)
		p2p_local_control_look(local);
	mutex_unlock(&local->control_lock);
	return ended;
}

static void poll_until(struct p2p_local_call *call, ktime_t end)
{
	while (!completion_done(&call->done) &&
	       !fatal_signal_pending(current) &&
	       ktime_before(ktime_get(), end) &&
	       !poll_once(call->client->local))
		cond_resched();
}

static void call_poll(struct p2p_local_call *call)
{
	struct p2p_local *local = call->client->local;

	mutex_lock(&local->control_lock);
	p2p_local_control_poll_begin(local);
	mutex_unlock(&local->control_lock);

	poll_until(call, ktime_add_us(ktime_get(), POLL_US));

	mutex_lock(&local->control_lock);
	p2p_local_control_poll_end(local);
	mutex_unlock(&local->control_lock);
}

/* Returns 0 if the time is over, > 0 if the call was answered, -EINTR. */
static long call_wait(struct p2p_local_call *call, u32 timeout_ms)
{
	unsigned long end = jiffies + msecs_to_jiffies(timeout_ms);
	long left, ret;

	call_poll(call);
	while ((left = end - jiffies) > 0) {
		left = min_t(long, left, LOOK_PERIOD);
		ret = wait_for_completion_killable_timeout(&call->done, left);
		if (ret < 0)
			return -EINTR;
		if (ret > 0)
			return ret;
		look_at_epoch(call->client->local);
	}
	return 0;
}

static int call_end(struct p2p_local_call *call, long waited)
{
	struct p2p_local *local = call->client->local;
	int ret;

	mutex_lock(&local->control_lock);
	call->client->calls--;
	if (list_empty(&call->node)) {
		ret = call->error;
	} else {
		list_del_init(&call->node);
		/* What the call may have made is unknown. */
		p2p_local_client_fail(call->client, -EPIPE);
		ret = waited < 0 ? -EINTR : -ETIMEDOUT;
	}
	mutex_unlock(&local->control_lock);
	return ret;
}

static int copy_reply(const struct p2p_local_call *call,
		      struct p2prdma_local_call *args)
{
	u32 length = le16_to_cpu(call->message.length);

	if (copy_to_user(u64_to_user_ptr(args->reply), call->message.body,
			 min(length, args->reply_length)))
		return -EFAULT;
	args->reply_length = length;
	args->status = le32_to_cpu(call->message.status);
	return 0;
}

/**
 * p2p_local_call() - ioctl(P2PRDMA_LOCAL_CALL)
 * @client: who calls
 * @args: the ioctl's argument
 *
 * Return: 0 or a negative errno, as include/uapi/linux/p2prdma_local.h says.
 */
int p2p_local_call(struct p2p_local_client *client,
		   struct p2prdma_local_call *args)
{
	struct p2p_local_call *call;
	int ret;

	ret = check_args(args);
	if (ret)
		return ret;
	call = call_alloc(client, args);
	if (IS_ERR(call))
		return PTR_ERR(call);
	ret = call_begin(call);
	if (!ret)
		ret = call_end(call, call_wait(call, args->timeout_ms));
	if (!ret)
		ret = copy_reply(call, args);
	kfree(call);
	return ret;
}

static struct p2p_local_call *find_call(struct p2p_local *local,
					const struct p2prdma_message *reply)
{
	struct p2p_local_call *call;

	/* The message still is the request: epoch, client and op must return. */
	list_for_each_entry(call, &local->calls, node)
		if (call->message.id == reply->id)
			return call->message.client == reply->client &&
					       call->message.op == reply->op
				       ? call
				       : NULL;
	return NULL;
}

static int check_reply(const struct p2prdma_message *reply)
{
	if (le16_to_cpu(reply->length) > P2PRDMA_CONTROL_BODY ||
	    le32_to_cpu(reply->status) > MAX_ERRNO ||
	    (reply->status && reply->length))
		return -EPROTO;
	return 0;
}

static void answer(struct p2p_local *local, const struct p2prdma_message *reply)
{
	struct p2p_local_call *call;

	if (le32_to_cpu(reply->epoch) != local->epoch)
		goto drop;
	if (p2p_local_client_is_gone(local, reply))
		return;
	call = find_call(local, reply);
	if (!call)
		goto drop;
	call->error = check_reply(reply);
	call->message = *reply;
	list_del_init(&call->node);
	complete(&call->done);
	if (!call->error)
		return;
drop:
	local->dropped++;
}

/**
 * p2p_local_call_replies() - take what the host has answered
 * @local: the card, SERVED; control_lock is held
 *
 * At most a ring full, so that a host that answers without end is no loop: it
 * rings for more.
 */
void p2p_local_call_replies(struct p2p_local *local)
{
	struct p2prdma_message reply;
	int pending = p2p_local_ring_pending(local);

	for (; pending > 0; pending--) {
		p2p_local_ring_take(local, &reply);
		answer(local, &reply);
	}
}

/**
 * p2p_local_call_end_all() - nothing will be answered any more
 * @local: the card; control_lock is held
 * @error: what the callers are told, negative errno
 */
void p2p_local_call_end_all(struct p2p_local *local, int error)
{
	struct p2p_local_call *call, *next;

	list_for_each_entry_safe(call, next, &local->calls, node) {
		call->error = error;
		list_del_init(&call->node);
		complete(&call->done);
	}
}
