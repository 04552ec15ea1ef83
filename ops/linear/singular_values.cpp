#include "ops/linear/singular_values.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "graph/base/blas.hpp"
#include "graph/base/error.hpp"
#include "ops/kernels/axes.hpp"

extern "C" {
void dgesdd_(const char* job, const int* m, const int* n, double* a, const int* lda, double* s, double* u,
             const int* ldu, double* vt, const int* ldvt, double* work, const int* lwork, int* iwork,
             int* info);
}

namespace lariat {

namespace {

// Numbers that dgesdd works with.
int work_size(int m, int n) {
  const int k = std::max(1, std::min(m, n)), query = -1;
  const int lda = std::max(1, m);
  double size = 0, none = 0;
  int integers = 0, info = 0;
  dgesdd_("S", &m, &n, &none, &lda, &none, &none, &lda, &none, &k, &size, &query, &integers, &info);
  return static_cast<int>(size);
}

}  // namespace

size_t singular_values_bytes(int64_t rows, int64_t columns) {
  const int64_t k = std::min(rows, columns);
  const int64_t numbers = rows * columns + k + rows * k + k * columns +
                          work_size(static_cast<int>(rows), static_cast<int>(columns));
  return static_cast<size_t>(numbers) * sizeof(double) + static_cast<size_t>(8 * k) * sizeof(int);
}

Workspace singular_values_workspace(const KernelContext& k) {
  const TensorView& x = k.inputs[0];
  return {x.count() == 0 ? 0 : singular_values_bytes(x.extent(0), x.extent(1)), 0};
}

std::span<const double> SingularValues::product(std::span<const double> shrunk) {
  const auto rank = static_cast<int64_t>(shrunk.size());
  std::fill(matrix.begin(), matrix.end(), 0.0);
  for (int64_t k = 0; k < rank; ++k)
    for (int64_t i = 0; i < rows; ++i) u[k * rows + i] *= shrunk[k];
  if (rank == 0) return matrix;
  blas_product(true, true, rows, columns, rank, u.data(), rows, vt.data(), std::min(rows, columns), 0,
               matrix.data(), columns);
  return matrix;
}

SingularValues singular_values(const TensorView& x, std::byte* scratch) {
  use_one_blas_thread();
  auto* next = reinterpret_cast<double*>(scratch);
  const auto take = [&](int64_t count) {
    const std::span<double> taken(next, static_cast<size_t>(count));
    next += count;
    return taken;
  };
  const int64_t rows = x.extent(0), columns = x.extent(1), k = std::min(rows, columns);
  SingularValues result;
  result.rows = rows;
  result.columns = columns;
  result.matrix = take(rows * columns);
  result.values = take(k);
  result.u = take(rows * k);
  result.vt = take(k * columns);
  with_type(x.dtype, [&](auto zero) {
    const auto* from = x.as<decltype(zero)>();
    for (int64_t i = 0; i < rows; ++i)
      for (int64_t j = 0; j < columns; ++j) {
        const auto element = static_cast<double>(from[i * columns + j]);
        result.matrix[j * rows + i] = element;
        result.undefined |= !std::isfinite(element);
      }
  });
  if (result.undefined) return result;
  const auto m = static_cast<int>(rows), n = static_cast<int>(columns), rank = static_cast<int>(k);
  const int size = work_size(m, n);
  const std::span<double> work = take(size);
  int info = 0;
  dgesdd_("S", &m, &n, result.matrix.data(), &m, result.values.data(), result.u.data(), &m, result.vt.data(),
          &rank, work.data(), &size, reinterpret_cast<int*>(next), &info);
  if (info != 0)
    throw UserError(
        fmt::format("the singular values of the matrix {} do not converge; scale it, or look for "
                    "values that differ by many orders of magnitude",
                    text(x.extents)));
  return result;
}

void check_matrix(const InferContext& c, size_t index, std::string_view name) {
  check_float(c, index, name);
  if (c.shape(index).size() != 2)
    c.fail(fmt::format("{} is {}; it must be a matrix. Use reshape", name, text(c.shape(index))));
}

}  // namespace lariat
