#include <algorithm>
#include <bit>
#include <limits>
#include <type_traits>

#include "graph/base/error.hpp"
#include "ops/elementwise/elementwise.hpp"
#include "ops/records.hpp"

namespace lariat {

namespace require_finite_detail {

// Without its sign, the bits of a number that is not finite are at least those of infinity.
template <class T>
void block(const void* const* inputs, const int64_t* strides, void* output, int64_t count,
           const Attributes&) {
  using Bits = std::conditional_t<sizeof(T) == 4, uint32_t, uint64_t>;
  constexpr Bits magnitude = std::numeric_limits<Bits>::max() >> 1,
                 infinity = std::bit_cast<Bits>(std::numeric_limits<T>::infinity());
  const T* x = static_cast<const T*>(inputs[0]);
  T* y = static_cast<T*>(output);
  const int64_t given = strides[0] == 0 ? 1 : count;
  Bits largest = 0;
  for (int64_t i = 0; i < given; ++i) largest = std::max(largest, std::bit_cast<Bits>(x[i]) & magnitude);
  // Before anything is written: y may be the weights.
  if (largest >= infinity) throw JobError("a value that must be finite is not");
  if (strides[0] == 0) {
    std::fill_n(y, count, *x);
  } else if (x != y) {
    std::copy_n(x, count, y);
  }
}

}  // namespace require_finite_detail

// The trainer puts it where a parameter's next value enters its prox: it runs in the loop that computes that
// value, and a step ends before weights are written that are not finite.
OpDef records::require_finite() {
  using namespace require_finite_detail;
  OpDef def =
      elementwise_op("require_finite", "Passes x on, and ends the run where an element is not finite.",
                     {{"x", ""}}, {block<float>, block<double>, nullptr});
  def.traits.linear = {true};
  def.traits.refuses_elements = true;
  def.vjp = [](const GradContext& g) -> Adjoints { return {g.adjoint(0)}; };
  def.samples = {{"values", {{{3}, {-1.5, 0, 2}}}, {}, {-1.5, 0, 2}}, {"matrix", {{{2, 3}}}}};
  return def;
}

}  // namespace lariat
