#include <algorithm>
#include <cmath>
#include <cstring>

#include "graph/base/error.hpp"
#include "ops/records.hpp"

namespace lariat {

namespace guard_detail {

std::vector<TensorType> infer(const InferContext& c) { return {c.in(0)}; }

void forward(const KernelContext& k) {
  for (size_t i = 1; i < k.inputs.size(); ++i)
    with_type(k.inputs[i].dtype, [&](auto zero) {
      using T = decltype(zero);
      const T* x = k.in<T>(i);
      if (!std::all_of(x, x + k.inputs[i].count(), [](T value) { return value - value == T(0); }))
        throw JobError("a value that must be finite is not");
    });
  std::memcpy(k.outputs[0].data, k.inputs[0].data, k.outputs[0].bytes());
}

}  // namespace guard_detail

// The trainer's: x is the learning rate, on which every step depends.
OpDef records::guard() {
  using namespace guard_detail;
  OpDef def{
      .name = "guard",
      .doc = "Passes x on where all that is checked is finite, and ends the run before an update where not.",
      .inputs = {{"x", "of any type"}, {"checked", "of any type"}},
      .variadic = true};
  def.traits.guard = true;
  def.traits.linear = {true, false};
  def.infer = infer;
  def.kernel = {forward, forward, forward};
  def.vjp = [](const GradContext& g) -> Adjoints {
    Adjoints adjoints(g.input_count());
    adjoints[0] = g.adjoint(0);
    return adjoints;
  };
  def.samples = {{"values", {{{3}, {-1.5, 0, 2}}, {{}, {1}}}, {}, {-1.5, 0, 2}}};
  return def;
}

}  // namespace lariat
