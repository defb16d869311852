// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "tools/p2prdma/progress.hpp"

#include <algorithm>
#include <cstdio>
#include <utility>

#include <sys/ioctl.h>
#include <unistd.h>

namespace p2prdma::tool {
namespace {

constexpr auto redraw_interval = std::chrono::milliseconds(100);

unsigned terminal_width()
{
    winsize size = {};
    return ::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col ? size.ws_col : 80;
}

} // namespace

std::string human_bytes(std::uint64_t bytes)
{
    static constexpr const char* units[] = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    if (bytes < 1024)
        return std::to_string(bytes) + (bytes == 1 ? " byte" : " bytes");
    double value = static_cast<double>(bytes) / 1024;
    std::size_t unit = 0;
    // 1023.95 would be written as 1024.0
    for (; value >= 1023.95 && unit + 1 < std::size(units); unit++)
        value /= 1024;
    char text[32];
    std::snprintf(text, sizeof(text), "%.1f %s", value, units[unit]);
    return text;
}

std::string progress_line(std::uint64_t done, std::uint64_t total,
                          std::chrono::duration<double> elapsed, unsigned width)
{
    const double share =
        total ? std::min(1.0, static_cast<double>(done) / static_cast<double>(total)) : 1;
    const double rate = elapsed.count() > 0 ? static_cast<double>(done) / elapsed.count() : 0;
    char percent[16];
    std::snprintf(percent, sizeof(percent), "%3.0f %% ", share * 100);
    const std::string figures = " " + human_bytes(done) + " of " + human_bytes(total) + ", " +
                                human_bytes(static_cast<std::uint64_t>(rate)) + "/s";
    const std::size_t used = std::string_view(percent).size() + figures.size() + 2;
    std::string bar;
    if (used + 8 <= width) {
        const std::size_t cells = std::min<std::size_t>(width - used, 40);
        const auto full = static_cast<std::size_t>(share * static_cast<double>(cells));
        bar = "[" + std::string(full, '#') + std::string(cells - full, '.') + "]";
    }
    return (percent + bar + figures).substr(0, width);
}

StatusLine::StatusLine(bool quiet) : shown_(!quiet && ::isatty(STDERR_FILENO)) {}

bool StatusLine::is_due() const
{
    return shown_ && Clock::now() - last_ >= redraw_interval;
}

void StatusLine::show(const std::string& text)
{
    if (!shown_)
        return;
    last_ = Clock::now();
    drawn_ = true;
    std::fprintf(stderr, "\r%s\033[K", text.substr(0, terminal_width() - 1).c_str());
    std::fflush(stderr);
}

void StatusLine::clear()
{
    if (std::exchange(drawn_, false))
        std::fputs("\r\033[K", stderr);
}

void Progress::update(std::uint64_t done)
{
    if (line_.is_due() || done >= total_)
        line_.show(progress_line(done, total_, Clock::now() - start_, terminal_width() - 1));
}

} // namespace p2prdma::tool
