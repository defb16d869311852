// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
//
// Two adapters, a queue pair on each: remote memory access.
#include "tests/unit/efa_fake_driver.hpp"

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <nlohmann/json.hpp>

using namespace lab;
using namespace lab::efa;
using namespace lab::efa::test;

namespace {

using Status = CompletionStatus;

constexpr std::uint32_t size = 1 << 20;

struct Remote : Pair {
    explicit Remote(QpOptions options = {})
        : Pair(options), local(a.register_region(requester.pd, size)),
          remote(b.register_region(responder.pd, size, Access::all, 0x123456780800))
    {
        auto data = pattern(size);
        std::copy(data.begin(), data.end(), local.bytes.begin());
        data = pattern(size, 99);
        std::copy(data.begin(), data.end(), remote.bytes.begin());
    }
    Status write(std::uint64_t address, std::uint32_t length, std::uint32_t rkey)
    {
        requester.rdma(Opcode::rdma_write, local, address, rkey, length, 1);
        return requester.cq.next().head.status;
    }
    Status read(std::uint64_t address, std::uint32_t length, std::uint32_t rkey)
    {
        requester.rdma(Opcode::rdma_read, local, address, rkey, length, 1);
        return requester.cq.next().head.status;
    }
    /// The two ends of a write hold the same.
    bool same(std::uint64_t offset, std::uint32_t length) const
    {
        auto first = remote.bytes.begin() + static_cast<long>(offset);
        return std::equal(first, first + length, local.bytes.begin());
    }
    nlohmann::json region(const FakeDriver& driver, const Region& wanted) const
    {
        auto state = driver.adapter.describe();
        for (const auto& entry : state["regions"]) {
            if (entry["lkey"] == wanted.lkey)
                return entry;
        }
        return {};
    }

    Region local;
    Region remote;
};

} // namespace

TEST_CASE("large writes and reads move every byte, and no other", "[efa][rdma]")
{
    Pair pair;
    auto local = pair.a.register_region(pair.requester.pd, size);
    auto remote = pair.b.register_region(pair.responder.pd, size);
    auto data = pattern(size);
    std::copy(data.begin(), data.end(), local.bytes.begin());
    constexpr std::uint32_t length = size - 5000;
    pair.requester.rdma(Opcode::rdma_write, local, remote.iova + 1001, remote.rkey, length, 4);
    CHECK(pair.requester.cq.next().head.status == Status::ok);
    CHECK(std::equal(data.begin(), data.begin() + length, remote.bytes.begin() + 1001));
    CHECK(remote.bytes[1000] == std::byte{0});
    CHECK(remote.bytes[1001 + length] == std::byte{0});

    std::fill(local.bytes.begin(), local.bytes.end(), std::byte{0});
    pair.requester.rdma(Opcode::rdma_read, local, remote.iova + 1001, remote.rkey, length, 5);
    CHECK(pair.requester.cq.next().head.status == Status::ok);
    CHECK(std::equal(data.begin(), data.begin() + length, local.bytes.begin()));
    CHECK(local.bytes[length] == std::byte{0});
    CHECK(pair.a.counter("write_bytes") == length);
    CHECK(pair.b.counter("write_receive_bytes") == length);
    CHECK(pair.a.counter("read_bytes") == length);
    CHECK(pair.b.counter("read_response_bytes") == length);
}

TEST_CASE_METHOD(Remote, "each region knows the bytes and their routes", "[efa][rdma]")
{
    CHECK(write(remote.iova, 100000, remote.rkey) == Status::ok);
    CHECK(region(b, remote)["bytes_written"]["host_dram"] == 100000);
    CHECK(region(b, remote)["bytes_read"]["host_dram"] == 0);
    CHECK(region(a, local)["bytes_read"]["host_dram"] == 100000);
    CHECK(read(remote.iova, 5000, remote.rkey) == Status::ok);
    CHECK(region(b, remote)["bytes_read"]["host_dram"] == 5000);
    CHECK(region(a, local)["bytes_written"]["host_dram"] == 5000);
    CHECK(same(0, 5000));
}

TEST_CASE_METHOD(Remote, "remote keys and bounds are checked to the byte", "[efa][rdma]")
{
    std::uint64_t end = remote.iova + size;
    auto before = std::vector<std::byte>(remote.bytes.begin(), remote.bytes.end());
    CHECK(write(end - 99999, 100000, remote.rkey) == Status::remote_bad_address);
    CHECK(write(remote.iova - 1, 100000, remote.rkey) == Status::remote_bad_address);
    CHECK(write(remote.iova, 8, remote.rkey ^ 0x10000) == Status::remote_bad_address);
    CHECK(write(remote.iova, 8, 0) == Status::remote_bad_address);
    CHECK(write(~0ull - 3, 8, remote.rkey) == Status::remote_bad_address);
    CHECK(read(end - 7, 8, remote.rkey) == Status::remote_bad_address);
    CHECK(std::equal(before.begin(), before.end(), remote.bytes.begin()));
    CHECK(a.counter("write_errors") == 5);
    CHECK(a.counter("read_errors") == 1);
    CHECK(write(end - 100000, 100000, remote.rkey) == Status::ok);
    CHECK(read(end - 8, 8, remote.rkey) == Status::ok);
    CHECK(write(end, 0, remote.rkey) == Status::ok);
}

TEST_CASE_METHOD(Remote, "rights are checked at both ends", "[efa][rdma]")
{
    auto readable = b.register_region(responder.pd, 4096, Access::remote_read, 0x1000);
    auto writable = b.register_region(responder.pd, 4096, Access::remote_write, 0x1000);
    CHECK(write(0x1000, 8, readable.rkey) == Status::remote_bad_address);
    CHECK(read(0x1000, 8, readable.rkey) == Status::ok);
    CHECK(write(0x1000, 8, writable.rkey) == Status::ok);
    CHECK(read(0x1000, 8, writable.rkey) == Status::remote_bad_address);

    auto sealed = a.register_region(requester.pd, 4096, 0, 0x1000);
    requester.rdma(Opcode::rdma_write, sealed, remote.iova, remote.rkey, 8, 1);
    CHECK(requester.cq.next().head.status == Status::ok);
    requester.rdma(Opcode::rdma_read, sealed, remote.iova, remote.rkey, 8, 1);
    CHECK(requester.cq.next().head.status == Status::invalid_lkey);
}

TEST_CASE_METHOD(Remote, "another domain's region is not reachable from afar", "[efa][rdma]")
{
    auto foreign = b.register_region(b.alloc_pd(), 4096, Access::all, 0x1000);
    CHECK(write(0x1000, 8, foreign.rkey) == Status::remote_bad_address);
}

TEST_CASE_METHOD(Remote, "a region that was deregistered is out of reach", "[efa][rdma]")
{
    CHECK(b.execute(admin::Opcode::dereg_mr, admin::DeregMr{remote.lkey}) ==
          admin::Status::success);
    CHECK(write(remote.iova, 8, remote.rkey) == Status::remote_bad_address);
    CHECK(region(b, remote)["live"] == false);
}

TEST_CASE_METHOD(Remote, "the responder must know who asks", "[efa][rdma]")
{
    CHECK(b.execute(admin::Opcode::destroy_ah, admin::DestroyAh{responder.peer_ah, responder.pd}) ==
          admin::Status::success);
    CHECK(write(remote.iova, 8, remote.rkey) == Status::remote_unknown_peer);
    CHECK(read(remote.iova, 8, remote.rkey) == Status::remote_unknown_peer);
}

TEST_CASE_METHOD(Remote, "lengths of both ends must agree", "[efa][rdma]")
{
    struct {
        RemoteAddress there;
        SendBuffer here;
    } data{{16, remote.rkey, remote.iova}, {8, local.lkey, local.iova}};
    SendMeta meta = requester.request(Opcode::rdma_write, 1);
    meta.length = 1;
    requester.put(meta, std::as_bytes(std::span(&data, 1)));
    requester.ring();
    CHECK(requester.cq.next().head.status == Status::bad_length);
}

TEST_CASE_METHOD(Remote, "more than the limit is too long", "[efa][rdma]")
{
    CHECK(write(remote.iova, Limits::max_rdma_size + 1, remote.rkey) == Status::bad_length);
}

TEST_CASE_METHOD(Remote, "a large transfer leaves room for others", "[efa][rdma]")
{
    FakeQp second(a);
    second.peer_ah = a.create_ah(second.pd, b.adapter.gid());
    second.peer_number = responder.number;
    second.to_rts();
    auto small = a.register_region(second.pd, 4096);
    requester.rdma(Opcode::rdma_write, local, remote.iova, remote.rkey, size, 1);
    second.rdma(Opcode::rdma_write, small, remote.iova, remote.rkey, 8, 2);
    CHECK(second.cq.next().head.status == Status::ok);
    CHECK_FALSE(requester.cq.poll());
    CHECK(requester.cq.next().head.status == Status::ok);
}

TEST_CASE_METHOD(Remote, "a write with immediate data takes a receive buffer", "[efa][rdma][imm]")
{
    struct {
        RemoteAddress there;
        SendBuffer here;
    } data{{100000, remote.rkey, remote.iova}, {100000, local.lkey, local.iova}};
    SendMeta meta = requester.request(Opcode::rdma_write, 1);
    meta.ctrl1 |= SendMeta::ctrl1_has_imm;
    meta.immediate = 0xabcdef01;
    meta.length = 1;
    requester.put(meta, std::as_bytes(std::span(&data, 1)));
    requester.ring();
    a.settle();
    CHECK_FALSE(requester.cq.poll()); // it waits for the buffer, its data is there
    CHECK(same(0, 100000));
    responder.post_receive(remote, 0, 5);
    Completion received = responder.cq.next();
    CHECK(received.head.req_id == 5);
    CHECK((received.head.flags & CompletionHead::has_imm) != 0);
    CHECK((received.head.flags >> CompletionHead::opcode_shift & 7) ==
          static_cast<int>(Opcode::rdma_write));
    CHECK(received.immediate == 0xabcdef01);
    CHECK(received.length + (received.extension[0] << 16) == 100000);
    CHECK(requester.cq.next().head.status == Status::ok);
}

TEST_CASE("an unsolicited write with immediate data takes none", "[efa][rdma][imm]")
{
    Remote r({.unsolicited = true, .sq_entry_size = 128});
    SendMeta meta = r.requester.request(Opcode::rdma_write, 1);
    meta.ctrl1 |= SendMeta::ctrl1_has_imm | SendMeta::ctrl1_inline;
    meta.immediate = 7;
    meta.length = 80;
    struct {
        RemoteAddress there;
        std::array<std::byte, 80> data;
    } data{{80, r.remote.rkey, r.remote.iova}, {}};
    auto bytes = pattern(80, 3);
    std::copy(bytes.begin(), bytes.end(), data.data.begin());
    r.requester.put(meta, std::as_bytes(std::span(&data, 1)));
    r.requester.ring();
    Completion received = r.responder.cq.next();
    CHECK((received.head.flags & CompletionHead::unsolicited) != 0);
    CHECK(received.immediate == 7);
    CHECK(received.length == 80);
    CHECK(r.requester.cq.next().head.status == Status::ok);
    CHECK(std::equal(bytes.begin(), bytes.end(), r.remote.bytes.begin()));
}

TEST_CASE_METHOD(Remote, "a destination that dies half way ends the transfer", "[efa][rdma][gone]")
{
    requester.rdma(Opcode::rdma_write, local, remote.iova, remote.rkey, size, 1);
    loop.run_once(std::chrono::milliseconds(0));
    loop.run_once(std::chrono::milliseconds(0));
    b.adapter.function_reset();
    CHECK(requester.cq.next().head.status == Status::remote_bad_dest_qpn);
    a.settle();
    CHECK_FALSE(requester.cq.poll());
}

TEST_CASE_METHOD(Remote, "a destination reset under slow DMA answers", "[efa][rdma][gone]")
{
    constexpr std::uint64_t slow_base = 1ull << 40;
    SlowMemory slow(slow_base, 4096);
    b.adapter.dma().connect(&slow);
    admin::RegMr command{};
    command.pd = responder.pd;
    command.inline_pages = {slow_base};
    command.length = 4096;
    command.flags = 12;
    command.permissions = Access::all;
    command.iova = 0x5000;
    auto keys = b.must<admin::RegMrResponse>(admin::Opcode::reg_mr, command);
    requester.rdma(Opcode::rdma_write, local, 0x5000, keys.rkey, 4096, 1);
    a.settle();
    CHECK_FALSE(requester.cq.poll());
    b.adapter.function_reset();
    CHECK(requester.cq.next().head.status == Status::remote_abort);
    b.adapter.dma().connect(nullptr);
}

TEST_CASE_METHOD(Remote, "DMA that fails is reported to both sides", "[efa][rdma]")
{
    admin::RegMr command{};
    command.pd = responder.pd;
    command.inline_pages = {1ull << 41}; // nothing is there
    command.length = 4096;
    command.flags = 12;
    command.permissions = Access::all;
    command.iova = 0x5000;
    auto there = b.must<admin::RegMrResponse>(admin::Opcode::reg_mr, command);
    CHECK(write(0x5000, 8, there.rkey) == Status::remote_abort);
    CHECK(read(0x5000, 8, there.rkey) == Status::remote_abort);
    command.pd = requester.pd;
    auto here = a.must<admin::RegMrResponse>(admin::Opcode::reg_mr, command);
    Region nowhere{here.lkey, here.rkey, 0x5000, {}};
    requester.rdma(Opcode::rdma_write, nowhere, remote.iova, remote.rkey, 8, 1);
    CHECK(requester.cq.next().head.status == Status::qp_internal_error);
}
