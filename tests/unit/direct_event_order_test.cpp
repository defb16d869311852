// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
//
// What a card's interrupt finds in the card's memory (R6.2): the library's queues on the model's
// adapters, of which the responder's reaches a card below its switch by posted writes that are
// late. The interrupt is the very write to a doorbell page, and looks at its data at once.
#include "tests/unit/direct_efa_rig.hpp"
#include "tests/unit/lab_fake_qemu.hpp"
#include "tools/lab/efa/event_counter.hpp"
#include "tools/lab/machine.hpp"

#include <catch2/catch_test_macros.hpp>

#include <array>
#include <cstring>
#include <random>

using namespace direct_test;
using std::chrono::milliseconds;

namespace {

constexpr std::uint64_t registers = 0xfe000000;
constexpr std::uint64_t memory = 0x3800000000;
constexpr std::uint32_t batch = 32; // events that are under way at once
constexpr std::uint32_t slot_size = 1024;
constexpr unsigned some = 20000;
constexpr unsigned many = 1000000; // of [.long]
constexpr milliseconds never{60000};
constexpr std::size_t short_write = 32; // bytes; no data is as short

/// A card whose driver looks for the data of event n, whose number is all its words, whenever its
/// doorbell page is written.
class Card final : public lab::test::RecordingDevice {
public:
    using RecordingDevice::RecordingDevice;

    void bar_write(unsigned, std::uint64_t, std::span<const std::byte> data) override
    {
        std::uint64_t number = 0;
        REQUIRE(data.size() == sizeof(number));
        std::memcpy(&number, data.data(), sizeof(number));
        in_order = in_order && number == events + 1;
        ++events;
        stale += is_visible(number) ? 0 : 1;
    }

    std::uint64_t events = 0;
    std::uint64_t stale = 0;
    bool in_order = true;
    std::array<std::uint32_t, batch> lengths{}; ///< of the data that is awaited

private:
    bool is_visible(std::uint64_t number) const
    {
        const auto slot = number % batch;
        const auto data = bars()[2].memory.subspan(slot * slot_size, lengths[slot]);
        for (std::size_t at = 0; at < data.size(); at += sizeof(number))
            if (std::memcmp(&data[at], &number, sizeof(number)) != 0)
                return false;
        return true;
    }
};

/// Writes of random lengths into the card's memory; how it is told of them is the test's matter.
class Writer : fake::Pair {
public:
    Writer()
        : Pair({.sq_depth = batch}), near_(requester),
          source_(a.register_region(requester.pd, batch * slot_size)),
          data_key_(register_bar(memory, batch * slot_size)),
          page_key_(register_bar(registers, 4096))
    {
        machine_.add(b.adapter, "sw0");
        machine_.add(card, "sw0");
        card.place(0, registers);
        card.place(2, memory);
        card.command(true, true);
    }

    /// What the responder's adapter writes into the card arrives late, but for writes of at most
    /// `longer_than` bytes.
    void delay(milliseconds time, std::size_t longer_than)
    {
        b.adapter.dma().posted().set_delay({time, longer_than});
    }
    /// The responder's own counter of what was written to it counts into the doorbell page.
    void count_into_page()
    {
        using Command = model::admin::Opcode;
        const auto handle = b.must<model::admin::CreateEventCounterResponse>(
                                 Command::create_event_counter,
                                 model::admin::CreateEventCounter{responder.uar, 0, registers})
                                .handle;
        const auto writes = 1u << static_cast<unsigned>(model::QpEvent::remote_write);
        const model::admin::AttachEventCounter attach{handle, 0, {}, responder.number, writes};
        REQUIRE(b.execute(Command::attach_event_counter, attach) == model::admin::Status::success);
    }
    /// Data of the next `batch` events, all completed.
    void write_data()
    {
        for (std::uint32_t i = 0; i < batch; ++i) {
            const auto number = ++last_;
            const auto slot = number % batch;
            const auto length = 8 * (short_write / 8 + 1 + random() % 96);
            card.lengths[slot] = static_cast<std::uint32_t>(length);
            for (std::size_t at = 0; at < length; at += 8)
                std::memcpy(&source_.bytes[slot * slot_size + at], &number, sizeof(number));
            add_write(slot, card.lengths[slot], {slot * slot_size, data_key_});
        }
        ring();
    }
    /// By the queue pair that wrote.
    void flush()
    {
        REQUIRE(near_.send.add_read(0, near_.peer(), from(0, 1), {0, data_key_}) == Posted::ok);
        ring(1);
    }
    /// The number of each of them, which is where its data was, into the doorbell page.
    void write_page()
    {
        for (std::uint32_t i = batch; i-- > 0;)
            add_write((last_ - i) % batch, 8, {0, page_key_});
        ring();
    }
    /// Until the card has had all its interrupts.
    void await_events()
    {
        REQUIRE(b.run_until([&] { return card.events == last_; }));
    }

    Card card{loop, "b.card0"};
    std::mt19937 random{1};

private:
    LocalBuffer from(std::uint64_t slot, std::uint32_t length) const
    {
        return {source_.iova + slot * slot_size, length, source_.lkey};
    }
    void add_write(std::uint64_t slot, std::uint32_t length, const RemotePlace& to)
    {
        REQUIRE(near_.send.add_write(slot, near_.peer(), from(slot, length), to) == Posted::ok);
    }
    void ring(std::uint32_t count = batch)
    {
        near_.ring();
        for (; count > 0; --count)
            REQUIRE(near_.next().status == Status::ok);
    }
    /// A region of the responder's that is part of the card; its address is 0. Returns its key.
    std::uint32_t register_bar(std::uint64_t address, std::uint64_t length)
    {
        const auto pages = length / 4096;
        const auto list = b.allocate(pages * 8);
        for (std::uint64_t i = 0; i < pages; ++i) {
            const auto page = address + i * 4096;
            std::memcpy(b.at(list + i * 8, 8).data(), &page, 8);
        }
        model::admin::RegMr command{};
        command.pd = responder.pd;
        command.page_list = {static_cast<std::uint32_t>(pages * 8), list};
        command.length = length;
        command.flags = 12;
        command.permissions = model::Access::all;
        return b
            .must<model::admin::RegMrResponse>(model::admin::Opcode::reg_mr, command,
                                               model::admin::SubmissionHead::ctrl_data)
            .rkey;
    }

    lab::Machine machine_{"b", {"/none"}};
    Driven near_;
    fake::Region source_;
    std::uint32_t data_key_;
    std::uint32_t page_key_;
    std::uint64_t last_ = 0;
};

void counted_events(unsigned count)
{
    Writer writer;
    writer.count_into_page();
    writer.delay(milliseconds(1), 0);
    while (writer.card.events < count) {
        writer.write_data();
        writer.await_events();
    }
    CHECK(writer.card.in_order);
    CHECK(writer.card.stale == 0);
}

/// Short writes overtake, and how long the others are that do not differs each time.
void announced_events(unsigned count)
{
    Writer writer;
    while (writer.card.events < count) {
        writer.delay(never, short_write << writer.random() % 4);
        writer.write_data();
        writer.flush();
        writer.write_page();
        writer.await_events();
    }
    CHECK(writer.card.in_order);
    CHECK(writer.card.stale == 0);
}

} // namespace

TEST_CASE("R6.2 no interrupt of a counter finds stale data, however late it is", "[direct][efa]")
{
    counted_events(some);
}

TEST_CASE("R6.2 no interrupt of a counter finds stale data, 10^6 times", "[.long][direct][efa]")
{
    counted_events(many);
}

TEST_CASE("R6.1 R6.2 no interrupt of a doorbell page written behind a flush finds stale data",
          "[direct][efa]")
{
    announced_events(some);
}

TEST_CASE("R6.1 R6.2 no interrupt of a doorbell page written behind a flush, 10^6 times",
          "[.long][direct][efa]")
{
    announced_events(many);
}

TEST_CASE("R6.2 without the flush, or with an adapter that breaks the order, all is stale",
          "[direct][efa]")
{
    Writer writer;
    writer.delay(never, short_write);
    SECTION("a counter that overtakes its data")
    {
        writer.count_into_page();
        for (int i = 0; i < 10; ++i)
            writer.write_data();
    }
    SECTION("a doorbell page without a flush")
    {
        for (int i = 0; i < 10; ++i) {
            writer.write_data();
            writer.write_page();
        }
    }
    writer.await_events();
    CHECK(writer.card.stale == 10 * batch);
}
