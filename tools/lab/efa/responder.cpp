// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "tools/lab/efa/responder.hpp"

#include "tools/lab/efa/queue_pair.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

namespace lab::efa {

namespace {

PacketHeader reply_header(const PacketHeader& request, PacketKind kind, CompletionStatus status)
{
    PacketHeader header = request;
    header.kind = kind;
    header.status = status;
    std::swap(header.source_qp, header.destination_qp);
    return header;
}

void send_back(Context& context, const Packet& request, PacketPtr packet,
               const PacketHeader& header)
{
    set_header(*packet, header);
    packet->destination = request.source;
    std::size_t length = packet->payload.size();
    context.send(std::move(packet), length);
}

/// True for the last piece of a request: those before it were served before it.
bool ends_request(const PacketHeader& header)
{
    return header.total - header.offset == header.length;
}

/// The global routing header that precedes an unreliable message's data.
void fill_grh(Packet& packet)
{
    constexpr std::uint8_t version_6 = 0x60;
    constexpr std::uint8_t next_header_ib = 0x1b;
    constexpr std::uint8_t hop_limit = 0xff;
    std::size_t length = packet.payload.size() - grh_size;
    std::array<std::uint8_t, grh_size> grh{version_6, 0, 0, 0};
    grh[4] = static_cast<std::uint8_t>(length >> 8); // network byte order
    grh[5] = static_cast<std::uint8_t>(length);
    grh[6] = next_header_ib;
    grh[7] = hop_limit;
    std::copy(packet.source.begin(), packet.source.end(), grh.begin() + 8);
    std::copy(packet.destination.begin(), packet.destination.end(), grh.begin() + 24);
    std::memcpy(packet.payload.data(), grh.data(), grh.size());
}

} // namespace

void reply(Context& context, const Packet& request, CompletionStatus status)
{
    auto header = reply_header(get_header(request), PacketKind::reply, status);
    send_back(context, request, context.fabric.allocate(0), header);
}

void Responder::answer(const PacketPtr& packet, CompletionStatus status)
{
    if ((get_header(*packet).flags & PacketHeader::reliable) != 0)
        reply(context_, *packet, status);
}

bool Responder::authorized(const PacketHeader& header) const
{
    bool same_type = ((header.flags & PacketHeader::reliable) != 0) == owner_.reliable();
    if (same_type && header.qkey != owner_.qkey())
        ++context_.counters.qkey_violations;
    return same_type && header.qkey == owner_.qkey();
}

void Responder::handle(const PacketPtr& packet)
{
    PacketHeader header = get_header(*packet);
    if (!owner_.can_receive() || !authorized(header))
        return answer(packet, CompletionStatus::remote_bad_dest_qpn);
    switch (header.kind) {
    case PacketKind::send:
    case PacketKind::write_notify:
        return accept_message(packet, header);
    case PacketKind::write:
        return write(packet, header);
    case PacketKind::read:
        return read(packet, header);
    case PacketKind::cancel:
        return cancel(packet, header);
    default:
        return;
    }
}

// An unreliable sender gets no reply. What a callback captures by reference lives as long as the
// DMA engine that calls it does; a queue pair may go earlier.

// Messages: what needs a receive request, or a completion

bool Responder::needs_receive(const PacketHeader& header) const
{
    return header.kind == PacketKind::send || !owner_.unsolicited_write_recv();
}

void Responder::accept_message(const PacketPtr& packet, const PacketHeader& header)
{
    if (!needs_receive(header) || (held_.empty() && !owner_.receive_queue().empty()))
        deliver(packet, header);
    else if (owner_.reliable())
        hold(packet, header);
    else
        ++context_.counters.rx_drops;
}

void Responder::hold(const PacketPtr& packet, const PacketHeader& header)
{
    held_.push_back(packet);
    send_back(context_, *packet, context_.fabric.allocate(0),
              reply_header(header, PacketKind::rnr_notice, CompletionStatus::ok));
}

void Responder::receives_posted()
{
    while (!held_.empty() && !owner_.receive_queue().empty()) {
        PacketPtr packet = std::move(held_.front());
        held_.pop_front();
        deliver(packet, get_header(*packet));
    }
}

void Responder::refuse_held(CompletionStatus status)
{
    for (const PacketPtr& packet : std::exchange(held_, {}))
        answer(packet, status);
}

void Responder::cancel(const PacketPtr& packet, const PacketHeader& header)
{
    auto it = std::find_if(held_.begin(), held_.end(), [&](const PacketPtr& other) {
        PacketHeader candidate = get_header(*other);
        return other->source == packet->source && candidate.source_qp == header.source_qp &&
               candidate.message == header.message;
    });
    if (it == held_.end())
        return; // it was delivered: that reply is under way
    answer(*it, CompletionStatus::remote_rnr);
    held_.erase(it);
}

void Responder::deliver(const PacketPtr& packet, const PacketHeader& header)
{
    if (header.kind == PacketKind::send)
        deliver_send(packet);
    else
        deliver_notify(packet, header);
}

void Responder::deliver_send(const PacketPtr& packet)
{
    std::uint64_t length = packet->payload.size();
    if (!owner_.reliable() && owner_.receive_queue().front().capacity() < length) {
        ++context_.counters.rx_drops;
        return;
    }
    ReceiveRequest request = owner_.receive_queue().take();
    if (request.capacity() < length) {
        owner_.complete_receive(request, CompletionStatus::bad_length);
        return answer(packet, CompletionStatus::remote_bad_length);
    }
    std::vector<RegionPiece> pieces;
    if (!resolve(request, length, pieces)) {
        owner_.complete_receive(request, CompletionStatus::invalid_lkey);
        return answer(packet, CompletionStatus::remote_abort);
    }
    if (!owner_.reliable())
        fill_grh(*packet);
    scatter(context_.dma, pieces, packet,
            [this, &context = context_, packet, request, guard = owner_.guard(),
             epoch = owner_.epoch()](int error) {
                if (guard.expired() || owner_.epoch() != epoch)
                    return reply(context, *packet, CompletionStatus::remote_abort);
                delivered(packet, request, error);
            });
}

void Responder::delivered(const PacketPtr& packet, const ReceiveRequest& request, int error)
{
    bool ok = error == 0;
    PacketHeader header = get_header(*packet);
    auto length = static_cast<std::uint32_t>(packet->payload.size());
    owner_.complete_receive(request,
                            ok ? CompletionStatus::ok : CompletionStatus::qp_internal_error,
                            Arrival{header, packet->source, length});
    answer(packet, ok ? CompletionStatus::ok : CompletionStatus::remote_abort);
}

bool Responder::resolve(const ReceiveRequest& request, std::uint64_t length,
                        std::vector<RegionPiece>& pieces) const
{
    for (const ReceiveDescriptor& buffer : request.buffers) {
        std::uint64_t n = std::min<std::uint64_t>(length, buffer.length);
        if (n == 0)
            continue;
        auto region = context_.regions.find_local(buffer.lkey_ctrl & key24_mask, owner_.pd());
        if (!region || !region->covers(buffer.address, n) || !region->allows(Access::local_write))
            return false;
        pieces.push_back({std::move(region), buffer.address, n});
        length -= n;
    }
    return length == 0;
}

void Responder::deliver_notify(const PacketPtr& packet, const PacketHeader& header)
{
    Arrival arrival{header, packet->source, header.total};
    if (owner_.unsolicited_write_recv())
        owner_.complete_unsolicited(arrival);
    else
        owner_.complete_receive(owner_.receive_queue().take(), CompletionStatus::ok, arrival);
    answer(packet, CompletionStatus::ok);
}

// Remote memory access

CompletionStatus Responder::check_remote(const Packet& packet, const PacketHeader& header,
                                         std::uint64_t length, std::uint8_t access,
                                         std::vector<RegionPiece>& pieces) const
{
    if (context_.handles.find(owner_.pd(), packet.source) == unknown_ah)
        return CompletionStatus::remote_unknown_peer;
    if (header.total == 0)
        return CompletionStatus::ok;
    auto region = context_.regions.find_remote(header.rkey, owner_.pd());
    bool allowed = region && region->allows(access) && header.offset <= header.total &&
                   length <= header.total - header.offset &&
                   region->covers(header.address, header.total);
    if (!allowed)
        return CompletionStatus::remote_bad_address;
    pieces.push_back({std::move(region), header.address + header.offset, length});
    return CompletionStatus::ok;
}

void Responder::write(const PacketPtr& packet, const PacketHeader& header)
{
    std::vector<RegionPiece> pieces;
    std::uint64_t length = packet->payload.size();
    auto status = check_remote(*packet, header, length, Access::remote_write, pieces);
    if (status != CompletionStatus::ok)
        return answer(packet, status);
    scatter(context_.dma, pieces, packet,
            [&context = context_, packet, header, guard = owner_.guard()](int error) {
                if (error == 0)
                    context.counters.write_receive_bytes += packet->payload.size();
                if (auto owner = guard.lock(); owner && error == 0 && ends_request(header))
                    owner->counters().count(QpEvent::remote_write);
                reply(context, *packet,
                      error == 0 ? CompletionStatus::ok : CompletionStatus::remote_abort);
            });
}

void Responder::read(const PacketPtr& packet, const PacketHeader& header)
{
    std::vector<RegionPiece> pieces;
    auto status = check_remote(*packet, header, header.length, Access::remote_read, pieces);
    if (status == CompletionStatus::ok && header.length > Fabric::max_payload)
        status = CompletionStatus::remote_bad_length;
    if (status != CompletionStatus::ok)
        return answer(packet, status);
    auto data = context_.fabric.allocate(pieces.empty() ? 0 : header.length);
    gather(context_.dma, pieces, data, 0,
           [&context = context_, packet, data, header, guard = owner_.guard()](int error) {
               if (error != 0)
                   return reply(context, *packet, CompletionStatus::remote_abort);
               context.counters.read_response_bytes += data->payload.size();
               if (auto owner = guard.lock(); owner && ends_request(header))
                   owner->counters().count(QpEvent::remote_read);
               send_back(context, *packet, data,
                         reply_header(header, PacketKind::read_reply, CompletionStatus::ok));
           });
}

} // namespace lab::efa
