// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "tools/lab/efa/region_dma.hpp"

#include <utility>

namespace lab::efa {

namespace {

/// Collects the errors of a transfer's pieces, which end in order.
struct Transfer {
    TransferDone done;
    std::size_t pieces_left;
    int error = 0;

    void piece_done(int piece_error)
    {
        if (error == 0)
            error = piece_error;
        if (--pieces_left == 0)
            done(error);
    }
};

template <typename Start>
void for_each_piece(const std::vector<RegionPiece>& pieces, TransferDone done, const Start& start)
{
    if (pieces.empty())
        return done(0);
    auto transfer = std::make_shared<Transfer>(Transfer{std::move(done), pieces.size()});
    std::vector<DmaSegment> segments;
    for (const RegionPiece& piece : pieces) {
        segments.clear();
        piece.region->append_segments(piece.address, piece.length, segments);
        start(piece, segments, transfer);
    }
}

} // namespace

void gather(DmaEngine& dma, const std::vector<RegionPiece>& pieces, const PacketPtr& packet,
            std::size_t offset, TransferDone done)
{
    for_each_piece(pieces, std::move(done), [&](const auto& piece, auto& segments, auto transfer) {
        auto into = std::span(packet->payload).subspan(offset, piece.length);
        offset += piece.length;
        dma.read(segments, into, [transfer, packet, region = piece.region](const DmaResult& r) {
            region->bytes_read += r.routes;
            transfer->piece_done(r.error);
        });
    });
}

void scatter(DmaEngine& dma, const std::vector<RegionPiece>& pieces, const PacketPtr& packet,
             TransferDone done)
{
    std::size_t offset = 0;
    for_each_piece(pieces, std::move(done), [&](const auto& piece, auto& segments, auto transfer) {
        auto data = std::span(packet->payload).subspan(offset, piece.length);
        offset += piece.length;
        dma.write(segments, data, [transfer, region = piece.region](const DmaResult& r) {
            region->bytes_written += r.routes;
            transfer->piece_done(r.error);
        });
    });
}

} // namespace lab::efa
