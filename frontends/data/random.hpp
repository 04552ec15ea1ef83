#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace lariat::data {

/// What a random stream is for; streams of different purposes never overlap.
enum class RandomPurpose : uint32_t {
  dither = 1,
  shuffle,
  speed,
  shift,
  gain,
  noise,
  time_mask,
  frequency_mask,
  voice,
  folds,
  search,
  pitch,
  tempo,
  vocal_tract,
  joining
};

/// Random numbers that depend on nothing but (seed, purpose, first, second), by counter-based Philox. A
/// stream per epoch and example is the same whatever thread draws it, and in whatever order.
class RandomStream {
 public:
  RandomStream(uint64_t seed, RandomPurpose purpose, uint32_t first = 0, uint32_t second = 0);

  uint32_t next();
  /// In [0, 1), with 32 random bits.
  double uniform();
  double uniform(double lowest, double highest) { return lowest + (highest - lowest) * uniform(); }
  /// 0 … count - 1, each as likely as the others; count ≥ 1.
  uint32_t below(uint32_t count);
  /// Standard normal, by Box and Muller.
  double normal();

 private:
  uint64_t seed_, stream_, counter_;
  std::array<uint32_t, 4> block_ = {};
  int used_ = 4;
  double spare_ = 0;
  bool has_spare_ = false;
};

/// Every order as likely as the others (Fisher and Yates).
template <class T>
void shuffle(std::vector<T>& values, RandomStream& random) {
  for (size_t i = values.size(); i > 1; --i)
    std::swap(values[i - 1], values[random.below(static_cast<uint32_t>(i))]);
}

}  // namespace lariat::data
