// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include "tools/p2prdma/wire.hpp"

#include <cstdint>
#include <memory>
#include <optional>

#include <infiniband/verbs.h>

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
/// be outstanding. The adapter must outlive the endpoint.
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
    std::optional<std::uint64_t> poll();
    /// Asks for event_fd() to become readable with the next completion; poll() once more after.
    void arm();
    /// A descriptor to wait for, or -1 if the adapter has no events and must be polled.
    int event_fd() const noexcept { return channel_ ? channel_->fd : -1; }

protected:
    struct Destroy {
        void operator()(ibv_comp_channel* channel) const noexcept
        {
            ibv_destroy_comp_channel(channel);
        }
        void operator()(ibv_cq* cq) const noexcept { ibv_destroy_cq(cq); }
        void operator()(ibv_qp* qp) const noexcept { ibv_destroy_qp(qp); }
        void operator()(ibv_ah* ah) const noexcept { ibv_destroy_ah(ah); }
    };
    template <class T>
    using Owned = std::unique_ptr<T, Destroy>;

    /// Makes the completion queue; the queue pair is the derived class's.
    Endpoint(const Adapter& adapter, std::uint32_t depth);

    ibv_cq* cq() const noexcept { return cq_.get(); }
    const Adapter& adapter() const noexcept { return adapter_; }
    void set_limits(std::uint32_t depth, std::uint32_t max_bytes) noexcept
    {
        depth_ = depth;
        max_bytes_ = max_bytes;
    }
    /// The fields of address() that all transports share.
    wire::Hello base_address(std::uint8_t gid_index) const;
    /// \throws Failure naming the adapter and the step, if `error` (an errno) is not 0
    void require(int error, const char* step) const;

private:
    void take_events();

    const Adapter& adapter_;
    Owned<ibv_comp_channel> channel_;
    Owned<ibv_cq> cq_;
    std::uint32_t depth_;
    std::uint32_t max_bytes_ = 0;
};

/// A number that nobody can guess.
std::uint64_t random_number();

} // namespace p2prdma::tool
