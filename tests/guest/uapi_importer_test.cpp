// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// Card memory in the hands of other devices' drivers: admitted, refused, revoked, waited for.
// Needs p2prdma_test_importer.ko. The environment: P2PRDMA_IMPORTER is the PCI function that
// imports, one that reaches the card.

#include "tests/guest/bus_error.hpp"
#include "tests/guest/uapi_card.hpp"

#include <catch2/catch_test_macros.hpp>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <thread>
#include <vector>

using namespace uapi;
namespace fs = std::filesystem;

namespace {

/// An open /dev/p2prdma_test_importer.
class Importer {
public:
    Importer() : fd_(::open("/dev/p2prdma_test_importer", O_RDWR | O_CLOEXEC))
    {
        if (!fd_)
            throw std::system_error(errno, std::generic_category(), "p2prdma_test_importer");
    }

    /// 0 or the errno.
    int attach(const UniqueFd& memory, const std::string& kind)
    {
        const char* device = std::getenv("P2PRDMA_IMPORTER");
        return attach(memory, kind, device ? device : "");
    }
    int attach(const UniqueFd& memory, const std::string& kind, const std::string& device)
    {
        return command("attach " + std::to_string(memory.get()) + " " + device + " " + kind);
    }
    int command(const std::string& text)
    {
        return ::write(fd_.get(), text.data(), text.size()) < 0 ? errno : 0;
    }
    [[nodiscard]] std::string status() const
    {
        char text[100] = {};
        const auto length = ::read(fd_.get(), text, sizeof(text) - 1);
        return {text, length > 0 ? std::size_t(length) - 1 : 0};
    }
    void close() { fd_.reset(); }

private:
    UniqueFd fd_;
};

fs::path class_dir()
{
    return "/sys/class/p2prdma" / fs::path(card_path()).filename();
}

/// Writes to sysfs; returns when the kernel is done.
void write_to(const fs::path& path, const std::string& text)
{
    std::ofstream file(path);
    file << text << std::flush;
    if (!file)
        throw std::runtime_error("cannot write to " + path.string());
}

/// A card's PCI function, as long as it is bound.
struct Binding {
    Binding()
        : device(fs::canonical(class_dir() / "device")), driver(fs::canonical(device / "driver")),
          address(device.filename())
    {
    }
    void unbind() const { write_to(driver / "unbind", address); }
    void bind() const { write_to(driver / "bind", address); }
    void reset() const { write_to(device / "reset", "1"); }

    fs::path device, driver;
    std::string address;
};

/// Lines of the kernel log from now on that contain some text.
class KernelLog {
public:
    KernelLog() : fd_(::open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC))
    {
        ::lseek(fd_.get(), 0, SEEK_END);
    }
    /// Waits up to 30 s for a line with all of `texts`.
    bool wait_for(std::initializer_list<std::string> texts)
    {
        for (int i = 0; i < 3000; i++) {
            for (std::string line = next(); !line.empty(); line = next())
                if (contains_all(line, texts))
                    return true;
            std::this_thread::sleep_for(std::chrono::milliseconds(10));
        }
        return false;
    }
    /// Looks at what is there now.
    bool contains(const std::string& text)
    {
        for (std::string line = next(); !line.empty(); line = next())
            if (contains_all(line, {text}))
                return true;
        return false;
    }

private:
    std::string next()
    {
        char text[4096];
        const auto length = ::read(fd_.get(), text, sizeof(text));
        return length > 0 ? std::string(text, std::size_t(length)) : std::string();
    }
    static bool contains_all(const std::string& line, std::initializer_list<std::string> texts)
    {
        for (const auto& text : texts)
            if (line.find(text) == std::string::npos)
                return false;
        return true;
    }

    UniqueFd fd_;
};

std::string importer_name()
{
    const char* name = std::getenv("P2PRDMA_IMPORTER");
    return name ? name : "";
}

UniqueFd allocate_revocable(const UniqueFd& card, std::uint64_t length)
{
    p2prdma_mem_alloc alloc = request(length);
    alloc.policy = P2PRDMA_POLICY_REVOCABLE;
    REQUIRE(call(card, P2PRDMA_MEM_ALLOC, &alloc) == 0);
    return UniqueFd(alloc.fd);
}

bool can_revoke(const UniqueFd& card)
{
    return (info(card).capabilities & P2PRDMA_CAP_REVOKE) != 0;
}

/// A thread that unbinds or resets, and whether it is done.
class Background {
public:
    template <typename Function>
    explicit Background(Function function)
        : thread_([this, function] {
              function();
              done_ = true;
          })
    {
    }
    [[nodiscard]] bool done() const { return done_; }
    void join() { thread_.join(); }

private:
    std::atomic<bool> done_ = false;
    std::jthread thread_;
};

/// Allocates, maps, touches and imports until told to stop; counts what went well, and what failed
/// in a way that a reset does not explain.
void use(const UniqueFd& card, const UniqueFd& kept, const std::atomic<bool>& stop,
         std::atomic<int>& rounds, std::atomic<int>& wrong)
{
    Importer importer;
    const Map kept_map(kept, MiB);
    importer.attach(kept, "revocable");
    while (!stop) {
        if (kept_map.error() == 0)
            (void)bus_error(kept_map.words()[0]);
        const int mapped = importer.command("map");
        wrong += mapped != 0 && mapped != ENODEV && mapped != ENOTCONN;
        importer.command("unmap");
        p2prdma_mem_alloc alloc = request(MiB);
        const int error = call(card, P2PRDMA_MEM_ALLOC, &alloc);
        wrong += error != 0 && error != EBUSY;
        if (error != 0)
            continue;
        const UniqueFd memory(alloc.fd);
        const Map map(memory, MiB);
        wrong += map.error() != 0 && map.error() != EBUSY;
        if (map.error() == 0 && !bus_error(map.words().back()))
            rounds++;
    }
}

} // namespace

TEST_CASE("who may attach: by the importer's kind and the memory's policy")
{
    const UniqueFd card = open_card();
    const UniqueFd memory = allocate(card, MiB);
    for (const std::string kind : {"pinning", "revocable"}) {
        Importer importer;
        CHECK(importer.attach(memory, kind) == 0);
        CHECK(importer.command("map") == 0);
        CHECK(importer.status() == "mapped 1 invalidated 0 bytes 1048576");
        CHECK(importer.command("unmap") == 0);
        CHECK(importer.command("detach") == 0);
    }
    KernelLog log;
    CHECK(Importer().attach(memory, "plain") == EOPNOTSUPP);
    CHECK(log.wait_for({"p2prdma", importer_name(), "does not accept peer-to-peer memory"}));
    if (!can_revoke(card))
        return;
    const UniqueFd revocable = allocate_revocable(card, MiB);
    CHECK(Importer().attach(revocable, "revocable") == 0);
    CHECK(Importer().attach(revocable, "pinning") == EOPNOTSUPP);
    CHECK(log.wait_for({"p2prdma", importer_name(), "allocated as revocable"}));
}

TEST_CASE("an importer alone keeps the memory allocated")
{
    UniqueFd card = open_card();
    const std::uint64_t before = mem_free(card);
    Importer importer;
    {
        const UniqueFd memory = allocate(card, MiB);
        REQUIRE(importer.attach(memory, "pinning") == 0);
        REQUIRE(importer.command("map") == 0);
    }
    card.reset();
    card = open_card();
    CHECK(mem_free(card) == before - MiB);
    importer.close();
    CHECK(mem_free(card) == before);
}

TEST_CASE("unbind revokes an importer that can be revoked, and does not wait")
{
    const Binding binding;
    UniqueFd card = open_card();
    if (!can_revoke(card))
        SKIP("this kernel cannot tell who can be revoked");
    const UniqueFd memory = allocate_revocable(card, MiB);
    Importer importer;
    REQUIRE(importer.attach(memory, "revocable") == 0);
    REQUIRE(importer.command("map") == 0);
    binding.unbind();
    CHECK(importer.status() == "mapped 0 invalidated 1 bytes 0");
    CHECK(importer.command("map") == ENODEV);
    CHECK(Importer().attach(memory, "revocable") == ENODEV);
    binding.bind();
    CHECK(importer.command("map") == ENODEV); // the card that came is not the card that went
    CHECK(importer.command("detach") == 0);
    card = open_card();
    CHECK(mem_free(card) == info(card).mem_size);
}

TEST_CASE("unbind waits for an importer that pins, and says for whom")
{
    const BusErrorHandler handler;
    const Binding binding;
    UniqueFd card = open_card();
    const UniqueFd memory = allocate(card, MiB);
    const Map map(memory, MiB);
    REQUIRE(map.error() == 0);
    REQUIRE(!bus_error(map.words()[0]));
    Importer importer;
    REQUIRE(importer.attach(memory, "pinning") == 0);
    REQUIRE(importer.command("map") == 0);

    KernelLog log;
    Background unbind([&] { binding.unbind(); });
    CHECK(log.wait_for({"waiting for " + importer_name(), "1048576 bytes",
                        "process " + std::to_string(::getpid()) + " (uapi_importer"}));
    // Meanwhile the card is gone for everybody, and nobody hangs.
    CHECK(bus_error(map.words()[0]));
    p2prdma_get_info i = {};
    i.size = sizeof(i);
    CHECK(call(card, P2PRDMA_GET_INFO, &i) == ENODEV);
    CHECK(try_alloc(card, request(page)) == ENODEV);
    CHECK(::open(card_path().c_str(), O_RDWR) == -1);
    CHECK(errno == ENODEV);
    CHECK(Importer().attach(memory, "pinning") == ENODEV);
    CHECK(importer.status() == "mapped 1 invalidated 0 bytes 1048576");
    // It says so again, which takes longer than any delay that a careless end would have.
    CHECK(log.wait_for({"waiting for " + importer_name()}));
    CHECK(!unbind.done());

    CHECK(importer.command("unmap") == 0);
    unbind.join();
    CHECK(!fs::exists(class_dir()));
    binding.bind();
    card = open_card();
    CHECK(mem_free(card) == info(card).mem_size);
}

TEST_CASE("all that an unbind waits for is named at once, and nobody else")
{
    const Binding binding;
    UniqueFd card = open_card();
    const UniqueFd first = allocate(card, MiB), second = allocate(card, 2 * MiB);
    Importer importer, other;
    REQUIRE(importer.attach(first, "pinning") == 0);
    REQUIRE(importer.command("map") == 0);
    REQUIRE(other.attach(second, "pinning") == 0);
    REQUIRE(other.command("map") == 0);
    // Attached only: the card's own function, so that it has another name.
    Importer idle;
    REQUIRE(idle.attach(first, "pinning", binding.address) == 0);
    KernelLog log, all;
    Background unbind([&] { binding.unbind(); });
    CHECK(log.wait_for({"waiting for " + importer_name(), " 1048576 bytes"}));
    CHECK(log.wait_for({"waiting for " + importer_name(), " 2097152 bytes"}));
    CHECK(!all.contains("waiting for " + binding.address));
    CHECK(!unbind.done());
    idle.close();
    importer.close();
    other.close();
    unbind.join();
    binding.bind();
}

TEST_CASE("unbind ends when the process that holds a pinned memory is killed")
{
    const Binding binding;
    int ends[2];
    REQUIRE(::pipe(ends) == 0);
    const pid_t child = ::fork();
    if (child == 0) {
        // Two memories: the one must be releasable while the other is waited for.
        const UniqueFd card = open_card();
        const UniqueFd memory = allocate(card, MiB), other = allocate(card, MiB);
        const Map map(memory, MiB), other_map(other, MiB);
        map.words()[0] = 1;
        Importer importer, other_importer;
        if (importer.attach(memory, "pinning") != 0 || importer.command("map") != 0 ||
            other_importer.attach(other, "pinning") != 0 || other_importer.command("map") != 0)
            ::_exit(1);
        (void)!::write(ends[1], "x", 1);
        for (;;)
            ::pause();
    }
    ::close(ends[1]);
    char byte = 0;
    REQUIRE(::read(ends[0], &byte, 1) == 1);
    ::close(ends[0]);

    KernelLog log;
    Background unbind([&] { binding.unbind(); });
    CHECK(log.wait_for({"waiting for", "process " + std::to_string(child)}));
    CHECK(!unbind.done());
    ::kill(child, SIGKILL);
    int status = 0;
    ::waitpid(child, &status, 0);
    CHECK(WIFSIGNALED(status));
    unbind.join();
    binding.bind();
    const UniqueFd card = open_card();
    CHECK(mem_free(card) == info(card).mem_size);
}

TEST_CASE("a reset revokes; afterwards the same memory can be mapped again")
{
    const BusErrorHandler handler;
    const Binding binding;
    if (!fs::exists(binding.device / "reset"))
        SKIP("this card cannot be reset");
    const UniqueFd card = open_card();
    const UniqueFd memory = allocate(card, MiB);
    const Map map(memory, MiB);
    REQUIRE(!bus_error(map.words()[0]));
    Importer importer;
    REQUIRE(importer.attach(memory, can_revoke(card) ? "revocable" : "pinning") == 0);
    REQUIRE(importer.command("map") == 0);
    if (!can_revoke(card))
        REQUIRE(importer.command("unmap") == 0);
    binding.reset();
    if (can_revoke(card))
        CHECK(importer.status() == "mapped 0 invalidated 1 bytes 0");
    CHECK(importer.command("map") == 0);
    CHECK(!bus_error(map.words()[0]));
    CHECK(try_alloc(card, request(page)) == 0);
}

TEST_CASE("a reset waits for an importer that pins; the card is busy meanwhile")
{
    const BusErrorHandler handler;
    const Binding binding;
    if (!fs::exists(binding.device / "reset"))
        SKIP("this card cannot be reset");
    const UniqueFd card = open_card();
    const UniqueFd memory = allocate(card, MiB);
    const Map map(memory, MiB);
    REQUIRE(!bus_error(map.words()[0]));
    Importer importer;
    REQUIRE(importer.attach(memory, "pinning") == 0);
    REQUIRE(importer.command("map") == 0);
    KernelLog log;
    Background reset([&] { binding.reset(); });
    CHECK(log.wait_for({"waiting for " + importer_name()}));
    CHECK(try_alloc(card, request(page)) == EBUSY);
    CHECK(bus_error(map.words()[0]));
    CHECK(!reset.done());
    CHECK(importer.command("unmap") == 0);
    reset.join();
    CHECK(!bus_error(map.words()[0]));
    CHECK(try_alloc(card, request(page)) == 0);
}

TEST_CASE("many resets while threads allocate, map, touch and import")
{
    const BusErrorHandler handler;
    const Binding binding;
    if (!fs::exists(binding.device / "reset"))
        SKIP("this card cannot be reset");
    const UniqueFd card = open_card();
    const std::uint64_t before = mem_free(card);
    std::atomic<bool> stop = false;
    std::atomic<int> rounds = 0, wrong = 0;
    const UniqueFd kept[3] = {allocate(card, MiB), allocate(card, MiB), allocate(card, MiB)};
    std::vector<std::jthread> users;
    for (const UniqueFd& memory : kept)
        users.emplace_back([&] { use(card, memory, stop, rounds, wrong); });
    for (int i = 0; i < 5; i++) {
        const int reached = rounds;
        binding.reset();
        while (rounds < reached + 3)
            std::this_thread::yield(); // they go on after each reset
    }
    stop = true;
    users.clear();
    CHECK(wrong == 0);
    CHECK(mem_free(card) == before - 3 * MiB);
}
