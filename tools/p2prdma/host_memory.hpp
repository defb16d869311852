// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include <cstddef>
#include <span>

namespace p2prdma::tool {

/// Anonymous pages of this process, zero at first.
class HostMemory {
public:
    /// \throws Failure
    explicit HostMemory(std::size_t length);
    ~HostMemory();
    HostMemory(const HostMemory&) = delete;
    HostMemory& operator=(const HostMemory&) = delete;

    std::span<std::byte> bytes() const noexcept { return bytes_; }

private:
    std::span<std::byte> bytes_;
};

} // namespace p2prdma::tool
