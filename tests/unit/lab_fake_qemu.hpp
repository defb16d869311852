// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include "tools/lab/event_loop.hpp"
#include "tools/lab/machine.hpp"
#include "tools/lab/pci_device.hpp"
#include "tools/lab/unique_fd.hpp"
#include "tools/lab/vfio_user_protocol.hpp"
#include "tools/lab/vfio_user_server.hpp"

#include <cstring>
#include <deque>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace lab::test {

using Bytes = std::vector<std::byte>;

/// The bytes of values, one behind the other.
template <typename... T>
Bytes bytes(const T&... values)
{
    Bytes all;
    (
        [&] {
            auto one = std::as_bytes(std::span(&values, 1));
            all.insert(all.end(), one.begin(), one.end());
        }(),
        ...);
    return all;
}

inline Bytes operator+(Bytes one, const Bytes& other)
{
    one.insert(one.end(), other.begin(), other.end());
    return one;
}

template <typename T>
T value(std::span<const std::byte> data, std::size_t offset = 0)
{
    T result{};
    if (data.size() >= offset + sizeof(T))
        std::memcpy(&result, data.data() + offset, sizeof(T));
    return result;
}

Bytes pattern(std::size_t size, unsigned seed = 1);

/// Runs the loop until `condition` holds; false if that takes too long.
bool pump(EventLoop& loop, const std::function<bool()>& condition);

/// A directory for sockets and files, removed at the end.
class Directory {
public:
    Directory();
    ~Directory() { std::filesystem::remove_all(path_); }
    Directory(const Directory&) = delete;
    Directory& operator=(const Directory&) = delete;
    std::string file(const std::string& name) const { return path_ / name; }

private:
    std::filesystem::path path_;
};

/// A file of zeroes that stands for memory of QEMU's, mapped.
struct SharedFile {
    SharedFile(const std::string& path, std::size_t size);
    UniqueFd fd;
    MappedMemory memory;
    std::span<std::byte> bytes() const { return memory.bytes(); }
};

/// A device that records what is done to it. BAR 0: trapped, 64 KiB. BAR 2: memory, 64 KiB. BAR 4:
/// MSI-X, 4 vectors.
class RecordingDevice : public PciDevice {
public:
    struct Write {
        unsigned bar;
        std::uint64_t offset;
        Bytes data;
    };

    RecordingDevice(EventLoop& loop, const std::string& name);
    void bar_read(unsigned bar, std::uint64_t offset, std::span<std::byte> into) override;
    void bar_write(unsigned bar, std::uint64_t offset, std::span<const std::byte> data) override;
    void reset() override { ++resets; }

    /// Gives BAR `bar` an address.
    void place(unsigned bar, std::uint64_t address);
    /// Sets the command register: memory enable and bus master.
    void command(bool memory, bool master);

    std::vector<Write> writes;
    std::function<void(const Write&)> on_write;
    int resets = 0;
};

/// The other end of a vfio-user socket. It works on the loop that the server uses.
class FakeQemu {
public:
    struct Reply {
        vfio_user::Header header{};
        Bytes body;
        UniqueFd fd;
        int error() const
        {
            return header.flags & vfio_user::flag_error ? static_cast<int>(header.error) : 0;
        }
    };

    FakeQemu(EventLoop& loop, const std::string& path);
    ~FakeQemu();
    FakeQemu(const FakeQemu&) = delete;
    FakeQemu& operator=(const FakeQemu&) = delete;

    /// Sends a request, descriptors with it, and waits for the reply.
    Reply call(vfio_user::Command command, const Bytes& body, const std::vector<int>& fds = {});
    /// The same in two steps, for a reply that comes late.
    std::uint16_t ask(vfio_user::Command command, const Bytes& body,
                      const std::vector<int>& fds = {});
    Reply wait_reply(std::uint16_t id);
    bool has_reply() const { return !replies_.empty(); }
    /// Sends a message and does not wait.
    void send(vfio_user::Header header, const Bytes& body, const std::vector<int>& fds = {});
    void send_raw(const Bytes& data);
    /// True once the server has closed the connection.
    bool closed();

    /// What the real one does first.
    void handshake();
    int map(std::uint64_t address, std::uint64_t size, int fd = -1, std::uint64_t offset = 0,
            std::uint32_t flags = 3);
    int unmap(std::uint64_t address, std::uint64_t size);
    Bytes config_read(std::uint64_t offset, std::uint32_t count);
    int config_write(std::uint64_t offset, const Bytes& data);
    Bytes region_read(std::uint32_t region, std::uint64_t offset, std::uint32_t count);
    int region_write(std::uint32_t region, std::uint64_t offset, const Bytes& data);
    /// A posted write: the server does not reply.
    void post(std::uint32_t region, std::uint64_t offset, const Bytes& data);

    /// DMA_READ and DMA_WRITE messages that the server sent, oldest first.
    std::deque<Reply> requests;
    /// Drops the replies to what send() sent, once the server has served it all.
    void forget_replies();
    /// Answers the oldest of them.
    void answer(int error = 0, const Bytes& data = {});

private:
    void readable();
    bool cut_message();

    EventLoop& loop_;
    UniqueFd socket_;
    Bytes input_;
    std::deque<UniqueFd> fds_;
    std::deque<Reply> replies_;
    std::uint16_t next_id_ = 100;
    bool closed_ = false;
};

} // namespace lab::test
