// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include "lib/l2/connection_states.hpp"
#include "lib/l2/port.hpp"
#include "lib/l2/wire.hpp"

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace p2prdma::l2 {

/// Why a connect_request was rejected: wire::Connect::reason.
enum class RejectReason : std::uint32_t {
    by_application = 1, ///< private data may say more
    no_listener = 2,    ///< nobody serves that number
    full = 3,           ///< too many connections, or requests that wait
    not_sealed = 4,     ///< one end has a secret and the other has none, or another one
    bad_request = 5,
};
[[nodiscard]] const char* to_string(RejectReason reason) noexcept;

/// How a connection begins and ends: its state, both ends' numbers, and when to say what again.
/// Thread-safety: the engine's.
class Handshake {
public:
    /// \param local  what this end says of itself
    Handshake(const MacAddress& peer, const wire::Connect& local,
              std::span<const std::byte> private_data)
        : peer_(peer), local_(local), private_data_(private_data.begin(), private_data.end())
    {
    }

    [[nodiscard]] ConnectionState state() const noexcept { return state_; }
    [[nodiscard]] const MacAddress& peer() const noexcept { return peer_; }
    [[nodiscard]] const wire::Connect& local() const noexcept { return local_; }
    [[nodiscard]] const wire::Connect& remote() const noexcept { return remote_; }
    [[nodiscard]] bool agreed(wire::Feature feature) const noexcept
    {
        return (features_ & feature) != 0;
    }
    [[nodiscard]] const std::vector<std::byte>& peer_data() const noexcept { return peer_data_; }
    /// Of the reject that ended it; 0 otherwise.
    [[nodiscard]] std::uint32_t reject_reason() const noexcept { return reject_reason_; }

    /// Somebody said, and nobody has proven anything else since, that the peer lacks the secret.
    void set_hint() noexcept { hinted_ = true; }
    [[nodiscard]] bool hinted() const noexcept { return hinted_; }

    /// What the peer says of itself, from its connect_request or connect_reply. False: it makes no
    /// sense, and was ignored.
    bool set_remote(const wire::Connect& remote, std::span<const std::byte> private_data);
    void set_reject(const wire::Connect& reject, std::span<const std::byte> private_data);

    /// Goes on as the table says; what is to be sent now.
    ConnectionAction happens(ConnectionEvent event, Time now) noexcept;
    /// When the frame of this state is to be sent again; Time::max(): never.
    [[nodiscard]] Time due() const noexcept { return repeats(state_) ? due_ : Time::max(); }
    /// due() has come: what to send again.
    ConnectionAction repeat(Time now) noexcept;

    /// From this end's frame to the peer's answer, until it was established: at least a round trip,
    /// and more if frames were lost or the peer's application took its time.
    [[nodiscard]] Time answer_time() const noexcept { return answer_time_; }

    /// The frame for an action, and its payload.
    [[nodiscard]] wire::Frame frame(ConnectionAction action) const noexcept;
    [[nodiscard]] std::span<const std::byte> payload(ConnectionAction action) const noexcept;
    /// Addresses a frame to the peer.
    void address(wire::Frame& frame) const noexcept;

private:
    MacAddress peer_;
    ConnectionState state_ = ConnectionState::idle;
    std::uint8_t tries_ = 0;
    std::uint32_t features_ = 0;
    std::uint32_t reject_reason_ = 0;
    bool hinted_ = false;
    Time due_ = Time::max();
    Time since_{}, answer_time_{};
    wire::Connect local_, remote_;
    std::vector<std::byte> private_data_, peer_data_;
};

} // namespace p2prdma::l2
