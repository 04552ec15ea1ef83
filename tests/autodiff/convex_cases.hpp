// Data of linear models for the solver.
#pragma once

#include "graph/base/random.hpp"
#include "graph/ir/graph.hpp"
#include "ops/ops.hpp"

namespace lariat::testing {

inline double uniform(uint64_t counter) { return random_bits(5, 1, counter)[0] * 0x1p-32 - 0.5; }

inline Tensor random_matrix(int64_t rows, int64_t columns, double density = 1) {
  Tensor x(f64, {rows, columns});
  for (int64_t i = 0; i < x.count(); ++i)
    x.data<double>()[i] = uniform(4 * i) + 0.5 < density ? 2 * uniform(4 * i + 1) : 0;
  return x;
}

inline Tensor random_signs(int64_t rows) {
  Tensor y(f64, {rows});
  for (int64_t i = 0; i < rows; ++i) y.data<double>()[i] = uniform(1000000 + i) < 0 ? -1 : 1;
  return y;
}

/// X·w for a dense constant X and the parameter "w".
inline Value product(Graph& g, const Tensor& x) {
  const int64_t rows = x.extents()[0], columns = x.extents()[1];
  const Value w = g.parameter("w", {columns}, init::zeros(), f64);
  return reshape(matmul(g.constant(x), reshape(w, {columns, 1})), {rows});
}

}  // namespace lariat::testing
