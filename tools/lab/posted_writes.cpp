// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "tools/lab/posted_writes.hpp"

#include "tools/lab/pci_device.hpp"

#include <algorithm>
#include <utility>

namespace lab {

PostedWrites::~PostedWrites()
{
    owner_.loop().cancel(timer_);
}

void PostedWrites::set_delay(const Delay& delay)
{
    land();
    delay_ = delay;
}

void PostedWrites::hold(PciDevice& peer, unsigned bar, std::uint64_t offset,
                        std::span<const std::byte> data)
{
    held_.push_back({&peer, bar, offset, {data.begin(), data.end()}, Clock::now() + delay_.time});
    if (held_.size() == 1)
        start_timer();
}

void PostedWrites::land()
{
    while (!held_.empty())
        land_first();
    owner_.loop().cancel(std::exchange(timer_, 0));
}

/// It is off the queue before it lands: its peer may act upon it.
void PostedWrites::land_first()
{
    Write write = std::move(held_.front());
    held_.pop_front();
    write.peer->peer_access(owner_, write.bar, write.offset, write.data.size(), true);
    write.peer->peer_write(write.bar, write.offset, write.data);
}

void PostedWrites::land_due()
{
    timer_ = 0;
    while (!held_.empty() && held_.front().due <= Clock::now())
        land_first();
    if (!held_.empty() && timer_ == 0)
        start_timer();
}

void PostedWrites::start_timer()
{
    auto rest = std::chrono::ceil<std::chrono::milliseconds>(held_.front().due - Clock::now());
    timer_ =
        owner_.loop().after(std::max(rest, std::chrono::milliseconds(0)), [this] { land_due(); });
}

} // namespace lab
