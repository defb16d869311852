// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "lib/l2/completion_ring.hpp"

#include <array>
#include <catch2/catch_test_macros.hpp>
#include <poll.h>

using namespace p2prdma::l2;

namespace {

bool readable(int fd)
{
    pollfd one = {fd, POLLIN, 0};
    return ::poll(&one, 1, 0) == 1;
}

void push(CompletionRing& ring, const Completion& completion, bool solicited)
{
    ring.reserve();
    ring.push(completion, solicited);
}

} // namespace

TEST_CASE("CompletionRing: shares are no more than there is")
{
    CompletionRing ring(5);
    CHECK_FALSE(ring.claim(6));
    REQUIRE(ring.claim(3));
    CHECK_FALSE(ring.claim(3));
    ring.unclaim(3);
    REQUIRE(ring.claim(5));
}

TEST_CASE("CompletionRing: in order, and what was not polled takes room")
{
    CompletionRing ring(5);
    std::uint64_t next = 0, seen = 0;
    std::array<Completion, 2> out;
    for (int round = 0; round < 20; ++round) {
        while (ring.has_room())
            push(ring, {.id = next++}, false);
        CHECK(ring.size() == 5);
        const auto count = ring.pop(out);
        REQUIRE(count == 2);
        for (const auto& one : out)
            REQUIRE(one.id == seen++);
    }
}

TEST_CASE("CompletionRing: what was posted has its room")
{
    CompletionRing ring(2);
    std::array<Completion, 2> out;
    ring.reserve();
    ring.reserve();
    CHECK_FALSE(ring.has_room());
    ring.push({}, false);
    CHECK_FALSE(ring.has_room());
    CHECK(ring.pop(out) == 1);
    REQUIRE(ring.has_room());
    ring.reserve();
    ring.give_back();
    CHECK(ring.has_room());
}

TEST_CASE("CompletionRing: its event is for what one armed it for")
{
    CompletionRing ring(8);
    ring.use_event();
    std::array<Completion, 8> out;
    push(ring, {}, true);
    CHECK_FALSE(readable(ring.event()));
    ring.arm(false); // one came before
    CHECK(readable(ring.event()));
    CHECK(ring.pop(out) == 1);
    CHECK_FALSE(readable(ring.event()));
    ring.arm(true);
    push(ring, {}, false);
    CHECK_FALSE(readable(ring.event()));
    SECTION("a solicited one")
    {
        push(ring, {}, true);
    }
    SECTION("a failed one")
    {
        push(ring, {.status = Status::flushed}, false);
    }
    CHECK(readable(ring.event()));
    CHECK(ring.pop(out) == 2);
    CHECK_FALSE(readable(ring.event()));
    push(ring, {}, true);
    CHECK_FALSE(readable(ring.event())); // armed for one
}
