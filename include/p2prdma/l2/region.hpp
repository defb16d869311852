// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include "p2prdma/l2/device.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

namespace p2prdma::l2 {

/// Regions and queue pairs of one domain may be used together. Move-only.
class P2PRDMA_API ProtectionDomain final {
public:
    explicit ProtectionDomain(const Device& device);

    struct State;
    [[nodiscard]] const std::shared_ptr<State>& state() const noexcept { return state_; }

private:
    std::shared_ptr<State> state_;
};

/// What a region allows; or-ed.
enum class Access : std::uint8_t {
    local_read = 0, ///< always
    local_write = 1,
    remote_write = 2, ///< needs local_write
    remote_read = 4,
    remote_atomic = 8, ///< needs local_write
    all = 15,
};
[[nodiscard]] constexpr Access operator|(Access a, Access b) noexcept
{
    return static_cast<Access>(static_cast<unsigned>(a) | static_cast<unsigned>(b));
}
[[nodiscard]] constexpr bool allows(Access granted, Access wanted) noexcept
{
    const auto want = static_cast<unsigned>(wanted);
    return (static_cast<unsigned>(granted) & want) == want;
}

/// Memory that requests may name by its key, a random number. Move-only; on destruction the key is
/// void: once the destructor has returned no byte of it is read or written any more.
class P2PRDMA_API Region final {
public:
    /// Memory that stays mapped, readable (and writable, if Access says so) for the region's life.
    Region(const ProtectionDomain& domain, std::span<std::byte> memory, Access access);

    /// Implicit registration (R7): a range of the address space, of which any part may be mapped or
    /// not, at any time; pages are brought when a request needs them. What is not mapped, or not
    /// accessible, when a request needs it ends that request with remote_fault or local_fault.
    static Region implicit(const ProtectionDomain& domain, void* start, std::size_t length,
                           Access access);
    /// All of the address space.
    static Region implicit_all(const ProtectionDomain& domain, Access access);

    /// Restricts remote use to one peer; by default any peer of the domain's queue pairs.
    void restrict_to(const MacAddress& peer);
    /// Brings pages of an implicit region that will be needed soon; returns at once. As
    /// ibv_advise_mr(). \throws Error bad_argument: not in the region
    void prefetch(void* start, std::size_t length, bool for_writing) const;

    [[nodiscard]] std::uint32_t key() const noexcept;
    [[nodiscard]] bool is_implicit() const noexcept;

    Region(Region&&) noexcept;
    Region& operator=(Region&&) noexcept;
    ~Region();

    struct State;

private:
    explicit Region(std::unique_ptr<State> state) noexcept;
    std::unique_ptr<State> state_;
};

} // namespace p2prdma::l2
