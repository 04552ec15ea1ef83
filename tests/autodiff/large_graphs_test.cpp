// Trainers and certificates of many parameters, of many terms on one parameter and of long chains: the work
// grows with them and no faster, and nothing calls itself for each link.
#include <fmt/format.h>
#include <pthread.h>

#include <functional>
#include <map>

#include "autodiff/training/trainer.hpp"
#include "graph/ir/op_def.hpp"
#include "graph/ir/parse.hpp"
#include "graph/ir/print.hpp"
#include "ops/ops.hpp"
#include "tests/support/testing.hpp"
#include "tests/support/work.hpp"

namespace lariat::large_graphs_test {

using lariat::testing::check_linear;
using lariat::testing::Work;
using lariat::testing::work_so_far;

namespace {

constexpr int64_t width = 4;

// A loss of so many parts. Inputs beside "x" begin with "f".
using Loss = std::function<Value(Graph&, int)>;

struct Shape {
  std::string name;
  Loss loss;
  int size = 50;
};

// As many parameters, with a term of each.
Loss of_parameters(const std::function<Value(Value w, int i)>& term) {
  return [=](Graph& g, int size) {
    const Value x = g.input("x", {dim::batch, width});
    Value output, penalty;
    for (int i = 0; i < size; ++i) {
      const Value w = g.parameter(fmt::format("w{}", i), {width}), part = x * w, own = term(w, i);
      output = output ? output + part : part;
      if (own) penalty = penalty ? penalty + own : own;
    }
    const Value loss = mean(square(output - 1));
    return penalty ? loss + penalty : loss;
  };
}

// The same, and a function of all.
Loss of_all(const std::function<Value(const std::vector<Value>&)>& term) {
  return [=](Graph& g, int size) {
    std::vector<Value> all;
    const Value loss = of_parameters([&](Value w, int) {
      all.push_back(w);
      return Value();
    })(g, size);
    return loss + term(all);
  };
}

// One parameter with as many terms.
Loss of_terms(const std::function<Value(Value w, int i)>& term, bool with_square = false) {
  return [=](Graph& g, int size) {
    const Value x = g.input("x", {dim::batch, width});
    const Value w = g.parameter("w", {width});
    Value loss = mean(square(x * w - 1));
    if (with_square) loss = loss + 0.1 * sum(square(w));
    for (int i = 0; i < size; ++i) loss = loss + term(w, i);
    return loss;
  };
}

// The same as one sum over the elements of a sum of as many functions of each.
Loss of_one_sum(const std::function<Value(Value w, int i)>& function) {
  return [=](Graph& g, int size) {
    Value all;
    const Value loss = of_terms([&](Value w, int i) {
      const Value own = function(w, i);
      all = all ? all + own : own;
      return g.constant(0.0);
    })(g, size);
    return loss + 1e-5 * sum(all);
  };
}

// A chain of as many links from a value; the term of its end.
Loss of_links(const std::function<Value(Graph&)>& from, const std::function<Value(Value, int)>& link,
              const std::function<Value(Value end, Value w)>& term) {
  return [=](Graph& g, int size) {
    const Value x = g.input("x", {dim::batch, width});
    const Value w = g.parameter("w", {width, width});
    const Value loss = mean(square(matmul(x, w) - 1));
    Value end = from(g);
    for (int i = 0; i < size; ++i) end = link(end, i);
    return loss + term(end, w);
  };
}

// A chain from a parameter, and a term of each of its links.
Loss of_each_link(const std::function<Value(Value, int)>& link) {
  return [=](Graph& g, int size) {
    const Value x = g.input("x", {dim::batch, width});
    const Value w = g.parameter("w", {width});
    Value loss = mean(square(x * w - 1)), end = w;
    for (int i = 0; i < size; ++i) {
      end = link(end, i);
      loss = loss + 1e-5 * sum(abs(end));
    }
    return loss;
  };
}

Value weight(Graph& g) { return g.find_source("w"); }
Value fed(Value like, int i, ::lariat::Shape shape = {}) {
  return like.graph().input(fmt::format("f{}", i), std::move(shape));
}
Value l1_of(Value end, Value) { return 1e-3 * sum(abs(end)); }
Value of_pairs(const std::vector<Value>& all, int step, Value (*term)(Value)) {
  Value total;
  for (size_t i = 0; i + 1 < all.size(); i += step) {
    const Value own = 1e-3 * term(all[i + 1] - all[i]);
    total = total ? total + own : own;
  }
  return total;
}
Value sum_of_sizes(Value x) { return sum(abs(x)); }
Value length(Value x) { return norm2(x); }

const std::vector<Shape>& shapes_of_parameters() {
  static const std::vector<Shape> all{
      {"L1", of_parameters([](Value w, int) { return 1e-3 * sum(abs(w)); })},
      {"L1 of fed weights", of_parameters([](Value w, int i) { return fed(w, i) * sum(abs(w)); })},
      {"L1 of fed vectors", of_parameters([](Value w, int i) { return sum(fed(w, i, {width}) * abs(w)); })},
      {"groups", of_parameters([](Value w, int) { return 1e-3 * norm2(w); })},
      {"groups with L1", of_parameters([](Value w, int) { return 1e-3 * norm2(w) + 1e-3 * sum(abs(w)); })},
      {"total variation", of_parameters([](Value w, int) { return sum(absolute_differences(w, 0)); })},
      {"bounds", of_parameters([](Value w, int) { return box(w, -1, 1); })},
      {"maxima", of_parameters([](Value w, int) { return 1e-3 * sum(maximum(w, w * -0.5)); })},
      {"smooth", of_parameters([](Value w, int) { return sum(sqrt(square(w) + 1e-3)); })},
      {"left alone", of_parameters([](Value w, int) { return sum(sqrt(abs(w))); })},
      {"a group of all", of_all([](const std::vector<Value>& all) { return 1e-3 * norm2(concat(all, 0)); })},
      {"L1 of all", of_all([](const std::vector<Value>& all) { return 1e-3 * sum(abs(concat(all, 0))); })},
      {"differences of two",
       of_all([](const std::vector<Value>& all) { return of_pairs(all, 2, sum_of_sizes); })},
      {"differences of neighbours",
       of_all([](const std::vector<Value>& all) { return of_pairs(all, 1, sum_of_sizes); })},
      {"lengths of differences",
       of_all([](const std::vector<Value>& all) { return of_pairs(all, 2, length); })},
  };
  return all;
}

const std::vector<Shape>& shapes_of_terms() {
  static const std::vector<Shape> all{
      {"at one place", of_terms([](Value w, int i) { return 1e-5 * (i + 1) * sum(abs(w)); })},
      {"at many places", of_terms([](Value w, int i) { return 1e-5 * sum(abs(w - 1e-3 * i)); })},
      {"fed", of_terms([](Value w, int i) { return fed(w, i) * sum(abs(w)); })},
      {"fed, at many places", of_terms([](Value w, int i) { return fed(w, i) * sum(abs(w - 1e-3 * i)); })},
      {"of both signs", of_terms([](Value w, int i) { return (i % 2 ? 2e-5 : -1e-5) * sum(abs(w)); })},
      {"that bend down",
       of_terms([](Value w, int i) { return 2e-5 * sum(abs(w)) + 1e-5 * sum(abs(abs(w) - 1e-3 * i)); })},
      {"that bend down further", of_terms([](Value w, int i) { return 1e-5 * sum(abs(abs(w) - 1e-3 * i)); })},
      {"in one sum", of_one_sum([](Value w, int i) { return abs(w - 1e-3 * i); })},
      {"of both signs in one sum",
       of_one_sum([](Value w, int i) { return (i % 2 ? 3 : -1) * abs(w - 1e-3 * (i / 2)); })},
      {"of Huber's kind in one sum", of_one_sum([](Value w, int i) {
         const Value x = w - 1e-2 * i, size = abs(x);
         return where(less(size, 1), 0.5 * x * x, size - 0.5);
       })},
      {"bounds", of_terms([](Value w, int i) { return box(w, -1.0 - i, 1.0 + i); })},
      {"groups", of_terms([](Value w, int) { return 1e-5 * norm2(w); }, true)},
      {"groups of slices",
       [](Graph& g, int size) {
         const Value x = g.input("x", {dim::batch, width});
         const Value w = g.parameter("w", {width * size});
         Value loss = mean(square(x * slice(w, 0, 0, width) - 1));
         for (int i = 0; i < size; ++i) loss = loss + 1e-3 * norm2(slice(w, 0, width * i, width * (i + 1)));
         return loss;
       },
       // Each term has constants of all that it is a slice of.
       20},
  };
  return all;
}

const std::vector<Shape>& shapes_of_chains() {
  const auto number = [](Graph& g) { return g.constant(1e-3); };
  const auto coefficient = [](Graph& g) { return g.input("f", {}); };
  const auto scaled = [](Value x, int) { return x * 1.0001 + 1e-9; };
  const auto times_l1 = [](Value end, Value w) { return end * sum(abs(w)); };
  static const std::vector<Shape> all{
      {"a coefficient of constants", of_links(number, scaled, times_l1), 200},
      {"a fed coefficient", of_links(coefficient, scaled, times_l1), 200},
      {"a smooth function",
       of_links(
           weight, [](Value x, int i) { return i % 2 ? tanh(x) : x * 1.01; },
           [](Value end, Value) { return sum(square(end)); }),
       200},
      {"maxima",
       of_links(
           weight, [](Value x, int i) { return maximum(x, -1.0 - i); }, l1_of),
       200},
      {"Horner's rule for sizes",
       of_links(
           weight, [](Value x, int i) { return x * abs(weight(x.graph())) + 0.1 * i; }, l1_of)},
      {"products of sizes", of_links(
                                weight, [](Value x, int) { return x * abs(weight(x.graph())); }, l1_of)},
      {"nested sizes", of_links(
                           weight, [](Value x, int i) { return abs(x - 0.5 / (i + 1)); }, l1_of)},
      {"nested conditions", of_links(
                                weight,
                                [](Value x, int i) {
                                  const Value w = weight(x.graph());
                                  return where(greater(w, 0.01 * i), x + 0.1 * (w - 0.01 * i), x);
                                },
                                l1_of)},
      {"views",
       of_links(
           weight,
           [](Value x, int i) {
             return i % 2 ? transpose(x, {1, 0}) : reshape(x, {width, width});
           },
           l1_of),
       100},
      {"shifts and scales",
       of_links(
           weight, [](Value x, int i) { return i % 2 ? x + 1e-5 : x * 1.0001; }, l1_of),
       100},
      {"elements that go round in a circle",
       of_links(
           weight,
           [](Value x, int) {
             return concat({slice(x, 0, 1, width), 0.99 * slice(x, 0, 0, 1)}, 0);
           },
           l1_of),
       20},
      {"a term on each affine link",
       of_each_link([](Value x, int i) { return x * (1 + 1e-4 * (i % 7)) + 1e-3 * (i % 5); })},
      {"a term on each link with fed factors",
       of_each_link([](Value x, int i) { return x * fed(x, i) - 1e-3; })},
      {"a term on each smooth link", of_each_link([](Value x, int) { return tanh(x); })},
      {"steps that read the step before",
       [](Graph& g, int size) {
         const Value x = g.input("x", {dim::batch, width});
         const Value k = g.parameter("k", {width, 4 * width}), r = g.parameter("r", {width, 4 * width}),
                     b = g.parameter("b", {4 * width});
         LstmState state{x, x};
         for (int i = 0; i < size; ++i)
           state = lstm_cell(tanh(state.hidden), state.hidden, state.cell, k, r, b);
         return mean(square(state.hidden - 1)) + 1e-3 * sum(abs(k));
       }},
  };
  return all;
}

Feeds feeds_of(const Graph& g) {
  Feeds feeds;
  for (int32_t id = 0; id < g.size(); ++id) {
    const Node& node = g.node(id);
    if (node.op->traits.source != SourceKind::input) continue;
    if (node.name == "x") {
      feeds.emplace("x", Tensor::filled(f32, {2, width}, 0.5));
    } else {
      feeds.emplace(node.name, Tensor::filled(f32, evaluate(node.outputs[0].shape, {}), 1e-3));
    }
  }
  return feeds;
}

using Stages = std::map<std::string, Work>;

Stages stages_of(const Loss& loss, int size) {
  Stages stages;
  Work last = work_so_far();
  const auto lap = [&](const char* stage) {
    stages[stage] += work_so_far() - last;
    last = work_so_far();
  };
  Graph g;
  const Value written = loss(g, size);
  const Feeds feeds = feeds_of(g);
  lap("graph");
  Trainer trainer(written, Sgd{.learning_rate = 0.01}, {.threads = 1});
  lap("trainer");
  trainer.step(feeds);
  lap("first step");
  trainer.report().text();
  lap("report");
  trainer.certify(feeds).text();
  lap("certificate");
  const std::string text = to_text(trainer.graph());
  lap("text");
  to_dot(trainer.graph());
  lap("picture");
  Graph read;
  parse_graph(text, read);
  lap("parsing");
  return stages;
}

void check_growth(const std::vector<Shape>& shapes) {
  for (const Shape& shape : shapes) {
    CAPTURE(shape.name);
    stages_of(shape.loss, shape.size);  // tables that are made once
    const Stages small = stages_of(shape.loss, shape.size), large = stages_of(shape.loss, 4 * shape.size);
    for (const auto& [stage, work] : large) check_linear(stage, small.at(stage), work);
  }
}

}  // namespace

TEST_CASE("large graphs: work grows with the parameters") { check_growth(shapes_of_parameters()); }
TEST_CASE("large graphs: work grows with the terms on a parameter") { check_growth(shapes_of_terms()); }
TEST_CASE("large graphs: work grows with the links of a chain") { check_growth(shapes_of_chains()); }

TEST_CASE("large graphs: a long chain needs no more of the stack than a short one") {
  const auto run = [](void*) -> void* {
    for (const Shape& shape : shapes_of_chains()) {
      if (shape.size < 200) continue;
      CAPTURE(shape.name);
      CHECK(stages_of(shape.loss, 3000).size() == 8);
    }
    return nullptr;
  };
  pthread_attr_t little;
  pthread_attr_init(&little);
  pthread_attr_setstacksize(&little, size_t{256} << 10);
  pthread_t thread;
  REQUIRE(pthread_create(&thread, &little, run, nullptr) == 0);
  pthread_join(thread, nullptr);
  pthread_attr_destroy(&little);
}

}  // namespace lariat::large_graphs_test
