// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "tools/p2prdmad/card_service.hpp"

#include "p2prdma/error.hpp"

#include <algorithm>
#include <cstdint>
#include <span>

namespace p2prdma::daemon {
namespace {

Card open_card(const std::string& name)
{
    auto card = Card::open(name);
    require_servable(card.info(), card.name());
    return card;
}

/// Who asked for isolation wants no adapter without it; who named none wants those that have it.
std::vector<EfaAdapter> find_adapters(const Card& card, const Options& options)
{
    auto adapters = EfaAdapter::find(card, options.adapters);
    const auto isolated = [&](const EfaAdapter& adapter) {
        return adapter.isolation().level >= options.isolation;
    };
    const auto first = std::ranges::find_if_not(adapters, isolated);
    if (first != adapters.end() &&
        (!options.adapters.empty() || std::ranges::none_of(adapters, isolated)))
        Isolation{first->isolation().level, first->info().name + ": " + first->isolation().reason}
            .require(options.isolation);
    std::erase_if(adapters, [&](const EfaAdapter& adapter) { return !isolated(adapter); });
    return adapters;
}

VerbsProvider::MayAddress may_address(const Options& options)
{
    if (options.peer_gids.empty())
        return {};
    return [gids = options.peer_gids](const std::array<std::uint8_t, 16>& gid) {
        return std::ranges::find(gids, gid) != gids.end();
    };
}

} // namespace

void require_servable(const CardInfo& info, const std::string& name)
{
    if (!info.has_control || !info.has_bells || !info.has_doorbells || !info.has_windows)
        throw Error(Errc::unsupported, name + " has no machine of its own that could be served");
    if (!info.has_p2pdma)
        throw Error(Errc::unsupported,
                    "this kernel does not route peer-to-peer DMA between " + name +
                        " and adapters: CONFIG_PCI_P2PDMA, or its mapping of dma-bufs (as in Linux "
                        "7.3), is missing; without it the card's machine cannot be served");
}

CardService::CardService(const Options& options)
    : card_(open_card(options.card)),
      provider_(card_, find_adapters(card_, options), may_address(options)),
      doorbell_(card_.open_doorbell({.control = true})), call_(doorbell_), bell_(card_.bind_bell(0))
{
}

std::string CardService::describe() const
{
    std::string text = card_.name() + " with ";
    for (std::uint32_t i = 0; i < provider_.adapters(); i++)
        text += (i ? ", " : "") + provider_.info(i).name;
    return text;
}

} // namespace p2prdma::daemon
