#include <fmt/format.h>

#include "ops/kernels/simd.hpp"
#include "ops/kernels/sparse_product.hpp"
#include "ops/ops.hpp"
#include "ops/records.hpp"
#include "ops/sparse/csr.hpp"

namespace lariat {

namespace matmul_csr_detail {

std::vector<TensorType> infer(const InferContext& c) {
  check_float(c, 0, "a");
  check_float(c, 1, "values");
  if (c.in(1).dtype != c.in(0).dtype)
    c.fail(fmt::format("a is {}, but values is {}; they must have one dtype", text(c.in(0)), text(c.in(1))));
  if (c.shape(1).size() != 1) c.fail(fmt::format("values is {}; it must be [entries]", text(c.shape(1))));
  check_csr(c, 2, c.shape(1)[0]);
  const Shape& columns = c.attribute<Shape>("columns");
  if (columns.size() != 1)
    c.fail(fmt::format("'columns' is {}; it must be a shape of one dimension", text(columns)));
  const Shape& a = c.shape(0);
  if (a.size() < 2) c.fail(fmt::format("a is {}; it must have two dimensions or more", text(a)));
  const bool transpose = c.attribute<bool>("transpose");
  const Dim rows = c.shape(3)[0] - 1, inner = transpose ? columns[0] : rows;
  if (!(a.back() == inner))
    c.fail(fmt::format("a is {}, but X is [{}, {}]{}", text(a), rows.text(), columns[0].text(),
                       transpose ? " and transposed" : ""));
  Shape result = a;
  result.back() = transpose ? rows : columns[0];
  return {{c.in(0).dtype, result}};
}

// The places as tiles, and for each of their values which entry it is; -1: none.
struct PackedPlaces {
  SparseMatrix matrix;
  std::vector<int32_t> entries;
};

// Numbers of entries go through the layout as floats.
constexpr int64_t most_entries = int64_t{1} << 24;

std::shared_ptr<const void> pack(const KernelContext& k) {
  const TensorView &columns = k.inputs[2], &starts = k.inputs[3];
  const bool transpose = k.attributes.get<bool>("transpose");
  const int64_t inner = k.inputs[0].extent(-1), width = k.outputs[0].extent(-1);
  if (!columns.data || !starts.data || k.outputs[0].dtype != f32 || inner == 0 || inner > inner_stretch ||
      width == 0 || columns.count() >= most_entries)
    return {};
  check_places(columns, starts, transpose ? inner : width);
  const auto *column = columns.as<int32_t>(), *start = starts.as<int32_t>();
  SparseLists lists(static_cast<size_t>(width));
  for (int64_t row = 0; row < starts.count() - 1; ++row)
    for (int32_t i = start[row]; i < start[row + 1]; ++i) {
      const auto [of, at] =
          transpose ? std::pair(row, int64_t{column[i]}) : std::pair(int64_t{column[i]}, row);
      lists[static_cast<size_t>(of)].emplace_back(static_cast<int32_t>(at), static_cast<float>(i + 1));
    }
  PackedPlaces packed{{inner, width, columns.count(), {}, tiles_of(lists, inner), {}}, {}};
  for (const float number : packed.matrix.tiles.values)
    packed.entries.push_back(static_cast<int32_t>(number) - 1);
  packed.matrix.tiles.values = {};
  return std::make_shared<PackedPlaces>(std::move(packed));
}

int64_t rows_of_a(const KernelContext& k) {
  int64_t rows = 1;
  for (size_t i = 0; i + 1 < k.inputs[0].extents.size(); ++i) rows *= k.inputs[0].extents[i];
  return rows;
}

Workspace workspace(const KernelContext& k) {
  if (const auto* packed = static_cast<const PackedPlaces*>(k.packed))
    return {packed->entries.size() * sizeof(float), sparse_workspace(rows_of_a(k)).per_thread};
  return {0, static_cast<size_t>(k.outputs[0].extent(-1)) * size_of(k.outputs[0].dtype)};
}

void forward_packed(const KernelContext& k, const PackedPlaces& packed) {
  auto* const values = reinterpret_cast<float*>(k.scratch.shared);
  const float* const given = k.in<float>(1);
  const int32_t* const entries = packed.entries.data();
  k.parallel.run(static_cast<int64_t>(packed.entries.size()), elements_per_task,
                 [=](int64_t begin, int64_t end) {
                   for (int64_t i = begin; i < end; ++i) values[i] = entries[i] < 0 ? 0 : given[entries[i]];
                 });
  multiply_tiled(k.parallel, rows_of_a(k), k.in<float>(0), packed.matrix.inner, packed.matrix, values, {},
                 k.out<float>(0), packed.matrix.columns, k.scratch);
}

// Chains of multiply-adds over blocks of the inner dimension, added in their order, as products make them.
template <class T>
void forward(const KernelContext& k) {
  if constexpr (std::is_same_v<T, float>)
    if (k.packed) return forward_packed(k, *static_cast<const PackedPlaces*>(k.packed));
  const int64_t rows = rows_of_a(k), inner = k.inputs[0].extent(-1), width = k.outputs[0].extent(-1);
  const bool transpose = k.attributes.get<bool>("transpose");
  check_places(k.inputs[2], k.inputs[3], transpose ? inner : width);
  const T *a = k.in<T>(0), *values = k.in<T>(1);
  const int32_t *columns = k.in<int32_t>(2), *starts = k.in<int32_t>(3);
  T* const out = k.out<T>(0);
  const int64_t x_rows = k.inputs[3].count() - 1;
  const int64_t grain = rows_per_task(std::max<int64_t>(1, k.inputs[1].count() + width));
  k.parallel.run(rows, grain, [=, &k](int64_t begin, int64_t end) {
    T* const sums = reinterpret_cast<T*>(k.scratch.own(k.parallel));
    for (int64_t r = begin; r < end; ++r) {
      const T* const from = a + r * inner;
      T* const to = out + r * width;
      std::fill_n(to, width, T(0));
      for (int64_t first = 0; first < inner; first += inner_block) {
        const int64_t last = std::min(inner, first + inner_block);
        std::fill_n(sums, width, T(0));
        if (transpose) {
          for (int64_t row = 0; row < x_rows; ++row)
            for (int32_t i = starts[row]; i < starts[row + 1]; ++i)
              if (columns[i] >= first && columns[i] < last)
                sums[row] = multiply_add(from[columns[i]], values[i], sums[row]);
        } else {
          for (int64_t row = first; row < last; ++row)
            for (int32_t i = starts[row]; i < starts[row + 1]; ++i)
              sums[columns[i]] = multiply_add(from[row], values[i], sums[columns[i]]);
        }
        for (int64_t j = 0; j < width; ++j) to[j] = first == 0 ? sums[j] : to[j] + sums[j];
      }
    }
  });
}

// As a matrix with all leading dimensions as rows, transposed.
Value turned(Value x) { return transpose(x.rank() > 2 ? reshape(x, {-1, x.shape().back()}) : x); }

// y = a·X:  da = dy·Xᵀ, and the entry (r, c) of X gets Σ a_r·dy_c; y = a·Xᵀ: the other way round.
Adjoints vjp(const GradContext& g) {
  const Value a = g.in(0), values = g.in(1), columns = g.in(2), starts = g.in(3), d = g.adjoint(0);
  const bool transpose = g.attributes().get<bool>("transpose");
  const Dim count = g.attributes().get<Shape>("columns")[0];
  return {g.needs(0) ? matmul_csr(d, values, columns, starts, count, !transpose) : Value(),
          g.needs(1)
              ? csr_sampled_matmul(columns, starts, turned(transpose ? d : a), turned(transpose ? a : d))
              : Value(),
          Value(), Value()};
}

Cost cost(std::span<const TensorView> inputs, std::span<const TensorView> outputs, const Attributes&) {
  const int64_t inner = std::max<int64_t>(1, inputs[0].extent(-1));
  Cost cost{.flops = 2.0 * static_cast<double>(inputs[0].count() / inner) *
                     static_cast<double>(inputs[1].count())};
  for (const TensorView& view : inputs) cost.bytes += static_cast<double>(view.bytes());
  for (const TensorView& view : outputs) cost.bytes += static_cast<double>(view.bytes());
  return cost;
}

}  // namespace matmul_csr_detail

OpDef records::matmul_csr() {
  using namespace matmul_csr_detail;
  OpDef def{.name = "matmul_csr",
            .doc = "The product a·X, or a·Xᵀ, of a dense matrix and a sparse one in compressed rows (CSR).",
            .inputs = csr_inputs(true),
            .outputs = {{"product", "[..., columns], or [..., rows]"}}};
  def.inputs[1].doc += "; those of a row ascend";
  def.inputs.insert(def.inputs.begin(), {"a", "[..., rows], or [..., columns] where X is transposed"});
  def.attributes = {
      {"columns", AttributeKind::shape, "the number of columns of X, as a shape of one dimension"},
      {"transpose", AttributeKind::boolean, "the product is with Xᵀ", Attribute(false)}};
  def.traits.linear = {true, true, false, false};
  def.traits.product = true;
  def.infer = infer;
  def.kernel = {forward<float>, forward<double>, nullptr};
  def.pack = pack;
  def.workspace = workspace;
  def.vjp = vjp;
  def.cost = cost;
  const auto integers = csr_sample_integers;
  const auto with = [](Dim columns, bool transpose = false) -> Attributes {
    return {{"columns", Shape{columns}}, {"transpose", transpose}};
  };
  const SampleInput columns = integers({0, 2, 1, 2}), starts = integers({0, 2, 2, 4});
  def.samples = {{"values",
                  {{{2, 3}, {1, 2, 3, 4, 5, 6}}, csr_sample_values(), columns, starts},
                  with(3),
                  {1, 9, -1, 4, 18, 2}},
                 {"transposed",
                  {{{2, 3}, {1, 2, 3, 4, 5, 6}}, csr_sample_values(), columns, starts},
                  with(3, true),
                  {7, 0, 3, 16, 0, 9}},
                 {"rows of a batch", {{{2, 2, 3}}, {{4}}, columns, starts}, with(4)},
                 {"transposed, of a batch", {{{2, 2, 4}}, {{4}}, columns, starts}, with(4, true)},
                 {"no entries", {{{2, 1}}, {{0}}, integers({}), integers({0, 0})}, with(2), {0, 0, 0, 0}}};
  def.rejects = {
      {{{f32, {2, 4}}, {f32, {4}}, {i32, {4}}, {i32, {4}}}, with(3), "a is [2, 4], but X is [3, 3]"},
      {{{f32, {2, 3}}, {f32, {4}}, {i32, {4}}, {i32, {4}}},
       with(4, true),
       "a is [2, 3], but X is [3, 4] and transposed"},
      {{{f32, {3}}, {f32, {4}}, {i32, {4}}, {i32, {4}}},
       with(3),
       "a is [3]; it must have two dimensions or more"},
      {{{f32, {2, 3}}, {f64, {4}}, {i32, {4}}, {i32, {4}}},
       with(3),
       "a is f32[2, 3], but values is f64[4]; they must have one dtype"}};
  return def;
}

Value matmul_csr(Operand a, Operand values, Operand columns, Operand row_starts, Dim count, bool transpose) {
  return build("matmul_csr", {a, values, columns, row_starts},
               {{"columns", Shape{count}}, {"transpose", transpose}});
}

}  // namespace lariat
