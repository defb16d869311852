// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "p2prdma/hca_registers.hpp"

#include "lib/internal.hpp"

#include <cerrno>

#include <fcntl.h>
#include <infiniband/verbs.h>

namespace p2prdma {
namespace {

constexpr const char* node = "/dev/p2prdma/hca";
constexpr std::uint64_t page = 4096;

/// Which of the kernel's rules for place and length a range breaks.
Error misplaced(const std::string& the, const p2prdma_hca_regs& request)
{
    if (request.kind == P2PRDMA_HCA_DOORBELL)
        return {Errc::bad_argument, the + " is not aligned to 4 bytes, or reaches beyond its page"};
    if (request.address % page || request.length % page)
        return {Errc::unsupported, the + " may share a page with a foreign queue: it does not "
                                         "begin and end at a page"};
    return {Errc::bad_argument,
            the + " has a length that no queue has: " + std::to_string(request.length) + " bytes"};
}

} // namespace

Error internal::registers_error(int error, const std::string& adapter, const std::string& what,
                                const p2prdma_hca_regs& request)
{
    const std::string the = "the " + what + " of " + adapter;
    switch (error) {
    case EINVAL:
        return misplaced(the, request);
    case EOPNOTSUPP:
        return {Errc::unsupported,
                the + " cannot be given to a card: it is mapped otherwise than a " + what +
                    ", its pages are not contiguous, or this kernel does not route peer-to-peer "
                    "DMA to the adapter's registers (CONFIG_PCI_P2PDMA)"};
    case EFAULT:
        return {Errc::bad_argument, the + " is not mapped there, or not all of it"};
    case EXDEV:
        return {Errc::bad_argument, "what is mapped as " + the + " lies in none of its BARs"};
    case EPERM:
        return {Errc::not_permitted, the + " is mapped read-only"};
    case EBADF:
        return {Errc::no_such_adapter, adapter + " has gone, or is no PCI device"};
    case ENODEV:
        return {Errc::no_such_adapter, adapter + " has gone"};
    default:
        return internal::system_error(error, "cannot export " + the);
    }
}

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
        throw internal::registers_error(error, adapter.device->name, name, request);
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
