// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include "p2prdma/card.hpp"
#include "p2prdma/isolation.hpp"

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

namespace CLI {
class App;
}

namespace p2prdma::tool {

using Json = nlohmann::ordered_json;

// Each adds its subcommand to the command line; what it is to do runs while that is parsed, and
// throws what goes wrong.
void add_list(CLI::App& app);
void add_info(CLI::App& app);
void add_send(CLI::App& app);
void add_recv(CLI::App& app);
void add_l2(CLI::App& app);

/// One line of JSON on standard output.
void print(const Json& json);
/// {"error": sentence, "code": name}
class Failure;
Json to_json(const Failure& failure);

/// The card that the user names; none if he names none.
std::optional<Card> open_card(const std::string& name);

/// Adds --piece SIZE, which sets `bytes` to more than 0.
void add_piece(CLI::App& command, std::uint64_t& bytes, const std::string& what);
/// Adds --isolation LEVEL, which sets `level`.
void add_isolation(CLI::App& command, Isolation::Level& level);
/// Adds --via: "card", "host" or "l2"; empty: not said.
void add_via(CLI::App& command, std::string& via);

/// Names and values as a JSON object.
Json to_json(const std::vector<std::pair<std::string, std::uint64_t>>& counters);

/// How a transfer went, in words: "4.0 MiB (4194304 bytes) in 1 piece, 0.52 s, 7.7 MiB/s".
std::string transfer_figures(std::uint64_t bytes, std::uint64_t pieces, double seconds);

} // namespace p2prdma::tool
