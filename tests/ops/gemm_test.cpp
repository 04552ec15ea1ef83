#include "ops/kernels/gemm.hpp"

#include <cmath>
#include <vector>

#include "graph/base/random.hpp"
#include "graph/exec/executor.hpp"
#include "tests/support/testing.hpp"

namespace lariat::gemm_test {

namespace {

std::vector<float> numbers(std::string_view name, int64_t count) {
  std::vector<float> result(count);
  for (int64_t i = 0; i < count; ++i)
    result[i] = 2 * to_unit(random_bits(5, hash_name(name), static_cast<uint64_t>(i))[0]) - 1;
  return result;
}

struct TestedProduct {
  bool transpose_a, transpose_b;
  int64_t m, n, k;
  float beta;
  std::vector<float> a = numbers("a", m*k), b = numbers("b", k*n), c = numbers("c", m*n);

  Addend<float> addend(const std::vector<float>& result) const {
    return beta == 0 ? Addend<float>{} : Addend<float>{result.data(), n};
  }
  Product shape() const {
    return {transpose_a, transpose_b, m, n, k, transpose_a ? m : k, transpose_b ? k : n};
  }
  std::vector<float> run(const ParallelFor& parallel, const float* packed = nullptr) const {
    std::vector<float> result = c;
    const OwnScratch scratch(gemm_workspace<float>(shape(), packed != nullptr), parallel.threads());
    gemm<float>(parallel, shape(), a.data(), b.data(), addend(result), result.data(), n, scratch, packed);
    return result;
  }
  // Rows [first, first + count) alone.
  std::vector<float> rows(const ParallelFor& parallel, int64_t first, int64_t count) const {
    std::vector<float> result(c.begin() + first * n, c.begin() + (first + count) * n);
    Product some = shape();
    some.m = count;
    const OwnScratch scratch(gemm_workspace<float>(some), parallel.threads());
    gemm<float>(parallel, some, a.data() + (transpose_a ? first : first * k), b.data(), addend(result),
                result.data(), n, scratch);
    return result;
  }
  double expected(int64_t i, int64_t j) const {
    double sum = beta * static_cast<double>(c[i * n + j]);
    for (int64_t d = 0; d < k; ++d)
      sum += static_cast<double>(a[transpose_a ? d * m + i : i * k + d]) *
             b[transpose_b ? j * k + d : d * n + j];
    return sum;
  }
};

template <class Check>
void for_each_product(const Check& check) {
  for (bool transpose_a : {false, true})
    for (bool transpose_b : {false, true})
      for (float beta : {0.0f, 1.0f})
        for (auto [m, n, k] : {std::array<int64_t, 3>{1, 1, 1},
                               {2, 2, 2},
                               {5, 4, 4},
                               {3, 5, 7},
                               {8, 32, 16},
                               {17, 33, 513},
                               {1, 300, 40},
                               {300, 1, 40},
                               {2, 260, 9},
                               {40, 10, 600},
                               {300, 130, 20},
                               {270, 64, 1100},
                               {1, 123, 20500},
                               {123, 1, 20500},
                               {2, 7, 20500},
                               {30, 12, 20500},
                               {13, 40, 70},
                               {14, 520, 1024},
                               {20, 1024, 30},
                               {70, 1024, 20},
                               {5, 4, 0}})
          check(TestedProduct{transpose_a, transpose_b, m, n, k, beta});
}

}  // namespace

TEST_CASE("products agree with sums in double, for every shape of block and way of packing") {
  const auto serial = make_serial_executor();
  double worst = 0;
  for_each_product([&](const TestedProduct& p) {
    const std::vector<float> result = p.run(*serial);
    for (int64_t i = 0; i < p.m; ++i)
      for (int64_t j = 0; j < p.n; ++j)
        worst = std::max(worst, std::abs(result[i * p.n + j] - p.expected(i, j)) /
                                    std::sqrt(1.0 + static_cast<double>(p.k)));
  });
  CHECK(worst < 2e-6);
}

TEST_CASE("a product has the same bits on any number of threads") {
  const auto serial = make_serial_executor();
  for (int threads : {1, 2, 3, 8}) {
    const auto executor = make_tbb_executor(threads);
    for_each_product([&](const TestedProduct& p) { CHECK(p.run(*executor) == p.run(*serial)); });
  }
}

TEST_CASE("a product has the same bits as the one tile that it is on the calling thread") {
  const auto parallel = make_tbb_executor(3);
  for_each_product([&](const TestedProduct& p) {
    std::vector<float> result = p.c;
    const OwnScratch scratch({gemm_tile_bytes<float>(p.shape()), 0}, 1);
    gemm_tile<float>(p.shape(), p.a.data(), p.b.data(), p.addend(result), result.data(), p.n,
                     Scratch(scratch).shared);
    CHECK(result == p.run(*parallel));
  });
}

TEST_CASE(
    "a product of doubles over a long inner dimension is exact, with the same bits on any number of "
    "threads") {
  const int64_t m = 3, n = 5, k = 20500;
  const std::vector<float> left = numbers("a", k * m), right = numbers("b", k * n),
                           start = numbers("c", m * n);
  const std::vector<double> a(left.begin(), left.end()), b(right.begin(), right.end());
  const auto product = [&](const Executor& executor) {
    std::vector<double> c(start.begin(), start.end());
    const Product shape{true, false, m, n, k, m, n};
    const OwnScratch scratch(gemm_workspace<double>(shape), executor.threads());
    gemm<double>(executor, shape, a.data(), b.data(), {c.data(), n}, c.data(), n, scratch);
    return c;
  };
  const std::vector<double> serial = product(*make_serial_executor());
  CHECK(product(*make_tbb_executor(3)) == serial);
  for (int64_t i = 0; i < m; ++i)
    for (int64_t j = 0; j < n; ++j) {
      long double sum = start[i * n + j];
      for (int64_t d = 0; d < k; ++d) sum += static_cast<long double>(a[d * m + i]) * b[d * n + j];
      CHECK(std::abs(serial[i * n + j] - static_cast<double>(sum)) < 1e-11);
    }
}

TEST_CASE("one number is added to every row of a column") {
  const auto serial = make_serial_executor();
  const TestedProduct p{false, false, 300, 1, 40, 0};
  std::vector<float> result(p.m);
  const float bias = 3;
  const OwnScratch scratch(gemm_workspace<float>(p.shape()), 1);
  gemm<float>(*serial, p.shape(), p.a.data(), p.b.data(), {&bias, 0}, result.data(), 1, scratch);
  for (int64_t i = 0; i < p.m; ++i) CHECK(result[i] == doctest::Approx(p.expected(i, 0) + 3).epsilon(1e-5));
}

TEST_CASE("a product with an operand that was packed before has the same bits") {
  const auto serial = make_serial_executor(), parallel = make_tbb_executor(3);
  int packed_before = 0;
  for_each_product([&](const TestedProduct& p) {
    const auto packed = pack_b<float>(p.transpose_b, p.n, p.k, p.b.data(), p.transpose_b ? p.k : p.n);
    CHECK(bool(packed) == (p.n > 1 && p.k > 0));
    packed_before += bool(packed);
    CHECK(p.run(*parallel, packed.get()) == p.run(*serial));
  });
  CHECK(packed_before > 50);
}

TEST_CASE("a row of a product has the same bits whatever other rows are computed with it") {
  const auto serial = make_serial_executor();
  for_each_product([&](const TestedProduct& p) {
    if (p.m < 3 || p.n == 1) return;
    const std::vector<float> all = p.run(*serial), some = p.rows(*serial, 1, p.m - 1);
    CHECK(std::equal(some.begin(), some.end(), all.begin() + p.n));
  });
}

}  // namespace lariat::gemm_test
