// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
//
// What it costs to allocate, map, unmap and free 1 MiB of card memory, and to register it with an
// adapter, beside the same for host memory. Runs inside a lab machine; prints one JSON object.

#include "tests/bench/syscall_counter.hpp"

#include <infiniband/verbs.h>
#include <p2prdma/card.hpp>
#include <p2prdma/memory_region.hpp>
#include <sys/mman.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <exception>
#include <functional>
#include <memory>
#include <span>
#include <stdexcept>
#include <vector>

namespace {

constexpr std::size_t length = 1 << 20;
constexpr int rounds = 100;
constexpr int access_flags = IBV_ACCESS_LOCAL_WRITE;

struct Cost {
    double microseconds; ///< median of `rounds`
    double syscalls;     ///< mean
};

Cost measure(bench::SyscallCounter& syscalls, const std::function<void()>& operation)
{
    operation(); // the first pays for page tables and caches
    std::vector<double> times;
    times.reserve(rounds);
    syscalls.start();
    for (int i = 0; i < rounds; ++i) {
        const auto begin = std::chrono::steady_clock::now();
        operation();
        const std::chrono::duration<double, std::micro> took =
            std::chrono::steady_clock::now() - begin;
        times.push_back(took.count());
    }
    const double calls = static_cast<double>(syscalls.count()) / rounds;
    std::nth_element(times.begin(), times.begin() + rounds / 2, times.end());
    return {times[rounds / 2], calls};
}

void print(const char* name, const Cost& cost, const char* end)
{
    std::printf("\"%s\": {\"microseconds\": %.1f, \"syscalls\": %.2f}%s", name, cost.microseconds,
                cost.syscalls, end);
}

/// Anonymous host memory.
class HostMemory {
public:
    HostMemory()
        : memory_(mmap(nullptr, length, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0))
    {
        if (memory_ == MAP_FAILED)
            throw std::runtime_error("mmap of host memory failed");
    }
    ~HostMemory() { munmap(memory_, length); }
    HostMemory(const HostMemory&) = delete;
    HostMemory& operator=(const HostMemory&) = delete;
    [[nodiscard]] std::span<std::byte> span() const
    {
        return {static_cast<std::byte*>(memory_), length};
    }

private:
    void* memory_;
};

struct Close {
    void operator()(ibv_context* context) const { ibv_close_device(context); }
    void operator()(ibv_pd* pd) const { ibv_dealloc_pd(pd); }
};

std::unique_ptr<ibv_context, Close> open_adapter()
{
    ibv_device** list = ibv_get_device_list(nullptr);
    ibv_context* context = list && list[0] ? ibv_open_device(list[0]) : nullptr;
    ibv_free_device_list(list);
    if (!context)
        throw std::runtime_error("no RDMA device can be opened");
    return std::unique_ptr<ibv_context, Close>(context);
}

void run()
{
    const auto card = p2prdma::Card::open(0);
    const auto context = open_adapter();
    const std::unique_ptr<ibv_pd, Close> pd(ibv_alloc_pd(context.get()));
    bench::SyscallCounter syscalls;

    const Cost card_cycle = measure(syscalls, [&] { (void)card.allocate(length).map(); });
    const Cost host_cycle = measure(syscalls, [] { const HostMemory memory; });
    const auto memory = card.allocate(length);
    const HostMemory host;
    const Cost card_registration = measure(
        syscalls, [&] { const p2prdma::MemoryRegion region(pd.get(), memory, access_flags); });
    const Cost host_registration = measure(
        syscalls, [&] { const p2prdma::MemoryRegion region(pd.get(), host.span(), access_flags); });

    std::printf("{\"bytes\": %zu, \"rounds\": %d, ", length, rounds);
    print("card_allocate_map_unmap_free", card_cycle, ", ");
    print("host_mmap_populate_munmap", host_cycle, ", ");
    print("card_register_deregister", card_registration, ", ");
    print("host_register_deregister", host_registration, "}\n");
}

} // namespace

int main()
try {
    run();
    return 0;
} catch (const std::exception& error) {
    std::fprintf(stderr, "memory: %s\n", error.what());
    return 1;
}
