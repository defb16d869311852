// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// Messages of max_message bytes, without as much memory.
#include "tests/l2/engine_rig.hpp"

#include "lib/l2/wire_rules.hpp"
#include "p2prdma/unique_fd.hpp"
#include "tests/l2/raw_frame.hpp"

#include <map>

#include <sys/mman.h>
#include <unistd.h>

using namespace p2prdma::l2;
using namespace p2prdma::l2::rig;

namespace {

/// Addresses at which nothing is.
class AddressSpace {
public:
    explicit AddressSpace(std::size_t size) : size_(size)
    {
        start_ =
            ::mmap(nullptr, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        REQUIRE(start_ != MAP_FAILED);
    }
    ~AddressSpace() { ::munmap(start_, size_); }
    AddressSpace(const AddressSpace&) = delete;
    AddressSpace& operator=(const AddressSpace&) = delete;

    [[nodiscard]] std::span<std::byte> bytes() const noexcept
    {
        return {static_cast<std::byte*>(start_), size_};
    }

private:
    void* start_;
    std::size_t size_;
};

/// The same few megabytes again and again.
class RepeatedMemory {
public:
    explicit RepeatedMemory(std::size_t size) : space_(size)
    {
        const p2prdma::UniqueFd file(::memfd_create("repeated", MFD_CLOEXEC));
        const auto content = pattern(period);
        REQUIRE(::write(file.get(), content.data(), period) == ssize_t{period});
        for (auto rest = bytes(); !rest.empty();) {
            const auto here = rest.first(std::min(period, rest.size()));
            REQUIRE(::mmap(here.data(), here.size(), PROT_READ, MAP_SHARED | MAP_FIXED, file.get(),
                           0) == here.data());
            rest = rest.subspan(here.size());
        }
    }
    [[nodiscard]] std::span<std::byte> bytes() const noexcept { return space_.bytes(); }

private:
    // A prime number of pages: what is at places a power of two apart differs.
    static constexpr std::size_t period = std::size_t{61} * 64 * 1024;

    AddressSpace space_;
};

/// Of implicit regions whose memory is not there: what is copied into it has to be what comes next,
/// and is forgotten; who reads waits for ever.
class ForgetfulPager final : public Pager {
public:
    explicit ForgetfulPager(std::span<const std::byte> expected) : expected_(expected) {}

    [[nodiscard]] std::span<std::byte> bytes() const noexcept { return space_.bytes(); }
    /// From the begin on again. How many bytes had come, each in its place.
    std::size_t begin() noexcept { return std::exchange(came_, 0); }
    /// Bytes that came where others were expected.
    [[nodiscard]] std::size_t strayed() const noexcept { return strayed_; }

    std::size_t present(const void* /*address*/, std::size_t length, Need need) noexcept override
    {
        return need == Need::writing ? length : 0;
    }
    std::size_t copy_in(void* to, std::span<const std::byte> from) noexcept override
    {
        const auto at = static_cast<std::size_t>(static_cast<std::byte*>(to) - bytes().data());
        const bool good = at == came_ && from.size() <= expected_.size() - at &&
                          std::memcmp(&expected_[at], from.data(), from.size()) == 0;
        (good ? came_ : strayed_) += from.size();
        return from.size();
    }
    std::size_t copy_out(std::span<std::byte> /*to*/, const void* /*from*/) noexcept override
    {
        return 0;
    }
    std::uint32_t resolve(std::uint64_t /*token*/, const void* /*address*/, std::size_t /*length*/,
                          Need /*need*/, std::size_t /*ahead*/) noexcept override
    {
        return 0;
    }
    void forget(std::uint64_t /*token*/) noexcept override {}
    std::size_t take(std::span<Resolved> /*out*/) noexcept override { return 0; }
    int fd() const noexcept override { return -1; }
    void prefetch(const void* /*address*/, std::size_t /*length*/, Need /*need*/) noexcept override
    {
    }

private:
    std::span<const std::byte> expected_;
    AddressSpace space_{expected_.size()};
    std::size_t came_ = 0, strayed_ = 0;
};

/// A pair with so much memory, frames of so many bytes, and psn that wrap soon.
struct LongRig {
    LongRig(std::size_t size, std::uint32_t frame_limit)
        : source(size), link{.frame_limit = frame_limit, .receive_queue = std::size_t{1} << 24},
          left(world.add({}, link)), right(world.add({}, link)),
          pair(world, on(left, sink_of_left), on(right, sink_of_right)),
          source_of_a(pair.a.add_region(source.bytes(), Access::local_read)),
          source_of_b(pair.b.add_region(source.bytes(), Access::remote_read)),
          sink_of_a(pair.a.add_region(sink_of_left.bytes(), Access::local_write, true)),
          sink_of_b(pair.b.add_region(
              sink_of_right.bytes(),
              Access::local_write | Access::remote_write | Access::remote_read, true))
    {
        world.network.watch([this](const Network::Entering& entering) {
            const auto opcode = static_cast<wire::Opcode>(entering.bytes[15]); // parsing takes long
            frames[&entering.from] += wire::is_sequenced(opcode) ? 1 : 0;
        });
    }
    /// Pieces of `memory`, one behind the other.
    static std::vector<Segment> pieces(std::span<std::byte> memory, std::uint32_t key,
                                       const std::vector<std::uint32_t>& lengths)
    {
        std::vector<Segment> pieces;
        for (const auto length : lengths) {
            pieces.push_back({memory.data(), length, key});
            memory = memory.subspan(length);
        }
        return pieces;
    }
    /// How many frames a message takes.
    [[nodiscard]] std::uint64_t frames_of(std::uint64_t length) const
    {
        const std::uint64_t limit = pair.a.connection->payload_limit();
        return (length + limit - 1) / limit;
    }
    static Station& on(Station& station, Pager& pager)
    {
        station.restart(pager, station.near_wrap(1024));
        return station;
    }

    RepeatedMemory source;
    ForgetfulPager sink_of_left{source.bytes()}, sink_of_right{source.bytes()};
    World world{1};
    LinkOptions link; ///< with room for a whole window: nothing is lost
    Station &left, &right;
    Pair pair;
    std::uint32_t source_of_a, source_of_b, sink_of_a, sink_of_b;
    std::map<const MemoryPort*, std::uint64_t> frames; ///< sequenced ones, of each end
};

/// A message of each kind: it comes whole, and in as many frames as it should.
void carry(std::uint32_t frame_limit)
{
    constexpr std::uint32_t length = max_message, half = length / 2;
    LongRig rig(std::size_t{length} + 4096, frame_limit); // more than a message
    auto& a = rig.pair.a;
    auto& b = rig.pair.b;
    const auto frames = rig.frames_of(length);

    const auto posted =
        LongRig::pieces(rig.sink_of_right.bytes(), rig.sink_of_b, {1, half, half - 1, 77});
    REQUIRE(b.receive(1, posted) == std::errc());
    const auto sent = LongRig::pieces(rig.source.bytes(), rig.source_of_a, {half + 5, half - 5});
    REQUIRE(a.post({.id = 1, .segments = sent}) == std::errc());
    REQUIRE(rig.pair.run(1, 1, 1h));
    CHECK(a.completions.back().status == Status::success);
    CHECK(b.completions.back().status == Status::success);
    CHECK(b.completions.back().length == length);
    CHECK(rig.sink_of_right.begin() == length);
    CHECK(rig.frames[rig.left.port.get()] == frames);

    const auto written =
        LongRig::pieces(rig.source.bytes(), rig.source_of_a, {length - 3, 1, 1, 1});
    REQUIRE(a.post(write_of(written, remote(rig.sink_of_right.bytes(), rig.sink_of_b), 2)) ==
            std::errc());
    REQUIRE(rig.pair.run(2, 1, 1h));
    CHECK(a.completions.back().status == Status::success);
    CHECK(rig.sink_of_right.begin() == length);
    CHECK(rig.frames[rig.left.port.get()] == 2 * frames);

    const auto read = LongRig::pieces(rig.sink_of_left.bytes(), rig.sink_of_a, {length});
    REQUIRE(a.post({.id = 3,
                    .operation = Operation::read,
                    .segments = read,
                    .remote = remote(rig.source.bytes(), rig.source_of_b)}) == std::errc());
    REQUIRE(rig.pair.run(3, 1, 1h));
    CHECK(a.completions.back().status == Status::success);
    CHECK(a.completions.back().length == length);
    CHECK(rig.sink_of_left.begin() == length);
    CHECK(rig.frames[rig.left.port.get()] == 2 * frames + 1);
    CHECK(rig.frames[rig.right.port.get()] == frames);

    CHECK(rig.sink_of_left.strayed() == 0);
    CHECK(rig.sink_of_right.strayed() == 0);
}

} // namespace

TEST_CASE("R3.5: messages of 2^31 bytes")
{
    carry(9014);
}

TEST_CASE("R3.5: messages of 2^31 bytes, in frames of the usual size", "[.long]")
{
    carry(1514);
}

TEST_CASE("R3.5: messages of 2^31 bytes, of more frames than there are psn", "[.long]")
{
    carry(160);
}

TEST_CASE("R3.5: who is refused is found, though a read waits longer than psn are told apart",
          "[.long]")
{
    constexpr std::uint32_t length = max_message / 2;
    LongRig rig(length, 160);
    REQUIRE(rig.frames_of(length) > wire::psn_mask / 2);
    const auto read = LongRig::pieces(rig.sink_of_left.bytes(), rig.sink_of_a, {1});
    const auto from = LongRig::pieces(rig.source.bytes(), rig.source_of_a, {length});
    const auto to = remote(rig.sink_of_right.bytes(), rig.sink_of_b);
    auto& a = rig.pair.a;
    REQUIRE(a.post({.id = 1, .operation = Operation::read, .segments = read, .remote = to}) ==
            std::errc());
    REQUIRE(a.post(write_of(from, to, 2)) == std::errc());
    REQUIRE(a.post(write_of(from, {to.address, to.key + 1}, 3)) == std::errc());
    REQUIRE(rig.pair.run(3, 0, 1h));
    CHECK(a.completions[0].status == Status::flushed);
    CHECK(a.completions[1].status == Status::success);
    CHECK(a.completions[2].status == Status::remote_access);
}

TEST_CASE("R3.5: no request is longer than 2^31 bytes")
{
    Joined joined;
    auto& [world, left, right, pair] = joined;
    Memories memories(pair);
    const auto longer = [&](const std::vector<std::uint32_t>& lengths) {
        std::vector<Segment> pieces;
        for (const auto length : lengths)
            pieces.push_back({memories.source.data(), length, memories.source_key});
        for (const auto operation : {Operation::send, Operation::write, Operation::read})
            CHECK(pair.a.post({.operation = operation,
                               .segments = pieces,
                               .remote = remote(memories.target, memories.target_key)}) ==
                  std::errc::invalid_argument);
    };
    longer({max_message + 1});
    longer({max_message, 1});
    longer({max_message, max_message}); // 0, in 32 bits
    longer({max_message - 1, 0, 1, 1});
    longer({UINT32_MAX, UINT32_MAX, UINT32_MAX, 4});
    memories.write(); // nothing of them is in its way
    REQUIRE(pair.run(1, 0));
    CHECK(pair.a.completions[0].status == Status::success);
    CHECK(memories.target == memories.source);
}

TEST_CASE("R3.5: what says to be longer than 2^31 bytes is refused by who is asked")
{
    for (const auto operation : {Operation::write, Operation::read}) {
        Joined joined;
        auto& [world, left, right, pair] = joined;
        Memories memories(pair);
        std::vector<std::byte> request;
        world.network.drop_if([&](const Network::Entering& entering) {
            const bool found = parsed(entering.bytes).remote.has_value();
            if (found)
                request.assign(entering.bytes.begin(), entering.bytes.end());
            return found;
        });
        REQUIRE(pair.a.post({.operation = operation,
                             .segments = std::span(&memories.from, 1),
                             .remote = remote(memories.target, memories.target_key)}) ==
                std::errc());
        REQUIRE(world.run([&] { return !request.empty(); }));
        world.network.drop_if({});
        auto frame = parsed(request);
        frame.remote->length = max_message + 1;
        world.network.inject(*left.port, wire::raw_frame(frame));
        REQUIRE(pair.run(1, 0));
        CHECK(pair.a.completions[0].status == Status::remote_invalid);
    }
}
