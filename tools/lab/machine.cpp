// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "tools/lab/machine.hpp"

#include "tools/lab/pci_device.hpp"

#include <algorithm>
#include <cerrno>
#include <limits>
#include <sys/stat.h>
#include <system_error>

namespace lab {

namespace {

bool is_file(const std::string& path, std::uint64_t device, std::uint64_t inode)
{
    struct stat info {};
    return ::stat(path.c_str(), &info) == 0 && info.st_dev == device && info.st_ino == inode;
}

bool starts_above(std::uint64_t address, const Machine::DecodedBar& bar)
{
    return address < bar.address;
}

} // namespace

Machine::Machine(std::string name, std::vector<std::string> ram, std::vector<BarFile> bars)
    : name_(std::move(name)), ram_(std::move(ram)), bars_(std::move(bars))
{
}

Machine::~Machine()
{
    for (PciDevice* device : devices_)
        device->machine_ = nullptr;
}

int Machine::switch_id(std::string_view name)
{
    if (name.empty())
        return -1;
    auto it = std::find(switches_.begin(), switches_.end(), name);
    if (it == switches_.end())
        it = switches_.emplace(it, name);
    return static_cast<int>(it - switches_.begin());
}

void Machine::add(PciDevice& device, std::string_view switch_name)
{
    device.machine_ = this;
    device.switch_id_ = switch_id(switch_name);
    devices_.push_back(&device);
    decoding_changed();
}

void Machine::remove(PciDevice& device)
{
    std::erase(devices_, &device);
    device.machine_ = nullptr;
    decoding_changed();
}

bool Machine::same_switch(const PciDevice& one, const PciDevice& other)
{
    return one.switch_id_ >= 0 && one.switch_id_ == other.switch_id_;
}

const std::vector<Machine::DecodedBar>& Machine::decoded() const
{
    if (!decoded_valid_)
        decode();
    return decoded_;
}

void Machine::decode() const
{
    decoded_.clear();
    for (PciDevice* device : devices_) {
        for (unsigned bar = 0; bar < device->bars().size(); ++bar) {
            if (std::uint64_t address = device->bar_address(bar))
                decoded_.push_back({address, device->bars()[bar].size, device, bar});
        }
    }
    std::sort(decoded_.begin(), decoded_.end(),
              [](const auto& a, const auto& b) { return a.address < b.address; });
    decoded_valid_ = true;
}

const Machine::DecodedBar* Machine::find_bar(std::uint64_t address) const
{
    const auto& bars = decoded();
    auto it = std::upper_bound(bars.begin(), bars.end(), address, starts_above);
    if (it == bars.begin())
        return nullptr;
    --it;
    return address - it->address < it->size ? &*it : nullptr;
}

std::uint64_t Machine::next_bar(std::uint64_t address) const
{
    const auto& bars = decoded();
    auto it = std::upper_bound(bars.begin(), bars.end(), address, starts_above);
    return it == bars.end() ? std::numeric_limits<std::uint64_t>::max() : it->address;
}

std::shared_ptr<const FileMapping> Machine::map_file(int fd, bool writable)
{
    struct stat info {};
    if (::fstat(fd, &info) != 0)
        throw std::system_error(errno, std::system_category(), "cannot examine a file of QEMU's");
    FileKey key{info.st_dev, info.st_ino, writable};
    if (auto known = files_[key].lock())
        return known;
    std::erase_if(files_, [](const auto& entry) { return entry.second.expired(); });

    auto file = std::make_shared<FileMapping>();
    file->memory = MappedMemory(fd, static_cast<std::size_t>(info.st_size), writable);
    classify(*file, key);
    files_[key] = file;
    return file;
}

void Machine::classify(FileMapping& file, const FileKey& key)
{
    auto [device, inode, writable] = key;
    for (const auto& path : ram_) {
        if (is_file(path, device, inode))
            file.kind = FileMapping::Kind::ram;
    }
    for (const auto& bar : bars_) {
        if (is_file(bar.path, device, inode))
            file.switch_id = switch_id(bar.switch_name);
    }
}

Route Machine::route(const PciDevice& requester, const FileMapping& file)
{
    if (file.kind == FileMapping::Kind::ram)
        return Route::host_dram;
    bool below_same = file.switch_id >= 0 && file.switch_id == requester.switch_id_;
    return below_same ? Route::peer_switch : Route::peer_bridge;
}

} // namespace lab
