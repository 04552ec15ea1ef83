#include "graph/base/random.hpp"

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

}  // namespace lariat
