// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "lib/l2/responder.hpp"

#include <algorithm>
#include <limits>

namespace p2prdma::l2 {
namespace {

bool has(const wire::Frame& frame, wire::Flag flag) noexcept
{
    return (frame.header.flags & flag) != 0;
}

bool is_single(const wire::Frame& frame) noexcept
{
    return has(frame, wire::first) && has(frame, wire::last);
}

Segment segment_at(std::uint64_t address, std::uint32_t length, std::uint32_t key) noexcept
{
    return {reinterpret_cast<void*>(static_cast<std::uintptr_t>(address)), length, key}; // NOLINT
}

} // namespace

// The peer may ask again as soon as an answer has come, before we know that it has.
Responder::Responder(QueuePairContext& context, const QueuePairNames& names,
                     const QueuePairSetup& setup)
    : context_(context), names_(names), completions_(setup.receive_completions),
      receives_(context.receive_pool, setup.options.receive_entries),
      responses_(context.response_pool, std::uint32_t{setup.options.max_reads} * 2)
{
}

std::errc Responder::post(const ReceiveRequest& request) noexcept
{
    if (request.segments.size() > max_segments)
        return std::errc::invalid_argument;
    auto* const work = push_with_room(receives_, completions_);
    if (work == nullptr)
        return std::errc::no_buffer_space;
    work->id = request.id;
    work->count = static_cast<std::uint8_t>(request.segments.size());
    work->length = 0;
    for (std::size_t i = 0; i < request.segments.size(); ++i) {
        work->segments[i] = request.segments[i];
        work->length += request.segments[i].length;
    }
    return {};
}

std::uint8_t Responder::credits() const noexcept
{
    return static_cast<std::uint8_t>(std::min(receives_.size(), 255U));
}

void Responder::complete(const wire::Frame* frame, Status status, std::uint32_t length) noexcept
{
    Completion completion{.id = receives_[receives_.head()].id,
                          .status = status,
                          .operation = Operation::receive,
                          .length = length,
                          .queue_pair = names_.number};
    if (frame != nullptr && frame->immediate) {
        completion.has_immediate = true;
        completion.immediate = *frame->immediate;
    }
    receives_.pop();
    context_.handed_over = context_.handed_over || frame != nullptr;
    if (completions_ != nullptr)
        completions_->push(completion, frame != nullptr && has(*frame, wire::solicited));
}

Outcome Responder::starved() noexcept
{
    starved_ = true;
    return Outcome::not_ready();
}

/// Whether it goes on with the message that has begun, or begins one where none has.
bool Responder::continues(const wire::Frame& frame) const noexcept
{
    if (has(frame, wire::first))
        return !incoming_;
    return incoming_ && incoming_->opcode == frame.header.opcode &&
           (has(frame, wire::last) || !frame.payload.empty());
}

Outcome Responder::proceed(const wire::Frame& frame, Incoming& message) noexcept
{
    message.received += static_cast<std::uint32_t>(frame.payload.size());
    if (has(frame, wire::last))
        incoming_.reset();
    else
        incoming_ = message;
    return Outcome::done(has(frame, wire::last));
}

Outcome Responder::send(const wire::Frame& frame) noexcept
{
    if (receives_.empty())
        return starved();
    const auto& work = receives_[receives_.head()];
    auto message = incoming_.value_or(Incoming{.opcode = wire::Opcode::send});
    if (frame.payload.size() >
        std::min<std::uint64_t>(work.length, max_message) - message.received) {
        complete(nullptr, Status::local_length, 0);
        return Outcome::refused(wire::Syndrome::invalid);
    }
    Missing missing;
    const AccessScope scope{names_.domain, Access::local_write, nullptr};
    switch (
        context_.access.scatter(work.pieces(), message.received, frame.payload, scope, missing)) {
    case MemoryAccess::Result::missing:
        return Outcome::needs(missing);
    case MemoryAccess::Result::denied:
        complete(nullptr, Status::local_protection, 0);
        return Outcome::refused(wire::Syndrome::operation);
    case MemoryAccess::Result::done:
        break;
    }
    const auto outcome = proceed(frame, message);
    if (outcome.message_ends)
        complete(&frame, Status::success, message.received);
    return outcome;
}

Outcome Responder::write_frame(const wire::Frame& frame, Incoming& message) noexcept
{
    const Segment target = segment_at(message.memory.address, message.length, message.memory.key);
    if (has(frame, wire::first) && message.length != 0 &&
        context_.memory.check(target.key, message.memory.address, target.length,
                              remote(Access::remote_write)) == nullptr)
        return Outcome::refused(wire::Syndrome::access);
    Missing missing;
    switch (context_.access.scatter(std::span(&target, 1), message.received, frame.payload,
                                    remote(Access::remote_write), missing)) {
    case MemoryAccess::Result::missing:
        return Outcome::needs(missing);
    case MemoryAccess::Result::denied:
        return Outcome::refused(wire::Syndrome::access);
    case MemoryAccess::Result::done:
        break;
    }
    return Outcome::done(has(frame, wire::last));
}

Outcome Responder::write(const wire::Frame& frame) noexcept
{
    Incoming message;
    if (incoming_)
        message = *incoming_;
    else if (frame.remote)
        message = {.opcode = wire::Opcode::write,
                   .memory = {frame.remote->address, frame.remote->key},
                   .length = frame.remote->length};
    const auto left = message.length - message.received;
    const bool ends = has(frame, wire::last);
    if (message.length > max_message || frame.payload.size() > left ||
        ends != (frame.payload.size() == left))
        return Outcome::refused(wire::Syndrome::invalid);
    if (frame.immediate && receives_.empty())
        return starved();
    auto outcome = write_frame(frame, message);
    if (outcome.kind != Outcome::Kind::done)
        return outcome;
    outcome = proceed(frame, message);
    if (frame.immediate)
        complete(&frame, Status::success, message.received);
    return outcome;
}

Outcome Responder::read(const wire::Frame& frame) noexcept
{
    if (!frame.remote || frame.remote->length > max_message)
        return Outcome::refused(wire::Syndrome::invalid);
    const auto& from = *frame.remote;
    if (from.length != 0 && context_.memory.check(from.key, from.address, from.length,
                                                  remote(Access::remote_read)) == nullptr)
        return Outcome::refused(wire::Syndrome::access);
    auto* const response = responses_.push();
    if (response == nullptr)
        return Outcome::refused(wire::Syndrome::invalid);
    *response = {.opcode = wire::Opcode::read_response,
                 .request_psn = frame.header.psn,
                 .memory = segment_at(from.address, from.length, from.key)};
    return Outcome::done(true);
}

Outcome Responder::atomic(const wire::Frame& frame) noexcept
{
    if (!frame.remote || !frame.atomic || frame.remote->address % 8 != 0 ||
        frame.remote->length != 8)
        return Outcome::refused(wire::Syndrome::invalid);
    if (responses_.full())
        return Outcome::refused(wire::Syndrome::invalid);
    const MemoryAccess::AtomicUpdate update{frame.header.opcode == wire::Opcode::compare_swap,
                                            frame.atomic->operand, frame.atomic->compare};
    Missing missing;
    // First the room, then the deed: it cannot be undone.
    auto* const response = responses_.push();
    if (response == nullptr)
        return Outcome::refused(wire::Syndrome::operation);
    *response = {.opcode = wire::Opcode::atomic_response, .request_psn = frame.header.psn};
    const auto result =
        context_.access.atomic(frame.remote->address, frame.remote->key, update,
                               remote(Access::remote_atomic), response->value, missing);
    if (result == MemoryAccess::Result::done)
        return Outcome::done(true);
    responses_.pop_last();
    return result == MemoryAccess::Result::missing ? Outcome::needs(missing)
                                                   : Outcome::refused(wire::Syndrome::access);
}

Outcome Responder::request(const wire::Frame& frame) noexcept
{
    switch (frame.header.opcode) {
    case wire::Opcode::send:
        return continues(frame) ? send(frame) : Outcome::refused(wire::Syndrome::invalid);
    case wire::Opcode::write:
        return continues(frame) ? write(frame) : Outcome::refused(wire::Syndrome::invalid);
    case wire::Opcode::read_request:
        return is_single(frame) && !incoming_ ? read(frame)
                                              : Outcome::refused(wire::Syndrome::invalid);
    default:
        return is_single(frame) && !incoming_ ? atomic(frame)
                                              : Outcome::refused(wire::Syndrome::invalid);
    }
}

std::uint32_t Responder::next_bytes() noexcept
{
    const auto& response = responses_[next_];
    const auto sent = response.cut.frames == 0 ? 0 : response.cut.offset(response.cut.sent);
    return std::min(response.memory.length - sent, payload_limit_);
}

SendWindow::Cookie Responder::next_cookie() noexcept
{
    auto& response = responses_[next_];
    if (response.cut.frames == 0)
        response.cut.begin(response.memory.length, payload_limit_);
    return {next_ | cookie_bit, response.cut.sent};
}

void Responder::sent_next(std::uint32_t psn) noexcept
{
    auto& response = responses_[next_];
    response.cut.sent_one(psn);
    if (response.cut.all_sent())
        ++next_;
}

MemoryAccess::Result Responder::build(SendWindow::Cookie cookie, Draft& draft) noexcept
{
    const auto& response = responses_[cookie.request];
    draft.head.header.opcode = response.opcode;
    draft.head.header.flags = response.cut.flags(cookie.frame);
    if (response.opcode == wire::Opcode::atomic_response)
        draft.head.atomic = wire::Atomic{.operand = response.value};
    if (response.memory.length == 0)
        return MemoryAccess::Result::done;
    return context_.access.gather(std::span(&response.memory, 1), response.cut.offset(cookie.frame),
                                  response.cut.size(cookie.frame, response.memory.length),
                                  remote(Access::remote_read), context_.outbox, draft.payload,
                                  draft.missing);
}

void Responder::acknowledged(std::uint32_t unacknowledged) noexcept
{
    while (responses_.head() != next_ &&
           responses_[responses_.head()].cut.acknowledged(unacknowledged))
        responses_.pop();
}

void Responder::flush() noexcept
{
    while (!receives_.empty())
        complete(nullptr, Status::flushed, 0);
    responses_.clear();
    next_ = responses_.head();
    incoming_.reset();
}

} // namespace p2prdma::l2
