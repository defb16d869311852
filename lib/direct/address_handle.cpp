// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "p2prdma/direct/address_handle.hpp"

#include "lib/direct/link.hpp"

namespace p2prdma::direct {

AddressHandle::AddressHandle(const Session& session, std::uint32_t adapter, const Gid& gid)
{
    p2prdma_ah_create_request request = {};
    request.adapter = little(adapter);
    std::copy(gid.begin(), gid.end(), request.gid);
    const auto reply = session.link()->ask<p2prdma_ah_create_reply>(P2PRDMA_OP_AH_CREATE, request,
                                                                    "address another adapter");
    object_ = std::make_shared<HostObject>(session.link(), P2PRDMA_OP_AH_DESTROY, little(reply.id));
    number_ = static_cast<std::uint16_t>(little(reply.number));
}

} // namespace p2prdma::direct
