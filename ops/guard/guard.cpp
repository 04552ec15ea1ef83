#include <cstring>

#include "graph/base/error.hpp"
#include "ops/guard/finite.hpp"
#include "ops/kernels/axes.hpp"
#include "ops/records.hpp"

namespace lariat {

namespace guard_detail {

std::vector<TensorType> infer(const InferContext& c) { return {c.in(0)}; }

void forward(const KernelContext& k) {
  for (size_t i = 1; i < k.inputs.size(); ++i)
    with_type(k.inputs[i].dtype, [&](auto zero) {
      using T = decltype(zero);
      const T* x = k.in<T>(i);
      const auto check = [&](int64_t begin, int64_t end) {
        if (!all_finite(x + begin, end - begin)) throw JobError("a value that must be finite is not");
      };
      k.parallel.run(k.inputs[i].count(), elements_per_task, check);
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
