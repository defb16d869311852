// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "p2prdma/version.hpp"
#include "tools/p2prdma/commands.hpp"
#include "tools/p2prdma/failure.hpp"

#include <csignal>
#include <cstdio>
#include <cstring>
#include <span>

#include <CLI/CLI.hpp>

using namespace p2prdma::tool;

namespace {

/// Asked of the words themselves: the command line may be what is wrong.
bool wants_json(std::span<char*> words)
{
    for (const char* word : words)
        if (std::strcmp(word, "--json") == 0)
            return true;
    return false;
}

int fail(const Failure& failure, bool json)
{
    if (json)
        print(to_json(failure));
    else
        std::fprintf(stderr, "p2prdma: %s\n", failure.what());
    return static_cast<int>(failure.status());
}

void add_everything(CLI::App& app)
{
    app.set_version_flag("--version", std::string("p2prdma ") + p2prdma::library_version());
    app.require_subcommand(0,
                           1); // that there is one is checked after, so that a wrong one is named
    app.footer("Exit status: 0 done, 1 failed, 2 wrong usage, 3 no such card or RDMA device, 4 "
               "card or disk\n"
               "full, 5 the kernel refuses peer-to-peer traffic, 6 the peer cannot be reached or "
               "was lost,\n"
               "7 the bytes that arrived are not those that were sent, 130 interrupted.");
    add_list(app);
    add_info(app);
    add_send(app);
    add_recv(app);
    add_l2(app);
}

} // namespace

int main(int argc, char** argv)
{
    const bool json = wants_json({argv, static_cast<std::size_t>(argc)});
    CLI::App app(
        "Moves data between PCIe cards with memory and RDMA adapters, without the host in between, "
        "and between machines in Ethernet frames, without IP.",
        "p2prdma");
    try {
        std::signal(SIGPIPE, SIG_IGN); // a closed pipe is an error of write() like others
        add_everything(app);
        app.parse(argc, argv);
        if (app.get_subcommands().empty())
            throw Failure(Exit::usage, "usage",
                          "what is to be done: list, info, send, recv or l2? (see p2prdma --help)");
        return 0;
    } catch (const CLI::ParseError& error) {
        if (error.get_exit_code() == 0)
            return app.exit(error); // --help, --version
        return fail(
            Failure(Exit::usage, "usage", std::string(error.what()) + " (see p2prdma --help)"),
            json);
    } catch (const std::exception& error) {
        return fail(Failure::of(error), json);
    }
}
