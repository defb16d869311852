// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include "p2prdma/unique_fd.hpp"

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace p2prdma::tool {

/// The file to be sent: its size is taken when it is opened and must stay the same.
class InputFile {
public:
    /// \throws Failure missing, no permission, a directory or other than a regular file
    explicit InputFile(const std::string& path);

    std::uint64_t size() const noexcept { return size_; }
    /// Fills `into` from `offset`. \throws Failure on errors, and if the file became shorter
    void read(std::uint64_t offset, std::span<std::byte> into) const;
    /// \throws Failure if the file's size is no longer that of the beginning
    void check_size() const;

private:
    std::string path_;
    UniqueFd fd_;
    std::uint64_t size_ = 0;
};

} // namespace p2prdma::tool
