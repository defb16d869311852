// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include "p2prdma/l2/queue_pair.hpp"
#include "tools/p2prdma/host_memory.hpp"
#include "tools/p2prdma/l2_service.hpp"
#include "tools/p2prdma/latency.hpp"

#include <chrono>
#include <cstdint>
#include <functional>
#include <vector>

namespace p2prdma::tool {

/// Keeps a window of operations under way on each of some queue pairs, and measures them.
class L2Load {
public:
    using Clock = std::chrono::steady_clock;

    struct Options {
        l2::Operation operation = l2::Operation::write;
        std::uint32_t service = 0;
        std::uint32_t size = 65536; ///< bytes of an operation
        std::uint32_t queue_pairs = 1;
        std::uint32_t window = 64; ///< operations under way on each
        bool polling = false;
        std::chrono::seconds timeout{5}; ///< without a completion
    };
    struct Result {
        std::uint64_t operations = 0;
        std::chrono::duration<double> seconds{0};
        Latency latency;
    };

    /// Connects all queue pairs. \throws Error, Failure
    L2Load(const l2::Device& device, const l2::MacAddress& peer, const Options& options);

    /// Runs for that long, then waits for what is under way. `tick`: called now and then with what
    /// was done so far; may throw to end it. \throws Failure
    Result run(Clock::duration time, const std::function<void(const Result&)>& tick);

private:
    struct Connection {
        l2::QueuePair pair;
        L2Welcome server;
    };

    void connect(const l2::MacAddress& peer, Clock::time_point until);
    void post(std::size_t connection, std::uint32_t slot);
    std::size_t take(Result& result, bool post_again);
    void drain(Result& result);
    std::size_t wait(std::span<l2::Completion> done);

    Options options_;
    const l2::Device& device_;
    l2::ProtectionDomain domain_;
    HostMemory memory_; // one window of messages, which all queue pairs share
    l2::Region region_;
    l2::CompletionQueue done_;
    std::vector<Connection> connections_;
    std::vector<Clock::time_point> posted_; // by connection and slot
    std::uint64_t under_way_ = 0;
};

} // namespace p2prdma::tool
