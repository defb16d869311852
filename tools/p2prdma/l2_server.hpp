// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include "p2prdma/l2/queue_pair.hpp"
#include "tools/p2prdma/host_memory.hpp"
#include "tools/p2prdma/l2_service.hpp"

#include <cstdint>
#include <memory>
#include <span>
#include <unordered_map>
#include <vector>

namespace p2prdma::tool {

class Patience;

/// Answers pings and measurements: echoes messages, takes them, and offers memory.
class L2Server {
public:
    struct Options {
        std::uint32_t service = 0;
        std::uint64_t memory = 0;          ///< bytes that clients may read and write
        std::uint32_t max_connections = 0; ///< more are refused
        bool polling = false;              ///< never sleeps
        bool implicit = false;             ///< the memory is registered so: pages come when needed
    };

    /// \throws Error, Failure
    L2Server(const l2::Device& device, const Options& options);

    /// Serves until a signal comes. \throws Failure interrupted
    void run(Patience& patience);

private:
    struct Session {
        Session(const l2::ProtectionDomain& domain, const L2Greeting& greeting);
        std::span<std::byte> slot(std::uint64_t number) noexcept;

        L2Greeting greeting;
        std::vector<std::byte> memory; // slots of an echo
        l2::Region region;
        std::unique_ptr<l2::QueuePair> pair; // goes before the memory
    };

    void look(bool sleep, Patience& patience);
    void wait_for_more();
    void wait_for_anything(Patience& patience);
    void take_requests();
    void take_request(const l2::Listener::Request& request);
    void welcome(const l2::Listener::Request& request, const L2Greeting& greeting);
    std::size_t take_completions();
    void take_completion(const l2::Completion& completion);
    void receive_into(Session& session, std::uint64_t slot);
    void echo(Session& session, const l2::Completion& completion);
    void drop_ended();

    Options options_;
    const l2::Device& device_;
    l2::ProtectionDomain domain_;
    HostMemory memory_;
    l2::Region region_;
    l2::CompletionQueue done_;
    l2::Listener listener_;
    std::unordered_map<std::uint32_t, std::unique_ptr<Session>> sessions_; // by queue pair
    std::chrono::steady_clock::time_point dropped_ = {};
    bool is_busy_ = false; // something came lately
};

} // namespace p2prdma::tool
