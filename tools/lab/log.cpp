// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "tools/lab/log.hpp"

#include <cstdio>

namespace lab {

namespace {
LogLevel log_level = LogLevel::normal;
}

void log(std::string_view who, std::string_view what)
{
    if (log_level == LogLevel::quiet)
        return;
    std::fprintf(stderr, "%.*s: %.*s\n", static_cast<int>(who.size()), who.data(),
                 static_cast<int>(what.size()), what.data());
}

void trace(std::string_view who, std::string_view what)
{
    if (verbose())
        log(who, what);
}

bool verbose()
{
    return log_level == LogLevel::verbose;
}

void set_log_level(LogLevel level)
{
    log_level = level;
}

} // namespace lab
