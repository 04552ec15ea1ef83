#include <fmt/format.h>

#include "ops/kernels/rows.hpp"
#include "ops/ops.hpp"
#include "ops/records.hpp"

namespace lariat {

namespace softmax_cross_entropy_detail {

std::vector<TensorType> infer(const InferContext& c) {
  check_float(c, 0, "logits");
  if (c.shape(0).size() != 2)
    c.fail(fmt::format("takes logits [batch, classes]; got {}. Use reshape to join the leading dimensions",
                       text(c.shape(0))));
  const Dim batch = c.shape(0)[0];
  check_integers(c, 1, "labels", {batch});
  return {{c.in(0).dtype, {batch}}, c.in(0)};
}

// With s the smoothing, n classes, and t = (1 - s)·one_hot(label) + s/n:
//   loss = -Σ t·log p = log Σ exp(z - max z) + (1 - s)·(max z - z_label) + s·(max z - mean z)
template <class T>
void forward(const KernelContext& k) {
  const int64_t classes = k.inputs[0].extents[1];
  check_indices(k.inputs[1], classes, "label", "classes");
  const double smoothing = k.attributes.get<double>("label_smoothing");
  for_each_row(k, [&](int64_t row) {
    const T* z = k.in<T>(0) + row * classes;
    T* p = k.out<T>(1) + row * classes;
    const T maximum = row_maximum(z, classes);
    const ExponentialSum sums = sum_exponentials(z, classes, maximum, p);
    const T scale = static_cast<T>(1 / sums.sum());
    for (int64_t j = 0; j < classes; ++j) p[j] *= scale;
    double loss = sums.log() + (1 - smoothing) * (static_cast<double>(maximum) - z[k.in<int32_t>(1)[row]]);
    if (smoothing > 0) {
      double below = 0;
      for (int64_t j = 0; j < classes; ++j) below += static_cast<double>(maximum) - z[j];
      loss += smoothing * (below / static_cast<double>(classes));
    }
    k.out<T>(0)[row] = static_cast<T>(loss);
  });
}

// dz = dloss·(p - t) + p·(dp - Σ dp·p)
Adjoints vjp(const GradContext& g) {
  const Value p = g.out(1), labels = g.in(1);
  const double smoothing = g.attributes().get<double>("label_smoothing");
  Value d;
  if (g.has_adjoint(0))
    d = build("label_residual", {p, labels, g.adjoint(0)}, {{"label_smoothing", smoothing}});
  if (g.has_adjoint(1)) {
    const Value through = build("softmax_gradient", {p, g.adjoint(1)});
    d = d ? d + through : through;
  }
  return {d, Value()};
}

}  // namespace softmax_cross_entropy_detail

OpDef records::softmax_cross_entropy() {
  using namespace softmax_cross_entropy_detail;
  OpDef def{
      .name = "softmax_cross_entropy",
      .doc = "-log softmax(logits)[label] of each row, finite for all finite logits.",
      .inputs = {{"logits", "f32 or f64 [batch, classes]"}, {"labels", "i32 [batch], each in [0, classes)"}},
      .outputs = {{"loss", "[batch]"}, {"probabilities", "softmax(logits)"}}};
  def.attributes = {
      {"label_smoothing", AttributeKind::real,
       "the share of each target that is spread over all classes, below 1 (Szegedy et al. 2016)",
       Attribute(0.0), 0, 0.999999}};
  def.infer = infer;
  def.kernel = {forward<float>, forward<double>, nullptr};
  def.vjp = vjp;
  def.cost = streaming_cost<20>;
  const auto labels = [](std::vector<double> values) {
    const auto count = static_cast<int64_t>(values.size());
    return SampleInput{.extents = {count}, .values = std::move(values), .dtype = i32};
  };
  const Attributes smoothed{{"label_smoothing", 0.1}};
  // Values by Python's decimal module at 40 digits.
  def.samples = {{"two rows",
                  {{{2, 3}, {1, 2, 3, 0, 0, 0}}, labels({2, 0})},
                  {},
                  {0.40760596444438030, 1.0986122886681097}},
                 {"smoothed",
                  {{{2, 3}, {1, 2, 3, 0, 0, 5}}, labels({0, 2})},
                  smoothed,
                  {2.3076059644443803, 0.34671923505478224}},
                 {"large logits", {{{2, 2}, {1e4, -1e4, 1e4, -1e4}}, labels({0, 1})}, {}, {0, 2e4}},
                 {"wide rows", {{{3, 40}, {}, -3, 3}, labels({0, 39, 17})}, smoothed},
                 {"one class", {{{2, 1}}, labels({0, 0})}, {}, {0, 0}},
                 {"no rows", {{{0, 3}}, labels({})}}};
  def.rejects = {
      {{{f32, {2, 3}}, {f32, {2}}}, {}, "labels is f32[2]; it must be i32[2]"},
      {{{f32, {2, 3}}, {i32, {3}}}, {}, "labels is i32[3]; it must be i32[2]"},
      {{{f32, {2, 3, 4}}, {i32, {2}}},
       {},
       "takes logits [batch, classes]; got [2, 3, 4]. Use reshape to join the leading dimensions"}};
  return def;
}

Value softmax_cross_entropy(Operand logits, Operand labels, double label_smoothing) {
  return build("softmax_cross_entropy", {logits, labels}, {{"label_smoothing", label_smoothing}});
}

}  // namespace lariat
