// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include "p2prdma/l2/queue_pair.hpp"
#include "tools/p2prdma/byte_stream.hpp"

#include <cstdint>
#include <vector>

namespace p2prdma::tool {

/// A byte stream of messages on a queue pair. On destruction it is closed in order: what was sent
/// arrives.
class L2Stream final : public ByteStream {
public:
    /// \throws Error as QueuePair::connect()
    L2Stream(const l2::Device& device, const l2::ProtectionDomain& domain,
             const l2::MacAddress& peer, std::uint32_t service, Clock::time_point until);
    /// Accepts. \throws Error
    L2Stream(const l2::Device& device, const l2::ProtectionDomain& domain, l2::Listener& listener,
             const l2::Listener::Request& request);
    ~L2Stream() override;
    L2Stream(const L2Stream&) = delete;
    L2Stream& operator=(const L2Stream&) = delete;

    void send(std::span<const std::byte> data, Clock::time_point until) override;
    std::optional<std::size_t> receive(std::span<std::byte> into, Clock::time_point until) override;

private:
    L2Stream(const l2::Device& device, const l2::ProtectionDomain& domain);
    std::span<std::byte> slot(std::uint64_t number) noexcept;
    void post_receives();
    void post_receive(std::uint64_t slot);
    std::uint64_t free_slot(Clock::time_point until);
    bool take_message(Clock::time_point until);

    std::vector<std::byte> memory_; // slots to send, then slots to receive
    l2::Region region_;
    l2::CompletionQueue sent_;
    l2::CompletionQueue received_;
    std::optional<l2::QueuePair> pair_;
    std::vector<std::uint64_t> free_; // slots to send from
    // Of the message that is being read: where it lies, and what of it is left.
    std::uint64_t current_ = 0;
    std::span<const std::byte> rest_;
    bool closed_ = false;
};

} // namespace p2prdma::tool
