// Programs whose parameters are constants, and what their kernels pack once.
#include "graph/passes/freeze.hpp"

#include <set>

#include "graph/base/error.hpp"
#include "graph/base/random.hpp"
#include "graph/exec/plan.hpp"
#include "graph/program/program.hpp"
#include "ops/ops.hpp"
#include "tests/ops/kernel_runner.hpp"

namespace lariat::freeze_test {

using namespace lariat::testing;

namespace {

// A graph of one input "x", its results, and the extents to feed it with.
struct Model {
  std::string name;
  void (*build)(Graph&);
  std::vector<Extents> fed;
  size_t packed;  // how many nodes pack a constant for the last of these extents
};

void output(Value value) { value.graph().output("y", value); }

const std::vector<Model>& models() {
  static const std::vector<Model> all{
      {"conv2d",
       [](Graph& g) {
         const Value x = g.input("x", {dim::batch, 20, 24, 3});
         const Value h =
             relu(conv2d(x, g.parameter("w1", {4, 5, 3, 40}), {}, "same") + g.parameter("b", {40}));
         output(conv2d(h, g.parameter("w2", {3, 3, 40, 7}), {2, 2}, "valid"));
       },
       {{1, 20, 24, 3}, {2, 20, 24, 3}, {9, 20, 24, 3}},
       2},
      {"conv2d, one tap and one filter",
       [](Graph& g) {
         const Value x = g.input("x", {dim::batch, 9, 7, 3});
         const Value h = conv2d(x, g.parameter("w1", {1, 1, 3, 10}), {}, "valid");
         output(conv2d(h, g.parameter("w2", {2, 2, 10, 1}), {}, "valid"));
       },
       {{1, 9, 7, 3}, {6, 9, 7, 3}},
       1},
      {"conv1d",
       [](Graph& g) {
         output(conv1d(g.input("x", {dim::batch, dim::time, 5}), g.parameter("w", {4, 5, 33}), 1, "causal"));
       },
       {{1, 3, 5}, {1, 50, 5}, {7, 90, 5}},
       1},
      {"convolutions of doubles",
       [](Graph& g) {
         const Value x = g.input("x", {dim::batch, 20, 24, 3}, f64);
         output(conv2d(x, g.parameter("w", {4, 5, 3, 8}, init::glorot_uniform(), f64), {}, "same"));
       },
       {{1, 20, 24, 3}, {5, 20, 24, 3}},
       0},
      {"matmul by few columns",
       [](Graph& g) {
         const Value x = g.input("x", {dim::batch, 600});
         output(matmul(x, g.parameter("w", {600, 10})) + g.parameter("b", {10}));
       },
       {{1, 600}, {3, 600}, {300, 600}},
       1},
      {"matmul over a long inner dimension",
       [](Graph& g) {
         const Value x = g.input("x", {dim::batch, 25000});
         output(matmul(x, g.parameter("w", {25000, 12})) + g.parameter("b", {12}));
       },
       {{1, 25000}, {3, 25000}},
       1},
      {"matmul of many rows",
       [](Graph& g) {
         output(matmul(g.input("x", {dim::batch, 40}), g.parameter("w", {40, 130})));
       },
       {{1, 40}, {256, 40}, {257, 40}},
       1},
      {"matmul by a transposed matrix",
       [](Graph& g) {
         output(matmul(g.input("x", {dim::batch, 40}), transpose(g.parameter("w", {130, 40}))));
       },
       {{1, 40}, {2, 40}, {90, 40}},
       1},
      {"matmul by a column",
       [](Graph& g) {
         output(matmul(g.input("x", {dim::batch, 40}), g.parameter("w", {40, 1})));
       },
       {{1, 40}, {300, 40}},
       0},
      {"matmul with leading dimensions",
       [](Graph& g) {
         const Value x = g.input("x", {dim::batch, 3, 4, 6});
         output(matmul(matmul(x, g.parameter("v", {6, 5})), g.parameter("w", {5, 9})));
       },
       {{1, 3, 4, 6}, {5, 3, 4, 6}},
       2},
      {"lstm",
       [](Graph& g) {
         const Value x = g.input("x", {dim::batch, dim::time, 6});
         output(lstm(x, g.parameter("input", {6, 4 * 64}), g.parameter("recurrent", {64, 4 * 64}),
                     g.parameter("bias", {4 * 64})));
       },
       {{1, 1, 6}, {1, 30, 6}, {2, 7, 6}, {9, 12, 6}},
       2},
      {"lstm of doubles, of no whole vector",
       [](Graph& g) {
         const Value x = g.input("x", {dim::batch, dim::time, 12}, f64);
         output(lstm_sequence(x, g.parameter("recurrent", {3, 12}, init::glorot_uniform(), f64), 0, 0));
       },
       {{1, 4, 12}, {5, 2, 12}},
       1},
      {"lstm_cell",
       [](Graph& g) {
         const Value x = g.input("x", {dim::batch, 6}), hidden = g.state("hidden", {1, 10});
         const LstmState next = lstm_cell(
             x, broadcast_to(hidden, {dim::batch, 10}), broadcast_to(hidden, {dim::batch, 10}),
             g.parameter("input", {6, 40}), g.parameter("recurrent", {10, 40}), g.parameter("b", {40}));
         output(next.hidden);
       },
       {{1, 6}, {40, 6}},
       0},
      {"work on parameters alone",
       [](Graph& g) {
         const Value x = g.input("x", {dim::batch, 30}), w = g.parameter("w", {30, 20});
         output(matmul(x, w / sqrt(sum(square(w), {0}, true))));
       },
       {{1, 30}, {4, 30}},
       1},
  };
  return all;
}

Tensor fed(const Model& model, const Graph& graph, const Extents& extents) {
  return graph.node(graph.source_id("x")).outputs[0].dtype == f32
             ? random_tensor<float>(extents, hash_name(model.name))
             : random_tensor<double>(extents, hash_name(model.name));
}

}  // namespace

TEST_CASE("a frozen program gives the same bits, for every size and number of threads") {
  for (const Model& model : models()) {
    CAPTURE(model.name);
    Graph graph;
    model.build(graph);
    Store store, none;
    initialize_store(graph, store, 3);
    const Value y = graph.find_output("y");
    const auto plain = inference_program(graph, {&y, 1}), frozen = inference_program(graph, {&y, 1}, &store);
    for (int32_t id = 0; id < frozen->graph().size(); ++id) {
      const SourceKind source = frozen->graph().node(id).op->traits.source;
      CHECK((source != SourceKind::parameter && source != SourceKind::state));
    }
    for (int threads : {1, 2, 3}) {
      const auto executor = make_tbb_executor(threads);
      for (const Extents& extents : model.fed) {
        CAPTURE(extents);
        const Feeds feeds{{"x", fed(model, graph, extents)}};
        const Tensor wanted = plain->run(feeds, store, *executor)[0];
        CHECK(same_bits(frozen->run(feeds, none, *executor)[0], wanted));
        // The pack of other extents does as well.
        CHECK(same_bits(frozen->run(feeds, none, *make_serial_executor())[0], wanted));
      }
    }
  }
}

TEST_CASE("constants are packed once for all plans of a program, parameters never") {
  for (const Model& model : models()) {
    CAPTURE(model.name);
    Graph graph;
    model.build(graph);
    Store store;
    initialize_store(graph, store, 3);
    const Value y = graph.find_output("y");
    const auto plain = inference_program(graph, {&y, 1}), frozen = inference_program(graph, {&y, 1}, &store);
    std::map<int32_t, std::set<const void*>> packs;
    for (const Extents& extents : model.fed) {
      const Feeds feeds{{"x", fed(model, graph, extents)}};
      for (const Step& step : plain->plan(feeds).steps()) CHECK_FALSE(step.packed);
      for (const Step& step : frozen->plan(feeds).steps())
        if (step.packed) packs[step.node].insert(step.packed.get());
    }
    CHECK(packs.size() == model.packed);
    for (const auto& [node, different] : packs) CHECK(different.size() == 1);
  }
}

TEST_CASE("what is frozen shares the store's memory") {
  Graph graph;
  output(graph.parameter("w", {100}) + graph.input("x", {100}));
  Store store;
  initialize_store(graph, store, 0);
  Graph frozen;
  freeze(graph, store, frozen);
  int constants = 0;
  for (int32_t id = 0; id < frozen.size(); ++id) {
    const Node& node = frozen.node(id);
    if (node.op->traits.source != SourceKind::constant) continue;
    ++constants;
    CHECK(node.attributes.get<Tensor>("value").view().data == store.get("w").view().data);
  }
  CHECK(constants == 1);
}

TEST_CASE("a store that is not the graph's cannot be frozen") {
  Graph graph;
  graph.parameter("unused", {7});
  const Value w = graph.parameter("weights", {3});
  output(w);
  Store store;
  store.set("weight", Tensor(f32, {3}));
  CHECK(message_of<UserError>([&] {
          inference_program(graph, {&w, 1}, &store);
        }) == "the store has no tensor 'weights'. Did you mean 'weight'?");
  store.set("weights", Tensor(f32, {4}));
  CHECK(message_of<UserError>([&] {
          inference_program(graph, {&w, 1}, &store);
        }) == "'weights' is f32[3] in the model but f32[4] in the store; the two belong to different models");
  store.set("weights", Tensor(f32, {3}));
  CHECK(inference_program(graph, {&w, 1}, &store)->graph().size() == 1);
}

TEST_CASE("what a graph updates is not frozen, and the rest is") {
  Graph graph, to;
  const Value w = graph.parameter("weights", {3}), kept = graph.state("kept", {3});
  graph.output("y", w + kept);
  graph.update("kept", w * kept);
  Store store;
  initialize_store(graph, store, 1);
  freeze(graph, store, to);
  CHECK(to.source_id("weights") < 0);
  CHECK(to.source_id("kept") >= 0);
}

}  // namespace lariat::freeze_test
