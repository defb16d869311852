// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include "tools/p2prdma/verbs_endpoint.hpp"

namespace p2prdma::tool {

/// A reliable connection over plain verbs: InfiniBand, RoCE, and software adapters such as rxe.
class RcEndpoint final : public VerbsEndpoint {
public:
    RcEndpoint(const Adapter& adapter, std::uint32_t depth);

    wire::Hello address() const override;
    void connect(const wire::Hello& peer) override;
    void write(std::uint64_t id, const LocalRange& from, const RemotePlace& to) override;
    void read(std::uint64_t id, const LocalRange& into, const RemotePlace& from) override;

private:
    void initialise();
    void ready_to_receive(const wire::Hello& peer);
    void ready_to_send();
    ibv_ah_attr path_to(const wire::Hello& peer) const;
    void post(ibv_send_wr request, const LocalRange& range, const char* step);

    std::uint8_t gid_index_;
    std::uint32_t packet_number_; // of the first packet this end sends
    Owned<ibv_qp> qp_;
};

} // namespace p2prdma::tool
