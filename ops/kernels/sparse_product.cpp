#include "ops/kernels/sparse_product.hpp"

#include <algorithm>
#include <numeric>
#include <xsimd/xsimd.hpp>

namespace lariat {

namespace sparse_product_detail {

constexpr int64_t width = xsimd::batch<float>::size;
// So many rows go by windows: as many as cost what a vector of rows costs.
constexpr int64_t rows_by_windows = std::max<int64_t>(1, 3 * width / 8);

// A dense product multiplies by a zero faster than a sparse one finds what is none. What is measured, from so
// many rows and elements of the matrix on:
enum class Figure {
  weights_pay,  // the largest share of weights that are not zero with which leaving out the others pays
  runs_pay,     // the largest share of runs that are multiplied with which leaving out the others pays
  runs_hold     // how many numbers a run must stand for in the form of single weights to be the faster one
};
struct Measured {
  Figure figure;
  int64_t vector, rows, elements;
  double value;
};
constexpr Measured table[] = {
#define LARIAT_SPARSE(figure, vector, rows, elements, value) {Figure::figure, vector, rows, elements, value},
#include "ops/kernels/sparse_table.inc"
#undef LARIAT_SPARSE
};

double measured(Figure figure, const SparseMatrix& b, int64_t m) {
  double value = figure == Figure::runs_hold ? run_columns + 1 : 0;
  for (const Measured& one : table)
    if (one.figure == figure && one.vector == width && one.rows <= m && one.elements <= b.inner * b.columns)
      value = one.value;
  return value;
}

double largest_share() {
  double most = 0;
  for (const Measured& one : table)
    if (one.vector == width && one.figure != Figure::runs_hold) most = std::max(most, one.value);
  return most;
}

bool by_windows(const SparseMatrix& b, int64_t m) { return m <= rows_by_windows && has_window(b.inner); }

bool weights_are_few(const SparseMatrix& b, int64_t m) {
  if (m <= rows_by_windows && !has_window(b.inner)) return false;
  return static_cast<double>(b.weights) <=
         measured(Figure::weights_pay, b, m) * static_cast<double>(b.inner * b.columns);
}

bool runs_are_few(const SparseMatrix& b, int64_t m) {
  const auto elements = static_cast<double>(b.runs.values.size() * run_columns);
  return elements > 0 &&
         elements <= measured(Figure::runs_pay, b, m) * static_cast<double>(b.inner * b.columns);
}

bool runs_are_full(const SparseMatrix& b, int64_t m) {
  return numbers_of_run(b, m) >= measured(Figure::runs_hold, b, m);
}

SparseLists lists_of(bool transpose_b, int64_t n, int64_t k, const float* b, int64_t ldb) {
  SparseLists columns(static_cast<size_t>(n));
  for (int64_t j = 0; j < n; ++j)
    for (int64_t i = 0; i < k; ++i)
      if (const float value = transpose_b ? b[j * ldb + i] : b[i * ldb + j]; value != 0)
        columns[static_cast<size_t>(j)].emplace_back(static_cast<int32_t>(i), value);
  return columns;
}

// By the table.
SparseForm measured_form(const SparseMatrix& b, int64_t m) {
  const bool weights = weights_are_few(b, m);
  if (runs_are_few(b, m) && (!weights || runs_are_full(b, m))) return SparseForm::runs;
  return weights ? SparseForm::weights : SparseForm::all;
}

// Asking the table would take longer than a small product.
std::vector<SparseMatrix::FormFrom> fastest_forms(const SparseMatrix& b) {
  std::vector<int64_t> rows{1, rows_by_windows + 1};
  for (const Measured& one : table)
    if (one.vector == width) rows.push_back(one.rows);
  std::sort(rows.begin(), rows.end());
  std::vector<SparseMatrix::FormFrom> forms;
  for (int64_t m : rows)
    if (const SparseForm form = measured_form(b, m); forms.empty() || forms.back().form != form)
      forms.push_back({m, form});
  return forms;
}

std::shared_ptr<SparseMatrix> in_every_form(bool transpose_b, int64_t n, int64_t k, const float* b,
                                            int64_t ldb) {
  const SparseLists columns = lists_of(transpose_b, n, k, b, ldb);
  const auto packed =
      std::make_shared<SparseMatrix>(SparseMatrix{k, n, 0, {}, tiles_of(columns, k), runs_of(columns, k)});
  for (const auto& column : columns) packed->weights += static_cast<int64_t>(column.size());
  if (has_window(k)) packed->windows = windows_of(columns, k);
  packed->forms = fastest_forms(*packed);
  return packed;
}

bool has_sparse_form(int64_t n, int64_t k) {
  return n >= 2 && k > 0 && k <= inner_stretch && n * k <= INT32_MAX;
}

bool has_form(const SparseMatrix& b, SparseForm form) {
  return std::any_of(b.forms.begin(), b.forms.end(), [&](const auto& from) { return from.form == form; });
}

}  // namespace sparse_product_detail

std::shared_ptr<const SparseMatrix> pack_every_form(bool transpose_b, int64_t n, int64_t k, const float* b,
                                                    int64_t ldb) {
  using namespace sparse_product_detail;
  if (!has_sparse_form(n, k)) return {};
  return in_every_form(transpose_b, n, k, b, ldb);
}

std::shared_ptr<const SparseMatrix> pack_sparse(bool transpose_b, int64_t n, int64_t k, const float* b,
                                                int64_t ldb) {
  using namespace sparse_product_detail;
  if (!has_sparse_form(n, k)) return {};
  int64_t weights = 0;
  for (int64_t i = 0; i < (transpose_b ? n : k); ++i)
    for (int64_t j = 0; j < (transpose_b ? k : n); ++j) weights += b[i * ldb + j] != 0;
  const double share = static_cast<double>(weights) / static_cast<double>(n * k);
  // Of runs, no smaller a share holds a weight.
  if (share > largest_share()) return {};
  const std::shared_ptr<SparseMatrix> packed = in_every_form(transpose_b, n, k, b, ldb);
  const bool by_runs = has_form(*packed, SparseForm::runs);
  if (!by_runs && !has_form(*packed, SparseForm::weights)) return {};
  if (!by_runs) packed->runs = {};
  return packed;
}

double numbers_of_run(const SparseMatrix& b, int64_t m) {
  using namespace sparse_product_detail;
  const size_t numbers = by_windows(b, m) ? b.windows.places.size() : b.tiles.values.size();
  return static_cast<double>(numbers) / static_cast<double>(std::max<size_t>(1, b.runs.values.size()));
}

SparseForm form_for(const SparseMatrix& b, int64_t m) {
  for (size_t i = b.forms.size(); i-- > 0;)
    if (b.forms[i].rows <= m) return b.forms[i].form;
  return SparseForm::all;
}

bool sparse_pays(const SparseMatrix& b, int64_t m) { return form_for(b, m) != SparseForm::all; }

bool sparse_always_pays(const SparseMatrix& b) {
  return !sparse_product_detail::has_form(b, SparseForm::all);
}

namespace sparse_product_detail {

// As much work as a dense product gives to one task.
int64_t sparse_grain(int64_t tasks, int64_t m, int64_t terms) {
  return std::max<int64_t>(1, tasks * 500'000 / std::max<int64_t>(1, m * terms));
}

void multiply_by_tiles(const ParallelFor& parallel, const SparseProduct& p, const Scratch& scratch) {
  // A tile's rows are turned once for all the columns that one thread takes.
  const int64_t high = tile_rows(p.b.tiles, p.m), down = (p.m + high - 1) / high,
                chunk = tile_chunk_columns();
  const int64_t chunks = (p.b.columns + chunk - 1) / chunk;
  const int64_t together = parallel.threads() == 1 ? chunks : std::min<int64_t>(chunks, 4);
  const int64_t across = (chunks + together - 1) / together;
  parallel.run(down * across, sparse_grain(down * across, p.m, p.b.weights + p.b.columns),
               [&](int64_t from, int64_t to) {
                 for (int64_t tile = from; tile < to; ++tile) {
                   const int64_t row = tile / across * high, begin = tile % across * together;
                   multiply_tiles(p, row, std::min(high, p.m - row), begin,
                                  std::min(chunks, begin + together),
                                  reinterpret_cast<float*>(scratch.own(parallel)));
                 }
               });
}

void multiply_by_runs(const ParallelFor& parallel, const SparseProduct& p) {
  const int64_t groups = p.b.runs.groups();
  const int64_t terms = static_cast<int64_t>(p.b.runs.values.size()) * run_columns + p.b.columns;
  const int64_t high = run_rows(), down = (p.m + high - 1) / high;
  // Threads share rows where there are enough of them, else columns.
  const bool by_rows = down >= 2 * parallel.threads();
  const int64_t pieces = by_rows ? down : groups, grain = sparse_grain(pieces, p.m, terms);
  if (pieces <= grain) return multiply_runs(p, 0, p.m, 0, groups);
  parallel.run(pieces, grain, [&](int64_t from, int64_t to) {
    if (by_rows) {
      multiply_runs(p, from * high, std::min(p.m, to * high) - from * high, 0, groups);
    } else {
      multiply_runs(p, 0, p.m, from, to);
    }
  });
}

}  // namespace sparse_product_detail

void multiply_in_form(SparseForm form, const ParallelFor& parallel, int64_t m, const float* a, int64_t lda,
                      const SparseMatrix& b, Addend<float> addend, float* c, int64_t ldc,
                      const Scratch& scratch) {
  using namespace sparse_product_detail;
  if (m == 0) return;
  const SparseProduct p{{m, a, lda, addend, c, ldc}, b, b.tiles.values.data()};
  if (form == SparseForm::runs) return multiply_by_runs(parallel, p);
  if (!by_windows(b, m)) return multiply_by_tiles(parallel, p, scratch);
  const int64_t units = (b.columns + window_columns() - 1) / window_columns();
  parallel.run(units, sparse_grain(units, m, b.weights + b.columns),
               [&](int64_t from, int64_t to) { multiply_windows(p, from, to); });
}

void multiply_sparse(const ParallelFor& parallel, int64_t m, const float* a, int64_t lda,
                     const SparseMatrix& b, Addend<float> addend, float* c, int64_t ldc,
                     const Scratch& scratch) {
  multiply_in_form(form_for(b, m), parallel, m, a, lda, b, addend, c, ldc, scratch);
}

void multiply_tiled(const ParallelFor& parallel, int64_t m, const float* a, int64_t lda,
                    const SparseMatrix& b, const float* values, Addend<float> addend, float* c, int64_t ldc,
                    const Scratch& scratch) {
  if (m == 0 || b.columns == 0) return;
  sparse_product_detail::multiply_by_tiles(parallel, {{m, a, lda, addend, c, ldc}, b, values}, scratch);
}

void multiply_sparse_tile(int64_t m, const float* a, int64_t lda, const SparseMatrix& b, Addend<float> addend,
                          float* c, int64_t ldc, std::byte* scratch) {
  using namespace sparse_product_detail;
  const SparseProduct p{{m, a, lda, addend, c, ldc}, b, b.tiles.values.data()};
  if (form_for(b, m) == SparseForm::runs) return multiply_runs(p, 0, m, 0, b.runs.groups());
  if (by_windows(b, m)) return multiply_sparse_columns(m, a, lda, b, 0, b.columns, addend, c, ldc);
  const int64_t high = tile_rows(b.tiles, m), chunk = tile_chunk_columns();
  for (int64_t row = 0; row < m; row += high)
    multiply_tiles(p, row, std::min(high, m - row), 0, (b.columns + chunk - 1) / chunk,
                   reinterpret_cast<float*>(scratch));
}

void multiply_sparse_columns(int64_t m, const float* a, int64_t lda, const SparseMatrix& b, int64_t begin,
                             int64_t end, Addend<float> addend, float* c, int64_t ldc) {
  const int64_t width = window_columns();
  multiply_windows({{m, a, lda, addend, c, ldc}, b, nullptr}, begin / width, (end + width - 1) / width);
}

bool has_sparse_columns(const SparseMatrix& b, int64_t m) {
  using namespace sparse_product_detail;
  return by_windows(b, m) && weights_are_few(b, m);
}

Workspace sparse_workspace(int64_t m) { return {0, tile_bytes(m)}; }

}  // namespace lariat
