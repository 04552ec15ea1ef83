// Which nodes run in one loop, and the sums at the end of loops.
#include <random>

#include "autodiff/training/trainer.hpp"
#include "graph/base/random.hpp"
#include "graph/exec/plan.hpp"
#include "graph/ir/print.hpp"
#include "graph/passes/loop_groups.hpp"
#include "graph/passes/pass_list.hpp"
#include "graph/program/program.hpp"
#include "ops/ops.hpp"
#include "tests/support/as_built.hpp"
#include "tests/support/testing.hpp"

namespace lariat::loop_groups_test {

namespace {

int group_of(const LoopGroups& groups, Value value) { return groups.of[value.node()]; }

// The bodies of the fused nodes in which `op` stands.
int loops_with(const Graph& graph, const std::string& op) {
  int count = 0;
  for (int32_t id = 0; id < graph.size(); ++id)
    if (graph.node(id).op->name == "fused")
      count += to_text(*graph.node(id).attributes.get<std::shared_ptr<const Graph>>("body")).find(op + "(") !=
               std::string::npos;
  return count;
}

Tensor random_tensor(const Extents& extents, uint64_t seed) {
  Tensor result(f32, extents);
  for (int64_t i = 0; i < result.count(); ++i)
    result.data<float>()[i] = 2 * to_unit(random_bits(seed, 3, static_cast<uint64_t>(i))[0]) - 1;
  return result;
}

}  // namespace

TEST_CASE("loops: a sum over everything ends a chain, a sum over one axis does not") {
  Graph g;
  const Value x = g.input("x", {3, 4}), chain = exp(x) * x;
  const Value total = sum(chain), average = mean(chain), rows = sum(chain, {1});
  const LoopGroups groups = find_loop_groups(g);
  CHECK(group_of(groups, total) == group_of(groups, chain));
  CHECK(group_of(groups, average) == group_of(groups, chain));
  CHECK(group_of(groups, rows) == -1);
}

TEST_CASE("loops: what reads one tensor joins, unless one needs a sum of the other") {
  Graph g;
  const Value x = g.input("x", {5}), y = g.input("y", {5});
  const Value first = tanh(x), second = relu(x) + y, other = exp(g.input("z", {5}));
  const LoopGroups groups = find_loop_groups(g);
  CHECK(group_of(groups, first) == group_of(groups, second));
  CHECK(group_of(groups, first) != group_of(groups, other));

  Graph h;
  const Value w = h.input("w", {5}), norm = norm2(w), scaled = w * norm;
  const LoopGroups apart = find_loop_groups(h);
  CHECK(group_of(apart, norm) != group_of(apart, scaled));
}

TEST_CASE("loops: the penalty in the loss is summed in the loop that updates the weight") {
  Graph g;
  const Value x = g.input("x", {8, 6}), w = g.parameter("w", {6, 3});
  const Value loss = mean(square(matmul(x, w))) + 1e-2 * sum(abs(w)) + 1e-3 * sum(square(w));
  for (const Optimizer& optimizer :
       {Optimizer(Sgd{.learning_rate = 0.1}), Optimizer(Adam{.learning_rate = 0.1})}) {
    Trainer trainer(loss, optimizer);
    CHECK(loops_with(trainer.graph(), "abs_penalty") == 1);
    CHECK(loops_with(trainer.graph(), "abs_prox") == 1);
    int loops_with_both = 0;
    for (int32_t id = 0; id < trainer.graph().size(); ++id) {
      const Node& node = trainer.graph().node(id);
      if (node.op->name != "fused") continue;
      const std::string body = to_text(*node.attributes.get<std::shared_ptr<const Graph>>("body"));
      loops_with_both += body.find("abs_penalty(") != std::string::npos &&
                         body.find("abs_prox(") != std::string::npos &&
                         body.find("square_penalty(") != std::string::npos;
    }
    CHECK(loops_with_both == 1);
    // The update is written over the old value, though another result of the loop is read on.
    const Feeds feeds{{"x", random_tensor({8, 6}, 1)}};
    const Plan& plan = trainer.plan(feeds);
    const auto& outputs = trainer.graph().outputs();
    for (size_t i = 0; i < outputs.size(); ++i)
      if (outputs[i].name == "w") CHECK(plan.result_location(i).kind == Location::Kind::store);
    const Tensor before = trainer.value(w);
    const StepResult step = trainer.step(feeds);
    double penalty = 0;
    for (int64_t i = 0; i < before.count(); ++i)
      penalty += 1e-2 * std::abs(before.at(i)) + 1e-3 * before.at(i) * before.at(i);
    CHECK(step.penalty == doctest::Approx(penalty).epsilon(1e-6));
  }
}

TEST_CASE("loops: sums equal those of separate nodes, and any threads give the same bits") {
  int64_t compared = 0;
  for (uint64_t seed = 0; seed < 40; ++seed) {
    std::mt19937_64 random(seed);
    const Extents shapes[]{{}, {7}, {1, 300}, {40, 1}, {3, 1, 50}, {300, 700}, {0, 4}};
    const Extents extents = shapes[seed % 7];
    Graph g;
    const Value x = g.input("x", to_shape(extents)), y = g.input("y", {});
    std::vector<Value> values{x * y, x + 1};
    for (int i = 0; i < 6; ++i) {
      const Value a = values[random() % values.size()], b = values[random() % values.size()];
      values.push_back(i % 3 == 0 ? a * b : i % 3 == 1 ? tanh(a) - b : maximum(a, b));
    }
    const Value last = values.back();
    const std::vector<Value> totals{sum(last), mean(last),           norm2(values[5]),     abs_penalty(last),
                                    sum(x),    square_penalty(last), sum(last * sum(last))};
    for (size_t i = 0; i < totals.size(); ++i) g.output(std::to_string(i), totals[i]);
    g.output("elements", last);
    const Feeds feeds{{"x", random_tensor(extents, seed)}, {"y", Tensor::scalar(0.5, f32)}};

    const std::vector<Tensor> built = testing::run_as_built(g, feeds, {});
    Program program(g);
    Store store;
    const auto serial = program.run(feeds, store, *make_serial_executor());
    for (size_t i = 0; i < totals.size(); ++i) {
      CAPTURE(seed);
      CAPTURE(i);
      const double direct = built[i].item(), found = serial[i].item();
      if (std::isnan(direct)) {
        CHECK(std::isnan(found));
      } else {
        CHECK(found == doctest::Approx(direct).epsilon(1e-5));
      }
      ++compared;
    }
    for (int threads : {2, 3}) {
      const auto parallel = program.run(feeds, store, *make_tbb_executor(threads));
      for (size_t i = 0; i < totals.size(); ++i) {
        const double a = serial[i].item(), b = parallel[i].item();
        CHECK((a == b || (std::isnan(a) && std::isnan(b))));
      }
    }
  }
  CHECK(compared == 40 * 7);
}

}  // namespace lariat::loop_groups_test
