// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "lib/l2/outbox.hpp"

#include "lib/l2/big_endian.hpp"
#include "lib/l2/crc32c.hpp"
#include "lib/l2/seal.hpp"

#include <algorithm>
#include <cstring>
#include <new>

namespace p2prdma::l2 {

Outbox::Outbox(Port& port, Counters& counters, const DeviceOptions& options)
    : port_(port), counters_(counters), ether_type_(options.ether_type), vlan_(options.vlan),
      source_(port.address()), slots_(port.batch()), frames_(port.batch())
{
}

std::span<std::byte> Outbox::staging(std::size_t bytes) noexcept
{
    auto& slot = slots_[count_];
    if (slot.staging_size < bytes) {
        slot.staging.reset(new (std::nothrow) std::byte[bytes]);
        slot.staging_size = slot.staging ? bytes : 0;
    }
    return {slot.staging.get(), std::min(bytes, slot.staging_size)};
}

void Outbox::push(wire::Frame& head, const Payload& payload, Sealer* sealer) noexcept
{
    auto& slot = slots_[count_];
    auto& frame = frames_[count_];
    head.source = source_;
    head.vlan = vlan_;
    if (sealer != nullptr)
        head.header.flags |= wire::sealed;
    const auto size = wire::compose(head, payload.bytes, ether_type_, slot.prefix);
    frame.count = 0;
    frame.pieces[frame.count++] = std::span(slot.prefix).first(size);
    for (std::size_t i = 0; i < payload.count; ++i)
        frame.pieces[frame.count++] = payload.pieces[i];
    finish(slot, frame, vlan_ ? 18 : 14, sealer);
    counters_.add(Counter::frames_sent);
    const auto bytes = size + payload.bytes + frame.pieces[frame.count - 1].size();
    counters_.add(Counter::bytes_sent, bytes);
    bytes_ += bytes;
    ++count_;
}

void Outbox::finish(Slot& slot, Outgoing& frame, std::size_t ethernet, Sealer* sealer) noexcept
{
    auto covered = frame;
    covered.pieces[0] = covered.pieces[0].subspan(ethernet);
    std::size_t sealed = 0;
    if (sealer != nullptr) {
        const auto seal = std::span(slot.suffix).first<wire::seal_size>();
        sealer->seal(std::span(covered.pieces).first(covered.count), seal);
        covered.pieces[covered.count++] = seal;
        sealed = seal.size();
    }
    std::uint32_t crc = 0;
    for (std::size_t i = 0; i < covered.count; ++i)
        crc = crc32c(crc, covered.pieces[i]);
    store_big(&slot.suffix[sealed], crc);
    frame.pieces[frame.count++] = std::span(slot.suffix).first(sealed + wire::crc_size);
}

void Outbox::keep(Slot& slot, Outgoing& frame) noexcept
{
    const auto payload = std::span(frame.pieces).subspan(1, frame.count - 2);
    std::size_t bytes = 0;
    for (const auto& piece : payload)
        bytes += piece.size();
    if (bytes == 0 || (payload.size() == 1 && payload[0].data() == slot.staging.get()))
        return;
    std::unique_ptr<std::byte[]> copy(new (std::nothrow) std::byte[bytes]);
    if (!copy) {
        frame.count = 0; // as good as lost
        return;
    }
    std::size_t offset = 0;
    for (const auto& piece : payload) {
        std::memcpy(&copy[offset], piece.data(), piece.size());
        offset += piece.size();
    }
    frame.pieces[1] = {copy.get(), bytes};
    frame.pieces[2] = frame.pieces[frame.count - 1];
    frame.count = 3;
    slot.staging = std::move(copy);
    slot.staging_size = bytes;
}

// The memory that these frames point to belongs to requests that may end before the next flush().
void Outbox::keep(std::size_t from) noexcept
{
    for (auto i = std::max(from, kept_); i < count_; ++i)
        keep(slots_[i], frames_[i]);
    kept_ = count_;
    std::size_t put = from;
    for (auto i = from; i < count_; ++i)
        if (frames_[i].count != 0)
            frames_[put++] = frames_[i];
    count_ = kept_ = put;
    counters_.add(Counter::unsent, count_ - from);
}

bool Outbox::flush() noexcept
{
    if (count_ == 0)
        return true;
    sent_ += port_.send(std::span(frames_).subspan(sent_, count_ - sent_));
    if (sent_ < count_ && port_.is_up()) {
        keep(sent_);
        if (sent_ < count_) {
            blocked_ = true;
            return false;
        }
    }
    count_ = sent_ = kept_ = bytes_ = 0;
    blocked_ = false;
    return true;
}

} // namespace p2prdma::l2
