// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// The ABI between module and user space, pinned: sizes, offsets, numbers, and no padding that
// the compiler put in.

#include <linux/p2prdma.h>

#include <catch2/catch_test_macros.hpp>

#include <unistd.h>

#include <cstddef>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

namespace {

// A member's offset is pinned, and so is that the member before it ends there.
#define NEXT(type, member, offset)                                                                 \
    do {                                                                                           \
        static_assert(offsetof(type, member) == (offset));                                         \
        CHECK(end == (offset));                                                                    \
        end += sizeof(type::member);                                                               \
    } while (false)

TEST_CASE("struct p2prdma_get_info", "[uapi]")
{
    size_t end = 0;
    NEXT(p2prdma_get_info, size, 0);
    NEXT(p2prdma_get_info, flags, 4);
    NEXT(p2prdma_get_info, abi_version, 8);
    NEXT(p2prdma_get_info, numa_node, 12);
    NEXT(p2prdma_get_info, capabilities, 16);
    NEXT(p2prdma_get_info, mem_size, 24);
    NEXT(p2prdma_get_info, mem_free, 32);
    NEXT(p2prdma_get_info, mem_largest_free, 40);
    NEXT(p2prdma_get_info, mem_granule, 48);
    NEXT(p2prdma_get_info, pci_domain, 52);
    NEXT(p2prdma_get_info, pci_bus, 56);
    NEXT(p2prdma_get_info, pci_devfn, 58);
    NEXT(p2prdma_get_info, pci_vendor, 60);
    NEXT(p2prdma_get_info, pci_device, 62);
    NEXT(p2prdma_get_info, driver, 64);
    CHECK(end == sizeof(p2prdma_get_info));
    static_assert(sizeof(p2prdma_get_info) == 80);
}

TEST_CASE("struct p2prdma_mem_alloc", "[uapi]")
{
    size_t end = 0;
    NEXT(p2prdma_mem_alloc, size, 0);
    NEXT(p2prdma_mem_alloc, flags, 4);
    NEXT(p2prdma_mem_alloc, length, 8);
    NEXT(p2prdma_mem_alloc, alignment, 16);
    NEXT(p2prdma_mem_alloc, cache, 24);
    NEXT(p2prdma_mem_alloc, policy, 28);
    NEXT(p2prdma_mem_alloc, fd, 32);
    NEXT(p2prdma_mem_alloc, __reserved, 36);
    NEXT(p2prdma_mem_alloc, card_offset, 40);
    CHECK(end == sizeof(p2prdma_mem_alloc));
    static_assert(sizeof(p2prdma_mem_alloc) == 48);
}

TEST_CASE("struct p2prdma_query_reach", "[uapi]")
{
    size_t end = 0;
    NEXT(p2prdma_query_reach, size, 0);
    NEXT(p2prdma_query_reach, flags, 4);
    NEXT(p2prdma_query_reach, peer, 8);
    NEXT(p2prdma_query_reach, reach, 16);
    NEXT(p2prdma_query_reach, distance, 20);
    NEXT(p2prdma_query_reach, card_port, 24);
    NEXT(p2prdma_query_reach, peer_port, 32);
    NEXT(p2prdma_query_reach, common, 40);
    NEXT(p2prdma_query_reach, host_vendor, 48);
    NEXT(p2prdma_query_reach, host_device, 50);
    NEXT(p2prdma_query_reach, __reserved, 52);
    CHECK(end == sizeof(p2prdma_query_reach));
    static_assert(sizeof(p2prdma_query_reach) == 56);
}

TEST_CASE("struct p2prdma_pci_addr", "[uapi]")
{
    size_t end = 0;
    NEXT(p2prdma_pci_addr, domain, 0);
    NEXT(p2prdma_pci_addr, bus, 4);
    NEXT(p2prdma_pci_addr, devfn, 6);
    CHECK(end == sizeof(p2prdma_pci_addr));
    static_assert(sizeof(p2prdma_pci_addr) == 8);
}

TEST_CASE("ioctl numbers and constants", "[uapi]")
{
    STATIC_REQUIRE(P2PRDMA_GET_INFO == 0xb940);
    STATIC_REQUIRE(P2PRDMA_MEM_ALLOC == 0xb941);
    STATIC_REQUIRE(P2PRDMA_REACH == 0xb942);
    STATIC_REQUIRE(P2PRDMA_NAME_LEN == 16);
    STATIC_REQUIRE(P2PRDMA_CAP_MEM == 1);
    STATIC_REQUIRE(P2PRDMA_CAP_P2PDMA == 2);
    STATIC_REQUIRE(P2PRDMA_CAP_REVOKE == 4);
    STATIC_REQUIRE(P2PRDMA_CAP_DOORBELL == 8);
    STATIC_REQUIRE(P2PRDMA_CACHE_WC == 0);
    STATIC_REQUIRE(P2PRDMA_CACHE_UC == 1);
    STATIC_REQUIRE(P2PRDMA_POLICY_PINNABLE == 0);
    STATIC_REQUIRE(P2PRDMA_POLICY_REVOCABLE == 1);
    STATIC_REQUIRE(P2PRDMA_REACH_SWITCH == 0);
    STATIC_REQUIRE(P2PRDMA_REACH_BRIDGE == 1);
    STATIC_REQUIRE(P2PRDMA_REACH_REFUSED == 2);
    STATIC_REQUIRE(P2PRDMA_REACH_UNSUPPORTED == 3);
}

// The header alone, as a program in C or C++ would include it. Needs the top of the source tree
// as working directory, as "make check" has it.
bool compiles_alone(const std::string& compiler, const std::string& flags,
                    const std::string& suffix)
{
    const auto source = std::filesystem::temp_directory_path() /
                        ("uapi_layout_test." + std::to_string(::getpid()) + suffix);
    std::ofstream(source) << "#include <linux/p2prdma.h>\nint main(void) { return 0; }\n";
    const std::string command = compiler + " " + flags +
                                " -Wall -Wextra -Wpedantic -Werror -fsyntax-only -Iinclude/uapi " +
                                source.string();
    const int status = std::system(command.c_str());
    std::filesystem::remove(source);
    return status == 0;
}

TEST_CASE("the header compiles alone", "[uapi]")
{
    if (!std::filesystem::exists("include/uapi/linux/p2prdma.h"))
        SKIP("not run from the top of the source tree");
    CHECK(compiles_alone("cc", "-std=c99", ".c"));
    CHECK(compiles_alone("cc", "-std=c17", ".c"));
    CHECK(compiles_alone("c++", "-std=c++11", ".cpp"));
    CHECK(compiles_alone("c++", "-std=c++20", ".cpp"));
}

} // namespace
