// Every op that adds up: many floats of one, and of a tenth, come to their exact sum but for rounding,
// whatever the number of threads.
#include <cmath>
#include <functional>
#include <string>

#include "graph/ir/builder.hpp"
#include "graph/program/program.hpp"
#include "ops/ops.hpp"
#include "tests/support/testing.hpp"

namespace lariat::accumulation_test {

namespace {

Tensor zeros_of(int64_t count) { return Tensor(i32, {count}); }

// How far off a sum may be, relative: by a rounding, by more where the op rounds before or behind it, and by
// half a unit in the last place for each of the sums of floats in a chain: dense products add 512, and 16 of
// these, before they go on in double.
constexpr double rounding = 1e-7, roundings = 1e-6, chain = (512 + 16 + 2) * 0x1p-24;

struct Sum {
  const char* name;
  double allowed;
  std::function<Value(Graph&, int64_t n, float value)> build;
};

Tensor filled(Extents extents, float value) { return Tensor::filled(f32, std::move(extents), value); }

Tensor row_starts(int64_t rows, int64_t each) {
  Tensor starts(i32, {rows + 1});
  for (int64_t i = 0; i <= rows; ++i) starts.data<int32_t>()[i] = static_cast<int32_t>(i * each);
  return starts;
}

const std::vector<Sum>& sums() {
  static const std::vector<Sum> all{
      {"sum", rounding, [](Graph& g, int64_t n, float v) { return sum(g.constant(filled({n}, v))); }},
      {"sum of rows", rounding,
       [](Graph& g, int64_t n, float v) {
         return sum(g.constant(filled({n, 3}, v)), {0});
       }},
      {"sum_to", rounding,
       [](Graph& g, int64_t n, float v) {
         return sum_to(g.constant(filled({n, 1}, v)), {1});
       }},
      {"sum of absolute values", rounding,
       [](Graph& g, int64_t n, float v) { return sum(abs(g.constant(filled({n}, -v)))); }},
      {"norm2", roundings,
       [](Graph& g, int64_t n, float v) { return square(norm2(g.constant(filled({n}, std::sqrt(v))))); }},
      {"csr_matmul", rounding,
       [](Graph& g, int64_t n, float v) {
         return csr_matmul(g.constant(filled({n}, v)), g.constant(zeros_of(n)), g.constant(row_starts(1, n)),
                           g.constant(filled({1}, 1)));
       }},
      {"csr_matmul with a matrix", rounding,
       [](Graph& g, int64_t n, float v) {
         return csr_matmul(g.constant(filled({n}, v)), g.constant(zeros_of(n)), g.constant(row_starts(1, n)),
                           g.constant(filled({1, 3}, 1)));
       }},
      {"csr_transposed_matmul", rounding,
       [](Graph& g, int64_t n, float v) {
         return csr_transposed_matmul(g.constant(filled({n}, 1)), g.constant(zeros_of(n)),
                                      g.constant(row_starts(n, 1)), g.constant(filled({n}, v)), 1);
       }},
      {"csr_transposed_matmul with a matrix", rounding,
       [](Graph& g, int64_t n, float v) {
         return csr_transposed_matmul(g.constant(filled({n}, 1)), g.constant(zeros_of(n)),
                                      g.constant(row_starts(n, 1)), g.constant(filled({n, 2}, v)), 1);
       }},
      {"csr_sampled_matmul", rounding,
       [](Graph& g, int64_t n, float v) {
         return csr_sampled_matmul(g.constant(zeros_of(1)), g.constant(row_starts(1, 1)),
                                   g.constant(filled({1, n}, v)), g.constant(filled({1, n}, 1)));
       }},
      {"scatter_add_rows", rounding,
       [](Graph& g, int64_t n, float v) {
         return scatter_add_rows(g.constant(filled({n}, v)), g.constant(zeros_of(n)), 1);
       }},
      {"scatter_add_rows of rows", rounding,
       [](Graph& g, int64_t n, float v) {
         return scatter_add_rows(g.constant(filled({n, 2}, v)), g.constant(zeros_of(n)), 1);
       }},
      {"scatter_add_steps", rounding,
       [](Graph& g, int64_t n, float v) {
         return scatter_add_steps(g.constant(filled({1, n, 1}, v)), g.constant(Tensor(i32, {1, n, 1})), 1);
       }},
      {"average_pool1d", roundings,
       [](Graph& g, int64_t n, float v) {
         return static_cast<double>(n) * average_pool1d(g.constant(filled({1, n, 1}, v)), n, n);
       }},
      {"matmul of a row and a column", chain,
       [](Graph& g, int64_t n, float v) {
         return matmul(g.constant(filled({1, n}, v)), g.constant(filled({n, 1}, 1)));
       }},
      {"matmul of rows", chain,
       [](Graph& g, int64_t n, float v) {
         return matmul(g.constant(filled({2, n}, v)), transpose(g.constant(filled({2, n}, 1))));
       }},
      {"matmul over the rows", chain,
       [](Graph& g, int64_t n, float v) {
         return matmul(transpose(g.constant(filled({n, 2}, v))), g.constant(filled({n, 3}, 1)));
       }},
      {"logsumexp", roundings,
       [](Graph& g, int64_t n, float v) { return exp(logsumexp(g.constant(filled({n}, std::log(v))))); }},
  };
  return all;
}

}  // namespace

TEST_CASE("sums of many floats are exact but for rounding, on any number of threads") {
  int ran = 0;
  for (const Sum& s : sums())
    for (const float value : {1.0f, 0.1f}) {
      CAPTURE(std::string(s.name));
      CAPTURE(value);
      // Past 2^24, where a float takes no further 1; of tenths a fraction of that is off by percents.
      const int64_t n = value == 1.0f ? 17'000'000 : 2'000'000;
      Graph g;
      g.output("y", s.build(g, n, value));
      Program program(g);
      uint64_t first = 0;
      for (const int threads : {1, 3}) {
        if (threads == 1 && value != 1.0f) continue;
        Store store;
        const auto executor = make_tbb_executor(threads);
        const Tensor y = program.run({}, store, *executor)[0].clone();
        const double exact = static_cast<double>(n) * static_cast<double>(value);
        for (int64_t i = 0; i < y.count(); ++i) CHECK(std::abs(y.at(i) / exact - 1) <= s.allowed);
        Store result;
        result.set("y", y);
        if (first == 0) first = result.hash();
        CHECK(result.hash() == first);
      }
      ++ran;
    }
  CHECK(ran == 2 * static_cast<int>(sums().size()));
}

}  // namespace lariat::accumulation_test
