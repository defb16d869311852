// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "lib/l2/simulated_pager.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace p2prdma::l2 {
namespace {

std::uint32_t microseconds(Time duration, double factor) noexcept
{
    const double wanted = static_cast<double>(duration.count()) / 1000 * factor;
    return static_cast<std::uint32_t>(std::clamp(wanted, 1.0, 4e9));
}

} // namespace

SimulatedPager::SimulatedPager(const Config& config) : config_(config), random_(config.seed) {}

SimulatedPager::PageNumber SimulatedPager::page_of(const void* address,
                                                   std::size_t offset) const noexcept
{
    return (reinterpret_cast<std::uintptr_t>(address) + offset) / config_.page_size;
}

void SimulatedPager::track(std::span<const std::byte> range)
{
    if (range.empty())
        return;
    const PageNumber first = page_of(range.data());
    std::vector<Page> pages(page_of(range.data(), range.size() - 1) - first + 1);
    std::uniform_real_distribution<double> share(0, 1);
    for (Page& page : pages)
        page = share(random_) < config_.absent ? Page::absent : Page::present;
    pages_ += pages.size();
    range_list_.emplace_back(first, pages.size());
    ranges_[first] = std::move(pages);
    plan_vanishing();
}

void SimulatedPager::set(std::span<const std::byte> range, Page page)
{
    if (range.empty())
        return;
    const PageNumber last = page_of(range.data(), range.size() - 1);
    for (PageNumber number = page_of(range.data()); number <= last; ++number)
        if (Page* const found = find(number))
            *found = page;
}

void SimulatedPager::set_times(Time shortest, Time longest, double estimate_factor) noexcept
{
    config_.shortest = shortest;
    config_.longest = longest;
    config_.estimate_factor = estimate_factor;
}

SimulatedPager::Page* SimulatedPager::find(PageNumber number) noexcept
{
    auto range = ranges_.upper_bound(number);
    if (range == ranges_.begin())
        return nullptr;
    --range;
    const std::size_t index = number - range->first;
    return index < range->second.size() ? &range->second[index] : nullptr;
}

template <typename Predicate>
SimulatedPager::PageNumber SimulatedPager::run_end(PageNumber first, PageNumber last,
                                                   Predicate is) noexcept
{
    for (PageNumber number = first; number <= last; ++number)
        if (const Page* const page = find(number); page && !is(*page))
            return number;
    return last + 1;
}

std::size_t SimulatedPager::bytes_before(PageNumber end, const void* address,
                                         std::size_t length) const noexcept
{
    const auto start = reinterpret_cast<std::uintptr_t>(address);
    const std::uintptr_t stop = end * config_.page_size;
    return stop <= start ? 0 : std::min(length, stop - start);
}

std::size_t SimulatedPager::present(const void* address, std::size_t length, Need) noexcept
{
    if (length == 0)
        return 0;
    const PageNumber end = run_end(page_of(address), page_of(address, length - 1),
                                   [](Page page) { return page == Page::present; });
    return bytes_before(end, address, length);
}

Time SimulatedPager::draw_duration() noexcept
{
    std::uniform_int_distribution<Time::rep> between(
        config_.shortest.count(), std::max(config_.shortest, config_.longest).count());
    return Time(between(random_));
}

/// When it will be over, from what its pages are like.
Time SimulatedPager::begin(const Job& job) noexcept
{
    const auto all_are_not = [&](Page kind) {
        return run_end(job.first, job.last, [=](Page page) { return page != kind; }) > job.last;
    };
    if (!all_are_not(Page::unmapped))
        return Time(0);
    return all_are_not(Page::unanswered) ? draw_duration() : config_.fault_limit;
}

std::uint32_t SimulatedPager::resolve(std::uint64_t token, const void* address, std::size_t length,
                                      Need, std::size_t ahead) noexcept
{
    ++counters_.resolves;
    if (tokens_.contains(token)) {
        ++counters_.bad_tokens;
        return 1;
    }
    length = std::max<std::size_t>(length, 1);
    const Job job{token, true, page_of(address), page_of(address, length - 1),
                  config_.brings_ahead && ahead != 0 ? page_of(address, length - 1 + ahead) : 0};
    const Time duration = begin(job);
    tokens_[token] = pending_.emplace(now_ + duration, job);
    return microseconds(std::min(duration, config_.longest), config_.estimate_factor);
}

void SimulatedPager::prefetch(const void* address, std::size_t length, Need) noexcept
{
    ++counters_.prefetches;
    if (length == 0)
        return;
    const Job job{0, false, page_of(address), page_of(address, length - 1), 0};
    pending_.emplace(now_ + begin(job), job);
}

void SimulatedPager::forget(std::uint64_t token) noexcept
{
    if (const auto found = tokens_.find(token); found != tokens_.end()) {
        found->second->second.told = false; // its pages still come
        tokens_.erase(found);
        return;
    }
    if (std::erase_if(done_, [=](const Resolved& one) { return one.token == token; }) == 0)
        ++counters_.bad_tokens;
}

std::size_t SimulatedPager::take(std::span<Resolved> out) noexcept
{
    const std::size_t count = std::min(out.size(), done_.size());
    std::copy_n(done_.begin(), count, out.begin());
    done_.erase(done_.begin(), done_.begin() + static_cast<std::ptrdiff_t>(count));
    return count;
}

void SimulatedPager::bring_ahead(const Job& job) noexcept
{
    for (PageNumber number = job.last + 1; number <= job.ahead; ++number) {
        Page* const page = find(number);
        if (!page || *page == Page::unmapped || *page == Page::unanswered)
            return;
        *page = Page::present;
    }
}

/// The pages come as far as they can; what stopped it, if anything, is the error.
void SimulatedPager::finish(const Job& job) noexcept
{
    int error = 0;
    for (PageNumber number = job.first; number <= job.last && error == 0; ++number) {
        Page* const page = find(number);
        if (page && *page == Page::unmapped)
            error = EFAULT;
        else if (page && *page == Page::unanswered)
            error = ETIMEDOUT;
        else if (page)
            *page = Page::present;
    }
    if (error == 0)
        bring_ahead(job);
    if (!job.told)
        return;
    tokens_.erase(job.token);
    done_.push_back({job.token, error});
}

Time SimulatedPager::next() const noexcept
{
    if (!done_.empty())
        return now_;
    return pending_.empty() ? vanish_at_ : std::min(vanish_at_, pending_.begin()->first);
}

void SimulatedPager::advance(Time now)
{
    now_ = std::max(now_, now);
    while (vanish_at_ <= now_) {
        vanish();
        plan_vanishing();
    }
    while (!pending_.empty() && pending_.begin()->first <= now_) {
        const Job job = pending_.begin()->second;
        pending_.erase(pending_.begin());
        finish(job);
    }
}

void SimulatedPager::plan_vanishing() noexcept
{
    if (config_.vanish_interval <= Time(0) || pages_ == 0)
        return;
    std::exponential_distribution<double> after(
        1 / static_cast<double>(config_.vanish_interval.count()));
    const Time from = vanish_at_ == Time::max() ? now_ : vanish_at_;
    vanish_at_ = from + Time(1 + static_cast<Time::rep>(after(random_)));
}

void SimulatedPager::vanish() noexcept
{
    std::size_t index = random_() % pages_;
    for (const auto& [first, count] : range_list_) {
        if (index < count) {
            Page* const page = find(first + index);
            counters_.vanished += *page == Page::present;
            *page = *page == Page::present ? Page::absent : *page;
            return;
        }
        index -= count;
    }
}

/// How many bytes a copy gets; absent pages come by the way, and that is counted.
std::size_t SimulatedPager::touch(const void* address, std::size_t length) noexcept
{
    if (length == 0)
        return 0;
    const PageNumber first = page_of(address);
    const PageNumber end = run_end(first, page_of(address, length - 1),
                                   [](Page page) { return page != Page::unmapped; });
    for (PageNumber number = first; number < end; ++number)
        if (Page* const page = find(number); page && *page != Page::present) {
            ++counters_.absent_touched;
            *page = Page::present;
        }
    return bytes_before(end, address, length);
}

std::size_t SimulatedPager::copy_in(void* to, std::span<const std::byte> from) noexcept
{
    const std::size_t length = touch(to, from.size());
    if (length != 0)
        std::memcpy(to, from.data(), length);
    return length;
}

std::size_t SimulatedPager::copy_out(std::span<std::byte> to, const void* from) noexcept
{
    const std::size_t length = touch(from, to.size());
    if (length != 0)
        std::memcpy(to.data(), from, length);
    return length;
}

} // namespace p2prdma::l2
