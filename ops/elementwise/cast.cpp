#include "ops/kernels/axes.hpp"
#include "ops/ops.hpp"
#include "ops/records.hpp"

namespace lariat {

namespace cast_detail {

template <class To>
void forward(const KernelContext& k) {
  with_type(k.inputs[0].dtype, [&](auto zero) {
    using From = decltype(zero);
    const From* in = k.in<From>(0);
    To* out = k.out<To>(0);
    k.parallel.run(k.outputs[0].count(), elements_per_task, [=](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) out[i] = converted<To>(in[i]);
    });
  });
}

}  // namespace cast_detail

OpDef records::cast() {
  using namespace cast_detail;
  OpDef def{.name = "cast",
            .doc =
                "The same numbers as another dtype; to i32 they are cut off towards zero, NaN becomes 0, "
                "what is too large the nearest limit.",
            .inputs = {{"x", "of any dtype"}},
            .outputs = {{"result", "of dtype `dtype`"}}};
  def.attributes = {{"dtype", AttributeKind::dtype, "the dtype of the result"}};
  def.traits.selection = true;
  def.traits.linear = {true};
  def.infer = [](const InferContext& c) -> std::vector<TensorType> {
    return {{c.attribute<DType>("dtype"), c.shape(0)}};
  };
  def.kernel = {forward<float>, forward<double>, forward<int32_t>};
  def.vjp = [](const GradContext& g) -> Adjoints {
    if (!is_float(g.attributes().get<DType>("dtype"))) return {Value()};
    return {cast(g.adjoint(0), g.in(0).dtype())};
  };
  def.cost = streaming_cost<1>;
  def.samples = {
      {"to f32", {{.extents = {3}, .values = {1, -2, 3}, .dtype = i32}}, {{"dtype", f32}}, {1, -2, 3}},
      {"to f64", {{{2, 2}}}, {{"dtype", f64}}},
      {"to i32", {{{3}, {1.75, -1.75, 0}}}, {{"dtype", i32}}, {1, -1, 0}},
      {"no elements", {{{0}}}, {{"dtype", f64}}}};
  return def;
}

Value cast(Operand x, DType dtype) { return build("cast", {x}, {{"dtype", dtype}}); }

}  // namespace lariat
