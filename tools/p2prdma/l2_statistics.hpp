// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include "p2prdma/l2/device.hpp"
#include "p2prdma/unique_fd.hpp"
#include "tools/p2prdma/commands.hpp"

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace p2prdma::tool {

/// The value of a counter; 0 if there is none of that name.
std::uint64_t counter(const l2::Statistics& statistics, const std::string& name) noexcept;

/// Lets `p2prdma l2 stat` see this process's device: whoever connects to an abstract socket of the
/// network namespace, and is root or this user, is told once, by a thread.
class L2Publisher {
public:
    /// \param command  what this process does, such as "serve". Where it cannot, nobody is told.
    /// The device outlives it.
    L2Publisher(l2::Device& device, std::string command);
    ~L2Publisher();
    L2Publisher(const L2Publisher&) = delete;
    L2Publisher& operator=(const L2Publisher&) = delete;

private:
    void serve() noexcept;
    void tell_one();

    l2::Device& device_;
    std::string command_;
    UniqueFd socket_;
    UniqueFd stop_; // an eventfd
    std::thread thread_;
};

/// What to ask publishers for beside their counters: to look who is on the segment.
struct L2Look {
    std::uint32_t service = 0;
    std::uint32_t wait = 0; ///< milliseconds; 0: do not look
};

/// What all publishers of an interface say now, as their JSON objects. Those that do not answer
/// in time are left out.
std::vector<Json> collect_l2_statistics(const std::string& interface, const L2Look& look = {});

/// A name that any station may have sent, as ASCII that does nothing to a terminal: other bytes are
/// written \xNN.
std::string printable(std::string_view name);
/// A peer as a JSON object.
Json to_json(const l2::Peer& peer);
/// Who answers on the segment of a device, as a JSON array.
Json look_around(l2::Device& device, std::uint32_t service, std::chrono::milliseconds wait);
/// What a device is, as a JSON object: interface, address, port...
Json describe(const l2::Device& device);

} // namespace p2prdma::tool
