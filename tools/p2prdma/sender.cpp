// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "tools/p2prdma/sender.hpp"

#include "tools/p2prdma/failure.hpp"
#include "tools/p2prdma/input_file.hpp"
#include "tools/p2prdma/patience.hpp"
#include "tools/p2prdma/progress.hpp"
#include "tools/p2prdma/site.hpp"

#include <algorithm>
#include <array>

namespace p2prdma::tool {
namespace {

constexpr std::uint64_t max_chunk = 1u << 20;
constexpr std::uint64_t echo_bytes = 8;
constexpr auto poll_interval = std::chrono::microseconds(100); // of adapters without events

} // namespace

Sender::Sender(const InputFile& file, const Site& site, Endpoint& endpoint, Channel& channel,
               Patience& patience)
    : file_(file), endpoint_(endpoint), channel_(channel), patience_(patience)
{
    if (file.size() == 0)
        return;
    const auto useful = std::min(file.size(), endpoint.depth() * max_chunk);
    const auto staging = std::min(useful, site.most_staging());
    chunk_ = static_cast<std::uint32_t>(
        std::min({max_chunk, staging, std::uint64_t{endpoint.max_bytes()}}));
    staging_ = site.make_buffer(staging, 0);
    echo_ = site.make_scratch(echo_bytes, IBV_ACCESS_LOCAL_WRITE);
    slots_.resize(std::min<std::uint64_t>(staging / chunk_, endpoint.depth()));
    for (std::size_t i = 0; i < slots_.size(); i++)
        slots_[i].offset = i * chunk_;
    bytes_.resize(chunk_);
}

std::vector<std::uint32_t> Sender::lkeys() const
{
    return staging_ ? std::vector{staging_->region().lkey} : std::vector<std::uint32_t>();
}

void Sender::move(const wire::Plan& plan, Progress& progress)
{
    pieces_ = {file_.size(), plan.piece_bytes, plan.pieces, plan.regions};
    if (!pieces_.fits(file_.size()))
        throw Failure(Exit::failed, "protocol",
                      channel_.peer() +
                          " does not follow the protocol: its plan does not fit the file");
    for (std::uint64_t piece = 0; piece < pieces_.count; piece++) {
        while (piece >= taken_ + pieces_.regions)
            step();
        move_piece(plan, piece, progress);
    }
    while (taken_ < pieces_.count)
        step();
    file_.check_size();
}

void Sender::move_piece(const wire::Plan& plan, std::uint64_t piece, Progress& progress)
{
    const auto& region = plan.region[pieces_.region(piece)];
    const auto length = pieces_.length(piece);
    for (std::uint64_t done = 0; done < length;) {
        Slot& slot = free_slot();
        const auto part =
            static_cast<std::uint32_t>(std::min<std::uint64_t>(chunk_, length - done));
        fill(slot, pieces_.offset(piece) + done, part);
        const auto id = static_cast<std::uint64_t>(&slot - slots_.data());
        endpoint_.write(id,
                        {staging_->region().address + slot.offset, part, staging_->region().lkey},
                        {region.address + done, region.rkey});
        slot.busy = true;
        outstanding_++;
        done += part;
        sent_ += part;
        progress.update(sent_);
    }
    while (outstanding_ > 0)
        step();
    push_out(region, length);
    channel_.send(wire::Visible{piece, length});
    visible_ = piece + 1;
}

void Sender::push_out(const wire::Region& region, std::uint64_t length)
{
    const auto part = std::min(echo_bytes, length);
    endpoint_.read(
        slots_.size(),
        {echo_->region().address, static_cast<std::uint32_t>(part), echo_->region().lkey},
        {region.address + length - part, region.rkey});
    outstanding_++;
    while (outstanding_ > 0)
        step();
}

Sender::Slot& Sender::free_slot()
{
    for (;;) {
        while (take_completion()) {
        }
        const auto slot = std::ranges::find(slots_, false, &Slot::busy);
        if (slot != slots_.end())
            return *slot;
        step();
    }
}

void Sender::fill(const Slot& slot, std::uint64_t file_offset, std::uint32_t length)
{
    const auto bytes = std::span(bytes_).first(length);
    file_.read(file_offset, bytes);
    digest_.update(bytes);
    staging_->write(slot.offset, bytes);
    patience_.check("sending to " + channel_.peer());
    take_messages(); // the receiver may have given up
    channel_.keep_alive(sent_);
}

void Sender::step()
{
    endpoint_.arm();
    // After arming: a completion that came before raises no event.
    if (take_completion())
        return;
    std::array<pollfd, 2> events = {
        {{channel_.fd(), POLLIN, 0}, {endpoint_.event_fd(), POLLIN, 0}}};
    const auto at_most = endpoint_.event_fd() < 0 && outstanding_
                             ? Patience::Clock::duration(poll_interval)
                             : Patience::Clock::duration(std::chrono::seconds(1));
    patience_.wait(events, at_most, "sending to " + channel_.peer());
    if (events[0].revents)
        take_messages();
    channel_.keep_alive(sent_);
}

bool Sender::take_completion()
{
    const auto id = endpoint_.poll();
    if (!id)
        return false;
    outstanding_--;
    if (*id < slots_.size())
        slots_[*id].busy = false;
    patience_.progress();
    return true;
}

void Sender::take_messages()
{
    while (const auto message = channel_.try_receive())
        take_message(*message);
}

void Sender::take_message(const wire::Message& message)
{
    const auto* taken = std::get_if<wire::Taken>(&message);
    // A piece can only be read once it is there.
    if (!taken || taken->piece != taken_ || taken_ >= visible_)
        throw Failure(Exit::failed, "protocol",
                      channel_.peer() + " does not follow the protocol: unexpected message " +
                          wire::name_of(message));
    taken_++;
}

} // namespace p2prdma::tool
