// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
//
// Card memory that arrives as a descriptor, and descriptors that are something else.

#include <catch2/catch_test_macros.hpp>
#include <p2prdma/card.hpp>
#include <p2prdma/error.hpp>

#include <fcntl.h>
#include <linux/udmabuf.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <string>

namespace {

using p2prdma::Memory;
using p2prdma::UniqueFd;

constexpr std::size_t length = 8192;

UniqueFd host_memory()
{
    UniqueFd fd(memfd_create("test", MFD_ALLOW_SEALING | MFD_CLOEXEC));
    REQUIRE(ftruncate(fd.get(), length) == 0);
    REQUIRE(fcntl(fd.get(), F_ADD_SEALS, F_SEAL_SHRINK) == 0);
    return fd;
}

/// A dma-buf of the kernel's own udmabuf driver.
UniqueFd foreign_dmabuf()
{
    const UniqueFd device(open("/dev/udmabuf", O_RDWR | O_CLOEXEC));
    REQUIRE(device.get() >= 0);
    const UniqueFd memory = host_memory();
    udmabuf_create create{};
    create.memfd = static_cast<__u32>(memory.get());
    create.flags = UDMABUF_FLAGS_CLOEXEC;
    create.size = length;
    UniqueFd dmabuf(ioctl(device.get(), UDMABUF_CREATE, &create));
    REQUIRE(dmabuf.get() >= 0);
    return dmabuf;
}

std::string refusal_of(UniqueFd fd)
{
    try {
        (void)Memory::adopt(std::move(fd));
    } catch (const p2prdma::Error& error) {
        CHECK(error.code() == p2prdma::Errc::bad_argument);
        return error.what();
    }
    return "none";
}

} // namespace

TEST_CASE("card memory that another owner passed on is adopted, and is the same memory")
{
    const auto card = p2prdma::Card::open(0);
    auto original = card.allocate(length);
    auto mapping = original.map();
    const std::array data{std::byte{0x5a}};
    mapping.write(5000, data);
    mapping.flush();

    const Memory adopted = Memory::adopt(original.release());
    CHECK(adopted.length() == length);
    std::array<std::byte, 1> seen{};
    adopted.map().read(5000, seen);
    CHECK(seen == data);
}

TEST_CASE("a dma-buf from elsewhere is refused, and its exporter is named")
{
    CHECK(refusal_of(foreign_dmabuf()) ==
          "the dma-buf is memory of udmabuf, not of a card of p2prdma");
}

TEST_CASE("a descriptor that is no dma-buf is refused")
{
    const std::string sentence = "the descriptor is no dma-buf, so it is no card memory";
    CHECK(refusal_of(host_memory()) == sentence);
    CHECK(refusal_of(UniqueFd(open("/dev/null", O_RDWR | O_CLOEXEC))) == sentence);
    CHECK(refusal_of(UniqueFd()) == sentence);
}
