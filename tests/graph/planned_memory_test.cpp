// What a run takes of memory is what its plan says, and goes back when the program goes.
#include <malloc.h>

#include <fstream>
#include <functional>
#include <numeric>

#include "autodiff/gradient.hpp"
#include "autodiff/training/trainer.hpp"
#include "graph/exec/plan.hpp"
#include "graph/program/program.hpp"
#include "ops/ops.hpp"
#include "tests/support/testing.hpp"

namespace lariat::planned_memory_test {

namespace {

constexpr double megabyte = 1 << 20;
// Pages of the program's code that are read for the first time, tables of the allocator, and large pages that
// are not filled.
constexpr double slack = 8;

// Megabytes of the process: VmRSS, or VmHWM, their peak since forget_peak().
double resident(const std::string& what) {
  std::ifstream file("/proc/self/status");
  std::string word;
  double kilobytes = 0;
  while (file >> word)
    if (word == what + ":" && file >> kilobytes) break;
  return kilobytes * 1024 / megabyte;
}

bool forget_peak() {
  malloc_trim(0);
  std::ofstream file("/proc/self/clear_refs");
  return bool(file << 5 << std::flush);
}

struct Fed {
  Graph graph;
  Feeds feeds;
  Value input(const std::string& name, Extents extents, DType dtype = f32) {
    Tensor tensor(dtype, extents);
    for (int64_t i = 0; i < tensor.count(); ++i)
      with_type(dtype, [&](auto zero) {
        tensor.data<decltype(zero)>()[i] = static_cast<decltype(zero)>((i * 7919) % 101) / 50 - 1;
      });
    feeds.emplace(name, tensor);
    return graph.input(name, to_shape(extents), dtype);
  }
  // The sum, and those of its gradients.
  void both_ways(Value y, std::initializer_list<Value> wrt) {
    const Value loss = sum(y * y);
    graph.output("loss", loss);
    int number = 0;
    for (Value g : gradient(loss, wrt)) graph.output(std::to_string(number++), sum(g));
  }
};

struct Case {
  const char* name;
  void (*build)(Fed&);
};

const std::vector<Case>& cases() {
  static const std::vector<Case> list{
      {"product",
       [](Fed& f) {
         f.both_ways(matmul(f.input("x", {512, 2048}), f.input("w", {2048, 2048})), {});
       }},
      {"product of few rows",
       [](Fed& f) {
         f.both_ways(matmul(f.input("x", {100, 2048}), f.input("w", {2048, 2048})), {});
       }},
      {"one row",
       [](Fed& f) {
         f.both_ways(matmul(f.input("x", {1, 4096}), f.input("w", {4096, 3001})), {});
       }},
      {"one column",
       [](Fed& f) {
         f.both_ways(matmul(f.input("x", {4096, 3001}), f.input("w", {3001, 1})), {});
       }},
      {"product and its gradients",
       [](Fed& f) {
         const Value x = f.input("x", {700, 1500}), w = f.input("w", {1500, 900});
         f.both_ways(matmul(x, w), {x, w});
       }},
      {"products side by side",
       [](Fed& f) {
         const Value x = f.input("x", {6, 300, 512}), w = f.input("w", {6, 512, 600});
         f.both_ways(matmul(x, w), {x, w});
       }},
      {"long inner dimension",
       [](Fed& f) {
         f.both_ways(matmul(transpose(f.input("x", {100000, 50})), f.input("w", {100000, 40})), {});
       }},
      {"long inner dimension of doubles",
       [](Fed& f) {
         f.both_ways(matmul(transpose(f.input("x", {100000, 50}, f64)), f.input("w", {100000, 40}, f64)), {});
       }},
      {"convolution",
       [](Fed& f) {
         const Value x = f.input("x", {16, 64, 64, 16}), w = f.input("w", {3, 3, 16, 64});
         f.both_ways(conv2d(x, w), {x, w});
       }},
      {"convolution of doubles",
       [](Fed& f) {
         const Value x = f.input("x", {4, 64, 64, 16}, f64), w = f.input("w", {3, 3, 16, 32}, f64);
         f.both_ways(conv2d(x, w), {x, w});
       }},
      {"convolution of one pixel",
       [](Fed& f) {
         const Value x = f.input("x", {16, 64, 64, 64}), w = f.input("w", {1, 1, 64, 64});
         f.both_ways(conv2d(x, w), {x, w});
       }},
      {"convolution over time",
       [](Fed& f) {
         const Value x = f.input("x", {16, 1000, 64}), w = f.input("w", {5, 64, 128});
         f.both_ways(conv1d(x, w), {x, w});
       }},
      {"recurrence",
       [](Fed& f) {
         const Value x = f.input("x", {32, 50, 200}), k = f.input("k", {200, 1200}),
                     r = f.input("r", {300, 1200}), b = f.input("b", {1200});
         f.both_ways(lstm(x, k, r, b), {x, k, r, b});
       }},
      {"one step of a recurrence",
       [](Fed& f) {
         const Value x = f.input("x", {300, 1000}), h = f.input("h", {300, 1000}),
                     c = f.input("c", {300, 1000}), k = f.input("k", {1000, 4000}),
                     r = f.input("r", {1000, 4000}), b = f.input("b", {4000});
         f.both_ways(lstm_cell(x, h, c, k, r, b).hidden, {});
       }},
      {"total variation, one line",
       [](Fed& f) { f.both_ways(total_variation_prox(f.input("v", {500000}), 0.5, 0.1, 0), {}); }},
      {"total variation, many lines",
       [](Fed& f) {
         f.both_ways(total_variation_prox(f.input("v", {300, 5000}), 0.5, 0.1, 1), {});
       }},
      {"largest element, one group",
       [](Fed& f) { f.both_ways(norm_inf_prox(f.input("v", {1500000}), 0.5, 0.1), {}); }},
      {"largest element, many groups",
       [](Fed& f) {
         f.both_ways(norm_inf_prox(f.input("v", {40, 100000}), 0.5, f.input("l", {40}), {1}), {});
       }},
      {"one group",
       [](Fed& f) {
         const Value v = f.input("v", {1500000});
         f.both_ways(group_soft_threshold(v, abs(v) + 0.1, 0.1), {});
       }},
      {"many groups",
       [](Fed& f) {
         const Value v = f.input("v", {300, 5000});
         f.both_ways(group_soft_threshold(v, abs(v) + 0.1, f.input("l", {300}), {1}), {});
       }},
      {"singular values",
       [](Fed& f) {
         f.both_ways(nuclear_norm(f.input("x", {500, 300})), {});
       }},
      {"singular value threshold",
       [](Fed& f) {
         f.both_ways(singular_value_threshold(f.input("x", {300, 500}), 0.5, 0.5), {});
       }},
      {"a wide loop",
       [](Fed& f) {
         std::vector<Value> values;
         for (int i = 0; i < 300; ++i) values.push_back(f.input("x" + std::to_string(i), {1, 3000}));
         Value all = values[0];
         for (const Value value : values) all = all + tanh(value) * values[0];
         f.both_ways(all, {values[0], values[299]});
       }},
      {"sums along axes", [](Fed& f) {
         const Value x = f.input("x", {1000, 30, 100});
         f.both_ways(sum(x, {0}), {x});
         f.graph.output("maximum", sum(reduce_max(x, {0, 2})));
       }}};
  return list;
}

}  // namespace

TEST_CASE("planned memory: a run takes what its plan says, and it goes back with the program") {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  return testing::skip("memory is counted without the sanitizers' own");
#endif
  if (!forget_peak()) return testing::skip("the peak of this process cannot be reset here");
  for (const int threads : {1, 2}) {
    const auto executor = make_tbb_executor(threads);
    {
      // Threads, and what BLAS keeps for the process.
      Fed first;
      first.both_ways(matmul(first.input("x", {300, 300}, f64), first.input("w", {300, 300}, f64)), {});
      Store none;
      Program(first.graph).run(first.feeds, none, *executor);
    }
    for (const Case& c : cases()) {
      CAPTURE(c.name);
      CAPTURE(threads);
      Fed fed;
      c.build(fed);
      auto program = std::make_unique<Program>(fed.graph);
      const double planned = static_cast<double>(program->plan(fed.feeds).arena_bytes(threads)) / megabyte;
      Store none;
      REQUIRE(forget_peak());
      const double before = resident("VmRSS");
      for (const Tensor& result : program->run(fed.feeds, none, *executor)) CHECK(result.count() == 1);
      const double grown = resident("VmHWM") - before;
      CHECK(grown < planned + slack);
      program.reset();
      CHECK(resident("VmRSS") - before < slack);
    }
  }
}

TEST_CASE(
    "planned memory: a weight that is packed takes no memory at a run, and a trainer gives all of it back") {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  return testing::skip("memory is counted without the sanitizers' own");
#endif
  Graph g;
  const Value x = g.input("x", {dim::batch, 2048}), w = g.parameter("w", {2048, 4096});
  const Value y = matmul(x, w);
  const Feeds feeds{{"x", Tensor(f32, {512, 2048})}};
  Store store;
  initialize_store(g, store, 1);
  const size_t result = 512 * 4096 * sizeof(float);
  CHECK(inference_program(g, std::span(&y, 1), &store)->plan(feeds).arena_bytes() < result + (1 << 20));
  CHECK(inference_program(g, std::span(&y, 1))->plan(feeds).arena_bytes() >=
        result + 2048 * 4096 * sizeof(float));
  if (!forget_peak()) return testing::skip("the peak of this process cannot be reset here");
  const double before = resident("VmRSS");
  {
    Trainer trainer(mean(square(y)), Sgd{}, {.threads = 2});
    trainer.step(feeds);
    const double planned = static_cast<double>(trainer.plan(feeds).arena_bytes(2)) / megabyte, weight = 32;
    CHECK(resident("VmHWM") - before < planned + weight + slack);
    CHECK(planned > 32);
  }
  CHECK(resident("VmRSS") - before < slack);
}

}  // namespace lariat::planned_memory_test
