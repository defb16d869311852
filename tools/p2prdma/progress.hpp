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

/// A line on standard error that each next one replaces; nothing if that is no terminal or `quiet`
/// is set.
class StatusLine {
public:
    explicit StatusLine(bool quiet);
    ~StatusLine() { clear(); }
    StatusLine(const StatusLine&) = delete;
    StatusLine& operator=(const StatusLine&) = delete;

    /// Whether it is shown at all, and long enough ago for a new one.
    bool is_due() const;
    void show(const std::string& text);
    void clear();

private:
    using Clock = std::chrono::steady_clock;

    bool shown_;
    bool drawn_ = false;
    Clock::time_point last_ = {};
};

/// A progress bar on standard error, or nothing if that is no terminal or `quiet` is set.
class Progress {
public:
    Progress(std::uint64_t total, bool quiet) : total_(total), line_(quiet) {}

    /// Draws at most some times a second.
    void update(std::uint64_t done);
    /// Takes the bar away, for a line of text that follows.
    void clear() { line_.clear(); }

private:
    using Clock = std::chrono::steady_clock;

    std::uint64_t total_;
    StatusLine line_;
    Clock::time_point start_ = Clock::now();
};

} // namespace p2prdma::tool
