// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "p2prdma/mapping.hpp"

#include "lib/internal.hpp"
#include "p2prdma/unique_fd.hpp"

#include <algorithm>
#include <vector>

#include <catch2/catch_all.hpp>
#include <sys/mman.h>
#include <unistd.h>

using namespace p2prdma;

namespace {

constexpr std::size_t page = 4096;

UniqueFd memory(std::size_t length)
{
    UniqueFd fd(::memfd_create("card", MFD_CLOEXEC));
    REQUIRE(::ftruncate(fd.get(), static_cast<off_t>(length)) == 0);
    return fd;
}

std::vector<std::byte> pattern(std::size_t length)
{
    std::vector<std::byte> bytes(length);
    for (std::size_t i = 0; i < length; i++)
        bytes[i] = static_cast<std::byte>(i * 7 + 1);
    return bytes;
}

} // namespace

TEST_CASE("mapping: accesses are split at multiples of 8, each byte once")
{
    for (std::uintptr_t address = 0; address < 17; address++)
        for (std::size_t length = 0; length < 40; length++) {
            const auto split = internal::split_access(address, length);
            REQUIRE(split.head + split.words * 8 + split.tail == length);
            REQUIRE(split.head < 8);
            REQUIRE(split.tail < 8);
            if (split.words || split.tail)
                REQUIRE((address + split.head) % 8 == 0);
        }
}

TEST_CASE("mapping: writes and reads at all alignments")
{
    const auto fd = memory(page);
    Mapping mapping(fd.get(), page);
    CHECK(mapping.size() == page);
    for (std::size_t offset = 0; offset < 17; offset++)
        for (std::size_t length : {0, 1, 3, 7, 8, 9, 15, 16, 31, 64}) {
            const auto sent = pattern(length + 1);
            std::vector<std::byte> all(page);
            REQUIRE(mapping.write(0, all) == page);
            // From and into odd addresses of this side, too.
            REQUIRE(mapping.write(offset, std::span(sent).subspan(1)) == length);
            REQUIRE(mapping.read(0, all) == page);
            REQUIRE(std::equal(sent.begin() + 1, sent.end(),
                               all.begin() + static_cast<std::ptrdiff_t>(offset)));
            REQUIRE(static_cast<std::size_t>(std::ranges::count(all, std::byte{})) ==
                    page - length +
                        static_cast<std::size_t>(
                            std::count(sent.begin() + 1, sent.end(), std::byte{})));
            std::vector<std::byte> got(length + 1);
            REQUIRE(mapping.read(offset, std::span(got).subspan(1)) == length);
            REQUIRE(std::equal(got.begin() + 1, got.end(), sent.begin() + 1));
        }
}

TEST_CASE("mapping: never goes beyond its end")
{
    const auto fd = memory(2 * page);
    Mapping mapping(fd.get(), page);
    const auto data = pattern(100);
    std::vector<std::byte> into(100, std::byte{0xee});
    CHECK(mapping.write(page - 10, data) == 10);
    CHECK(mapping.read(page - 10, into) == 10);
    CHECK(std::equal(data.begin(), data.begin() + 10, into.begin()));
    CHECK(into[10] == std::byte{0xee});
    CHECK(mapping.write(page, data) == 0);
    CHECK(mapping.read(SIZE_MAX, into) == 0);
    std::byte behind{};
    REQUIRE(::pread(fd.get(), &behind, 1, page) == 1);
    CHECK(behind == std::byte{});
}

TEST_CASE("mapping: is shared with other mappings, survives its descriptor, can be moved")
{
    auto fd = memory(page);
    Mapping one(fd.get(), page);
    Mapping other(fd.get(), page);
    fd.reset();
    const auto data = pattern(64);
    CHECK(one.write(0, data) == 64);
    one.flush();
    one.fence();
    Mapping moved(std::move(one));
    std::vector<std::byte> into(64);
    CHECK(other.read(0, into) == 64);
    CHECK(into == data);
    other = std::move(moved);
    CHECK(other.read(0, into) == 64);
    CHECK(moved.size() == 0);        // NOLINT: a moved-from mapping is empty
    CHECK(moved.read(0, into) == 0); // NOLINT
    moved.flush();                   // NOLINT: touches nothing
    CHECK(other.span().size() == page);
}

TEST_CASE("mapping: tells why it cannot be made")
{
    CHECK_THROWS_AS(Mapping(-1, page), std::system_error);
    CHECK_THROWS_AS(Mapping(memory(page).get(), 0), std::system_error);
}
