// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include <p2prdma/unique_fd.hpp>

#include <linux/perf_event.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <fstream>
#include <system_error>

namespace bench {

/// Counts the calling thread's system calls by the kernel's tracepoint raw_syscalls:sys_enter.
/// Reading the counter is a system call itself; count() leaves it out.
class SyscallCounter {
public:
    /// \throws std::system_error without the privilege or the tracepoint
    SyscallCounter()
    {
        perf_event_attr attributes{};
        attributes.size = sizeof(attributes);
        attributes.type = PERF_TYPE_TRACEPOINT;
        attributes.config = tracepoint();
        fd_ = p2prdma::UniqueFd(static_cast<int>(
            syscall(SYS_perf_event_open, &attributes, 0, -1, -1, PERF_FLAG_FD_CLOEXEC)));
        if (fd_.get() < 0)
            throw std::system_error(errno, std::generic_category(), "perf_event_open");
    }

    void start() { start_ = read_counter(); }
    /// System calls since start().
    [[nodiscard]] std::uint64_t count() const { return read_counter() - start_ - 1; }

private:
    static std::uint64_t tracepoint()
    {
        std::ifstream file("/sys/kernel/tracing/events/raw_syscalls/sys_enter/id");
        std::uint64_t id = 0;
        if (!(file >> id))
            throw std::system_error(ENOENT, std::generic_category(), "raw_syscalls:sys_enter");
        return id;
    }

    [[nodiscard]] std::uint64_t read_counter() const
    {
        std::uint64_t value = 0;
        if (::read(fd_.get(), &value, sizeof(value)) != static_cast<ssize_t>(sizeof(value)))
            throw std::system_error(errno, std::generic_category(), "reading a perf counter");
        return value;
    }

    p2prdma::UniqueFd fd_;
    std::uint64_t start_ = 0;
};

} // namespace bench
