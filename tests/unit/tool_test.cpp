// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "p2prdma/error.hpp"
#include "p2prdma/version.hpp"
#include "tests/unit/temporary_directory.hpp"
#include "tools/p2prdma/commands.hpp"
#include "tools/p2prdma/describe.hpp"
#include "tools/p2prdma/digest.hpp"
#include "tools/p2prdma/failure.hpp"
#include "tools/p2prdma/guard.hpp"
#include "tools/p2prdma/input_file.hpp"
#include "tools/p2prdma/interrupt.hpp"
#include "tools/p2prdma/output_file.hpp"
#include "tools/p2prdma/patience.hpp"
#include "tools/p2prdma/progress.hpp"

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <iterator>

#include <catch2/catch_all.hpp>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

using namespace p2prdma;
using namespace p2prdma::tool;
using Catch::Matchers::ContainsSubstring;
namespace fs = std::filesystem;

namespace {

struct Waiting {
    explicit Waiting(std::chrono::milliseconds limit = std::chrono::seconds(20))
        : patience(interrupt, limit)
    {
    }

    Interrupt interrupt;
    Patience patience;
};

void put(const std::string& path, const std::string& text)
{
    std::ofstream(path) << text;
}

std::string get(const std::string& path)
{
    std::ifstream file(path);
    return {std::istreambuf_iterator<char>(file), {}};
}

std::span<const std::byte> bytes_of(std::string_view text)
{
    return std::as_bytes(std::span(text));
}

Failure failure_of(auto&& call)
{
    try {
        call();
    } catch (const std::exception& error) {
        return Failure::of(error);
    }
    return {Exit::ok, "", ""};
}

} // namespace

TEST_CASE("digest: SHA-256 in pieces")
{
    Sha256 whole;
    whole.update(bytes_of("abc"));
    const auto digest = whole.finish();
    CHECK(to_hex(digest) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    Sha256 pieces;
    pieces.update(bytes_of("a"));
    pieces.update({});
    pieces.update(bytes_of("bc"));
    CHECK(pieces.finish() == digest);
    CHECK(to_hex(Sha256().finish()) ==
          "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

TEST_CASE("failure: each cause has its status and name")
{
    const auto of = [](Errc cause) { return Failure::of(Error(cause, "x")); };
    CHECK(of(Errc::no_such_card).status() == Exit::no_device);
    CHECK(of(Errc::module_not_loaded).code() == "module_not_loaded");
    CHECK(of(Errc::card_full).status() == Exit::no_space);
    CHECK(of(Errc::unreachable).status() == Exit::unreachable);
    CHECK(of(Errc::unreachable).code() == "unreachable");
    CHECK(of(Errc::unsupported).status() == Exit::failed);
    CHECK(Failure::of(std::runtime_error("y")).what() == std::string("y"));
    CHECK(Failure::of(std::bad_alloc()).code() == "out_of_memory");
    CHECK(system_failure(ENOSPC, "x").status() == Exit::no_space);
    CHECK(system_failure(EIO, "x").status() == Exit::failed);
    const Failure original(Exit::peer_lost, "timeout", "z");
    CHECK(Failure::of(original).code() == "timeout");
}

TEST_CASE("failure: as JSON")
{
    CHECK(to_json(Failure(Exit::failed, "unsupported", "no \"x\"")).dump() ==
          R"({"error":"no \"x\"","code":"unsupported"})");
}

TEST_CASE("progress: figures for people")
{
    CHECK(human_bytes(0) == "0 bytes");
    CHECK(human_bytes(1) == "1 byte");
    CHECK(human_bytes(1023) == "1023 bytes");
    CHECK(human_bytes(1024) == "1.0 KiB");
    CHECK(human_bytes((1 << 20) - 1) == "1.0 MiB");
    CHECK(human_bytes(64 << 20) == "64.0 MiB");
    CHECK(human_bytes(UINT64_MAX) == "16.0 EiB");
    CHECK(transfer_figures(1 << 20, 1, 0.5) ==
          "1.0 MiB (1048576 bytes) in 1 piece, 0.50 s, 2.0 MiB/s");
    CHECK(transfer_figures(0, 0, 0) == "0 bytes in 0 pieces, 0.00 s");
}

TEST_CASE("progress: the line fits and grows")
{
    using std::chrono::seconds;
    CHECK(progress_line(0, 100, seconds(1), 70) ==
          "  0 % [..............................] 0 bytes of 100 bytes, 0 bytes/s");
    CHECK_THAT(progress_line(50, 100, seconds(1), 80), ContainsSubstring(" 50 % [###"));
    CHECK_THAT(progress_line(100, 100, seconds(2), 80),
               ContainsSubstring("#] 100 bytes of 100 bytes, 50 bytes/s"));
    CHECK_THAT(progress_line(0, 0, seconds(0), 80), ContainsSubstring("100 %"));
    for (unsigned width = 0; width < 120; width++)
        REQUIRE(progress_line(77777777, 99999999999, seconds(3), width).size() <= width);
    CHECK_THAT(progress_line(50, 100, seconds(1), 30), !ContainsSubstring("["));
}

TEST_CASE("json: what list and info tell of a card")
{
    CardInfo info;
    info.driver = "refcard";
    info.address = {0, 3, 0, 0};
    info.vendor = 0x1b36;
    info.device = 0x1100;
    info.mem_size = 1 << 20;
    info.mem_free = 4096;
    info.mem_largest_free = 4096;
    info.mem_granule = 4096;
    info.has_memory = true;
    info.has_doorbells = true;
    CHECK(
        describe(2, info).dump() ==
        R"({"card":2,"path":"/dev/p2prdma/card2","pci":"0000:03:00.0","ids":"1b36:1100","driver":"refcard",)"
        R"("numa_node":-1,"mem_size":1048576,"mem_free":4096,"mem_largest_free":4096,"mem_granule":4096,)"
        R"("capabilities":["memory","doorbell"],"abi_version":0})");
    CHECK(describe(Adapter::Entry{"rxe0", std::nullopt, wire::Transport::rc, true}).dump() ==
          R"({"device":"rxe0","pci":null,"transport":"RC","active":true})");
    Reach reach;
    reach.kind = Reach::Kind::peer_switch;
    reach.peer_name = "efa_0";
    reach.distance = 4;
    const auto json = describe(reach);
    CHECK(json["reach"] == "peer_switch");
    CHECK(json["reachable"] == true);
    CHECK(json["explain"] == reach.explain());
}

TEST_CASE("input file: only regular files that are there")
{
    const Directory directory;
    CHECK(failure_of([&] { InputFile file(directory / "none"); }).code() == "no_such_file");
    CHECK_THAT(failure_of([&] { InputFile file(directory / "."); }).what(),
               ContainsSubstring("is a directory"));
    CHECK(failure_of([&] { InputFile file("/dev/null"); }).code() == "not_a_file");
    REQUIRE(::mkfifo((directory / "fifo").c_str(), 0600) == 0);
    CHECK(failure_of([&] { InputFile file(directory / "fifo"); }).code() == "not_a_file");
}

TEST_CASE("input file: a change of size while it is sent is seen")
{
    const Directory directory;
    const auto path = directory / "file";
    put(path, "0123456789");
    const InputFile file(path);
    CHECK(file.size() == 10);
    std::array<std::byte, 4> into = {};
    file.read(6, into);
    CHECK(std::ranges::equal(into, bytes_of("6789")));
    CHECK_NOTHROW(file.check_size());
    put(path, "0123456789+");
    CHECK(failure_of([&] { file.check_size(); }).code() == "file_changed");
    REQUIRE(::truncate(path.c_str(), 8) == 0);
    CHECK(failure_of([&] { file.read(6, into); }).code() == "file_changed");
}

TEST_CASE("output file: appears when complete, and only then")
{
    const Directory directory;
    Waiting waiting;
    const auto path = directory / "out";
    put(path, "old");
    {
        OutputFile out(path);
        out.write(bytes_of("new"), waiting.patience);
        CHECK(get(path) == "old");
    }
    CHECK(get(path) == "old");
    CHECK(directory.files() == 1);
    const auto mask = ::umask(022);
    {
        OutputFile out(path);
        out.write(bytes_of("ne"), waiting.patience);
        out.write(bytes_of("w"), waiting.patience);
        out.commit();
    }
    ::umask(mask);
    CHECK(get(path) == "new");
    CHECK(directory.files() == 1);
    struct stat status = {};
    REQUIRE(::stat(path.c_str(), &status) == 0);
    CHECK((status.st_mode & 0777) == 0644);
}

TEST_CASE("output file: tells at once what cannot be written")
{
    const Directory directory;
    Waiting waiting;
    CHECK(failure_of([&] { OutputFile out(directory / "."); }).code() == "not_a_file");
    CHECK_THAT(failure_of([&] { OutputFile out(directory / "no/such/file"); }).what(),
               ContainsSubstring("no/such/file"));
    OutputFile full("/dev/full");
    CHECK(failure_of([&] { full.write(bytes_of("x"), waiting.patience); }).code() == "disk_full");
}

TEST_CASE("output file: what is no regular file is written in place, and nothing nowhere")
{
    const Directory directory;
    Waiting waiting;
    const auto path = directory / "fifo";
    REQUIRE(::mkfifo(path.c_str(), 0600) == 0);
    CHECK_THAT(failure_of([&] { OutputFile out(path); }).what(), ContainsSubstring("cannot write"));
    const UniqueFd reader(::open(path.c_str(), O_RDONLY | O_NONBLOCK));
    OutputFile out(path);
    out.write(bytes_of("abc"), waiting.patience);
    out.commit();
    std::array<char, 4> got = {};
    CHECK(::read(reader.get(), got.data(), got.size()) == 3);
    CHECK(std::string(got.data()) == "abc");
    CHECK(directory.files() == 1);
    OutputFile nowhere("");
    CHECK_NOTHROW(nowhere.write(bytes_of("x"), waiting.patience));
    CHECK_NOTHROW(nowhere.commit());
}

TEST_CASE("output file: a reader that does not read is given up")
{
    const Directory directory;
    Waiting waiting(std::chrono::milliseconds(30));
    const auto path = directory / "fifo";
    REQUIRE(::mkfifo(path.c_str(), 0600) == 0);
    const UniqueFd reader(::open(path.c_str(), O_RDONLY | O_NONBLOCK));
    OutputFile out(path);
    const std::string much(1 << 20, 'x');
    CHECK(failure_of([&] { out.write(bytes_of(much), waiting.patience); }).code() == "timeout");
}

TEST_CASE("guard: memory that has gone is an error, not a signal")
{
    UniqueFd fd(::memfd_create("card", MFD_CLOEXEC));
    REQUIRE(::ftruncate(fd.get(), 8192) == 0);
    Mapping mapping(fd.get(), 8192);
    std::array<std::byte, 16> bytes = {};
    CHECK_NOTHROW(guarded_write(mapping, 4096, bytes));
    CHECK_THROWS_AS(guarded_read(mapping, 8190, bytes), std::out_of_range);
    CHECK_THROWS_AS(guarded_write(mapping, SIZE_MAX, bytes), std::out_of_range);
    REQUIRE(::ftruncate(fd.get(), 4096) == 0);
    CHECK_NOTHROW(guarded_read(mapping, 0, bytes));
    for (int i = 0; i < 2; i++) { // and again: the first leaves no trace
        CHECK(failure_of([&] { guarded_read(mapping, 4096, bytes); }).code() == "card_gone");
        CHECK(failure_of([&] { guarded_write(mapping, 4096, bytes); }).code() == "card_gone");
    }
}

TEST_CASE("version: of the library that is linked")
{
    const auto expected = std::to_string(P2PRDMA_VERSION_MAJOR) + "." +
                          std::to_string(P2PRDMA_VERSION_MINOR) + "." +
                          std::to_string(P2PRDMA_VERSION_PATCH);
    CHECK(library_version() == expected);
}
