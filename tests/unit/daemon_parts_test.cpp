// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "p2prdma/error.hpp"
#include "tools/p2prdmad/bus_guard.hpp"
#include "tools/p2prdmad/card_service.hpp"
#include "tools/p2prdmad/log.hpp"
#include "tools/p2prdmad/options.hpp"
#include "tools/p2prdmad/refusal.hpp"

#include <catch2/catch_test_macros.hpp>

#include <cstdio>
#include <string>
#include <vector>

#include <sys/mman.h>
#include <unistd.h>

using namespace p2prdma;
using namespace p2prdma::daemon;

namespace {

std::optional<Options> parse(std::vector<const char*> words)
{
    words.insert(words.begin(), "p2prdmad");
    return parse_options(static_cast<int>(words.size()), words.data());
}

/// What is logged to a temporary file.
class Logged {
public:
    ~Logged() { std::fclose(file_); }
    std::FILE* file() { return file_; }
    std::vector<std::string> lines()
    {
        std::rewind(file_);
        std::vector<std::string> all;
        for (char line[256]; std::fgets(line, sizeof(line), file_);)
            all.emplace_back(line, std::string(line).find('\n'));
        return all;
    }

private:
    std::FILE* file_ = std::tmpfile();
};

} // namespace

TEST_CASE("daemon: options")
{
    const auto defaults = parse({});
    CHECK(defaults->card == "0");
    CHECK(defaults->adapters.empty());
    CHECK(defaults->isolation == Isolation::Level::none);
    const auto all =
        parse({"--card",      "03:00.0",      "--adapter", "efa_0", "--adapter",     "efa_1",
               "--isolation", "iommu-strict", "--memory",  "16M",   "--queue-pairs", "2",
               "--listen",    "7000-7099",    "--listen",  "80",    "--peer",        "10.0.0.2",
               "--peer-gid",  "fe80::1",      "--once"});
    CHECK(all->card == "03:00.0");
    CHECK(all->adapters == std::vector<std::string>{"efa_0", "efa_1"});
    CHECK(all->isolation == Isolation::Level::iommu_strict);
    CHECK(all->quota.memory == 16 << 20);
    CHECK(all->quota.queue_pairs == 2);
    REQUIRE(all->network.listen.size() == 2);
    CHECK(all->network.listen[0].last == 7099);
    CHECK(all->network.listen[1].first == 80);
    CHECK(all->network.peers == std::vector<std::string>{"10.0.0.2"});
    REQUIRE(all->peer_gids.size() == 1);
    CHECK(all->peer_gids[0][0] == 0xfe);
    CHECK(all->peer_gids[0][15] == 1);
    CHECK(all->once);
}

TEST_CASE("daemon: wrong options")
{
    for (const auto& words : std::vector<std::vector<const char*>>{{"--card"},
                                                                   {"--nonsense"},
                                                                   {"extra"},
                                                                   {"--isolation", "much"},
                                                                   {"--listen", "0"},
                                                                   {"--listen", "70000"},
                                                                   {"--listen", "9-8"},
                                                                   {"--listen", "1-"},
                                                                   {"--listen", "1x"},
                                                                   {"--peer-gid", "10.0.0.1"},
                                                                   {"--memory", "-1"},
                                                                   {"--queue-pairs", "many"}})
        CHECK_THROWS_AS(parse(words), UsageError);
}

TEST_CASE("daemon: refusals are logged, ten a second")
{
    Logged logged;
    Log log(logged.file());
    const auto start = Log::Clock::now();
    for (int i = 0; i < 25; i++)
        log.refusal("no " + std::to_string(i), start);
    CHECK(logged.lines().size() == 10);
    log.refusal("no more", start + std::chrono::seconds(1));
    const auto lines = logged.lines();
    REQUIRE(lines.size() == 12);
    CHECK(lines[10] == "p2prdmad: 15 refusals are not shown");
    CHECK(lines[11] == "p2prdmad: no more");
}

TEST_CASE("daemon: lines for the journal have a priority")
{
    Logged logged;
    Log log(logged.file(), true);
    log.info("one");
    log.warning("two");
    CHECK(logged.lines() == std::vector<std::string>{"<6>one", "<4>two"});
    CHECK(printable("a\n\x1b[1m\xff") == "a??[1m?");
}

TEST_CASE("daemon: each cause has its errno")
{
    const auto errno_of = [](const std::exception& error) { return Refusal::of(error).error(); };
    CHECK(errno_of(Refusal(EBUSY, "x")) == EBUSY);
    CHECK(errno_of(Error(Errc::card_full, "x")) == ENOSPC);
    CHECK(errno_of(Error(Errc::card_gone, "x")) == ENODEV);
    CHECK(errno_of(Error(Errc::bad_argument, "x")) == EINVAL);
    CHECK(errno_of(Error(Errc::unsupported, "x")) == EOPNOTSUPP);
    CHECK(errno_of(Error(Errc::module_not_loaded, "x")) == EOPNOTSUPP);
    CHECK(errno_of(Error(std::error_code(EMFILE, std::system_category()), "x")) == EMFILE);
    CHECK(errno_of(std::bad_alloc()) == ENOMEM);
    CHECK(errno_of(std::logic_error("x")) == EIO);
}

TEST_CASE("daemon: memory that was taken away reads as zero, and that is noticed")
{
    const int fd = ::memfd_create("taken away", MFD_CLOEXEC);
    REQUIRE(::ftruncate(fd, 8192) == 0);
    auto* memory = static_cast<volatile std::byte*>(
        ::mmap(nullptr, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
    {
        BusGuard guard({memory, 8192});
        memory[5000] = std::byte(1);
        CHECK_FALSE(guard.tripped());
        REQUIRE(::ftruncate(fd, 0) == 0);
        memory[5000] = std::byte(2); // SIGBUS
        CHECK(guard.tripped());
        CHECK(memory[4999] == std::byte(0));
    }
    ::munmap(const_cast<std::byte*>(memory), 8192);
    ::close(fd);
}

TEST_CASE("daemon: a kernel without peer-to-peer DMA is refused, and told what it lacks")
{
    CardInfo info;
    info.has_memory = info.has_control = info.has_bells = info.has_doorbells = info.has_windows =
        true;
    const auto refusal = [&info]() -> std::string {
        try {
            require_servable(info, "card0");
        } catch (const Error& error) {
            CHECK(error.code() == Errc::unsupported);
            return error.what();
        }
        return "";
    };
    CHECK(refusal().find("CONFIG_PCI_P2PDMA") != std::string::npos);
    info.has_p2pdma = true;
    CHECK(refusal().empty());
    info.has_windows = false;
    CHECK(refusal().find("no machine of its own") != std::string::npos);
}
