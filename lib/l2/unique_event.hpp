// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include <utility>

namespace p2prdma::l2 {

/// An eventfd, if it was opened: readable from ring() until clear(). Move-only.
class UniqueEvent {
public:
    UniqueEvent() = default;
    UniqueEvent(UniqueEvent&& other) noexcept
        : fd_(std::exchange(other.fd_, -1)), rung_(std::exchange(other.rung_, false))
    {
    }
    UniqueEvent& operator=(UniqueEvent&& other) noexcept
    {
        std::swap(fd_, other.fd_);
        std::swap(rung_, other.rung_);
        return *this;
    }
    ~UniqueEvent();

    /// Opens it, once. \throws Error
    void open();
    /// -1: not opened.
    [[nodiscard]] int fd() const noexcept { return fd_; }
    void ring() noexcept;  ///< costs a system call if it is open and was not rung
    void clear() noexcept; ///< costs one if it was rung

private:
    int fd_ = -1;
    bool rung_ = false;
};

} // namespace p2prdma::l2
