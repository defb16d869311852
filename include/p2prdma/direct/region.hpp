// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include "p2prdma/direct/request.hpp"
#include "p2prdma/direct/session.hpp"

#include <cstdint>
#include <memory>

namespace p2prdma::direct {

class Event;
class HostObject;
class Memory;
class Target;

/// What a region lets adapters do: a mask.
struct Access {
    static constexpr std::uint32_t local_write = 1;  ///< receives, and reads of this side
    static constexpr std::uint32_t remote_write = 2; ///< needs local_write, too
    static constexpr std::uint32_t remote_read = 4;
    static constexpr std::uint32_t all = 7;
};

/// A range of a Memory, or an Event's page as a target of RDMA writes, as an adapter knows it.
/// Move-only; keeps the memory.
class P2PRDMA_API Region final {
public:
    /// All of a memory. \throws Error
    Region(const Session& session, std::uint32_t adapter, const Memory& memory,
           std::uint32_t access);
    /// A part of it. \throws Error bad_argument if it reaches beyond the memory
    Region(const Session& session, std::uint32_t adapter, const Memory& memory,
           std::uint32_t access, std::uint64_t offset, std::uint64_t length);
    /// An event: a write of 8 bytes to its first 8 raises it. \throws Error
    Region(const Session& session, std::uint32_t adapter, const Event& event);

    [[nodiscard]] std::uint64_t address() const noexcept { return address_; }
    [[nodiscard]] std::uint64_t length() const noexcept { return length_; }
    [[nodiscard]] std::uint32_t local_key() const noexcept { return local_key_; }
    [[nodiscard]] std::uint32_t remote_key() const noexcept { return remote_key_; }
    /// For this side's requests. Ranges beyond the region fail on the adapter.
    [[nodiscard]] LocalBuffer local(std::uint64_t offset, std::uint32_t length) const noexcept
    {
        return {address_ + offset, length, local_key_};
    }
    /// For the peers.
    [[nodiscard]] RemotePlace remote(std::uint64_t offset = 0) const noexcept
    {
        return {address_ + offset, remote_key_};
    }

private:
    void make(const Session& session, std::uint32_t adapter, std::uint32_t access,
              std::uint64_t offset);

    std::shared_ptr<const Target> target_;
    std::shared_ptr<const HostObject> object_; // goes first
    std::uint64_t address_ = 0;
    std::uint64_t length_;
    std::uint32_t local_key_ = 0;
    std::uint32_t remote_key_ = 0;
};

} // namespace p2prdma::direct
