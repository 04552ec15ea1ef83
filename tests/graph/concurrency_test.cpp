// What several threads may do at once. The checks of values see a race now and then; ThreadSanitizer (./run
// tsan) sees it each time, and ./run races proves that it does.
#include <fmt/format.h>

#include <atomic>
#include <thread>

#include "graph/base/error.hpp"
#include "graph/exec/trace.hpp"
#include "graph/program/program.hpp"
#include "ops/ops.hpp"
#include "tests/support/testing.hpp"

namespace lariat::concurrency_test {

namespace {

constexpr int threads = 4;

void on_threads(const std::function<void(int)>& work) {
  std::atomic<int> waiting = threads;
  std::vector<std::thread> all;
  for (int i = 0; i < threads; ++i)
    all.emplace_back([&, i] {
      // All begin together.
      for (--waiting; waiting > 0;) std::this_thread::yield();
      work(i);
    });
  for (std::thread& thread : all) thread.join();
}

// Rows of nodes, each of which reads two of the row above: whoever ends last makes a node below ready.
void lattice(Graph& graph, int rows, int columns, const std::function<Value(Value, Value)>& node) {
  std::vector<Value> above;
  for (int i = 0; i < columns; ++i) above.push_back(graph.input(fmt::format("x{}", i), {96, 96}));
  for (int row = 0; row < rows; ++row) {
    std::vector<Value> below;
    for (int i = 0; i < columns; ++i)
      below.push_back(
          node(above[static_cast<size_t>(i)], above[static_cast<size_t>((i + 1 + row) % columns)]));
    above = below;
  }
  for (int i = 0; i < columns; ++i) graph.output(fmt::format("y{}", i), above[static_cast<size_t>(i)]);
}

Feeds lattice_feeds(int columns, float number) {
  Feeds feeds;
  for (int i = 0; i < columns; ++i)
    feeds.emplace(fmt::format("x{}", i), Tensor::filled(f32, {96, 96}, number + static_cast<float>(i)));
  return feeds;
}

}  // namespace

TEST_CASE("threads: a node sees what both nodes above it wrote, wherever they ran") {
  Graph graph;
  lattice(graph, 12, 6, [](Value a, Value b) { return matmul(a, b) * 0.001 + transpose(b); });
  Program serial(graph), parallel(graph);
  Store store;
  const Feeds feeds = lattice_feeds(6, -2.5f);
  const auto expected = serial.run(feeds, store, *make_serial_executor());
  const auto executor = make_tbb_executor(threads);
  for (int round = 0; round < 20; ++round) {
    const auto found = parallel.run(feeds, store, *executor);
    for (size_t i = 0; i < found.size(); ++i) CHECK(same_bits(found[i], expected[i]));
  }
}

TEST_CASE("threads: products that run side by side work in memory of their own") {
  Graph graph;
  Store store;
  std::vector<Value> results;
  Feeds feeds;
  for (int i = 0; i < 8; ++i) {
    const std::string name = fmt::format("w{}", i);
    results.push_back(matmul(graph.input(fmt::format("x{}", i), {64, 512}),
                             graph.parameter(name, {512, 512}, init::zeros())));
    Tensor w(f32, {512, 512});
    for (int64_t at = 0; at < w.count(); at += 7 + i) w.data<float>()[at] = 0.25f;
    store.set(name, std::move(w));
    feeds.emplace(fmt::format("x{}", i), Tensor::filled(f32, {64, 512}, i * 0.125 - 0.4));
  }
  const auto program = inference_program(graph, results, &store);
  const auto expected = program->run(feeds, store, *make_serial_executor());
  const auto executor = make_tbb_executor(threads);
  for (int round = 0; round < 10; ++round) {
    const auto found = program->run(feeds, store, *executor);
    for (size_t i = 0; i < found.size(); ++i) CHECK(same_bits(found[i], expected[i]));
  }
}

TEST_CASE("threads: of many nodes that fail at once one is named, and the executor goes on") {
  Graph graph;
  std::vector<Value> checked;
  for (int i = 0; i < 16; ++i)
    checked.push_back(one_hot(graph.input(fmt::format("x{}", i), {20000}, i32), 3));
  for (size_t i = 0; i < checked.size(); ++i) graph.output(fmt::format("y{}", i), checked[i]);
  Program program(graph);
  Store store;
  const auto executor = make_tbb_executor(threads);
  Feeds bad, good;
  for (int i = 0; i < 16; ++i) {
    bad.emplace(fmt::format("x{}", i), Tensor::filled(i32, {20000}, 7));
    good.emplace(fmt::format("x{}", i), Tensor::filled(i32, {20000}, 2));
  }
  for (int round = 0; round < 20; ++round) {
    CHECK(
        testing::message_of<UserError>([&] { program.run(bad, store, *executor); }).starts_with("[one_hot]"));
    CHECK(program.run(good, store, *executor).back().at(2) == 1);
  }
}

TEST_CASE("threads: a trace has every step of every thread") {
  Graph graph;
  lattice(graph, 4, 8, [](Value a, Value b) { return matmul(a, b); });
  Program program(graph);
  Store store;
  const auto executor = make_tbb_executor(threads);
  Trace trace;
  executor->record(&trace);
  for (int round = 0; round < 20; ++round) program.run(lattice_feeds(8, 0.001f), store, *executor);
  CHECK(trace.size() == 20 * 4 * 8);
}

TEST_CASE("threads: one program plans and runs for several callers") {
  Graph graph;
  const Value x = graph.input("x", {dim::batch, 3});
  graph.output("y", sum(square(x), {1}));
  Program program(graph);
  std::atomic<int> wrong = 0;
  on_threads([&](int mine) {
    const auto executor = make_serial_executor();
    Store store;
    for (int round = 0; round < 50; ++round) {
      const int64_t batch = 1 + (mine + round) % 12;
      const Feeds feeds{{"x", Tensor::filled(f32, {batch, 3}, mine)}};
      program.plan(feeds);
      const Tensor y = program.run(feeds, store, *executor)[0];
      wrong += y.count() != batch || y.at(batch - 1) != 3 * mine * mine;
    }
  });
  CHECK(wrong == 0);
}

TEST_CASE("threads: graphs are built side by side, with symbols and quotients of symbols in common") {
  std::vector<std::string> texts(threads);
  on_threads([&](int mine) {
    for (int round = 0; round < 100; ++round) {
      const Dim length = dim::batch * Dim(round + 2) + Dim(1), half = floor_divide(length, 2);
      const Dim of_all = floor_divide(half + dim::time, 3) * dim::batch;
      texts[static_cast<size_t>(mine)] +=
          fmt::format("{}: {}\n", of_all.text(), of_all.evaluate({{"batch", 3}, {"time", round}}));
      // Some that no other thread has, so that tables grow while they are read.
      const Dim own = floor_divide(dim::batch * Dim(threads * round + mine + 2) + Dim(1), 1000 + mine);
      for (int again = 0; again < 20; ++again)
        CHECK(own.evaluate({{"batch", 1000 + mine}}) == threads * round + mine + 2);
    }
  });
  for (const std::string& text : texts) CHECK(text == texts[0]);
}

TEST_CASE("threads: the registry and constants of several graphs are read at once") {
  std::vector<double> results(threads);
  on_threads([&](int mine) {
    for (int round = 0; round < 20; ++round) {
      Graph graph;
      const Value x = graph.input("x", {4});
      graph.output("y", sum(exp(x) * graph.constant(2.0) + log1p(square(x))));
      Store store;
      results[static_cast<size_t>(mine)] +=
          Program(graph).run({{"x", Tensor::filled(f32, {4}, 0.5)}}, store, *make_tbb_executor(2))[0].item();
    }
  });
  for (double result : results) CHECK(result == results[0]);
}

}  // namespace lariat::concurrency_test
