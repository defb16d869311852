// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include "tools/p2prdma/wire.hpp"

#include <cstdint>
#include <memory>
#include <optional>

namespace p2prdma::tool {

class Adapter;

/// A range of registered memory of this side.
struct LocalRange {
    std::uint64_t address;
    std::uint32_t length;
    std::uint32_t lkey;
};

/// A place in the peer's registered memory.
struct RemotePlace {
    std::uint64_t address;
    std::uint32_t rkey;
};

/// One end of an RDMA conversation: a queue pair with its completion queue.
///
/// Operations are posted, complete in any order, and are reported by poll(); at most depth() may
/// be outstanding. What it was made from must outlive the endpoint.
class Endpoint {
public:
    virtual ~Endpoint() = default;

    /// Makes the endpoint that suits the adapter. `depth`: operations that may be outstanding;
    /// fewer if the adapter allows only fewer.
    static std::unique_ptr<Endpoint> make(const Adapter& adapter, std::uint32_t depth);

    /// Where the peer finds this end.
    virtual wire::Hello address() const = 0;
    /// Where the peer is; called once. \throws Failure
    virtual void connect(const wire::Hello& peer) = 0;
    /// Posts an RDMA write; `id` comes back from poll(). Allocates nothing. \throws Failure
    virtual void write(std::uint64_t id, const LocalRange& from, const RemotePlace& to) = 0;
    /// Posts an RDMA read. \throws Failure
    virtual void read(std::uint64_t id, const LocalRange& into, const RemotePlace& from) = 0;

    std::uint32_t depth() const noexcept { return depth_; }
    /// The longest single operation, bytes.
    std::uint32_t max_bytes() const noexcept { return max_bytes_; }

    /// The id of an operation that has completed well, or nothing if none has.
    /// \throws Failure if one has failed; the queue pair is of no use then
    virtual std::optional<std::uint64_t> poll() = 0;
    /// Asks for event_fd() to become readable with the next completion; poll() once more after.
    virtual void arm() = 0;
    /// A descriptor to wait for, or -1 if the adapter has no events and must be polled.
    virtual int event_fd() const noexcept = 0;

protected:
    explicit Endpoint(std::uint32_t depth) noexcept : depth_(depth) {}

    void set_limits(std::uint32_t depth, std::uint32_t max_bytes) noexcept
    {
        depth_ = depth;
        max_bytes_ = max_bytes;
    }

private:
    std::uint32_t depth_;
    std::uint32_t max_bytes_ = 0;
};

/// A number that nobody can guess.
std::uint64_t random_number();

} // namespace p2prdma::tool
