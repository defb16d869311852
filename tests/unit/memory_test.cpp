// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "p2prdma/memory.hpp"

#include "p2prdma/error.hpp"

#include <array>
#include <cerrno>
#include <type_traits>

#include <catch2/catch_all.hpp>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

using namespace p2prdma;

namespace {

UniqueFd memory_fd(off_t length)
{
    UniqueFd fd(::memfd_create("card", MFD_CLOEXEC));
    REQUIRE(::ftruncate(fd.get(), length) == 0);
    return fd;
}

bool is_open(int fd)
{
    return ::fcntl(fd, F_GETFD) >= 0;
}

} // namespace

TEST_CASE("unique fd: closes, moves, releases")
{
    STATIC_CHECK_FALSE(std::is_copy_constructible_v<UniqueFd>);
    STATIC_CHECK(std::is_nothrow_move_constructible_v<UniqueFd>);
    int number = -1;
    {
        UniqueFd fd = memory_fd(1);
        number = fd.get();
        UniqueFd other = std::move(fd);
        CHECK_FALSE(fd); // NOLINT
        CHECK(other.get() == number);
        auto& same = other;
        other = std::move(same); // to itself
        CHECK(is_open(number));
    }
    CHECK_FALSE(is_open(number));
    UniqueFd fd = memory_fd(1);
    const int kept = fd.release();
    CHECK_FALSE(fd);
    CHECK(is_open(kept));
    fd.reset(kept);
    const auto copy = fd.dup();
    CHECK(copy.get() != kept);
    CHECK((::fcntl(copy.get(), F_GETFD) & FD_CLOEXEC) != 0);
    CHECK_THROWS_AS(static_cast<void>(UniqueFd().dup()), Error);
}

TEST_CASE("memory: asks the kernel for the length")
{
    const Memory memory(memory_fd(8192), Cache::uncached, 3);
    CHECK(memory.length() == 8192);
    CHECK(memory.cache() == Cache::uncached);
    CHECK(memory.card() == 3u);
    CHECK(memory.map().size() == 8192);
}

TEST_CASE("memory: refuses descriptors without memory behind them")
{
    CHECK_THROWS_AS(Memory(memory_fd(0)), Error);
    CHECK_THROWS_AS(Memory(UniqueFd()), Error);
    std::array<int, 2> ends = {};
    REQUIRE(::pipe(ends.data()) == 0);
    CHECK_THROWS_AS(Memory(UniqueFd(ends[0])), Error);
    CHECK_FALSE(is_open(ends[0]));
    ::close(ends[1]);
}

TEST_CASE("memory: adopts no descriptor that is not a dma-buf")
{
    CHECK_THROWS_AS(Memory::adopt(memory_fd(4096)), Error);
    CHECK_THROWS_AS(Memory::adopt(UniqueFd()), Error);
}

TEST_CASE("memory: is shared, released and moved without a second free")
{
    Memory memory(memory_fd(4096));
    auto mapping = memory.map();
    const std::array data = {std::byte{1}, std::byte{2}};
    mapping.write(0, data);
    const Memory second = memory.share();
    CHECK(second.fd() != memory.fd());
    const int number = memory.fd();
    {
        const auto fd = memory.release();
        CHECK(fd.get() == number);
        CHECK(memory.length() == 0);
    }
    CHECK_FALSE(is_open(number));
    std::array<std::byte, 2> into = {};
    CHECK(second.map().read(0, into) == 2);
    CHECK(into == data);
}
