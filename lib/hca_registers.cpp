// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "p2prdma/hca_registers.hpp"

#include "lib/internal.hpp"

#include <cerrno>

#include <fcntl.h>
#include <infiniband/verbs.h>

namespace p2prdma {
namespace {

constexpr const char* node = "/dev/p2prdma/hca";

Error registers_error(int error, const std::string& adapter, const std::string& what)
{
    switch (error) {
    case EOPNOTSUPP:
        return {Errc::unsupported, "the " + what + " of " + adapter +
                                       " cannot be given to a card: it is of another kind, or "
                                       "shares its pages with a foreign queue"};
    case EINVAL:
        return {Errc::bad_argument, "the " + what + " of " + adapter + " is not aligned"};
    case EBADF:
    case EFAULT:
    case EXDEV:
        return {Errc::bad_argument, "that is not mapped from " + adapter + " as its " + what};
    case EPERM:
        return {Errc::not_permitted, "the " + what + " of " + adapter + " is mapped read-only"};
    default:
        return internal::system_error(error, "cannot export the " + what + " of " + adapter);
    }
}

} // namespace

HcaRegisters HcaRegisters::open()
{
    UniqueFd fd(::open(node, O_RDWR | O_CLOEXEC));
    if (fd)
        return HcaRegisters(std::move(fd));
    const int error = errno;
    if (error == ENOENT || error == ENXIO || error == ENODEV)
        throw Error(Errc::module_not_loaded,
                    "the kernel module p2prdma_ib is not loaded (modprobe p2prdma_ib)");
    throw internal::open_error(error, node);
}

HcaRange HcaRegisters::ask(const ibv_context& adapter, std::span<const volatile std::byte> mapped,
                           std::uint32_t kind, const char* name) const
{
    p2prdma_hca_regs request = {};
    request.size = sizeof(request);
    request.uverbs_fd = adapter.cmd_fd;
    request.kind = kind;
    request.address = reinterpret_cast<std::uintptr_t>(mapped.data());
    request.length = mapped.size();
    request.fd = -1;
    if (const int error = internal::control(fd_.get(), P2PRDMA_HCA_REGS, &request))
        throw registers_error(error, adapter.device->name, name);
    const auto cache = request.cache == P2PRDMA_CACHE_UC ? Cache::uncached : Cache::write_combining;
    return {UniqueFd(request.fd), request.offset, mapped.size(), cache};
}

HcaRange HcaRegisters::doorbell(const ibv_context& adapter,
                                std::span<const volatile std::byte> mapped) const
{
    return ask(adapter, mapped, P2PRDMA_HCA_DOORBELL, "doorbell");
}

HcaRange HcaRegisters::queue(const ibv_context& adapter,
                             std::span<const volatile std::byte> mapped) const
{
    return ask(adapter, mapped, P2PRDMA_HCA_QUEUE, "queue memory");
}

HcaRange HcaRegisters::ring(const ibv_context& adapter,
                            std::span<const volatile std::byte> mapped) const
{
    return ask(adapter, mapped, P2PRDMA_HCA_RING, "receive ring");
}

} // namespace p2prdma
