// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "lib/direct/link.hpp"

#include "lib/internal.hpp"

#include <cerrno>

namespace p2prdma::direct {
namespace {

/// As the kernel has it.
constexpr std::chrono::milliseconds longest_call{60'000};

Errc code_of(int refusal) noexcept
{
    switch (refusal) {
    case EINVAL:
    case ENOENT:
        return Errc::bad_argument;
    case ENOSPC:
        return Errc::card_full;
    case EOPNOTSUPP:
    case ENOSYS:
        return Errc::unsupported;
    case ENODEV:
        return Errc::no_such_adapter;
    case EPROTO:
        return Errc::host_mismatch;
    case EBUSY:
        return Errc::host_busy;
    default:
        return {};
    }
}

const char* reason_of(int refusal) noexcept
{
    switch (refusal) {
    case EINVAL:
        return "a value is out of range";
    case ENOENT:
        return "it knows no such object of this program";
    case ENOSPC:
        return "there is no room, or this program's quota is used up";
    case EOPNOTSUPP:
        return "the adapter, the host's kernel or its policy does not allow for it";
    case ENOSYS:
        return "it does not know how";
    case ENODEV:
        return "the adapter is gone";
    case EPROTO:
        return "it does not understand the request";
    case EBUSY:
        return "another object depends on it";
    default:
        return nullptr;
    }
}

} // namespace

Error Link::refusal(int error, const char* what)
{
    const std::string sentence = std::string("the host refused to ") + what;
    if (const char* reason = reason_of(error))
        return {code_of(error), sentence + ": " + reason};
    return internal::system_error(error, sentence);
}

int Link::attempt(p2prdma_control_op op, std::span<const std::byte> request,
                  std::span<std::byte> reply, std::chrono::milliseconds wait,
                  std::size_t& length) const
{
    struct Turn {
        explicit Turn(std::counting_semaphore<P2PRDMA_CONTROL_CALLS>& of) : calls(of)
        {
            calls.acquire();
        }
        Turn(const Turn&) = delete;
        Turn& operator=(const Turn&) = delete;
        ~Turn() { calls.release(); }
        std::counting_semaphore<P2PRDMA_CONTROL_CALLS>& calls;
    };
    const Turn turn(calls_);
    const auto answer = card_.call(op, request, reply, std::min(wait, longest_call));
    length = std::min(answer.length, reply.size());
    return answer.status;
}

std::size_t Link::bytes(p2prdma_control_op op, std::span<const std::byte> request,
                        std::span<std::byte> reply, std::chrono::milliseconds wait,
                        const char* what) const
{
    std::size_t length = 0;
    if (const int error = attempt(op, request, reply, wait, length))
        throw refusal(error, what);
    return length;
}

HostObject::~HostObject()
{
    const p2prdma_id_request request = {.id = little(id_), .__reserved = 0};
    try {
        std::size_t length = 0;
        static_cast<void>(link_->attempt(destroy_, std::as_bytes(std::span(&request, 1)), {},
                                         link_->timeout(), length));
    } catch (
        const Error&) { // NOLINT(bugprone-empty-catch): the host is gone, and all of this with it
    }
}

} // namespace p2prdma::direct
