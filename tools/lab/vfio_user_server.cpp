// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "tools/lab/vfio_user_server.hpp"

#include "tools/lab/event_loop.hpp"
#include "tools/lab/log.hpp"
#include "tools/lab/machine.hpp"
#include "tools/lab/pci_device.hpp"
#include "tools/lab/unix_socket.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>
#include <optional>
#include <system_error>

namespace lab {

using namespace vfio_user;

namespace {

/// The fixed part at the start of a message's body, if it is there in full.
template <typename T>
std::optional<T> get(std::span<const std::byte> body)
{
    T value;
    if (body.size() < sizeof(value))
        return std::nullopt;
    std::memcpy(&value, body.data(), sizeof(value));
    return value;
}

template <typename T>
std::span<const std::byte> bytes_of(const T& value)
{
    return std::as_bytes(std::span(&value, 1));
}

std::string_view command_name(std::uint16_t command)
{
    return command_names[command < command_count ? command : 0];
}

/// The bytes of data that a message may carry, from the capabilities in a version message.
std::optional<std::size_t> transfer_limit(std::span<const std::byte> text)
{
    std::string_view json(reinterpret_cast<const char*>(text.data()), text.size());
    json = json.substr(0, json.find('\0'));
    if (json.empty())
        return max_data;
    auto wants = nlohmann::json::parse(json, nullptr, false);
    if (!wants.is_object())
        return std::nullopt;
    const nlohmann::json::json_pointer key("/capabilities/max_data_xfer_size");
    if (!wants.contains(key))
        return max_data;
    const auto& limit = wants.at(key);
    if (!limit.is_number_unsigned() || limit.get<std::uint64_t>() < 4096)
        return std::nullopt;
    return std::min<std::uint64_t>(max_data, limit.get<std::uint64_t>());
}

} // namespace

/// The body of a reply: `head`, then `data` if there is any.
struct VfioUserServer::Answer {
    std::vector<std::byte> body;
    int fd = -1;
    bool later = false; ///< the device gives it

    template <typename T>
    void add(const T& value)
    {
        auto bytes = bytes_of(value);
        body.insert(body.end(), bytes.begin(), bytes.end());
    }
};

VfioUserServer::VfioUserServer(EventLoop& loop, Machine& machine, PciDevice& device,
                               std::string path)
    : loop_(loop), machine_(machine), device_(device), path_(std::move(path)),
      listener_(listen_unix(path_))
{
    loop_.watch(listener_.get(), [this] { accept(); });
    device_.input_paused_changed_ = [this](bool paused) {
        if (connection_)
            connection_->pause(paused);
    };
}

VfioUserServer::~VfioUserServer()
{
    loop_.unwatch(listener_.get());
    device_.dma().connect(nullptr);
    device_.input_paused_changed_ = {};
    ::unlink(path_.c_str());
}

void VfioUserServer::accept()
{
    UniqueFd socket = accept_unix(listener_.get());
    if (!socket)
        return;
    if (connection_) {
        log(device_.name(), "refused a second QEMU: the device is in use");
        return;
    }
    connection_ = std::make_unique<VfioUserConnection>(
        loop_, std::move(socket), [this](Message& message) { received(message); },
        [this](const std::string& reason) { disconnected(reason); });
    connection_->pause(device_.input_paused());
    ++connections_;
    version_known_ = false;
    max_transfer_ = max_data;
    device_.dma().connect(this);
    log(device_.name(), "QEMU connected");
}

void VfioUserServer::disconnected(const std::string& reason)
{
    log(device_.name(), reason);
    device_.dma().connect(nullptr);
    connection_.reset();
    pending_.clear(); // power_on() tells those who wait
    device_.power_on();
}

void VfioUserServer::received(Message& message)
{
    if ((message.header.flags & flag_type_mask) == flag_reply)
        replied(message);
    else
        answer(message);
}

void VfioUserServer::answer(Message& message)
{
    Header header = message.header;
    ++counters_.messages[header.command < command_count ? header.command : 0];
    Answer answer;
    int error = dispatch(message, answer);
    trace_message(message, error);
    if (error != 0) {
        ++counters_.refused;
        log(device_.name(), "refused a message " + std::string(command_name(header.command)) +
                                ": " + std::strerror(error));
        answer = {};
    }
    if ((header.flags & flag_no_reply) || answer.later)
        return;
    header.flags = flag_reply | (error != 0 ? flag_error : 0);
    header.error = static_cast<std::uint32_t>(error);
    connection_->send(header, answer.body, {}, answer.fd);
}

void VfioUserServer::trace_message(const Message& message, int error) const
{
    if (!verbose())
        return;
    std::string text(command_name(message.header.command));
    text += " of " + std::to_string(message.header.size) + " bytes";
    if (!message.fds.empty())
        text += " with " + std::to_string(message.fds.size()) + " descriptors";
    if (auto access = get<RegionAccess>(message.body);
        access && (message.header.command == 9 || message.header.command == 10))
        text += ", region " + std::to_string(access->region) + " offset " +
                std::to_string(access->offset) + " count " + std::to_string(access->count);
    trace(device_.name(), text + (error != 0 ? ", refused" : ""));
}

int VfioUserServer::dispatch(Message& message, Answer& answer)
{
    auto command = Command{message.header.command};
    if (!version_known_ && command != Command::version)
        return EINVAL;
    switch (command) {
    case Command::version:
        return on_version(message, answer);
    case Command::dma_map:
        return on_dma_map(message);
    case Command::dma_unmap:
        return on_dma_unmap(message, answer);
    case Command::get_info:
        return on_get_info(answer);
    case Command::get_region_info:
        return on_get_region_info(message, answer);
    case Command::get_irq_info:
        return on_get_irq_info(message, answer);
    case Command::set_irqs:
        return on_set_irqs(message);
    case Command::region_read:
        return on_region_read(message, answer);
    case Command::region_write:
        return on_region_write(message, answer);
    case Command::reset:
        return on_reset();
    case Command::get_region_io_fds:
    case Command::dma_read:
    case Command::dma_write:
        break;
    }
    return ENOTSUP;
}

int VfioUserServer::on_version(Message& message, Answer& answer)
{
    auto version = get<Version>(message.body);
    if (!version || version_known_)
        return EINVAL;
    if (version->major != 0)
        return ENOTSUP;
    auto limit = transfer_limit(message.body.subspan(sizeof(Version)));
    if (!limit)
        return EINVAL;
    max_transfer_ = *limit;
    version_known_ = true;
    // QEMU takes no reply that is longer than its own message, and wants the zero byte.
    static const std::string mine = nlohmann::json{
        {"capabilities",
         {{"max_msg_fds", max_fds},
          {"max_data_xfer_size", max_data},
          {"pgsizes", 4096}}}}.dump();
    answer.add(Version{0, 0});
    auto bytes = std::as_bytes(std::span(mine.c_str(), mine.size() + 1));
    answer.body.insert(answer.body.end(), bytes.begin(), bytes.end());
    return 0;
}

int VfioUserServer::on_dma_map(Message& message)
{
    auto map = get<vfio_user::DmaMap>(message.body);
    if (!map || map->argsz < sizeof(*map) || map->size == 0 || message.fds.size() > 1 ||
        map->size - 1 > lab::DmaMap::max_address - map->address)
        return EINVAL;
    return add_range(*map, message.fds.empty() ? -1 : message.fds.front().get());
}

int VfioUserServer::add_range(const vfio_user::DmaMap& map, int fd)
{
    lab::DmaMap::Range range;
    range.address = map.address;
    range.last = map.address + (map.size - 1);
    range.writable = map.flags & dma_map_write;
    if (fd >= 0) {
        std::shared_ptr<const FileMapping> file;
        try {
            file = machine_.map_file(fd, range.writable);
        } catch (const std::system_error& error) {
            return error.code().value();
        }
        auto bytes = file->memory.bytes();
        if (map.offset > bytes.size() || map.size > bytes.size() - map.offset)
            return EINVAL;
        range.memory = bytes.data() + map.offset;
        range.route = Machine::route(device_, *file);
        range.owner = std::move(file);
    }
    device_.dma().map().add(std::move(range));
    return 0;
}

int VfioUserServer::on_dma_unmap(Message& message, Answer& answer)
{
    auto unmap = get<DmaUnmap>(message.body);
    if (!unmap || unmap->argsz < sizeof(*unmap) || unmap->size == 0 ||
        unmap->size - 1 > lab::DmaMap::max_address - unmap->address)
        return EINVAL;
    device_.dma().map().remove(unmap->address, unmap->address + (unmap->size - 1));
    answer.add(*unmap);
    return 0;
}

int VfioUserServer::on_get_info(Answer& answer)
{
    answer.add(DeviceInfo{sizeof(DeviceInfo), device_reset | device_pci, region_count, irq_count});
    return 0;
}

std::uint64_t VfioUserServer::region_size(std::uint32_t region) const
{
    if (region < device_.bars().size())
        return device_.bars()[region].size;
    return region == region_config ? device_.config_.size() : 0;
}

int VfioUserServer::on_get_region_info(Message& message, Answer& answer)
{
    auto info = get<RegionInfo>(message.body);
    if (!info || info->argsz < sizeof(*info) || info->index >= region_count)
        return EINVAL;
    info->argsz = sizeof(*info);
    info->size = region_size(info->index);
    info->flags = info->size != 0 ? region_readable | region_writable : 0;
    info->capability_offset = 0;
    info->offset = 0;
    if (info->index < device_.bars().size() && device_.bars()[info->index].memory_fd >= 0) {
        info->flags |= region_mappable;
        answer.fd = device_.bars()[info->index].memory_fd;
    }
    answer.add(*info);
    return 0;
}

int VfioUserServer::on_get_irq_info(Message& message, Answer& answer)
{
    auto info = get<IrqInfo>(message.body);
    if (!info || info->argsz < sizeof(*info) || info->index >= irq_count)
        return EINVAL;
    bool msix = info->index == irq_msix;
    info->argsz = sizeof(*info);
    info->flags = msix ? irq_eventfd | irq_no_resize : 0;
    info->count = msix ? static_cast<std::uint32_t>(device_.msix_eventfds_.size()) : 0;
    answer.add(*info);
    return 0;
}

int VfioUserServer::on_set_irqs(Message& message)
{
    auto set = get<SetIrqs>(message.body);
    if (!set || set->argsz < sizeof(*set))
        return EINVAL;
    std::size_t vectors = set->index == irq_msix ? device_.msix_eventfds_.size() : 0;
    if (set->start > vectors || set->count > vectors - set->start)
        return EINVAL;
    if (set->flags == (irq_data_none | irq_action_trigger) && set->count == 0) {
        if (set->index == irq_msix)
            disable_interrupts();
        return 0;
    }
    if (set->flags == (irq_data_eventfd | irq_action_trigger) && set->count != 0)
        return set_eventfds(set->start, set->count, message);
    return ENOTSUP;
}

/// A descriptor for each vector, or none at all: the vectors lose theirs.
int VfioUserServer::set_eventfds(std::uint32_t start, std::uint32_t count, Message& message)
{
    if (!message.fds.empty() && message.fds.size() != count)
        return EINVAL;
    for (std::uint32_t i = 0; i < count; ++i) {
        int eventfd = message.fds.empty() ? -1 : message.fds[i].release();
        device_.set_interrupt(start + i, eventfd);
    }
    return 0;
}

void VfioUserServer::disable_interrupts()
{
    for (unsigned vector = 0; vector < device_.msix_eventfds_.size(); ++vector)
        device_.set_interrupt(vector, -1);
}

bool VfioUserServer::valid_access(const RegionAccess& access) const
{
    std::uint64_t size = access.region < region_count ? region_size(access.region) : 0;
    return access.count != 0 && access.count <= max_data && access.offset <= size &&
           access.count <= size - access.offset;
}

int VfioUserServer::on_region_read(Message& message, Answer& answer)
{
    auto access = get<RegionAccess>(message.body);
    if (!access || !valid_access(*access))
        return EINVAL;
    ++counters_.reads[access->region];
    answer.later = access->region != region_config && device_.memory_enabled() &&
                   read_later(message.header, *access);
    if (answer.later)
        return 0;
    answer.add(*access);
    answer.body.resize(sizeof(*access) + access->count, std::byte{0xff});
    auto into = std::span(answer.body).subspan(sizeof(*access));
    if (access->region == region_config)
        device_.config_read(static_cast<std::uint32_t>(access->offset), into);
    else if (device_.memory_enabled()) // otherwise nobody answers: all ones
        device_.peer_read(access->region, access->offset, into);
    return 0;
}

/// True if the device answers by itself: others are served meanwhile.
bool VfioUserServer::read_later(const Header& header, const RegionAccess& access)
{
    auto reply = [this, header = Header{header}, access,
                  connection = connections_](std::span<const std::byte> data) mutable {
        if (!connection_ || connection != connections_ || (header.flags & flag_no_reply))
            return;
        header.flags = flag_reply;
        header.error = 0;
        connection_->send(header, bytes_of(access), data);
    };
    return device_.bar_read_later(access.region, access.offset, access.count, std::move(reply));
}

int VfioUserServer::on_region_write(Message& message, Answer& answer)
{
    auto access = get<RegionAccess>(message.body);
    if (!access || !valid_access(*access) || message.body.size() != sizeof(*access) + access->count)
        return EINVAL;
    ++counters_.writes[access->region];
    auto data = message.body.subspan(sizeof(*access));
    if (access->region == region_config)
        device_.config_write(static_cast<std::uint32_t>(access->offset), data);
    else if (device_.memory_enabled())
        device_.peer_write(access->region, access->offset, data);
    answer.add(*access);
    return 0;
}

int VfioUserServer::on_reset()
{
    device_.function_reset();
    return 0;
}

Header VfioUserServer::request(Command command, Reply reply)
{
    ++counters_.messages[static_cast<std::size_t>(command)];
    std::uint16_t id = next_id_++;
    pending_[id] = std::move(reply);
    return {.id = id,
            .command = static_cast<std::uint16_t>(command),
            .size = 0,
            .flags = 0,
            .error = 0};
}

void VfioUserServer::send_read(std::uint64_t address, std::size_t length, Reply reply)
{
    Header header = request(Command::dma_read, std::move(reply));
    connection_->send(header, bytes_of(DmaAccess{address, length}));
}

void VfioUserServer::send_write(std::uint64_t address, std::span<const std::byte> data, Reply reply)
{
    Header header = request(Command::dma_write, std::move(reply));
    connection_->send(header, bytes_of(DmaAccess{address, data.size()}), data);
}

void VfioUserServer::replied(const Message& message)
{
    auto entry = pending_.extract(message.header.id);
    if (entry.empty()) {
        log(device_.name(), "ignored a reply to nothing that was asked");
        return;
    }
    int error = 0;
    if (message.header.flags & flag_error)
        error = message.header.error != 0 ? static_cast<int>(message.header.error) : EIO;
    auto access = get<DmaAccess>(message.body);
    if (error == 0 && !access)
        error = EPROTO;
    auto data = access ? message.body.subspan(sizeof(DmaAccess)) : std::span<const std::byte>{};
    entry.mapped()(error, data);
}

} // namespace lab
