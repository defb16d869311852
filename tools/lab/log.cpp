// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "tools/lab/log.hpp"

#include <cstdio>

namespace lab {

namespace {
bool verbose_on = false;
}

void log(std::string_view who, std::string_view what)
{
    std::fprintf(stderr, "%.*s: %.*s\n", static_cast<int>(who.size()), who.data(),
                 static_cast<int>(what.size()), what.data());
}

void trace(std::string_view who, std::string_view what)
{
    if (verbose_on)
        log(who, what);
}

bool verbose()
{
    return verbose_on;
}

void set_verbose(bool on)
{
    verbose_on = on;
}

} // namespace lab
