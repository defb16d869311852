// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include "tools/p2prdmad/message.hpp"
#include "tools/p2prdmad/network.hpp"
#include "tools/p2prdmad/provider.hpp"
#include "tools/p2prdmad/retired.hpp"
#include "tools/p2prdmad/services.hpp"
#include "tools/p2prdmad/wait.hpp"

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace p2prdma::daemon {

/// One open file on the card, with all that was made for it. Its objects are looked up by ids that
/// count up and are never used again within an epoch's 2^32; another client's are not found.
class Client {
public:
    Client(std::uint32_t number, const Services& services) : number_(number), services_(services) {}
    Client(const Client&) = delete;
    Client& operator=(const Client&) = delete;
    /// The card has no mapping of the client's grants left, or the epoch is over: all goes.
    ~Client();

    /// Serves a request whose length was checked. \throws Refusal or p2prdma::Error
    Outcome handle(const Request& request);
    /// Windows of an object were taken away: what it had granted is taken back.
    void lose(const Object& object) noexcept;

    const std::string& name() const noexcept { return name_; }
    std::size_t objects() const noexcept { return entries_.size(); }

private:
    enum class Kind { memory, region, cq, qp, ah, event, counter, listener, stream };

    struct Entry {
        Kind kind = Kind::memory;
        std::shared_ptr<Object> object;
        std::vector<std::uint32_t> grants;
        std::vector<std::uint32_t> uses; ///< ids of those that it depends on
        std::uint32_t users = 0;         ///< how many depend on it
        std::uint32_t adapter = 0;
        std::shared_ptr<void> charge; ///< what it takes of the quota of memory
    };
    /// An entry on its way into the table: what was made and granted goes if it does not get there.
    class Draft {
    public:
        /// \throws Refusal ENOSPC
        Draft(Client& client, Kind kind);
        Draft(const Draft&) = delete;
        Draft& operator=(const Draft&) = delete;
        ~Draft();

        Entry entry;

    private:
        Client& client_;
    };

    Outcome dispatch(const Request& request);
    Outcome dispatch_stream(const Request& request);
    std::uint64_t offered() const;
    Reply hello(const p2prdma_hello_request& request);
    Reply adapter_query(const p2prdma_adapter_query_request& request);
    Reply mem_alloc(const p2prdma_mem_alloc_request& request);
    Reply mr_reg(const p2prdma_mr_reg_request& request);
    Reply cq_create(const p2prdma_cq_create_request& request);
    Reply qp_create(const p2prdma_qp_create_request& request);
    Reply ah_create(const p2prdma_ah_create_request& request);
    Reply event_create(const p2prdma_event_create_request& request);
    Reply counter_create(const p2prdma_counter_create_request& request);
    Outcome destroy(Kind kind, const p2prdma_id_request& request);

    Reply stream_listen(const p2prdma_stream_request& request);
    Outcome stream_accept(const p2prdma_stream_request& request);
    Outcome stream_connect(const p2prdma_stream_request& request);
    Outcome stream_send(std::span<const std::byte> body);
    Outcome stream_receive(const p2prdma_stream_request& request);
    Reply stream_close(const p2prdma_id_request& request);

    static Outcome patiently(const std::shared_ptr<Stream>& stream, Clock::duration limit,
                             const std::function<std::optional<Reply>()>& attempt);
    static Wait send_rest(const std::shared_ptr<Stream>& stream,
                          const std::shared_ptr<std::vector<std::byte>>& rest);
    std::uint32_t add_stream(Kind kind, std::shared_ptr<Stream> stream);

    Entry& find(Kind kind, std::uint32_t id);
    template <typename T>
    std::shared_ptr<T> get(Kind kind, std::uint32_t id)
    {
        return std::static_pointer_cast<T>(find(kind, id).object);
    }
    std::shared_ptr<Target> get_target(std::uint32_t id);
    std::shared_ptr<CompletionQueue> cq_of(std::uint32_t id, std::uint32_t adapter);
    AdapterSession& session(std::uint32_t adapter);
    void check_adapter(std::uint32_t adapter) const;
    void check_quota(Kind kind) const;
    std::shared_ptr<void> charge(std::uint64_t bytes) const;
    std::uint32_t count(Kind kind) const;

    std::uint32_t add(Draft& draft);
    std::uint32_t grant(Draft& draft, const Placement& place);
    p2prdma_queue describe(Draft& draft, const WorkQueue& queue);
    Retired retire(Entry entry);

    std::uint32_t number_;
    const Services& services_;
    std::string name_;
    bool greeted_ = false;
    std::uint32_t last_id_ = 0;
    /// Bytes that count for the quota; what was given up may outlive the client.
    std::shared_ptr<std::uint64_t> memory_ = std::make_shared<std::uint64_t>(0);
    // Sessions last as long as the client: objects refer to them.
    std::map<std::uint32_t, std::unique_ptr<AdapterSession>> sessions_;
    std::map<std::uint32_t, Entry> entries_;
};

} // namespace p2prdma::daemon
