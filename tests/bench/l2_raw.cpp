// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
//
// What frames cost on each kind of port without any protocol, beside UDP and TCP of the same
// machine: the bound of what the transport can reach. Two network namespaces joined by a veth
// pair, one core each. Rounds are interleaved, so that only ratios of one run are to be compared.
// Prints one JSON object.
//
//     l2_raw [ROUNDS [SECONDS-OF-EACH-MEASUREMENT [MTU [WAY]]]], such as: l2_raw 1 5 9000 packet
//
// "packet", "ring" and "xdp" carry the application's memory: frames are sent from place after
// place, and copied to place after place where they arrive. "packet_untouched" sends the same bytes
// again and again, and nobody looks at what arrives.

#include "tests/bench/l2_pipe.hpp"
#include "tests/bench/l2_segment.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <functional>
#include <map>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <pthread.h>

namespace {

using namespace bench;
using p2prdma::l2::PortKind;
using Clock = std::chrono::steady_clock;
using Seconds = std::chrono::duration<double>;

constexpr std::size_t stream_message = 128 * 1024;
constexpr std::size_t small = 64;
constexpr Seconds give_up(5);

/// Messages under way, and after how many of them the receiver says so.
struct Window {
    std::size_t messages;
    std::size_t batch;
};

Window window_for(std::size_t size)
{
    // What is under way should stay in a cache.
    if (size > 16384)
        return {.messages = 16, .batch = 4};
    return size > 4096 ? Window{.messages = 64, .batch = 16} : Window{.messages = 256, .batch = 32};
}

void pin_to(unsigned core)
{
    cpu_set_t cores;
    CPU_ZERO(&cores);
    CPU_SET(core, &cores);
    (void)pthread_setaffinity_np(pthread_self(), sizeof cores, &cores);
}

/// The receiving end, on a core of its own, as long as this object lives.
class Server {
public:
    Server(Pipe& pipe, Pipe& other, std::function<void(Pipe&)> step)
        : other_(other), thread_([this, &pipe, step = std::move(step)] {
              pin_to(1);
              while (!stop_.load(std::memory_order_relaxed))
                  step(pipe);
          })
    {
    }
    Server(const Server&) = delete;
    Server& operator=(const Server&) = delete;
    ~Server()
    {
        stop_ = true;
        other_.finish();
        thread_.join();
    }

private:
    Pipe& other_;
    std::atomic<bool> stop_ = false;
    std::thread thread_;
};

// --- much at once -------------------------------------------------------------------------------

/// Sends until then; never more under way than the window.
class Sender {
public:
    Sender(Pipe& pipe, const Window& window) : pipe_(pipe), window_(window) {}

    void send_until(Clock::time_point end)
    {
        auto heard = Clock::now();
        for (auto now = heard; now < end; now = Clock::now()) {
            if (pipe_.is_stream() || under_way_ + window_.batch <= window_.messages)
                under_way_ += pipe_.send(window_.batch);
            else if (const auto credits = pipe_.receive()) {
                under_way_ -= credits * window_.batch;
                heard = now;
            } else if (now - heard > give_up)
                throw std::runtime_error("messages were lost");
        }
    }

private:
    Pipe& pipe_;
    Window window_;
    std::size_t under_way_ = 0;
};

/// Messages that arrive in a second.
double rate_of(const Pipes& pipes, Seconds seconds)
{
    const auto window = window_for(pipes[0]->payload());
    std::atomic<std::uint64_t> arrived = 0;
    std::size_t without_credit = 0;
    const Server server(*pipes[1], *pipes[0], [&](Pipe& pipe) {
        const auto count = pipe.receive();
        arrived.store(arrived.load(std::memory_order_relaxed) + count, std::memory_order_relaxed);
        if (pipe.is_stream())
            return;
        for (without_credit += count; without_credit >= window.batch;
             without_credit -= window.batch)
            pipe.send_credit();
    });
    Sender sender(*pipes[0], window);
    const auto measure = std::chrono::duration_cast<Clock::duration>(seconds);
    sender.send_until(Clock::now() + measure / 5); // warm up
    const auto begin = Clock::now();
    const auto before = arrived.load();
    sender.send_until(begin + measure);
    const auto count = arrived.load() - before;
    return static_cast<double>(count) / Seconds(Clock::now() - begin).count();
}

// --- one after the other ------------------------------------------------------------------------

void receive_one(Pipe& pipe, bool sleeping)
{
    const auto begin = Clock::now();
    while (pipe.receive() == 0) {
        if (sleeping)
            pipe.wait();
        if (Clock::now() - begin > give_up)
            throw std::runtime_error("a message was lost");
    }
}

/// Half round trips, in microseconds, sorted.
std::vector<double> half_round_trips(const Pipes& pipes, bool sleeping, Seconds seconds)
{
    const Server server(*pipes[1], *pipes[0], [sleeping](Pipe& pipe) {
        if (sleeping)
            pipe.wait();
        for (auto count = pipe.receive(); count > 0; count--)
            (void)pipe.send(1);
    });
    std::vector<double> all;
    const auto end = Clock::now() + std::chrono::duration_cast<Clock::duration>(seconds);
    while (Clock::now() < end) {
        const auto begin = Clock::now();
        (void)pipes[0]->send(1);
        receive_one(*pipes[0], sleeping);
        all.push_back(std::chrono::duration<double, std::micro>(Clock::now() - begin).count() / 2);
    }
    std::sort(all.begin(), all.end());
    return all;
}

// --- all ways, in rounds ------------------------------------------------------------------------

struct Way {
    const char* name;
    std::function<Pipes(Segment&, std::size_t size, bool bulk)> open;
    bool segmentation = true;
    PortKind beside = PortKind::automatic; ///< a port that is open meanwhile; automatic: none
};

/// As much as the messages under way of the benches of the library have.
constexpr std::size_t application_memory = std::size_t{1} << 20;

std::vector<Way> all_ways()
{
    const auto port = [](PortKind kind, std::size_t memory = 0) {
        return [kind, memory](Segment& segment, std::size_t size, bool bulk) {
            return open_ports(segment, kind, size, bulk ? memory : 0);
        };
    };
    return {
        {.name = "packet", .open = port(PortKind::packet, application_memory)},
        {.name = "packet_untouched", .open = port(PortKind::packet)},
        {.name = "ring", .open = port(PortKind::ring, application_memory)},
        {.name = "xdp", .open = port(PortKind::xdp, application_memory)},
        {.name = "udp",
         .open = [](Segment& segment, std::size_t size, bool) { return open_udp(segment, size); }},
        {.name = "tcp", .open = open_tcp},
        {.name = "tcp_without_segmentation", .open = open_tcp, .segmentation = false},
        {.name = "tcp_beside_packet", .open = open_tcp, .beside = PortKind::packet},
        {.name = "tcp_beside_xdp", .open = open_tcp, .beside = PortKind::xdp}};
}

double median(std::vector<double> values)
{
    std::sort(values.begin(), values.end());
    return values[values.size() / 2];
}

class Bench {
public:
    /// \param mtu  only this one; 0: all
    /// \param way  only this one; empty: all
    Bench(Seconds seconds, unsigned mtu, const std::string& way) : seconds_(seconds), only_(mtu)
    {
        if (!way.empty())
            std::erase_if(ways_, [&](const Way& each) { return way != each.name; });
    }

    void round()
    {
        for (const unsigned mtu : {1500, 9000, 65535}) {
            if (only_ != 0 && mtu != only_)
                continue;
            segment_.set_mtu(mtu);
            for (const auto size : sizes_at(mtu))
                for (const auto& way : ways_)
                    much_at_once(way, mtu, size);
            if (mtu == 1500)
                for (const auto& way : ways_)
                    one_after_the_other(way);
        }
    }

    void print() const
    {
        std::printf("{");
        const char* separator = "";
        for (const auto& [name, values] : measured_) {
            std::printf("%s\n  \"%s\": %.4g", separator, name.c_str(), median(values));
            separator = ",";
        }
        std::printf("\n}\n");
    }

private:
    static std::vector<std::size_t> sizes_at(unsigned mtu)
    {
        return mtu == 1500 ? std::vector<std::size_t>{small, 1024, mtu}
                           : std::vector<std::size_t>{mtu};
    }

    void much_at_once(const Way& way, unsigned mtu, std::size_t size)
    {
        const bool stream = std::string(way.name).starts_with("tcp");
        if (stream ? size != mtu : std::string(way.name) == "xdp" && size > largest_of_xdp)
            return;
        segment_.set_segmentation(way.segmentation);
        const auto beside = way.beside == PortKind::automatic
                                ? Pipes()
                                : open_ports(segment_, way.beside, small, 0);
        const auto pipes = way.open(segment_, stream ? stream_message : size, true);
        const auto rate = rate_of(pipes, seconds_);
        const auto name = std::string(way.name) + "_" + std::to_string(size);
        if (!stream)
            measured_[name + "_mframes"].push_back(rate / 1e6);
        measured_[name + "_gbits"].push_back(rate * 8e-9 *
                                             static_cast<double>(pipes[0]->payload()));
    }

    void one_after_the_other(const Way& way)
    {
        if (!way.segmentation || way.beside != PortKind::automatic)
            return;
        for (const bool sleeping : {false, true}) {
            const auto pipes = way.open(segment_, small, false);
            const auto sorted = half_round_trips(pipes, sleeping, seconds_);
            const auto name = std::string(way.name) + (sleeping ? "_sleeping" : "_polling");
            measured_[name + "_p50_us"].push_back(sorted[sorted.size() / 2]);
            measured_[name + "_p99_us"].push_back(sorted[sorted.size() * 99 / 100]);
        }
    }

    static constexpr std::size_t largest_of_xdp = 3826; // without the Ethernet header

    Seconds seconds_;
    unsigned only_;
    Segment segment_;
    std::vector<Way> ways_ = all_ways();
    std::map<std::string, std::vector<double>> measured_;
};

} // namespace

int main(int argc, char** argv)
try {
    const int rounds = argc > 1 ? std::atoi(argv[1]) : 5;
    const int only = argc > 3 ? std::atoi(argv[3]) : 0;
    Bench bench(Seconds(argc > 2 ? std::atof(argv[2]) : 0.25), static_cast<unsigned>(only),
                argc > 4 ? argv[4] : "");
    pin_to(0);
    for (int i = 0; i < std::max(rounds, 1); i++)
        bench.round();
    bench.print();
    return 0;
} catch (const std::exception& error) {
    std::fprintf(stderr, "l2_raw: %s\n", error.what());
    return 1;
}
