// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

// The messages of a transfer's control connection: what two p2prdma commands say to each other
// over TCP, or over a queue pair of Ethernet frames. All are of fixed size and little-endian; see
// Documentation/command.rst.

#include "tools/p2prdma/digest.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <variant>
#include <vector>

namespace p2prdma::tool::wire {

inline constexpr std::uint32_t magic = 0x46523250; ///< the bytes "P2RF"
inline constexpr std::uint16_t version = 1;
inline constexpr std::size_t header_size = 24;
inline constexpr std::size_t max_body_size = 260;

enum class Transport : std::uint8_t {
    srd = 1, ///< EFA's scalable reliable datagrams
    rc = 2,  ///< reliable connections of InfiniBand, RoCE and iWARP
    l2 = 3,  ///< Ethernet frames without a network layer
};

/// Both, first: where RDMA reaches this end.
struct Hello {
    Transport transport = Transport::rc;
    std::uint8_t mtu = 1; ///< enum ibv_mtu, 1 to 5: the port's
    std::uint16_t lid = 0;
    std::uint32_t qp_number = 0;        ///< 24 bits
    std::uint32_t qkey = 0;             ///< SRD; L2: the service number to connect to
    std::uint32_t packet_number = 0;    ///< RC: of the first packet it will send, 24 bits
    std::array<std::byte, 16> gid = {}; ///< L2: the Ethernet address, and zeros
    friend bool operator==(const Hello&, const Hello&) = default;
};

/// Sender, after its Hello.
struct Offer {
    std::uint64_t file_bytes = 0;
    std::uint64_t piece_bytes = 0; ///< as the sender's user wants it; 0: no wish
    friend bool operator==(const Offer&, const Offer&) = default;
};

struct Region {
    std::uint64_t address = 0; ///< of the first byte, as RDMA writes give it
    std::uint64_t length = 0;
    std::uint32_t rkey = 0;
    friend bool operator==(const Region&, const Region&) = default;
};

/// Receiver: how the file is cut, and where its pieces go in turn.
struct Plan {
    std::uint64_t piece_bytes = 0;
    std::uint64_t pieces = 0;
    std::uint32_t regions = 0; ///< how many of `region` are used
    std::array<Region, 2> region = {};
    friend bool operator==(const Plan&, const Plan&) = default;
};

/// Sender: a piece is complete in its region, and visible to the receiver's CPU.
struct Visible {
    std::uint64_t piece = 0;
    std::uint64_t length = 0;
    friend bool operator==(const Visible&, const Visible&) = default;
};

/// Receiver: a piece has been read; its region may be written again.
struct Taken {
    std::uint64_t piece = 0;
    friend bool operator==(const Taken&, const Taken&) = default;
};

/// Either: bytes written, or read, so far. Keeps the other side patient.
struct Alive {
    std::uint64_t bytes = 0;
    friend bool operator==(const Alive&, const Alive&) = default;
};

/// Sender: that was all.
struct Finish {
    std::uint64_t bytes = 0;
    Digest digest = {};
    friend bool operator==(const Finish&, const Finish&) = default;
};

/// Receiver: what lay in its memory.
struct Result {
    std::uint64_t bytes = 0;
    Digest digest = {};
    friend bool operator==(const Result&, const Result&) = default;
};

/// Either: gives up.
struct Failed {
    std::uint32_t status = 1; ///< enum Exit
    std::string sentence;     ///< at most 255 bytes, printable
    friend bool operator==(const Failed&, const Failed&) = default;
};

using Message = std::variant<Hello, Offer, Plan, Visible, Taken, Alive, Finish, Result, Failed>;

struct Header {
    std::uint16_t type = 0; ///< the alternative's index in Message, plus 1
    std::size_t body_size = 0;
    std::uint64_t token = 0; ///< in all messages of a transfer the same, chosen by the receiver
};

/// A message in bytes, header included.
std::vector<std::byte> encode(const Message& message, std::uint64_t token);

/// Checks and reads a header of header_size bytes.
/// \throws Failure if it is none of this protocol, of another version, of an unknown type, or has
///         a length that is not its type's
Header decode_header(std::span<const std::byte> bytes);
/// Checks and reads the body of header.body_size bytes. \throws Failure if a field is out of range
Message decode(const Header& header, std::span<const std::byte> body);

/// The message's name, for sentences.
const char* name_of(const Message& message) noexcept;

} // namespace p2prdma::tool::wire
