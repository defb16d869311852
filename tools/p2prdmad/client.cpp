// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "tools/p2prdmad/client.hpp"

#include "tools/p2prdmad/grant_table.hpp"
#include "tools/p2prdmad/log.hpp"

#include <algorithm>
#include <cerrno>
#include <limits>
#include <utility>

namespace p2prdma::daemon {
namespace {

constexpr std::uint32_t page = 4096;
constexpr auto acknowledge_limit = std::chrono::seconds(1);
constexpr std::uint32_t all_grant_flags = P2PRDMA_GRANT_UC | P2PRDMA_GRANT_READ_ONLY;

void must_be_zero(bool zero)
{
    if (!zero)
        throw Refusal(EINVAL, "a reserved value is not 0");
}

/// Whether [offset, offset + length) lies within [0, size).
bool within(std::uint64_t offset, std::uint64_t length, std::uint64_t size)
{
    return length <= size && offset <= size - length;
}

template <std::size_t size>
void set_text(__u8 (&bytes)[size], const std::string& text)
{
    const auto length = std::min(text.size(), size - 1);
    std::copy_n(text.begin(), length, bytes);
}

p2prdma_id_reply id_reply(std::uint32_t id)
{
    return {.id = le(id), .__reserved = 0};
}

} // namespace

Client::Draft::Draft(Client& client, Kind kind) : client_(client)
{
    client.check_quota(kind);
    entry.kind = kind;
}

Client::Draft::~Draft()
{
    // The card was not told of them, so it has not mapped them.
    static_cast<void>(client_.retire(std::move(entry)));
}

Client::~Client()
{
    for (auto& [id, entry] : entries_)
        static_cast<void>(retire(std::move(entry)));
}

Retired Client::retire(Entry entry)
{
    return {services_.grants, number_, std::move(entry.grants), std::move(entry.object),
            std::move(entry.charge)};
}

void Client::lose(const Object& object) noexcept
{
    for (const auto& [id, entry] : entries_)
        if (entry.object.get() == &object)
            for (const auto grant : entry.grants)
                services_.grants.revoke(grant);
}

// --- requests ---------------------------------------------------------------

Outcome Client::handle(const Request& request)
{
    const bool hello = request.op == P2PRDMA_OP_HELLO;
    if (hello == greeted_)
        throw Refusal(EPROTO, hello ? "a second HELLO" : "the first request is not HELLO");
    return dispatch(request);
}

Outcome Client::dispatch(const Request& request)
{
    const auto body = request.body();
    switch (request.op) {
    case P2PRDMA_OP_HELLO:
        return hello(decode<p2prdma_hello_request>(body));
    case P2PRDMA_OP_ADAPTER_QUERY:
        return adapter_query(decode<p2prdma_adapter_query_request>(body));
    case P2PRDMA_OP_MEM_ALLOC:
        return mem_alloc(decode<p2prdma_mem_alloc_request>(body));
    case P2PRDMA_OP_MEM_FREE:
        return destroy(Kind::memory, decode<p2prdma_id_request>(body));
    case P2PRDMA_OP_MR_REG:
        return mr_reg(decode<p2prdma_mr_reg_request>(body));
    case P2PRDMA_OP_MR_DEREG:
        return destroy(Kind::region, decode<p2prdma_id_request>(body));
    case P2PRDMA_OP_CQ_CREATE:
        return cq_create(decode<p2prdma_cq_create_request>(body));
    case P2PRDMA_OP_CQ_DESTROY:
        return destroy(Kind::cq, decode<p2prdma_id_request>(body));
    case P2PRDMA_OP_QP_CREATE:
        return qp_create(decode<p2prdma_qp_create_request>(body));
    case P2PRDMA_OP_QP_DESTROY:
        return destroy(Kind::qp, decode<p2prdma_id_request>(body));
    case P2PRDMA_OP_AH_CREATE:
        return ah_create(decode<p2prdma_ah_create_request>(body));
    case P2PRDMA_OP_AH_DESTROY:
        return destroy(Kind::ah, decode<p2prdma_id_request>(body));
    case P2PRDMA_OP_EVENT_CREATE:
        return event_create(decode<p2prdma_event_create_request>(body));
    case P2PRDMA_OP_EVENT_DESTROY:
        return destroy(Kind::event, decode<p2prdma_id_request>(body));
    case P2PRDMA_OP_COUNTER_CREATE:
        return counter_create(decode<p2prdma_counter_create_request>(body));
    case P2PRDMA_OP_COUNTER_DESTROY:
        return destroy(Kind::counter, decode<p2prdma_id_request>(body));
    default:
        return dispatch_stream(request);
    }
}

Outcome Client::dispatch_stream(const Request& request)
{
    const auto body = request.body();
    switch (request.op) {
    case P2PRDMA_OP_STREAM_LISTEN:
        return stream_listen(decode<p2prdma_stream_request>(body));
    case P2PRDMA_OP_STREAM_ACCEPT:
        return stream_accept(decode<p2prdma_stream_request>(body));
    case P2PRDMA_OP_STREAM_CONNECT:
        return stream_connect(decode<p2prdma_stream_request>(body));
    case P2PRDMA_OP_STREAM_SEND:
        return stream_send(body);
    case P2PRDMA_OP_STREAM_RECEIVE:
        return stream_receive(decode<p2prdma_stream_request>(body));
    case P2PRDMA_OP_STREAM_CLOSE:
        return stream_close(decode<p2prdma_id_request>(body));
    default:
        throw Refusal(ENOSYS, "the op is unknown");
    }
}

/// enum p2prdma_hello_caps
std::uint64_t Client::offered() const
{
    std::uint64_t offers = services_.quota.streams ? P2PRDMA_HELLO_STREAMS : 0;
    for (std::uint32_t i = 0; i < services_.provider.adapters(); i++)
        if (services_.provider.query(i).caps & P2PRDMA_ADAPTER_CQ_IN_CARD)
            offers |= P2PRDMA_HELLO_DIRECT;
    return offers;
}

Reply Client::hello(const p2prdma_hello_request& request)
{
    if (le(request.version_min) > 1 || le(request.version_max) < 1)
        throw Refusal(EOPNOTSUPP, "the client does not speak version 1 of messages");
    const auto offers = offered();
    if (le<std::uint64_t>(request.capabilities) & ~offers)
        throw Refusal(EOPNOTSUPP, "the client needs what is not offered");
    greeted_ = true;
    name_ = printable(text_of(request.name));
    p2prdma_hello_reply reply = {};
    reply.version = le(1u);
    reply.epoch = le(services_.epoch);
    reply.capabilities = le<std::uint64_t>(offers);
    reply.adapters = le(services_.provider.adapters());
    reply.max_qps = le(services_.quota.queue_pairs);
    reply.max_mem = le<std::uint64_t>(services_.quota.memory);
    set_text(reply.hostname, services_.hostname);
    return Reply::with(reply);
}

Reply Client::adapter_query(const p2prdma_adapter_query_request& request)
{
    must_be_zero(request.__reserved == 0);
    check_adapter(le(request.adapter));
    const auto info = services_.provider.query(le(request.adapter));
    p2prdma_adapter_query_reply reply = {};
    reply.caps = le(info.caps);
    reply.isolation = le<std::uint32_t>(info.isolation);
    reply.family = le(1u);
    reply.max_send = le(info.max_send);
    reply.max_receive = le(info.max_receive);
    reply.max_cq = le(info.max_cq);
    reply.max_inline = le(info.max_inline);
    reply.max_message = le(info.max_message);
    reply.max_rdma = le<std::uint64_t>(info.max_rdma);
    std::ranges::copy(info.gid, reply.gid);
    set_text(reply.name, info.name);
    set_text(reply.reason, info.reason);
    return Reply::with(reply);
}

Reply Client::mem_alloc(const p2prdma_mem_alloc_request& request)
{
    const auto length = le<std::uint64_t>(request.length);
    const auto flags = le(request.flags);
    must_be_zero(request.__reserved == 0);
    if (!length || length > std::numeric_limits<std::uint64_t>::max() - page ||
        (flags & ~all_grant_flags))
        throw Refusal(EINVAL, "length or flags are out of range");
    Draft draft(*this, Kind::memory);
    // A counter keeps memory that its client has given up: it counts for the quota as long.
    struct Charged {
        std::shared_ptr<void> charge;
        std::shared_ptr<Target> memory; // goes first
    };
    const auto charged = std::make_shared<Charged>();
    charged->charge = charge((length + page - 1) / page * page);
    const auto memory = charged->memory = services_.provider.allocate(
        length, flags & P2PRDMA_GRANT_UC, flags & P2PRDMA_GRANT_READ_ONLY);
    draft.entry.object = std::shared_ptr<Target>(charged, memory.get());
    p2prdma_mem_alloc_reply reply = {};
    reply.grant = le(grant(draft, memory->place));
    reply.length = le<std::uint64_t>(memory->length);
    reply.id = le(add(draft));
    return Reply::with(reply);
}

Reply Client::mr_reg(const p2prdma_mr_reg_request& request)
{
    const auto adapter = le(request.adapter);
    const auto offset = le<std::uint64_t>(request.offset);
    const auto length = le<std::uint64_t>(request.length);
    must_be_zero(request.__reserved == 0);
    check_adapter(adapter);
    Draft draft(*this, Kind::region);
    const auto target = get_target(le(request.memory));
    if (!length || !within(offset, length, target->length))
        throw Refusal(EINVAL, "the region reaches beyond the memory");
    const auto region =
        session(adapter).register_target(target, offset, length, le(request.access));
    draft.entry.object = region;
    draft.entry.uses = {le(request.memory)};
    p2prdma_mr_reg_reply reply = {};
    reply.lkey = le(region->lkey);
    reply.rkey = le(region->rkey);
    reply.address = le<std::uint64_t>(region->address);
    reply.id = le(add(draft));
    return Reply::with(reply);
}

Reply Client::cq_create(const p2prdma_cq_create_request& request)
{
    const auto adapter = le(request.adapter);
    check_adapter(adapter);
    if (request.entries == 0)
        throw Refusal(EINVAL, "a completion queue without entries");
    Draft draft(*this, Kind::cq);
    const auto cq = session(adapter).create_cq(le(request.entries));
    draft.entry.object = cq;
    draft.entry.adapter = adapter;
    draft.entry.charge = charge(cq->place.length);
    p2prdma_cq_create_reply reply = {};
    reply.grant = le(grant(draft, cq->place));
    reply.offset = le<std::uint64_t>(cq->offset);
    reply.entries = le(cq->entries);
    reply.entry_size = le(cq->entry_size);
    reply.id = le(add(draft));
    return Reply::with(reply);
}

p2prdma_queue Client::describe(Draft& draft, const WorkQueue& queue)
{
    p2prdma_queue value = {};
    if (queue.entries == 0)
        return value;
    value.ring_grant = le(grant(draft, queue.ring));
    value.doorbell_grant = le(grant(draft, queue.doorbell));
    value.entry_size = le(queue.entry_size);
    value.entries = le(queue.entries);
    value.max_batch = le(queue.max_batch);
    return value;
}

Reply Client::qp_create(const p2prdma_qp_create_request& request)
{
    const auto adapter = le(request.adapter);
    must_be_zero(request.__reserved == 0);
    check_adapter(adapter);
    if (request.send_entries == 0)
        throw Refusal(EINVAL, "a send queue without entries");
    Draft draft(*this, Kind::qp);
    // All or none: a program could map the first while the queue pair goes for want of the second.
    services_.grants.require(number_, request.receive_entries ? 4 : 2);
    const auto qp =
        session(adapter).create_qp({.send_cq = cq_of(le(request.send_cq), adapter),
                                    .receive_cq = cq_of(le(request.receive_cq), adapter),
                                    .send_entries = le(request.send_entries),
                                    .receive_entries = le(request.receive_entries),
                                    .inline_bytes = le(request.inline_bytes),
                                    .qkey = le(request.qkey)});
    draft.entry.object = qp;
    draft.entry.adapter = adapter;
    draft.entry.uses = {le(request.send_cq), le(request.receive_cq)};
    p2prdma_qp_create_reply reply = {};
    reply.number = le(qp->number);
    reply.send = describe(draft, qp->send);
    reply.receive = describe(draft, qp->receive);
    reply.id = le(add(draft));
    return Reply::with(reply);
}

Reply Client::ah_create(const p2prdma_ah_create_request& request)
{
    must_be_zero(request.__reserved == 0);
    check_adapter(le(request.adapter));
    Draft draft(*this, Kind::ah);
    std::array<std::uint8_t, 16> gid = {};
    std::ranges::copy(request.gid, gid.begin());
    const auto ah = session(le(request.adapter)).create_ah(gid);
    draft.entry.object = ah;
    p2prdma_ah_create_reply reply = {};
    reply.number = le(ah->number);
    reply.id = le(add(draft));
    return Reply::with(reply);
}

Reply Client::event_create(const p2prdma_event_create_request& request)
{
    check_adapter(le(request.adapter));
    if (le(request.flags) & ~1u)
        throw Refusal(EINVAL, "flags are out of range");
    Draft draft(*this, Kind::event);
    const auto event = services_.provider.create_event(le(request.adapter), le(request.flags) & 1);
    draft.entry.object = event;
    p2prdma_event_create_reply reply = {};
    reply.grant = le(grant(draft, event->place));
    reply.kind = le<std::uint32_t>(event->kind);
    reply.page = le(event->page);
    set_text(reply.reason, event->reason);
    reply.id = le(add(draft));
    return Reply::with(reply);
}

Reply Client::counter_create(const p2prdma_counter_create_request& request)
{
    constexpr std::uint32_t all_operations = 0x3f;
    const auto offset = le<std::uint64_t>(request.offset);
    must_be_zero(request.__reserved == 0);
    Draft draft(*this, Kind::counter);
    const auto& qp = find(Kind::qp, le(request.qp));
    const auto target = get_target(le(request.target));
    const bool event = dynamic_cast<const Event*>(target.get());
    if (!request.ops || (le(request.ops) & ~all_operations))
        throw Refusal(EINVAL, "operations are out of range");
    if (offset % 8 || !within(offset, 8, target->length) || (event && offset))
        throw Refusal(EINVAL, "the counter is not aligned, or beyond its memory");
    draft.entry.object = session(qp.adapter)
                             .create_counter(get<QueuePair>(Kind::qp, le(request.qp)),
                                             le(request.ops), target, offset);
    draft.entry.uses = {le(request.target)};
    return Reply::with(id_reply(add(draft)));
}

Outcome Client::destroy(Kind kind, const p2prdma_id_request& request)
{
    must_be_zero(request.__reserved == 0);
    if (find(kind, le(request.id)).users)
        throw Refusal(EBUSY, "another object depends on it");
    auto entry = std::move(entries_.extract(le(request.id)).mapped());
    for (const auto used : entry.uses)
        entries_.at(used).users--;
    for (const auto grant : entry.grants)
        services_.grants.revoke(grant);
    auto retired = std::make_shared<Retired>(retire(std::move(entry)));
    if (retired->acknowledged())
        return Reply();
    return Wait{.resume = [this, retired](bool expired) -> std::optional<Reply> {
                    if (retired->acknowledged())
                        return Reply();
                    if (!expired)
                        return std::nullopt;
                    services_.quarantine.add(std::move(*retired));
                    return Reply();
                },
                .limit = acknowledge_limit};
}

// --- the table --------------------------------------------------------------

Client::Entry& Client::find(Kind kind, std::uint32_t id)
{
    const auto found = entries_.find(id);
    if (found == entries_.end() || found->second.kind != kind)
        throw Refusal(ENOENT, "the client has no such object");
    return found->second;
}

std::shared_ptr<Target> Client::get_target(std::uint32_t id)
{
    const auto found = entries_.find(id);
    if (found == entries_.end() ||
        (found->second.kind != Kind::memory && found->second.kind != Kind::event))
        throw Refusal(ENOENT, "the client has no such memory");
    return std::static_pointer_cast<Target>(found->second.object);
}

std::shared_ptr<CompletionQueue> Client::cq_of(std::uint32_t id, std::uint32_t adapter)
{
    if (find(Kind::cq, id).adapter != adapter)
        throw Refusal(EINVAL, "the completion queue is of another adapter");
    return get<CompletionQueue>(Kind::cq, id);
}

void Client::check_adapter(std::uint32_t adapter) const
{
    if (adapter >= services_.provider.adapters())
        throw Refusal(EINVAL, "there is no such adapter");
}

AdapterSession& Client::session(std::uint32_t adapter)
{
    auto& session = sessions_[adapter];
    if (!session)
        session = services_.provider.open(adapter);
    return *session;
}

std::uint32_t Client::count(Kind kind) const
{
    return static_cast<std::uint32_t>(std::ranges::count_if(
        entries_, [kind](const auto& item) { return item.second.kind == kind; }));
}

void Client::check_quota(Kind kind) const
{
    const auto& quota = services_.quota;
    if (entries_.size() >= quota.objects)
        throw Refusal(ENOSPC, "the client's quota of objects is used up");
    if (kind == Kind::qp && count(kind) >= quota.queue_pairs)
        throw Refusal(ENOSPC, "the client's quota of queue pairs is used up");
    if ((kind == Kind::stream || kind == Kind::listener) &&
        count(Kind::stream) + count(Kind::listener) >= quota.streams)
        throw Refusal(ENOSPC, "the client's quota of streams is used up");
}

std::shared_ptr<void> Client::charge(std::uint64_t bytes) const
{
    if (bytes > services_.quota.memory - *memory_)
        throw Refusal(ENOSPC, "the client's quota of memory is used up");
    *memory_ += bytes;
    return {memory_.get(), [memory = memory_, bytes](void*) { *memory -= bytes; }};
}

std::uint32_t Client::grant(Draft& draft, const Placement& place)
{
    draft.entry.grants.reserve(draft.entry.grants.size() + 1);
    draft.entry.grants.push_back(services_.grants.add(number_, place));
    return draft.entry.grants.back();
}

std::uint32_t Client::add(Draft& draft)
{
    do
        last_id_++;
    while (last_id_ == 0 || entries_.contains(last_id_));
    auto& entry = entries_[last_id_] = std::exchange(draft.entry, {});
    for (const auto used : entry.uses)
        entries_.at(used).users++;
    return last_id_;
}

} // namespace p2prdma::daemon
