// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
//
// libFuzzer on an engine with a connection: an input is one byte, EngineTarget::Aim and which Kind
// of target, and a frame. It lands in a connection that earlier inputs have been thrown at, until
// that has ended.
#include "tests/fuzz/golden_mutator.hpp"
#include "tests/l2/engine_target.hpp"

#include <array>
#include <cstdlib>
#include <memory>

using namespace p2prdma::l2;

namespace {

constexpr unsigned aim_mask = 0x3f, rich = 0x40;
std::array<std::unique_ptr<EngineTarget>, 2> targets;
std::uint64_t seed = 0;

} // namespace

extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size,
                                               std::size_t max, unsigned random)
{
    if (size == 0)
        data[0] = aim_mask;
    const auto frame = size == 0 ? 0 : size - 1;
    if (random % 16 == 1)
        data[0] = static_cast<std::uint8_t>(random >> 4 & (aim_mask | rich));
    return 1 + mutate_frame(data + 1, frame, max - 1, random);
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    if (size == 0)
        return 0;
    const bool is_rich = (data[0] & rich) != 0;
    auto& target = targets[is_rich]; // NOLINT
    if (!target || !target->is_connected())
        target = std::make_unique<EngineTarget>(++seed, is_rich ? EngineTarget::Kind::rich
                                                                : EngineTarget::Kind::plain);
    const auto bytes = std::as_bytes(std::span(data + 1, size - 1));
    target->feed({bytes.begin(), bytes.end()}, data[0] & aim_mask);
    if (!target->is_unharmed())
        std::abort();
    return 0;
}
