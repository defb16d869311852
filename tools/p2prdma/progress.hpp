// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace p2prdma::tool {

/// "999 bytes", "1.0 KiB", "64.0 MiB".
std::string human_bytes(std::uint64_t bytes);

/// One line of `width` columns at most: share, bar, bytes and rate.
std::string progress_line(std::uint64_t done, std::uint64_t total,
                          std::chrono::duration<double> elapsed, unsigned width);

/// A progress bar on standard error, or nothing if that is no terminal or `quiet` is set.
class Progress {
public:
    Progress(std::uint64_t total, bool quiet);
    ~Progress() { clear(); }
    Progress(const Progress&) = delete;
    Progress& operator=(const Progress&) = delete;

    /// Draws at most some times a second.
    void update(std::uint64_t done);
    /// Takes the bar away, for a line of text that follows.
    void clear();

private:
    using Clock = std::chrono::steady_clock;

    std::uint64_t total_;
    bool shown_;
    bool drawn_ = false;
    Clock::time_point start_ = Clock::now();
    Clock::time_point last_ = {};
};

} // namespace p2prdma::tool
