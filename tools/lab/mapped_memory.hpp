// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include "tools/lab/unique_fd.hpp"

#include <cstddef>
#include <cstdint>
#include <span>

namespace lab {

/// A shared mapping of a file. Move-only; unmapped when it goes.
class MappedMemory {
public:
    MappedMemory() = default;
    /// Maps the first `size` bytes of `fd`, which the caller keeps.
    /// Throws std::system_error if that fails.
    MappedMemory(int fd, std::size_t size, bool writable);
    ~MappedMemory();
    MappedMemory(MappedMemory&& other) noexcept : bytes_(std::exchange(other.bytes_, {})) {}
    MappedMemory& operator=(MappedMemory&& other) noexcept
    {
        std::swap(bytes_, other.bytes_);
        return *this;
    }
    MappedMemory(const MappedMemory&) = delete;
    MappedMemory& operator=(const MappedMemory&) = delete;

    std::span<std::byte> bytes() const { return bytes_; }

private:
    std::span<std::byte> bytes_;
};

/// Writes `data` to memory that another machine may be polling. Up to 64 bytes become visible with
/// the first eight last, so that a reader that sees those sees the rest.
void store(std::byte* to, std::span<const std::byte> data);

/// A new memfd of `size` zero bytes. Throws std::system_error.
UniqueFd make_memfd(const char* name, std::uint64_t size);

} // namespace lab
