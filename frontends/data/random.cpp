#include "frontends/data/random.hpp"

#include <cmath>
#include <numbers>

#include "graph/base/random.hpp"

namespace lariat::data {

RandomStream::RandomStream(uint64_t seed, RandomPurpose purpose, uint32_t first, uint32_t second)
    : seed_(seed),
      stream_(uint64_t{first} << 32 | second),
      counter_(uint64_t{static_cast<uint32_t>(purpose)} << 32) {}

uint32_t RandomStream::next() {
  if (used_ == 4) {
    block_ = random_bits(seed_, stream_, counter_++);
    used_ = 0;
  }
  return block_[static_cast<size_t>(used_++)];
}

double RandomStream::uniform() { return next() * 0x1p-32; }

uint32_t RandomStream::below(uint32_t count) {
  // Numbers under `rejected` would make the first residues likelier than the others.
  const uint32_t rejected = (0u - count) % count;
  uint32_t number = next();
  while (number < rejected) number = next();
  return number % count;
}

double RandomStream::normal() {
  if (has_spare_) {
    has_spare_ = false;
    return spare_;
  }
  // r = √(-2 ln u) with u in (0, 1], φ = 2πv: r·cos φ and r·sin φ are independent standard normals.
  const double radius = std::sqrt(-2 * std::log(1 - uniform()));
  const double angle = 2 * std::numbers::pi * uniform();
  spare_ = radius * std::sin(angle);
  has_spare_ = true;
  return radius * std::cos(angle);
}

}  // namespace lariat::data
