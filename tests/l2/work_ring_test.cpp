// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "lib/l2/work_ring.hpp"

#include <catch2/catch_test_macros.hpp>
#include <deque>
#include <random>

using namespace p2prdma::l2;

TEST_CASE("WorkRing: as a queue, whatever is pushed, popped and taken back")
{
    using Ring = WorkRing<std::uint64_t, 4>;
    Ring::Pool pool;
    for (const std::uint32_t entries : {1U, 3U, 4U, 5U, 16U, 100U}) {
        Ring ring(pool, entries);
        std::deque<std::uint64_t> model;
        std::mt19937_64 random(entries);
        for (std::uint64_t i = 0; i < 20'000; ++i) {
            switch (random() % 3) {
            case 0:
                if (!model.empty()) {
                    ring.pop();
                    model.pop_front();
                }
                break;
            case 1:
                if (!model.empty() && random() % 4 == 0) {
                    ring.pop_last();
                    model.pop_back();
                    break;
                }
                [[fallthrough]];
            default:
                auto* const entry = ring.push();
                REQUIRE((entry != nullptr) == (model.size() < entries));
                if (entry != nullptr) {
                    *entry = i;
                    model.push_back(i);
                }
            }
            REQUIRE(ring.size() == model.size());
            if (!model.empty()) {
                REQUIRE(ring[ring.head()] == model.front());
                REQUIRE(ring[ring.tail() - 1] == model.back());
                const auto any = static_cast<std::uint32_t>(random() % model.size());
                REQUIRE(ring[ring.head() + any] == model[any]);
            }
        }
    }
}
