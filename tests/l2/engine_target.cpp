// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "tests/l2/engine_target.hpp"

#include "lib/l2/wire_rules.hpp"
#include "tests/l2/frame_check.hpp"
#include "tests/l2/raw_frame.hpp"

#include <algorithm>
#include <stdexcept>

namespace p2prdma::l2 {
namespace {

constexpr std::uint32_t service = 7;
constexpr std::byte guard{0xa5};
constexpr std::size_t held_limit = 1024; ///< frames that the network may hold, all told

constexpr std::byte secret{7};

DeviceOptions options(EngineTarget::Kind kind)
{
    DeviceOptions options;
    options.fault_buffer = 64 * 1024;
    options.max_queue_pairs = 16;
    if (kind == EngineTarget::Kind::rich) {
        options.secret.assign(secret_size, secret);
        // The frames that are thrown have used up the numbers of the peer's own, which is mute.
        options.dead_after = std::chrono::hours(1);
    }
    return options;
}

SimulatedPager::Config pages()
{
    return {.absent = 1,
            .shortest = std::chrono::microseconds(10),
            .longest = std::chrono::microseconds(200),
            .vanish_interval = std::chrono::microseconds(300)};
}

MacAddress address_of(std::uint8_t number)
{
    return {{2, 0, 0, 0, 0, number}};
}

} // namespace

EngineTarget::Station::Station(Network& network, std::uint8_t number, std::uint64_t seed, Kind kind)
    : random(seed + number), port(network.attach(address_of(number))), pager(pages()),
      engine(*port, pager, options(kind), [this] { return random(); })
{
}

EngineTarget::EngineTarget(std::uint64_t seed, Kind kind)
    : kind_(kind), bytes_(3 * size, guard), random_(seed), network_(seed),
      peer_(network_, 1, seed, kind), victim_(network_, 2, seed, kind)
{
    network_.watch([this](const Network::Entering& entering) {
        if (&entering.from == victim_.port.get())
            learn(entering.bytes);
    });
    connect();
    RegisteredRange range;
    range.start = reinterpret_cast<std::uintptr_t>(&bytes_[size]);
    range.length = size;
    range.domain = 1;
    range.access = Access::all;
    range.implicit = kind == Kind::rich;
    key_ = victim_.engine.memory().add(range);
    peer_key_ = peer_.engine.memory().add(range);
    next_ = peer_end_->handshake().local().psn;
    sent_ = end_->handshake().local().psn;
    post_receives();
    if (kind == Kind::rich)
        enrich();
}

void EngineTarget::enrich()
{
    victim_.pager.track(std::span(bytes_).subspan(size, size));
    const auto keys =
        connection_keys(Secret(std::vector<std::byte>(secret_size, secret)),
                        peer_end_->handshake().local().nonce, end_->handshake().local().nonce);
    sealer_.emplace(keys.from_initiator, std::uint64_t{1} << 32); // beyond the peer's own
    network_.drop_if([this](const Network::Entering& entering) {
        wire::Frame frame;
        return !feeding_ && &entering.from == peer_.port.get() &&
               wire::parse(entering.bytes, wire::test_type, frame) == wire::Verdict::good &&
               frame.header.opcode == wire::Opcode::read_response;
    });
    post_reads();
}

/// As many as may be under way.
void EngineTarget::post_reads()
{
    const Segment segment = {&bytes_[size], read_size, key_};
    const SendRequest read = {
        .operation = Operation::read,
        .segments = std::span(&segment, 1),
        .remote = {reinterpret_cast<std::uintptr_t>(&bytes_[size]), peer_key_}};
    std::size_t taken = 0;
    while (victim_.engine.post_send(*end_, std::span(&read, 1), taken) == std::errc())
        ;
}

void EngineTarget::connect()
{
    const auto setup = [](std::uint32_t domain, CompletionRing& ring) {
        return QueuePairSetup{.domain = domain,
                              .send_completions = &ring,
                              .receive_completions = &ring,
                              .options = {},
                              .private_data = {}};
    };
    (void)victim_.engine.pending().listen(service, 4, nullptr);
    (void)victim_.engine.new_domain();
    peer_end_ = peer_.engine.connect(victim_.port->address(), service,
                                     setup(peer_.engine.new_domain(), peer_ring_), now_);
    const PendingRequest* request = nullptr;
    for (int i = 0; i < 100 && request == nullptr; i++) {
        step();
        request = victim_.engine.pending().take(service, now_);
    }
    if (request != nullptr)
        end_ = victim_.engine.accept(request->id, setup(1, ring_), now_);
    for (int i = 0; i < 100 && end_ != nullptr && !is_connected(); i++)
        step();
    if (end_ == nullptr || !is_connected())
        throw std::logic_error("two engines do not connect");
}

/// As many as there is room for.
void EngineTarget::post_receives()
{
    const Segment segment = {&bytes_[size], size, key_};
    while (victim_.engine.post_receive(*end_, {.id = 1, .segments = std::span(&segment, 1)}) ==
           std::errc())
        ;
}

void EngineTarget::step()
{
    now_ += std::chrono::microseconds(20);
    network_.deliver(now_);
    for (auto* station : {&peer_, &victim_}) {
        station->pager.advance(now_);
        (void)station->engine.progress(now_);
    }
    std::array<Completion, 64> completions;
    while (const auto count = ring_.pop(completions))
        answered_ += static_cast<std::uint64_t>(
            std::ranges::count_if(std::span(completions).first(count), [](const Completion& one) {
                return one.operation == Operation::read && one.status == Status::success;
            }));
    while (peer_ring_.pop(completions) != 0)
        ;
}

void EngineTarget::learn(std::span<const std::byte> bytes)
{
    wire::Frame frame;
    if (wire::parse(bytes, wire::test_type, frame) != wire::Verdict::good)
        return;
    if (wire::is_sequenced(frame.header.opcode) && wire::psn_distance(sent_, frame.header.psn) >= 0)
        sent_ = wire::next_psn(frame.header.psn);
    if (!frame.ack || frame.ack->syndrome != wire::Syndrome::none)
        return;
    const auto ahead = wire::psn_distance(next_, frame.ack->next);
    if (ahead <= 0 || frame.header.dst_qp != peer_end_->number())
        return;
    processed_ += static_cast<std::uint64_t>(ahead);
    next_ = frame.ack->next;
}

void EngineTarget::aim_at(std::span<std::byte> frame, unsigned aim)
{
    const auto put = [&](std::size_t at, auto value) {
        if (frame.size() >= at + sizeof value)
            store_big(&frame[at], value);
    };
    const auto& local = end_->handshake().local();
    if (aim & addresses) {
        put(0, std::uint32_t{0x02000000});
        put(4, std::uint16_t{0x0002});
        put(6, std::uint32_t{0x02000000});
        put(10, std::uint16_t{0x0001});
        put(12, wire::test_type);
    }
    if (aim & connection) {
        put(18, local.qp << 8 | local.epoch);
        put(28, local.tag);
    }
    if ((aim & number) && frame.size() >= 26) {
        const auto psn = wire::next_psn(next_, random_() % 2 ? 0 : random_() % 8);
        const auto extensions = std::to_integer<std::uint32_t>(frame[25]);
        put(22, psn << 8 | extensions);
        std::size_t at = 14 + wire::header_size; // of ext_ack: it is the fourth
        for (std::size_t i = 0; i < 3; i++)
            at += extensions >> i & 1 ? wire::extension_sizes[i] : 0U;
        if ((extensions & wire::ext_ack) && frame.size() >= at + 4)
            put(at, sent_ << 8 | std::to_integer<std::uint32_t>(frame[at + 3]));
    }
    if (aim & memory) {
        const auto edge = random_() % 2 ? &bytes_[size] : &bytes_[size] + size;
        put(30, std::uint64_t{reinterpret_cast<std::uintptr_t>(edge)} + random_() % 32 - 16);
        put(38, key_);
    }
    if (aim & crc)
        wire::mend_as_frame(frame, (aim & seal) && sealer_ ? &*sealer_ : nullptr);
}

void EngineTarget::feed(std::vector<std::byte> frame, unsigned aim)
{
    aim_at(frame, aim);
    feeding_ = true;
    network_.inject(*peer_.port, frame);
    feeding_ = false;
    for (int i = 0; i < 2; i++)
        step();
    if (!is_connected())
        return;
    post_receives();
    if (kind_ == Kind::rich)
        post_reads();
}

bool EngineTarget::is_unharmed() const
{
    const auto is_guard = [](std::byte byte) { return byte == guard; };
    const auto begin = bytes_.begin();
    return std::all_of(begin, begin + size, is_guard) &&
           std::all_of(begin + 2 * size, bytes_.end(), is_guard) &&
           network_.frames_held() < held_limit;
}

bool EngineTarget::is_connected() const
{
    return end_->state() == ConnectionState::established &&
           peer_end_->state() == ConnectionState::established;
}

} // namespace p2prdma::l2
