// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "p2prdma/direct/status.hpp"

#include <array>
#include <cstddef>

namespace p2prdma::direct {

std::string_view to_string(Status status) noexcept
{
    static constexpr std::array<std::string_view, 18> texts{
        "success",
        "flushed: the queue pair is in its error state",
        "queue pair error: the request is malformed, or memory could not be reached",
        "the adapter does not support the operation",
        "there is no such address handle",
        "local memory: unknown key, outside the region, or access not allowed",
        "longer than the adapter's limit",
        "remote memory: unknown key, outside the region, or access not allowed",
        "the peer gave up",
        "the peer has no such queue pair, or it is in its error state",
        "the peer has no receive posted",
        "longer than the peer's receive buffer",
        "the peer's adapter answered with an unexpected status",
        "the peer no longer answers",
        "the peer does not know this side: it has no address handle of it",
        "the peer cannot be reached",
        "the peer's adapter lacks a feature that the request needs",
        "unknown status",
    };
    const auto index = static_cast<std::size_t>(status);
    return index < texts.size() ? texts[index] : texts.back();
}

} // namespace p2prdma::direct
