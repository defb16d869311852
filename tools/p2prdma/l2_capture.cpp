// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "tools/p2prdma/capture_file.hpp"
#include "tools/p2prdma/frame_tap.hpp"
#include "tools/p2prdma/interrupt.hpp"
#include "tools/p2prdma/l2_commands.hpp"
#include "tools/p2prdma/l2_frame_text.hpp"
#include "tools/p2prdma/patience.hpp"

#include <algorithm>
#include <cstdio>
#include <ctime>
#include <memory>

#include <CLI/CLI.hpp>

namespace p2prdma::tool {
namespace {

struct Options {
    std::string interface;
    std::string file;
    std::uint16_t ether_type = l2::DeviceOptions().ether_type;
    std::uint64_t count = 0;
    double time = 0; // seconds
    bool promiscuous = false;
    bool quiet = false;
    bool json = false;
};

std::string mac_at(std::span<const std::byte> frame, std::size_t offset)
{
    l2::MacAddress address;
    if (frame.size() < offset + address.bytes.size())
        return "?";
    for (std::size_t i = 0; i < address.bytes.size(); i++)
        address.bytes[i] = std::to_integer<std::uint8_t>(frame[offset + i]);
    return address.to_string();
}

/// "12:34:56.123456", of the day, in local time.
std::string clock_text(std::chrono::system_clock::time_point time)
{
    const auto whole = std::chrono::floor<std::chrono::seconds>(time);
    const auto rest = std::chrono::duration_cast<std::chrono::microseconds>(time - whole).count();
    const auto seconds = std::chrono::system_clock::to_time_t(whole);
    std::tm local = {};
    ::localtime_r(&seconds, &local);
    char text[32];
    std::snprintf(text, sizeof(text), "%02d:%02d:%02d.%06lld", local.tm_hour, local.tm_min,
                  local.tm_sec, static_cast<long long>(rest));
    return text;
}

void tell(const TappedFrame& frame, const Options& options)
{
    const auto text = l2_frame_text(frame.bytes, options.ether_type);
    if (options.json)
        return print(
            {{"time", std::chrono::duration<double>(frame.time.time_since_epoch()).count()},
             {"source", mac_at(frame.bytes, 6)},
             {"destination", mac_at(frame.bytes, 0)},
             {"length", frame.length},
             {"outgoing", frame.outgoing},
             {"frame", text}});
    std::printf("%s %s > %s %s\n", clock_text(frame.time).c_str(), mac_at(frame.bytes, 6).c_str(),
                mac_at(frame.bytes, 0).c_str(), text.c_str());
}

/// What is captured, and when it is enough.
class Capture {
public:
    explicit Capture(const Options& options)
        : options_(options), tap_(options.interface, options.ether_type, options.promiscuous)
    {
        if (!options.file.empty())
            file_.emplace(options.file, options.interface);
    }

    void run(Patience& patience)
    {
        while (!is_enough()) {
            pollfd readable[] = {{tap_.fd(), POLLIN, 0}};
            patience.wait(readable, left(), "capturing");
            take_waiting();
            std::fflush(stdout);
        }
    }
    std::uint64_t frames() const noexcept { return frames_; }
    std::uint64_t lost() noexcept { return tap_.lost(); }

private:
    void take_waiting()
    {
        while (!is_enough()) {
            const auto frame = tap_.take();
            if (!frame)
                return;
            frames_++;
            if (file_)
                file_->write(*frame);
            if (!options_.quiet)
                tell(*frame, options_);
        }
    }
    Patience::Clock::duration left() const
    {
        const auto time = std::chrono::duration_cast<Patience::Clock::duration>(
            std::chrono::duration<double>(options_.time));
        return options_.time > 0 ? start_ + time - Patience::Clock::now()
                                 : Patience::Clock::duration(std::chrono::seconds(1));
    }
    bool is_enough() const
    {
        return (options_.count && frames_ >= options_.count) ||
               (options_.time > 0 && left() <= Patience::Clock::duration(0));
    }

    const Options& options_;
    FrameTap tap_;
    std::optional<CaptureFile> file_;
    std::uint64_t frames_ = 0;
    Patience::Clock::time_point start_ = Patience::Clock::now();
};

/// A signal is how a capture without end ends.
void run(Capture& capture, const Interrupt& interrupt)
{
    Patience patience(interrupt, Patience::no_limit);
    try {
        capture.run(patience);
    } catch (const Failure& failure) {
        if (failure.status() != Exit::interrupted)
            throw;
    }
}

void capture(Options options)
{
    options.quiet |= options.file == "-";
    const Interrupt interrupt;
    Capture capture(options);
    std::fprintf(stderr, "capturing on %s\n", options.interface.c_str());
    run(capture, interrupt);
    std::fprintf(stderr, "%llu frames, %llu lost for lack of room\n",
                 static_cast<unsigned long long>(capture.frames()),
                 static_cast<unsigned long long>(capture.lost()));
}

} // namespace

void add_l2_capture(CLI::App& l2)
{
    auto* command =
        l2.add_subcommand("capture", "Show the frames that pass an interface, a line for each");
    auto options = std::make_shared<Options>();
    command->add_option("-i,--interface", options->interface, "The Ethernet interface")
        ->type_name("IF")
        ->required();
    command->add_option("-w", options->file,
                        "Also write them to this file, as pcapng; - is standard output");
    command->add_option("--ether-type", options->ether_type, "The frames' EtherType")
        ->check(CLI::Range(0x0600u, 0xffffu));
    command->add_option("-c,--count", options->count, "End after so many; 0: at a signal");
    command->add_option("--time", options->time, "End after so many seconds; 0: at a signal")
        ->check(CLI::Range(0.0, 1e6));
    command->add_flag("--promiscuous", options->promiscuous, "Also frames that are for others");
    command->add_flag("-q,--quiet", options->quiet, "No lines");
    command->add_flag("--json", options->json, "A JSON object for each frame");
    command->footer("Examples:\n"
                    "  p2prdma l2 capture -i eth0 -c 20\n"
                    "  p2prdma l2 capture -i eth0 --time 5 -w frames.pcapng -q\n"
                    "  p2prdma l2 capture -i eth0 -w - | tshark -r -\n"
                    "Frames that AF_XDP carries, and those that are sent past the queueing "
                    "discipline, are not seen here but at the other end.");
    command->callback([options] { capture(*options); });
}

} // namespace p2prdma::tool
