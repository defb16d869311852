// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include "tools/lab/efa/admin_layout.hpp"

#include <array>
#include <cstddef>
#include <cstring>
#include <functional>
#include <type_traits>

namespace lab::efa {

/// How an admin command ended, and its response.
struct AdminResult {
    admin::Status status = admin::Status::success;
    std::array<std::byte, admin::response_size> response{};

    AdminResult() = default;
    AdminResult(admin::Status s) : status(s) {} // NOLINT: a status alone is a result

    template <typename T>
    static AdminResult with(const T& value)
    {
        static_assert(sizeof(T) <= admin::response_size && std::is_trivially_copyable_v<T>);
        AdminResult result;
        std::memcpy(result.response.data(), &value, sizeof(value));
        return result;
    }
};

/// Called once when a command has ended.
using AdminDone = std::function<void(const AdminResult&)>;

/// A command's payload as the structure it is.
template <typename T>
T command_as(const admin::SubmissionEntry& entry)
{
    static_assert(sizeof(T) <= admin::payload_size && std::is_trivially_copyable_v<T>);
    T command{};
    std::memcpy(&command, entry.payload.data(), sizeof(command));
    return command;
}

} // namespace lab::efa
