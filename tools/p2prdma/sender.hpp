// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include "tools/p2prdma/buffer.hpp"
#include "tools/p2prdma/channel.hpp"
#include "tools/p2prdma/endpoint.hpp"
#include "tools/p2prdma/pieces.hpp"

#include <cstdint>
#include <vector>

namespace p2prdma::tool {

class InputFile;
class Patience;
class Progress;
class Site;

/// Moves a file by RDMA writes into the regions of a receiver's plan.
///
/// The file goes through a ring of staging slots in this machine's memory or in its card's. When
/// all writes of a piece have completed, a small RDMA read of the piece's end follows: the same
/// requester's read pushes its writes into the memory, for which a completion alone is no promise.
/// Only then the receiver is told.
class Sender {
public:
    /// All references must outlive the sender. \throws Failure, Error
    Sender(const InputFile& file, const Site& site, Endpoint& endpoint, Channel& channel,
           Patience& patience);

    /// Moves all of it. \throws Failure, Error
    void move(const wire::Plan& plan, Progress& progress);
    /// The digest of what was moved.
    Digest finish() { return digest_.finish(); }
    /// The keys of the staging memory.
    std::vector<std::uint32_t> lkeys() const;

private:
    struct Slot {
        std::uint64_t offset = 0; // in the staging memory
        bool busy = false;
    };

    void move_piece(const wire::Plan& plan, std::uint64_t piece, Progress& progress);
    void push_out(const wire::Region& region, std::uint64_t length);
    Slot& free_slot();
    void fill(const Slot& slot, std::uint64_t file_offset, std::uint32_t length);
    /// Waits for a completion or a message, and takes note of it.
    void step();
    bool take_completion();
    void take_messages();
    void take_message(const wire::Message& message);

    const InputFile& file_;
    Endpoint& endpoint_;
    Channel& channel_;
    Patience& patience_;
    Pieces pieces_;
    std::uint32_t chunk_ = 0;
    std::unique_ptr<Buffer> staging_;
    std::unique_ptr<Buffer> echo_; // where the read of a piece's end goes
    std::vector<Slot> slots_;
    std::vector<std::byte> bytes_; // a chunk on its way from the file to the staging memory
    Sha256 digest_;
    std::uint32_t outstanding_ = 0;
    std::uint64_t taken_ = 0;   // pieces that the receiver has read
    std::uint64_t visible_ = 0; // pieces that it was told of
    std::uint64_t sent_ = 0;    // bytes
};

} // namespace p2prdma::tool
