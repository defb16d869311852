// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "tools/lab/efa/adapter.hpp"

#include "tools/lab/config.hpp"
#include "tools/lab/efa/wire.hpp"
#include "tools/lab/event_loop.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <arpa/inet.h>
#include <array>
#include <cstring>
#include <stdexcept>
#include <string_view>
#include <utility>

namespace lab {

namespace {

namespace reg = efa::reg;

constexpr std::uint32_t register_bar_size = 16 * 1024;
constexpr std::uint32_t queue_memory_size = 32 * 1024 * 1024;
constexpr std::uint32_t doorbell_bar_size = efa::Limits::max_uar * efa::Doorbells::page_size;
constexpr unsigned msix_vectors = 33; // admin, and completions for up to 32 CPUs

constexpr PciIdentity pci_identity{.vendor = 0x1d0f,
                                   .device = 0xefa1,
                                   .class_code = 0x020000,
                                   .revision = 0,
                                   .msix_vectors = msix_vectors,
                                   .msix_bar = 0,
                                   .msix_table_offset = 0x2000,
                                   .msix_pba_offset = 0x3000};

/// A number that is always the same for a name, and most probably another for another (FNV-1a).
std::uint64_t hash(std::string_view text)
{
    std::uint64_t value = 0xcbf29ce484222325;
    for (char c : text)
        value = (value ^ static_cast<unsigned char>(c)) * 0x100000001b3;
    return value;
}

/// A link-local address with an interface identifier that is marked as not universal.
Gid derive_gid(std::string_view name)
{
    Gid gid{0xfe, 0x80};
    std::uint64_t id = hash(name);
    for (unsigned i = 0; i < 8; ++i)
        gid[8 + i] = static_cast<std::uint8_t>(id >> (56 - 8 * i));
    gid[8] &= 0xfd;
    return gid;
}

Gid parse_gid(const std::string& text)
{
    Gid gid{};
    if (inet_pton(AF_INET6, text.c_str(), gid.data()) != 1)
        throw std::invalid_argument("\"gid\": \"" + text + "\" is no IPv6 address");
    return gid;
}

std::string format_gid(const Gid& gid)
{
    std::array<char, INET6_ADDRSTRLEN> text{};
    return inet_ntop(AF_INET6, gid.data(), text.data(), text.size());
}

Gid configured_gid(const std::string& name, const nlohmann::json& config)
{
    auto it = config.find("gid");
    if (it == config.end() || it->is_null())
        return derive_gid(name);
    if (!it->is_string())
        throw std::invalid_argument("\"gid\" must be a string");
    return parse_gid(it->get<std::string>());
}

bool has_event_counters(const nlohmann::json& config)
{
    auto it = config.find("event_counters");
    if (it == config.end())
        return true;
    if (!it->is_boolean())
        throw std::invalid_argument("\"event_counters\" must be true or false");
    return it->get<bool>();
}

void refuse_unknown_keys(const nlohmann::json& config)
{
    constexpr std::array<std::string_view, 3> known{"gid", "fabric", "event_counters"};
    for (const auto& item : config.items()) {
        if (std::find(known.begin(), known.end(), item.key()) == known.end())
            throw std::invalid_argument("an EFA adapter has no option \"" + item.key() + "\"");
    }
}

std::uint64_t guid_of(const Gid& gid)
{
    std::uint64_t guid = 0;
    std::memcpy(&guid, &gid[8], sizeof(guid)); // both in network byte order
    return guid;
}

nlohmann::json to_json(const efa::Counters& c)
{
    return {{"tx_bytes", c.tx_bytes},
            {"tx_packets", c.tx_packets},
            {"rx_bytes", c.rx_bytes},
            {"rx_packets", c.rx_packets},
            {"rx_drops", c.rx_drops},
            {"qkey_violations", c.qkey_violations},
            {"send_requests", c.send_requests},
            {"send_bytes", c.send_bytes},
            {"receive_requests", c.receive_requests},
            {"receive_bytes", c.receive_bytes},
            {"read_requests", c.read_requests},
            {"read_bytes", c.read_bytes},
            {"read_errors", c.read_errors},
            {"read_response_bytes", c.read_response_bytes},
            {"write_requests", c.write_requests},
            {"write_bytes", c.write_bytes},
            {"write_errors", c.write_errors},
            {"write_receive_bytes", c.write_receive_bytes},
            {"admin_commands", c.admin_commands},
            {"admin_errors", c.admin_errors},
            {"doorbells", c.doorbells},
            {"bad_doorbells", c.bad_doorbells},
            {"completions", c.completions},
            {"error_completions", c.error_completions},
            {"events", c.events},
            {"rnr", c.rnr},
            {"unresponsive", c.unresponsive},
            {"phase_errors", c.phase_errors}};
}

std::uint64_t join(std::uint32_t high, std::uint32_t low)
{
    return std::uint64_t{high} << 32 | low;
}

} // namespace

EfaAdapter::EfaAdapter(EventLoop& loop, std::string name, const nlohmann::json& config,
                       Fabric& fabric)
    : PciDevice(loop, std::move(name), pci_identity), context_{.dma = dma(),
                                                               .loop = loop,
                                                               .fabric = fabric,
                                                               .gid = configured_gid(
                                                                   PciDevice::name(), config),
                                                               .queue_memory = {}},
      identity_{.guid = guid_of(context_.gid),
                .doorbell_bar = doorbell_bar,
                .max_eq = msix_vectors - 1,
                .event_counters = has_event_counters(config)},
      admin_queue_(
          dma(),
          [this](const efa::admin::SubmissionEntry& entry, const efa::AdminDone& done) {
              efa::execute_admin_command(context_, identity_, *resources_, entry, done);
          },
          [this] { admin_completed(); })
{
    refuse_unknown_keys(config);
    add_trapped_bar(register_bar, register_bar_size);
    add_memory_bar(queue_memory_bar, queue_memory_size, true);
    add_trapped_bar(doorbell_bar, doorbell_bar_size);
    context_.queue_memory = bars()[queue_memory_bar].memory;
    EfaAdapter::reset();
    fabric.attach(context_.gid, *this);
}

EfaAdapter::~EfaAdapter()
{
    // Requests of others that are being served get their replies.
    admin_queue_.reset();
    dma().abort();
    resources_.reset();
    context_.fabric.detach(context_.gid);
}

void EfaAdapter::reset()
{
    set_default_registers();
    restart();
}

void EfaAdapter::set_default_registers()
{
    registers_ = {};
    reg(reg::version) = 1;            // 0.1
    reg(reg::controller_version) = 1; // 0.0.1
    reg(reg::caps) = reg::caps_contiguous_queue_required | 10u << reg::caps_reset_timeout_shift |
                     48u << reg::caps_dma_addr_width_shift;
    reg(reg::dev_sts) = reg::dev_sts_ready;
}

/// Everything that software made is gone.
void EfaAdapter::restart()
{
    alive_ = std::make_shared<int>();
    admin_queue_.reset();
    dma().abort();
    resources_ = nullptr;
    resources_ = std::make_unique<efa::Resources>(context_, msix_vectors,
                                                  [this](unsigned vector) { raise(vector); });
}

void EfaAdapter::defer(std::function<void()> work)
{
    loop().post([guard = std::weak_ptr<int>(alive_), work = std::move(work)] {
        if (!guard.expired())
            work();
    });
}

// Registers

void EfaAdapter::bar_read(unsigned bar, std::uint64_t offset, std::span<std::byte> into)
{
    std::fill(into.begin(), into.end(), std::byte{0});
    bool whole = into.size() == 4 && offset % 4 == 0;
    if (bar == register_bar && whole && offset < reg::end)
        std::memcpy(into.data(), &reg(static_cast<std::uint32_t>(offset)), 4);
}

void EfaAdapter::bar_write(unsigned bar, std::uint64_t offset, std::span<const std::byte> data)
{
    std::uint32_t value = 0;
    if (data.size() < sizeof(value) || offset % sizeof(value) != 0)
        return;
    std::memcpy(&value, data.data(), sizeof(value));
    auto at = static_cast<std::uint32_t>(offset);
    if (bar == register_bar && offset < reg::end)
        write_register(at, value);
    else if (bar == doorbell_bar)
        defer([this, at, value] { ring_doorbell(at, value); });
}

void EfaAdapter::ring_doorbell(std::uint32_t offset, std::uint32_t value)
{
    if (!resources_->ring_doorbell(offset, value))
        violations().add("a doorbell write for nothing that exists",
                         "at " + std::to_string(offset) + " of the doorbell BAR");
}

/// Who drives a queue pair from elsewhere must not do so any more when it is gone.
void EfaAdapter::peer_access(const PciDevice& by, unsigned bar, std::uint64_t offset,
                             std::uint64_t length, bool is_write)
{
    if (bar == queue_memory_bar && is_write && !resources_->owns_queue_memory(offset, length))
        violations().add(by.name() + " wrote to queue memory of no queue pair",
                         std::to_string(length) + " bytes at " + std::to_string(offset));
}

void EfaAdapter::write_register(std::uint32_t offset, std::uint32_t value)
{
    switch (offset) {
    case reg::version:
    case reg::controller_version:
    case reg::caps:
    case reg::dev_sts:
        return; // read-only
    case reg::dev_ctl:
        return control(value);
    case reg::mmio_reg_read:
        return defer([this, value] { answer_read(value); });
    case reg::aq_prod_db:
        return defer([this, value] { admin_doorbell(static_cast<std::uint16_t>(value)); });
    case reg::eq_db:
        if ((value & reg::eq_db_arm) != 0)
            defer([this, value] {
                resources_->arm_event_queue(
                    static_cast<std::uint16_t>(value & reg::eq_db_eqn_mask));
            });
        return;
    default:
        reg(offset) = value;
    }
}

/// A reset lasts from setting the bit to clearing it. It takes effect at once, and forgets the
/// register settings too: the driver sets the place of its read responses again before it asks.
void EfaAdapter::control(std::uint32_t value)
{
    if ((value & reg::dev_ctl_reset) != 0) {
        EfaAdapter::reset();
        reg(reg::dev_sts) |= reg::dev_sts_reset_in_progress;
    } else if ((reg(reg::dev_sts) & reg::dev_sts_reset_in_progress) != 0) {
        reg(reg::dev_sts) &= ~reg::dev_sts_reset_in_progress;
        reg(reg::dev_sts) |= reg::dev_sts_reset_finished;
    }
}

void EfaAdapter::answer_read(std::uint32_t request)
{
    efa::admin::MmioResponse response{};
    response.request = static_cast<std::uint16_t>(request);
    response.offset = static_cast<std::uint16_t>(request >> reg::mmio_offset_shift);
    bool exists = response.offset < reg::end && response.offset % 4 == 0;
    response.value = exists ? reg(response.offset) : ~0u;
    dma().write(join(reg(reg::mmio_resp_hi), reg(reg::mmio_resp_lo)),
                std::as_bytes(std::span(&response, 1)), [](const DmaResult&) {});
}

void EfaAdapter::admin_doorbell(std::uint16_t producer)
{
    using efa::AdminQueue;
    std::uint32_t aq = reg(reg::aq_caps);
    std::uint32_t acq = reg(reg::acq_caps);
    bool sizes_ok =
        aq >> reg::aq_entry_size_shift == sizeof(efa::admin::SubmissionEntry) &&
        (acq >> reg::acq_entry_size_shift & 0xff) == sizeof(efa::admin::CompletionEntry);
    AdminQueue::Ring submission{.base = join(reg(reg::aq_base_hi), reg(reg::aq_base_lo)),
                                .depth = aq & reg::queue_depth_mask};
    AdminQueue::Ring completion{.base = join(reg(reg::acq_base_hi), reg(reg::acq_base_lo)),
                                .depth = acq & reg::queue_depth_mask};
    if (!sizes_ok || !admin_queue_.doorbell(producer, submission, completion))
        reg(reg::dev_sts) |= reg::dev_sts_fatal_error;
}

void EfaAdapter::admin_completed()
{
    if ((reg(reg::intr_mask) & reg::intr_mask_masked) == 0)
        raise(reg(reg::acq_caps) >> reg::acq_vector_shift);
}

// The fabric

void EfaAdapter::receive(PacketPtr packet)
{
    ++context_.counters.rx_packets;
    auto header = efa::get_header(*packet);
    bool is_request = efa::is_request(header.kind);
    bool carries_data = header.kind == efa::PacketKind::send ||
                        header.kind == efa::PacketKind::write ||
                        header.kind == efa::PacketKind::read_reply;
    context_.counters.rx_bytes += carries_data ? header.length : 0;
    if (efa::QueuePair* qp = resources_->find_qp(header.destination_qp))
        qp->receive(packet);
    else if (is_request && (header.flags & efa::PacketHeader::reliable) != 0)
        efa::reply(context_, *packet, efa::CompletionStatus::remote_bad_dest_qpn);
    else if (is_request)
        ++context_.counters.rx_drops;
}

void EfaAdapter::undeliverable(PacketPtr packet)
{
    auto header = efa::get_header(*packet);
    if (!efa::is_request(header.kind))
        return;
    if (efa::QueuePair* qp = resources_->find_qp(header.source_qp))
        qp->undeliverable(header);
}

// Counters

nlohmann::json EfaAdapter::describe() const
{
    return {{"gid", format_gid(context_.gid)},
            {"queue_pairs", resources_->queue_pairs()},
            {"counters", to_json(context_.counters)},
            {"regions", context_.regions.describe()}};
}

nlohmann::json EfaAdapter::control(const nlohmann::json& request)
{
    constexpr std::uint64_t max_delay = 60000;
    ObjectReader options(request, "the adapter's request");
    std::uint64_t delay = options.number("delay_peer_writes");
    std::uint64_t longer_than = options.number_or("longer_than", 0);
    options.finish();
    if (delay > max_delay)
        throw std::invalid_argument("\"delay_peer_writes\" is at most 60000 milliseconds");
    dma().posted().set_delay({std::chrono::milliseconds(delay), longer_than});
    return nlohmann::json::object();
}

void EfaAdapter::reset_counters()
{
    context_.counters = {};
    context_.regions.reset_counters();
}

} // namespace lab
