// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include <cstdint>
#include <map>
#include <string>

namespace lab {

/// What a device saw that no right software and no right device does: kept until somebody takes
/// it. A guest cannot make it grow without bound.
class Violations {
public:
    static constexpr std::size_t max_kinds = 64;

    struct Seen {
        std::uint64_t count = 0;
        std::string first; ///< details of the first one
    };

    /// `kind` is a sentence without the details that differ each time; those are in `detail`.
    void add(const std::string& kind, const std::string& detail)
    {
        auto it = seen_.find(kind);
        if (it == seen_.end() && seen_.size() >= max_kinds)
            it = seen_.try_emplace("more").first;
        else if (it == seen_.end())
            it = seen_.emplace(kind, Seen{.count = 0, .first = detail}).first;
        ++it->second.count;
    }
    const std::map<std::string, Seen>& seen() const { return seen_; }
    void clear() { seen_.clear(); }

private:
    std::map<std::string, Seen> seen_; ///< by kind
};

} // namespace lab
