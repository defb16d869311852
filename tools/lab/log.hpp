// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include <string_view>

namespace lab {

/// Prints one line to standard error: a notable event, such as a machine that connected.
void log(std::string_view who, std::string_view what);

/// The same for the trace of --verbose; nothing is printed unless it is on. Check verbose() first
/// where making the text costs something.
void trace(std::string_view who, std::string_view what);
bool verbose();

/// What is printed; `normal` to begin with.
enum class LogLevel { quiet, normal, verbose };
void set_log_level(LogLevel level);

} // namespace lab
