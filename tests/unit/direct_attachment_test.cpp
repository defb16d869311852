// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "lib/direct/attachment.hpp"

#include "p2prdma/error.hpp"

#include <catch2/catch_test_macros.hpp>

#include <array>
#include <optional>

using namespace p2prdma::direct;
using p2prdma::Errc;

namespace {

struct Rig {
    std::array<std::uint64_t, 16> memory{};
    EfaCompletionQueue queue{{std::as_writable_bytes(std::span(memory)), 8, 16}};
    std::uint32_t claimed = 0;

    std::error_code refusal(std::uint16_t number, std::uint32_t entries)
    {
        try {
            const Attachment attachment(queue, claimed, of(number, entries));
        } catch (const p2prdma::Error& error) {
            return error.code();
        }
        return {};
    }
    /// Nobody looks at the queues here: none completes anything.
    static Attachment::Queues of(std::uint16_t number, std::uint32_t entries)
    {
        static std::byte somewhere;
        return {number, reinterpret_cast<EfaSendQueue*>(&somewhere), nullptr, entries};
    }
};

} // namespace

TEST_CASE("direct: an attachment claims entries while it lives")
{
    Rig rig;
    std::optional<Attachment> first(std::in_place, rig.queue, rig.claimed, Rig::of(7, 5));
    CHECK(rig.claimed == 5);
    CHECK(rig.refusal(8, 4) == Errc::bad_argument);
    CHECK(rig.claimed == 5);
    CHECK_FALSE(rig.refusal(8, 3));
    CHECK(rig.claimed == 5);
    first.reset();
    CHECK(rig.claimed == 0);
    CHECK_FALSE(rig.refusal(7, 8));
}

TEST_CASE("direct: a second queue pair of a number is refused, and the first stays attached")
{
    Rig rig;
    const Attachment first(rig.queue, rig.claimed, Rig::of(7, 2));
    CHECK(rig.refusal(7, 2) == Errc::bad_argument);
    CHECK(rig.claimed == 2);
    CHECK(rig.refusal(7, 2) == Errc::bad_argument); // it was not detached by the one refused
}
