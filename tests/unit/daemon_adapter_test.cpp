// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "tools/p2prdmad/efa_adapter.hpp"

#include <catch2/catch_all.hpp>

using namespace p2prdma;
using namespace p2prdma::daemon;
using Catch::Matchers::ContainsSubstring;

namespace {

constexpr std::uint32_t rdma = P2PRDMA_ADAPTER_RDMA_READ | P2PRDMA_ADAPTER_RDMA_WRITE;

AdapterInfo limited(std::uint32_t caps, Reach::Kind kind)
{
    AdapterInfo info;
    info.name = "efa_0";
    info.caps = caps;
    info.reason = "an IOMMU contains the card";
    Reach reach;
    reach.kind = kind;
    reach.card_name = "card0";
    reach.peer_name = "efa_0";
    limit_to_reach(info, reach);
    return info;
}

} // namespace

TEST_CASE("daemon: an adapter that can all needs no host")
{
    const auto info = limited(rdma | P2PRDMA_ADAPTER_CQ_IN_CARD | P2PRDMA_ADAPTER_COUNTER,
                              Reach::Kind::peer_switch);
    CHECK(info.caps == 31);
    CHECK(info.reaches_card);
    CHECK((info.no_path.empty() && info.relay_reason.empty()));
    CHECK(info.reason == "an IOMMU contains the card");
}

TEST_CASE("daemon: R6.8 without completion counters the host relays events, and says why")
{
    const auto info = limited(rdma | P2PRDMA_ADAPTER_CQ_IN_CARD, Reach::Kind::peer_bridge);
    CHECK(info.caps == (rdma | P2PRDMA_ADAPTER_CQ_IN_CARD));
    CHECK(info.no_path.empty());
    CHECK_THAT(info.relay_reason, ContainsSubstring("completion counters"));
    CHECK_THAT(info.reason, ContainsSubstring("relayed by the host: efa_0"));
}

TEST_CASE("daemon: counters without completion queues in card memory are named, not the isolation")
{
    const auto info = limited(rdma | P2PRDMA_ADAPTER_COUNTER, Reach::Kind::peer_switch);
    CHECK(info.reaches_card);
    CHECK_THAT(info.no_path, ContainsSubstring("no completion queues in card memory"));
    CHECK_THAT(info.reason, ContainsSubstring("no direct data path: efa_0"));
    CHECK_THAT(info.reason, !ContainsSubstring("relayed"));
    CHECK_FALSE(info.caps & P2PRDMA_ADAPTER_P2P_EVENT);
}

TEST_CASE("daemon: out of reach there is no data path, and nobody claims to relay")
{
    const auto info =
        limited(rdma | P2PRDMA_ADAPTER_CQ_IN_CARD | P2PRDMA_ADAPTER_COUNTER, Reach::Kind::refused);
    CHECK(info.caps == rdma);
    CHECK_FALSE(info.reaches_card);
    CHECK_THAT(info.reason, ContainsSubstring("no direct data path: efa_0"));
    CHECK_THAT(info.reason, !ContainsSubstring("relayed"));
    CHECK_THAT(info.no_path, ContainsSubstring("cannot reach card0"));
    CHECK(info.relay_reason.empty());
}
