// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "lib/l2/process_pager.hpp"

#include "lib/l2/user_access.hpp"

namespace p2prdma::l2 {
namespace {

/// A caller that takes seldom is told the time all the same.
constexpr unsigned asked_at_most = 64;

} // namespace

ProcessPager::ProcessPager(const Config& config)
    : map_(config.page_map_lifetime), resolver_(config.resolver)
{
    user_access::prepare();
}

void ProcessPager::look_at_clock() noexcept
{
    now_ = std::chrono::steady_clock::now().time_since_epoch();
    asked_ = 0;
    clock_is_old_ = false;
}

std::size_t ProcessPager::present(const void* address, std::size_t length, Need) noexcept
{
    if (clock_is_old_ || ++asked_ > asked_at_most)
        look_at_clock();
    return map_.present(address, length, now_);
}

std::uint32_t ProcessPager::resolve(std::uint64_t token, const void* address, std::size_t length,
                                    Need need, std::size_t ahead) noexcept
{
    return resolver_.resolve(token, address, length, need, ahead);
}

void ProcessPager::forget(std::uint64_t token) noexcept
{
    resolver_.forget(token);
}

std::size_t ProcessPager::take(std::span<Resolved> out) noexcept
{
    clock_is_old_ = true; // time passes between rounds of the engine's, not in them
    return resolver_.take(out);
}

int ProcessPager::fd() const noexcept
{
    return resolver_.fd();
}

std::size_t ProcessPager::copy_in(void* to, std::span<const std::byte> from) noexcept
{
    return user_access::copy_to(to, from);
}

std::size_t ProcessPager::copy_out(std::span<std::byte> to, const void* from) noexcept
{
    return user_access::copy_from(to, from);
}

void ProcessPager::prefetch(const void* address, std::size_t length, Need need) noexcept
{
    resolver_.prefetch(address, length, need);
}

} // namespace p2prdma::l2
