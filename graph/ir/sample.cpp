#include "graph/ir/sample.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "graph/base/error.hpp"
#include "graph/base/random.hpp"

namespace lariat {

namespace {

constexpr uint64_t most_draws = 10000;

}  // namespace

double uniform_number(uint64_t seed, uint64_t stream, uint64_t counter) {
  const auto bits = random_bits(seed, stream, counter);
  return static_cast<double>((static_cast<uint64_t>(bits[0]) << 21) ^ (bits[1] >> 11)) * 0x1p-53;
}

Tensor sample_tensor(const SampleInput& input, DType dtype, uint64_t seed, uint64_t stream) {
  Tensor result(input.dtype == i32 ? i32 : dtype, input.extents);
  if (!input.values.empty() && static_cast<int64_t>(input.values.size()) != result.count())
    throw InternalError("internal fault: a sample gives another number of values than its shape holds");
  with_type(result.dtype(), [&](auto zero) {
    using T = decltype(zero);
    T* out = result.data<T>();
    uint64_t counter = 0;
    for (int64_t i = 0; i < result.count(); ++i) {
      if (!input.values.empty()) {
        out[i] = static_cast<T>(input.values[i]);
        continue;
      }
      double value = 0;
      const uint64_t last = counter + most_draws;
      do {
        if (counter == last)
          throw UserError(fmt::format(
              "a sample's input in [{}, {}] finds no number {} away from every kink; give it a smaller gap",
              input.low, input.high, input.gap));
        value = input.low + (input.high - input.low) * uniform_number(seed, stream, counter++);
      } while (std::any_of(input.kinks.begin(), input.kinks.end(),
                           [&](double kink) { return std::abs(value - kink) < input.gap; }));
      out[i] = static_cast<T>(input.dtype == i32 ? std::floor(value) : value);
    }
  });
  return result;
}

}  // namespace lariat
