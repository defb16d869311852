// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "lib/l2/lossy_port.hpp"

#include <algorithm>
#include <cstdio>
#include <utility>

namespace p2prdma::l2 {

LossyPort::LossyPort(std::unique_ptr<Port> inner, double lose, std::uint64_t seed)
    : inner_(std::move(inner)), lose_(lose), random_(seed), until_loss_(draw())
{
}

std::uint64_t LossyPort::draw() noexcept
{
    constexpr std::uint64_t most = 1'000'000; // rarer than that is not lost on purpose
    std::uint64_t frames = 0;
    while (frames < most && !random_.chance(lose_))
        frames++;
    return frames;
}

std::size_t LossyPort::send(std::span<const Outgoing> frames) noexcept
{
    std::size_t done = 0;
    while (done < frames.size()) {
        const auto wanted = std::min<std::uint64_t>(until_loss_, frames.size() - done);
        const auto sent = inner_->send(frames.subspan(done, wanted));
        done += sent;
        until_loss_ -= sent;
        if (sent < wanted || done == frames.size())
            break;
        done++;
        lost_++;
        until_loss_ = draw();
    }
    return done;
}

Statistics LossyPort::statistics() const
{
    auto all = inner_->statistics();
    all.emplace_back("lost_on_purpose", lost_);
    return all;
}

std::string LossyPort::reason() const
{
    std::array<char, 48> share = {};
    std::snprintf(share.data(), share.size(), "; %g %% of frames are lost on purpose", lose_ * 100);
    return inner_->reason() + share.data();
}

} // namespace p2prdma::l2
