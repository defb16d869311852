// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "tools/p2prdma/l2_frame_text.hpp"

#include <array>
#include <cstdarg>
#include <cstdio>
#include <utility>

namespace p2prdma::tool {
namespace {

using namespace l2::wire;

constexpr unsigned number_of(auto name) noexcept
{
    return static_cast<unsigned>(name);
}

const char* to_string(Opcode opcode) noexcept
{
    static constexpr std::array sequenced = {"send",           "write",     "read_request",
                                             "read_response",  "fetch_add", "compare_swap",
                                             "atomic_response"};
    static constexpr std::array answers = {"ack", "nak", "probe"};
    static constexpr std::array connection = {"connect_request",    "connect_reply",
                                              "ready_to_use",       "reject",
                                              "disconnect_request", "disconnect_reply"};
    static constexpr std::array others = {"discover", "offer", "keep_alive"};
    const auto number = number_of(opcode);
    const auto index = number & 0xfu;
    switch (number >> 4) {
    case 0:
        return index < sequenced.size() ? sequenced[index] : "?";
    case 1:
        return index < answers.size() ? answers[index] : "?";
    case 2:
        return index < connection.size() ? connection[index] : "?";
    case 3:
        return index < others.size() ? others[index] : "?";
    default:
        return "?";
    }
}

const char* to_string(Syndrome syndrome) noexcept
{
    static constexpr std::array names = {
        "", "receiver_not_ready", "access", "invalid", "operation", "fault", "full", "no_link"};
    const auto index = number_of(syndrome);
    return index < names.size() ? names[index] : "?";
}

const char* to_string(FaultKind kind) noexcept
{
    static constexpr std::array names = {"?", "delay", "resume", "abort", "stall"};
    const auto index = number_of(kind);
    return index < names.size() ? names[index] : "?";
}

// NOLINTNEXTLINE(cert-dcl50-cpp): as printf
[[gnu::format(printf, 2, 3)]] void append(std::string& text, const char* format, ...)
{
    std::array<char, 192> piece = {};
    va_list arguments;
    va_start(arguments, format);
    // NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized): errs beyond the first file of a run
    std::vsnprintf(piece.data(), piece.size(), format, arguments);
    va_end(arguments);
    text += piece.data();
}

void append_flags(std::string& text, std::uint8_t flags)
{
    static constexpr std::pair<std::uint8_t, const char*> names[] = {
        {first, "first"},         {last, "last"},
        {solicited, "solicited"}, {ack_request, "ack_request"},
        {congested, "congested"}, {l2::wire::again, "again"},
        {sealed, "sealed"}};
    for (const auto& [flag, name] : names)
        if (flags & flag)
            append(text, " %s", name);
}

void append_request(std::string& text, const Frame& frame)
{
    if (frame.remote)
        append(text, " %u bytes at 0x%llx key 0x%08x", frame.remote->length,
               static_cast<unsigned long long>(frame.remote->address), frame.remote->key);
    if (frame.atomic)
        append(text, " operand 0x%llx compare 0x%llx",
               static_cast<unsigned long long>(frame.atomic->operand),
               static_cast<unsigned long long>(frame.atomic->compare));
    if (frame.immediate)
        append(text, " immediate 0x%08x", *frame.immediate);
}

void append_answer(std::string& text, const Frame& frame)
{
    if (frame.ack)
        append(text, " next %u%s%s", frame.ack->next,
               frame.ack->syndrome == Syndrome::none ? "" : " ", to_string(frame.ack->syndrome));
    if (frame.sack)
        append(text, " and %zu beyond", frame.sack->count());
    if (frame.fault)
        append(text, " fault %s psn %u wait %u us, %u bytes held, window %u",
               to_string(frame.fault->kind), frame.fault->psn, frame.fault->estimate,
               frame.fault->buffered, frame.fault->window);
}

void append_connect(std::string& text, const Frame& frame)
{
    if (!frame.connect)
        return;
    const auto& connect = *frame.connect;
    append(text, " from qp %u epoch %u tag 0x%04x psn %u service %u payload %u features 0x%x",
           connect.qp, connect.epoch, connect.tag, connect.psn, connect.service,
           connect.payload_limit, connect.features);
    if (connect.reason)
        append(text, " reason %u", connect.reason);
}

} // namespace

const char* to_string(Verdict verdict) noexcept
{
    static constexpr std::array names = {
        "good",       "too short",      "another EtherType", "another version",
        "bad opcode", "bad extensions", "bad length",        "bad CRC"};
    const auto index = number_of(verdict);
    return index < names.size() ? names[index] : "?";
}

std::string l2_frame_text(std::span<const std::byte> bytes, std::uint16_t ether_type)
{
    Frame frame;
    const auto verdict = parse(bytes, ether_type, frame);
    if (verdict != Verdict::good)
        return std::string("not a frame of p2prdma: ") + to_string(verdict);
    const auto& header = frame.header;
    std::string text = to_string(header.opcode);
    if (header.dst_qp)
        append(text, " qp %u epoch %u", header.dst_qp, header.epoch);
    if (number_of(header.opcode) <= number_of(Opcode::probe))
        append(text, " psn %u", header.psn);
    append_flags(text, header.flags);
    append_request(text, frame);
    append_answer(text, frame);
    append_connect(text, frame);
    if (frame.vlan)
        append(text, " vlan %u", *frame.vlan & 0xfffu);
    if (!frame.payload.empty())
        append(text, " payload %zu", frame.payload.size());
    return text;
}

} // namespace p2prdma::tool
