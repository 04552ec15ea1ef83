#include <fmt/format.h>

#include "ops/kernels/axes.hpp"
#include "ops/ops.hpp"
#include "ops/records.hpp"

namespace lariat {

namespace gather_rows_detail {

std::vector<TensorType> infer(const InferContext& c) {
  if (c.shape(0).empty()) c.fail("table is a scalar; it must be [rows, ...]");
  check_integers(c, 1, "indices", c.shape(1));
  Shape shape = c.shape(1);
  shape.insert(shape.end(), c.shape(0).begin() + 1, c.shape(0).end());
  return {{c.in(0).dtype, shape}};
}

template <class T>
void forward(const KernelContext& k) {
  check_indices(k.inputs[1], k.inputs[0].extents[0], "index", "rows");
  const int64_t width = blocks_around(k.inputs[0].extents, 0).inner;
  const T* table = k.in<T>(0);
  const int32_t* indices = k.in<int32_t>(1);
  T* out = k.out<T>(0);
  k.parallel.run(k.inputs[1].count(), rows_per_task(width), [=](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) std::copy_n(table + indices[i] * width, width, out + i * width);
  });
}

}  // namespace gather_rows_detail

OpDef records::gather_rows() {
  using namespace gather_rows_detail;
  OpDef def{.name = "gather_rows",
            .doc = "The rows of a table that indices name: an embedding lookup.",
            .inputs = {{"table", "[rows, ...]"}, {"indices", "i32 of any shape, each in [0, rows)"}},
            .outputs = {{"result", "[indices' shape, ...]"}}};
  def.traits.selection = true;
  def.traits.linear = {true, false};
  def.infer = infer;
  def.kernel = {forward<float>, forward<double>, forward<int32_t>};
  def.vjp = [](const GradContext& g) -> Adjoints {
    return {scatter_add_rows(g.adjoint(0), g.in(1), g.in(0).shape()[0]), Value()};
  };
  def.cost = [](std::span<const TensorView>, std::span<const TensorView> outputs, const Attributes&) {
    return Cost{.bytes = 2 * static_cast<double>(outputs[0].bytes())};
  };
  const auto indices = [](Extents extents, std::vector<double> values) {
    return SampleInput{.extents = std::move(extents), .values = std::move(values), .dtype = i32};
  };
  def.samples = {{"rows", {{{3, 2}, {1, 2, 3, 4, 5, 6}}, indices({2}, {2, 0})}, {}, {5, 6, 1, 2}},
                 {"repeated",
                  {{{3, 2}, {1, 2, 3, 4, 5, 6}}, indices({2, 2}, {1, 1, 0, 1})},
                  {},
                  {3, 4, 3, 4, 1, 2, 3, 4}},
                 {"vector", {{{4}}, indices({3}, {3, 1, 1})}},
                 {"one index", {{{2, 3}}, indices({}, {1})}},
                 {"rows of matrices", {{{3, 2, 2}}, indices({2}, {0, 2})}},
                 {"no indices", {{{3, 2}}, indices({0}, {})}}};
  def.rejects = {{{{f32, {3, 2}}, {f32, {2}}}, {}, "indices is f32[2]; it must be i32[2]"},
                 {{{f32, {}}, {i32, {2}}}, {}, "table is a scalar; it must be [rows, ...]"}};
  return def;
}

Value gather_rows(Operand table, Operand indices) { return build("gather_rows", {table, indices}); }

}  // namespace lariat
