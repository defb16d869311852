// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// The kernel's fault injection makes one allocation after the other fail inside each call. What
// must come out is ENOMEM, or success where the kernel can do without; and nothing left behind.
// Needs a kernel with CONFIG_FAILSLAB, which distributions do not have: elsewhere it is skipped.

#include "tests/guest/fail_nth.hpp"
#include "tests/guest/uapi_card.hpp"

#include <catch2/catch_test_macros.hpp>

#include <functional>

using namespace uapi;

namespace {

/// Calls `call` (which returns 0 or an errno, and undoes what it did) with its first, second, ...
/// allocation failing, until it has no more.
void sweep(const std::function<int()>& call)
{
    FailNth fail;
    if (!fail.available())
        SKIP("the kernel has no fault injection");
    const UniqueFd card = open_card();
    const std::uint64_t before = mem_free(card);
    int failures = 0;
    for (int nth = 1; nth < 1000; nth++) {
        fail.set(nth);
        const int error = call();
        if (!fail.clear())
            break;
        INFO("allocation " << nth);
        CHECK((error == 0 || error == ENOMEM || error == ENFILE));
        CHECK(mem_free(card) == before);
        failures++;
    }
    INFO(failures << " allocations failed");
    CHECK(failures > 2);
}

} // namespace

TEST_CASE("fault injection: open")
{
    const std::string path = card_path();
    sweep([&] {
        const int fd = ::open(path.c_str(), O_RDWR | O_CLOEXEC);
        return fd < 0 ? errno : (::close(fd), 0);
    });
}

TEST_CASE("fault injection: MEM_ALLOC, write-combined and uncached")
{
    const UniqueFd card = open_card();
    for (const std::uint32_t cache : {P2PRDMA_CACHE_WC, P2PRDMA_CACHE_UC}) {
        p2prdma_mem_alloc alloc = request(MiB);
        alloc.cache = cache;
        sweep([&] { return try_alloc(card, alloc); });
    }
}

namespace {

/// 0 or the errno; closes the descriptor that came out.
template <typename Argument>
int try_open(const UniqueFd& card, unsigned long command, Argument argument)
{
    argument.size = sizeof(argument);
    const int error = call(card, command, &argument);
    if (error == 0)
        ::close(argument.fd);
    return error;
}

} // namespace

TEST_CASE("fault injection: DOORBELL_OPEN, CONTROL_OPEN, WINDOW_OPEN")
{
    const UniqueFd card = open_card();
    if (!(info(card).capabilities & P2PRDMA_CAP_CONTROL))
        SKIP("the card has no machine of its own");
    REQUIRE(try_open(card, P2PRDMA_CONTROL_OPEN, p2prdma_control_open{}) == 0); // stays allocated
    sweep([&] { return try_open(card, P2PRDMA_DOORBELL_OPEN, p2prdma_doorbell_open{}); });
    sweep([&] { return try_open(card, P2PRDMA_CONTROL_OPEN, p2prdma_control_open{}); });

    const char* other_path = std::getenv("P2PRDMA_OTHER_CARD");
    if (!other_path)
        return;
    const UniqueFd other(::open(other_path, O_RDWR | O_CLOEXEC));
    REQUIRE(other);
    const UniqueFd memory = allocate(other, page);
    p2prdma_window_open window = {};
    window.dmabuf_fd = memory.get();
    window.access = P2PRDMA_ACCESS_READ | P2PRDMA_ACCESS_WRITE;
    window.length = page;
    sweep([&] { return try_open(card, P2PRDMA_WINDOW_OPEN, window); });
}

TEST_CASE("fault injection: attach and map by another device's driver")
{
    const char* device = std::getenv("P2PRDMA_IMPORTER");
    const UniqueFd importer(::open("/dev/p2prdma_test_importer", O_RDWR | O_CLOEXEC));
    if (!importer || !device)
        SKIP("no importer");
    const UniqueFd card = open_card();
    const UniqueFd memory = allocate(card, MiB);
    const std::string attach = "attach " + std::to_string(memory.get()) + " " + device + " pinning";
    const auto write = [&](const std::string& text) {
        return ::write(importer.get(), text.data(), text.size()) < 0 ? errno : 0;
    };
    sweep([&] {
        int error = write(attach);
        if (error == 0) {
            error = write("map");
            write("detach");
        }
        return error;
    });
    CHECK(write("detach") == ENOTCONN);
}
