// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "tools/lab/config.hpp"
#include "tools/lab/control.hpp"
#include "tools/lab/event_loop.hpp"
#include "tools/lab/lab_server.hpp"
#include "tools/lab/log.hpp"

#include <CLI/CLI.hpp>

#include <csignal>
#include <cstdio>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <system_error>

namespace {

constexpr const char* example = R"(Example:
  p2prdma-lab --config lab.json

with lab.json:
  {"control": "/run/lab/control.sock",
   "machines": [
     {"name": "a", "ram": ["/dev/shm/a.ram"],
      "devices": [
        {"id": "card0", "type": "refcard", "socket": "/run/lab/a.card0.sock",
         "switch": "sw0", "memory": 67108864, "serial": 1}]}]}

and a machine whose memory is that file:
  qemu-system-x86_64 -M q35,memory-backend=ram -m 512M
    -object memory-backend-file,id=ram,mem-path=/dev/shm/a.ram,size=512M,share=on
    -device pcie-root-port,id=rp0 -device x3130-upstream,id=up0,bus=rp0
    -device xio3130-downstream,id=dn0,bus=up0,chassis=1,slot=1
    -device '{"driver":"vfio-user-pci","bus":"dn0",
              "socket":{"type":"unix","path":"/run/lab/a.card0.sock"}}' ...)";

/// SIGTERM and SIGINT, to be read from a descriptor.
lab::UniqueFd block_signals()
{
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    ::sigprocmask(SIG_BLOCK, &signals, nullptr);
    lab::UniqueFd fd{::signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK)};
    if (!fd)
        throw std::system_error(errno, std::system_category(), "cannot receive signals");
    return fd;
}

int serve(const std::string& config_path)
{
    lab::Config config = lab::read_config(config_path);
    lab::EventLoop loop;
    lab::UniqueFd signals = block_signals();
    loop.watch(signals.get(), [&loop] { loop.stop(); });
    lab::LabServer server(loop, config);
    // Last: whoever waits for this socket may start the machines.
    lab::ControlServer control(loop, server, config.control);
    lab::log("lab", "serving " + std::to_string(server.devices().size()) + " devices");
    loop.run();
    lab::log("lab", "ends");
    return 0;
}

} // namespace

int main(int argc, char** argv)
{
    CLI::App app{"Models the PCIe devices of emulated machines: each is a vfio-user socket for a "
                 "QEMU to connect to."};
    std::string config;
    bool verbose = false;
    bool with_parent = false;
    app.add_option("--config", config, "the machines and their devices, a JSON file")->required();
    app.add_flag("--verbose", verbose, "trace each message");
    app.add_flag("--exit-with-parent", with_parent, "end when the process that started this ends");
    app.footer(example);
    CLI11_PARSE(app, argc, argv);

    lab::set_log_level(verbose ? lab::LogLevel::verbose : lab::LogLevel::normal);
    if (with_parent)
        ::prctl(PR_SET_PDEATHSIG, SIGTERM);
    try {
        return serve(config);
    } catch (const std::exception& error) {
        std::fprintf(stderr, "p2prdma-lab: %s\n", error.what());
        return 1;
    }
}
