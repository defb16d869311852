// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "tools/p2prdma/l2_site.hpp"

#include "tools/p2prdma/host_memory.hpp"
#include "tools/p2prdma/l2_stream.hpp"
#include "tools/p2prdma/output_file.hpp"
#include "tools/p2prdma/patience.hpp"

#include <algorithm>
#include <array>
#include <limits>

#include <infiniband/verbs.h>

namespace p2prdma::tool {
namespace {

constexpr auto connect_limit = std::chrono::seconds(10);

l2::Access to_access(int access)
{
    auto result = l2::Access::local_read;
    if (access & IBV_ACCESS_LOCAL_WRITE)
        result = result | l2::Access::local_write;
    if (access & IBV_ACCESS_REMOTE_WRITE)
        result = result | l2::Access::remote_write;
    if (access & IBV_ACCESS_REMOTE_READ)
        result = result | l2::Access::remote_read;
    return result;
}

/// Registered memory of this process, whoever owns it.
class L2Buffer : public Buffer {
public:
    L2Buffer(std::span<std::byte> bytes, l2::Region region)
        : bytes_(bytes), region_(std::move(region))
    {
    }
    RegionKeys region() const noexcept override
    {
        return {reinterpret_cast<std::uint64_t>(bytes_.data()), bytes_.size(), region_.key(),
                region_.key()};
    }
    void read(std::uint64_t offset, std::span<std::byte> into) const override
    {
        std::ranges::copy(bytes_.subspan(offset, into.size()), into.begin());
    }
    void write(std::uint64_t offset, std::span<const std::byte> data) override
    {
        std::ranges::copy(data, bytes_.subspan(offset, data.size()).begin());
    }

private:
    std::span<std::byte> bytes_;
    l2::Region region_;
};

/// The same, with the memory.
class OwnL2Buffer final : private HostMemory, public L2Buffer {
public:
    OwnL2Buffer(const l2::ProtectionDomain& domain, std::uint64_t length, l2::Access access)
        : HostMemory(length), L2Buffer(bytes(), l2::Region(domain, bytes(), access))
    {
    }
};

std::uint16_t any_free_service()
{
    return static_cast<std::uint16_t>(random_number() | 0xc000);
}

} // namespace

L2Site::L2Site(const L2Options& options, L2Endpoint::Role role, OutputFile* file)
    : device_(open_l2(options)), domain_(device_),
      publisher_(device_, role == L2Endpoint::Role::waits ? "recv" : "send"), role_(role),
      file_(file)
{
}

std::string L2Site::memory_name() const
{
    return file_ ? "the file's own pages" : "host memory";
}

void L2Site::require_isolation(Isolation::Level level) const
{
    if (level != Isolation::Level::none)
        throw Failure(Exit::usage, "usage", "--isolation is of cards: not with --via l2");
}

std::unique_ptr<Endpoint> L2Site::make_endpoint(std::uint32_t depth) const
{
    return std::make_unique<L2Endpoint>(device_, domain_, depth, role_);
}

std::unique_ptr<Buffer> L2Site::make_buffer(std::uint64_t length, int access) const
{
    if (!file_)
        return make_scratch(length, access);
    const auto bytes = file_->map(length);
    return std::make_unique<L2Buffer>(
        bytes, l2::Region::implicit(domain_, bytes.data(), bytes.size(), to_access(access)));
}

std::unique_ptr<Buffer> L2Site::make_scratch(std::uint64_t length, int access) const
{
    return std::make_unique<OwnL2Buffer>(domain_, length, to_access(access));
}

Room L2Site::room() const
{
    auto room = host_room();
    room.is_the_file = file_ != nullptr;
    return room;
}

std::uint64_t L2Site::most_staging() const
{
    return std::numeric_limits<std::uint64_t>::max();
}

std::unique_ptr<StreamBridge> connect_by_l2(L2Site& site, const Address& to, Patience& patience)
{
    const auto peer = find_l2_peer(site.adapter(), to.host, to.port, patience);
    return std::make_unique<StreamBridge>(std::make_unique<L2Stream>(
        site.adapter(), site.domain(), peer, to.port, ByteStream::Clock::now() + connect_limit));
}

L2Listener::L2Listener(const L2Site& site, std::uint16_t service)
    : Listener(service ? service : any_free_service()), site_(site),
      listener_(site.adapter(), port())
{
}

UniqueFd L2Listener::accept(Patience& patience, std::string& peer) const
{
    bridge_.reset();
    for (;;) {
        pollfd readable[] = {{listener_.fd(), POLLIN, 0}};
        patience.wait(readable, "waiting for a sender");
        const auto request = listener_.wait(ByteStream::Clock::now());
        if (!request)
            continue;
        peer = request->peer.to_string();
        bridge_ = std::make_unique<StreamBridge>(
            std::make_unique<L2Stream>(site_.adapter(), site_.domain(), listener_, *request));
        return bridge_->take_socket();
    }
}

} // namespace p2prdma::tool
