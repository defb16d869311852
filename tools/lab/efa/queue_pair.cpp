// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "tools/lab/efa/queue_pair.hpp"

#include <algorithm>
#include <array>

namespace lab::efa {

QueuePair::QueuePair(Context& context, const Config& config)
    : context_(context), config_(config), send_queue_(context, *this, config.send_ring),
      receive_queue_(context, *this, config.receive_ring), responder_(context, *this)
{
    ++config_.send_cq->users;
    ++config_.receive_cq->users;
}

QueuePair::~QueuePair()
{
    --config_.send_cq->users;
    --config_.receive_cq->users;
}

bool QueuePair::may_change(QpState from, QpState to)
{
    // One bit per state that can follow; RESET and ERR always can.
    constexpr auto bit = [](QpState state) { return 1u << static_cast<unsigned>(state); };
    constexpr std::array<unsigned, 7> followers{
        bit(QpState::init),
        bit(QpState::init) | bit(QpState::rtr),
        bit(QpState::rts),
        bit(QpState::rts) | bit(QpState::sqd),
        bit(QpState::rts) | bit(QpState::sqd),
        bit(QpState::rts),
        0,
    };
    return to == QpState::reset || to == QpState::error ||
           (followers[static_cast<std::size_t>(from)] & bit(to)) != 0;
}

admin::Status QueuePair::modify(const admin::ModifyQp& command)
{
    using Command = admin::ModifyQp;
    bool changes_state = (command.mask & Command::mask_state) != 0;
    if ((command.mask & ~Command::mask_all) != 0)
        return admin::Status::illegal_parameter;
    if ((command.mask & Command::mask_rnr_retry) != 0 &&
        (!reliable() || command.rnr_retry > rnr_retry_infinite))
        return admin::Status::illegal_parameter;
    if (changes_state && (command.state > static_cast<std::uint32_t>(QpState::error) ||
                          !may_change(state_, static_cast<QpState>(command.state))))
        return admin::Status::illegal_parameter;
    if ((command.mask & Command::mask_qkey) != 0)
        qkey_ = command.qkey;
    if ((command.mask & Command::mask_sq_psn) != 0)
        sq_psn_ = command.sq_psn;
    if ((command.mask & Command::mask_rnr_retry) != 0)
        rnr_retry_ = command.rnr_retry;
    if (changes_state)
        enter(static_cast<QpState>(command.state));
    return admin::Status::success;
}

void QueuePair::enter(QpState state)
{
    state_ = state;
    if (state == QpState::reset)
        close();
    else if (state == QpState::error)
        flush();
    else if (state == QpState::rts)
        activate();
    else if (state == QpState::rtr)
        receives_posted();
}

void QueuePair::close()
{
    state_ = QpState::reset;
    ++epoch_;
    responder_.refuse_held(CompletionStatus::remote_bad_dest_qpn);
    send_queue_.reset();
    receive_queue_.reset();
}

void QueuePair::flush()
{
    responder_.refuse_held(CompletionStatus::remote_bad_dest_qpn);
    send_queue_.flush();
    receive_queue_.flush();
}

void QueuePair::fail()
{
    if (state_ != QpState::reset && state_ != QpState::error)
        enter(QpState::error);
}

admin::QueryQpResponse QueuePair::query() const
{
    bool draining = state_ == QpState::sqd && !send_queue_.drained();
    return {.state = static_cast<std::uint32_t>(state_),
            .qkey = qkey_,
            .sq_psn = sq_psn_,
            .sq_draining = static_cast<std::uint8_t>(draining),
            .rnr_retry = rnr_retry_,
            .reserved = 0};
}

void QueuePair::send_doorbell(std::uint16_t producer)
{
    if (state_ != QpState::reset)
        send_queue_.doorbell(producer);
}

void QueuePair::receive_doorbell(std::uint16_t producer)
{
    if (state_ != QpState::reset)
        receive_queue_.doorbell(producer);
}

void QueuePair::receive(const PacketPtr& packet)
{
    PacketHeader header = get_header(*packet);
    if (is_request(header.kind))
        responder_.handle(packet);
    else
        send_queue_.handle_reply(header, packet);
}

void QueuePair::receives_posted()
{
    if (can_receive())
        responder_.receives_posted();
}

Completion QueuePair::receive_completion(CompletionStatus status) const
{
    Completion completion{};
    completion.head.status = status;
    completion.head.flags = static_cast<std::uint8_t>(static_cast<unsigned>(QueueType::receive)
                                                      << CompletionHead::queue_type_shift);
    completion.head.qp_num = number();
    completion.ah = unknown_ah;
    return completion;
}

void QueuePair::describe_arrival(const Arrival& arrival, Completion& completion) const
{
    bool is_write = arrival.header.kind == PacketKind::write_notify;
    Opcode opcode = is_write ? Opcode::rdma_write : Opcode::send;
    completion.head.flags |=
        static_cast<std::uint8_t>(static_cast<unsigned>(opcode) << CompletionHead::opcode_shift);
    if ((arrival.header.flags & PacketHeader::has_imm) != 0)
        completion.head.flags |= CompletionHead::has_imm;
    completion.length = static_cast<std::uint16_t>(arrival.length);
    completion.ah = context_.handles.find(pd(), arrival.source);
    completion.source_qp = arrival.header.source_qp;
    completion.immediate = arrival.header.immediate;
    if (is_write) {
        completion.extension[0] = static_cast<std::uint8_t>(arrival.length >> 16);
        completion.extension[1] = static_cast<std::uint8_t>(arrival.length >> 24);
    } else if (completion.ah == unknown_ah && config_.receive_cq->set_source_address()) {
        completion.extension = arrival.source;
    }
}

void QueuePair::complete_receive(const ReceiveRequest& request, CompletionStatus status,
                                 const std::optional<Arrival>& arrival)
{
    Completion completion = receive_completion(status);
    completion.head.req_id = request.req_id;
    if (arrival)
        describe_arrival(*arrival, completion);
    if (arrival && status == CompletionStatus::ok) {
        ++context_.counters.receive_requests;
        context_.counters.receive_bytes += arrival->length;
    }
    config_.receive_cq->post(completion);
    counters_.count(status == CompletionStatus::ok ? QpEvent::receive : QpEvent::receive_error);
}

void QueuePair::complete_unsolicited(const Arrival& arrival)
{
    Completion completion = receive_completion(CompletionStatus::ok);
    completion.head.flags |= CompletionHead::unsolicited;
    describe_arrival(arrival, completion);
    config_.receive_cq->post(completion);
    counters_.count(QpEvent::receive);
}

} // namespace lab::efa
