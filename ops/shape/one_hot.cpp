#include "ops/kernels/axes.hpp"
#include "ops/ops.hpp"
#include "ops/records.hpp"

namespace lariat {

namespace one_hot_detail {

std::vector<TensorType> infer(const InferContext& c) {
  check_integers(c, 0, "labels", c.shape(0));
  Shape shape = c.shape(0);
  shape.push_back(c.attribute<int64_t>("classes"));
  return {{c.attribute<DType>("dtype"), shape}};
}

template <class T>
void forward(const KernelContext& k) {
  const int64_t classes = k.attributes.get<int64_t>("classes");
  check_indices(k.inputs[0], classes, "label", "classes");
  const int32_t* labels = k.in<int32_t>(0);
  T* out = k.out<T>(0);
  k.parallel.run(k.inputs[0].count(), rows_per_task(classes), [=](int64_t begin, int64_t end) {
    std::fill(out + begin * classes, out + end * classes, T(0));
    for (int64_t i = begin; i < end; ++i) out[i * classes + labels[i]] = T(1);
  });
}

}  // namespace one_hot_detail

OpDef records::one_hot() {
  using namespace one_hot_detail;
  OpDef def{.name = "one_hot",
            .doc = "1 at each label's place, else 0.",
            .inputs = {{"labels", "i32, each in [0, classes)"}},
            .outputs = {{"result", "[labels' shape, classes]"}}};
  def.attributes = {
      {"classes", AttributeKind::integer, "the number of classes", std::nullopt, 0, 2147483648.0},
      {"dtype", AttributeKind::dtype, "the dtype of the result", Attribute(f32)}};
  def.traits.stops_gradient = true;
  def.infer = infer;
  def.kernel = {forward<float>, forward<double>, forward<int32_t>};
  def.cost = streaming_cost<0>;
  const auto labels = [](Extents extents, std::vector<double> values) -> std::vector<SampleInput> {
    return {{.extents = std::move(extents), .values = std::move(values), .dtype = i32}};
  };
  def.samples = {
      {"two labels", labels({2}, {2, 0}), {{"classes", int64_t{3}}}, {0, 0, 1, 1, 0, 0}},
      {"matrix of labels", labels({1, 2}, {0, 1}), {{"classes", int64_t{2}}, {"dtype", f64}}, {1, 0, 0, 1}},
      {"one label", labels({}, {1}), {{"classes", int64_t{2}}, {"dtype", i32}}, {0, 1}},
      {"no labels", labels({0}, {}), {{"classes", int64_t{3}}}}};
  def.rejects = {{{{f32, {2}}}, {{"classes", int64_t{3}}}, "labels is f32[2]; it must be i32[2]"}};
  return def;
}

Value one_hot(Operand labels, int64_t classes, DType dtype) {
  return build("one_hot", {labels}, {{"classes", classes}, {"dtype", dtype}});
}

}  // namespace lariat
