// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

// CLI11, whose string splitting g++ 12 believes to follow null pointers once it is inlined.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wnull-dereference"
#endif

#include <CLI/CLI.hpp>
