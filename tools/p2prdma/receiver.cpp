// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "tools/p2prdma/receiver.hpp"

#include "tools/p2prdma/failure.hpp"
#include "tools/p2prdma/output_file.hpp"
#include "tools/p2prdma/patience.hpp"
#include "tools/p2prdma/progress.hpp"
#include "tools/p2prdma/site.hpp"

#include <algorithm>

#include <infiniband/verbs.h>

namespace p2prdma::tool {
namespace {

constexpr std::size_t copy_bytes = 256 << 10;
/// The smaller of two wishes, of which 0 is none.
std::uint64_t smaller_wish(std::uint64_t one, std::uint64_t other)
{
    return one && other ? std::min(one, other) : std::max(one, other);
}

} // namespace

Receiver::Receiver(const Site& site, const wire::Offer& offer, std::uint64_t wanted)
    : pieces_(cut(offer.file_bytes, smaller_wish(offer.piece_bytes, wanted), site.room()))
{
    constexpr int access =
        IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_WRITE | IBV_ACCESS_REMOTE_READ;
    for (unsigned i = 0; i < pieces_.regions; i++)
        regions_.push_back(site.make_buffer(pieces_.piece_bytes, access));
    bytes_.resize(std::min<std::uint64_t>(copy_bytes, pieces_.piece_bytes));
}

wire::Plan Receiver::plan() const
{
    wire::Plan plan;
    plan.piece_bytes = pieces_.piece_bytes;
    plan.pieces = pieces_.count;
    plan.regions = pieces_.regions;
    for (std::size_t i = 0; i < regions_.size(); i++) {
        const auto region = regions_[i]->region();
        plan.region[i] = {region.address, region.length, region.rkey};
    }
    return plan;
}

std::vector<std::uint32_t> Receiver::rkeys() const
{
    std::vector<std::uint32_t> keys;
    for (const auto& region : regions_)
        keys.push_back(region->region().rkey);
    return keys;
}

Digest Receiver::take(Channel& channel, Patience& patience, OutputFile& out, Progress& progress)
{
    for (std::uint64_t piece = 0; piece < pieces_.count; piece++) {
        const auto visible = channel.receive<wire::Visible>();
        if (visible.piece != piece || visible.length != pieces_.length(piece))
            throw Failure(Exit::failed, "protocol",
                          channel.peer() +
                              " does not follow the protocol: not the piece that was due");
        take_piece(piece, channel, patience, out, progress);
        channel.send(wire::Taken{piece});
    }
    return digest_.finish();
}

void Receiver::take_piece(std::uint64_t piece, Channel& channel, Patience& patience,
                          OutputFile& out, Progress& progress)
{
    const auto& region = *regions_[pieces_.region(piece)];
    const auto length = pieces_.length(piece);
    for (std::uint64_t offset = 0; offset < length;) {
        const auto part = std::min<std::uint64_t>(bytes_.size(), length - offset);
        const auto bytes = std::span(bytes_).first(part);
        region.read(offset, bytes);
        digest_.update(bytes);
        out.write(bytes, patience);
        offset += part;
        done_ += part;
        progress.update(done_);
        patience.progress();
        patience.check("receiving");
        channel.keep_alive(done_);
    }
}

} // namespace p2prdma::tool
