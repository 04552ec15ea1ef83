#include <fmt/format.h>

#include "ops/kernels/rows.hpp"
#include "ops/ops.hpp"
#include "ops/records.hpp"

namespace lariat {

namespace label_residual_detail {

std::vector<TensorType> infer(const InferContext& c) {
  check_float(c, 0, "probabilities");
  if (c.shape(0).size() != 2)
    c.fail(fmt::format("takes probabilities [batch, classes]; got {}", text(c.shape(0))));
  const TensorType expected{c.in(0).dtype, {c.shape(0)[0]}};
  check_integers(c, 1, "labels", expected.shape);
  if (c.in(2) != expected) c.fail(fmt::format("scale is {}; it must be {}", text(c.in(2)), text(expected)));
  return {c.in(0)};
}

// r = d·(p - (1 - s)·one_hot(label) - s/n)
template <class T>
void forward(const KernelContext& k) {
  const int64_t classes = k.inputs[0].extents[1];
  check_indices(k.inputs[1], classes, "label", "classes");
  const double smoothing = k.attributes.get<double>("label_smoothing");
  const T spread = static_cast<T>(smoothing / static_cast<double>(classes)),
          hit = static_cast<T>(1 - smoothing);
  for_each_row(k, [&](int64_t row) {
    const T* p = k.in<T>(0) + row * classes;
    T* r = k.out<T>(0) + row * classes;
    const int32_t label = k.in<int32_t>(1)[row];
    const T d = k.in<T>(2)[row], at_label = d * (p[label] - spread - hit);
    // r may be p itself.
    LARIAT_INDEPENDENT
    for (int64_t j = 0; j < classes; ++j) r[j] = d * (p[j] - spread);
    r[label] = at_label;
  });
}

// With R the adjoint: dp = d·R, dd = Σ R·(p - t)
Adjoints vjp(const GradContext& g) {
  const Value p = g.in(0), adjoint = g.adjoint(0);
  const Dim batch = p.shape()[0];
  Value to_probabilities, to_scale;
  if (g.needs(0)) to_probabilities = adjoint * reshape(g.in(2), {batch, 1});
  if (g.needs(2)) {
    const Value ones = broadcast_to(p.graph().constant(1, p.dtype()), {batch});
    to_scale = sum(adjoint * build("label_residual", {p, g.in(1), ones}, g.attributes()), {-1});
  }
  return {to_probabilities, Value(), to_scale};
}

}  // namespace label_residual_detail

// softmax_cross_entropy's gradient in one pass, without the one-hot matrix.
OpDef records::label_residual() {
  using namespace label_residual_detail;
  OpDef def{
      .name = "label_residual",
      .doc = "Probabilities minus the (smoothed) one-hot targets of labels, times a number for each row.",
      .inputs = {{"probabilities", "f32 or f64 [batch, classes]"},
                 {"labels", "i32 [batch], each in [0, classes)"},
                 {"scale", "[batch]"}},
      .outputs = {{"residual", "like probabilities"}}};
  def.attributes = {{"label_smoothing", AttributeKind::real,
                     "the share of each target that is spread over all classes", Attribute(0.0), 0,
                     0.999999}};
  def.traits.linear = {true, false, true};
  def.traits.in_place = {{0, 0}};
  def.infer = infer;
  def.kernel = {forward<float>, forward<double>, nullptr};
  def.vjp = vjp;
  def.cost = streaming_cost<2>;
  const auto labels = [](std::vector<double> values) {
    const auto count = static_cast<int64_t>(values.size());
    return SampleInput{.extents = {count}, .values = std::move(values), .dtype = i32};
  };
  def.samples = {
      {"two rows",
       {{{2, 2}, {0.25, 0.75, 0.5, 0.5}}, labels({1, 0}), {{2}, {1, -2}}},
       {},
       {0.25, -0.25, 1, -1}},
      {"smoothed", {{{1, 2}, {0.25, 0.5}}, labels({1}), {{1}, {4}}}, {{"label_smoothing", 0.5}}, {0, -1}},
      {"wide rows", {{{3, 40}, {}, 0, 1}, labels({0, 39, 17}), {{3}}}, {{"label_smoothing", 0.1}}},
      {"no rows", {{{0, 3}}, labels({}), {{0}}}}};
  def.rejects = {{{{f32, {2, 3}}, {i32, {3}}, {f32, {2}}}, {}, "labels is i32[3]; it must be i32[2]"},
                 {{{f32, {2, 3}}, {i32, {2}}, {f32, {3}}}, {}, "scale is f32[3]; it must be f32[2]"},
                 {{{f32, {2, 3}}, {i32, {2}}, {f64, {2}}}, {}, "scale is f64[2]; it must be f32[2]"},
                 {{{f32, {3}}, {i32, {3}}, {f32, {3}}}, {}, "takes probabilities [batch, classes]; got [3]"}};
  return def;
}

}  // namespace lariat
