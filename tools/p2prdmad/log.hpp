// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <string>

namespace p2prdma::daemon {

/// The daemon's lines on a stream, one for each thing that happened.
class Log {
public:
    using Clock = std::chrono::steady_clock;

    /// `to` is kept open by the caller; nullptr: all is dropped. `for_journal`: each line begins
    /// with its priority, as systemd's journal wants it.
    explicit Log(std::FILE* to, bool for_journal = false) noexcept
        : to_(to), for_journal_(for_journal)
    {
    }

    void info(const std::string& line);
    void warning(const std::string& line);
    /// What a card causes: at most 10 lines a second; what was left out is counted in the next.
    void refusal(const std::string& line, Clock::time_point now = Clock::now());

private:
    void put(char priority, const std::string& line);

    std::FILE* to_;
    bool for_journal_;
    Clock::time_point second_ = {};
    std::uint32_t in_second_ = 0;
    std::uint64_t left_out_ = 0;
};

/// Text of a card's for a log line: what cannot be printed is replaced.
std::string printable(const std::string& text);

} // namespace p2prdma::daemon
