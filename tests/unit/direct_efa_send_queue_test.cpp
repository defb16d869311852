// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
//
// The library's EFA queues against the model's adapters, and against its parser of requests.
#include "tests/unit/direct_efa_rig.hpp"

#include "p2prdma/error.hpp"
#include "tools/lab/efa/work_request.hpp"

#include <algorithm>
#include <array>
#include <set>
#include <vector>

#include <catch2/generators/catch_generators.hpp>

using namespace direct_test;

namespace {

constexpr Peer peer{0x1234, 0xabcd, 0x89abcdef};

std::vector<std::byte> some_bytes(std::size_t size)
{
    return fake::pattern(size, 7);
}

/// A send queue over plain memory, which the model's parser reads.
struct Plain {
    explicit Plain(std::uint32_t size, std::uint32_t count = 4, std::uint32_t max_batch = 0)
        : entry_size(size), memory(std::size_t{size} * count / 8, ~std::uint64_t{0}),
          queue({device_memory(bytes()), &doorbell, count, size, max_batch, 1})
    {
    }
    std::span<std::byte> bytes() { return std::as_writable_bytes(std::span(memory)); }
    std::span<std::byte> entry(std::uint32_t index)
    {
        return bytes().subspan(std::size_t{index} * entry_size, entry_size);
    }
    model::WorkRequest parse(std::uint32_t index, bool phase = false)
    {
        model::WorkRequest request;
        CHECK(model::parse_element(entry(index), phase, request) == model::CompletionStatus::ok);
        return request;
    }

    std::uint32_t entry_size;
    std::vector<std::uint64_t> memory; // holds what was there before
    volatile std::uint32_t doorbell = 0;
    EfaSendQueue queue;
};

void check_peer(const model::WorkRequest& request)
{
    CHECK(request.ah == peer.address_handle);
    CHECK(request.destination_qp == peer.queue_pair);
    CHECK(request.qkey == peer.queue_key);
    CHECK_FALSE(request.has_imm);
}

/// Bytes from `used` to the entry's end are zero, though there was something else.
bool zero_from(std::span<const std::byte> entry, std::size_t used)
{
    return std::ranges::all_of(entry.subspan(used), [](std::byte b) { return b == std::byte{0}; });
}

void push_and_check(Conversation& talk, std::uint64_t id, std::uint32_t length)
{
    const std::uint64_t offset = id * 64 % Conversation::region_size;
    REQUIRE(talk.near.send.add_write(id, talk.near.peer(), talk.from(length, offset),
                                     talk.to(offset)) == Posted::ok);
    talk.near.ring();
    const auto completion = talk.near.next();
    CHECK(completion.id == id);
    CHECK(completion.status == Status::ok);
    CHECK(std::ranges::equal(talk.remote.bytes.subspan(offset, length),
                             talk.local.bytes.subspan(offset, length)));
}

} // namespace

TEST_CASE("work requests mean to the model what was posted", "[direct][efa]")
{
    const std::uint32_t size = GENERATE(64u, 128u);
    Plain plain(size);
    const LocalBuffer local{0x1122334455667788, 0x1000, 0x123456};
    const RemotePlace remote{0x99aabbccddeeff00, 0xfedcba98};
    REQUIRE(plain.queue.add_write(1, peer, local, remote) == Posted::ok);
    REQUIRE(plain.queue.add_read(2, peer, local, remote, Signal::no) == Posted::ok);
    REQUIRE(plain.queue.add_send(3, peer, local) == Posted::ok);
    for (std::uint32_t i = 0; i < 3; ++i) {
        const auto request = plain.parse(i);
        check_peer(request);
        CHECK(request.buffer_count == 1);
        CHECK(request.buffers[0].address == local.address);
        CHECK(request.buffers[0].length == local.length);
        CHECK(request.buffers[0].lkey == local.key);
        CHECK_FALSE(request.is_inline);
        CHECK(request.comp_req == (i != 1));
    }
    for (std::uint32_t i = 0; i < 2; ++i) {
        CHECK(plain.parse(i).remote.address == remote.address);
        CHECK(plain.parse(i).remote.rkey == remote.key);
        CHECK(plain.parse(i).remote.length == local.length);
        CHECK(zero_from(plain.entry(i), 64));
    }
    CHECK(plain.parse(0).opcode == model::Opcode::rdma_write);
    CHECK(plain.parse(1).opcode == model::Opcode::rdma_read);
    CHECK(plain.parse(2).opcode == model::Opcode::send);
    CHECK(zero_from(plain.entry(2), 48));
    std::set<std::uint16_t> ids{plain.parse(0).req_id, plain.parse(1).req_id,
                                plain.parse(2).req_id};
    CHECK(ids.size() == 3);
}

TEST_CASE("inline data of every length is in the request, and nothing behind it", "[direct][efa]")
{
    const std::uint32_t size = GENERATE(64u, 128u);
    Plain plain(size, 1);
    const auto data = some_bytes(200);
    const std::uint32_t limit = size == 64 ? 32 : 80;
    REQUIRE(plain.queue.max_inline_send() == limit);
    for (std::uint32_t length = 0; length <= limit; ++length) {
        Plain one(size, 1);
        // At the end of memory: reading a byte more would be seen by the address sanitizer.
        const std::vector<std::byte> exact(data.begin(), data.begin() + length);
        REQUIRE(one.queue.add_send_inline(1, peer, exact) == Posted::ok);
        const auto request = one.parse(0);
        check_peer(request);
        CHECK(request.is_inline);
        CHECK(request.length == length);
        CHECK(std::equal(exact.begin(), exact.end(), request.inline_data.begin()));
        CHECK(zero_from(one.entry(0), 32 + length));
    }
    CHECK(plain.queue.add_send_inline(1, peer, std::span(data).first(limit + 1)) ==
          Posted::bad_length);
    CHECK(plain.queue.room() == 1);
    CHECK_FALSE(zero_from(plain.entry(0), 0)); // nothing was written
}

TEST_CASE("inline writes need entries of 128 bytes", "[direct][efa]")
{
    const auto data = some_bytes(81);
    const RemotePlace remote{0x99aabbccddeeff00, 0xfedcba98};
    for (std::uint32_t length = 0; length <= 80; ++length) {
        Plain plain(128, 1);
        REQUIRE(plain.queue.add_write_inline(1, peer, std::span(data).first(length), remote) ==
                Posted::ok);
        const auto request = plain.parse(0);
        check_peer(request);
        CHECK(request.opcode == model::Opcode::rdma_write);
        CHECK(request.remote.address == remote.address);
        CHECK(request.remote.rkey == remote.key);
        CHECK(request.length == length);
        CHECK(std::equal(data.begin(), data.begin() + length, request.inline_data.begin()));
        CHECK(zero_from(plain.entry(0), 48 + length));
    }
    Plain wide(128);
    CHECK(wide.queue.add_write_inline(1, peer, data, remote) == Posted::bad_length);
    Plain narrow(64);
    CHECK(narrow.queue.max_inline_write() == 0);
    CHECK(narrow.queue.add_write_inline(1, peer, std::span(data).first(1), remote) ==
          Posted::unsupported);
}

TEST_CASE("the phase changes with each pass, also where the count of entries wraps",
          "[direct][efa]")
{
    Plain plain(64, 4);
    const LocalBuffer local{0, 8, 1};
    for (std::uint32_t i = 0; i < 70000; ++i) {
        REQUIRE(plain.queue.add_send(i, peer, local) == Posted::ok);
        plain.queue.ring();
        REQUIRE(plain.doorbell == static_cast<std::uint16_t>(i + 1));
        const auto request = plain.parse(i % 4, (i / 4) % 2 != 0);
        std::uint64_t id = 0;
        REQUIRE(plain.queue.complete(request.req_id, id));
        REQUIRE(id == i);
    }
}

TEST_CASE("a full queue takes nothing until a completion gives entries back", "[direct][efa]")
{
    Plain plain(64, 4);
    const LocalBuffer local{0, 8, 1};
    for (std::uint64_t i = 0; i < 4; ++i)
        REQUIRE(plain.queue.add_send(100 + i, peer, local) == Posted::ok);
    const auto before = plain.memory;
    CHECK(plain.queue.add_send(9, peer, local) == Posted::full);
    CHECK(plain.queue.add_write(9, peer, local, {}) == Posted::full);
    CHECK(plain.queue.add_read(9, peer, local, {}) == Posted::full);
    CHECK(plain.queue.add_send_inline(9, peer, {}) == Posted::full);
    CHECK(plain.memory == before);
    std::uint64_t id = 0;
    CHECK(plain.queue.complete(plain.parse(2).req_id, id)); // in any order
    CHECK(id == 102);
    CHECK(plain.queue.room() == 1);
    CHECK(plain.queue.add_send(104, peer, local) == Posted::ok);
    CHECK(plain.queue.room() == 0);
    CHECK(plain.queue.complete(plain.parse(0, true).req_id, id));
    CHECK(id == 104);
}

TEST_CASE("requests without signal come back with the next one that has it", "[direct][efa]")
{
    Plain plain(64, 8);
    const LocalBuffer local{0, 8, 1};
    for (int i = 0; i < 7; ++i)
        REQUIRE(plain.queue.add_send(1, peer, local, Signal::no) == Posted::ok);
    // The last entry is for one that will be reported: else nobody could ever go on.
    CHECK(plain.queue.add_send(1, peer, local, Signal::no) == Posted::full);
    REQUIRE(plain.queue.add_send(77, peer, local, Signal::yes) == Posted::ok);
    CHECK(plain.queue.room() == 0);
    std::uint64_t id = 0;
    CHECK(plain.queue.complete(plain.parse(3).req_id, id)); // it failed
    CHECK(id == unsignalled_id);
    CHECK(plain.queue.room() == 0);
    CHECK(plain.queue.complete(plain.parse(7).req_id, id));
    CHECK(id == 77);
    CHECK(plain.queue.room() == 8);
}

TEST_CASE("a batch has one doorbell, or as many as its limit asks for", "[direct][efa]")
{
    const LocalBuffer local{0, 8, 1};
    Plain unlimited(64, 16);
    for (int i = 0; i < 15; ++i)
        REQUIRE(unlimited.queue.add_send(1, peer, local) == Posted::ok);
    CHECK(unlimited.doorbell == 0);
    unlimited.queue.ring();
    CHECK(unlimited.doorbell == 15);
    unlimited.doorbell = 0;
    unlimited.queue.ring();
    CHECK(unlimited.doorbell == 0); // nothing new, nothing rung

    Plain limited(64, 16, 4);
    for (std::uint32_t i = 1; i <= 15; ++i) {
        REQUIRE(limited.queue.add_send(1, peer, local) == Posted::ok);
        CHECK(limited.doorbell == i / 4 * 4);
    }
    limited.queue.ring();
    CHECK(limited.doorbell == 15);
}

TEST_CASE("ids that an adapter makes up end no request", "[direct][efa]")
{
    Plain plain(64, 4);
    const LocalBuffer local{0, 8, 1};
    REQUIRE(plain.queue.add_send(42, peer, local) == Posted::ok);
    const auto good = plain.parse(0).req_id;
    const auto silent = static_cast<std::uint16_t>((good & ~7u) | 4);
    std::uint64_t id = 0;
    for (std::uint32_t i = 0; i <= 0xffff; ++i) {
        if (i != good && i != silent)
            REQUIRE_FALSE(plain.queue.complete(static_cast<std::uint16_t>(i), id));
    }
    CHECK(plain.queue.room() == 3);
    CHECK(plain.queue.complete(good, id));
    CHECK(id == 42);
    CHECK_FALSE(plain.queue.complete(good, id)); // once only
    CHECK(plain.queue.room() == 4);
}

TEST_CASE("queues that cannot be are refused in a sentence", "[direct][efa]")
{
    std::array<std::uint64_t, 64> words{};
    const auto memory = device_memory(std::as_writable_bytes(std::span(words)));
    volatile std::uint32_t doorbell = 0;
    const auto refused = [&](EfaSendQueue::Config config) {
        CHECK_THROWS_AS(EfaSendQueue(config), p2prdma::Error);
    };
    CHECK_NOTHROW(EfaSendQueue({memory, &doorbell, 8, 64}));
    refused({memory, &doorbell, 16, 64});
    refused({memory, &doorbell, 8, 128});
    refused({memory, &doorbell, 6, 64});
    refused({memory, &doorbell, 0, 64});
    refused({memory, &doorbell, 8, 32});
    refused({memory, &doorbell, 8, 0});
    refused({memory, nullptr, 8, 64});
    refused({memory.subspan(4), &doorbell, 4, 64});
    refused({memory, &doorbell, 65536, 64});
}

TEST_CASE("the model executes writes, reads and sends of the library", "[direct][efa]")
{
    fake::QpOptions options;
    options.sq_entry_size = GENERATE(64u, 128u);
    Conversation talk(options);
    push_and_check(talk, 3, 5000);

    talk.remote.bytes[100] = std::byte{0x5a};
    REQUIRE(talk.near.send.add_read(4, talk.near.peer(), talk.from(300, 9000), talk.to(50)) ==
            Posted::ok);
    talk.near.ring();
    CHECK(talk.near.next().status == Status::ok);
    CHECK(std::ranges::equal(talk.local.bytes.subspan(9000, 300),
                             talk.remote.bytes.subspan(50, 300)));

    const LocalBuffer into{talk.remote.iova + 20000, 100, talk.remote.lkey};
    REQUIRE(talk.far.receive.add(88, into) == Posted::ok);
    REQUIRE(talk.far.receive.add(89, into) == Posted::ok);
    talk.far.ring_receive();
    REQUIRE(talk.near.send.add_send(5, talk.near.peer(), talk.from(60)) == Posted::ok);
    talk.near.ring();
    const auto arrival = talk.far.next();
    CHECK(arrival.is_receive);
    CHECK(arrival.id == 88);
    CHECK(arrival.length == 60);
    CHECK(arrival.peer == talk.requester.number);
    CHECK(arrival.queue_pair == talk.responder.number);
    CHECK(talk.near.next().id == 5);
    CHECK(std::ranges::equal(talk.remote.bytes.subspan(20000, 60), talk.local.bytes.first(60)));
    const auto data = some_bytes(talk.near.send.max_inline_send());
    REQUIRE(talk.near.send.add_send_inline(6, talk.near.peer(), data) == Posted::ok);
    talk.near.ring();
    CHECK(talk.far.next().length == data.size());
    CHECK(talk.near.next().id == 6);
    CHECK(std::ranges::equal(talk.remote.bytes.subspan(20000, data.size()), data));
}

TEST_CASE("the model executes an inline write", "[direct][efa]")
{
    fake::QpOptions options;
    options.sq_entry_size = 128;
    Conversation talk(options);
    const auto data = some_bytes(80);
    REQUIRE(talk.near.send.add_write_inline(1, talk.near.peer(), data, talk.to(17)) == Posted::ok);
    talk.near.ring();
    CHECK(talk.near.next().status == Status::ok);
    CHECK(std::ranges::equal(talk.remote.bytes.subspan(17, 80), data));
}

TEST_CASE("all rings wrap many times", "[direct][efa]")
{
    fake::QpOptions options;
    options.sq_depth = 4;
    Conversation talk(options);
    for (std::uint64_t id = 0; id < 300; ++id) // the completion queue has 64 entries
        push_and_check(talk, id, 32);
    CHECK(talk.near.cq.strays() == 0);
}

TEST_CASE("R2.4 one byte past the end of a region is a remote error", "[direct][efa][R2.4]")
{
    Conversation talk;
    const auto last = talk.to(Conversation::region_size - 64);
    REQUIRE(talk.near.send.add_write(1, talk.near.peer(), talk.from(64), last) == Posted::ok);
    REQUIRE(talk.near.send.add_write(2, talk.near.peer(), talk.from(65), last) == Posted::ok);
    REQUIRE(talk.near.send.add_read(3, talk.near.peer(), talk.from(65), last, Signal::no) ==
            Posted::ok);
    talk.near.ring();
    for (int i = 0; i < 3; ++i) {
        const auto completion = talk.near.next();
        const bool good = completion.id == 1;
        CHECK(completion.status == (good ? Status::ok : Status::remote_bad_address));
        CHECK((good || completion.id == 2 || completion.id == unsignalled_id));
    }
}

TEST_CASE("an unknown local key and an unknown address are told apart", "[direct][efa]")
{
    Conversation talk;
    LocalBuffer wrong = talk.from(64);
    wrong.key ^= 0x800000;
    REQUIRE(talk.near.send.add_write(1, talk.near.peer(), wrong, talk.to()) == Posted::ok);
    Peer nobody = talk.near.peer();
    nobody.address_handle ^= 0x4000;
    REQUIRE(talk.near.send.add_write(2, nobody, talk.from(64), talk.to()) == Posted::ok);
    talk.near.ring();
    for (int i = 0; i < 2; ++i) {
        const auto completion = talk.near.next();
        CHECK(completion.status ==
              (completion.id == 1 ? Status::bad_local_key : Status::bad_address_handle));
    }
    CHECK(talk.near.send.room() == talk.near.send.entries());
}
