// The nuclear norm and its prox against singular values by one-sided Jacobi rotations in long double.
#include <numeric>

#include "graph/program/program.hpp"
#include "ops/ops.hpp"
#include "tests/autodiff/prox_cases.hpp"

namespace lariat::nuclear_norm_test {

using namespace lariat::testing;

namespace {

using Matrix = std::vector<std::vector<long double>>;  // columns

Matrix matrix_of(const Tensor& x) {
  const int64_t rows = x.extents()[0], columns = x.extents()[1];
  Matrix result(columns, std::vector<long double>(rows));
  for (int64_t i = 0; i < x.count(); ++i) result[i % columns][i / columns] = x.at(i);
  return result;
}

long double dot(const std::vector<long double>& a, const std::vector<long double>& b) {
  return std::inner_product(a.begin(), a.end(), b.begin(), 0.0L);
}

// Rotates pairs of columns until all are orthogonal (Hestenes 1958).
std::vector<long double> singular_values_of(Matrix x) {
  for (int sweep = 0; sweep < 60; ++sweep) {
    bool rotated = false;
    for (size_t p = 0; p < x.size(); ++p) {
      for (size_t q = p + 1; q < x.size(); ++q) {
        const long double a = dot(x[p], x[p]), b = dot(x[q], x[q]), c = dot(x[p], x[q]);
        if (std::fabs(c) <= 1e-19L * std::sqrt(a) * std::sqrt(b)) continue;
        rotated = true;
        const long double zeta = (b - a) / (2 * c);
        const long double t = std::copysign(1.0L, zeta) / (std::fabs(zeta) + std::sqrt(1 + zeta * zeta));
        const long double cosine = 1 / std::sqrt(1 + t * t), sine = cosine * t;
        for (size_t i = 0; i < x[p].size(); ++i) {
          const long double left = x[p][i], right = x[q][i];
          x[p][i] = cosine * left - sine * right;
          x[q][i] = sine * left + cosine * right;
        }
      }
    }
    if (!rotated) break;
  }
  std::vector<long double> values;
  for (const auto& column : x) values.push_back(std::sqrt(dot(column, column)));
  std::sort(values.rbegin(), values.rend());
  return values;
}

// λ‖w‖*: G = (v − w)/step has singular values of at most λ, and ⟨G, w⟩ = λ‖w‖*.
long double residual(const Tensor& v, const Tensor& w, long double threshold) {
  const Matrix point = matrix_of(v), answer = matrix_of(w);
  Matrix pull = point;
  long double inner = 0;
  for (size_t j = 0; j < pull.size(); ++j)
    for (size_t i = 0; i < pull[j].size(); ++i) {
      pull[j][i] -= answer[j][i];
      inner += pull[j][i] * answer[j][i];
    }
  const long double size = singular_values_of(point)[0];
  const std::vector<long double> values = singular_values_of(answer);
  const long double norm = std::accumulate(values.begin(), values.end(), 0.0L);
  if (size == 0) return norm;
  const long double over = (singular_values_of(pull)[0] - threshold) / size;
  const long double gap = norm == 0 ? 0 : std::fabs(threshold * norm - inner) / (norm * size);
  return std::max({0.0L, over, gap});
}

template <class T>
Outcome random_matrices(uint64_t seed) {
  Draw draw(seed);
  Outcome outcome;
  while (outcome.cases < random_cases()) {
    const int64_t rows = 1 + draw.below(4), columns = 1 + draw.below(4);
    const double scale = draw.scale(), step = draw.power_of_ten(-2, 2);
    double last = 0;
    Tensor v = tensor_of<T>({rows, columns}, [&](int64_t) { return last = draw.element(scale, last); });
    if (draw.one_in(4))  // of rank 1
      for (int64_t i = 0; i < v.count(); ++i)
        v.data<T>()[i] = static_cast<T>(v.at(i % columns) * static_cast<double>(i / columns + 1));
    const Tensor weight = Tensor::scalar(std::min(draw.pressure() * scale / step, 1e37), dtype_of<T>),
                 s = Tensor::scalar(step, dtype_of<T>);
    const Tensor w = run_op("singular_value_threshold", {v, s, weight})[0];
    outcome.note_zeros<T>(w);
    outcome.note(residual(v, w, static_cast<long double>(s.item()) * weight.item()),
                 [&] { return "scale " + std::to_string(scale); });
  }
  return outcome;
}

}  // namespace

TEST_CASE_TEMPLATE("random matrices: thresholded singular values are optimal", T, float, double) {
  check(random_matrices<T>(50), prox_tolerance<T>);
}

TEST_CASE("the nuclear norm is the sum of singular values, its directions have values of 1") {
  for (const Extents& extents : std::vector<Extents>{{1, 1}, {3, 5}, {8, 2}, {20, 30}}) {
    const Tensor x = random_tensor<double>(extents, 51);
    const std::vector<Tensor> y = run_op("nuclear_norm", {x});
    const std::vector<long double> values = singular_values_of(matrix_of(x));
    CHECK(y[0].item() ==
          doctest::Approx(static_cast<double>(std::accumulate(values.begin(), values.end(), 0.0L)))
              .epsilon(1e-14));
    const std::vector<long double> ones = singular_values_of(matrix_of(y[1]));
    const auto rank = static_cast<size_t>(std::min(extents[0], extents[1]));
    for (size_t i = 0; i < ones.size(); ++i)
      CHECK(static_cast<double>(ones[i]) == doctest::Approx(i < rank ? 1 : 0).epsilon(1e-14));
  }
}

TEST_CASE_TEMPLATE("NaN, infinity, zeros and large matrices", T, float, double) {
  const auto prox = [](const Tensor& v, double weight) {
    return run_op("singular_value_threshold",
                  {v, Tensor::scalar(1, dtype_of<T>), Tensor::scalar(weight, dtype_of<T>)})[0];
  };
  Tensor x = random_tensor<T>({3, 4}, 52);
  x.data<T>()[5] = std::numeric_limits<T>::quiet_NaN();
  CHECK(std::isnan(prox(x, 1).at(0)));
  CHECK(std::isnan(run_op("nuclear_norm", {x})[0].item()));
  x.data<T>()[5] = std::numeric_limits<T>::infinity();
  CHECK(std::isnan(prox(x, 1).at(0)));
  CHECK(std::isnan(prox(random_tensor<T>({3, 4}, 52), std::nan("")).at(0)));
  const Tensor nothing = prox(Tensor(dtype_of<T>, {3, 4}), 1);
  for (int64_t i = 0; i < 12; ++i) CHECK((nothing.at(i) == 0 && !std::signbit(nothing.at(i))));
  CHECK(run_op("nuclear_norm", {Tensor(dtype_of<T>, {3, 4})})[0].item() == 0);

  const Tensor large = random_tensor<T>({120, 80}, 53);
  const Tensor low = prox(large, 8);
  int64_t rank = 0;
  const std::vector<long double> values = singular_values_of(matrix_of(low));
  for (long double value : values) rank += value > 1e-5L * values[0];
  CHECK(rank > 5);
  CHECK(rank < 70);
  Graph graph;
  const auto scalar = [&](double value) { return graph.constant(value, dtype_of<T>); };
  graph.output("w", singular_value_threshold(graph.constant(large), scalar(1), scalar(8)));
  Program program(graph);
  Store store;
  for (int threads : {1, 2, 3}) CHECK(same_bits(low, program.run({}, store, *make_tbb_executor(threads))[0]));
}

}  // namespace lariat::nuclear_norm_test
