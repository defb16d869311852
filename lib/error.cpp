// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "p2prdma/error.hpp"

#include "lib/internal.hpp"

#include <cerrno>

namespace p2prdma {
namespace {

class Category final : public std::error_category {
public:
    const char* name() const noexcept override { return "p2prdma"; }
    std::string message(int code) const override;
    std::error_condition default_error_condition(int code) const noexcept override;
};

std::string Category::message(int code) const
{
    switch (static_cast<Errc>(code)) {
    case Errc::module_not_loaded:
        return "the kernel module p2prdma is not loaded";
    case Errc::no_such_card:
        return "there is no such card";
    case Errc::not_a_card:
        return "this is not a card of p2prdma";
    case Errc::card_gone:
        return "the card has been removed or unbound";
    case Errc::card_full:
        return "the card has no free range that large";
    case Errc::not_permitted:
        return "this user may not do that";
    case Errc::no_such_adapter:
        return "there is no such RDMA device";
    case Errc::unsupported:
        return "the card, the adapter or the kernel does not support that";
    case Errc::unreachable:
        return "the kernel refuses peer-to-peer traffic between the two devices";
    case Errc::bad_argument:
        return "a value is out of range";
    case Errc::not_isolated:
        return "the card is less isolated than was demanded";
    case Errc::version_mismatch:
        return "library and kernel module have different ABI versions";
    case Errc::host_not_serving:
        return "the card's host does not serve it";
    case Errc::host_gone:
        return "the host's daemon has ended or was started anew";
    case Errc::host_timeout:
        return "the card's host did not answer in time";
    case Errc::host_mismatch:
        return "the host's daemon and this machine's kernel module do not agree";
    case Errc::host_busy:
        return "too many calls to the host, or clients of it, at once";
    }
    return "unknown error " + std::to_string(code);
}

std::error_condition Category::default_error_condition(int code) const noexcept
{
    switch (static_cast<Errc>(code)) {
    case Errc::module_not_loaded:
    case Errc::no_such_card:
    case Errc::card_gone:
    case Errc::no_such_adapter:
        return std::errc::no_such_device;
    case Errc::not_a_card:
        return std::errc::inappropriate_io_control_operation;
    case Errc::card_full:
        return std::errc::no_space_on_device;
    case Errc::not_permitted:
    case Errc::not_isolated:
        return std::errc::permission_denied;
    case Errc::unsupported:
        return std::errc::operation_not_supported;
    case Errc::unreachable:
        return std::errc::host_unreachable;
    case Errc::bad_argument:
        return std::errc::invalid_argument;
    case Errc::version_mismatch:
        return std::errc::protocol_not_supported;
    case Errc::host_not_serving:
        return std::errc::not_connected;
    case Errc::host_gone:
        return std::errc::connection_reset;
    case Errc::host_timeout:
        return std::errc::timed_out;
    case Errc::host_mismatch:
        return std::errc::protocol_error;
    case Errc::host_busy:
        return std::errc::resource_unavailable_try_again;
    }
    return {code, *this};
}

std::string bytes(std::uint64_t count)
{
    return std::to_string(count) + (count == 1 ? " byte" : " bytes");
}

} // namespace

const std::error_category& error_category() noexcept
{
    static const Category category;
    return category;
}

Error::Error(std::error_code code, const std::string& sentence)
    : std::system_error(code), sentence_(sentence)
{
}

namespace internal {

Error system_error(int error, const std::string& what)
{
    const std::error_code code(error, std::system_category());
    return {code, what + ": " + code.message()};
}

Error open_error(int error, const std::string& path)
{
    switch (error) {
    case ENOENT:
        return {Errc::no_such_card, "there is no card " + path};
    case ENXIO:
    case ENODEV:
        return {Errc::card_gone, path + " has been removed or unbound"};
    case EACCES:
    case EPERM:
        return {Errc::not_permitted, "no permission to open " + path};
    case ENOTTY:
    case EISDIR:
        return {Errc::not_a_card, path + " is not a card of p2prdma"};
    default:
        return system_error(error, "cannot open " + path);
    }
}

Error allocate_error(int error, const std::string& card, std::uint64_t wanted, const CardInfo& info)
{
    switch (error) {
    case ENOSPC:
        return {Errc::card_full, card + " is full: " + bytes(wanted) + " wanted, " +
                                     bytes(info.mem_free) + " free, of which " +
                                     bytes(info.mem_largest_free) + " in one range"};
    case ENODEV:
        return {Errc::card_gone, card + " has been removed or unbound"};
    case EINVAL:
        return {Errc::bad_argument, "cannot allocate " + bytes(wanted) + " on " + card +
                                        ": length, alignment, cache or policy is out of range"};
    case EOPNOTSUPP:
        return {Errc::unsupported, info.has_memory
                                       ? card + " does not support the policy that was asked for"
                                       : card + " has no memory to allocate"};
    default:
        return system_error(error, "cannot allocate " + bytes(wanted) + " on " + card);
    }
}

Error region_error(int error, const std::string& adapter, const Reach* reach)
{
    // The errno says little: a driver that cannot map gives EINVAL, EOPNOTSUPP or EREMOTEIO.
    if (reach && reach->kind == Reach::Kind::refused)
        return {Errc::unreachable, reach->explain()};
    if (error == ENODEV)
        return {Errc::card_gone, "the card behind the memory has been removed or unbound"};
    if (reach && reach->kind == Reach::Kind::unsupported && reach->peer_is_pci)
        return {Errc::unsupported, reach->explain()};
    if (error == EOPNOTSUPP || error == ENOSYS || error == EPROTONOSUPPORT)
        return {Errc::unsupported,
                "the driver of " + adapter + " cannot import a card's memory (dma-buf)"};
    return system_error(error, "cannot register a card's memory with " + adapter);
}

Error host_region_error(int error, const std::string& adapter, std::uint64_t length)
{
    const std::string what = "cannot register " + bytes(length) + " of host memory with " + adapter;
    if (error == ENOMEM)
        return {std::error_code(error, std::system_category()),
                what + ": out of memory, or more than this user may lock (ulimit -l)"};
    return system_error(error, what);
}

} // namespace internal
} // namespace p2prdma
