// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "tools/lab/efa/memory_region.hpp"

#include "tools/lab/efa/io_layout.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <limits>
#include <map>
#include <utility>

namespace lab::efa {

namespace {

constexpr std::uint32_t slot_mask = 0xffff;
constexpr unsigned slot_bits = 16;

nlohmann::json to_json(const RouteBytes& routes)
{
    nlohmann::json object = nlohmann::json::object();
    for (std::size_t i = 0; i < route_count; ++i)
        object[std::string(route_names[i])] = routes.bytes[i];
    return object;
}

} // namespace

std::uint64_t MemoryRegion::page_count(const Layout& layout)
{
    bool page_size_ok = layout.page_shift >= page_shift_min && layout.page_shift <= page_shift_max;
    auto last = std::numeric_limits<std::uint64_t>::max() - layout.iova;
    if (!page_size_ok || layout.length == 0 || layout.length - 1 > last)
        return 0;
    std::uint64_t last_page = (layout.iova + (layout.length - 1)) >> layout.page_shift;
    return last_page - (layout.iova >> layout.page_shift) + 1;
}

MemoryRegion::MemoryRegion(const Layout& layout, std::vector<std::uint64_t> pages)
    : layout_(layout), pages_(std::move(pages))
{
}

bool MemoryRegion::covers(std::uint64_t address, std::uint64_t length) const
{
    if (address < layout_.iova)
        return false;
    std::uint64_t offset = address - layout_.iova;
    return offset <= layout_.length && length <= layout_.length - offset;
}

void MemoryRegion::append_segments(std::uint64_t address, std::uint64_t length,
                                   std::vector<DmaSegment>& segments) const
{
    std::uint64_t page_size = std::uint64_t{1} << layout_.page_shift;
    std::uint64_t index = (address >> layout_.page_shift) - (layout_.iova >> layout_.page_shift);
    std::uint64_t in_page = address & (page_size - 1);
    while (length != 0) {
        std::uint64_t piece = std::min(length, page_size - in_page);
        std::uint64_t bus = pages_[index++] + in_page;
        bool joins = !segments.empty() && segments.back().address + segments.back().length == bus;
        if (joins)
            segments.back().length += piece;
        else
            segments.push_back({bus, piece});
        length -= piece;
        in_page = 0;
    }
}

nlohmann::json MemoryRegion::describe() const
{
    return {{"lkey", lkey_},
            {"rkey", rkey_},
            {"iova", layout_.iova},
            {"length", layout_.length},
            {"live", live_},
            {"bytes_written", to_json(bytes_written)},
            {"bytes_read", to_json(bytes_read)}};
}

std::shared_ptr<MemoryRegion> MemoryRegionTable::add(const MemoryRegion::Layout& layout,
                                                     std::vector<std::uint64_t> pages)
{
    auto slot = slots_.take();
    if (!slot)
        return nullptr;
    auto region = std::make_shared<MemoryRegion>(layout, std::move(pages));
    std::uint32_t generation = ++generations_[*slot];
    region->rkey_ = generation << slot_bits | *slot;
    region->lkey_ = region->rkey_ & key24_mask;
    regions_[*slot] = region;
    return region;
}

std::shared_ptr<MemoryRegion> MemoryRegionTable::remove(std::uint32_t lkey)
{
    auto it = regions_.find(lkey & slot_mask);
    if (it == regions_.end() || it->second->lkey_ != lkey)
        return nullptr;
    auto region = std::move(it->second);
    slots_.give(it->first);
    regions_.erase(it);
    retire(region);
    return region;
}

void MemoryRegionTable::retire(std::shared_ptr<MemoryRegion> region)
{
    region->live_ = false;
    region->pages_ = {};
    history_.push_back(std::move(region));
    if (history_.size() > history_limit)
        history_.pop_front();
}

void MemoryRegionTable::clear()
{
    for (auto& [slot, region] : regions_) {
        slots_.give(slot);
        retire(std::move(region));
    }
    regions_.clear();
}

std::shared_ptr<MemoryRegion> MemoryRegionTable::find_local(std::uint32_t lkey,
                                                            std::uint16_t pd) const
{
    auto it = regions_.find(lkey & slot_mask);
    bool found = it != regions_.end() && it->second->lkey_ == (lkey & key24_mask) &&
                 it->second->layout_.pd == pd;
    return found ? it->second : nullptr;
}

std::shared_ptr<MemoryRegion> MemoryRegionTable::find_remote(std::uint32_t rkey,
                                                             std::uint16_t pd) const
{
    auto it = regions_.find(rkey & slot_mask);
    bool found = it != regions_.end() && it->second->rkey_ == rkey && it->second->layout_.pd == pd;
    return found ? it->second : nullptr;
}

nlohmann::json MemoryRegionTable::describe() const
{
    nlohmann::json list = nlohmann::json::array();
    std::map<std::uint32_t, const MemoryRegion*> sorted;
    for (const auto& [slot, region] : regions_)
        sorted[slot] = region.get();
    for (const auto& [slot, region] : sorted)
        list.push_back(region->describe());
    for (const auto& region : history_)
        list.push_back(region->describe());
    return list;
}

void MemoryRegionTable::reset_counters()
{
    history_.clear();
    for (auto& [slot, region] : regions_) {
        region->bytes_written = {};
        region->bytes_read = {};
    }
}

} // namespace lab::efa
