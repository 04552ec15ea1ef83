#include "graph/passes/fuse_recurrent.hpp"

#include <cmath>

#include "autodiff/gradient.hpp"
#include "autodiff/training/trainer.hpp"
#include "graph/base/random.hpp"
#include "graph/ir/op_def.hpp"
#include "graph/program/program.hpp"
#include "ops/ops.hpp"
#include "tests/support/testing.hpp"

namespace lariat::fuse_recurrent_test {

namespace {

constexpr int64_t batch = 3, length = 6, inputs = 4, units = 5;

struct Weights {
  Value input_kernel, recurrent_kernel, bias;
  Weights(Graph& graph, const std::string& name, int64_t from)
      : input_kernel(graph.parameter(name + "/input_kernel", {from, 4 * units})),
        recurrent_kernel(graph.parameter(name + "/recurrent_kernel", {units, 4 * units})),
        bias(graph.parameter(name + "/bias", {4 * units}, init::uniform(0.5))) {}
};

std::vector<Value> steps_by_hand(Value x) {
  std::vector<Value> steps;
  for (int64_t t = 0; t < length; ++t) steps.push_back(reshape(slice(x, 1, t, t + 1), {batch, inputs}));
  return steps;
}

LstmState run_cells(std::vector<Value>& steps, const Weights& w, LstmState state) {
  for (Value& step : steps) {
    state = lstm_cell(step, state.hidden, state.cell, w.input_kernel, w.recurrent_kernel, w.bias, 1);
    step = state.hidden;
  }
  return state;
}

int64_t count(const Graph& graph, std::string_view op) {
  int64_t found = 0;
  for (int32_t id = 0; id < graph.size(); ++id) found += graph.node(id).op->name == op;
  return found;
}

Tensor numbers(std::string_view name, Extents extents) {
  Tensor tensor(f32, std::move(extents));
  for (int64_t i = 0; i < tensor.count(); ++i)
    tensor.data<float>()[i] = 2 * to_unit(random_bits(1, hash_name(name), static_cast<uint64_t>(i))[0]) - 1;
  return tensor;
}

// The loss and all gradients, the graph joined before differentiation or not.
std::vector<Tensor> loss_and_gradients(const Graph& written, bool join) {
  Graph graph;
  join ? fuse_recurrent(written, graph) : copy_graph(written, graph);
  std::vector<Value> parameters;
  for (int32_t id = 0; id < graph.size(); ++id)
    if (graph.node(id).op->traits.source == SourceKind::parameter) parameters.push_back(graph.value({id, 0}));
  const std::vector<Value> gradients = gradient(graph.find_output("loss"), parameters);
  for (size_t i = 0; i < gradients.size(); ++i) graph.output("d " + parameters[i].name(), gradients[i]);
  Store store;
  initialize_store(graph, store, 7);
  Program program(graph);
  // After differentiation the gates are read, so nothing more is joined.
  CHECK((count(program.graph(), "lstm_cell") == 0) == join);
  return program.run({{"x", numbers("x", {batch, length, inputs})}}, store, *make_serial_executor());
}

void check_same_gradients(const Graph& written) {
  const std::vector<Tensor> expected = loss_and_gradients(written, false),
                            found = loss_and_gradients(written, true);
  REQUIRE(expected.size() == found.size());
  for (size_t i = 0; i < expected.size(); ++i) {
    const double largest = testing::largest_difference(expected[i], Tensor(f32, expected[i].extents()));
    CHECK(largest > 0);
    CHECK(testing::largest_difference(expected[i], found[i]) <= 2e-6 * std::max(1.0, largest));
  }
}

}  // namespace

TEST_CASE("cells unrolled by hand become one node over the sequence, fed by the sequence itself") {
  Graph graph, joined;
  const Value x = graph.input("x", {batch, length, inputs});
  const Value zeros = graph.constant(Tensor(f32, {batch, units}));
  std::vector<Value> steps = steps_by_hand(x);
  graph.output("last", run_cells(steps, Weights(graph, "lstm", inputs), {zeros, zeros}).hidden);
  CHECK(count(graph, "lstm_cell") == length);
  fuse_recurrent(graph, joined);
  CHECK(count(joined, "lstm_cell") == 0);
  CHECK(count(joined, "lstm_sequence") == 1);
  CHECK(count(joined, "stack") == 0);
  Store store;
  initialize_store(graph, store, 3);
  const Feeds feeds{{"x", numbers("x", {batch, length, inputs})}};
  const auto run = [&](const Graph& g) {
    Program program(g);
    CHECK(count(program.graph(), "lstm_cell") == 0);
    return program.run(feeds, store, *make_serial_executor())[0];
  };
  CHECK(same_bits(run(graph), run(joined)));
}

TEST_CASE("a joined recurrence has the gradients of its cells") {
  Graph graph;
  const Value x = graph.input("x", {batch, length, inputs});
  SUBCASE("from zeros, two layers, last state") {
    const Value zeros = graph.constant(Tensor(f32, {batch, units}));
    std::vector<Value> steps = steps_by_hand(x);
    run_cells(steps, Weights(graph, "first", inputs), {zeros, zeros});
    const LstmState last = run_cells(steps, Weights(graph, "second", units), {zeros, zeros});
    graph.output("loss", sum(square(last.hidden)) + sum(last.cell));
  }
  SUBCASE("from trained states, every step read, steps from unstack") {
    const LstmState initial{graph.parameter("hidden", {batch, units}),
                            graph.parameter("cell", {batch, units})};
    std::vector<Value> steps = unstack(x, 1);
    run_cells(steps, Weights(graph, "lstm", inputs), initial);
    Value loss = sum(steps[0]);
    for (Value step : steps) loss = loss + sum(square(step));
    graph.output("loss", loss);
  }
  SUBCASE("steps of other origin, backwards") {
    const Value zeros = graph.constant(Tensor(f32, {batch, units}));
    std::vector<Value> steps = unstack(x, 1);
    for (Value& step : steps) step = tanh(step * 2);
    std::reverse(steps.begin(), steps.end());
    run_cells(steps, Weights(graph, "lstm", inputs), {zeros, zeros});
    graph.output("loss", sum(square(steps[length - 1] + steps[1])));
  }
  check_same_gradients(graph);
}

TEST_CASE("cells that cannot run ahead of each other stay as they are") {
  Graph graph, joined;
  const Value x = graph.input("x", {batch, units});
  const Value zeros = graph.constant(Tensor(f32, {batch, units}));
  const Weights w(graph, "lstm", units);
  SUBCASE("each step reads the one before as its input") {
    LstmState state{zeros, zeros};
    Value step = x;
    for (int64_t t = 0; t < length; ++t) {
      state = lstm_cell(step, state.hidden, state.cell, w.input_kernel, w.recurrent_kernel, w.bias);
      step = relu(state.hidden);
    }
    graph.output("last", step);
  }
  SUBCASE("other weights at each step") {
    const Weights other(graph, "other", units);
    const LstmState first = lstm_cell(x, zeros, zeros, w.input_kernel, w.recurrent_kernel, w.bias);
    graph.output(
        "last", lstm_cell(x, first.hidden, first.cell, other.input_kernel, other.recurrent_kernel, other.bias)
                    .hidden);
  }
  SUBCASE("another forget bias at each step") {
    const LstmState first = lstm_cell(x, zeros, zeros, w.input_kernel, w.recurrent_kernel, w.bias, 1);
    graph.output(
        "last", lstm_cell(x, first.hidden, first.cell, w.input_kernel, w.recurrent_kernel, w.bias, 2).hidden);
  }
  SUBCASE("the gates are read") {
    const LstmState first = lstm_cell(x, zeros, zeros, w.input_kernel, w.recurrent_kernel, w.bias);
    const LstmState second =
        lstm_cell(x, first.hidden, first.cell, w.input_kernel, w.recurrent_kernel, w.bias);
    graph.output("gates", output_of(second.hidden, 2));
    graph.output("first gates", output_of(first.hidden, 2));
  }
  SUBCASE("two chains feed each other across time") {
    const Weights v(graph, "back", units);
    const auto cell = [&](Value input, LstmState state, const Weights& weights) {
      return lstm_cell(input, state.hidden, state.cell, weights.input_kernel, weights.recurrent_kernel,
                       weights.bias);
    };
    const LstmState none{zeros, zeros};
    const LstmState a1 = cell(x, none, w), b1 = cell(x, none, v);
    const LstmState a2 = cell(b1.hidden, a1, w), b2 = cell(a1.hidden, b1, v);
    graph.output("a", a2.hidden);
    graph.output("b", b2.hidden);
    fuse_recurrent(graph, joined);
    CHECK(count(joined, "lstm_sequence") == 1);
    CHECK(count(joined, "lstm_cell") == 2);
    return;
  }
  const int64_t before = count(graph, "lstm_cell");
  fuse_recurrent(graph, joined);
  CHECK(count(joined, "lstm_cell") == before);
}

TEST_CASE("a trainer joins the cells that its user unrolled") {
  Graph graph;
  const Value x = graph.input("x", {batch, length, inputs});
  const Value zeros = graph.constant(Tensor(f32, {batch, units}));
  std::vector<Value> steps = steps_by_hand(x);
  const Value last = run_cells(steps, Weights(graph, "lstm", inputs), {zeros, zeros}).hidden;
  Trainer trainer(mean(square(last - 0.3)), Adam{.learning_rate = 0.05});
  CHECK(count(trainer.graph(), "lstm_sequence") == 1);
  const Feeds feeds{{"x", numbers("x", {batch, length, inputs})}};
  const double before = trainer.step(feeds).loss;
  for (int i = 0; i < 30; ++i) trainer.step(feeds);
  CHECK(trainer.step(feeds).loss < 0.2 * before);
  const Tensor value = trainer.evaluate({last}, feeds)[0];
  CHECK(value.extents() == Extents{batch, units});
}

}  // namespace lariat::fuse_recurrent_test
