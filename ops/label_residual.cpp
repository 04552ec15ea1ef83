#include <fmt/format.h>

#include "ops/ops.hpp"
#include "ops/records.hpp"
#include "ops/rows.hpp"

namespace lariat {

namespace {

std::vector<TensorType> infer(const InferContext& c) {
  check_float(c, 0, "probabilities");
  if (c.shape(0).size() != 2)
    c.fail(fmt::format("takes probabilities [batch, classes]; got {}", text(c.shape(0))));
  check_integers(c, 1, "labels", {c.shape(0)[0]});
  return {c.in(0)};
}

// r = p - (1 - s)·one_hot(label) - s/n
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
    for (int64_t j = 0; j < classes; ++j) r[j] = p[j] - spread;
    r[k.in<int32_t>(1)[row]] -= hit;
  });
}

}  // namespace

// What softmax_cross_entropy's gradient is made of, without the one-hot matrix.
OpDef records::label_residual() {
  OpDef def{.name = "label_residual",
            .doc = "Probabilities minus the (smoothed) one-hot targets of labels.",
            .inputs = {{"probabilities", "f32 or f64 [batch, classes]"},
                       {"labels", "i32 [batch], each in [0, classes)"}},
            .outputs = {{"residual", "like probabilities"}}};
  def.attributes = {{"label_smoothing", AttributeKind::real,
                     "the share of each target that is spread over all classes", Attribute(0.0), 0,
                     0.999999}};
  def.traits.linear = {true, false};
  def.traits.in_place = {{0, 0}};
  def.infer = infer;
  def.kernel = {forward<float>, forward<double>, nullptr};
  def.vjp = [](const GradContext& g) -> Adjoints { return {g.adjoint(0), Value()}; };
  def.cost = streaming_cost<1>;
  const auto labels = [](std::vector<double> values) {
    const auto count = static_cast<int64_t>(values.size());
    return SampleInput{.extents = {count}, .values = std::move(values), .dtype = i32};
  };
  def.samples = {
      {"two rows", {{{2, 2}, {0.25, 0.75, 0.5, 0.5}}, labels({1, 0})}, {}, {0.25, -0.25, -0.5, 0.5}},
      {"smoothed", {{{1, 2}, {0.25, 0.75}}, labels({1})}, {{"label_smoothing", 0.5}}, {0, 0}},
      {"no rows", {{{0, 3}}, labels({})}}};
  def.rejects = {{{{f32, {2, 3}}, {i32, {3}}}, {}, "labels is i32[3]; it must be i32[2]"},
                 {{{f32, {3}}, {i32, {3}}}, {}, "takes probabilities [batch, classes]; got [3]"}};
  return def;
}

}  // namespace lariat
