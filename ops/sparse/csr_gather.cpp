#include "ops/ops.hpp"
#include "ops/records.hpp"
#include "ops/sparse/csr.hpp"

namespace lariat {

namespace csr_gather_detail {

std::vector<TensorType> infer(const InferContext& c) {
  check_csr(c, 0, c.shape(0).empty() ? Dim(0) : c.shape(0)[0]);
  check_matrix_of_rows(c, 2, "w", 1);
  return {{c.in(2).dtype, c.shape(0)}};
}

template <class T>
void forward(const KernelContext& k) {
  const int64_t rows = k.inputs[2].extents[0], row_size = k.inputs[2].extents[1];
  check_places(k.inputs[0], k.inputs[1], row_size);
  const int32_t *columns = k.in<int32_t>(0), *starts = k.in<int32_t>(1);
  const T* w = k.in<T>(2);
  T* out = k.out<T>(0);
  k.parallel.run(rows, csr_rows_per_task(rows, k.inputs[0].count(), 1), [=](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row)
      for (int32_t i = starts[row]; i < starts[row + 1]; ++i) out[i] = w[row * row_size + columns[i]];
  });
}

// Each element goes to one place: dw is d at the places and 0 elsewhere.
Adjoints vjp(const GradContext& g) {
  return {Value(), Value(), csr_put(g.adjoint(0), g.in(0), g.in(1), zeros_like(g.in(2)))};
}

}  // namespace csr_gather_detail

OpDef records::csr_gather() {
  using namespace csr_gather_detail;
  OpDef def{.name = "csr_gather",
            .doc = "The elements of a matrix at the places of a sparse matrix's entries.",
            .inputs = csr_inputs(false),
            .outputs = {{"values", "[entries]"}}};
  def.inputs[0].doc += "; those of a row ascend";
  def.inputs.push_back({"w", "[rows, columns]"});
  def.traits.linear = {false, false, true};
  def.infer = infer;
  def.kernel = {forward<float>, forward<double>, nullptr};
  def.vjp = vjp;
  const auto integers = csr_sample_integers;
  const SampleInput columns = integers({0, 2, 1, 2}), starts = integers({0, 2, 2, 4});
  def.samples = {{"values", {columns, starts, {{3, 3}, {1, 2, 3, 4, 5, 6, 7, 8, 9}}}, {}, {1, 3, 8, 9}},
                 {"random values", {columns, starts, {{3, 4}}}},
                 {"no entries", {integers({}), integers({0, 0}), {{1, 2}}}}};
  def.rejects = {{{{i32, {4}}, {i32, {4}}, {f32, {2, 3}}}, {}, "w is [2, 3], but row_starts [4] says 3 rows"},
                 {{{i32, {4}}, {i32, {4}}, {f32, {3}}}, {}, "w is [3]; it must be [rows, columns]"}};
  return def;
}

Value csr_gather(Operand columns, Operand row_starts, Operand w) {
  return build("csr_gather", {columns, row_starts, w});
}

}  // namespace lariat
