// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

/// Marks what the shared library exports; all else is hidden.
#define P2PRDMA_API __attribute__((visibility("default")))
