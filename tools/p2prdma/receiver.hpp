// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include "tools/p2prdma/buffer.hpp"
#include "tools/p2prdma/channel.hpp"
#include "tools/p2prdma/pieces.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

namespace p2prdma::tool {

class OutputFile;
class Patience;
class Progress;
class Site;

/// Takes a file out of the memory that a sender's adapter writes it into.
class Receiver {
public:
    /// Allocates the memory for the offered file, as few and as large regions as there is room
    /// for. `wanted`: bytes of a piece as this side's user wants it, 0: no wish.
    /// All references must outlive the receiver. \throws Error card_full and others
    Receiver(const Site& site, const wire::Offer& offer, std::uint64_t wanted);

    wire::Plan plan() const;
    const Pieces& pieces() const noexcept { return pieces_; }
    /// The remote keys of the regions.
    std::vector<std::uint32_t> rkeys() const;

    /// Takes all pieces as they come and writes them to `out`; returns the digest of what lay in
    /// the memory. \throws Failure, Error
    Digest take(Channel& channel, Patience& patience, OutputFile& out, Progress& progress);

private:
    void take_piece(std::uint64_t piece, Channel& channel, Patience& patience, OutputFile& out,
                    Progress& progress);

    Pieces pieces_;
    std::vector<std::unique_ptr<Buffer>> regions_;
    std::vector<std::byte> bytes_; // on their way from the memory to the file
    Sha256 digest_;
    std::uint64_t done_ = 0;
};

} // namespace p2prdma::tool
