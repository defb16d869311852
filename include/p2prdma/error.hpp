// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include "p2prdma/api.hpp"

#include <stdexcept>
#include <string>
#include <system_error>

namespace p2prdma {

/// Why something failed: the enumerators of error_category().
enum class Errc {
    module_not_loaded = 1, ///< the kernel module p2prdma is not loaded
    no_such_card,          ///< no card has that number, address or path
    not_a_card,            ///< a path that leads to something else than a card
    card_gone,             ///< the card was removed or unbound while in use
    card_full,             ///< the card has no free range that large
    not_permitted,         ///< this user may not do that
    no_such_adapter,       ///< no RDMA device has that name, or none is usable
    unsupported,           ///< card, adapter, driver or kernel lacks what was asked for
    unreachable,           ///< the kernel refuses peer-to-peer traffic between these two devices
    bad_argument,          ///< a value is out of its documented range
    not_isolated,          ///< less isolation than was demanded: see Isolation
    version_mismatch,      ///< library and kernel module do not speak the same ABI version
    host_not_serving,      ///< on a card's own machine: no daemon of the host's serves the card
    host_gone,             ///< that daemon ended or was replaced: open the card again
    host_timeout,          ///< it did not answer in time: the card can only be closed
    host_mismatch,         ///< it speaks another version, or broke the protocol
    host_busy,             ///< too many calls or clients at once
};

/// The category "p2prdma". Its codes compare equal to the std::errc that fits best, so that
/// `code == std::errc::no_space_on_device` holds for Errc::card_full.
[[nodiscard]] P2PRDMA_API const std::error_category& error_category() noexcept;

[[nodiscard]] inline std::error_code make_error_code(Errc cause) noexcept
{
    return {static_cast<int>(cause), error_category()};
}

/// What this library throws: what() is one sentence that names the cause and who is concerned,
/// code() says the same to a program (Errc, or an errno in std::system_category()).
class P2PRDMA_API Error : public std::system_error {
public:
    Error(std::error_code code, const std::string& sentence);
    [[nodiscard]] const char* what() const noexcept override { return sentence_.what(); }

private:
    std::runtime_error sentence_; // its copy constructor does not throw; that of a string may
};

} // namespace p2prdma

template <>
struct std::is_error_code_enum<p2prdma::Errc> : std::true_type {
};
