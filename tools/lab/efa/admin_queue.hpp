// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include "tools/lab/dma_engine.hpp"
#include "tools/lab/efa/admin_result.hpp"

#include <cstdint>
#include <functional>

namespace lab::efa {

/// The admin submission and completion rings in host memory.
///
/// Commands are executed one after the other. A completion is written by the same DMA engine as
/// all else, so what an earlier command ended has stopped when the driver sees its completion.
class AdminQueue {
public:
    using Execute = std::function<void(const admin::SubmissionEntry&, AdminDone)>;
    using Completed = std::function<void()>;

    struct Ring {
        std::uint64_t base = 0;
        std::uint32_t depth = 0; ///< entries; a power of two, or 0: not set up
    };

    /// @param completed  called when a completion is in memory: the interrupt
    AdminQueue(DmaEngine& dma, Execute execute, Completed completed);

    /// The doorbell: entries up to `producer`, a running count, are valid. The rings are those
    /// of the first doorbell after a reset.
    /// @returns false if the rings are not set up, or cannot be
    bool doorbell(std::uint16_t producer, const Ring& submission, const Ring& completion);
    /// Forgets the rings, and the command that is being executed.
    void reset();

private:
    void next();
    void fetched(int error);
    void complete(const AdminResult& result);

    DmaEngine& dma_;
    Execute execute_;
    Completed completed_;
    Ring submission_;
    Ring completion_;
    std::uint16_t producer_ = 0;
    std::uint16_t consumer_ = 0;
    bool busy_ = false;
    std::uint32_t epoch_ = 0; ///< counts resets
    admin::SubmissionEntry entry_{};
};

} // namespace lab::efa
