// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
//
// Two cards exchange a file through their hosts' adapters, driven by the cards' own CPUs. On the
// cards: "card_to_card receive FILE" of host-a, "card_to_card send host-a FILE BLOCK" of host-b.
//
// The hosts set up and tear down; in between they may stand still. The file goes in slices of RDMA
// writes. A record follows each slice, with its digest, and the receiver answers with another. Both
// sides sleep until an adapter interrupts their card.
#include <p2prdma/direct.hpp>

#include <sha256.h>

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <optional>
#include <vector>

namespace direct = p2prdma::direct;

namespace {

constexpr std::uint16_t port = 17472;
constexpr std::uint64_t slice = 64; // writes between two records

struct Record { // one inline write into the peer's control memory
    std::uint64_t at = 0, bytes = 0;
    std::array<std::uint8_t, SHA256_DIGEST_LENGTH> digest = {};
    bool operator==(const Record&) const = default;
};

struct Hello { // what each side must know of the other; file and block are the sender's
    direct::Gid gid = {};
    std::uint32_t queue_pair = 0, queue_key = 0;
    direct::RemotePlace data = {}, control = {};
    std::uint64_t file_bytes = 0, block = 0;
};

auto soon()
{
    return direct::Event::Clock::now() + std::chrono::seconds(60);
}

void require(bool condition, const std::string& what)
{
    if (!condition)
        throw std::runtime_error(what);
}

void post(direct::Posted posted)
{
    require(posted == direct::Posted::ok, "a write cannot be posted");
}

Record record_of(std::uint64_t at, std::span<const std::byte> part)
{
    Record record = {at, part.size()};
    SHA2_CTX context;
    SHA256Init(&context);
    SHA256Update(&context, reinterpret_cast<const std::uint8_t*>(part.data()), part.size());
    SHA256Final(record.digest.data(), &context);
    return record;
}

struct Station { // what both sides have
    direct::Session session = direct::Session::open(0, {.name = "card_to_card"});
    direct::AdapterInfo adapter = session.adapters().at(0);
    direct::CompletionQueue completions{session, 0, 2 * slice};
    direct::QueuePair queue{session, 0, completions, {.send_entries = slice, .inline_bytes = 64}};
    direct::Event done{session, 0}, arrived{session, 0}; // own writes; the peer's
    direct::Counter done_counter{session, queue, direct::Counted::writes, done};
    direct::Counter arrived_counter{session, queue, direct::Counted::remote_writes, arrived};
    direct::Memory control{session, sizeof(Record), direct::Caching::uncached};
    direct::Region control_region{session, 0, control, direct::Access::all};
    std::optional<direct::AddressHandle> handle;
    direct::Peer peer;
    Hello theirs;
    std::uint64_t expected = 0; // writes of the peer's, in all

    void tell(direct::Stream& stream, Hello mine)
    {
        mine.gid = adapter.gid, mine.control = control_region.remote();
        mine.queue_pair = queue.number(), mine.queue_key = queue.key();
        stream.send(std::as_bytes(std::span(&mine, 1)), soon());
    }
    void learn(direct::Stream& stream)
    {
        stream.receive_all(std::as_writable_bytes(std::span(&theirs, 1)), soon());
        handle.emplace(session, 0, theirs.gid);
        peer = {handle->number(), static_cast<std::uint16_t>(theirs.queue_pair), theirs.queue_key};
    }
    void wait_sent(std::uint64_t count)
    {
        const auto woken = done.wait_until(soon(), [&] {
            for (direct::Completion each; count > 0 && completions.poll(each); --count)
                require(each.status == direct::Status::ok, std::string(to_string(each.status)));
            return count == 0;
        });
        require(woken == direct::Wakeup::raised, "a write does not complete");
    }
    void send_record(const Record& record)
    {
        const auto bytes = std::as_bytes(std::span(&record, 1));
        post(queue.post_write_inline(0, peer, bytes, theirs.control));
        wait_sent(1);
    }
    /// The adapter counts a write after its data is visible here: no flush is needed.
    Record wait_record(std::uint64_t writes)
    {
        expected += writes;
        const auto there = [&] { return arrived.value() >= expected; };
        require(arrived.wait_until(soon(), there) == direct::Wakeup::raised, "the peer is silent");
        Record record;
        control.read(0, std::as_writable_bytes(std::span(&record, 1)));
        return record;
    }
    void report(std::uintmax_t writes) const
    {
        std::printf("{\"operations\": %ju, \"raised\": %u, \"events\": \"%s\", "
                    "\"isolation\": \"%s\", \"sha256_equal\": true}\n",
                    writes, done.count() + arrived.count(), arrived.is_p2p() ? "p2p" : "relay",
                    to_string(adapter.isolation));
    }
};

void send(const std::string& host, const std::string& path, std::uint64_t block)
{
    std::ifstream file(path, std::ios::binary);
    require(file.good(), "cannot read " + path);
    const std::vector<char> text{std::istreambuf_iterator(file), {}};
    const auto bytes = std::as_bytes(std::span(text));
    Station self;
    direct::Memory data(self.session, bytes.size() + 1);
    data.write(0, bytes);
    const direct::Region region(self.session, 0, data, direct::Access::local_write);
    auto stream = direct::Stream::connect(self.session, host, port, soon());
    self.tell(stream, {.data = region.remote(), .file_bytes = bytes.size(), .block = block});
    self.learn(stream);
    std::uint64_t sent = 0;
    for (std::uint64_t at = 0, from = 0; at < bytes.size(); from = at) {
        std::uint64_t writes = 0;
        for (; writes < slice && at < bytes.size(); ++writes) {
            const auto left = std::min<std::uint64_t>(block, bytes.size() - at);
            const auto local = region.local(at, static_cast<std::uint32_t>(left));
            const direct::RemotePlace to = {self.theirs.data.address + at, self.theirs.data.key};
            post(self.queue.add_write(at, self.peer, local, to));
            at += local.length;
        }
        self.queue.ring();
        self.wait_sent(writes);
        const auto record = record_of(from, bytes.subspan(from, at - from));
        self.send_record(record);
        require(self.wait_record(1) == record, "the digests differ");
        sent += writes + 1;
        std::printf("{\"sent\": %ju}\n", std::uintmax_t{sent});
    }
    self.report(sent);
}

void receive(const std::string& path)
{
    Station self;
    auto stream = direct::Listener(self.session, port).accept(soon());
    require(stream.has_value(), "nobody came"), self.learn(*stream);
    const auto [total, block] = std::pair(self.theirs.file_bytes, self.theirs.block);
    require(block - 1 < UINT32_MAX && total < UINT64_MAX, "the sender makes no sense");
    direct::Memory data(self.session, total + 1);
    const direct::Region region(self.session, 0, data, direct::Access::all);
    self.tell(*stream, {.data = region.remote()});
    std::ofstream file(path, std::ios::binary);
    std::vector<std::byte> part;
    std::uint64_t slices = 0;
    for (std::uint64_t at = 0; at < total; at += part.size(), ++slices) {
        part.resize(std::min(total - at, slice * block));
        const auto record = self.wait_record((part.size() + block - 1) / block + 1);
        data.read(at, part);
        require(record == record_of(at, part), "the digests differ");
        self.send_record(record);
        file.write(reinterpret_cast<const char*>(part.data()), std::ssize(part));
    }
    require(file.flush().good(), "cannot write " + path);
    self.report(slices);
}

} // namespace

int main(int count, char** words)
try {
    std::setvbuf(stdout, nullptr, _IOLBF, 0);
    if (count == 3 && std::string(words[1]) == "receive")
        receive(words[2]);
    else if (count == 5 && std::string(words[1]) == "send")
        send(words[2], words[3], std::stoul(words[4]));
    else
        throw std::runtime_error("usage: card_to_card receive FILE | send HOST FILE BLOCK");
} catch (const std::exception& error) {
    std::fprintf(stderr, "card_to_card: %s\n", error.what());
    return 1;
}
