// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include "p2prdma/api.hpp"

#include <utility>

namespace p2prdma {

/// The owner of a file descriptor: closes it when it goes. Move-only.
class P2PRDMA_API UniqueFd final {
public:
    UniqueFd() noexcept = default;
    /// Takes `fd` over; -1 means none.
    explicit UniqueFd(int fd) noexcept : fd_(fd) {}
    UniqueFd(UniqueFd&& other) noexcept : fd_(other.release()) {}
    UniqueFd& operator=(UniqueFd&& other) noexcept
    {
        reset(other.release());
        return *this;
    }
    UniqueFd(const UniqueFd&) = delete;
    UniqueFd& operator=(const UniqueFd&) = delete;
    ~UniqueFd() { reset(); }

    [[nodiscard]] int get() const noexcept { return fd_; }
    [[nodiscard]] explicit operator bool() const noexcept { return fd_ >= 0; }
    /// Gives the descriptor away: the caller closes it.
    [[nodiscard]] int release() noexcept { return std::exchange(fd_, -1); }
    /// Closes what is held and takes `fd` over.
    void reset(int fd = -1) noexcept;
    /// A second descriptor (close-on-exec) of the same open file.
    /// \throws Error with the errno of dup, such as EMFILE
    [[nodiscard]] UniqueFd dup() const;

private:
    int fd_ = -1;
};

} // namespace p2prdma
