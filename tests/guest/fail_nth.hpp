// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

// The kernel's fault injection makes one allocation after the other fail inside a call.

#include "p2prdma/unique_fd.hpp"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include <fcntl.h>
#include <unistd.h>

namespace uapi {

/// /proc/thread-self/fail-nth: the nth allocation from now on in this thread fails.
class FailNth {
public:
    FailNth() : fd_(::open("/proc/thread-self/fail-nth", O_RDWR | O_CLOEXEC))
    {
        // Also those that could wait for memory, which nearly all do.
        for (const char* kind : {"failslab", "fail_page_alloc"})
            std::ofstream(std::string("/sys/kernel/debug/") + kind + "/ignore-gfp-wait") << "N";
    }
    [[nodiscard]] bool available() const
    {
        return bool(fd_) && std::filesystem::exists("/sys/kernel/debug/failslab");
    }
    void set(int nth) { write_text(std::to_string(nth)); }
    /// Ends it; true if an allocation has failed.
    bool clear()
    {
        char text[16] = {};
        (void)!::pread(fd_.get(), text, sizeof(text) - 1, 0);
        write_text("0");
        return std::atoi(text) == 0;
    }

private:
    void write_text(const std::string& text)
    {
        (void)!::pwrite(fd_.get(), text.data(), text.size(), 0);
    }
    p2prdma::UniqueFd fd_;
};

} // namespace uapi
