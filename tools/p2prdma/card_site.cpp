// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "tools/p2prdma/card_site.hpp"

#include "p2prdma/direct/loss.hpp"
#include "p2prdma/direct/memory.hpp"
#include "p2prdma/direct/region.hpp"
#include "p2prdma/error.hpp"
#include "tools/p2prdma/direct_endpoint.hpp"
#include "tools/p2prdma/failure.hpp"
#include "tools/p2prdma/patience.hpp"

#include <algorithm>
#include <charconv>

namespace p2prdma::tool {
namespace {

constexpr auto connect_limit = std::chrono::seconds(10);
constexpr auto accept_slice = std::chrono::milliseconds(500);
constexpr std::uint64_t page = 4096;

class OwnBuffer final : public Buffer {
public:
    OwnBuffer(const direct::Session& session, std::uint32_t adapter, std::uint64_t length,
              std::uint32_t access)
        : memory_(session, length), region_(session, adapter, memory_, access)
    {
    }
    RegionKeys region() const noexcept override
    {
        return {region_.address(), region_.length(), region_.local_key(), region_.remote_key()};
    }
    void read(std::uint64_t offset, std::span<std::byte> into) const override
    {
        memory_.read(offset, into);
    }
    void write(std::uint64_t offset, std::span<const std::byte> data) override
    {
        memory_.write(offset, data);
    }

private:
    direct::Memory memory_;
    direct::Region region_;
};

/// A connection of the host's.
class HostStream final : public ByteStream {
public:
    explicit HostStream(direct::Stream stream) : stream_(std::move(stream)) {}
    void send(std::span<const std::byte> data, Clock::time_point until) override
    {
        stream_.send(data, until);
    }
    std::optional<std::size_t> receive(std::span<std::byte> into, Clock::time_point until) override
    {
        return stream_.receive(into, until);
    }

private:
    direct::Stream stream_;
};

std::unique_ptr<StreamBridge> bridge_to(direct::Stream stream)
{
    return std::make_unique<StreamBridge>(std::make_unique<HostStream>(std::move(stream)));
}

direct::AdapterInfo choose(const direct::Session& session, const std::string& device)
{
    const auto adapters = session.adapters();
    const auto usable = [](const direct::AdapterInfo& adapter) {
        return adapter.cq_in_card && adapter.rdma_write && adapter.rdma_read;
    };
    auto chosen = std::ranges::find_if(adapters, [&](const direct::AdapterInfo& adapter) {
        return device.empty() ? usable(adapter) : adapter.name == device;
    });
    if (chosen == adapters.end() && device.empty())
        chosen = adapters.begin(); // whose use then fails, with the reason
    if (chosen != adapters.end())
        return *chosen;
    throw Error(Errc::no_such_adapter, "the host " + session.host() + " has no RDMA device " +
                                           device + " for " + session.card().name());
}

bool is_card_machine()
{
    try {
        return !LocalCard::enumerate().empty() && Adapter::list().empty();
    } catch (const Error&) {
        return false; // without the module it is none
    }
}

Failure connection_failure(const Address& to, const std::exception& error)
{
    return Failure(Exit::peer_lost, "peer_lost",
                   "cannot connect to " + to.to_string() + ": " + error.what());
}

} // namespace

CardSite::CardSite(const direct::Session& session, const std::string& device)
    : session_(session), adapter_(choose(session, device))
{
}

std::optional<direct::Session> CardSite::open_session(const std::string& via,
                                                      const std::string& card)
{
    if (via == "host" || (via.empty() && !is_card_machine()))
        return std::nullopt;
    direct::survive_loss();
    return direct::Session(LocalCard::open(card.empty() ? "0" : card), {.name = "p2prdma"});
}

void CardSite::require_isolation(Isolation::Level level) const
{
    Isolation{adapter_.isolation, adapter_.reason}.require(level);
}

std::unique_ptr<Endpoint> CardSite::make_endpoint(std::uint32_t depth) const
{
    return std::make_unique<DirectEndpoint>(session_, adapter_, depth);
}

std::unique_ptr<Buffer> CardSite::make_buffer(std::uint64_t length, int access) const
{
    return std::make_unique<OwnBuffer>(session_, adapter_.number, length,
                                       static_cast<std::uint32_t>(access));
}

std::unique_ptr<Buffer> CardSite::make_scratch(std::uint64_t length, int access) const
{
    return make_buffer(length, access);
}

/// Queues take their part of what a session may have, too.
Room CardSite::room() const
{
    const auto all = std::min(session_.max_memory(), session_.card().info().pool_size);
    return {std::max(all / 2 / page, std::uint64_t{1}) * page, page};
}

std::unique_ptr<StreamBridge> connect_by_host(const direct::Session& session, const Address& to,
                                              Patience& patience)
{
    patience.check("connecting to " + to.to_string());
    try {
        return bridge_to(direct::Stream::connect(session, to.host, to.port,
                                                 direct::Stream::Clock::now() + connect_limit));
    } catch (const Error& error) {
        if (error.code().category() == error_category())
            throw; // of the own host, such as that its daemon has gone
        throw connection_failure(to, error);
    }
}

HostListener::HostListener(const direct::Session& session, const Address& at)
    : Listener(at.port), listener_(session, at.port)
{
    if (!at.host.empty())
        throw Failure(Exit::usage, "usage", "the host listens at all of its addresses: no --bind");
}

UniqueFd HostListener::accept(Patience& patience, std::string& peer) const
{
    bridge_.reset();
    for (;;) {
        if (auto stream = listener_.accept(direct::Stream::Clock::now() + accept_slice)) {
            peer = "a sender"; // who it is the host does not tell
            bridge_ = bridge_to(std::move(*stream));
            return bridge_->take_socket();
        }
        patience.check("waiting for a sender");
    }
}

} // namespace p2prdma::tool
