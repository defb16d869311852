// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include "lib/l2/engine.hpp"
#include "lib/l2/memory_port.hpp"
#include "lib/l2/network.hpp"
#include "lib/l2/seal.hpp"
#include "lib/l2/simulated_pager.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <random>
#include <span>
#include <vector>

namespace p2prdma::l2 {

/// An engine with a connection, for fuzzers to throw frames at: each frame can be made to look as
/// if it came from the peer, so that it gets further than the first check. Around the memory that
/// the peer may access are bytes that nobody may write.
class EngineTarget {
public:
    /// What of a frame is put right before it is sent; or-ed.
    enum Aim : std::uint8_t {
        addresses = 1,
        connection = 2, ///< queue pair, epoch and tag
        number = 4,     ///< PSN: the next expected, or one of the seven after it; and what it
                        ///< acknowledges: all
        memory = 8,     ///< ext_remote: the region's key, and an address at one of its edges
        crc = 16,
        seal = 32, ///< if the target has a secret and the frame a seal; needs crc
    };
    enum class Kind : std::uint8_t {
        plain,
        rich, ///< with a secret; the region is implicit, its page comes and goes; and the victim
              ///< waits for answers to reads, which the peer's own never reach
    };

    static constexpr std::size_t read_size = 256; ///< of each of the victim's reads

    explicit EngineTarget(std::uint64_t seed, Kind kind = Kind::plain);

    /// Sends it, and lets the engines do what they do about it.
    void feed(std::vector<std::byte> frame, unsigned aim);
    /// Nothing was written where nothing may be, and no more is held than was allowed.
    [[nodiscard]] bool is_unharmed() const;
    /// The connection is still there; else another target is needed for frames that aim at it.
    [[nodiscard]] bool is_connected() const;
    /// Reads of the victim's that were answered.
    [[nodiscard]] std::uint64_t answered() const noexcept { return answered_; }
    [[nodiscard]] std::uint64_t faults() const
    {
        return victim_.engine.counters()[Counter::faults];
    }
    /// Frames of the peer's that were processed.
    [[nodiscard]] std::uint64_t processed() const noexcept { return processed_; }

private:
    static constexpr std::size_t size = 4096; ///< of the region, and of what is around it

    /// A machine.
    struct Station {
        Station(Network& network, std::uint8_t number, std::uint64_t seed, Kind kind);

        std::mt19937_64 random;
        std::unique_ptr<MemoryPort> port;
        SimulatedPager pager;
        Engine engine;
    };

    void connect();
    void enrich();
    void post_receives();
    void post_reads();
    void step();
    void learn(std::span<const std::byte> frame);
    void aim_at(std::span<std::byte> frame, unsigned aim);

    const Kind kind_;
    std::vector<std::byte> bytes_;
    std::mt19937_64 random_;
    Network network_;
    Station peer_, victim_;
    CompletionRing peer_ring_{256}, ring_{4096};
    Connection* peer_end_ = nullptr;
    Connection* end_ = nullptr;
    std::optional<Sealer> sealer_;
    std::uint32_t key_ = 0, peer_key_ = 0;
    std::uint32_t next_ = 0; ///< PSN that the victim expects
    std::uint32_t sent_ = 0; ///< PSN after the last of the victim's
    std::uint64_t processed_ = 0, answered_ = 0;
    bool feeding_ = false;
    Time now_ = std::chrono::seconds(1);
};

} // namespace p2prdma::l2
