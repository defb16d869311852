// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include "lib/l2/random_source.hpp"
#include "p2prdma/l2/mac_address.hpp"
#include "p2prdma/l2/region.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

namespace p2prdma::l2 {

/// A registered range of memory.
struct RegisteredRange {
    std::uint64_t start = 0;
    std::uint64_t length = 0; ///< bytes
    std::uint32_t key = 0;
    std::uint32_t domain = 0;
    Access access = Access::local_read;
    bool implicit = false;
    std::optional<MacAddress> only; ///< the one peer that may use it
};

/// Who wants to access memory, and how.
struct AccessScope {
    std::uint32_t domain = 0;
    Access wanted = Access::local_read;
    const MacAddress* peer = nullptr; ///< nullptr: this end itself
};

/// The ranges of a device by key. Keys are random, so that a peer cannot guess one; they are their
/// own hash in an open-addressed table. Thread-safety: the engine's.
class MemoryTable {
public:
    explicit MemoryTable(RandomSource random) : random_(std::move(random)), slots_(16) {}

    /// Takes it up; returns its key, never 0. \throws std::bad_alloc
    std::uint32_t add(RegisteredRange range);
    /// From now on the key is void.
    void remove(std::uint32_t key) noexcept;
    void restrict_to(std::uint32_t key, const MacAddress& peer) noexcept;

    [[nodiscard]] const RegisteredRange* find(std::uint32_t key) const noexcept;
    /// The range, if all of these bytes are in it and the access is allowed; else nullptr.
    [[nodiscard]] const RegisteredRange* check(std::uint32_t key, std::uint64_t address,
                                               std::uint64_t length,
                                               const AccessScope& scope) const noexcept;
    [[nodiscard]] std::size_t size() const noexcept { return used_; }

private:
    [[nodiscard]] std::size_t slot_of(std::uint32_t key) const noexcept;
    void put(const RegisteredRange& range) noexcept;
    void grow();

    RandomSource random_;
    std::vector<RegisteredRange> slots_; ///< key 0: free
    std::size_t used_ = 0;
};

} // namespace p2prdma::l2
