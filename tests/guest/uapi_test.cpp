// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// The ioctls of a card: what they answer, and that each bad input gets its documented errno.

#include "tests/guest/uapi_card.hpp"

#include <catch2/catch_test_macros.hpp>

#include <sys/resource.h>

#include <array>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>
#include <vector>

using namespace uapi;

namespace {

struct Command {
    const char* name;
    unsigned long number;
    std::uint32_t size;
    std::uint32_t first_size; // of the first published version
};

constexpr std::array commands = {
    Command{"GET_INFO", P2PRDMA_GET_INFO, sizeof(p2prdma_get_info), sizeof(p2prdma_get_info)},
    Command{"MEM_ALLOC", P2PRDMA_MEM_ALLOC, sizeof(p2prdma_mem_alloc),
            offsetof(p2prdma_mem_alloc, card_offset)},
    Command{"REACH", P2PRDMA_REACH, sizeof(p2prdma_query_reach), sizeof(p2prdma_query_reach)},
};

/// A valid argument of any command, in a buffer that may be larger than the kernel's structure.
std::vector<std::uint8_t> argument_of(const Command& command, const UniqueFd& card,
                                      std::uint32_t size)
{
    std::vector<std::uint8_t> buffer(std::max(size, command.size));
    if (command.number == P2PRDMA_MEM_ALLOC) {
        const p2prdma_mem_alloc alloc = request(page);
        std::memcpy(buffer.data(), &alloc, sizeof(alloc));
    } else if (command.number == P2PRDMA_REACH) {
        p2prdma_query_reach reach = {};
        const p2prdma_get_info self = info(card);
        reach.peer = {self.pci_domain, self.pci_bus, self.pci_devfn};
        std::memcpy(buffer.data(), &reach, sizeof(reach));
    }
    std::memcpy(buffer.data(), &size, sizeof(size));
    return buffer;
}

/// Calls; closes the descriptor that a successful MEM_ALLOC leaves.
int call_and_close(const Command& command, const UniqueFd& card, void* argument)
{
    const int error = call(card, command.number, argument);
    if (error == 0 && command.number == P2PRDMA_MEM_ALLOC)
        ::close(static_cast<p2prdma_mem_alloc*>(argument)->fd);
    return error;
}

/// Two pages of which only the first can be accessed.
class GuardedPage {
public:
    GuardedPage()
        : base_(static_cast<std::uint8_t*>(::mmap(nullptr, 2 * page, PROT_READ | PROT_WRITE,
                                                  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)))
    {
        ::mprotect(base_ + page, page, PROT_NONE);
    }
    GuardedPage(const GuardedPage&) = delete;
    GuardedPage& operator=(const GuardedPage&) = delete;
    ~GuardedPage() { ::munmap(base_, 2 * page); }
    /// The last `size` bytes before the guard.
    std::uint8_t* tail(std::size_t size) { return base_ + page - size; }

private:
    std::uint8_t* base_;
};

std::string read_attribute(const std::string& name)
{
    const auto node = std::filesystem::path(card_path()).filename();
    std::ifstream file("/sys/class/p2prdma/" + node.string() + "/" + name);
    std::string value;
    std::getline(file, value);
    return value;
}

} // namespace

TEST_CASE("GET_INFO tells who the card is, and sysfs says the same")
{
    const UniqueFd card = open_card();
    const p2prdma_get_info i = info(card);
    const std::string driver(reinterpret_cast<const char*>(i.driver));
    CHECK((driver == "pci" || driver == "ivshmem" || driver == "refcard"));
    CHECK(i.abi_version == P2PRDMA_ABI_VERSION);
    CHECK((i.capabilities & P2PRDMA_CAP_MEM) != 0);
    CHECK(i.mem_granule == page);
    CHECK(i.mem_size > 0);
    CHECK(i.mem_size % page == 0);
    CHECK(i.mem_free <= i.mem_size);
    CHECK(i.mem_largest_free <= i.mem_free);
    CHECK(read_attribute("driver") == driver);
    CHECK(read_attribute("mem_size") == std::to_string(i.mem_size));
    CHECK(read_attribute("mem_free") == std::to_string(i.mem_free));
    CHECK(read_attribute("mem_largest_free") == std::to_string(i.mem_largest_free));
    CHECK(read_attribute("numa_node") == std::to_string(i.numa_node));
    CHECK(read_attribute("abi_version") == std::to_string(i.abi_version));
    CHECK(std::stoull(read_attribute("capabilities"), nullptr, 16) == i.capabilities);
}

TEST_CASE("an unknown ioctl is ENOTTY")
{
    const UniqueFd card = open_card();
    p2prdma_get_info buffer = {};
    buffer.size = sizeof(buffer);
    for (const unsigned long number : {0xb900UL, 0xb93fUL, 0xb97fUL, 0x1240UL})
        CHECK(call(card, number, &buffer) == ENOTTY);
}

TEST_CASE("size: too small, larger with a zero tail, larger with something in it")
{
    const UniqueFd card = open_card();
    const std::uint64_t before = mem_free(card);
    for (const Command& command : commands) {
        INFO(command.name);
        for (const std::uint32_t size : {0U, 4U, command.first_size - 8, command.first_size - 1})
            CHECK(call_and_close(command, card, argument_of(command, card, size).data()) == EINVAL);
        auto larger = argument_of(command, card, command.size + 64);
        CHECK(call_and_close(command, card, larger.data()) == 0);
        larger = argument_of(command, card, command.size + 64);
        larger.back() = 1;
        CHECK(call_and_close(command, card, larger.data()) == E2BIG);
        larger = argument_of(command, card, command.size + 1);
        larger.back() = 1;
        CHECK(call_and_close(command, card, larger.data()) == E2BIG);
        for (const std::uint32_t size : {4097U, 1U << 31, ~0U}) {
            auto huge = argument_of(command, card, command.size);
            std::memcpy(huge.data(), &size, sizeof(size));
            CHECK(call_and_close(command, card, huge.data()) == E2BIG);
        }
    }
    CHECK(mem_free(card) == before);
}

TEST_CASE("a structure at the end of a page is read and written no further")
{
    const UniqueFd card = open_card();
    GuardedPage guarded;
    for (const Command& command : commands) {
        INFO(command.name);
        auto argument = argument_of(command, card, command.size);
        std::uint8_t* tail = guarded.tail(command.size);
        std::memcpy(tail, argument.data(), command.size);
        CHECK(call_and_close(command, card, tail) == 0);
        std::memcpy(guarded.tail(command.size - 4), argument.data(), command.size - 4);
        CHECK(call_and_close(command, card, guarded.tail(command.size - 4)) == EFAULT);
        CHECK(call(card, command.number, guarded.tail(0)) == EFAULT);
        CHECK(call(card, command.number, nullptr) == EFAULT);
    }
}

TEST_CASE("a result that cannot be written is EFAULT and leaves nothing allocated")
{
    const UniqueFd card = open_card();
    const std::uint64_t before = mem_free(card);
    const p2prdma_mem_alloc alloc = request(page);
    void* read_only =
        ::mmap(nullptr, page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    std::memcpy(read_only, &alloc, sizeof(alloc));
    ::mprotect(read_only, page, PROT_READ);
    const int next = ::dup(0);
    ::close(next);
    CHECK(call(card, P2PRDMA_MEM_ALLOC, read_only) == EFAULT);
    CHECK(mem_free(card) == before);
    const int after = ::dup(0);
    CHECK(after == next); // no descriptor is left behind
    ::close(after);
    ::munmap(read_only, page);
}

TEST_CASE("unknown flags and reserved members are EOPNOTSUPP")
{
    const UniqueFd card = open_card();
    for (const Command& command : commands) {
        INFO(command.name);
        auto argument = argument_of(command, card, command.size);
        argument[4 + 3] = 0x80; // the highest bit of flags
        CHECK(call_and_close(command, card, argument.data()) == EOPNOTSUPP);
    }
    p2prdma_mem_alloc alloc = request(page);
    alloc.__reserved = 1;
    CHECK(try_alloc(card, alloc) == EOPNOTSUPP);
    auto reach = argument_of(commands[2], card, commands[2].size);
    reinterpret_cast<p2prdma_query_reach*>(reach.data())->__reserved = 1;
    CHECK(call(card, P2PRDMA_REACH, reach.data()) == EOPNOTSUPP);
}

TEST_CASE("MEM_ALLOC: lengths out of range")
{
    const UniqueFd card = open_card();
    CHECK(try_alloc(card, request(0)) == EINVAL);
    CHECK(try_alloc(card, request(~0ULL)) == EINVAL);
    CHECK(try_alloc(card, request(~0ULL - page + 2)) == EINVAL);
    CHECK(try_alloc(card, request(~0ULL - page + 1)) == ENOSPC);
    CHECK(try_alloc(card, request(1ULL << 63)) == ENOSPC);
    // A number of pages whose low 32 bits are 1.
    CHECK(try_alloc(card, request((1ULL << 44) + page)) == ENOSPC);
    CHECK(try_alloc(card, request(info(card).mem_size + 1)) == ENOSPC);
}

TEST_CASE("MEM_ALLOC: alignment, cache type and policy out of range")
{
    const UniqueFd card = open_card();
    for (const std::uint64_t alignment : {3UL, page + 1, 3 * page, ~0UL}) {
        p2prdma_mem_alloc alloc = request(page);
        alloc.alignment = alignment;
        CHECK(try_alloc(card, alloc) == EINVAL);
    }
    p2prdma_mem_alloc alloc = request(page);
    alloc.cache = P2PRDMA_CACHE_UC + 1;
    CHECK(try_alloc(card, alloc) == EINVAL);
    alloc = request(page);
    alloc.policy = P2PRDMA_POLICY_REVOCABLE + 1;
    CHECK(try_alloc(card, alloc) == EINVAL);
    alloc.policy = P2PRDMA_POLICY_REVOCABLE;
    const bool revoke = (info(card).capabilities & P2PRDMA_CAP_REVOKE) != 0;
    CHECK(try_alloc(card, alloc) == (revoke ? 0 : EOPNOTSUPP));
}

TEST_CASE("MEM_ALLOC rounds up to the granule and gives a close-on-exec dma-buf of that size")
{
    const UniqueFd card = open_card();
    p2prdma_mem_alloc alloc = request(2 * page + 1);
    REQUIRE(call(card, P2PRDMA_MEM_ALLOC, &alloc) == 0);
    const UniqueFd memory(alloc.fd);
    CHECK(alloc.length == 3 * page);
    CHECK(::lseek(memory.get(), 0, SEEK_END) == off_t(3 * page));
    CHECK(::fcntl(memory.get(), F_GETFD) == FD_CLOEXEC);
}

TEST_CASE("MEM_ALLOC: small alignments are those of a page, large ones move the range")
{
    const UniqueFd card = open_card();
    const std::uint64_t before = mem_free(card);
    const UniqueFd first = allocate(card, page);
    for (const std::uint64_t alignment : {1UL, 8UL, page, MiB}) {
        p2prdma_mem_alloc alloc = request(page);
        alloc.alignment = alignment;
        CHECK(try_alloc(card, alloc) == 0);
    }
    // Only offset 0 is aligned to more than the card's size, and it is taken.
    p2prdma_mem_alloc alloc = request(page);
    alloc.alignment = 1ULL << 63;
    CHECK(try_alloc(card, alloc) == ENOSPC);
    CHECK(mem_free(card) == before - page);
}

TEST_CASE("the largest free range can be allocated, and nothing more fits beside it")
{
    const UniqueFd card = open_card();
    const p2prdma_get_info before = info(card);
    {
        const UniqueFd all = allocate(card, before.mem_largest_free);
        CHECK(mem_free(card) == before.mem_free - before.mem_largest_free);
        CHECK(try_alloc(card, request(before.mem_largest_free)) == ENOSPC);
    }
    CHECK(mem_free(card) == before.mem_free);
    CHECK(info(card).mem_largest_free == before.mem_largest_free);
}

TEST_CASE("a full card is ENOSPC and recovers; the largest free range is exact in between")
{
    const UniqueFd card = open_card();
    const p2prdma_get_info before = info(card);
    const std::uint64_t piece = before.mem_largest_free / 16 / page * page;
    std::vector<UniqueFd> pieces;
    int error = 0;
    while (error == 0) {
        p2prdma_mem_alloc alloc = request(piece);
        error = call(card, P2PRDMA_MEM_ALLOC, &alloc);
        if (error == 0)
            pieces.emplace_back(alloc.fd);
    }
    CHECK(error == ENOSPC);
    REQUIRE(pieces.size() >= 16);
    CHECK(mem_free(card) == before.mem_free - pieces.size() * piece);

    // Every other piece: there is room for one of them, and not for two in a row.
    for (std::size_t i = 1; i < 16; i += 2)
        pieces[i].reset();
    CHECK(info(card).mem_largest_free >= piece);
    CHECK(info(card).mem_largest_free < 2 * piece);
    CHECK(try_alloc(card, request(2 * piece)) == ENOSPC);
    CHECK(try_alloc(card, request(piece)) == 0);
    pieces[4].reset();
    CHECK(info(card).mem_largest_free == 3 * piece);
    pieces.clear();
    CHECK(info(card).mem_largest_free == before.mem_largest_free);
    CHECK(mem_free(card) == before.mem_free);
}

TEST_CASE("no descriptor left is EMFILE and leaves nothing allocated")
{
    const UniqueFd card = open_card();
    const std::uint64_t before = mem_free(card);
    rlimit old = {};
    ::getrlimit(RLIMIT_NOFILE, &old);
    const int next = ::dup(0);
    ::close(next);
    const rlimit tight = {rlim_t(next), old.rlim_max};
    ::setrlimit(RLIMIT_NOFILE, &tight);
    const int error = try_alloc(card, request(page));
    ::setrlimit(RLIMIT_NOFILE, &old);
    CHECK(error == EMFILE);
    CHECK(mem_free(card) == before);
}

TEST_CASE("a descriptor open for reading only cannot allocate")
{
    const UniqueFd card = open_card(O_RDONLY);
    CHECK(info(card).mem_size > 0);
    CHECK(try_alloc(card, request(page)) == EACCES);
}

TEST_CASE("REACH: the card reaches itself; what does not exist is ENXIO")
{
    const UniqueFd card = open_card();
    const p2prdma_get_info self = info(card);
    p2prdma_query_reach reach = {};
    reach.size = sizeof(reach);
    reach.peer = {self.pci_domain, self.pci_bus, self.pci_devfn};
    REQUIRE(call(card, P2PRDMA_REACH, &reach) == 0);
    CHECK(reach.reach == P2PRDMA_REACH_SWITCH);
    CHECK(reach.distance == 0);
    CHECK(reach.card_port.bus == reach.peer_port.bus);
    CHECK(reach.card_port.devfn == reach.peer_port.devfn);
    CHECK(reach.host_vendor != 0);
    for (const p2prdma_pci_addr nobody :
         {p2prdma_pci_addr{self.pci_domain, 0xfe, 0}, p2prdma_pci_addr{0xffff, 0, 0},
          p2prdma_pci_addr{~0U, 0, 0}, p2prdma_pci_addr{self.pci_domain, 0x100, 0},
          p2prdma_pci_addr{self.pci_domain, 0, 0x100}}) {
        reach.peer = nobody;
        CHECK(call(card, P2PRDMA_REACH, &reach) == ENXIO);
    }
}
