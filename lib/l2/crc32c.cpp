// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "lib/l2/crc32c.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstring>

#if defined(__x86_64__)
#include <immintrin.h>
#define P2PRDMA_CRC_TARGET __attribute__((target("sse4.2")))
#define P2PRDMA_CLMUL_TARGET __attribute__((target("sse4.2,pclmul")))
#define P2PRDMA_VCLMUL_TARGET __attribute__((target("sse4.2,pclmul,avx512f,vpclmulqdq")))
#elif defined(__aarch64__) && defined(__linux__)
#include <arm_acle.h>
#include <arm_neon.h>
#include <sys/auxv.h>
#ifdef __clang__
#define P2PRDMA_CRC_TARGET __attribute__((target("crc")))
#define P2PRDMA_CLMUL_TARGET __attribute__((target("crc,aes")))
#else
#define P2PRDMA_CRC_TARGET __attribute__((target("+crc")))
#define P2PRDMA_CLMUL_TARGET __attribute__((target("+crc+crypto")))
#endif
#endif

namespace p2prdma::l2 {
namespace {

/// The polynomial without x^32, coefficients in reverse: bit 31 is that of x^0.
constexpr std::uint32_t polynomial = 0x82f63b78;

constexpr std::uint32_t times_x(std::uint32_t value) noexcept
{
    return value >> 1 ^ (value & 1 ? polynomial : 0);
}

/// x^exponent mod P.
constexpr std::uint32_t power_of_x(unsigned exponent) noexcept
{
    std::uint32_t value = 0x80000000;
    for (; exponent > 0; exponent--)
        value = times_x(value);
    return value;
}

// --- tables, eight bytes a step ---------------------------------------------------------------

using Table = std::array<std::uint32_t, 256>;

/// tables[k][b]: what byte b contributes with k bytes behind it.
constexpr auto tables = [] {
    std::array<Table, 8> all = {};
    for (std::uint32_t byte = 0; byte < 256; byte++) {
        auto value = byte;
        for (auto& table : all) {
            for (int i = 0; i < 8; i++)
                value = times_x(value);
            table[byte] = value;
        }
    }
    return all;
}();

std::uint32_t byte_by_table(std::uint32_t crc, std::byte byte) noexcept
{
    return crc >> 8 ^ tables[0][(crc ^ std::to_integer<std::uint32_t>(byte)) & 0xff];
}

std::uint32_t eight_by_table(std::uint32_t crc, const std::byte* at) noexcept
{
    std::uint32_t sum = 0;
    for (unsigned i = 0; i < 8; i++) {
        const std::uint32_t before = i < 4 ? crc >> 8 * i : 0;
        sum ^= tables[7 - i][(std::to_integer<std::uint32_t>(at[i]) ^ before) & 0xff];
    }
    return sum;
}

std::uint32_t by_table(std::uint32_t crc, std::span<const std::byte> bytes) noexcept
{
    crc = ~crc;
    for (; bytes.size() >= 8; bytes = bytes.subspan(8))
        crc = eight_by_table(crc, bytes.data());
    for (const auto byte : bytes)
        crc = byte_by_table(crc, byte);
    return ~crc;
}

#ifdef P2PRDMA_CRC_TARGET

// --- the processor's instructions -------------------------------------------------------------

P2PRDMA_CRC_TARGET inline std::uint32_t step(std::uint32_t crc, std::uint64_t word) noexcept
{
#ifdef __x86_64__
    return static_cast<std::uint32_t>(_mm_crc32_u64(crc, word));
#else
    return __crc32cd(crc, word);
#endif
}

P2PRDMA_CRC_TARGET inline std::uint32_t step(std::uint32_t crc, std::uint8_t byte) noexcept
{
#ifdef __x86_64__
    return _mm_crc32_u8(crc, byte);
#else
    return __crc32cb(crc, byte);
#endif
}

/// Both kinds of processor are little-endian here.
inline std::uint64_t word_at(const std::byte* at) noexcept
{
    std::uint64_t word = 0;
    std::memcpy(&word, at, sizeof word);
    return word;
}

P2PRDMA_CRC_TARGET inline std::uint32_t serial(std::uint32_t crc, const std::byte* at,
                                               std::size_t size) noexcept
{
    const auto* const end = at + size;
    for (; end - at >= 8; at += 8)
        crc = step(crc, word_at(at));
    for (; at != end; at++)
        crc = step(crc, std::to_integer<std::uint8_t>(*at));
    return crc;
}

P2PRDMA_CRC_TARGET std::uint32_t by_instruction(std::uint32_t crc,
                                                std::span<const std::byte> bytes) noexcept
{
    return ~serial(~crc, bytes.data(), bytes.size());
}

// --- three streams at once, which hides the instruction's latency -----------------------------

/// A stream is at most so many words of 8 bytes long.
constexpr std::size_t max_words = 128;
/// Below it the streams cost more than they save.
constexpr std::size_t interleave_from = 96;

/// shifts[n]: x^(64 n - 33) mod P. The carry-less product of a CRC with it is a word whose step()
/// from 0 is that CRC with n words of zeros behind it: the product of two reversed numbers lacks
/// one factor x, and step() multiplies by x^32.
constexpr auto shifts = [] {
    std::array<std::uint32_t, 2 * max_words + 1> all = {};
    auto value = power_of_x(64 - 33);
    for (std::size_t n = 1; n < all.size(); n++) {
        all[n] = value;
        for (int i = 0; i < 64; i++)
            value = times_x(value);
    }
    return all;
}();

P2PRDMA_CLMUL_TARGET inline std::uint64_t product(std::uint32_t a, std::uint32_t b) noexcept
{
#ifdef __x86_64__
    return static_cast<std::uint64_t>(
        _mm_cvtsi128_si64(_mm_clmulepi64_si128(_mm_cvtsi64_si128(a), _mm_cvtsi64_si128(b), 0)));
#else
    return vgetq_lane_u64(vreinterpretq_u64_p128(vmull_p64(a, b)), 0);
#endif
}

/// The CRC of 3 * words * 8 bytes.
P2PRDMA_CLMUL_TARGET inline std::uint32_t three_streams(std::uint32_t crc, const std::byte* at,
                                                        std::size_t words) noexcept
{
    const auto stride = words * 8;
    const auto* const last = at + stride - 8;
    std::uint32_t second = 0;
    std::uint32_t third = 0;
    for (; at != last; at += 8) {
        crc = step(crc, word_at(at));
        second = step(second, word_at(at + stride));
        third = step(third, word_at(at + 2 * stride));
    }
    crc = step(crc, word_at(at));
    second = step(second, word_at(at + stride));
    const auto shifted = product(crc, shifts[2 * words]) ^ product(second, shifts[words]);
    return step(third, word_at(at + 2 * stride) ^ shifted);
}

P2PRDMA_CLMUL_TARGET std::uint32_t interleaved(std::uint32_t crc,
                                               std::span<const std::byte> bytes) noexcept
{
    crc = ~crc;
    const auto* at = bytes.data();
    auto left = bytes.size();
    while (left >= interleave_from) {
        const auto words = left >= 24 * max_words ? max_words : left / 24;
        crc = three_streams(crc, at, words);
        at += 24 * words;
        left -= 24 * words;
    }
    return ~serial(crc, at, left);
}

#endif

#ifdef P2PRDMA_VCLMUL_TARGET

// --- folding of 256 bytes at once, for long frames --------------------------------------------

constexpr std::size_t vector = sizeof(__m512i);
/// Below it the streams are as fast.
constexpr std::size_t fold_from = 4 * vector;

/// What multiplies the two words of 16 bytes that are to count as if they stood `bits` further to
/// the front: x^(bits + 63) and x^(bits - 1), as the product of two reversed words lacks a factor
/// x.
struct Multipliers {
    std::uint64_t first, second;

    constexpr explicit Multipliers(unsigned bits) noexcept
        : first(std::uint64_t{power_of_x(bits + 63)} << 32),
          second(std::uint64_t{power_of_x(bits - 1)} << 32)
    {
    }
};
constexpr unsigned vector_bits = 512;
constexpr Multipliers by_one(vector_bits);
constexpr Multipliers by_four(4 * vector_bits);

P2PRDMA_VCLMUL_TARGET inline __m512i spread(const Multipliers& multipliers) noexcept
{
    return _mm512_broadcast_i32x4(_mm_set_epi64x(static_cast<long long>(multipliers.second),
                                                 static_cast<long long>(multipliers.first)));
}

P2PRDMA_VCLMUL_TARGET inline __m512i load(const std::byte* at) noexcept
{
    return _mm512_loadu_si512(at);
}

/// What is congruent to `sum`, moved to the front as the multipliers say, and `next`.
P2PRDMA_VCLMUL_TARGET inline __m512i fold(__m512i sum, __m512i multipliers, __m512i next) noexcept
{
    constexpr int exclusive_or_of_three = 0x96;
    return _mm512_ternarylogic_epi64(_mm512_clmulepi64_epi128(sum, multipliers, 0x00),
                                     _mm512_clmulepi64_epi128(sum, multipliers, 0x11), next,
                                     exclusive_or_of_three);
}

/// At least fold_from bytes become one vector, with the same remainder; `at` and `size`: the rest.
P2PRDMA_VCLMUL_TARGET inline __m512i folded(std::uint32_t crc, const std::byte*& at,
                                            std::size_t& size) noexcept
{
    auto first = _mm512_xor_si512(load(at),
                                  _mm512_zextsi128_si512(_mm_cvtsi32_si128(static_cast<int>(crc))));
    auto second = load(at + vector);
    auto third = load(at + 2 * vector);
    auto fourth = load(at + 3 * vector);
    const auto four = spread(by_four);
    for (at += 4 * vector, size -= 4 * vector; size >= 4 * vector;
         at += 4 * vector, size -= 4 * vector) {
        first = fold(first, four, load(at));
        second = fold(second, four, load(at + vector));
        third = fold(third, four, load(at + 2 * vector));
        fourth = fold(fourth, four, load(at + 3 * vector));
    }
    const auto one = spread(by_one);
    auto sum = fold(fold(fold(first, one, second), one, third), one, fourth);
    for (; size >= vector; at += vector, size -= vector)
        sum = fold(sum, one, load(at));
    return sum;
}

P2PRDMA_VCLMUL_TARGET std::uint32_t by_folding(std::uint32_t crc,
                                               std::span<const std::byte> bytes) noexcept
{
    if (bytes.size() < fold_from)
        return interleaved(crc, bytes);
    const auto* at = bytes.data();
    auto left = bytes.size();
    alignas(vector) std::array<std::byte, vector> sum;
    _mm512_store_si512(sum.data(), folded(~crc, at, left));
    return ~serial(serial(0, sum.data(), sum.size()), at, left);
}

#endif

// --- the choice -------------------------------------------------------------------------------

constexpr std::array ways = {
    Crc32cWay{"table", by_table},
#ifdef P2PRDMA_CRC_TARGET
    Crc32cWay{"instruction", by_instruction},
    Crc32cWay{"interleaved", interleaved},
#endif
#ifdef P2PRDMA_VCLMUL_TARGET
    Crc32cWay{"folding", by_folding},
#endif
};

std::size_t possible_ways() noexcept
{
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (!__builtin_cpu_supports("sse4.2"))
        return 1;
    if (!__builtin_cpu_supports("pclmul"))
        return 2;
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("vpclmulqdq") ? 4 : 3;
#elif defined(P2PRDMA_CRC_TARGET)
    const auto has = getauxval(AT_HWCAP);
    if (!(has & HWCAP_CRC32))
        return 1;
    return has & HWCAP_PMULL ? 3 : 2;
#else
    return 1;
#endif
}

std::uint32_t choose_first(std::uint32_t crc, std::span<const std::byte> bytes) noexcept;

// Any thread may choose; all ways say the same.
constinit std::atomic<Crc32cFunction> chosen = choose_first;

/// Of one frame, after one that warms up: the least of some tries.
std::chrono::nanoseconds time_of(Crc32cFunction function) noexcept
{
    constexpr std::array<std::byte, 1500> frame = {};
    using Clock = std::chrono::steady_clock;
    auto least = Clock::duration::max();
    volatile std::uint32_t used = function(0, frame);
    for (int tries = 0; tries < 5; tries++) {
        const auto begin = Clock::now();
        used = function(used, frame);
        least = std::min(least, Clock::now() - begin);
    }
    return least;
}

/// The last that the processor has, but where it is emulated: then the table may be faster. The
/// others are not compared by their times: wide registers take some time to get to their speed.
std::uint32_t choose_first(std::uint32_t crc, std::span<const std::byte> bytes) noexcept
{
    const auto possible = crc32c_ways();
    const auto table = possible.front().function;
    const auto last = possible.back().function;
    const auto best = time_of(table) < time_of(last) ? table : last;
    chosen.store(best, std::memory_order_relaxed);
    return best(crc, bytes);
}

} // namespace

std::span<const Crc32cWay> crc32c_ways() noexcept
{
    return std::span(ways).first(possible_ways());
}

std::uint32_t crc32c(std::uint32_t crc, std::span<const std::byte> bytes) noexcept
{
    return chosen.load(std::memory_order_relaxed)(crc, bytes);
}

} // namespace p2prdma::l2
