// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "p2prdma/local_card.hpp"

#include "lib/internal.hpp"

#include <linux/p2prdma_local.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <optional>

#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>

namespace p2prdma {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view prefix = "local";

/// The number in "local7", or in "7".
std::optional<unsigned> local_number(std::string_view name) noexcept
{
    if (name.starts_with(prefix))
        name.remove_prefix(prefix.size());
    unsigned number = 0;
    const auto [stop, error] = std::from_chars(name.data(), name.data() + name.size(), number);
    if (name.empty() || error != std::errc() || stop != name.data() + name.size())
        return std::nullopt;
    return number;
}

std::optional<LocalCardEntry> read_entry(const fs::path& directory)
{
    std::error_code ignored; // a card may go between being listed and being asked
    const auto parent = fs::read_symlink(directory / "device", ignored);
    const auto number = local_number(directory.filename().native());
    const auto pool = PciAddress::parse(parent.filename().native());
    if (!number || !pool)
        return std::nullopt;
    return LocalCardEntry{*number, *pool};
}

p2prdma_local_info ask_info(int fd, int& error)
{
    p2prdma_local_info info = {};
    info.size = sizeof(info);
    error = internal::control(fd, P2PRDMA_LOCAL_INFO, &info);
    return info;
}

LocalCardInfo from_uapi(const p2prdma_local_info& info)
{
    using State = LocalCardInfo::State;
    LocalCardInfo card;
    card.state = info.state == P2PRDMA_LOCAL_ALONE    ? State::alone
                 : info.state == P2PRDMA_LOCAL_SERVED ? State::served
                                                      : State::foreign;
    card.epoch = info.epoch;
    card.client = info.client;
    card.serial = info.serial;
    card.pool_size = info.pool_size;
    card.windows = info.windows;
    card.doorbells = info.doorbells;
    card.pool = internal::from_uapi(info.pool);
    card.aperture = internal::from_uapi(info.aperture);
    card.abi_version = info.abi_version;
    return card;
}

/// What an errno means that says that host or card cannot be used; else the system's text.
Error client_error(int error, const std::string& card, const std::string& what)
{
    switch (error) {
    case ENODEV:
        return {Errc::card_gone, card + " has been removed, unbound or reset"};
    case ENOTCONN:
        return {Errc::host_not_serving,
                "the host does not serve " + card + ": p2prdmad does not run there"};
    case ECONNRESET:
        return {Errc::host_gone,
                "the host's p2prdmad has ended or was started anew since " + card + " was opened"};
    case ETIMEDOUT:
        return {Errc::host_timeout, "the host of " + card + " did not answer in time"};
    case EPIPE:
        return {Errc::host_timeout, "an earlier call to the host of " + card + " was given up"};
    case EPROTO:
        return {Errc::host_mismatch,
                "the host's p2prdmad and the kernel module of " + card + " do not agree"};
    case EAGAIN:
        return {Errc::host_busy, "too many calls to the host of " + card + " at once"};
    case EUSERS:
        return {Errc::host_busy, "too many programs use " + card + " at once"};
    default:
        return internal::system_error(error, "cannot " + what + " of " + card);
    }
}

Error map_error(int error, const std::string& card, std::uint32_t grant)
{
    const std::string text = "grant " + std::to_string(grant) + " of " + card;
    switch (error) {
    case ENOENT:
        return {Errc::bad_argument, "there is no " + text + " for this client"};
    case EINVAL:
        return {Errc::bad_argument, text + " is shorter than what was to be mapped"};
    case EACCES:
        return {Errc::not_permitted, text + " is for reading only"};
    default:
        return client_error(error, card, "map grant " + std::to_string(grant));
    }
}

Error event_error(int error, const std::string& card, std::uint32_t grant)
{
    const std::string text = "grant " + std::to_string(grant) + " of " + card;
    switch (error) {
    case ENOENT:
        return {Errc::bad_argument, text + " is not there for this client, or not bound"};
    case EINVAL:
        return {Errc::bad_argument, text + " is no doorbell page"};
    case EBUSY:
        return {Errc::bad_argument, text + " is bound to an eventfd already"};
    case EBADF:
        return {Errc::bad_argument, "what " + text + " was to be bound to is no eventfd"};
    default:
        return client_error(error, card, "bind grant " + std::to_string(grant));
    }
}

short poll_now(int fd) noexcept
{
    pollfd entry = {fd, 0, 0};
    return ::poll(&entry, 1, 0) > 0 ? entry.revents : short{0};
}

} // namespace

std::vector<LocalCardEntry> LocalCard::enumerate(const fs::path& sysfs)
{
    std::error_code error;
    std::vector<LocalCardEntry> cards;
    for (fs::directory_iterator entry(sysfs / "class" / "p2prdma_local", error), end;
         entry != end && !error; entry.increment(error))
        if (const auto card = read_entry(entry->path()))
            cards.push_back(*card);
    if (error == std::errc::no_such_file_or_directory)
        throw Error(Errc::module_not_loaded,
                    "the kernel module p2prdma is not loaded (modprobe p2prdma)");
    if (error)
        throw internal::system_error(error.value(), "cannot list the cards");
    std::ranges::sort(cards, {}, &LocalCardEntry::number);
    return cards;
}

LocalCard LocalCard::open_path(const fs::path& path, unsigned number)
{
    UniqueFd fd(::open(path.c_str(), O_RDWR | O_CLOEXEC | O_NOCTTY));
    if (!fd)
        throw internal::open_error(errno, path);
    int error = 0;
    const auto info = ask_info(fd.get(), error);
    if (error)
        throw internal::open_error(error, path);
    if (info.abi_version != P2PRDMA_ABI_VERSION)
        throw Error(Errc::version_mismatch,
                    "the kernel module speaks ABI version " + std::to_string(info.abi_version) +
                        ", this library version " + std::to_string(P2PRDMA_ABI_VERSION));
    return LocalCard(std::move(fd), number);
}

LocalCard LocalCard::open(unsigned number)
{
    const auto cards = enumerate();
    if (std::ranges::find(cards, number, &LocalCardEntry::number) == cards.end())
        throw Error(Errc::no_such_card,
                    "this is not the own machine of a card local" + std::to_string(number));
    return open_path("/dev/p2prdma/local" + std::to_string(number), number);
}

LocalCard LocalCard::open(std::string_view name)
{
    if (name.find('/') != name.npos) {
        const fs::path path(name);
        const auto number = local_number(path.filename().native());
        if (!number)
            throw internal::open_error(ENOTTY, path);
        return open_path(path, *number);
    }
    if (const auto number = local_number(name))
        return open(*number);
    const auto address = PciAddress::parse(name);
    if (!address)
        throw Error(Errc::bad_argument,
                    "\"" + std::string(name) +
                        "\" is neither a card's number nor a PCI address nor a path");
    for (const auto& card : enumerate())
        if (card.pool == *address)
            return open(card.number);
    throw Error(Errc::no_such_card,
                "this is not the own machine of a card at " + address->to_string());
}

LocalCardInfo LocalCard::info() const
{
    int error = 0;
    const auto info = ask_info(fd_.get(), error);
    if (error)
        throw client_error(error, name(), "ask for the state");
    return from_uapi(info);
}

LocalCard::Reply LocalCard::call(std::uint32_t op, std::span<const std::byte> request,
                                 std::span<std::byte> reply,
                                 std::chrono::milliseconds timeout) const
{
    // The kernel checks ranges; a value that does not fit must not become one that does.
    const auto clip = [](auto value) {
        return static_cast<std::uint32_t>(
            std::clamp<long long>(static_cast<long long>(value), 0, UINT32_MAX));
    };
    p2prdma_local_call call = {};
    call.size = sizeof(call);
    call.op = op;
    call.timeout_ms = clip(timeout.count());
    call.request = reinterpret_cast<std::uintptr_t>(request.data());
    call.request_length = clip(request.size());
    call.reply = reinterpret_cast<std::uintptr_t>(reply.data());
    call.reply_length = clip(reply.size());
    const int error = internal::control(fd_.get(), P2PRDMA_LOCAL_CALL, &call);
    if (error == EINVAL)
        throw Error(Errc::bad_argument,
                    "a call to the host: number, length or timeout is out of range");
    if (error)
        throw client_error(error, name(), "call the host");
    return {call.reply_length, static_cast<int>(call.status)};
}

GrantMapping LocalCard::map(std::uint32_t grant, std::size_t length, bool writable) const
{
    const int protection = writable ? PROT_READ | PROT_WRITE : PROT_READ;
    const auto offset = static_cast<off_t>(P2PRDMA_GRANT_OFFSET(grant & 0xffff));
    if (grant > 0xffff) // beyond the offsets of mmap()
        throw map_error(ENOENT, name(), grant);
    void* start = ::mmap(nullptr, length, protection, MAP_SHARED, fd_.get(), offset);
    if (start == MAP_FAILED)
        throw map_error(errno, name(), grant);
    return GrantMapping({static_cast<volatile std::byte*>(start), length});
}

void LocalCard::set_event(std::uint32_t grant, int eventfd) const
{
    p2prdma_local_event event = {};
    event.size = sizeof(event);
    event.grant = grant;
    event.eventfd = eventfd;
    if (const int error = internal::control(fd_.get(), P2PRDMA_LOCAL_EVENT, &event))
        throw event_error(error, name(), grant);
}

void LocalCard::bind_event(std::uint32_t grant, int eventfd) const
{
    if (eventfd < 0) // -1 would undo
        throw event_error(EBADF, name(), grant);
    set_event(grant, eventfd);
}

void LocalCard::unbind_event(std::uint32_t grant) const
{
    set_event(grant, -1);
}

bool LocalCard::alive() const noexcept
{
    return !(poll_now(fd_.get()) & POLLHUP);
}

bool LocalCard::lost_window() const noexcept
{
    return poll_now(fd_.get()) & POLLERR;
}

} // namespace p2prdma
