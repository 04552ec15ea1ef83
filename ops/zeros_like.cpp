#include "ops/axes.hpp"
#include "ops/ops.hpp"
#include "ops/records.hpp"

namespace lariat {

namespace {

template <class T>
void forward(const KernelContext& k) {
  T* out = k.out<T>(0);
  k.parallel.run(k.outputs[0].count(), elements_per_task,
                 [out](int64_t begin, int64_t end) { std::fill(out + begin, out + end, T(0)); });
}

}  // namespace

OpDef records::zeros_like() {
  OpDef def{.name = "zeros_like",
            .doc = "Zeros of x's dtype and shape.",
            .inputs = {{"x", "only its shape and dtype are read"}}};
  def.traits.stops_gradient = true;
  def.infer = [](const InferContext& c) -> std::vector<TensorType> { return {c.in(0)}; };
  def.kernel = {forward<float>, forward<double>, forward<int32_t>};
  def.cost = [](std::span<const TensorView>, std::span<const TensorView> outputs, const Attributes&) {
    return Cost{.bytes = static_cast<double>(outputs[0].bytes())};
  };
  def.samples = {{"vector", {{{3}, {1, 2, 3}}}, {}, {0, 0, 0}},
                 {"integers", {{.extents = {2}, .values = {4, 5}, .dtype = i32}}, {}, {0, 0}},
                 {"scalar", {{{}}}, {}, {0}},
                 {"no elements", {{{0, 2}}}}};
  return def;
}

Value zeros_like(Operand x) { return build("zeros_like", {x}); }

}  // namespace lariat
