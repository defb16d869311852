// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
//
// Each kind of bad frame, thrown at an engine as if its peer had sent it: the counter of that kind
// grows by one, no other does, and memory stays as it was.
#include "tests/l2/engine_rig.hpp"
#include "tests/l2/raw_frame.hpp"

#include <catch2/catch_test_macros.hpp>

using namespace p2prdma::l2;
using namespace p2prdma::l2::rig;

namespace {

using Bytes = std::vector<std::byte>;
constexpr std::byte guard{0xa5};

/// A pair, and a write of the left one's that would be right.
class Scene {
public:
    explicit Scene(const DeviceOptions& options = {})
        : left_(world_.add(options)), right_(world_.add(options)), pair_(world_, left_, right_),
          key_(pair_.b.add_region(region()))
    {
    }
    [[nodiscard]] wire::Frame good() const
    {
        const auto& local = pair_.b.connection->handshake().local();
        wire::Frame frame;
        frame.destination = right_.port->address();
        frame.source = left_.port->address();
        frame.header.opcode = wire::Opcode::write;
        frame.header.flags = wire::first | wire::last;
        frame.header.dst_qp = local.qp;
        frame.header.epoch = local.epoch;
        frame.header.src_tag = local.tag;
        frame.header.psn = pair_.a.connection->handshake().local().psn;
        frame.remote = {region_start(), key_, static_cast<std::uint32_t>(payload_.size())};
        frame.payload = payload_;
        return frame;
    }
    /// What the left one sends when it writes, with its seal.
    [[nodiscard]] Bytes recorded()
    {
        Bytes bytes;
        world_.network.watch([&](const Network::Entering& entering) {
            if (parsed(entering.bytes).header.opcode == wire::Opcode::write)
                bytes.assign(entering.bytes.begin(), entering.bytes.end());
        });
        auto source = payload_;
        const auto from = segment(source, pair_.a.add_region(source));
        REQUIRE(pair_.a.post(write_of(std::span(&from, 1), {region_start(), key_})) == std::errc());
        REQUIRE(pair_.run(1, 0));
        world_.network.watch({});
        std::ranges::fill(memory_, guard);
        REQUIRE_FALSE(bytes.empty());
        return bytes;
    }
    /// What counts as bad of what comes of it.
    [[nodiscard]] std::vector<std::string> counted(const Bytes& bytes)
    {
        const auto before = right_.engine->counters();
        world_.network.inject(*left_.port, bytes);
        world_.run_for(1ms);
        std::vector<std::string> grown;
        for (auto i = static_cast<unsigned>(Counter::too_short);
             i < static_cast<unsigned>(Counter::count); ++i) {
            const auto which = static_cast<Counter>(i);
            if (which == Counter::no_link_sent) // an answer
                continue;
            for (auto by = right_.engine->counters()[which] - before[which]; by != 0; --by)
                grown.emplace_back(to_string(which));
        }
        return grown;
    }
    [[nodiscard]] bool is_unharmed() const
    {
        return std::ranges::all_of(memory_, [](std::byte byte) { return byte == guard; });
    }
    [[nodiscard]] std::uint64_t region_start() const
    {
        return reinterpret_cast<std::uintptr_t>(&memory_[size]);
    }

private:
    static constexpr std::size_t size = 4096;
    [[nodiscard]] std::span<std::byte> region() { return std::span(memory_).subspan(size, size); }

    NetworkOptions unpadded_{.pad = false}; // or what is cut short would be made long again
    World world_{1, unpadded_};
    Station &left_, &right_;
    Bytes memory_ = Bytes(3 * size, guard), payload_ = pattern(300);
    Pair pair_;
    std::uint32_t key_;
};

void shift(Bytes& bytes, std::size_t at)
{
    bytes[at] ^= std::byte{0x55};
}

void check_one(Scene& scene, const Bytes& bytes, Counter counter)
{
    CHECK(scene.counted(bytes) == std::vector<std::string>{to_string(counter)});
    CHECK(scene.is_unharmed());
}

} // namespace

TEST_CASE("R3.8: what bad frames are made of here is a good one")
{
    Scene scene;
    CHECK(scene.counted(wire::raw_frame(scene.good())).empty());
    CHECK_FALSE(scene.is_unharmed()); // it was written
}

TEST_CASE("R3.7, R3.8: each kind of bad frame is counted as what it is, and harms nothing")
{
    using wire::Frame;
    struct Case {
        const char* name;
        Counter counter;
        std::function<void(Frame&)> change;                ///< before its CRC is made
        std::function<void(Bytes&)> spoil = [](Bytes&) {}; ///< after
    };
    const auto nothing = [](Frame&) {};
    const Case cases[] = {
        {"cut off in its header", Counter::too_short, nothing, [](Bytes& b) { b.resize(20); }},
        {"cut off in its payload", Counter::bad_length, nothing, [](Bytes& b) { b.resize(100); }},
        {"longer than it is", Counter::bad_length, nothing,
         [](Bytes& b) {
             store_big(&b[26], std::uint16_t{0xffff});
             wire::mend(b);
         }},
        {"version", Counter::wrong_version, [](Frame& f) { f.header.version = 2; }},
        {"CRC", Counter::bad_crc, nothing, [](Bytes& b) { shift(b, 60); }},
        {"opcode", Counter::bad_opcode,
         [](Frame& f) { f.header.opcode = static_cast<wire::Opcode>(0x7f); }},
        {"extensions that are missing", Counter::bad_extensions,
         [](Frame& f) { f.remote.reset(); }},
        {"extensions too many", Counter::bad_extensions, [](Frame& f) { f.atomic.emplace(); }},
        {"a flag that means nothing", Counter::bad_field, [](Frame& f) { f.header.flags |= 0x20; }},
        {"source", Counter::wrong_source, [](Frame& f) { f.source = address_of(77); }},
        {"epoch", Counter::stale_epoch, [](Frame& f) { ++f.header.epoch; }},
        {"queue pair", Counter::unknown_queue_pair, [](Frame& f) { f.header.dst_qp ^= 0x800000; }},
        {"tag", Counter::wrong_tag, [](Frame& f) { f.header.src_tag ^= 1; }},
        {"key", Counter::refused, [](Frame& f) { f.remote->key ^= 1; }},
        {"address and length that overflow", Counter::refused,
         [](Frame& f) { f.remote->address = UINT64_MAX - 100; }},
        {"address before the region", Counter::refused, [](Frame& f) { f.remote->address -= 1; }},
        {"length beyond the region", Counter::refused,
         [](Frame& f) {
             f.header.flags = wire::first;
             f.remote->length = 4097;
         }},
        {"more payload than length", Counter::refused, [](Frame& f) { f.remote->length = 299; }},
        {"an atomic that is not aligned", Counter::refused,
         [](Frame& f) {
             f.header.opcode = wire::Opcode::fetch_add;
             f.remote->address += 4;
             f.remote->length = 8;
             f.atomic = {.operand = 1, .compare = 0};
             f.payload = {};
         }},
        {"the middle of nothing", Counter::refused,
         [](Frame& f) {
             f.header.flags = wire::last;
             f.remote.reset();
         }},
        {"an acknowledgement of what was never sent", Counter::bad_acknowledgement,
         [](Frame& f) {
             f.header.opcode = wire::Opcode::ack;
             f.header.flags = 0;
             f.header.psn = 0;
             f.ack = {.next = 0x123456};
             f.remote.reset();
             f.payload = {};
         }},
    };
    for (const auto& one : cases) {
        INFO(one.name);
        Scene scene;
        auto frame = scene.good();
        one.change(frame);
        auto bytes = wire::raw_frame(frame);
        one.spoil(bytes);
        check_one(scene, bytes, one.counter);
    }
}

TEST_CASE("R3.7: frames that come again, or without the right seal, are counted and harm nothing")
{
    Scene plain;
    check_one(plain, plain.recorded(), Counter::duplicates);

    Scene sealed(with_secret());
    const auto recorded = sealed.recorded();
    check_one(sealed, recorded, Counter::replayed);
    auto changed = recorded;
    shift(changed, changed.size() - wire::crc_size - 1);
    wire::mend(changed);
    check_one(sealed, changed, Counter::bad_seal);
    check_one(sealed, wire::raw_frame(sealed.good()), Counter::not_sealed);
}
