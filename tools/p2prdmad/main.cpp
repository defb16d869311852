// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "p2prdma/error.hpp"
#include "tools/p2prdmad/daemon.hpp"
#include "tools/p2prdmad/log.hpp"
#include "tools/p2prdmad/options.hpp"

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <system_error>

using namespace p2prdma;
using namespace p2prdma::daemon;

namespace {

enum class Exit { ok = 0, failed = 1, usage = 2, no_device = 3, in_use = 4, not_isolated = 5 };

Exit status_of(const std::exception& error)
{
    if (dynamic_cast<const UsageError*>(&error))
        return Exit::usage;
    const auto* system = dynamic_cast<const std::system_error*>(&error);
    if (!system)
        return Exit::failed;
    if (system->code() == Errc::not_isolated)
        return Exit::not_isolated;
    if (system->code() == Errc::bad_argument)
        return Exit::usage;
    if (system->code() == std::errc::device_or_resource_busy)
        return Exit::in_use;
    if (system->code() == std::errc::no_such_device)
        return Exit::no_device;
    return Exit::failed;
}

} // namespace

int main(int argc, char** argv)
{
    try {
        std::signal(SIGPIPE, SIG_IGN); // a closed pipe is an error of write() like others
        const auto options = parse_options(argc, argv);
        if (!options)
            return 0;
        Log log(stderr, std::getenv("JOURNAL_STREAM") != nullptr);
        Daemon(*options, log).run();
        return 0;
    } catch (const std::exception& error) {
        std::fprintf(stderr, "p2prdmad: %s\n", error.what());
        return static_cast<int>(status_of(error));
    }
}
