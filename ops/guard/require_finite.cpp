#include <algorithm>

#include "graph/base/error.hpp"
#include "ops/elementwise/elementwise.hpp"
#include "ops/guard/finite.hpp"
#include "ops/records.hpp"

namespace lariat {

namespace require_finite_detail {

template <class T>
void block(const void* const* inputs, const int64_t* strides, void* output, int64_t count,
           const Attributes&) {
  const T* x = static_cast<const T*>(inputs[0]);
  T* y = static_cast<T*>(output);
  const int64_t given = strides[0] == 0 ? 1 : count;
  // Before anything is written: y may be the weights.
  if (!all_finite(x, given)) throw JobError("a value that must be finite is not");
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
