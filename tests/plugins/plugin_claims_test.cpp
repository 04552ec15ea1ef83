// Plugins that claim what is not so (tests/plugins/claims.cpp): the check of that claim finds it. The same
// checks pass for every built-in op.
#include <map>
#include <set>

#include "autodiff/check/op_check.hpp"
#include "autodiff/check/op_claims.hpp"
#include "autodiff/convex/solver.hpp"
#include "graph/exec/executor.hpp"
#include "graph/ir/registry.hpp"
#include "graph/program/program.hpp"
#include "ops/ops.hpp"
#include "ops/plugin/loader.hpp"
#include "tests/support/program.hpp"
#include "tests/support/testing.hpp"

namespace lariat::plugin_claims_test {

namespace {

const std::string file = LARIAT_BUILD_ROOT "/tests/claims.so";

// The checks of an op that found a fault, or did not run, by name.
struct Verdict {
  std::set<std::string> faults, not_run;
};

Verdict verdict_of(const OpDef& op) {
  Verdict verdict;
  for (const OpFinding& finding : check_op(op)) {
    if (!finding.fault.empty()) verdict.faults.insert(finding.check);
    if (!finding.not_run.empty()) verdict.not_run.insert(finding.check);
  }
  return verdict;
}

}  // namespace

TEST_CASE("claims: every one that is not so is found, and none that is") {
  load_plugin(file);
  const std::map<std::string, std::string> wrong{
      {"prox_doubled", "prox"},
      {"prox_identity", "prox"},
      {"prox_zero", "prox"},
      {"prox_nan", "prox"},
      {"prox_one_step", "prox"},
      {"prox_one_weight", "prox"},
      {"prox_cut", "prox"},
      {"prox_late", "prox"},
      {"prox_single", "prox"},
      {"prox_first_only", "prox"},
      {"prox_thick", "prox"},
      {"prox_hides_nan", "prox"},
      {"prox_at_none", "prox"},
      {"prox_tail", "prox"},
      {"prox_heavy", "prox"},
      {"prox_light", "prox"},
      {"prox_far", "prox"},
      {"residual_heavy", "residual"},
      {"prox_norm_scaled", "prox"},
      {"prox_norm_steps", "prox"},
      {"residual_nothing", "residual"},
      {"residual_gradient", "residual"},
      {"residual_kink", "residual"},
      {"residual_sign", "residual"},
      {"residual_longer", "residual"},
      {"residual_tail", "residual"},
      {"residual_norm", "residual"},
      {"wrong_convex", "convex"},
      {"wrong_smooth", "smooth"},
      {"wrong_first", "combination"},
      {"wrong_last", "combination"},
      {"wrong_linear_square", "linear"},
      {"wrong_linear_shift", "linear"},
      {"wrong_linear_far", "linear"},
      {"wrong_linear_half", "linear"},
      {"wrong_linear_second", "linear"},
      {"wrong_commutative", "commutative"},
      {"wrong_commutative_one", "commutative"},
      {"wrong_commutative_far", "commutative"},
      {"wrong_in_place", "in place"},
      {"wrong_over_input", "in place"},
      {"wrong_elementwise", "element-wise"},
      {"wrong_strides", "element-wise"},
      {"wrong_integer", "values"},
      {"wrong_parity", "gradcheck"},
      {"wrong_many", "sizes"},
      {"wrong_many_tail", "sizes"},
      {"wrong_many_adjoint", "gradcheck"},
  };
  for (const auto& [name, check] : wrong) {
    CAPTURE(name);
    CHECK(verdict_of(registry().get(name)).faults.contains(check));
  }
  int right = 0;
  for (const OpDef* op : loaded_plugins().back()->ops) {
    if (!op->name.starts_with("right_")) continue;
    CAPTURE(op->name);
    const Verdict verdict = verdict_of(*op);
    CHECK(verdict.faults == std::set<std::string>{});
    CHECK(verdict.not_run == std::set<std::string>{});
    ++right;
  }
  CHECK(right == 18);
}

TEST_CASE("claims: what could not be run is no pass, and says what to add") {
  load_plugin(file);
  CHECK(verdict_of(registry().get("no_samples")).not_run ==
        std::set<std::string>{"shapes", "values", "sizes", "repeats", "concurrent", "in place", "gradcheck",
                              "element-wise"});
  CHECK(verdict_of(registry().get("unknown_integer")).not_run == std::set<std::string>{"gradcheck"});
  CHECK(verdict_of(registry().get("unshown_in_place")).not_run == std::set<std::string>{"in place"});
  if (!testing::have_lariat()) return;
  const auto run = testing::run_lariat({"plugin", "check", file});
  CAPTURE(run.err);
  CHECK(run.status == 1);
  CHECK(run.out.find("no_samples") != std::string::npos);
  CHECK(run.out.find("not run: nothing was run; add a sample\n") != std::string::npos);
  CHECK(run.out.find("not run: nothing was compared; add a sample with expected values\n") !=
        std::string::npos);
  CHECK(run.err.starts_with("lariat: plugin check: "));
  const auto gradcheck = testing::run_lariat({"gradcheck", "unknown_integer", "--plugin", file});
  CHECK(gradcheck.status == 1);
  CHECK(gradcheck.out.find("FAILED: nothing was compared; add a sample with expected values") !=
        std::string::npos);
}

TEST_CASE("claims: solve does not believe a prox that is not so") {
  load_plugin(file);
  const auto solved = [](const char* op) {
    Graph g;
    const Value w = g.parameter("w", {2}, init::zeros(), f64);
    const Value target = g.constant(Tensor::of<double>({2}, {3, 4}));
    return solve(0.5 * sum(square(w - target)) + build(op, {w}), {.threads = 1});
  };
  CHECK(solved("right_norm").converged);
  CHECK(solved("right_norm").store.get("w").at(1) == doctest::Approx(4 * 0.8));
  const Solution s = solved("prox_norm_scaled");
  CHECK_FALSE(s.converged);
  CHECK(s.independent);
  CHECK(s.stationarity == doctest::Approx(0.1));
  CHECK(s.shortfall.starts_with(
      "a stationarity of 1.0e-01 was reached where 1.0e-08 was asked for: the steps by "
      "the prox of 1 * "));
}

TEST_CASE("claims: an op that only says that it works in place does not") {
  load_plugin(file);
  CHECK(registry().get("right_in_place").traits.in_place.size() == 1);
  CHECK(registry().get("wrong_in_place").traits.in_place.empty());
  CHECK(registry().get("unshown_in_place").traits.in_place.empty());
  Graph graph;
  graph.output("y", build("wrong_in_place", {graph.input("x", {4}) * 2}));
  Program program(graph);
  Store store;
  const Tensor y =
      program.run({{"x", Tensor::of<float>({4}, {0, 1, 2, 3})}}, store, *make_serial_executor())[0];
  for (int64_t i = 0; i < 4; ++i) CHECK(y.at(i) == 6 - 2 * i);
}

TEST_CASE("claims: a record that claims what only built-in ops can, and is not so, is found too") {
  const auto fault = [](OpDef op, const std::string& name) {
    op.name = "wrong_" + op.name;
    const OpCases cases(op);
    for (const OpClaim& claim : claims_of(op, cases)) {
      if (claim.name != name) continue;
      OpFinding finding{name};
      claim.check(finding);
      return finding.fault;
    }
    FAIL("the claim is not made");
    return std::string();
  };
  const auto changed = [](const char* name, const auto& change) {
    OpDef op = registry().get(name);
    change(op);
    return op;
  };
  const auto has = [](const std::string& text, const std::string& part) {
    CAPTURE(text);
    CHECK(text.find(part) != std::string::npos);
  };
  for (const char* name : {"exp", "sum", "multiply"})
    has(fault(changed(name, [](OpDef& op) { op.traits.stops_gradient = true; }), "stops gradient"),
        "it has a gradient");
  has(fault(changed("relu", [](OpDef& op) { op.traits.inference_input = 0; }), "inference"),
      "in the mean over random states");
  has(fault(changed("dropout", [](OpDef& op) { op.traits.inference_input = 1; }), "inference"),
      "input 1 is i32");
  has(fault(changed("dropout", [](OpDef& op) { op.traits.inference_input = 2; }), "inference"), "no input 2");
  const auto with_cost = [&](auto cost) {
    return fault(changed("matmul", [&](OpDef& op) { op.cost = cost; }), "cost");
  };
  using Views = std::span<const TensorView>;
  has(with_cost([](Views, Views, const Attributes&) { return Cost{-1, 0}; }), "no numbers from 0");
  has(with_cost([](Views, Views, const Attributes&) { return Cost{0, std::nan("")}; }), "no numbers from 0");
  has(with_cost([](Views, Views, const Attributes&) { return Cost{0, 1e12}; }), "the tensors have ");
  has(fault(changed("lstm_cell",
                    [](OpDef& op) {
                      op.recurrence->state_inputs = {2, 1};
                    }),
            "recurrence"),
      "in the sequence");
  for (const auto& [name, part] : {std::pair{"log", "of 0 it is infinite"},
                                   {"sqrt", "of -1 it is NaN"},
                                   {"divide", "of 0, 0 it is NaN"},
                                   {"reciprocal", "of 0 it is infinite"}})
    has(fault(changed(name, [](OpDef& op) { op.traits.of_finite = Traits::OfFinite::finite; }), "finite"),
        part);
  has(fault(changed("log", [](OpDef& op) { op.traits.of_finite = Traits::OfFinite::or_infinite; }), "finite"),
      "of -1 it is NaN");
  for (const char* name : {"relu", "elu", "abs"})
    has(fault(changed(name, [](OpDef& op) { op.bend = [](const BendContext&) { return Bend::none; }; }),
              "bend"),
        "has the slopes");
  has(fault(changed("add", [](OpDef& op) { op.traits.product = true; }), "product"), "of twice the one");
  has(fault(changed("sum", [](OpDef& op) { op.traits.product = true; }), "product"), "less than two inputs");
}

TEST_CASE("claims: the gradient of a plugin's op is known by its record, not by its name") {
  load_plugin(file);
  CHECK(registry().get("right_product_gradient").gradient_of == "");
  CHECK(verdict_of(registry().get("right_product_gradient")).not_run.empty());
  load_plugin(LARIAT_BUILD_ROOT "/examples/ordered_l1.so");
  CHECK(registry().get("ordered_l1_gradient").gradient_of == "ordered_l1");
}

TEST_CASE("claims: those of every built-in op are so") {
  int checks = 0;
  for (const OpDef* op : registry().all()) {
    if (op->plugin || op->traits.source != SourceKind::none || op->samples.empty()) continue;
    CAPTURE(op->name);
    for (const OpFinding& finding : check_op(*op)) {
      CAPTURE(finding.check);
      CHECK(finding.fault == "");
      CHECK(finding.not_run == "");
      ++checks;
    }
  }
  CHECK(checks > 700);
}

}  // namespace lariat::plugin_claims_test
