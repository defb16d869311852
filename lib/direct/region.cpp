// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "p2prdma/direct/region.hpp"

#include "lib/direct/target.hpp"
#include "p2prdma/direct/event.hpp"
#include "p2prdma/direct/memory.hpp"

namespace p2prdma::direct {

Region::Region(const Session& session, std::uint32_t adapter, const Memory& memory,
               std::uint32_t access)
    : Region(session, adapter, memory, access, 0, memory.size())
{
}

Region::Region(const Session& session, std::uint32_t adapter, const Memory& memory,
               std::uint32_t access, std::uint64_t offset, std::uint64_t length)
    : target_(memory.target()), length_(length)
{
    make(session, adapter, access, offset);
}

Region::Region(const Session& session, std::uint32_t adapter, const Event& event)
    : target_(event.target()), length_(sizeof(std::uint64_t))
{
    make(session, adapter, Access::local_write | Access::remote_write, 0);
}

void Region::make(const Session& session, std::uint32_t adapter, std::uint32_t access,
                  std::uint64_t offset)
{
    p2prdma_mr_reg_request request = {};
    request.adapter = little(adapter);
    request.memory = little(target_->object.id());
    request.offset = little(offset);
    request.length = little(length_);
    request.access = little(access);
    const auto reply = session.link()->ask<p2prdma_mr_reg_reply>(P2PRDMA_OP_MR_REG, request,
                                                                 "register card memory");
    object_ = std::make_shared<HostObject>(session.link(), P2PRDMA_OP_MR_DEREG, little(reply.id));
    address_ = little(std::uint64_t{reply.address});
    local_key_ = little(reply.lkey);
    remote_key_ = little(reply.rkey);
}

} // namespace p2prdma::direct
