// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "p2prdma/error.hpp"

#include "lib/internal.hpp"

#include <cerrno>
#include <set>
#include <type_traits>

#include <catch2/catch_all.hpp>

using namespace p2prdma;
using Catch::Matchers::ContainsSubstring;

namespace {

constexpr Errc all[] = {Errc::module_not_loaded, Errc::no_such_card, Errc::not_a_card,
                        Errc::card_gone,         Errc::card_full,    Errc::not_permitted,
                        Errc::no_such_adapter,   Errc::unsupported,  Errc::unreachable,
                        Errc::bad_argument,      Errc::not_isolated, Errc::version_mismatch,
                        Errc::host_not_serving,  Errc::host_gone,    Errc::host_timeout,
                        Errc::host_mismatch,     Errc::host_busy};

Reach refused()
{
    Reach reach;
    reach.kind = Reach::Kind::refused;
    reach.card_name = "card0";
    reach.peer_name = "efa_0";
    reach.card = {0, 1, 0, 0};
    reach.peer = {0, 2, 0, 0};
    return reach;
}

} // namespace

TEST_CASE("error: each cause has its own sentence and a std::errc")
{
    std::set<std::string> sentences;
    for (const auto cause : all) {
        const std::error_code code = cause;
        CHECK(&code.category() == &error_category());
        CHECK(code);
        CHECK_THAT(code.message(), !ContainsSubstring("unknown"));
        CHECK(sentences.insert(code.message()).second);
        CHECK(&code.default_error_condition().category() == &std::generic_category());
    }
    CHECK(std::string(error_category().name()) == "p2prdma");
    CHECK_THAT(error_category().message(99), ContainsSubstring("99"));
    CHECK(error_category().default_error_condition(99).category() == error_category());
}

TEST_CASE("error: causes compare with std::errc")
{
    CHECK(make_error_code(Errc::card_full) == std::errc::no_space_on_device);
    CHECK(make_error_code(Errc::card_gone) == std::errc::no_such_device);
    CHECK(make_error_code(Errc::not_permitted) == std::errc::permission_denied);
    CHECK(make_error_code(Errc::unsupported) == std::errc::operation_not_supported);
    CHECK(make_error_code(Errc::unreachable) == std::errc::host_unreachable);
    CHECK(make_error_code(Errc::bad_argument) == std::errc::invalid_argument);
}

TEST_CASE("error: what() is the sentence alone, also in copies")
{
    const Error error(Errc::card_full, "card3 is full");
    const Error copy = error;
    CHECK(std::string(copy.what()) == "card3 is full");
    CHECK(copy.code() == Errc::card_full);
    STATIC_CHECK(std::is_nothrow_copy_constructible_v<Error>);
    CHECK_THROWS_AS(throw error, std::system_error);
}

TEST_CASE("error: opening a card")
{
    const auto code = [](int error) {
        return internal::open_error(error, "/dev/p2prdma/card0").code();
    };
    CHECK(code(ENOENT) == Errc::no_such_card);
    CHECK(code(ENODEV) == Errc::card_gone);
    CHECK(code(ENXIO) == Errc::card_gone);
    CHECK(code(EACCES) == Errc::not_permitted);
    CHECK(code(ENOTTY) == Errc::not_a_card);
    CHECK(code(EMFILE) == std::errc::too_many_files_open);
    CHECK_THAT(internal::open_error(EMFILE, "/dev/p2prdma/card0").what(),
               ContainsSubstring("/dev/p2prdma/card0"));
}

TEST_CASE("error: a full card tells what was wanted and what there is")
{
    CardInfo info;
    info.has_memory = true;
    info.mem_free = 8192;
    info.mem_largest_free = 4096;
    const auto full = internal::allocate_error(ENOSPC, "card0", 65536, info);
    CHECK(full.code() == Errc::card_full);
    CHECK(std::string(full.what()) ==
          "card0 is full: 65536 bytes wanted, 8192 bytes free, of which 4096 bytes in one range");
    CHECK(internal::allocate_error(EINVAL, "card0", 0, info).code() == Errc::bad_argument);
    CHECK(internal::allocate_error(ENODEV, "card0", 1, info).code() == Errc::card_gone);
    CHECK_THAT(internal::allocate_error(EOPNOTSUPP, "card0", 1, info).what(),
               ContainsSubstring("policy"));
    CHECK_THAT(internal::allocate_error(EOPNOTSUPP, "card0", 1, CardInfo{}).what(),
               ContainsSubstring("no memory"));
}

TEST_CASE("error: a refused registration names both devices, whatever the errno")
{
    const auto reach = refused();
    for (const int error : {EINVAL, EOPNOTSUPP, EREMOTEIO}) {
        const auto failure = internal::region_error(error, "efa_0", &reach);
        CHECK(failure.code() == Errc::unreachable);
        CHECK(failure.what() == reach.explain());
    }
}

TEST_CASE("error: a registration that fails for other reasons")
{
    auto reach = refused();
    reach.kind = Reach::Kind::peer_switch;
    CHECK(internal::region_error(EOPNOTSUPP, "rxe0", &reach).code() == Errc::unsupported);
    CHECK_THAT(internal::region_error(EOPNOTSUPP, "rxe0", nullptr).what(),
               ContainsSubstring("rxe0"));
    CHECK(internal::region_error(ENODEV, "efa_0", &reach).code() == Errc::card_gone);
    CHECK(internal::region_error(ENOMEM, "efa_0", &reach).code() == std::errc::not_enough_memory);
    reach.kind = Reach::Kind::unsupported;
    CHECK(internal::region_error(EINVAL, "efa_0", &reach).code() == Errc::unsupported);
    // Without a PCI function the driver, not the kernel's p2pdma, is what is wrong.
    reach.peer_is_pci = false;
    CHECK_THAT(internal::region_error(EOPNOTSUPP, "rxe0", &reach).what(),
               ContainsSubstring("cannot import"));
    CHECK_THAT(internal::host_region_error(ENOMEM, "efa_0", 4096).what(),
               ContainsSubstring("ulimit"));
}
