// Numbers below the smallest that a float holds in full count as 0 while kernels run, on every thread, and
// for nobody else.
#include <limits>

#include "graph/exec/executor.hpp"
#include "graph/program/program.hpp"
#include "ops/ops.hpp"
#include "tests/support/testing.hpp"

namespace lariat::subnormals_test {

namespace {

// Computed here and now, whatever the compiler could know.
bool has_subnormals() {
  volatile float least = std::numeric_limits<float>::min();
  volatile double of_doubles = std::numeric_limits<double>::min();
  return least / 2 > 0 && of_doubles / 2 > 0;
}

std::vector<std::unique_ptr<Executor>> all_executors() {
  std::vector<std::unique_ptr<Executor>> all;
  all.push_back(make_serial_executor());
  for (const int threads : {1, 4}) all.push_back(make_tbb_executor(threads));
  return all;
}

}  // namespace

TEST_CASE_TEMPLATE("subnormals: results and operands are 0 on every thread, and the caller's are as before",
                   T, float, double) {
  const double least = std::numeric_limits<T>::min();
  const DType dtype = dtype_of<T>;
  Graph graph;
  const Value x = graph.input("x", {1 << 20}, dtype);
  graph.output("halved", x * 0.5);
  graph.output("twice", x * 2.0);
  Tensor normal = Tensor::filled(dtype, {1 << 20}, least),
         small = Tensor::filled(dtype, {1 << 20}, least / 4);
  for (const auto& executor : all_executors()) {
    Program program(graph);
    Store store;
    const auto all_of = [&](const Tensor& from, const std::string& output) {
      std::vector<Tensor> results = program.run({{"x", from}}, store, *executor);
      const Tensor& result = results[output == "halved" ? 0 : 1];
      for (int64_t i = 1; i < result.count(); ++i) REQUIRE(result.at(i) == result.at(0));
      return result.at(0);
    };
    CHECK(all_of(normal, "halved") == 0);
    CHECK(all_of(normal, "twice") == 2 * least);
    CHECK(all_of(small, "twice") == 0);
    int64_t counted = 0;
    executor->run(1000, 1, [&](int64_t begin, int64_t) {
      if (begin == 0) counted += !has_subnormals();
    });
    CHECK(counted == 1);
    CHECK(has_subnormals());
  }
}

}  // namespace lariat::subnormals_test
