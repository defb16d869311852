// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include "tools/p2prdmad/area.hpp"
#include "tools/p2prdmad/client.hpp"
#include "tools/p2prdmad/grant_table.hpp"
#include "tools/p2prdmad/log.hpp"
#include "tools/p2prdmad/retired.hpp"
#include "tools/p2prdmad/ring.hpp"
#include "tools/p2prdmad/services.hpp"
#include "tools/p2prdmad/wait.hpp"

#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <poll.h>

namespace p2prdma::daemon {

/// Serves one epoch of a control area: takes requests, has the clients serve them, puts replies.
/// One thread. All that the card sends is copied once and checked; the worst that it can do is to
/// end its own epoch.
class Engine {
public:
    struct Options {
        std::uint32_t epoch = 0;
        Quota quota;
        std::string hostname;
        std::function<void()> ring; ///< calls the card
    };

    /// `area` is zeroed.
    Engine(Area area, Options options, Provider& provider, Network& network, Log& log);
    Engine(const Engine&) = delete;
    Engine& operator=(const Engine&) = delete;

    /// Tells the card that its requests are served from now on.
    void open();
    /// Serves all that is there, and answers what has become ready or has expired.
    /// \throws EpochOver: the card left or broke the rules: destroy the engine, begin anew
    void serve(Clock::time_point now);
    /// Whether serve() will be called again and again, so that the card need not ring. After
    /// `false` it must be called once more before the caller waits for the bell.
    void set_polling(bool polling) noexcept;
    /// Windows of an object were taken away.
    void lose(const Object& object);
    /// Tells the card that the epoch is over, and takes back all grants.
    void close();
    /// After close(): whether the card has no mapping left.
    bool quiet() const noexcept;

    /// Adds the descriptors that serve() waits for.
    void watch(std::vector<pollfd>& descriptors) const;
    /// When serve() is due at the latest; nothing: whenever the card rings.
    std::optional<Clock::time_point> due() const;

    std::size_t clients() const noexcept { return clients_.size(); }
    std::uint64_t served() const noexcept { return served_; }
    std::uint64_t refused() const noexcept { return refused_; }

private:
    struct Pending {
        Request request; ///< without its body
        Wait wait;
        Clock::time_point end;
    };

    bool card_takes_part();
    void call_card();
    void serve_requests(Clock::time_point now);
    void serve_pending(Clock::time_point now);
    void serve_one(const Request& request, Clock::time_point now);
    Outcome outcome_of(const Request& request);
    Outcome guarded(const Request& request, const std::function<Outcome()>& action);
    void check(const Request& request) const;
    Client& client_of(const Request& request);
    void client_gone(std::uint32_t number);
    void refuse(const Request& request, const Refusal& refusal);
    void answer(const Request& request, const Reply& reply);
    std::uint32_t pending_of(std::uint32_t client) const;

    Area area_;
    Options options_;
    Log& log_;
    GrantTable grants_;
    Quarantine quarantine_;
    Services services_;
    RequestRing requests_;
    ReplyRing replies_;
    bool joined_ = false;  ///< the card has taken part
    bool ringing_ = false; ///< the card must be rung
    bool blocked_ = false; ///< requests wait for room for their replies
    std::map<std::uint32_t, Client> clients_;
    std::list<Pending> pending_; // goes before the clients that it refers to
    std::uint64_t served_ = 0;
    std::uint64_t refused_ = 0;
};

} // namespace p2prdma::daemon
