// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include "lib/l2/wire_rules.hpp"

#include <cstddef>
#include <cstdint>
#include <random>
#include <vector>

namespace p2prdma::l2::wire {

/// Any frame that the rules allow, all fields random.
class RandomFrames {
public:
    explicit RandomFrames(std::uint64_t seed) : random_(seed) {}

    /// A frame of the rule; valid until the next. Header::extensions and payload_length are as
    /// compose() will set them.
    const Frame& next(const Rule& rule)
    {
        frame_ = {};
        for (auto* address : {&frame_.destination, &frame_.source})
            for (auto& byte : address->bytes)
                byte = number<std::uint8_t>();
        if (chance())
            frame_.vlan = number<std::uint16_t>();
        header(rule);
        extensions(rule);
        payload(rule);
        return frame_;
    }
    const Frame& next() { return next(rules[random_() % rules.size()]); }

    template <class T>
    T number()
    {
        return static_cast<T>(random_());
    }
    bool chance() { return random_() % 2 == 0; }

private:
    std::uint32_t number24() { return number<std::uint32_t>() & psn_mask; }

    void header(const Rule& rule)
    {
        auto& header = frame_.header;
        header.traffic_class = number<std::uint8_t>() & 0xf;
        header.opcode = rule.opcode;
        header.flags = number<std::uint8_t>() & rule.flags;
        header.credits = number<std::uint8_t>();
        header.dst_qp = number24();
        header.epoch = number<std::uint8_t>();
        header.psn = rule.psn ? number24() : 0;
        header.src_tag = number<std::uint16_t>();
    }

    void extensions(const Rule& rule)
    {
        auto& header = frame_.header;
        unsigned mask = rule.required | (number<std::uint8_t>() & rule.optional);
        mask |= header.flags & first ? rule.with_first : 0U;
        mask |= header.flags & last ? number<std::uint8_t>() & rule.with_last : 0U;
        header.extensions = static_cast<std::uint8_t>(mask);
        if (mask & ext_remote)
            frame_.remote = {random_(), number<std::uint32_t>(), number<std::uint32_t>()};
        if (mask & ext_atomic)
            frame_.atomic = {random_(), random_()};
        if (mask & ext_immediate)
            frame_.immediate = number<std::uint32_t>();
        if (mask & ext_ack)
            frame_.ack = {number24(),
                          rule.opcode == Opcode::nak ? Syndrome(1 + random_() % 7) : Syndrome::none,
                          number24()};
        if (mask & ext_sack)
            sack();
        if (mask & ext_fault)
            frame_.fault = {
                FaultKind(1 + random_() % 4), number<std::uint8_t>(),  number24(),
                number<std::uint32_t>(),      number<std::uint32_t>(), number<std::uint32_t>()};
        if (mask & ext_connect)
            connect();
    }

    void sack()
    {
        auto& sack = frame_.sack.emplace();
        for (unsigned i = 0; i < sack_bits; i++)
            sack[i] = chance();
    }

    void connect()
    {
        auto& connect = frame_.connect.emplace();
        connect.qp = number24();
        connect.epoch = number<std::uint8_t>();
        connect.tag = number<std::uint16_t>();
        connect.payload_limit = number<std::uint16_t>();
        connect.psn = number24();
        connect.max_reads = number<std::uint8_t>();
        connect.service = number<std::uint32_t>();
        connect.features = number<std::uint32_t>();
        connect.reason = number<std::uint32_t>();
        for (auto& byte : connect.nonce)
            byte = number<std::uint8_t>();
    }

    void payload(const Rule& rule)
    {
        bytes_.resize(rule.payload ? random_() % 300 : 0);
        seal_.resize(frame_.header.flags & sealed ? seal_size : 0);
        for (auto* bytes : {&bytes_, &seal_})
            for (auto& byte : *bytes)
                byte = static_cast<std::byte>(random_());
        frame_.header.payload_length = static_cast<std::uint16_t>(bytes_.size());
        frame_.payload = bytes_;
        frame_.seal = seal_;
    }

    std::mt19937_64 random_;
    Frame frame_;
    std::vector<std::byte> bytes_;
    std::vector<std::byte> seal_;
};

} // namespace p2prdma::l2::wire
