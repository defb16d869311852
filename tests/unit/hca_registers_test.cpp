// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "lib/internal.hpp"
#include "p2prdma/error.hpp"

#include <catch2/catch_all.hpp>

#include <cerrno>
#include <string>

using namespace p2prdma;
using Catch::Matchers::ContainsSubstring;

namespace {

constexpr std::uint64_t page = 4096;

Error refused(int error, std::uint32_t kind, const char* what, std::uint64_t address,
              std::uint64_t length)
{
    p2prdma_hca_regs request = {};
    request.kind = kind;
    request.address = address;
    request.length = length;
    return internal::registers_error(error, "efa_0", what, request);
}

Error queue_refused(int error, std::uint64_t address = page, std::uint64_t length = page)
{
    return refused(error, P2PRDMA_HCA_QUEUE, "queue memory", address, length);
}

} // namespace

TEST_CASE("registers: queue memory that may share a page is refused with that reason")
{
    for (const auto& [address, length] : {std::pair{page + 1024, page}, std::pair{page, page / 4},
                                          std::pair{page + 64, page / 4}}) {
        const auto error = queue_refused(EINVAL, address, length);
        CHECK(error.code() == Errc::unsupported);
        CHECK_THAT(error.what(), ContainsSubstring("may share a page with a foreign queue"));
        CHECK_THAT(error.what(), ContainsSubstring("queue memory of efa_0"));
    }
    CHECK_THAT(refused(EINVAL, P2PRDMA_HCA_RING, "receive ring", page + 16, page).what(),
               ContainsSubstring("may share a page"));
}

TEST_CASE("registers: a doorbell shares its page with others, and need not fill it")
{
    const auto error = refused(EINVAL, P2PRDMA_HCA_DOORBELL, "doorbell", page + 2, 4);
    CHECK(error.code() == Errc::bad_argument);
    CHECK_THAT(error.what(), ContainsSubstring("not aligned to 4 bytes"));
    CHECK_THAT(error.what(), !ContainsSubstring("foreign"));
}

TEST_CASE("registers: whole pages of a length that no queue has")
{
    for (const std::uint64_t length : {std::uint64_t(0), std::uint64_t(1) << 40}) {
        const auto error = queue_refused(EINVAL, page, length);
        CHECK(error.code() == Errc::bad_argument);
        CHECK_THAT(error.what(), ContainsSubstring("length"));
        CHECK_THAT(error.what(), !ContainsSubstring("share"));
    }
}

TEST_CASE("registers: what the kernel cannot give to a card is not said to be shared")
{
    const auto error = queue_refused(EOPNOTSUPP);
    CHECK(error.code() == Errc::unsupported);
    CHECK_THAT(error.what(), ContainsSubstring("CONFIG_PCI_P2PDMA"));
    CHECK_THAT(error.what(), ContainsSubstring("contiguous"));
    CHECK_THAT(error.what(), !ContainsSubstring("foreign"));
}

TEST_CASE("registers: each other errno has its own cause")
{
    CHECK_THAT(queue_refused(EFAULT).what(), ContainsSubstring("is not mapped"));
    CHECK_THAT(queue_refused(EXDEV).what(), ContainsSubstring("none of its BARs"));
    CHECK_THAT(queue_refused(EPERM).what(), ContainsSubstring("read-only"));
    CHECK(queue_refused(EBADF).code() == Errc::no_such_adapter);
    CHECK(queue_refused(ENODEV).code() == Errc::no_such_adapter);
    CHECK_THAT(queue_refused(ENODEV).what(), ContainsSubstring("efa_0 has gone"));
    CHECK_THAT(queue_refused(ENOMEM).what(), ContainsSubstring("cannot export the queue memory"));
}
