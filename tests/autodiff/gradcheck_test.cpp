// gradcheck must catch what it is for: ops whose gradient is wrong in the ways gradients usually are.
#include "autodiff/check/gradcheck.hpp"

#include "graph/base/error.hpp"
#include "graph/ir/graph.hpp"
#include "graph/ir/registry.hpp"
#include "ops/ops.hpp"
#include "tests/support/testing.hpp"

namespace lariat::gradcheck_test {

namespace {

OpDef broken(const char* op, Adjoints (*vjp)(const GradContext&)) {
  OpDef def = registry().get(op);
  def.vjp = vjp;
  return def;
}

}  // namespace

TEST_CASE("seeded mistakes in a gradient are caught") {
  const std::vector<OpDef> mutants{
      broken("multiply",
             [](const GradContext& g) -> Adjoints {
               return {g.adjoint(0) * g.in(0), g.adjoint(0) * g.in(1)};
             }),
      broken("tanh",
             [](const GradContext& g) -> Adjoints { return {g.adjoint(0) * (1 + square(g.out(0)))}; }),
      broken("square", [](const GradContext& g) -> Adjoints { return {g.adjoint(0) * g.in(0)}; }),
      broken("subtract",
             [](const GradContext& g) -> Adjoints {
               return {g.adjoint(0), g.adjoint(0)};
             }),
      broken("exp",
             [](const GradContext& g) -> Adjoints { return {g.adjoint(0) * stop_gradient(g.out(0))}; }),
      broken("sigmoid", [](const GradContext&) -> Adjoints { return {Value()}; }),
      broken("divide",
             [](const GradContext& g) -> Adjoints {
               return {g.adjoint(0) / g.in(1), 1.0001 * -g.adjoint(0) * g.out(0) / g.in(1)};
             }),
  };
  for (const OpDef& mutant : mutants) {
    const GradcheckResult result = gradcheck(mutant);
    CAPTURE(mutant.name);
    CHECK_FALSE(result.passed);
    CHECK_FALSE(result.detail.empty());
  }
}

TEST_CASE("a record without samples fails: nothing was checked") {
  OpDef def = registry().get("tanh");
  def.samples.clear();
  const GradcheckResult result = gradcheck(def);
  CHECK_FALSE(result.passed);
  CHECK_FALSE(result.not_run.empty());
}

TEST_CASE("every op's second derivative agrees with finite differences, or is refused") {
  int64_t agreeing = 0, refused = 0;
  for (const OpDef* op : registry().all()) {
    if (op->plugin || !op->vjp || op->traits.stops_gradient) continue;
    for (const Sample& sample : op->samples) {
      // Of y + y²/4, so that what the outputs' adjoints become counts too.
      const auto function = [&](Graph& graph, std::span<const Value> inputs) {
        const Value first = graph.add(*op, inputs, sample.attributes);
        std::vector<Value> outputs;
        const size_t count = std::min(graph.node(first.node()).outputs.size(), op->traits.saved_outputs);
        for (size_t i = 0; i < count; ++i)
          if (const Value y = output_of(first, static_cast<int32_t>(i)); is_float(y.dtype()))
            outputs.push_back(y + 0.25 * square(y));
        return outputs;
      };
      CAPTURE(op->name);
      CAPTURE(sample.name);
      try {
        const GradcheckResult result = gradcheck(function, sample.inputs, true);
        CAPTURE(result.detail);
        CHECK(result.passed);
        if (result.checks > 0) CHECK(op->traits.second_order);
        agreeing += result.checks > 0;
      } catch (const UserError& error) {
        CAPTURE(error.what());
        CHECK_FALSE(op->traits.second_order);
        CHECK(std::string(error.what()).starts_with("[" + op->name));
        ++refused;
      }
    }
  }
  CHECK(agreeing > 100);
  CHECK(refused > 10);
}

TEST_CASE("a function of several ops is checked as a whole") {
  const std::vector<SampleInput> inputs{{{3, 4}}, {{4, 2}}};
  const GradcheckResult result = gradcheck(
      [](Graph&, std::span<const Value> x) { return std::vector<Value>{softmax(matmul(x[0], x[1]))}; },
      inputs);
  CHECK(result.passed);
  CHECK(result.checks == 2 * (12 + 8));
}

}  // namespace lariat::gradcheck_test
