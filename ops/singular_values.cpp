#include "ops/singular_values.hpp"

#include <fmt/format.h>

#include <cmath>
#include <xtensor-blas/xlinalg.hpp>
#include <xtensor/xadapt.hpp>

#include "graph/blas.hpp"
#include "graph/error.hpp"
#include "ops/axes.hpp"

namespace lariat {

std::vector<double> SingularValues::product(const std::vector<double>& shrunk) const {
  const auto rank = static_cast<int64_t>(shrunk.size());
  std::vector<double> scaled(u.begin(), u.begin() + rows * rank), result(rows * columns);
  for (int64_t k = 0; k < rank; ++k)
    for (int64_t i = 0; i < rows; ++i) scaled[k * rows + i] *= shrunk[k];
  if (rank == 0) return result;
  // Row by row, the product is its transpose column by column.
  const auto m = static_cast<int>(rows), n = static_cast<int>(columns);
  cblas_dgemm(CblasColMajor, CblasTrans, CblasTrans, n, m, static_cast<int>(rank), 1, vt.data(),
              std::min(m, n), scaled.data(), m, 0, result.data(), n);
  return result;
}

SingularValues singular_values(const TensorView& x) {
  use_one_blas_thread();
  SingularValues result{.rows = x.extent(0), .columns = x.extent(1), .values = {}, .u = {}, .vt = {}};
  std::vector<double> matrix(x.count());
  with_type(x.dtype, [&](auto zero) { std::copy_n(x.as<decltype(zero)>(), x.count(), matrix.begin()); });
  for (double element : matrix) result.undefined |= !std::isfinite(element);
  if (result.undefined) return result;
  const auto view = xt::adapt(
      matrix, std::vector<size_t>{matrix.size() / result.columns, static_cast<size_t>(result.columns)});
  try {
    const auto [u, s, vt] = xt::linalg::svd(view, false);
    result.u.assign(u.storage().begin(), u.storage().end());
    result.values.assign(s.storage().begin(), s.storage().end());
    result.vt.assign(vt.storage().begin(), vt.storage().end());
  } catch (const std::runtime_error&) {
    throw UserError(
        fmt::format("the singular values of the matrix {} do not converge; scale it, or look for "
                    "values that differ by many orders of magnitude",
                    text(x.extents)));
  }
  return result;
}

void check_matrix(const InferContext& c, size_t index, std::string_view name) {
  check_float(c, index, name);
  if (c.shape(index).size() != 2)
    c.fail(fmt::format("{} is {}; it must be a matrix. Use reshape", name, text(c.shape(index))));
}

}  // namespace lariat
