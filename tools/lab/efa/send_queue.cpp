// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "tools/lab/efa/send_queue.hpp"

#include "tools/lab/efa/queue_pair.hpp"

#include <algorithm>
#include <chrono>
#include <utility>

namespace lab::efa {

namespace {

/// Packets that a queue pair may have on the fabric: bounds the memory they take.
constexpr unsigned window = 32;
/// A finite RNR retry count allows for that many of these.
constexpr std::chrono::milliseconds rnr_delay{20};

QpEvent event_of(Opcode opcode, bool ok)
{
    if (opcode == Opcode::rdma_read)
        return ok ? QpEvent::read : QpEvent::read_error;
    if (opcode == Opcode::rdma_write)
        return ok ? QpEvent::write : QpEvent::write_error;
    return ok ? QpEvent::send : QpEvent::send_error;
}

constexpr unsigned generation_shift = 16;
constexpr std::uint32_t slot_mask = 0xffff;

} // namespace

SendQueue::SendQueue(Context& context, QueuePair& owner, const Ring& ring)
    : context_(context), owner_(owner), ring_(ring)
{
}

void SendQueue::doorbell(std::uint16_t producer)
{
    auto posted = static_cast<std::uint16_t>(producer - consumer_);
    if (posted > ring_.depth)
        return owner_.fail();
    producer_ = producer;
    if (owner_.state() == QpState::error)
        flush();
    else if (may_transmit())
        owner_.activate();
}

bool SendQueue::may_start() const
{
    return owner_.state() == QpState::rts && consumer_ != producer_ && live_ < ring_.depth;
}

bool SendQueue::may_transmit() const
{
    return outstanding_ < window && (current_ || may_start());
}

bool SendQueue::transmit()
{
    if (!may_transmit())
        return false;
    if (!current_)
        start_next();
    if (current_)
        send_piece(*current_, *find(*current_));
    return may_transmit();
}

// Slots: a work request that is being executed has one; its message id names it.

SendQueue::MessageId SendQueue::take_slot(const WorkRequest& request)
{
    if (free_slots_.empty()) {
        free_slots_.push_back(static_cast<std::uint32_t>(slots_.size()));
        slots_.emplace_back();
    }
    std::uint32_t index = free_slots_.back();
    free_slots_.pop_back();
    Slot& slot = slots_[index];
    slot.request = request;
    ++live_;
    return std::uint32_t{slot.generation} << generation_shift | index;
}

void SendQueue::free_slot(MessageId id)
{
    Slot& slot = slots_[id & slot_mask];
    slot.request.reset();
    ++slot.generation; // replies still under way find nothing
    free_slots_.push_back(id & slot_mask);
    --live_;
    if (current_ == id)
        current_.reset();
}

WorkRequest* SendQueue::find(MessageId id)
{
    std::uint32_t index = id & slot_mask;
    if (index >= slots_.size() || slots_[index].generation != id >> generation_shift)
        return nullptr;
    auto& request = slots_[index].request;
    return request ? &*request : nullptr;
}

// From the ring to a work request

std::span<const std::byte> SendQueue::element(std::uint32_t index) const
{
    return context_.queue_memory.subspan(
        ring_.offset + (index & (ring_.depth - 1)) * ring_.entry_size, ring_.entry_size);
}

void SendQueue::advance_consumer()
{
    ++consumer_;
    if ((consumer_ & (ring_.depth - 1)) == 0)
        phase_ = !phase_;
}

void SendQueue::start_next()
{
    // The guest may write the element while it is read: everything is judged by one copy.
    std::array<std::byte, 128> copy{};
    auto shared = element(consumer_);
    std::copy(shared.begin(), shared.end(), copy.begin());

    WorkRequest request;
    auto status = parse_element(std::span(copy).first(ring_.entry_size), phase_, request);
    advance_consumer();
    if (status == CompletionStatus::ok)
        status = admit(request);
    if (status == CompletionStatus::ok) {
        current_ = take_slot(request);
        return;
    }
    complete(request, status);
    if (status == CompletionStatus::qp_internal_error) {
        ++context_.counters.phase_errors;
        owner_.fail();
    }
}

std::uint64_t SendQueue::max_length(Opcode opcode) const
{
    return opcode == Opcode::send ? Limits::mtu : Limits::max_rdma_size;
}

/// What can be judged here before anything is sent.
CompletionStatus SendQueue::admit(WorkRequest& request) const
{
    if (request.opcode != Opcode::send && !owner_.reliable())
        return CompletionStatus::unsupported_op;
    if (request.length > max_length(request.opcode))
        return CompletionStatus::bad_length;
    auto destination = context_.handles.destination(request.ah, owner_.pd());
    if (!destination)
        return CompletionStatus::invalid_ah;
    request.destination = *destination;
    return check_buffers(request);
}

CompletionStatus SendQueue::check_buffers(const WorkRequest& request) const
{
    std::uint8_t access = request.opcode == Opcode::rdma_read ? Access::local_write : 0;
    for (const SendBuffer& buffer : std::span(request.buffers).first(request.buffer_count)) {
        if (buffer.length == 0)
            continue;
        auto region = context_.regions.find_local(buffer.lkey, owner_.pd());
        if (!region || !region->covers(buffer.address, buffer.length) || !region->allows(access))
            return CompletionStatus::invalid_lkey;
    }
    return CompletionStatus::ok;
}

// From a work request to packets

void SendQueue::send_piece(MessageId id, WorkRequest& request)
{
    constexpr std::array kinds{PacketKind::send, PacketKind::read, PacketKind::write};
    auto header = header_for(id, request, kinds[static_cast<std::size_t>(request.opcode)]);
    header.offset = request.sent;
    header.length =
        std::min(request.length - request.sent, static_cast<std::uint32_t>(Fabric::max_payload));
    request.sent += header.length;
    ++request.outstanding;
    ++outstanding_;
    if (request.sent == request.length)
        current_.reset();
    if (request.opcode == Opcode::rdma_read) {
        auto packet = context_.fabric.allocate(0);
        packet->destination = request.destination;
        set_header(*packet, header);
        context_.send(std::move(packet), 0);
    } else {
        send_data(id, request, header);
    }
}

PacketHeader SendQueue::header_for(MessageId id, const WorkRequest& request, PacketKind kind) const
{
    PacketHeader header{};
    header.kind = kind;
    bool tells_imm = request.has_imm && kind != PacketKind::write;
    header.flags = static_cast<std::uint8_t>((tells_imm ? PacketHeader::has_imm : 0) |
                                             (owner_.reliable() ? PacketHeader::reliable : 0));
    header.source_qp = owner_.number();
    header.destination_qp = request.destination_qp;
    header.message = id;
    header.qkey = request.qkey;
    header.immediate = request.immediate;
    header.rkey = request.remote.rkey;
    header.address = request.remote.address;
    header.total = request.length;
    return header;
}

void SendQueue::send_control(MessageId id, const WorkRequest& request, PacketKind kind)
{
    auto packet = context_.fabric.allocate(0);
    packet->destination = request.destination;
    set_header(*packet, header_for(id, request, kind));
    context_.send(std::move(packet), 0);
}

void SendQueue::send_data(MessageId id, WorkRequest& request, const PacketHeader& header)
{
    // An unreliable message leaves room for the header that its receiver finds before the data.
    std::size_t room = owner_.reliable() ? 0 : grh_size;
    auto packet = context_.fabric.allocate(room + header.length);
    packet->destination = request.destination;
    set_header(*packet, header);
    if (request.is_inline) {
        std::copy_n(request.inline_data.begin(), header.length,
                    packet->payload.begin() + static_cast<long>(room));
        return data_gathered(id, packet, 0);
    }
    std::vector<RegionPiece> pieces;
    if (!resolve(request, header.offset, header.length, 0, pieces))
        return finish(id, CompletionStatus::invalid_lkey);
    gather(context_.dma, pieces, packet, room,
           [this, id, packet, guard = owner_.guard()](int error) {
               if (!guard.expired())
                   data_gathered(id, packet, error);
           });
}

/// Finds the regions behind bytes [offset, offset + length) of a message: anew for each packet,
/// for a region may go while its message is under way.
bool SendQueue::resolve(const WorkRequest& request, std::uint64_t offset, std::uint64_t length,
                        std::uint8_t access, std::vector<RegionPiece>& pieces) const
{
    for (const SendBuffer& buffer : std::span(request.buffers).first(request.buffer_count)) {
        std::uint64_t skip = std::min<std::uint64_t>(offset, buffer.length);
        std::uint64_t n = std::min<std::uint64_t>(length, buffer.length - skip);
        offset -= skip;
        length -= n;
        if (n == 0)
            continue;
        auto region = context_.regions.find_local(buffer.lkey, owner_.pd());
        if (!region || !region->covers(buffer.address, buffer.length) || !region->allows(access))
            return false;
        pieces.push_back({std::move(region), buffer.address + skip, n});
    }
    return true;
}

void SendQueue::data_gathered(MessageId id, const PacketPtr& packet, int error)
{
    if (!find(id))
        return; // completed meanwhile: flushed, or failed by an earlier packet
    if (error != 0)
        return finish(id, CompletionStatus::qp_internal_error);
    context_.send(packet, get_header(*packet).length);
    if (!owner_.reliable())
        finish(id, CompletionStatus::ok);
}

// From replies to completions

void SendQueue::handle_reply(const PacketHeader& header, const PacketPtr& packet)
{
    WorkRequest* request = find(header.message);
    if (!request)
        return;
    if (header.status != CompletionStatus::ok)
        return finish(header.message, header.status);
    switch (header.kind) {
    case PacketKind::rnr_notice:
        return hold(header.message, *request);
    case PacketKind::read_reply:
        return accept_read(header.message, *request, header, packet);
    default:
        return piece_done(header.message, *request);
    }
}

void SendQueue::undeliverable(const PacketHeader& header)
{
    if (!owner_.reliable() || !find(header.message))
        return;
    ++context_.counters.unresponsive;
    finish(header.message, CompletionStatus::unreachable_remote);
}

void SendQueue::accept_read(MessageId id, WorkRequest& request, const PacketHeader& header,
                            const PacketPtr& packet)
{
    std::vector<RegionPiece> pieces;
    if (!resolve(request, header.offset, packet->payload.size(), Access::local_write, pieces))
        return finish(id, CompletionStatus::invalid_lkey);
    scatter(context_.dma, pieces, packet, [this, id, guard = owner_.guard()](int error) {
        WorkRequest* living = guard.expired() ? nullptr : find(id);
        if (living && error != 0)
            finish(id, CompletionStatus::qp_internal_error);
        else if (living)
            piece_done(id, *living);
    });
}

void SendQueue::piece_done(MessageId id, WorkRequest& request)
{
    --request.outstanding;
    release_credit(request);
    bool complete = request.sent == request.length && request.outstanding == 0;
    if (!complete)
        return;
    bool notify = request.opcode == Opcode::rdma_write && request.has_imm && !request.notified;
    if (!notify)
        return finish(id, CompletionStatus::ok);
    request.notified = true;
    ++request.outstanding;
    ++outstanding_;
    send_control(id, request, PacketKind::write_notify);
}

/// A held message no longer counts against the window: others may go to other destinations.
void SendQueue::hold(MessageId id, WorkRequest& request)
{
    if (std::exchange(request.held, true))
        return;
    ++context_.counters.rnr;
    --outstanding_;
    if (may_transmit())
        owner_.activate();
    if (owner_.rnr_retry() == QueuePair::rnr_retry_infinite)
        return;
    context_.loop.after(rnr_delay * owner_.rnr_retry(), [this, id, guard = owner_.guard()] {
        // The destination has the last word, so that the message either arrived or did not.
        if (WorkRequest* living = guard.expired() ? nullptr : find(id))
            send_control(id, *living, PacketKind::cancel);
    });
}

void SendQueue::release_credit(WorkRequest& request)
{
    if (!std::exchange(request.held, false))
        --outstanding_;
    if (may_transmit())
        owner_.activate();
}

void SendQueue::finish(MessageId id, CompletionStatus status)
{
    WorkRequest request = *find(id);
    outstanding_ -= request.outstanding - (request.held ? 1 : 0);
    free_slot(id);
    complete(request, status);
    if (may_transmit())
        owner_.activate();
}

void SendQueue::complete(const WorkRequest& request, CompletionStatus status)
{
    bool ok = status == CompletionStatus::ok;
    count(request, status);
    if (request.comp_req || !ok)
        post_completion(request, status);
    owner_.counters().count(event_of(request.opcode, ok));
}

void SendQueue::count(const WorkRequest& request, CompletionStatus status)
{
    bool ok = status == CompletionStatus::ok;
    Counters& counters = context_.counters;
    std::uint64_t bytes = ok ? request.length : 0;
    switch (request.opcode) {
    case Opcode::send:
        ++counters.send_requests;
        counters.send_bytes += bytes;
        break;
    case Opcode::rdma_read:
        ++counters.read_requests;
        counters.read_bytes += bytes;
        counters.read_errors += ok ? 0 : 1;
        break;
    case Opcode::rdma_write:
        ++counters.write_requests;
        counters.write_bytes += bytes;
        counters.write_errors += ok ? 0 : 1;
        break;
    }
}

void SendQueue::post_completion(const WorkRequest& request, CompletionStatus status)
{
    Completion completion{};
    completion.head.req_id = request.req_id;
    completion.head.status = status;
    completion.head.flags = static_cast<std::uint8_t>(
        static_cast<unsigned>(QueueType::send) << CompletionHead::queue_type_shift |
        (static_cast<unsigned>(request.opcode) & 7u) << CompletionHead::opcode_shift);
    completion.head.qp_num = owner_.number();
    owner_.send_cq().post(completion);
}

void SendQueue::flush()
{
    for (std::uint32_t i = 0; i < slots_.size(); ++i) {
        MessageId id = std::uint32_t{slots_[i].generation} << generation_shift | i;
        if (slots_[i].request)
            finish(id, CompletionStatus::flushed);
    }
    while (consumer_ != producer_) {
        WorkRequest request;
        parse_element(element(consumer_), phase_, request);
        advance_consumer();
        complete(request, CompletionStatus::flushed);
    }
}

void SendQueue::reset()
{
    for (std::uint32_t i = 0; i < slots_.size(); ++i) {
        if (slots_[i].request)
            free_slot(std::uint32_t{slots_[i].generation} << generation_shift | i);
    }
    // Software starts again at index 0, but in the phase in which it stopped.
    while (consumer_ != producer_)
        advance_consumer();
    producer_ = consumer_ = 0;
    outstanding_ = 0;
}

} // namespace lab::efa
