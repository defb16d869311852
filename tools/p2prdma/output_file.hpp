// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include "p2prdma/unique_fd.hpp"

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace p2prdma::tool {

class Patience;

/// Where the received bytes go: nowhere (""), standard output ("-"), or a file that appears under
/// its name only when complete. Until then it is a temporary file beside it, removed on failure.
/// What exists and is not a regular file, such as /dev/null or a FIFO, is written in place.
class OutputFile {
public:
    /// \throws Failure if the file cannot be created
    explicit OutputFile(const std::string& path);
    ~OutputFile();
    OutputFile(const OutputFile&) = delete;
    OutputFile& operator=(const OutputFile&) = delete;

    /// Waits, with patience, where a reader at the other end is slow.
    /// \throws Failure no_space (disk full) or the error
    void write(std::span<const std::byte> data, Patience& patience);
    /// Whether it is a regular file, so that it can be mapped.
    bool can_map() const noexcept { return !temporary_.empty(); }
    /// Makes a regular file that long, and maps it: what comes into the memory is written, and
    /// write() has nothing left to do. Pages are brought when they are touched. Once, if
    /// can_map(); valid for the object's life. \throws Failure no_space (disk full)
    std::span<std::byte> map(std::uint64_t length);
    /// All is written and right: gives the file its name. \throws Failure
    void commit();

private:
    void create_temporary();
    std::size_t write_some(std::span<const std::byte> data) const;

    std::string path_;
    std::string temporary_;
    UniqueFd owned_;
    int fd_ = -1;
    bool may_block_ = false; // it is no regular file
    std::span<std::byte> mapping_;
};

} // namespace p2prdma::tool
