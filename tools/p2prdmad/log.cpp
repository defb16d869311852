// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "tools/p2prdmad/log.hpp"

#include <algorithm>
#include <utility>

namespace p2prdma::daemon {

namespace {

constexpr std::uint32_t refusals_per_second = 10;

} // namespace

void Log::put(char priority, const std::string& line)
{
    if (!to_)
        return;
    if (for_journal_)
        std::fprintf(to_, "<%c>%s\n", priority, line.c_str());
    else
        std::fprintf(to_, "p2prdmad: %s\n", line.c_str());
    std::fflush(to_);
}

void Log::info(const std::string& line)
{
    put('6', line);
}

void Log::warning(const std::string& line)
{
    put('4', line);
}

void Log::refusal(const std::string& line, Clock::time_point now)
{
    if (now - second_ >= std::chrono::seconds(1)) {
        second_ = now;
        in_second_ = 0;
    }
    if (in_second_++ >= refusals_per_second) {
        left_out_++;
        return;
    }
    if (const auto left_out = std::exchange(left_out_, 0))
        put('5', std::to_string(left_out) + " refusals are not shown");
    put('5', line);
}

std::string printable(const std::string& text)
{
    std::string result = text;
    std::ranges::replace_if(
        result, [](char c) { return c < ' ' || c > '~'; }, '?');
    return result;
}

} // namespace p2prdma::daemon
