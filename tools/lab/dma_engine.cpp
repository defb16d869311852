// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "tools/lab/dma_engine.hpp"

#include "tools/lab/machine.hpp"
#include "tools/lab/mapped_memory.hpp"
#include "tools/lab/pci_device.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

namespace lab {

namespace {

/// Messages of one request that may be on their way at once: QEMU works on one while the next
/// arrives, and a slow QEMU bounds what is queued for it.
constexpr unsigned max_in_flight = 8;

} // namespace

/// A read or a write, and how far it got. It borrows the caller's segments and data until keep().
struct DmaEngine::Request {
    bool is_write = false;
    std::span<const DmaSegment> segments;
    std::span<std::byte> into;
    std::span<const std::byte> data;
    Done done;

    bool kept = false;
    std::vector<DmaSegment> own_segments;
    std::vector<std::byte> own_data;

    std::size_t segment = 0;        ///< the current one
    std::uint64_t segment_done = 0; ///< bytes of it that are done or on their way
    std::uint64_t position = 0;     ///< bytes of all that are done or on their way
    unsigned in_flight = 0;         ///< messages
    DmaResult result;

    std::uint64_t size() const { return is_write ? data.size() : into.size(); }
    bool at_end() const { return position == size() || result.error != 0; }
    void keep();
    bool next_piece(DmaSegment& piece);
    void consume(std::uint64_t length);
};

void DmaEngine::Request::keep()
{
    own_segments.assign(segments.begin(), segments.end());
    segments = own_segments;
    own_data.assign(data.begin(), data.end());
    data = own_data;
    kept = true;
}

/// The rest of the current segment; false if there is none, or it lies beyond 2^64.
bool DmaEngine::Request::next_piece(DmaSegment& piece)
{
    while (segment < segments.size() && segment_done == segments[segment].length) {
        ++segment;
        segment_done = 0;
    }
    if (segment == segments.size())
        return false;
    const DmaSegment& whole = segments[segment];
    if (segment_done > DmaMap::max_address - whole.address)
        return false;
    piece.address = whole.address + segment_done;
    piece.length = std::min(whole.length - segment_done, size() - position);
    return true;
}

void DmaEngine::Request::consume(std::uint64_t length)
{
    segment_done += length;
    position += length;
}

/// Where a piece of address space leads: memory here, a sibling's BAR, or a message.
struct DmaEngine::Target {
    std::uint64_t address;
    std::uint64_t length;
    Route route = Route::message;
    std::byte* memory = nullptr;
    bool writable = true;
    PciDevice* peer = nullptr;
    unsigned bar = 0;
    std::uint64_t offset = 0; ///< in the BAR

    void limit(std::uint64_t last) { length = std::min(length - 1, last - address) + 1; }
    void set_peer(const Machine::DecodedBar& decoded, Route way)
    {
        peer = decoded.device;
        bar = decoded.bar;
        offset = address - decoded.address;
        route = way;
        limit(decoded.address + (decoded.size - 1));
    }
};

DmaEngine::DmaEngine(PciDevice& device) : device_(device), posted_(device) {}

DmaEngine::~DmaEngine() = default;

void DmaEngine::read(std::span<const DmaSegment> from, std::span<std::byte> into, Done done)
{
    Request request;
    request.segments = from;
    request.into = into;
    request.done = std::move(done);
    start(request);
}

void DmaEngine::write(std::span<const DmaSegment> to, std::span<const std::byte> data, Done done)
{
    Request request;
    request.is_write = true;
    request.segments = to;
    request.data = data;
    request.done = std::move(done);
    start(request);
}

void DmaEngine::read(std::uint64_t address, std::span<std::byte> into, Done done)
{
    std::array segment{DmaSegment{address, into.size()}};
    read(segment, into, std::move(done));
}

void DmaEngine::write(std::uint64_t address, std::span<const std::byte> data, Done done)
{
    std::array segment{DmaSegment{address, data.size()}};
    write(segment, data, std::move(done));
}

void DmaEngine::start(Request& request)
{
    if (queue_.empty() && advance(request)) {
        complete(request);
        return;
    }
    request.keep();
    queue_.push_back(std::make_unique<Request>(std::move(request)));
    if (queue_.size() == 1)
        advance_front();
}

void DmaEngine::advance_front()
{
    // Whoever is called back may add requests; the outermost call sees to them.
    if (std::exchange(advancing_, true))
        return;
    while (!queue_.empty() && advance(*queue_.front())) {
        auto finished = std::move(queue_.front());
        queue_.pop_front();
        complete(*finished);
    }
    advancing_ = false;
}

/// Moves on as far as possible. True if the request is finished.
bool DmaEngine::advance(Request& request)
{
    while (!request.at_end()) {
        if (!step(request))
            return false;
    }
    return request.in_flight == 0;
}

/// Moves one piece. False if that has to wait.
bool DmaEngine::step(Request& request)
{
    DmaSegment piece{};
    if (!device_.bus_master()) {
        request.result.error = EPERM;
        return true;
    }
    if (!request.next_piece(piece)) {
        request.result.error = EFAULT;
        return true;
    }
    Target target = resolve(piece.address, piece.length);
    bool by_message = !target.peer && (!target.memory || (request.is_write && !target.writable));
    if (by_message && !port_) {
        request.result.error = EFAULT;
        return true;
    }
    // A copy must not overtake a message that is still on its way.
    if (by_message ? !request.kept || request.in_flight == max_in_flight : request.in_flight != 0)
        return false;
    bool elsewhere = by_message || (target.peer && !request.is_write);
    if (elsewhere && !(request.is_write && posted_.overtaken_by(request.size())))
        posted_.land();
    if (by_message)
        send(request, target);
    else
        copy(request, target);
    request.consume(target.length);
    return true;
}

DmaEngine::Target DmaEngine::resolve(std::uint64_t address, std::uint64_t length) const
{
    Target target{.address = address, .length = length};
    const Machine* machine = device_.machine_;
    const Machine::DecodedBar* bar = machine ? machine->find_bar(address) : nullptr;
    if (machine && machine->next_bar(address) != DmaMap::max_address)
        target.limit(machine->next_bar(address) - 1);
    if (bar && bar->device == &device_)
        bar = nullptr; // a port never routes back where a request came from

    if (bar && Machine::same_switch(device_, *bar->device)) {
        target.set_peer(*bar, Route::peer_switch);
        return target;
    }
    resolve_mapped(address, target);
    // QEMU maps the memory BAR of a vfio-user device without a descriptor. At the BAR's own
    // address that is the BAR itself; elsewhere an IOMMU is in the way, and QEMU must translate.
    const DmaMap::Range* range = map_.find(address);
    if (bar && range && !range->memory && range->address == bar->address &&
        bar->device->bars()[bar->bar].kind == Bar::Kind::memory)
        target.set_peer(*bar, Route::peer_bridge);
    return target;
}

void DmaEngine::resolve_mapped(std::uint64_t address, Target& target) const
{
    const DmaMap::Range* range = map_.find(address);
    if (!range) {
        if (std::uint64_t next = map_.next(address); next != DmaMap::max_address)
            target.limit(next - 1);
        return;
    }
    target.limit(range->last);
    if (!range->memory)
        return;
    target.memory = range->memory + (address - range->address);
    target.writable = range->writable;
    target.route = range->route;
}

void DmaEngine::copy(Request& request, const Target& target)
{
    auto n = static_cast<std::size_t>(target.length);
    if (request.is_write) {
        auto data = request.data.subspan(request.position, n);
        if (target.peer)
            copy_to_peer(request, target, data);
        else
            store(target.memory, data);
    } else {
        auto into = request.into.subspan(request.position, n);
        if (target.peer) {
            target.peer->peer_access(device_, target.bar, target.offset, n, false);
            target.peer->peer_read(target.bar, target.offset, into);
        } else {
            std::memcpy(into.data(), target.memory, n);
        }
    }
    request.result.routes[target.route] += target.length;
}

void DmaEngine::copy_to_peer(const Request& request, const Target& target,
                             std::span<const std::byte> data)
{
    if (posted_.holds(request.size()))
        return posted_.hold(*target.peer, target.bar, target.offset, data);
    target.peer->peer_access(device_, target.bar, target.offset, data.size(), true);
    target.peer->peer_write(target.bar, target.offset, data);
}

void DmaEngine::send(Request& request, Target& target)
{
    target.length = std::min<std::uint64_t>(target.length, port_->max_transfer());
    auto reply = [this, epoch = epoch_, offset = request.position,
                  n = target.length](int error, std::span<const std::byte> data) {
        replied(epoch, offset, n, error, data);
    };
    ++request.in_flight;
    ++messages_;
    if (request.is_write)
        port_->send_write(target.address, request.data.subspan(request.position, target.length),
                          std::move(reply));
    else
        port_->send_read(target.address, static_cast<std::size_t>(target.length), std::move(reply));
}

void DmaEngine::replied(std::uint64_t epoch, std::uint64_t offset, std::uint64_t length, int error,
                        std::span<const std::byte> data)
{
    if (epoch != epoch_)
        return;
    Request& request = *queue_.front(); // only the first request has messages on their way
    --request.in_flight;
    if (error == 0 && !request.is_write) {
        if (data.size() == length)
            std::copy(data.begin(), data.end(), request.into.begin() + static_cast<long>(offset));
        else
            error = EPROTO;
    }
    if (error == 0)
        request.result.routes[Route::message] += length;
    else if (request.result.error == 0)
        request.result.error = EFAULT;
    advance_front();
}

void DmaEngine::complete(Request& request)
{
    (request.is_write ? bytes_written_ : bytes_read_) += request.result.routes;
    if (request.result.error != 0)
        ++errors_;
    if (auto done = std::move(request.done))
        done(request.result);
}

void DmaEngine::abort()
{
    ++epoch_;
    std::deque<std::unique_ptr<Request>> dropped;
    dropped.swap(queue_);
    for (auto& request : dropped) {
        request->result.error = ECANCELED;
        complete(*request);
    }
}

void DmaEngine::reset_counters()
{
    bytes_read_ = {};
    bytes_written_ = {};
    errors_ = 0;
    messages_ = 0;
}

} // namespace lab
