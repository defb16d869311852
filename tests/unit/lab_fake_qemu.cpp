// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "tests/unit/lab_fake_qemu.hpp"

#include "tools/lab/log.hpp"

#include <array>
#include <catch2/catch_test_macros.hpp>
#include <cerrno>
#include <fcntl.h>
#include <linux/pci_regs.h>
#include <sys/socket.h>
#include <sys/un.h>

namespace lab::test {

using vfio_user::Command;
using vfio_user::Header;

namespace {
// What the server has to say about bad messages does not belong among the results.
[[maybe_unused]] const bool quiet = (set_log_level(LogLevel::quiet), true);
} // namespace

Bytes pattern(std::size_t size, unsigned seed)
{
    Bytes data(size);
    for (std::size_t i = 0; i < size; ++i)
        data[i] = static_cast<std::byte>(i * 7 + seed + (i >> 8));
    return data;
}

bool pump(EventLoop& loop, const std::function<bool()>& condition)
{
    auto deadline = EventLoop::Clock::now() + std::chrono::seconds(5);
    while (!condition()) {
        if (EventLoop::Clock::now() > deadline)
            return false;
        loop.run_once(std::chrono::milliseconds(20));
    }
    return true;
}

Directory::Directory()
{
    std::string name = (std::filesystem::temp_directory_path() / "lab-test-XXXXXX").string();
    REQUIRE(::mkdtemp(name.data()) != nullptr);
    path_ = name;
}

SharedFile::SharedFile(const std::string& path, std::size_t size)
    : fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600))
{
    REQUIRE(::ftruncate(fd.get(), static_cast<off_t>(size)) == 0);
    memory = MappedMemory(fd.get(), size, true);
}

RecordingDevice::RecordingDevice(EventLoop& loop, const std::string& name)
    : PciDevice(loop, name,
                PciIdentity{.vendor = 0x1b36,
                            .device = 0x1234,
                            .class_code = 0x120000,
                            .revision = 3,
                            .msix_vectors = 4,
                            .msix_bar = 4,
                            .msix_table_offset = 0,
                            .msix_pba_offset = 0x800})
{
    add_trapped_bar(0, 0x10000);
    add_memory_bar(2, 0x10000, true);
    add_trapped_bar(4, 0x1000);
}

void RecordingDevice::bar_read(unsigned, std::uint64_t offset, std::span<std::byte> into)
{
    for (std::size_t i = 0; i < into.size(); ++i)
        into[i] = static_cast<std::byte>(offset + i);
}

void RecordingDevice::bar_write(unsigned bar, std::uint64_t offset, std::span<const std::byte> data)
{
    writes.push_back({bar, offset, Bytes(data.begin(), data.end())});
    if (on_write)
        on_write(writes.back());
}

void RecordingDevice::place(unsigned bar, std::uint64_t address)
{
    std::uint32_t offset = PCI_BASE_ADDRESS_0 + 4 * bar;
    config_write(offset, bytes(static_cast<std::uint32_t>(address)));
    if (bars()[bar].is_64bit)
        config_write(offset + 4, bytes(static_cast<std::uint32_t>(address >> 32)));
}

void RecordingDevice::command(bool memory, bool master)
{
    int value = (memory ? PCI_COMMAND_MEMORY : 0) | (master ? PCI_COMMAND_MASTER : 0);
    config_write(PCI_COMMAND, bytes(static_cast<std::uint16_t>(value)));
}

FakeQemu::FakeQemu(EventLoop& loop, const std::string& path)
    : loop_(loop), socket_(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0))
{
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    REQUIRE(path.size() < sizeof(address.sun_path));
    std::memcpy(address.sun_path, path.c_str(), path.size());
    REQUIRE(::connect(socket_.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0);
    loop_.watch(socket_.get(), [this] { readable(); });
}

FakeQemu::~FakeQemu()
{
    loop_.unwatch(socket_.get());
}

void FakeQemu::readable()
{
    std::array<std::byte, 65536> buffer;
    alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int) * 8)> control{};
    iovec vector{buffer.data(), buffer.size()};
    msghdr message{};
    message.msg_iov = &vector;
    message.msg_iovlen = 1;
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    ssize_t n = ::recvmsg(socket_.get(), &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (n <= 0) {
        closed_ = true;
        loop_.unwatch(socket_.get());
        return;
    }
    for (cmsghdr* c = CMSG_FIRSTHDR(&message); c; c = CMSG_NXTHDR(&message, c))
        fds_.emplace_back(value<int>(std::as_bytes(std::span(CMSG_DATA(c), sizeof(int)))));
    input_.insert(input_.end(), buffer.begin(), buffer.begin() + n);
    while (cut_message()) {
    }
}

bool FakeQemu::cut_message()
{
    auto header = value<Header>(input_);
    if (input_.size() < sizeof(header) || input_.size() < header.size)
        return false;
    Reply message;
    message.header = header;
    auto end = input_.begin() + header.size;
    message.body.assign(input_.begin() + sizeof(header), end);
    input_.erase(input_.begin(), end);
    bool is_reply = (header.flags & vfio_user::flag_type_mask) == vfio_user::flag_reply;
    (is_reply ? replies_ : requests).push_back(std::move(message));
    return true;
}

void FakeQemu::send(Header header, const Bytes& body, const std::vector<int>& fds)
{
    header.size = static_cast<std::uint32_t>(sizeof(header) + body.size());
    Bytes data = bytes(header) + body;
    alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int) * 16)> control{};
    iovec vector{data.data(), data.size()};
    msghdr message{};
    message.msg_iov = &vector;
    message.msg_iovlen = 1;
    if (!fds.empty()) {
        message.msg_control = control.data();
        message.msg_controllen = CMSG_SPACE(sizeof(int) * fds.size());
        cmsghdr* c = CMSG_FIRSTHDR(&message);
        if (c == nullptr)
            FAIL("no room for descriptors");
        *c = {.cmsg_len = CMSG_LEN(sizeof(int) * fds.size()),
              .cmsg_level = SOL_SOCKET,
              .cmsg_type = SCM_RIGHTS};
        std::memcpy(CMSG_DATA(c), fds.data(), sizeof(int) * fds.size());
    }
    // The server works on this thread: what the socket does not hold waits for its turn.
    ssize_t n = ::sendmsg(socket_.get(), &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    REQUIRE(n > 0);
    send_raw({data.begin() + n, data.end()});
}

void FakeQemu::send_raw(const Bytes& data)
{
    std::size_t sent = 0;
    while (sent < data.size()) {
        ssize_t n = ::send(socket_.get(), data.data() + sent, data.size() - sent,
                           MSG_NOSIGNAL | MSG_DONTWAIT);
        REQUIRE((n > 0 || errno == EAGAIN));
        sent += n > 0 ? static_cast<std::size_t>(n) : 0;
        loop_.run_once(std::chrono::milliseconds(0));
    }
}

bool FakeQemu::closed()
{
    return pump(loop_, [this] { return closed_; });
}

FakeQemu::Reply FakeQemu::call(Command command, const Bytes& body, const std::vector<int>& fds)
{
    return wait_reply(ask(command, body, fds));
}

std::uint16_t FakeQemu::ask(Command command, const Bytes& body, const std::vector<int>& fds)
{
    std::uint16_t id = next_id_++;
    send({.id = id,
          .command = static_cast<std::uint16_t>(command),
          .size = 0,
          .flags = 0,
          .error = 0},
         body, fds);
    return id;
}

FakeQemu::Reply FakeQemu::wait_reply(std::uint16_t id)
{
    REQUIRE(pump(loop_, [this] { return !replies_.empty() || closed_; }));
    REQUIRE(!replies_.empty());
    Reply reply = std::move(replies_.front());
    replies_.pop_front();
    REQUIRE(reply.header.id == id);
    if (!fds_.empty()) {
        reply.fd = std::move(fds_.front());
        fds_.pop_front();
    }
    return reply;
}

void FakeQemu::forget_replies()
{
    constexpr std::uint16_t last = 99;
    send({.id = last, .command = 4, .size = 0, .flags = 0, .error = 0}, {});
    REQUIRE(pump(loop_, [this] { return !replies_.empty() && replies_.back().header.id == last; }));
    replies_.clear();
    fds_.clear();
}

void FakeQemu::handshake()
{
    std::string text = R"({"capabilities":{"pgsizes":4096,"max_msg_fds":16,)"
                       R"("max_dma_maps":65535,"max_data_xfer_size":1048576}})";
    Bytes json(text.size() + 1);
    std::memcpy(json.data(), text.c_str(), json.size());
    REQUIRE(call(Command::version, bytes(vfio_user::Version{0, 0}) + json).error() == 0);
}

int FakeQemu::map(std::uint64_t address, std::uint64_t size, int fd, std::uint64_t offset,
                  std::uint32_t flags)
{
    std::vector<int> fds;
    if (fd >= 0)
        fds.push_back(fd);
    return call(Command::dma_map, bytes(vfio_user::DmaMap{32, flags, offset, address, size}), fds)
        .error();
}

int FakeQemu::unmap(std::uint64_t address, std::uint64_t size)
{
    return call(Command::dma_unmap, bytes(vfio_user::DmaUnmap{24, 0, address, size})).error();
}

Bytes FakeQemu::region_read(std::uint32_t region, std::uint64_t offset, std::uint32_t count)
{
    Reply reply = call(Command::region_read, bytes(vfio_user::RegionAccess{offset, region, count}));
    REQUIRE(reply.error() == 0);
    REQUIRE(reply.body.size() == sizeof(vfio_user::RegionAccess) + count);
    return {reply.body.begin() + sizeof(vfio_user::RegionAccess), reply.body.end()};
}

int FakeQemu::region_write(std::uint32_t region, std::uint64_t offset, const Bytes& data)
{
    auto count = static_cast<std::uint32_t>(data.size());
    return call(Command::region_write, bytes(vfio_user::RegionAccess{offset, region, count}) + data)
        .error();
}

void FakeQemu::post(std::uint32_t region, std::uint64_t offset, const Bytes& data)
{
    auto count = static_cast<std::uint32_t>(data.size());
    send({.id = next_id_++,
          .command = static_cast<std::uint16_t>(Command::region_write),
          .size = 0,
          .flags = vfio_user::flag_no_reply,
          .error = 0},
         bytes(vfio_user::RegionAccess{offset, region, count}) + data);
}

Bytes FakeQemu::config_read(std::uint64_t offset, std::uint32_t count)
{
    return region_read(vfio_user::region_config, offset, count);
}

int FakeQemu::config_write(std::uint64_t offset, const Bytes& data)
{
    return region_write(vfio_user::region_config, offset, data);
}

void FakeQemu::answer(int error, const Bytes& data)
{
    REQUIRE(pump(loop_, [this] { return !requests.empty(); }));
    Reply request = std::move(requests.front());
    requests.pop_front();
    Header header = request.header;
    header.flags = vfio_user::flag_reply | (error ? vfio_user::flag_error : 0);
    header.error = static_cast<std::uint32_t>(error);
    send(header, bytes(value<vfio_user::DmaAccess>(request.body)) + data);
}

} // namespace lab::test
