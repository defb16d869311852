// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include "lib/l2/big_endian.hpp"
#include "lib/l2/crc32c.hpp"
#include "lib/l2/wire.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

/// Whole frames as they are on the wire, for tests.
namespace p2prdma::l2::wire {

constexpr std::uint16_t test_type = 0x88b5;

/// Prefix, payload and seal of `frame`, and the CRC.
inline std::vector<std::byte> raw_frame(const Frame& frame, std::uint16_t ether_type = test_type)
{
    std::array<std::byte, max_prefix> prefix = {};
    const auto size = compose(frame, frame.payload.size(), ether_type, prefix);
    std::vector<std::byte> bytes(prefix.begin(), prefix.begin() + static_cast<long>(size));
    bytes.insert(bytes.end(), frame.payload.begin(), frame.payload.end());
    bytes.insert(bytes.end(), frame.seal.begin(), frame.seal.end());
    const std::size_t ethernet = frame.vlan ? 18 : 14;
    std::array<std::byte, crc_size> crc = {};
    store_big(crc.data(), crc32c(0, std::span(bytes).subspan(ethernet)));
    bytes.insert(bytes.end(), crc.begin(), crc.end());
    return bytes;
}

/// Up to the least size of an Ethernet frame, less its FCS.
inline std::vector<std::byte> padded(std::vector<std::byte> bytes, std::byte with = {})
{
    bytes.resize(std::max<std::size_t>(bytes.size(), 60), with);
    return bytes;
}

/// Makes the CRC of an untagged frame without padding right again after it was changed.
inline void mend(std::span<std::byte> bytes)
{
    const auto end = bytes.size() - crc_size;
    store_big(&bytes[end], crc32c(0, bytes.subspan(14, end - 14)));
}

inline bool same(std::span<const std::byte> a, std::span<const std::byte> b)
{
    return std::equal(a.begin(), a.end(), b.begin(), b.end());
}

inline bool operator==(const Remote& a, const Remote& b)
{
    return a.address == b.address && a.key == b.key && a.length == b.length;
}
inline bool operator==(const Atomic& a, const Atomic& b)
{
    return a.operand == b.operand && a.compare == b.compare;
}
inline bool operator==(const Ack& a, const Ack& b)
{
    return a.next == b.next && a.syndrome == b.syndrome && a.messages == b.messages;
}
inline bool operator==(const Fault& a, const Fault& b)
{
    return a.kind == b.kind && a.epoch == b.epoch && a.psn == b.psn && a.estimate == b.estimate &&
           a.buffered == b.buffered && a.window == b.window;
}
inline bool operator==(const Connect& a, const Connect& b)
{
    return a.qp == b.qp && a.epoch == b.epoch && a.tag == b.tag &&
           a.payload_limit == b.payload_limit && a.psn == b.psn && a.max_reads == b.max_reads &&
           a.service == b.service && a.features == b.features && a.reason == b.reason &&
           a.nonce == b.nonce;
}
inline bool operator==(const Header& a, const Header& b)
{
    return a.version == b.version && a.traffic_class == b.traffic_class && a.opcode == b.opcode &&
           a.flags == b.flags && a.credits == b.credits && a.dst_qp == b.dst_qp &&
           a.epoch == b.epoch && a.psn == b.psn && a.extensions == b.extensions &&
           a.payload_length == b.payload_length && a.src_tag == b.src_tag;
}
/// All but sealed_part, which is only of parsed frames.
inline bool operator==(const Frame& a, const Frame& b)
{
    return a.destination == b.destination && a.source == b.source && a.vlan == b.vlan &&
           a.header == b.header && a.remote == b.remote && a.atomic == b.atomic &&
           a.immediate == b.immediate && a.ack == b.ack && a.sack == b.sack && a.fault == b.fault &&
           a.connect == b.connect && same(a.payload, b.payload) && same(a.seal, b.seal);
}

} // namespace p2prdma::l2::wire
