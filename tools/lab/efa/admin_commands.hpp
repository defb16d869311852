// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include "tools/lab/efa/admin_result.hpp"
#include "tools/lab/efa/context.hpp"
#include "tools/lab/efa/resources.hpp"

#include <cstdint>

namespace lab::efa {

/// What the adapter is, as it tells the driver.
struct Identity {
    std::uint64_t guid;
    std::uint16_t doorbell_bar;
    std::uint32_t max_eq; ///< event queues, each with a vector of its own
    bool event_counters;
};

/// Executes an admin command; `done` is called once, perhaps later.
void execute_admin_command(Context& context, const Identity& identity, Resources& resources,
                           const admin::SubmissionEntry& entry, const AdminDone& done);

} // namespace lab::efa
