// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "tests/unit/efa_fake_driver.hpp"
#include "tools/lab/efa/page_list.hpp"

#include <catch2/catch_test_macros.hpp>
#include <cerrno>
#include <optional>

using namespace lab;
using namespace lab::efa;
using namespace lab::efa::test;

namespace {

/// Lays out indirect lists as the driver does.
struct Lists {
    struct Outcome {
        int error = -1;
        std::vector<std::uint64_t> pages;
    };
    Outcome outcome;
    PageListDone keep()
    {
        return [this](int error, std::vector<std::uint64_t> pages) {
            outcome = {error, std::move(pages)};
        };
    }
    void put(std::uint64_t address, std::uint64_t value)
    {
        std::memcpy(driver.at(address, 8).data(), &value, 8);
    }
    /// A list of `count` addresses, n-th: n pages; its chunks are linked from last to first.
    admin::ControlBuffer build(std::uint64_t count)
    {
        std::vector<std::uint64_t> list_pages;
        for (std::uint64_t i = 0; i < count; ++i) {
            if (i % 512 == 0)
                list_pages.push_back(driver.allocate(4096));
            put(list_pages.back() + i % 512 * 8, i * 4096);
        }
        admin::ControlBuffer next{};
        for (std::size_t chunk = (list_pages.size() + 509) / 510; chunk-- > 0;) {
            std::uint64_t where = driver.allocate(4096);
            std::size_t n = std::min<std::size_t>(510, list_pages.size() - chunk * 510);
            for (std::size_t i = 0; i < n; ++i)
                put(where + i * 8, list_pages[chunk * 510 + i]);
            std::memcpy(driver.at(where + 4080, sizeof(next)).data(), &next, sizeof(next));
            next = {static_cast<std::uint32_t>(n * 8 + 12), where};
        }
        return next;
    }
    bool right(std::uint64_t count) const
    {
        if (outcome.error != 0 || outcome.pages.size() != count)
            return false;
        for (std::uint64_t i = 0; i < count; ++i) {
            if (outcome.pages[i] != i * 4096)
                return false;
        }
        return true;
    }

    EventLoop loop;
    Fabric fabric{loop};
    FakeDriver driver{loop, fabric, "a"};
};

} // namespace

TEST_CASE_METHOD(Lists, "indirect lists of one chunk and of several are followed", "[efa][pages]")
{
    for (std::uint64_t count :
         {1ull, 512ull, 513ull, 510ull * 512, 510ull * 512 + 1, 2ull * 510 * 512 + 700}) {
        fetch_indirect_page_list(driver.adapter.dma(), build(count), count, keep());
        INFO(count);
        CHECK(right(count));
    }
}

TEST_CASE_METHOD(Lists, "a chunk that is too short is refused", "[efa][pages]")
{
    auto first = build(513);
    first.length = 15;
    fetch_indirect_page_list(driver.adapter.dma(), first, 513, keep());
    CHECK(outcome.error == EINVAL);
    first = build(510ull * 512 + 1);
    first.length = 4091;
    fetch_indirect_page_list(driver.adapter.dma(), first, 510ull * 512 + 1, keep());
    CHECK(outcome.error == EINVAL);
}

TEST_CASE_METHOD(Lists, "a chain that ends too early, or leads nowhere, is an error",
                 "[efa][pages]")
{
    auto first = build(510ull * 512);
    fetch_indirect_page_list(driver.adapter.dma(), first, 510ull * 512 + 1, keep());
    CHECK(outcome.error == EINVAL);
    first.address = 1ull << 40;
    fetch_indirect_page_list(driver.adapter.dma(), first, 510ull * 512, keep());
    CHECK(outcome.error == EFAULT);
}

TEST_CASE_METHOD(Lists, "a list in one piece is read as it is", "[efa][pages]")
{
    std::uint64_t where = driver.allocate(4096 * 2);
    for (std::uint64_t i = 0; i < 600; ++i)
        put(where + i * 8, i * 4096);
    fetch_page_list(driver.adapter.dma(), {4800, where}, 600, keep());
    CHECK(right(600));
    fetch_page_list(driver.adapter.dma(), {4799, where}, 600, keep());
    CHECK(outcome.error == EINVAL);
}
