#include <thread>

#include "graph/base/error.hpp"
#include "graph/program/program.hpp"
#include "ops/ops.hpp"
#include "support/testing.hpp"

namespace lariat::bound_program_test {

namespace {

// y = tanh(x·w + b), and x itself.
struct Layer {
  Graph graph;
  Store store;
  std::unique_ptr<Program> program;

  explicit Layer(bool frozen) {
    const Value x = graph.input("x", {dim::batch, 3}), w = graph.parameter("w", {3, 2}, init::zeros()),
                b = graph.parameter("b", {2}, init::zeros());
    store.set("w", Tensor::of<float>({3, 2}, {1, 2, 0, -1, 0.5f, 0.25f}));
    store.set("b", Tensor::of<float>({2}, {0.1f, -0.1f}));
    const Value values[] = {tanh(matmul(x, w) + b), x};
    program = inference_program(graph, values, frozen ? &store : nullptr);
  }
};

}  // namespace

TEST_CASE("a bound program computes what a run does, from what its feeds hold at the time") {
  for (const bool frozen : {true, false})
    for (const int threads : {1, 2}) {
      CAPTURE(frozen);
      CAPTURE(threads);
      Layer layer(frozen);
      const auto executor = make_tbb_executor(threads);
      const Tensor x = Tensor::of<float>({2, 3}, {1, 2, 3, 4, 5, 6});
      const auto bound = layer.program->bind({{"x", x}}, layer.store, *executor);
      for (const float first : {1.0f, -7.0f, 0.25f}) {
        x.data<float>()[0] = first;
        bound->run();
        const std::vector<Tensor> expected = layer.program->run({{"x", x}}, layer.store, *executor);
        REQUIRE(bound->results().size() == 2);
        CHECK(same_bits(bound->results()[0], expected[0]));
        CHECK(same_bits(bound->results()[1], x));
      }
      CHECK(bound->results()[0].view().data != x.view().data);
      CHECK(bound->results()[1].view().data != x.view().data);
    }
}

TEST_CASE("bound programs keep what they read, and run side by side") {
  Layer layer(true);
  const auto executor = make_tbb_executor(2);
  std::vector<std::unique_ptr<BoundProgram>> bound;
  std::vector<Tensor> expected;
  for (const float scale : {1.0f, 2.0f, 3.0f, 4.0f}) {
    const Tensor x = Tensor::of<float>({1, 3}, {scale, -scale, scale / 2});
    expected.push_back(layer.program->run({{"x", x}}, layer.store, *executor)[0]);
    bound.push_back(layer.program->bind({{"x", x}}, layer.store, *executor));
  }
  std::vector<std::thread> threads;
  std::vector<int> same(bound.size());
  for (size_t i = 0; i < bound.size(); ++i)
    threads.emplace_back([&, i] {
      for (int run = 0; run < 100; ++run) {
        bound[i]->run();
        same[i] += same_bits(bound[i]->results()[0], expected[i]);
      }
    });
  for (std::thread& thread : threads) thread.join();
  CHECK(same == std::vector<int>(bound.size(), 100));
}

TEST_CASE("a program is bound to what run() takes only, and not where it updates") {
  Layer layer(false);
  const auto executor = make_serial_executor();
  const auto bind = [&](Program& program, const Feeds& feeds, const Store& store) {
    return testing::message_of<UserError>([&] { (void)program.bind(feeds, store, *executor); });
  };
  const Tensor x(f32, {1, 3});
  CHECK(bind(*layer.program, {}, layer.store) == "the input 'x' f32[batch, 3] was not fed");
  CHECK(bind(*layer.program, {{"y", x}}, layer.store) == "there is no input 'y'. Known: x.");
  CHECK(bind(*layer.program, {{"x", Tensor(f64, {1, 3})}}, layer.store) ==
        "the input 'x' is f32[batch, 3], but f64[1, 3] was fed; convert it to f32");
  CHECK(bind(*layer.program, {{"x", Tensor(f32, {1, 4})}}, layer.store) ==
        "the input 'x' is f32[batch, 3], but f32[1, 4] was fed; it must be [1, 3]");
  CHECK(bind(*layer.program, {{"x", x}}, {}).find("'w'") != std::string::npos);

  Graph g;
  const Value count = g.state("count", {1});
  g.update("count", count + g.input("x", {1}));
  Program counting(g);
  Store store;
  store.set("count", Tensor(f32, {1}));
  CHECK(bind(counting, {{"x", Tensor(f32, {1})}}, store) ==
        "a program that updates 'count' is not bound to its memory; call run(), which does the updates");
}

}  // namespace lariat::bound_program_test
