// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
//
// A hostile card: 10^6 messages and ring states, from plain noise to sessions that are right but
// for one value. P2PRDMA_FUZZ_SEED and P2PRDMA_FUZZ_COUNT in the environment change what is tried.
#include "tests/unit/daemon_fake.hpp"

#include <catch2/catch_test_macros.hpp>

#include <cstdlib>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <tuple>

using namespace p2prdma::daemon;
using namespace p2prdma::daemon::test;

namespace {

std::uint64_t from_environment(const char* name, std::uint64_t otherwise)
{
    const char* text = std::getenv(name);
    return text ? std::strtoull(text, nullptr, 0) : otherwise;
}

class HostileCard {
public:
    explicit HostileCard(std::uint64_t seed) : random_(seed) { begin(); }

    /// One round: some messages, perhaps a broken ring, then what the daemon makes of it.
    std::uint32_t round()
    {
        const auto count = brief_      ? below(4)
                           : below(20) ? 1 + below(8)
                                       : below(P2PRDMA_CONTROL_SLOTS);
        for (std::uint32_t i = 0; i < count; i++)
            bench_->card.put_message(message());
        bool is_wild = false;
        if (brief_)
            is_wild = break_ring();
        else if (below(200) == 0)
            break_something();
        if (below(3))
            bench_->card.acknowledge();
        bench_->now += std::chrono::milliseconds(below(50) ? 1 : 2000);
        try {
            bench_->engine.serve(bench_->now);
            if (is_wild)
                throw std::logic_error("a wild ring is served");
            check_state();
            take_replies();
        } catch (const EpochOver&) {
            epochs_++;
            begin();
        }
        return count;
    }
    /// All clients go: nothing may be left.
    void end()
    {
        bench_.reset();
        check_empty();
    }
    std::uint64_t answered() const { return answered_; }
    std::uint64_t succeeded() const { return succeeded_; }
    std::uint64_t epochs() const { return epochs_; }
    /// Different ones of random indices and epochs, as the daemon found them.
    std::size_t ring_states() const { return ring_states_.size(); }
    std::uint64_t queue_pairs() const { return queue_pairs_; }

private:
    /// A bench whose world outlives its engine.
    struct Arena {
        explicit Arena(World& world) : provider(world), network(world) {}
        FakeProvider provider;
        FakeNetwork network;
        FakeCard card;
        Log log{nullptr};
        Clock::time_point now = Clock::now();
        Engine engine{Area(card.area()),
                      {FakeCard::epoch, small_quota(), "host", [] {}},
                      provider,
                      network,
                      log};
    };

    static Quota small_quota()
    {
        Quota quota;
        quota.memory = 1 << 20;
        quota.objects = 64;
        return quota;
    }

    std::uint32_t below(std::uint32_t limit)
    {
        return limit ? static_cast<std::uint32_t>(random_() % limit) : 0;
    }
    bool rarely() { return below(16) == 0; }

    void begin()
    {
        bench_.reset();
        check_empty();
        bench_ = std::make_unique<Arena>(world_);
        bench_->engine.open();
        bench_->card.join();
        ids_.clear();
        cqs_.clear();
        // Most epochs are there for their rings, and short; the messages go into the others.
        brief_ = below(64) != 0;
    }
    void check_empty() const
    {
        if (world_.all() || world_.sessions)
            throw std::logic_error("something was left behind");
    }

    /// A number that is often at an edge.
    std::uint64_t number()
    {
        static constexpr std::uint64_t edges[] = {0,
                                                  1,
                                                  2,
                                                  7,
                                                  8,
                                                  4095,
                                                  4096,
                                                  4097,
                                                  65535,
                                                  65536,
                                                  0xff0,
                                                  0xfe8,
                                                  0x7fffffff,
                                                  1ULL << 31,
                                                  UINT32_MAX,
                                                  UINT64_MAX,
                                                  UINT64_MAX - 4095,
                                                  1ULL << 63,
                                                  224,
                                                  225};
        return below(4) ? edges[below(std::size(edges))] : random_();
    }
    std::uint32_t small() { return rarely() ? static_cast<std::uint32_t>(number()) : below(4); }
    /// An id that was given out, mostly.
    std::uint32_t id()
    {
        if (ids_.empty() || rarely())
            return static_cast<std::uint32_t>(number());
        return ids_[below(static_cast<std::uint32_t>(ids_.size()))];
    }
    /// A completion queue that was given to that client, mostly.
    std::uint32_t cq_of(std::uint32_t client)
    {
        const auto& known = cqs_[client];
        return known.empty() || rarely() ? id() : known[below(std::uint32_t(known.size()))];
    }
    std::uint64_t length() { return rarely() ? number() : 1 + below(9000); }
    std::uint64_t reserved() { return below(64) ? 0 : number(); }

    p2prdma_message message()
    {
        auto message = below(10) ? valid() : noise();
        if (rarely())
            mutate(message);
        return message;
    }
    p2prdma_message noise()
    {
        p2prdma_message message;
        auto* bytes = reinterpret_cast<std::uint64_t*>(&message);
        for (std::size_t i = 0; i < sizeof(message) / sizeof(*bytes); i++)
            bytes[i] = random_();
        if (below(4))
            message.epoch = FakeCard::epoch;
        if (below(2))
            message.op = static_cast<__le16>(below(26));
        if (below(2))
            message.client = 1 + below(4);
        return message;
    }
    void mutate(p2prdma_message& message)
    {
        auto* bytes = reinterpret_cast<std::uint8_t*>(&message);
        for (auto count = 1 + below(3); count; count--)
            bytes[below(sizeof(message))] = static_cast<std::uint8_t>(number());
    }

    template <typename T>
    static void set(p2prdma_message& message, const T& body)
    {
        std::memcpy(message.body, &body, sizeof(body));
        message.length = sizeof(body);
    }
    p2prdma_message valid()
    {
        p2prdma_message message = {};
        message.epoch = FakeCard::epoch;
        message.op = static_cast<__le16>(1 + below(23));
        if (below(12) == 0)
            message.op = P2PRDMA_OP_HELLO;
        message.client = 1 + below(4);
        message.id = static_cast<__le32>(random_());
        if (message.op == P2PRDMA_OP_CLIENT_GONE && below(20))
            message.op = P2PRDMA_OP_MEM_ALLOC;
        fill(message);
        return message;
    }
    void fill(p2prdma_message& message)
    {
        switch (message.op) {
        case P2PRDMA_OP_HELLO: {
            p2prdma_hello_request hello = {};
            hello.version_min = hello.version_max = 1;
            return set(message, hello);
        }
        case P2PRDMA_OP_CLIENT_GONE:
            return;
        case P2PRDMA_OP_ADAPTER_QUERY:
            return set(message, p2prdma_adapter_query_request{.adapter = small(), .__reserved = 0});
        case P2PRDMA_OP_MEM_ALLOC:
            return set(message,
                       p2prdma_mem_alloc_request{.length = length(),
                                                 .flags = small(),
                                                 .__reserved = static_cast<__le32>(reserved())});
        case P2PRDMA_OP_MR_REG:
            return set(message,
                       p2prdma_mr_reg_request{.adapter = below(2),
                                              .memory = id(),
                                              .offset = below(2) ? 0 : number(),
                                              .length = length(),
                                              .access = below(9),
                                              .__reserved = static_cast<__le32>(reserved())});
        case P2PRDMA_OP_CQ_CREATE:
            return set(message, p2prdma_cq_create_request{
                                    .adapter = below(2),
                                    .entries = static_cast<__le32>(rarely() ? number() : 64)});
        case P2PRDMA_OP_QP_CREATE: {
            p2prdma_qp_create_request qp = {};
            qp.adapter = below(2);
            qp.send_cq = cq_of(message.client);
            qp.receive_cq = below(2) ? __le32(qp.send_cq) : cq_of(message.client);
            qp.send_entries = small();
            qp.receive_entries = small();
            qp.inline_bytes = static_cast<__le32>(below(2) ? below(100) : number());
            qp.qkey = static_cast<__le32>(below(2) ? random_() : number());
            return set(message, qp);
        }
        case P2PRDMA_OP_AH_CREATE:
            return set(message,
                       p2prdma_ah_create_request{.adapter = small(), .__reserved = 0, .gid = {}});
        case P2PRDMA_OP_EVENT_CREATE:
            return set(message,
                       p2prdma_event_create_request{.adapter = below(2), .flags = below(3)});
        case P2PRDMA_OP_COUNTER_CREATE: {
            p2prdma_counter_create_request counter = {};
            counter.qp = id();
            counter.target = id();
            counter.ops = below(70);
            counter.offset = below(2) ? 0 : number();
            return set(message, counter);
        }
        case P2PRDMA_OP_STREAM_SEND: {
            p2prdma_stream_send_request send = {};
            send.id = id();
            send.length = rarely() ? static_cast<__le32>(number()) : 1 + below(216);
            return set(message, send);
        }
        case P2PRDMA_OP_STREAM_LISTEN:
        case P2PRDMA_OP_STREAM_ACCEPT:
        case P2PRDMA_OP_STREAM_CONNECT:
        case P2PRDMA_OP_STREAM_RECEIVE: {
            p2prdma_stream_request stream = {};
            stream.id = id();
            stream.port = rarely() ? static_cast<__le32>(number()) : 7000;
            stream.wait_ms = below(3) * 1000;
            stream.length = rarely() ? static_cast<__le32>(number()) : 16;
            stream.host[0] = 'h';
            bench_->network.ready = below(2);
            return set(message, stream);
        }
        default:
            return set(message, p2prdma_id_request{.id = id(), .__reserved = 0});
        }
    }

    /// What only a card's kernel can do.
    void break_something()
    {
        switch (below(5)) {
        case 0:
            break_ring();
            return;
        case 1:
            for (auto& revoked : bench_->card.card().revoked)
                revoked = static_cast<__le32>(random_());
            return;
        case 2: // what is the host's: it must not believe it
            scribble(P2PRDMA_CONTROL_GRANTS, P2PRDMA_CONTROL_GRANT_COUNT * sizeof(p2prdma_grant));
            return;
        case 3:
            scribble(P2PRDMA_CONTROL_HOST, sizeof(p2prdma_control_host));
            return;
        default:
            scribble(P2PRDMA_CONTROL_REQUESTS, P2PRDMA_CONTROL_SLOTS * sizeof(p2prdma_message));
        }
    }
    /// Some of what the card says about the rings becomes random. Whether that must end the epoch,
    /// if nothing else was broken in it.
    bool break_ring()
    {
        auto& card = bench_->card.card();
        const auto what = 1 + below(15);
        if (what & 1)
            card.request_head += random_step();
        if (what & 2)
            card.reply_tail += random_step();
        if (what & 4 && below(4) == 0)
            card.epoch =
                below(2) ? std::uint32_t(P2PRDMA_CONTROL_LEFT) : static_cast<__le32>(random_());
        if (what & 8)
            card.polls = static_cast<__le32>(random_());
        const auto& host = bench_->card.host();
        const std::uint32_t requests = card.request_head - host.request_tail;
        const std::uint32_t replies = host.reply_head - card.reply_tail;
        ring_states_.emplace(requests, replies, card.epoch);
        if (card.epoch != FakeCard::epoch)
            return card.epoch == P2PRDMA_CONTROL_LEFT;
        // Requests are not looked at while there may be no room for replies.
        return replies > P2PRDMA_CONTROL_SLOTS ||
               (replies == 0 && requests > P2PRDMA_CONTROL_SLOTS);
    }
    /// On from where an index is, or back: often near, as far as a ring is long.
    std::uint32_t random_step()
    {
        return below(2) ? below(2 * P2PRDMA_CONTROL_SLOTS) - P2PRDMA_CONTROL_SLOTS
                        : static_cast<std::uint32_t>(random_());
    }
    void scribble(std::size_t offset, std::size_t length)
    {
        auto* bytes = bench_->card.at<std::uint8_t>(offset);
        for (int i = 0; i < 64; i++)
            bytes[below(static_cast<std::uint32_t>(length))] = static_cast<std::uint8_t>(random_());
    }

    void check_state() const
    {
        if (bench_->engine.clients() > P2PRDMA_CONTROL_CLIENTS)
            throw std::logic_error("too many clients");
        if (world_.memories > 4 * 64 + P2PRDMA_CONTROL_GRANT_COUNT)
            throw std::logic_error("more memory than the quotas allow");
    }
    void take_replies()
    {
        for (int i = 0; i < P2PRDMA_CONTROL_SLOTS; i++) {
            const auto reply = bench_->card.take();
            if (!reply)
                break;
            if (reply->status == EIO) // of an exception that is no refusal: something unchecked
                throw std::logic_error("an internal failure, op " + std::to_string(reply->op));
            answered_++;
            if (reply->status)
                continue;
            succeeded_++;
            queue_pairs_ += reply->op == P2PRDMA_OP_QP_CREATE;
            if (reply->length >= 8 && reply->op != P2PRDMA_OP_HELLO)
                remember(ids_, reply->op == P2PRDMA_OP_STREAM_RECEIVE ? 0 : first_word(*reply));
            if (reply->op == P2PRDMA_OP_CQ_CREATE)
                remember(cqs_[reply->client], first_word(*reply));
        }
    }
    static std::uint32_t first_word(const p2prdma_message& reply)
    {
        std::uint32_t word = 0;
        std::memcpy(&word, reply.body, sizeof(word));
        return word;
    }
    void remember(std::vector<std::uint32_t>& ids, std::uint32_t id)
    {
        if (ids.size() < 64)
            ids.push_back(id);
        else
            ids[below(64)] = id;
    }

    std::mt19937_64 random_;
    World world_;
    std::unique_ptr<Arena> bench_;
    std::vector<std::uint32_t> ids_;                          // that were given out
    std::map<std::uint32_t, std::vector<std::uint32_t>> cqs_; // of each client
    std::uint64_t answered_ = 0;
    std::uint64_t succeeded_ = 0;
    std::uint64_t epochs_ = 0;
    std::uint64_t queue_pairs_ = 0;
    std::set<std::tuple<std::uint32_t, std::uint32_t, std::uint32_t>> ring_states_;
    bool brief_ = false; ///< this epoch
};

} // namespace

TEST_CASE("daemon: R2.8 10^6 messages of a hostile card")
{
    const auto seed = from_environment("P2PRDMA_FUZZ_SEED", 1);
    const auto count = from_environment("P2PRDMA_FUZZ_COUNT", 1000000);
    INFO("P2PRDMA_FUZZ_SEED=" << seed);
    HostileCard card(seed);
    std::uint64_t sent = 0;
    while (sent < count) {
        CAPTURE(sent);
        sent += card.round();
    }
    card.end();
    // The card must have got far, else nothing was tried.
    CHECK(card.answered() > count / 4);
    CHECK(card.succeeded() > count / 40);
    CHECK(card.epochs() > count / 200);
    CHECK(card.ring_states() > count / 100);
    CHECK(card.queue_pairs() > count / 1000);
}
