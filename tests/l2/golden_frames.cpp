// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "tests/l2/golden_frames.hpp"

#include "lib/l2/seal.hpp"
#include "tests/l2/raw_frame.hpp"

#include <optional>
#include <string_view>

namespace p2prdma::l2::wire {
namespace {

constexpr MacAddress everybody = {MacAddress::broadcast};

/// One end of the connection that all captures show.
struct Station {
    MacAddress address;
    std::uint32_t qp;
    std::uint8_t epoch;
    std::uint16_t tag;
    std::uint32_t psn;
    ConnectNonce nonce;
};

constexpr Station alice = {{{2, 0, 0, 0, 0, 1}},
                           0x000011,
                           0x5a,
                           0xa11c,
                           0x123456,
                           {0xa0, 0xa1, 0xa2, 0xa3, 0xa4, 0xa5, 0xa6, 0xa7, //
                            0xa8, 0xa9, 0xaa, 0xab, 0xac, 0xad, 0xae, 0xaf}};
constexpr Station bob = {{{2, 0, 0, 0, 0, 2}},
                         0x000022,
                         0x3c,
                         0xb0b0,
                         0xfffffe,
                         {0xb0, 0xb1, 0xb2, 0xb3, 0xb4, 0xb5, 0xb6, 0xb7, //
                          0xb8, 0xb9, 0xba, 0xbb, 0xbc, 0xbd, 0xbe, 0xbf}};

constexpr unsigned only = first | last;
constexpr Remote target = {0x7f00'1234'5000, 0xc0ffee01, 2000};

std::span<const std::byte> bytes_of(std::string_view text)
{
    return std::as_bytes(std::span(text));
}

/// 2000 bytes of some pattern.
std::span<const std::byte> pattern()
{
    static const auto bytes = [] {
        std::vector<std::byte> all(2000);
        for (std::size_t i = 0; i < all.size(); i++)
            all[i] = static_cast<std::byte>(i * 7 + i / 256);
        return all;
    }();
    return bytes;
}

/// A frame of the connection's.
Frame between(const Station& from, const Station& to, Opcode opcode, unsigned flags = 0,
              std::uint32_t psn = 0)
{
    Frame frame;
    frame.source = from.address;
    frame.destination = to.address;
    frame.header.opcode = opcode;
    frame.header.flags = static_cast<std::uint8_t>(flags);
    frame.header.dst_qp = to.qp;
    frame.header.epoch = to.epoch;
    frame.header.src_tag = to.tag;
    frame.header.psn = psn;
    return frame;
}

Frame unconnected(const Station& from, const MacAddress& to, Opcode opcode)
{
    Frame frame;
    frame.source = from.address;
    frame.destination = to;
    frame.header.opcode = opcode;
    return frame;
}

Connect connect_of(const Station& station, std::uint32_t service)
{
    Connect connect;
    connect.qp = station.qp;
    connect.epoch = station.epoch;
    connect.tag = station.tag;
    connect.payload_limit = 1440;
    connect.psn = station.psn;
    connect.max_reads = 16;
    connect.service = service;
    connect.features = feature_fault_delay;
    connect.nonce = station.nonce;
    return connect;
}

Frame request()
{
    auto frame = unconnected(alice, bob.address, Opcode::connect_request);
    frame.connect = connect_of(alice, 7471);
    frame.payload = bytes_of("hello");
    return frame;
}

Frame reply()
{
    auto frame = between(bob, alice, Opcode::connect_reply);
    frame.connect = connect_of(bob, 7471);
    return frame;
}

Frame with_ack(Frame frame, const Ack& ack)
{
    frame.ack = ack;
    return frame;
}

Frame with_fault(Frame frame, const Fault& fault)
{
    frame.fault = fault;
    return frame;
}

Frame with_payload(Frame frame, std::span<const std::byte> payload)
{
    frame.payload = payload;
    return frame;
}

Frame with_remote(Frame frame, const Remote& remote)
{
    frame.remote = remote;
    return frame;
}

/// Collects frames as they are on the wire.
class Capture {
public:
    explicit Capture(std::string name) { capture_.name = std::move(name); }
    Capture& add(const Frame& frame)
    {
        capture_.frames.push_back(padded(raw_frame(frame)));
        return *this;
    }
    GoldenCapture done() { return std::move(capture_); }

private:
    GoldenCapture capture_;
};

GoldenCapture connection()
{
    Capture capture("connection");
    auto discover = unconnected(alice, everybody, Opcode::discover);
    discover.connect.emplace().service = 7471;
    auto offer = unconnected(bob, alice.address, Opcode::offer);
    offer.connect.emplace().service = 7471;
    offer.connect->payload_limit = 1440;
    offer.connect->features = feature_fault_delay;
    offer.payload = bytes_of("bob.example");
    auto reject = between(bob, alice, Opcode::reject);
    reject.connect.emplace().service = 7472;
    reject.connect->reason = 2;
    reject.payload = bytes_of("no");
    capture.add(discover).add(offer).add(request()).add(reply());
    capture.add(between(alice, bob, Opcode::ready_to_use));
    capture.add(between(alice, bob, Opcode::keep_alive));
    capture.add(with_ack(between(bob, alice, Opcode::ack), {alice.psn, Syndrome::none, 0}));
    capture.add(between(alice, bob, Opcode::disconnect_request));
    capture.add(between(bob, alice, Opcode::disconnect_reply));
    return capture.add(reject).done();
}

GoldenCapture messages()
{
    Capture capture("messages");
    const auto psn = alice.psn;
    auto hello =
        with_payload(between(alice, bob, Opcode::send, only | ack_request, psn), bytes_of("hello"));
    hello.immediate = 0xdecafbad;
    hello.header.credits = 12;
    hello.header.flags |= solicited;
    capture.add(hello);
    capture.add(between(alice, bob, Opcode::send, only, psn + 1)); // no bytes at all
    auto begin = with_remote(between(alice, bob, Opcode::write, first, psn + 2), target);
    capture.add(with_payload(begin, pattern().first(1000)));
    capture.add(
        with_payload(between(alice, bob, Opcode::write, 0, psn + 3), pattern().subspan(1000, 700)));
    auto end = with_payload(between(alice, bob, Opcode::write, last | again, psn + 4),
                            pattern().subspan(1700));
    end.immediate = 42;
    capture.add(with_ack(end, {bob.psn, Syndrome::none, 3}));
    capture.add(with_remote(between(alice, bob, Opcode::read_request, only, psn + 5), target));
    capture.add(with_payload(between(bob, alice, Opcode::read_response, first, 0xfffffe),
                             pattern().first(1440)));
    capture.add(with_ack(with_payload(between(bob, alice, Opcode::read_response, last, 0xffffff),
                                      pattern().subspan(1440)),
                         {psn + 6, Syndrome::none, 4}));
    auto add = with_remote(between(alice, bob, Opcode::fetch_add, only, psn + 6),
                           {target.address, target.key, 8});
    add.atomic = {5, 0};
    auto swap = add;
    swap.header.opcode = Opcode::compare_swap;
    swap.header.psn = psn + 7;
    swap.atomic = {9, 5};
    auto old = between(bob, alice, Opcode::atomic_response, only, 0);
    old.atomic = {0x1122334455667788, 0};
    capture.add(add).add(swap).add(old);
    hello.vlan = 100;
    hello.header.traffic_class = 3;
    return capture.add(hello).done();
}

GoldenCapture reports()
{
    Capture capture("reports");
    const auto report = between(bob, alice, Opcode::ack);
    auto sack = with_ack(report, {0xffffff, Syndrome::none, 7});
    sack.header.flags = congested;
    sack.sack.emplace();
    for (const unsigned came : {0, 1, 2, 5, 64, 200, 255})
        sack.sack->set(came);
    capture.add(with_ack(report, {alice.psn + 3, Syndrome::none, 2})).add(sack);
    capture.add(between(alice, bob, Opcode::probe, 0, alice.psn + 3));
    for (unsigned i = 1; i <= 7; i++) {
        auto nak = between(bob, alice, Opcode::nak, 0, alice.psn + 4);
        nak.ack = {alice.psn + 4, Syndrome(i), 3};
        if (nak.ack->syndrome == Syndrome::receiver_not_ready)
            nak.fault = {FaultKind::delay, 0, alice.psn + 4, 1000, 0, 0};
        capture.add(nak);
    }
    return capture.done();
}

GoldenCapture faults()
{
    Capture capture("faults");
    const Ack here = {alice.psn + 2, Syndrome::none, 2};
    const auto report = with_ack(between(bob, alice, Opcode::ack), here);
    Fault fault = {FaultKind::delay, 9, here.next, 250, 0, 262144};
    capture.add(with_fault(report, fault));
    fault.buffered = 1500;
    fault.window = 260644;
    auto held = with_fault(report, fault);
    held.sack.emplace(0b101);
    capture.add(held);
    capture.add(between(alice, bob, Opcode::probe, 0, here.next));
    fault = {FaultKind::resume, 9, here.next + 1, 0, 0, 262144};
    capture.add(with_fault(with_ack(report, {here.next + 1, Syndrome::none, 2}), fault));
    fault = {FaultKind::abort, 10, here.next + 4, 0, 0, 0};
    auto nak = with_ack(between(bob, alice, Opcode::nak, 0, here.next + 4),
                        {here.next + 4, Syndrome::fault, 3});
    capture.add(with_fault(nak, fault));
    fault = {FaultKind::stall, 1, 0x000003, 8000, 0, 0};
    return capture.add(with_fault(report, fault)).done();
}

/// Adds seals to whole frames, in place of the span that raw_frame() would copy.
Frame sealed_with(Sealer& sealer, Frame frame, std::array<std::byte, seal_size>& seal)
{
    frame.header.flags |= sealed;
    std::array<std::byte, max_prefix> prefix = {};
    const auto size = compose(frame, frame.payload.size(), test_type, prefix);
    const std::array<std::span<const std::byte>, 2> pieces = {
        std::span(prefix).subspan(14, size - 14), frame.payload};
    sealer.seal(pieces, seal);
    frame.seal = seal;
    return frame;
}

/// The secret is the bytes 0 to 31; the counters of connect frames would be random.
GoldenCapture sealed_frames()
{
    Capture capture("sealed");
    std::array<std::byte, secret_size> secret = {};
    for (std::size_t i = 0; i < secret.size(); i++)
        secret[i] = static_cast<std::byte>(i);
    std::array<std::byte, seal_size> seal = {};
    auto ask = request();
    auto answer = reply();
    for (auto* frame : {&ask, &answer})
        frame->connect->features |= feature_sealed;
    Sealer asks(connect_key(secret, alice.address, bob.address), 0x1111111111111111);
    capture.add(sealed_with(asks, ask, seal));
    Sealer answers(connect_key(secret, bob.address, alice.address), 0x2222222222222222);
    capture.add(sealed_with(answers, answer, seal));
    const auto keys = connection_keys(secret, alice.nonce, bob.nonce);
    Sealer there(keys.from_initiator);
    Sealer back(keys.from_responder);
    capture.add(sealed_with(there, between(alice, bob, Opcode::ready_to_use), seal));
    auto data = with_payload(between(alice, bob, Opcode::send, only, alice.psn), bytes_of("hello"));
    capture.add(sealed_with(there, data, seal));
    const auto report = with_ack(between(bob, alice, Opcode::ack), {alice.psn + 1});
    return capture.add(sealed_with(back, report, seal)).done();
}

} // namespace

std::vector<GoldenCapture> golden_captures()
{
    return {connection(), messages(), reports(), faults(), sealed_frames()};
}

} // namespace p2prdma::l2::wire
