#include "graph/base/random.hpp"

#include <array>
#include <bit>
#include <cstring>

#include <Random123/philox.h>

namespace lariat {

std::array<uint32_t, 4> random_bits(uint64_t key, uint64_t stream, uint64_t counter) {
  const r123::Philox4x32::ctr_type position{
      {static_cast<uint32_t>(counter), static_cast<uint32_t>(counter >> 32), static_cast<uint32_t>(stream),
       static_cast<uint32_t>(stream >> 32)}};
  const r123::Philox4x32::key_type seed{{static_cast<uint32_t>(key), static_cast<uint32_t>(key >> 32)}};
  const auto bits = r123::Philox4x32()(position, seed);
  return {bits[0], bits[1], bits[2], bits[3]};
}

uint64_t hash_bytes(const void* data, size_t size, uint64_t seed) {
  const auto* bytes = static_cast<const unsigned char*>(data);
  uint64_t hash = seed;
  for (size_t i = 0; i < size; ++i) hash = (hash ^ bytes[i]) * 1099511628211ull;
  return hash;
}

uint64_t hash_words(const void* data, size_t size, uint64_t seed) {
  // Four words side by side, each with its own sum, so that one need not wait for another's product.
  constexpr size_t lanes = 4;
  const auto* bytes = static_cast<const unsigned char*>(data);
  const auto add = [](uint64_t hash, uint64_t word) {
    return (std::rotl(hash, 23) ^ word) * uint64_t{0x9e3779b97f4a7c15};
  };
  std::array<uint64_t, lanes> hashes{seed, seed + 1, seed + 2, seed + 3}, words{};
  size_t at = 0;
  for (; at + sizeof words <= size; at += sizeof words) {
    std::memcpy(words.data(), bytes + at, sizeof words);
    for (size_t lane = 0; lane < lanes; ++lane) hashes[lane] = add(hashes[lane], words[lane]);
  }
  words = {};
  if (at < size) std::memcpy(words.data(), bytes + at, size - at);
  uint64_t hash = add(seed, size);
  for (size_t lane = 0; lane < lanes; ++lane) hash = add(add(hash, hashes[lane]), words[lane]);
  return hash;
}

}  // namespace lariat
