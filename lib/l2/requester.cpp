// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "lib/l2/requester.hpp"

#include <algorithm>
#include <cstring>

namespace p2prdma::l2 {
namespace {

constexpr std::uint32_t request_mask = 0x7fffffff; // the bit above says: of the responder

bool fits(const SendRequest& request, std::uint64_t length) noexcept
{
    const bool carries =
        request.operation == Operation::send || request.operation == Operation::write;
    if (request.segments.size() > max_segments || length > max_message ||
        request.operation > Operation::compare_swap)
        return false;
    if (request.inline_data && (!carries || length > max_inline))
        return false;
    if (request.has_immediate && !carries)
        return false;
    const bool atomic =
        request.operation == Operation::fetch_add || request.operation == Operation::compare_swap;
    return !atomic || (length == 8 && request.segments.size() == 1);
}

void copy_memory(WorkMemory& memory, const SendRequest& request, std::uint32_t length) noexcept
{
    memory.length = length;
    memory.is_inline = request.inline_data;
    memory.count = static_cast<std::uint8_t>(request.segments.size());
    std::copy(request.segments.begin(), request.segments.end(), memory.segments.begin());
    if (!request.inline_data)
        return;
    auto* to = memory.inline_data.data();
    for (const auto& segment : request.segments)
        if (segment.length != 0) {
            std::memcpy(to, segment.address, segment.length);
            to += segment.length;
        }
}

wire::Opcode opcode_of(Operation operation) noexcept
{
    constexpr std::array opcodes = {wire::Opcode::send, wire::Opcode::write,
                                    wire::Opcode::read_request, wire::Opcode::fetch_add,
                                    wire::Opcode::compare_swap};
    return opcodes[static_cast<std::size_t>(operation)];
}

} // namespace

Requester::Requester(QueuePairContext& context, const QueuePairNames& names,
                     const QueuePairSetup& setup)
    : context_(context), names_(names), completions_(setup.send_completions),
      ring_(context.send_pool, setup.options.send_entries)
{
}

std::errc Requester::post(const SendRequest& request) noexcept
{
    std::uint64_t length = 0;
    for (const auto& segment : request.segments)
        length += segment.length;
    if (!fits(request, length))
        return std::errc::invalid_argument;
    auto* const work = push_with_room(ring_, completions_);
    if (work == nullptr)
        return std::errc::no_buffer_space;
    work->id = request.id;
    work->operand = request.operand;
    work->compare = request.compare;
    work->remote = request.remote;
    work->immediate = request.immediate;
    work->operation = request.operation;
    work->has_immediate = request.has_immediate;
    work->signalled = request.signalled;
    work->solicited = request.solicited;
    work->fence = request.fence;
    work->limited = work->acknowledged = work->begun = work->placed = false;
    work->received = 0;
    work->cut = {};
    copy_memory(work->memory, request, static_cast<std::uint32_t>(length));
    return {};
}

void Requester::set_limits(std::uint32_t payload, std::uint32_t reads) noexcept
{
    payload_limit_ = payload;
    read_limit_ = std::max(reads, 1U);
}

bool Requester::may_begin(const SendWork& work) const noexcept
{
    if (work.fence && reads_ != 0)
        return false;
    if (work.has_response())
        return reads_ < read_limit_;
    // Without credits one request asks: a posted receive may not have been reported.
    return !work.takes_receive() || receivers_ < std::max<std::uint32_t>(credits_, 1);
}

void Requester::begin(SendWork& work) noexcept
{
    const bool single = work.has_response();
    work.cut.begin(single ? 0 : work.memory.length, payload_limit_);
    reads_ += work.has_response() ? 1 : 0;
    receivers_ += work.takes_receive() ? 1 : 0;
    work.limited = work.operation == Operation::send && credits_ == 0;
}

bool Requester::has_next() noexcept
{
    if (next_ == ring_.tail())
        return false;
    const auto& work = ring_[next_];
    if (work.cut.frames == 0)
        return payload_limit_ != 0 && may_begin(work);
    return !work.limited || work.cut.sent == 0;
}

std::uint32_t Requester::next_bytes() noexcept
{
    const auto& work = ring_[next_];
    if (work.has_response())
        return 0;
    const auto sent = work.cut.frames == 0 ? 0 : work.cut.offset(work.cut.sent);
    return std::min(work.memory.length - sent, payload_limit_);
}

SendWindow::Cookie Requester::next_cookie() noexcept
{
    auto& work = ring_[next_];
    if (work.cut.frames == 0)
        begin(work);
    return {next_ & request_mask, work.cut.sent};
}

void Requester::sent_next(std::uint32_t psn) noexcept
{
    auto& work = ring_[next_];
    work.cut.sent_one(psn);
    if (work.cut.all_sent())
        ++next_;
}

bool Requester::wants_ack(SendWindow::Cookie cookie) noexcept
{
    const auto& work = ring_[cookie.request];
    const bool ends = cookie.frame + 1 == work.cut.frames;
    return work.limited || (ends && !work.has_response() && ring_.tail() - next_ <= 1);
}

void Requester::fill_head(const SendWork& work, std::uint32_t frame, wire::Frame& head) noexcept
{
    head.header.opcode = opcode_of(work.operation);
    head.header.flags = work.cut.flags(frame);
    const bool ends = (head.header.flags & wire::last) != 0;
    if (frame == 0 && work.operation != Operation::send)
        head.remote = wire::Remote{work.remote.address, work.remote.key, work.memory.length};
    if (work.is_atomic())
        head.atomic = wire::Atomic{work.operand, work.compare};
    if (ends && work.has_immediate)
        head.immediate = work.immediate;
    if (ends && work.solicited && !work.has_response())
        head.header.flags |= wire::solicited;
}

MemoryAccess::Result Requester::build(SendWindow::Cookie cookie, Draft& draft) noexcept
{
    const auto& work = ring_[cookie.request];
    fill_head(work, cookie.frame, draft.head);
    if (work.has_response() || work.memory.length == 0)
        return MemoryAccess::Result::done;
    const auto offset = work.cut.offset(cookie.frame);
    const auto size = work.cut.size(cookie.frame, work.memory.length);
    if (work.memory.is_inline) {
        draft.payload.add(std::span(work.memory.inline_data).subspan(offset, size));
        return MemoryAccess::Result::done;
    }
    const AccessScope scope{names_.domain, Access::local_read, nullptr};
    return context_.access.gather(work.memory.pieces(), offset, size, scope, context_.outbox,
                                  draft.payload, draft.missing);
}

void Requester::acknowledged(std::uint32_t unacknowledged) noexcept
{
    while (unacknowledged_ != next_ && ring_[unacknowledged_].cut.acknowledged(unacknowledged)) {
        auto& work = ring_[unacknowledged_++];
        work.acknowledged = true;
        receivers_ -= work.takes_receive() ? 1 : 0;
    }
    if (unacknowledged_ != ring_.tail()) {
        auto& work = ring_[unacknowledged_];
        if (work.limited && work.cut.sent != 0 &&
            wire::psn_distance(work.cut.first_psn, unacknowledged) > 0)
            work.limited = false;
    }
    retire();
}

SendWork* Requester::awaited() noexcept
{
    for (; awaited_ != next_; ++awaited_)
        if (auto& work = ring_[awaited_]; work.has_response() && !work.placed)
            return &work;
    return nullptr;
}

Outcome Requester::place(SendWork& work, std::uint32_t offset,
                         std::span<const std::byte> data) noexcept
{
    const AccessScope scope{names_.domain, Access::local_write, nullptr};
    Missing missing;
    switch (context_.access.scatter(work.memory.pieces(), offset, data, scope, missing)) {
    case MemoryAccess::Result::done:
        return Outcome::done(false);
    case MemoryAccess::Result::missing:
        return Outcome::needs(missing);
    case MemoryAccess::Result::denied:
        break;
    }
    return Outcome::refused(wire::Syndrome::operation);
}

Outcome Requester::read_response(SendWork& work, const wire::Frame& frame) noexcept
{
    const auto size = static_cast<std::uint32_t>(frame.payload.size());
    const bool begins = (frame.header.flags & wire::first) != 0;
    const bool ends = (frame.header.flags & wire::last) != 0;
    if (begins == work.begun || size > work.memory.length - work.received ||
        ends != (work.received + size == work.memory.length) || (!ends && size == 0))
        return Outcome::refused(wire::Syndrome::invalid);
    auto outcome = place(work, work.received, frame.payload);
    if (outcome.kind != Outcome::Kind::done)
        return outcome;
    work.begun = true;
    work.received += size;
    work.placed = ends;
    return Outcome::done(ends);
}

Outcome Requester::atomic_response(SendWork& work, const wire::Frame& frame) noexcept
{
    if (!frame.atomic)
        return Outcome::refused(wire::Syndrome::invalid);
    const auto outcome = place(work, 0, std::as_bytes(std::span(&frame.atomic->operand, 1)));
    if (outcome.kind != Outcome::Kind::done)
        return outcome;
    work.received = 8;
    work.placed = true;
    return Outcome::done(true);
}

Outcome Requester::response(const wire::Frame& frame) noexcept
{
    auto* const work = awaited();
    const bool of_atomic = frame.header.opcode == wire::Opcode::atomic_response;
    if (work == nullptr || work->is_atomic() != of_atomic)
        return Outcome::refused(wire::Syndrome::invalid);
    const auto outcome = of_atomic ? atomic_response(*work, frame) : read_response(*work, frame);
    if (outcome.kind == Outcome::Kind::done && work->placed) {
        --reads_;
        retire();
    }
    return outcome;
}

void Requester::complete(const SendWork& work, Status status) noexcept
{
    if (completions_ == nullptr)
        return;
    if (status == Status::success && !work.signalled) {
        completions_->give_back();
        return;
    }
    const Completion completion{.id = work.id,
                                .status = status,
                                .operation = work.operation,
                                .length = work.received,
                                .queue_pair = names_.number};
    completions_->push(completion, false);
}

void Requester::retire() noexcept
{
    while (ring_.head() != next_ && ring_[ring_.head()].done()) {
        complete(ring_[ring_.head()], Status::success);
        if (awaited_ == ring_.head())
            ++awaited_;
        ring_.pop();
    }
}

std::uint32_t Requester::request_at(std::uint32_t psn) noexcept
{
    for (auto at = ring_.head(); at != ring_.tail() && ring_[at].cut.sent != 0; ++at) {
        // What is acknowledged may be farther behind than distances tell. Of that a read or an
        // atomic, which is one frame, can still be refused.
        const auto ahead = wire::psn_distance(ring_[at].cut.last_psn, psn);
        if (ahead == 0 || (ahead < 0 && !ring_[at].acknowledged))
            return at;
    }
    return ring_.head();
}

void Requester::fail(std::uint32_t request, Status status) noexcept
{
    for (; !ring_.empty(); ring_.pop()) {
        const auto& work = ring_[ring_.head()];
        complete(work, work.done()               ? Status::success
                       : ring_.head() == request ? status
                                                 : Status::flushed);
    }
    next_ = unacknowledged_ = awaited_ = ring_.head();
    reads_ = receivers_ = 0;
}

} // namespace p2prdma::l2
