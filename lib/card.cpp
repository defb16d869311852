// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "p2prdma/card.hpp"

#include "lib/internal.hpp"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <optional>

#include <fcntl.h>
#include <infiniband/verbs.h>
#include <sys/ioctl.h>

namespace p2prdma {
namespace {

namespace fs = std::filesystem;

/// The number in "card7", or in "7".
std::optional<unsigned> card_number(std::string_view name) noexcept
{
    if (name.starts_with("card"))
        name.remove_prefix(4);
    unsigned number = 0;
    const auto [stop, error] = std::from_chars(name.data(), name.data() + name.size(), number);
    if (name.empty() || error != std::errc() || stop != name.data() + name.size())
        return std::nullopt;
    return number;
}

std::string known_cards(const std::vector<CardEntry>& cards)
{
    if (cards.empty())
        return "; no card is bound to p2prdma";
    std::string text = "; there is ";
    for (const auto& card : cards)
        text += (&card == cards.data() ? "card" : ", card") + std::to_string(card.number) + " at " +
                card.address.to_string();
    return text;
}

fs::path node(unsigned number)
{
    return "/dev/p2prdma/card" + std::to_string(number);
}

p2prdma_get_info ask_info(int fd, int& error)
{
    p2prdma_get_info info = {};
    info.size = sizeof(info);
    error = internal::control(fd, P2PRDMA_GET_INFO, &info);
    return info;
}

} // namespace

std::vector<CardEntry> Card::enumerate(const fs::path& sysfs)
{
    std::error_code error;
    std::vector<CardEntry> cards;
    for (fs::directory_iterator entry(sysfs / "class" / "p2prdma", error), end;
         entry != end && !error; entry.increment(error)) {
        std::error_code ignored; // a card may go between being listed and being asked
        const auto parent = fs::read_symlink(entry->path() / "device", ignored);
        const auto number = card_number(entry->path().filename().native());
        const auto address = PciAddress::parse(parent.filename().native());
        if (number && address)
            cards.push_back({*number, *address});
    }
    if (error == std::errc::no_such_file_or_directory)
        throw Error(Errc::module_not_loaded,
                    "the kernel module p2prdma is not loaded (modprobe p2prdma)");
    if (error)
        throw internal::system_error(error.value(), "cannot list the cards");
    std::ranges::sort(cards, {}, &CardEntry::number);
    return cards;
}

Card Card::open_path(const fs::path& path, unsigned number)
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
    return Card(std::move(fd), number);
}

Card Card::open(unsigned number)
{
    const auto cards = enumerate();
    if (std::ranges::find(cards, number, &CardEntry::number) == cards.end())
        throw Error(Errc::no_such_card,
                    "there is no card " + std::to_string(number) + known_cards(cards));
    return open_path(node(number), number);
}

Card Card::open(const PciAddress& address)
{
    const auto cards = enumerate();
    const auto card = std::ranges::find(cards, address, &CardEntry::address);
    if (card == cards.end())
        throw Error(Errc::no_such_card,
                    "p2prdma drives no card at " + address.to_string() + known_cards(cards));
    return open_path(node(card->number), card->number);
}

Card Card::open(std::string_view name)
{
    if (name.find('/') != name.npos) {
        const fs::path path(name);
        const auto number = card_number(path.filename().native());
        if (!number)
            throw internal::open_error(ENOTTY, path);
        return open_path(path, *number);
    }
    if (const auto number = card_number(name))
        return open(*number);
    if (const auto address = PciAddress::parse(name))
        return open(*address);
    throw Error(Errc::bad_argument,
                "\"" + std::string(name) +
                    "\" is neither a card's number nor a PCI address nor a path");
}

CardInfo Card::info() const
{
    int error = 0;
    const auto info = ask_info(fd_.get(), error);
    if (error)
        throw internal::open_error(error, name());
    return internal::from_uapi(info);
}

Memory Card::allocate(std::uint64_t length, const AllocateOptions& options) const
{
    p2prdma_mem_alloc request = {};
    request.size = sizeof(request);
    request.length = length;
    request.alignment = options.alignment;
    request.cache = options.cache == Cache::uncached ? P2PRDMA_CACHE_UC : P2PRDMA_CACHE_WC;
    request.policy =
        options.policy == Policy::revocable ? P2PRDMA_POLICY_REVOCABLE : P2PRDMA_POLICY_PINNABLE;
    request.fd = -1;
    if (const int error = internal::control(fd_.get(), P2PRDMA_MEM_ALLOC, &request))
        throw internal::allocate_error(error, name(), length,
                                       error == ENODEV ? CardInfo{} : info());
    return Memory(UniqueFd(request.fd), options.cache, number_, request.card_offset);
}

Reach Card::reach(const PciAddress& peer) const
{
    p2prdma_query_reach query = {};
    query.size = sizeof(query);
    query.peer = internal::to_uapi(peer);
    const int error = internal::control(fd_.get(), P2PRDMA_REACH, &query);
    if (error == ENXIO)
        throw Error(Errc::bad_argument, "there is no PCI device at " + peer.to_string());
    if (error)
        throw internal::open_error(error, name());
    Reach reach = internal::from_uapi(query);
    reach.card_name = name();
    reach.card = info().address;
    return reach;
}

Isolation Card::isolation(const PciAddress& adapter) const
{
    const auto address = info().address;
    auto direct = siblings_of(address);
    std::erase_if(direct, [this](const PciAddress& other) {
        return reach(other).kind != Reach::Kind::peer_switch;
    });
    return isolation_of(address, adapter, direct);
}

Reach Card::reach(const ibv_device& adapter) const
{
    const auto peer = pci_address_of(adapter);
    Reach reach;
    if (peer)
        reach = this->reach(*peer);
    reach.peer_is_pci = peer.has_value();
    reach.peer_name = adapter.name;
    reach.card_name = name();
    reach.card = info().address;
    return reach;
}

namespace internal {

int control(int fd, unsigned long command, void* argument) noexcept
{
    return ::ioctl(fd, command, argument) < 0 ? errno : 0;
}

Error card_error(int error, const std::string& card, const std::string& what)
{
    switch (error) {
    case ENODEV:
    case ENXIO:
        return {Errc::card_gone, card + " has been removed or unbound"};
    case EACCES:
        return {Errc::not_permitted, "no permission to " + what + " of " + card};
    case EINVAL:
    case EBADF:
        return {Errc::bad_argument, "cannot " + what + " of " + card + ": a value is out of range"};
    case EOPNOTSUPP:
    case ENOTTY:
        return {Errc::unsupported, "cannot " + what + ": " + card + " or its module lacks it"};
    default:
        return system_error(error, "cannot " + what + " of " + card);
    }
}

Error busy_error(const std::string& card, const std::string& what)
{
    return {std::error_code(EBUSY, std::system_category()),
            what + " of " + card +
                " is in use (another p2prdmad serves the card), or the card is being reset"};
}

PciAddress from_uapi(const p2prdma_pci_addr& address) noexcept
{
    return {address.domain, static_cast<std::uint8_t>(address.bus),
            static_cast<std::uint8_t>(address.devfn >> 3 & 31),
            static_cast<std::uint8_t>(address.devfn & 7)};
}

p2prdma_pci_addr to_uapi(const PciAddress& address) noexcept
{
    return {address.domain, address.bus,
            static_cast<std::uint16_t>(address.device << 3 | address.function)};
}

CardInfo from_uapi(const p2prdma_get_info& info)
{
    CardInfo card;
    const auto* driver = reinterpret_cast<const char*>(info.driver);
    card.driver.assign(driver, std::find(driver, driver + sizeof(info.driver), '\0'));
    card.address = from_uapi(p2prdma_pci_addr{info.pci_domain, info.pci_bus, info.pci_devfn});
    card.vendor = info.pci_vendor;
    card.device = info.pci_device;
    card.numa_node = info.numa_node;
    card.abi_version = info.abi_version;
    card.mem_size = info.mem_size;
    card.mem_free = info.mem_free;
    card.mem_largest_free = info.mem_largest_free;
    card.mem_granule = info.mem_granule;
    card.has_memory = info.capabilities & P2PRDMA_CAP_MEM;
    card.has_p2pdma = info.capabilities & P2PRDMA_CAP_P2PDMA;
    card.has_revoke = info.capabilities & P2PRDMA_CAP_REVOKE;
    card.has_doorbells = info.capabilities & P2PRDMA_CAP_DOORBELL;
    card.has_windows = info.capabilities & P2PRDMA_CAP_WINDOW;
    card.has_bells = info.capabilities & P2PRDMA_CAP_BELL;
    card.has_control = info.capabilities & P2PRDMA_CAP_CONTROL;
    return card;
}

Reach from_uapi(const p2prdma_query_reach& answer)
{
    static constexpr Reach::Kind kinds[] = {Reach::Kind::peer_switch, Reach::Kind::peer_bridge,
                                            Reach::Kind::refused, Reach::Kind::unsupported};
    Reach reach;
    reach.kind = answer.reach < std::size(kinds) ? kinds[answer.reach] : Reach::Kind::unsupported;
    reach.distance = answer.distance;
    reach.peer = from_uapi(answer.peer);
    reach.card_port = from_uapi(answer.card_port);
    reach.peer_port = from_uapi(answer.peer_port);
    reach.common = from_uapi(answer.common);
    reach.host_vendor = answer.host_vendor;
    reach.host_device = answer.host_device;
    return reach;
}

} // namespace internal
} // namespace p2prdma
