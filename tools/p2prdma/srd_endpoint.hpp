// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include "tools/p2prdma/verbs_endpoint.hpp"

namespace p2prdma::tool {

/// An EFA adapter's queue pair of scalable reliable datagrams: no connection, no order.
class SrdEndpoint final : public VerbsEndpoint {
public:
    /// \throws Failure unsupported if adapter or libefa cannot write and read by RDMA
    SrdEndpoint(const Adapter& adapter, std::uint32_t depth);

    wire::Hello address() const override;
    void connect(const wire::Hello& peer) override;
    void write(std::uint64_t id, const LocalRange& from, const RemotePlace& to) override;
    void read(std::uint64_t id, const LocalRange& into, const RemotePlace& from) override;

private:
    void create_queue_pair();
    void modify(ibv_qp_attr attributes, int mask, const char* step);
    void begin(std::uint64_t id);
    void end(const LocalRange& range, const char* step);

    Owned<ibv_qp> qp_;
    ibv_qp_ex* requests_ = nullptr; // qp_, as its work requests are written
    Owned<ibv_ah> peer_;            // goes before the queue pair
    std::uint32_t peer_number_ = 0;
    std::uint32_t peer_qkey_ = 0;
    std::uint32_t qkey_;
};

} // namespace p2prdma::tool
