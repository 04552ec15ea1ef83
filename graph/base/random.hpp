#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace lariat {

/// 128 random bits that depend on key and counter only (Philox4x32-10, Salmon et al. 2011): the same on every
/// thread and in any order.
std::array<uint32_t, 4> random_bits(uint64_t key, uint64_t stream, uint64_t counter);

/// Uniform in [0, 1), from the upper 24 bits.
constexpr float to_unit(uint32_t bits) { return static_cast<float>(bits >> 8) * 0x1p-24f; }

/// A stable 64-bit hash of bytes (FNV-1a), for streams and state hashes.
uint64_t hash_bytes(const void* data, size_t size, uint64_t seed = 14695981039346656037ull);
/// One of many bytes, several times as fast.
uint64_t hash_words(const void* data, size_t size, uint64_t seed);
inline uint64_t hash_name(std::string_view name) { return hash_bytes(name.data(), name.size()); }

}  // namespace lariat
