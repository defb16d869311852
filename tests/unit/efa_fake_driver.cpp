// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "tests/unit/efa_fake_driver.hpp"

#include "tools/lab/efa/registers.hpp"

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <linux/pci_regs.h>
#include <nlohmann/json.hpp>

namespace lab::efa::test {

namespace {

template <typename T>
std::span<const std::byte> bytes_of(const T& value)
{
    return std::as_bytes(std::span(&value, 1));
}

constexpr std::uint32_t msix_control = 0x80 + PCI_MSIX_FLAGS;

} // namespace

std::vector<std::byte> pattern(std::size_t size, unsigned seed)
{
    std::vector<std::byte> data(size);
    for (std::size_t i = 0; i < size; ++i)
        data[i] = static_cast<std::byte>(i * 7 + seed + (i >> 8));
    return data;
}

void SlowMemory::send_read(std::uint64_t address, std::size_t length, Reply reply)
{
    waiting_.push_back([this, address, length, reply = std::move(reply)] {
        reply(0, std::span(memory).subspan(address - base_, length));
    });
}

void SlowMemory::send_write(std::uint64_t address, std::span<const std::byte> data, Reply reply)
{
    waiting_.push_back([this, address, copy = std::vector(data.begin(), data.end()),
                        reply = std::move(reply)] {
        std::copy(copy.begin(), copy.end(), memory.begin() + static_cast<long>(address - base_));
        reply(0, {});
    });
}

std::size_t SlowMemory::release(std::size_t count)
{
    std::size_t released = 0;
    for (; released < count && !waiting_.empty(); ++released) {
        auto message = std::move(waiting_.front());
        waiting_.pop_front();
        message();
    }
    return released;
}

FakeDriver::FakeDriver(EventLoop& l, Fabric& fabric, const std::string& name)
    : loop(l), memory(memory_size), adapter(l, name, nlohmann::json::object(), fabric)
{
    adapter.dma().map().add({.address = 0,
                             .last = memory_size - 1,
                             .memory = memory.data(),
                             .writable = true,
                             .route = Route::host_dram,
                             .owner = nullptr});
    std::uint16_t command = PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER;
    adapter.config_write(PCI_COMMAND, bytes_of(command));
    std::uint16_t control = PCI_MSIX_FLAGS_ENABLE;
    adapter.config_write(msix_control, bytes_of(control));
    read_response_ = allocate(4096);
    start_admin_queue();
}

void FakeDriver::start_admin_queue()
{
    admin_base = allocate(admin_depth * sizeof(admin::SubmissionEntry));
    completion_base = allocate(admin_depth * sizeof(admin::CompletionEntry));
    submitted_ = completed_ = 0;
    write_register(reg::mmio_resp_lo, static_cast<std::uint32_t>(read_response_));
    write_register(reg::aq_base_lo, static_cast<std::uint32_t>(admin_base));
    write_register(reg::aq_caps, admin_depth | sizeof(admin::SubmissionEntry)
                                                   << reg::aq_entry_size_shift);
    write_register(reg::acq_base_lo, static_cast<std::uint32_t>(completion_base));
    write_register(reg::acq_caps, admin_depth | sizeof(admin::CompletionEntry)
                                                    << reg::acq_entry_size_shift);
}

std::uint32_t FakeDriver::read_register(std::uint32_t offset)
{
    ++read_sequence_;
    write_register(reg::mmio_reg_read, offset << reg::mmio_offset_shift | read_sequence_);
    admin::MmioResponse answer{};
    REQUIRE(run_until([&] {
        std::memcpy(&answer, at(read_response_, sizeof(answer)).data(), sizeof(answer));
        return answer.request == read_sequence_;
    }));
    CHECK(answer.offset == offset);
    return answer.value;
}

void FakeDriver::write_register(std::uint32_t offset, std::uint32_t value)
{
    adapter.bar_write(0, offset, bytes_of(value));
}

void FakeDriver::ring(std::uint32_t doorbell, std::uint32_t value)
{
    adapter.bar_write(4, doorbell, bytes_of(value));
}

void FakeDriver::submit(admin::Opcode opcode,
                        std::span<const std::byte, admin::payload_size> payload, std::uint8_t flags)
{
    admin::SubmissionEntry entry{};
    entry.head.command_id = submitted_ & admin::SubmissionHead::command_id_mask;
    entry.head.opcode = static_cast<std::uint8_t>(opcode);
    bool phase = (submitted_ / admin_depth) % 2 == 0;
    entry.head.flags = static_cast<std::uint8_t>(flags | (phase ? 1 : 0));
    std::copy(payload.begin(), payload.end(), entry.payload.begin());
    auto where = at(admin_base + submitted_ % admin_depth * sizeof(entry), sizeof(entry));
    std::memcpy(where.data(), &entry, sizeof(entry));
    write_register(reg::aq_prod_db, ++submitted_);
}

admin::Status FakeDriver::await()
{
    auto where = at(completion_base + completed_ % admin_depth * sizeof(last_), sizeof(last_));
    std::uint8_t phase = (completed_ / admin_depth) % 2 == 0 ? 1 : 0;
    REQUIRE(run_until([&] {
        std::memcpy(&last_, where.data(), sizeof(last_));
        return (last_.head.flags & 1) == phase;
    }));
    CHECK(last_.head.command_id == (completed_ & admin::SubmissionHead::command_id_mask));
    ++completed_;
    return last_.head.status;
}

void FakeDriver::check_success(admin::Opcode opcode, admin::Status status)
{
    INFO("admin command " << static_cast<int>(opcode) << ", status " << static_cast<int>(status));
    REQUIRE(status == admin::Status::success);
}

std::uint64_t FakeDriver::allocate(std::uint64_t size)
{
    std::uint64_t address = next_free_;
    next_free_ += (size + 4095) / 4096 * 4096;
    REQUIRE(next_free_ <= memory_size);
    return address;
}

std::span<std::byte> FakeDriver::at(std::uint64_t address, std::size_t size)
{
    return std::span(memory).subspan(address, size);
}

std::uint16_t FakeDriver::alloc_pd()
{
    return must<admin::Number>(admin::Opcode::alloc_pd, admin::Number{}).number;
}

std::uint16_t FakeDriver::alloc_uar()
{
    return must<admin::Number>(admin::Opcode::alloc_uar, admin::Number{}).number;
}

std::uint16_t FakeDriver::create_ah(std::uint16_t pd, const Gid& gid)
{
    return must<admin::Number>(admin::Opcode::create_ah, admin::CreateAh{gid, pd, 0}).number;
}

Region FakeDriver::register_region(std::uint16_t pd, std::uint64_t size, std::uint8_t access,
                                   std::uint64_t iova)
{
    std::uint64_t pages = (iova % 4096 + size + 4095) / 4096;
    std::uint64_t base = allocate(pages * 4096);
    std::uint64_t list = allocate(pages * 8);
    for (std::uint64_t i = 0; i < pages; ++i) {
        std::uint64_t page = base + i * 4096;
        std::memcpy(at(list + i * 8, 8).data(), &page, 8);
    }
    admin::RegMr command{};
    command.pd = pd;
    command.page_list = {static_cast<std::uint32_t>(pages * 8), list};
    command.length = size;
    command.flags = 12;
    command.permissions = access;
    command.iova = iova;
    auto keys = must<admin::RegMrResponse>(admin::Opcode::reg_mr, command,
                                           admin::SubmissionHead::ctrl_data);
    return {keys.lkey, keys.rkey, iova, at(base + iova % 4096, size)};
}

bool FakeDriver::run_until(const std::function<bool()>& condition)
{
    for (int round = 0; round < 2000; ++round) {
        if (condition())
            return true;
        loop.run_once(std::chrono::milliseconds(1));
    }
    return false;
}

void FakeDriver::settle()
{
    for (int round = 0; round < 20; ++round)
        loop.run_once(std::chrono::milliseconds(0));
}

std::uint64_t FakeDriver::counter(const std::string& name) const
{
    return adapter.describe()["counters"].at(name).get<std::uint64_t>();
}

FakeCq::FakeCq(FakeDriver& driver, std::uint16_t uar, std::uint16_t depth,
               std::optional<std::uint16_t> eqn, std::uint8_t extra_caps2, unsigned entry_size)
    : base(driver.allocate(std::uint64_t{depth} * entry_size)), driver_(driver), depth_(depth),
      entry_size_(entry_size)
{
    admin::CreateCq command{};
    command.caps1 = eqn ? admin::CreateCq::caps1_interrupt : 0;
    command.caps2 = static_cast<std::uint8_t>(entry_size / 4 | extra_caps2);
    command.depth = depth;
    command.eqn = eqn.value_or(0);
    command.base = base;
    command.sub_cqs = 1;
    command.uar = uar;
    auto made = driver.must<admin::CreateCqResponse>(admin::Opcode::create_cq, command);
    number = made.cqn;
    doorbell = made.doorbell;
}

std::optional<Completion> FakeCq::poll()
{
    Completion completion{};
    auto where = driver_.at(base + consumed_ % depth_ * entry_size_, entry_size_);
    std::memcpy(&completion, where.data(), entry_size_);
    bool phase = (consumed_ / depth_) % 2 == 0;
    if (((completion.head.flags & CompletionHead::phase) != 0) != phase)
        return std::nullopt;
    ++consumed_;
    return completion;
}

Completion FakeCq::next()
{
    std::optional<Completion> completion;
    REQUIRE(driver_.run_until([&] { return (completion = poll()).has_value(); }));
    return *completion;
}

void FakeCq::arm()
{
    driver_.ring(doorbell, (consumed_ & reg::cq_db_consumer_mask) | reg::cq_db_arm);
}

FakeQp::FakeQp(FakeDriver& d, QpOptions o)
    : driver(d), options(o), pd(d.alloc_pd()), uar(d.alloc_uar()), cq(d, uar)
{
    rq_base = driver.allocate(options.rq_entries * sizeof(ReceiveDescriptor));
    admin::CreateQp command{};
    command.pd = pd;
    command.qp_type = options.reliable ? admin::qp_type_srd : admin::qp_type_ud;
    command.flags = options.unsolicited ? admin::CreateQp::flag_unsolicited_write_recv : 0;
    command.rq_base = rq_base;
    command.send_cq = command.receive_cq = cq.number;
    command.sq_ring_size = options.sq_depth * options.sq_entry_size;
    command.sq_depth = options.sq_depth;
    command.rq_ring_size = options.rq_entries * static_cast<unsigned>(sizeof(ReceiveDescriptor));
    command.rq_depth = options.rq_entries;
    command.uar = uar;
    auto made = driver.must<admin::CreateQpResponse>(admin::Opcode::create_qp, command);
    number = made.qp_num;
    send_doorbell = made.sq_doorbell;
    receive_doorbell = made.rq_doorbell;
    llq_offset = made.llq_offset;
}

admin::Status FakeQp::to(QpState state, std::uint32_t extra_mask, std::uint8_t rnr_retry)
{
    admin::ModifyQp command{};
    command.mask = admin::ModifyQp::mask_state | extra_mask;
    command.handle = number;
    command.state = static_cast<std::uint32_t>(state);
    command.qkey = qkey;
    command.rnr_retry = rnr_retry;
    return driver.execute(admin::Opcode::modify_qp, command);
}

void FakeQp::to_rts(std::uint8_t rnr_retry)
{
    std::uint32_t retry = options.reliable ? admin::ModifyQp::mask_rnr_retry : 0;
    REQUIRE(to(QpState::init, admin::ModifyQp::mask_qkey) == admin::Status::success);
    REQUIRE(to(QpState::rtr) == admin::Status::success);
    REQUIRE(to(QpState::rts, retry, rnr_retry) == admin::Status::success);
}

void FakeQp::connect(FakeQp& other)
{
    peer_ah = driver.create_ah(pd, other.driver.adapter.gid());
    peer_number = other.number;
    if (other.peer_ah == unknown_ah)
        other.connect(*this);
}

SendMeta FakeQp::request(Opcode opcode, std::uint16_t req_id) const
{
    SendMeta meta{};
    meta.req_id = req_id;
    meta.ctrl1 =
        static_cast<std::uint8_t>(static_cast<unsigned>(opcode) | SendMeta::ctrl1_meta_desc);
    meta.ctrl2 = SendMeta::ctrl2_first | SendMeta::ctrl2_last | SendMeta::ctrl2_comp_req;
    meta.dest_qp_num = peer_number;
    meta.ah = peer_ah;
    meta.qkey = qkey;
    return meta;
}

void FakeQp::put(SendMeta meta, std::span<const std::byte> data)
{
    if ((sq_posted / options.sq_depth) % 2 != 0)
        meta.ctrl2 |= SendMeta::ctrl2_phase;
    auto element = driver.adapter.bars()[2].memory.subspan(
        llq_offset + sq_posted % options.sq_depth * options.sq_entry_size, options.sq_entry_size);
    std::memcpy(element.data(), &meta, sizeof(meta));
    std::copy(data.begin(), data.end(), element.begin() + sizeof(meta));
    ++sq_posted;
}

void FakeQp::send(const Region& region, std::uint32_t length, std::uint16_t req_id,
                  std::uint64_t offset)
{
    SendMeta meta = request(Opcode::send, req_id);
    meta.length = 1;
    put(meta, bytes_of(SendBuffer{length, region.lkey, region.iova + offset}));
    ring();
}

void FakeQp::rdma(Opcode opcode, const Region& local, std::uint64_t remote, std::uint32_t rkey,
                  std::uint32_t length, std::uint16_t req_id)
{
    struct {
        RemoteAddress remote;
        SendBuffer local;
    } data{{length, rkey, remote}, {length, local.lkey, local.iova}};
    SendMeta meta = request(opcode, req_id);
    meta.length = 1;
    put(meta, bytes_of(data));
    ring();
}

void FakeQp::post_receive(const Region& region, std::uint16_t length, std::uint16_t req_id,
                          std::uint64_t offset)
{
    ReceiveDescriptor descriptor{region.iova + offset, req_id, length,
                                 (region.lkey & key24_mask) | ReceiveDescriptor::first |
                                     ReceiveDescriptor::last};
    auto where = driver.at(rq_base + rq_posted % options.rq_entries * sizeof(descriptor),
                           sizeof(descriptor));
    std::memcpy(where.data(), &descriptor, sizeof(descriptor));
    driver.ring(receive_doorbell, ++rq_posted);
}

Pair::Pair(QpOptions options) : requester(a, options), responder(b, options)
{
    requester.connect(responder);
    requester.to_rts();
    responder.to_rts();
}

} // namespace lab::efa::test
