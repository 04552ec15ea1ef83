// The sweeps of all cells against an implementation of their own, written down step by step in doubles.
#include <cmath>
#include <functional>

#include "autodiff/gradient.hpp"
#include "graph/base/error.hpp"
#include "graph/base/random.hpp"
#include "graph/exec/plan.hpp"
#include "graph/ir/op_def.hpp"
#include "graph/passes/fuse_recurrent.hpp"
#include "graph/program/program.hpp"
#include "ops/ops.hpp"
#include "tests/support/testing.hpp"

namespace lariat::recurrent_test {

using lariat::testing::largest_difference;
using lariat::testing::message_of;

namespace {

using Row = std::vector<double>;

double sigmoid_of(double x) { return 1 / (1 + std::exp(-x)); }

struct Sizes {
  int64_t batch, time, units;
};

// What a cell is fed: f64, and read by the plain implementation too.
struct Fed {
  Sizes s;
  int64_t gates;
  Tensor projected, recurrent, hidden, cell, bias, mask, lengths;
  bool masked, ragged;
  bool choice = false;  // reset_after, or relu
};

Tensor drawn(Extents extents, uint64_t seed) {
  Tensor tensor(f64, std::move(extents));
  for (int64_t i = 0; i < tensor.count(); ++i)
    tensor.data<double>()[i] = 2 * static_cast<double>(to_unit(random_bits(3, seed, i)[0])) - 1;
  return tensor;
}

Fed fed(Sizes s, int64_t gates, bool masked, bool ragged, bool choice) {
  Fed f{s,
        gates,
        drawn({s.batch, s.time, gates * s.units}, 1),
        drawn({s.units, gates * s.units}, 2),
        drawn({s.batch, s.units}, 3),
        drawn({s.batch, s.units}, 4),
        drawn({s.units}, 5),
        drawn({s.batch, s.units}, 6),
        Tensor(i32, {s.batch}),
        masked,
        ragged,
        choice};
  for (int64_t row = 0; row < s.batch; ++row)
    f.lengths.data<int32_t>()[row] = static_cast<int32_t>(ragged ? row % (s.time + 1) : s.time);
  return f;
}

// h·R[:, gate] of a row, the hidden state masked.
Row product(const Fed& f, const Row& h, int64_t gate) {
  const int64_t n = f.s.units;
  Row result(static_cast<size_t>(n));
  for (int64_t j = 0; j < n; ++j)
    for (int64_t k = 0; k < n; ++k) result[j] += h[k] * f.recurrent.at(k * f.gates * n + gate * n + j);
  return result;
}

using Step = std::function<void(const Fed&, int64_t row, int64_t t, Row& h, Row& c)>;

double projected(const Fed& f, int64_t row, int64_t t, int64_t gate, int64_t j) {
  return f.projected.at((row * f.s.time + t) * f.gates * f.s.units + gate * f.s.units + j);
}

Row masked(const Fed& f, int64_t row, const Row& h) {
  Row result = h;
  for (size_t j = 0; f.masked && j < h.size(); ++j)
    result[j] *= f.mask.at(row * f.s.units + static_cast<int64_t>(j));
  return result;
}

void lstm_step(const Fed& f, int64_t row, int64_t t, Row& h, Row& c) {
  std::vector<Row> z;
  for (int64_t gate = 0; gate < 4; ++gate) z.push_back(product(f, masked(f, row, h), gate));
  for (int64_t j = 0; j < f.s.units; ++j) {
    const auto gate = [&](int64_t g) { return projected(f, row, t, g, j) + z[g][j]; };
    c[j] = sigmoid_of(gate(1) + 0.5) * c[j] + sigmoid_of(gate(0)) * std::tanh(gate(2));
    h[j] = sigmoid_of(gate(3)) * std::tanh(c[j]);
  }
}

void gru_step(const Fed& f, int64_t row, int64_t t, Row& h, Row&) {
  const Row operand = masked(f, row, h), of_update = product(f, operand, 0),
            of_reset = product(f, operand, 1);
  Row update, reset, before = operand;
  for (int64_t j = 0; j < f.s.units; ++j) {
    update.push_back(sigmoid_of(projected(f, row, t, 0, j) + of_update[j]));
    reset.push_back(sigmoid_of(projected(f, row, t, 1, j) + of_reset[j]));
    before[j] *= reset[j];
  }
  const Row of_candidate = product(f, f.choice ? operand : before, 2);
  for (int64_t j = 0; j < f.s.units; ++j) {
    const double recurrent = of_candidate[j] + f.bias.at(j);
    const double candidate =
        std::tanh(projected(f, row, t, 2, j) + (f.choice ? reset[j] * recurrent : recurrent));
    h[j] = update[j] * h[j] + (1 - update[j]) * candidate;
  }
}

void simple_step(const Fed& f, int64_t row, int64_t t, Row& h, Row&) {
  const Row z = product(f, masked(f, row, h), 0);
  for (int64_t j = 0; j < f.s.units; ++j) {
    const double x = projected(f, row, t, 0, j) + z[j];
    h[j] = f.choice ? std::max(x, 0.0) : std::tanh(x);
  }
}

// All hidden states, those behind a row's end as its last one.
Tensor by_hand(const Fed& f, const Step& step) {
  Tensor result(f64, {f.s.batch, f.s.time, f.s.units});
  for (int64_t row = 0; row < f.s.batch; ++row) {
    Row h, c;
    for (int64_t j = 0; j < f.s.units; ++j) {
      h.push_back(f.hidden.at(row * f.s.units + j));
      c.push_back(f.cell.at(row * f.s.units + j));
    }
    for (int64_t t = 0; t < f.s.time; ++t) {
      if (t < f.lengths.data<int32_t>()[row]) step(f, row, t, h, c);
      std::copy(h.begin(), h.end(), result.data<double>() + (row * f.s.time + t) * f.s.units);
    }
  }
  return result;
}

struct Cell {
  std::string name;
  int64_t gates;
  bool choice;
  Step step;
  Value (*build)(const std::map<std::string, Value>& v, bool choice, Value lengths, Value mask);
};

std::vector<Cell> cells() {
  const auto gru = [](const std::map<std::string, Value>& v, bool choice, Value lengths, Value mask) {
    return gru_sequence(v.at("x"), v.at("R"), v.at("h"), v.at("b"), choice, lengths, mask);
  };
  const auto simple = [](const std::map<std::string, Value>& v, bool choice, Value lengths, Value mask) {
    return simple_rnn_sequence(v.at("x"), v.at("R"), v.at("h"), choice, lengths, mask);
  };
  return {{"lstm", 4, false, lstm_step,
           [](const std::map<std::string, Value>& v, bool, Value lengths, Value mask) {
             return lstm_sequence(v.at("x"), v.at("R"), v.at("h"), v.at("c"), 0.5, lengths, mask);
           }},
          {"gru, reset after", 3, true, gru_step, gru},
          {"gru, reset before", 3, false, gru_step, gru},
          {"simple_rnn, tanh", 1, false, simple_step, simple},
          {"simple_rnn, relu", 1, true, simple_step, simple}};
}

Tensor in(DType dtype, const Tensor& tensor) {
  if (tensor.dtype() != f64 || dtype == f64) return tensor;
  Tensor result(f32, tensor.extents());
  for (int64_t i = 0; i < tensor.count(); ++i) result.data<float>()[i] = static_cast<float>(tensor.at(i));
  return result;
}

// The states and, where asked for, the gradients of a loss of them by all that is fed.
std::vector<Tensor> run(const Cell& cell, const Fed& f, DType dtype, int threads, bool gradients = true) {
  Graph graph;
  std::map<std::string, Value> values;
  Feeds feeds;
  const auto input = [&](const std::string& name, const Tensor& tensor) {
    const Tensor as = in(dtype, tensor);
    feeds.emplace(name, as);
    values[name] = graph.input(name, to_shape(as.extents()), as.dtype());
  };
  input("x", f.projected);
  input("R", f.recurrent);
  input("h", f.hidden);
  input("c", f.cell);
  input("b", f.bias);
  input("mask", f.mask);
  input("lengths", f.lengths);
  const Value states = cell.build(values, f.choice, f.ragged ? values["lengths"] : Value(),
                                  f.masked ? values["mask"] : Value());
  graph.output("states", states);
  const Value loss = sum(square(states) * states + states);
  if (gradients)
    for (const Value d : gradient(loss, {values["x"], values["R"], values["h"]}))
      graph.output("d" + std::to_string(graph.outputs().size()), d);
  Store store;
  return Program(graph).run(feeds, store, *make_tbb_executor(threads));
}

}  // namespace

TEST_CASE("recurrent ops: the states are those of an implementation written down step by step") {
  for (const Cell& cell : cells())
    for (const Sizes s : {Sizes{3, 5, 4}, Sizes{9, 4, 33}, Sizes{2, 3, 32}, Sizes{1, 1, 1}})
      for (const bool masked : {false, true})
        for (const bool ragged : {false, true}) {
          CAPTURE(cell.name);
          CAPTURE(s.units);
          const Fed f = fed(s, cell.gates, masked, ragged, cell.choice);
          const Tensor expected = by_hand(f, cell.step);
          CHECK(largest_difference(run(cell, f, f64, 1)[0], expected) < 1e-12);
          const double scale = largest_difference(expected, Tensor(f64, expected.extents()));
          const Tensor single = run(cell, f, f32, 1)[0];
          double largest = 0;
          for (int64_t i = 0; i < single.count(); ++i)
            largest = std::max(largest, std::abs(single.at(i) - expected.at(i)));
          CHECK(largest < 1e-5 * std::max(1.0, scale));
        }
}

TEST_CASE("recurrent ops: states and gradients have the same bits for any number of threads") {
  for (const Cell& cell : cells())
    for (const Sizes s : {Sizes{2, 4, 64}, Sizes{13, 3, 40}}) {
      CAPTURE(cell.name);
      const Fed f = fed(s, cell.gates, true, true, cell.choice);
      const std::vector<Tensor> alone = run(cell, f, f32, 1);
      for (const int threads : {2, 3, 8}) {
        const std::vector<Tensor> together = run(cell, f, f32, threads);
        for (size_t i = 0; i < alone.size(); ++i) CHECK(same_bits(alone[i], together[i]));
      }
    }
}

TEST_CASE(
    "recurrent ops: what is kept for gradients has no memory where there are none, and changes no bit") {
  for (const Cell& cell : cells())
    for (const Sizes s : {Sizes{2, 4, 64}, Sizes{13, 3, 40}})
      for (const bool masked : {false, true})
        for (const int threads : {1, 2}) {
          CAPTURE(cell.name);
          const Fed f = fed(s, cell.gates, masked, masked, cell.choice);
          CHECK(same_bits(run(cell, f, f32, threads)[0], run(cell, f, f32, threads, false)[0]));
        }
  Graph graph;
  const Value projected = graph.input("x", {2, 5, 12}), recurrent = graph.input("R", {3, 12});
  graph.output("states", lstm_sequence(projected, recurrent, 0, 0));
  Program program(graph);
  CHECK(program.plan({{"x", Tensor(f32, {2, 5, 12})}, {"R", Tensor(f32, {3, 12})}}).total_bytes() ==
        2 * 5 * 3 * sizeof(float));
}

TEST_CASE("recurrent ops: lengths of all steps, and a mask of ones, change no bit") {
  for (const Cell& cell : cells()) {
    CAPTURE(cell.name);
    Fed plain = fed({5, 6, 17}, cell.gates, false, false, cell.choice);
    plain.mask = Tensor::filled(f64, {5, 17}, 1);
    Fed whole = plain;
    whole.ragged = whole.masked = true;
    const std::vector<Tensor> without = run(cell, plain, f32, 2), with = run(cell, whole, f32, 2);
    // A sum from -0 and one from +0 may differ in the sign of a zero.
    for (size_t i = 0; i < without.size(); ++i) CHECK(largest_difference(without[i], with[i]) == 0);
  }
}

TEST_CASE("recurrent ops: cells unrolled by hand become one node over the sequence") {
  constexpr int64_t batch = 3, time = 5, inputs = 4, units = 6;
  for (const bool choice : {false, true})
    for (const std::string kind : {"gru", "simple_rnn"}) {
      CAPTURE(kind);
      const int64_t wide = kind == "gru" ? 3 * units : units;
      Graph graph, joined;
      const Value x = graph.input("x", {batch, time, inputs}, f64);
      const auto weight = [&](const std::string& name, Extents extents) {
        return graph.parameter(name, std::move(extents), init::uniform(0.5), f64);
      };
      const Value kernel = weight("W", {inputs, wide}), recurrent = weight("R", {units, wide}),
                  bias = weight("b", {wide}), candidate_bias = weight("c", {units});
      Value h = weight("h", {batch, units}), loss;
      for (const Value step : unstack(x, 1)) {
        h = kind == "gru" ? gru_cell(step, h, kernel, recurrent, bias, candidate_bias, choice)
                          : simple_rnn_cell(step, h, kernel, recurrent, bias, choice);
        loss = loss ? loss + sum(square(h)) : sum(h);
      }
      graph.output("loss", loss);
      fuse_recurrent(graph, joined);
      const auto count = [](const Graph& g, const std::string& op) {
        int64_t found = 0;
        for (int32_t id = 0; id < g.size(); ++id) found += g.node(id).op->name == op;
        return found;
      };
      CHECK(count(joined, kind + "_cell") == 0);
      CHECK(count(joined, kind + "_sequence") == 1);
      const auto gradients = [&](Graph& g) {
        std::vector<Value> parameters;
        for (const char* name : {"W", "R", "b", "h", "c"})
          if (const Value found = g.find_source(name)) parameters.push_back(found);
        const Value root = g.find_output("loss");
        for (const Value d : gradient(root, parameters))
          g.output("d" + std::to_string(g.outputs().size()), d);
        Store store;
        initialize_store(g, store, 5);
        return Program(g).run({{"x", drawn({batch, time, inputs}, 9)}}, store, *make_serial_executor());
      };
      const std::vector<Tensor> one = gradients(graph), other = gradients(joined);
      REQUIRE(one.size() >= other.size());
      for (size_t i = 0; i < other.size(); ++i) CHECK(largest_difference(one[i], other[i]) < 1e-12);
    }
}

TEST_CASE("recurrent ops: what does not fit is refused in one line") {
  Graph g;
  const Value x = g.input("x", {2, 5, 9}), r = g.parameter("R", {3, 9}), b = g.parameter("b", {3});
  const auto end_of = [](const std::function<void()>& action) {
    const std::string message = message_of<UserError>(action);
    return message.substr(message.find(": ") + 2);
  };
  CHECK(end_of([&] {
          gru_sequence(x, r, g.state("h", {4, 3}), b);
        }) == "initial_hidden is [4, 3]; it must broadcast to [2, 3]");
  CHECK(end_of([&] { gru_sequence(x, r, 0, b, true, g.input("n", {3}, i32)); }) ==
        "lengths is i32[3]; it must be i32[2], or a scalar i32 for all steps");
  CHECK(end_of([&] { gru_sequence(x, r, 0, b, true, {}, g.state("m", {3})); }) ==
        "recurrent_mask is [3]; it must be [2, 3], or a scalar for none");
  CHECK(end_of([&] { simple_rnn_sequence(x, r, 0); }) ==
        "recurrent_kernel is [3, 9]; it must be [units, units]");
  Graph h;
  h.output("y", simple_rnn_sequence(h.input("x", {2, 5, 3}), h.parameter("R", {3, 3}), 0, false,
                                    h.input("lengths", {2}, i32)));
  Store store;
  initialize_store(h, store, 1);
  CHECK(message_of<UserError>([&] {
          Program(h).run({{"x", Tensor(f32, {2, 5, 3})}, {"lengths", Tensor::of<int32_t>({2}, {5, 6})}},
                         store, *make_serial_executor());
        }).find("6") != std::string::npos);
}

}  // namespace lariat::recurrent_test
