#include <cstring>

#include <fmt/format.h>

#include "ops/ops.hpp"
#include "ops/records.hpp"
#include "ops/sparse/csr.hpp"

namespace lariat {

namespace csr_put_detail {

std::vector<TensorType> infer(const InferContext& c) {
  check_float(c, 0, "values");
  if (c.shape(0).size() != 1) c.fail(fmt::format("values is {}; it must be [entries]", text(c.shape(0))));
  check_csr(c, 1, c.shape(0)[0]);
  check_matrix_of_rows(c, 3, "w", 2);
  if (c.in(3).dtype != c.in(0).dtype)
    c.fail(fmt::format("values is {}, but w is {}; they must have one dtype", text(c.in(0)), text(c.in(3))));
  return {c.in(3)};
}

template <class T>
void forward(const KernelContext& k) {
  const int64_t rows = k.outputs[0].extents[0], row_size = k.outputs[0].extents[1];
  check_places(k.inputs[1], k.inputs[2], row_size);
  const T* values = k.in<T>(0);
  const int32_t *columns = k.in<int32_t>(1), *starts = k.in<int32_t>(2);
  const T* w = k.in<T>(3);
  T* out = k.out<T>(0);
  const int64_t grain = w == out ? csr_rows_per_task(rows, k.inputs[0].count(), 1)
                                 : rows_per_task(std::max<int64_t>(1, row_size));
  k.parallel.run(rows, grain, [=](int64_t begin, int64_t end) {
    if (w != out && begin < end) std::copy(w + begin * row_size, w + end * row_size, out + begin * row_size);
    for (int64_t row = begin; row < end; ++row)
      for (int32_t i = starts[row]; i < starts[row + 1]; ++i) out[row * row_size + columns[i]] = values[i];
  });
}

// What is written over has no part in the result.
Adjoints vjp(const GradContext& g) {
  const Value values = g.in(0), columns = g.in(1), starts = g.in(2), d = g.adjoint(0);
  return {g.needs(0) ? csr_gather(columns, starts, d) : Value(), Value(), Value(),
          g.needs(3) ? csr_put(zeros_like(values), columns, starts, d) : Value()};
}

}  // namespace csr_put_detail

OpDef records::csr_put() {
  using namespace csr_put_detail;
  OpDef def{.name = "csr_put",
            .doc = "A matrix with other elements at the places of a sparse matrix's entries.",
            .inputs = csr_inputs(true),
            .outputs = {{"result", "[rows, columns]"}}};
  def.inputs[1].doc += "; those of a row ascend";
  def.inputs.push_back({"w", "[rows, columns]"});
  def.traits.linear = {true, false, false, true};
  def.traits.in_place = {{0, 3}};
  def.infer = infer;
  def.kernel = {forward<float>, forward<double>, nullptr};
  def.vjp = vjp;
  const auto integers = csr_sample_integers;
  const SampleInput columns = integers({0, 2, 1, 2}), starts = integers({0, 2, 2, 4});
  def.samples = {
      {"values",
       {csr_sample_values({-1, -3, -8, -9}), columns, starts, {{3, 3}, {1, 2, 3, 4, 5, 6, 7, 8, 9}}},
       {},
       {-1, 2, -3, 4, 5, 6, 7, -8, -9}},
      {"random values", {{{4}}, columns, starts, {{3, 4}}}},
      {"no entries", {{{0}}, integers({}), integers({0, 0}), {{1, 2}, {3, 4}}}, {}, {3, 4}}};
  def.rejects = {
      {{{f32, {4}}, {i32, {4}}, {i32, {4}}, {f64, {3, 3}}},
       {},
       "values is f32[4], but w is f64[3, 3]; they must have one dtype"},
      {{{f32, {4}}, {i32, {3}}, {i32, {4}}, {f32, {3, 3}}}, {}, "columns is i32[3]; it must be i32[4]"}};
  return def;
}

Value csr_put(Operand values, Operand columns, Operand row_starts, Operand w) {
  return build("csr_put", {values, columns, row_starts, w});
}

}  // namespace lariat
