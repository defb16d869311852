// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include "tools/lab/efa/adapter.hpp"
#include "tools/lab/efa/admin_layout.hpp"
#include "tools/lab/efa/io_layout.hpp"
#include "tools/lab/event_loop.hpp"
#include "tools/lab/fabric.hpp"

#include <cstdint>
#include <cstring>
#include <deque>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace lab::efa::test {

inline constexpr std::uint32_t qkey = 0x11111111;

/// The bytes of a message for tests: no two the same in a row, and different for each seed.
std::vector<std::byte> pattern(std::size_t size, unsigned seed = 1);

/// A slow way to memory: what is asked for happens when release() is called.
class SlowMemory final : public DmaPort {
public:
    SlowMemory(std::uint64_t base, std::size_t size) : memory(size), base_(base) {}

    std::size_t max_transfer() const override { return 65536; }
    void send_read(std::uint64_t address, std::size_t length, Reply reply) override;
    void send_write(std::uint64_t address, std::span<const std::byte> data, Reply reply) override;

    /// Lets the next `count` messages happen; returns how many did.
    std::size_t release(std::size_t count = 1);
    std::size_t waiting() const { return waiting_.size(); }

    std::vector<std::byte> memory;

private:
    std::uint64_t base_;
    std::deque<std::function<void()>> waiting_;
};

/// A registered region and where its bytes are.
struct Region {
    std::uint32_t lkey;
    std::uint32_t rkey;
    std::uint64_t iova;
    std::span<std::byte> bytes;
};

/// Does to an adapter what efa.ko does, with memory of its own at bus address 0.
class FakeDriver {
public:
    static constexpr std::uint64_t memory_size = 16 << 20;
    static constexpr std::uint32_t admin_depth = 32;

    FakeDriver(EventLoop& loop, Fabric& fabric, const std::string& name);

    /// Answers to a register read by way of the adapter's DMA.
    std::uint32_t read_register(std::uint32_t offset);
    void write_register(std::uint32_t offset, std::uint32_t value);
    void ring(std::uint32_t doorbell, std::uint32_t value);

    /// Sets the admin queue up; done by the constructor.
    void start_admin_queue();
    /// Executes a command; returns its status.
    template <typename Command>
    admin::Status execute(admin::Opcode opcode, const Command& command, std::uint8_t flags = 0)
    {
        std::array<std::byte, admin::payload_size> payload{};
        std::memcpy(payload.data(), &command, sizeof(command));
        submit(opcode, payload, flags);
        return await();
    }
    admin::Status execute(admin::Opcode opcode) { return execute(opcode, admin::Number{}); }
    /// Executes a command that must succeed; returns its response.
    template <typename Response, typename Command>
    Response must(admin::Opcode opcode, const Command& command, std::uint8_t flags = 0)
    {
        check_success(opcode, execute(opcode, command, flags));
        return response<Response>();
    }
    template <typename Response>
    Response response() const
    {
        Response value{};
        std::memcpy(&value, last_.response.data(), sizeof(value));
        return value;
    }
    /// Puts a command into the ring without waiting for its completion.
    void submit(admin::Opcode opcode, std::span<const std::byte, admin::payload_size> payload,
                std::uint8_t flags);
    admin::Status await();

    /// Page-aligned zeroed memory; its bus address.
    std::uint64_t allocate(std::uint64_t size);
    std::span<std::byte> at(std::uint64_t address, std::size_t size);

    std::uint16_t alloc_pd();
    std::uint16_t alloc_uar();
    std::uint16_t create_ah(std::uint16_t pd, const Gid& gid);
    /// Registers memory of its own, at IOVA `iova`, as a list of 4 KiB pages.
    Region register_region(std::uint16_t pd, std::uint64_t size, std::uint8_t access = Access::all,
                           std::uint64_t iova = 0x7f0000000000);
    /// Runs the loop until nothing happens any more, or `condition` holds; false if it never does.
    bool run_until(const std::function<bool()>& condition);
    void settle();

    std::uint64_t counter(const std::string& name) const;

    EventLoop& loop;
    std::vector<std::byte> memory;
    EfaAdapter adapter;
    std::uint64_t admin_base = 0;
    std::uint64_t completion_base = 0;

private:
    static void check_success(admin::Opcode opcode, admin::Status status);

    std::uint64_t next_free_ = 4096;
    std::uint64_t read_response_ = 0;
    std::uint16_t read_sequence_ = 0;
    std::uint16_t submitted_ = 0;
    std::uint16_t completed_ = 0;
    admin::CompletionEntry last_{};
};

/// A completion queue as libefa uses it.
class FakeCq {
public:
    FakeCq(FakeDriver& driver, std::uint16_t uar, std::uint16_t depth = 64,
           std::optional<std::uint16_t> eqn = std::nullopt, std::uint8_t extra_caps2 = 0,
           unsigned entry_size = 32);

    /// The next completion, if there is one.
    std::optional<Completion> poll();
    /// The same, waited for; fails the test if none comes.
    Completion next();
    void arm();
    /// What has been consumed.
    std::uint32_t consumed() const { return consumed_; }

    std::uint16_t number;
    std::uint64_t base;
    std::uint32_t doorbell;

private:
    FakeDriver& driver_;
    std::uint16_t depth_;
    unsigned entry_size_;
    std::uint32_t consumed_ = 0;
};

struct QpOptions {
    bool reliable = true;
    bool unsolicited = false;
    std::uint32_t sq_depth = 16;
    unsigned sq_entry_size = 64;
    std::uint32_t rq_entries = 16;
};

/// A queue pair as libefa uses it, with a completion queue, domain and doorbell page of its own.
class FakeQp {
public:
    FakeQp(FakeDriver& driver, QpOptions options = {});

    admin::Status to(QpState state, std::uint32_t extra_mask = 0, std::uint8_t rnr_retry = 7);
    void to_rts(std::uint8_t rnr_retry = 7);
    /// The handle of the other queue pair's adapter; `other` also gets one of this one's.
    void connect(FakeQp& other);

    /// A request to the connected queue pair.
    SendMeta request(Opcode opcode, std::uint16_t req_id) const;
    /// Writes an element into the ring, with the right phase.
    void put(SendMeta meta, std::span<const std::byte> data);
    void ring() { driver.ring(send_doorbell, sq_posted); }
    void send(const Region& region, std::uint32_t length, std::uint16_t req_id,
              std::uint64_t offset = 0);
    void rdma(Opcode opcode, const Region& local, std::uint64_t remote, std::uint32_t rkey,
              std::uint32_t length, std::uint16_t req_id);
    void post_receive(const Region& region, std::uint16_t length, std::uint16_t req_id,
                      std::uint64_t offset = 0);

    FakeDriver& driver;
    QpOptions options;
    std::uint16_t pd;
    std::uint16_t uar;
    FakeCq cq;
    std::uint16_t number = 0;
    std::uint32_t send_doorbell = 0;
    std::uint32_t receive_doorbell = 0;
    std::uint32_t llq_offset = 0;
    std::uint64_t rq_base = 0;
    std::uint16_t sq_posted = 0;
    std::uint16_t rq_posted = 0;
    std::uint16_t peer_ah = unknown_ah;
    std::uint16_t peer_number = 0;
};

/// Two adapters on a fabric, each with a queue pair of the same kind that knows the other.
struct Pair {
    explicit Pair(QpOptions options = {});

    EventLoop loop;
    Fabric fabric{loop};
    FakeDriver a{loop, fabric, "a.efa0"};
    FakeDriver b{loop, fabric, "b.efa0"};
    FakeQp requester;
    FakeQp responder;
};

} // namespace lab::efa::test
