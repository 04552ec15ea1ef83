// Penalties of a layer's weights: their text, their values, and what the rewrite makes of them.
#include "frontends/spec/weight_penalty.hpp"

#include <fmt/format.h>

#include <cmath>

#include "autodiff/convex/solver.hpp"
#include "frontends/sequential/layers.hpp"
#include "frontends/sequential/sequential.hpp"
#include "graph/base/error.hpp"
#include "graph/exec/constants.hpp"
#include "graph/program/program.hpp"
#include "ops/ops.hpp"
#include "tests/support/files.hpp"
#include "tests/support/testing.hpp"
#include "tests/support/toy_data.hpp"

namespace lariat::weight_penalty_test {

using lariat::testing::message_of;
using lariat::testing::points;

namespace {

struct Spelling {
  WeightPenalty penalty;
  std::string text;
};

const std::vector<Spelling>& spellings() {
  static const std::vector<Spelling> list = {
      {{}, "none"},
      {l1(1e-4), "l1=0.0001"},
      {elastic_net(1e-4, 1e-5), "l1=0.0001,l2=1e-05"},
      {group_lasso(0.5), "group_columns=0.5"},
      {group_lasso(0.5, Groups::rows), "group_rows=0.5"},
      {sparse_group_lasso(0.25, 0.5, Groups::rows), "l1=0.25,group_rows=0.5"},
      {block_lasso(0.5), "group_blocks=0.5:8x1"},
      {block_lasso(0.5, {1, 16}), "group_blocks=0.5:1x16"},
      {log_sum(1e-3), "log_sum=0.001:0.01"},
      {log_sum(1e-3, 0.5), "log_sum=0.001:0.5"},
      {mcp(0.125, 2.5), "mcp=0.125:2.5"},
      {count_nonzero(1e-6), "count=1e-06"},
      {{.l2 = 0.5, .log_sum = 0.25}, "l2=0.5,log_sum=0.25:0.01"}};
  return list;
}

// The penalty of [[3, -4], [0, 1]].
double value_of(const WeightPenalty& penalty) {
  Graph graph;
  graph.output("penalty", penalty_of(graph.constant(Tensor::of<double>({2, 2}, {3, -4, 0, 1})), penalty));
  return evaluate_constant(graph)[0].item();
}

}  // namespace

TEST_CASE("weight penalty: text and back") {
  for (const auto& [penalty, text] : spellings()) {
    CAPTURE(text);
    CHECK(to_text(penalty) == text);
    CHECK(parse_weight_penalty("p", text) == penalty);
    CHECK(bool(penalty) == (text != "none"));
  }
  CHECK(parse_weight_penalty("p", " log_sum=1e-3 , l1=1e-4") ==
        WeightPenalty{.l1 = 1e-4, .log_sum = 1e-3, .log_sum_epsilon = 0.01});
  CHECK(parse_weight_penalty("p", "l1=0,norm2=0") == WeightPenalty());
  CHECK(to_text(parse_weight_penalty("p", "nuclear_norm=0.5,l1=1e-4")) == "l1=0.0001,nuclear_norm=0.5");
  CHECK(WeightPenalty{.by_op = {{"norm2", 1}}}.at(5) == WeightPenalty{.by_op = {{"norm2", 5}}});
  CHECK(WeightPenalty{.by_op = {{"norm2", 1}}}.makes_zeros());
  CHECK(l2(1).makes_zeros() == false);
  CHECK(log_sum(1).makes_zeros());
  CHECK(WeightPenalty{.l1 = 1, .l2 = 2}.at(5) == WeightPenalty{.l1 = 5, .l2 = 2});
  CHECK(log_sum(1, 0.5).at(5) == log_sum(5, 0.5));
  // A second number without its coefficient says nothing.
  CHECK(WeightPenalty{.mcp_gamma = 7} == WeightPenalty());
  CHECK_FALSE(log_sum(1, 0.5) == log_sum(1, 0.25));
}

TEST_CASE("weight penalty: values") {
  CHECK(value_of(l1(0.5)) == 4);
  CHECK(value_of(l2(0.5)) == 13);
  CHECK(value_of(group_lasso(2, Groups::rows)) == doctest::Approx(2 * (5 + 1)));
  CHECK(value_of(group_lasso(2, Groups::columns)) == doctest::Approx(2 * (3 + std::sqrt(17))));
  CHECK(value_of(sparse_group_lasso(1, 2, Groups::rows)) == doctest::Approx(8 + 12));
  // Blocks at the edges are smaller.
  CHECK(value_of(block_lasso(2, {1, 1})) == doctest::Approx(2 * 8));
  CHECK(value_of(block_lasso(2, {2, 1})) == doctest::Approx(2 * (3 + std::sqrt(17))));
  CHECK(value_of(block_lasso(2, {8, 1})) == doctest::Approx(2 * (3 + std::sqrt(17))));
  CHECK(value_of(block_lasso(2, {1, 3})) == doctest::Approx(2 * (5 + 1)));
  CHECK(value_of(block_lasso(2, {8, 8})) == doctest::Approx(2 * std::sqrt(26)));
  CHECK(value_of(log_sum(2, 0.5)) ==
        doctest::Approx(2 * 0.5 * (std::log(7) + std::log(9) + std::log(3))).epsilon(1e-14));
  // γ·λ = 2: |w| = 1 is still penalised less than the others, which give γλ²/2 = 1.
  CHECK(value_of(mcp(1, 2)) == doctest::Approx(1 + 1 + 0.75));
  CHECK(value_of(count_nonzero(0.5)) == 1.5);
  CHECK(value_of({.l1 = 0.5, .by_op = {{"norm2", 2}}}) == doctest::Approx(4 + 2 * std::sqrt(26)));
}

TEST_CASE("weight penalty: groups of kernels with more axes are units and inputs") {
  Graph graph;
  Tensor kernel(f64, {2, 3, 4});
  for (int64_t i = 0; i < kernel.count(); ++i) kernel.data<double>()[i] = i % 4 == 0 ? 0.0 : 1.0;
  const Value w = graph.constant(kernel);
  graph.output("columns", penalty_of(w, group_lasso(1, Groups::columns)));
  graph.output("rows", penalty_of(w, group_lasso(1, Groups::rows)));
  const std::vector<Tensor> values = evaluate_constant(graph);
  CHECK(values[0].item() == doctest::Approx(3 * std::sqrt(6)));
  CHECK(values[1].item() == doctest::Approx(3 * std::sqrt(6)));
}

TEST_CASE("weight penalty: blocks of kernels, with what is left at their edges") {
  // Two taps of 5 x 7 in blocks of 2 x 3: 2, 2 and 1 rows by 3, 3 and 1 columns.
  Graph graph;
  const Value w = graph.constant(Tensor::filled(f64, {2, 5, 7}, 2));
  graph.output("blocks", penalty_of(w, block_lasso(1, {2, 3})));
  const double whole = 4 * std::sqrt(6), below = 2 * std::sqrt(3), right = 2 * std::sqrt(2), corner = 1;
  CHECK(evaluate_constant(graph)[0].item() == doctest::Approx(2 * 2 * (whole + below + right + corner)));
  CHECK(message_of<UserError>([&] { penalty_of(graph.parameter("b", {4}), block_lasso(1)); }) ==
        "group_blocks are for kernels with rows and columns, but 'b' is [4]; give it l1");
}

TEST_CASE("weight penalty: blocks become zero as wholes, and the certificate says the rest is stationary") {
  // ½‖w - v‖² + λ Σ‖block‖ has the solution block·(1 - λ/‖block‖)₊.
  Graph graph;
  const Extents extents{5, 3};
  std::vector<double> values;
  for (int i = 0; i < 15; ++i) values.push_back((i % 4 == 0 ? 1 : 0.25) * (i % 2 == 0 ? 1 : -1));
  const Value w = graph.parameter("w", extents, init::zeros(), f64);
  const Value v = graph.constant(Tensor::of<double>(extents, std::span<const double>(values)));
  const double lambda = 0.6;
  Trainer trainer(0.5 * sum(square(w - v)) + penalty_of(w, block_lasso(lambda, {2, 1})),
                  Sgd{.learning_rate = 0.5});
  for (int step = 0; step < 60; ++step) trainer.step({});
  const Tensor found = trainer.store().get("w");
  int64_t zero_blocks = 0;
  for (int64_t row = 0; row < 5; row += 2)
    for (int64_t column = 0; column < 3; ++column) {
      double norm = 0;
      for (int64_t i = row; i < std::min<int64_t>(row + 2, 5); ++i)
        norm += values[static_cast<size_t>(i * 3 + column)] * values[static_cast<size_t>(i * 3 + column)];
      norm = std::sqrt(norm);
      const double factor = std::max(0.0, 1 - lambda / norm);
      zero_blocks += factor == 0 ? 1 : 0;
      for (int64_t i = row; i < std::min<int64_t>(row + 2, 5); ++i) {
        if (factor == 0) CHECK(found.at(i * 3 + column) == 0);
        CHECK(found.at(i * 3 + column) ==
              doctest::Approx(factor * values[static_cast<size_t>(i * 3 + column)]).epsilon(1e-9));
      }
    }
  CHECK(zero_blocks > 1);
  CHECK(zero_blocks < 8);
  CHECK(trainer.certify(Feeds{}).distance().value() < 1e-9);
  CHECK(trainer.report().text().find("group soft threshold") != std::string::npos);
}

TEST_CASE("weight penalty: what is refused, with what is near") {
  const auto refused = [](const std::string& text) {
    return message_of<UserError>([&] { parse_weight_penalty("p", text); });
  };
  for (const char* text :
       {"", "l1", "l1=", "l1=x", "l1=1;l2=2", "l1=-1", "l1=inf", "l1=nan", "l1=1e-4 x", ","}) {
    CAPTURE(text);
    CHECK(refused(text) == fmt::format("p = {}: must be {}", *text == 0 ? "''" : text, weight_penalty_range));
  }
  CHECK(refused("log_sm=1") == "p = log_sm=1: there is no penalty 'log_sm'. Did you mean 'log_sum'?");
  CHECK(refused("group_row=1") ==
        "p = group_row=1: there is no penalty 'group_row'. Did you mean 'group_rows'?");
  CHECK(refused("l1=1,l1=2") == "p = l1=1,l1=2: l1 is there twice; add the two up");
  CHECK(refused("norm2=1:2") == "p = norm2=1:2: 'norm2' has no attribute '2'. Known: axes, keep_dims.");
  CHECK(refused("nuclear_nrm=1") ==
        "p = nuclear_nrm=1: there is no penalty 'nuclear_nrm'. Did you mean 'nuclear_norm'?");
  for (const char* shape : {"", "8", "8x", "x1", "0x1", "8x1x2", "8x-1", "1025x1", "8x1.5"})
    CHECK(
        refused(fmt::format("group_blocks=1:{}", shape)) ==
        fmt::format(
            "p = group_blocks=1:{}: the shape of group_blocks must be rows x columns from 1 to 1024, such as "
            "8x1",
            shape));
  // It is a penalty, but along which axis?
  CHECK(refused("absolute_differences=1")
            .starts_with("p = absolute_differences=1: 'absolute_differences' needs the attribute 'axis', "));
  CHECK(message_of<UserError>([] {
          value_of({.by_op = {{"tanh", 1}}});
        }).starts_with("'tanh' is no op of one input that is a penalty; if it is a plugin's, load "));
  CHECK(refused("l1=1:2") == "p = l1=1:2: l1 takes one number, its coefficient");
  for (const char* epsilon : {"0", "-1", "x", "", "nan", "1:2"})
    CHECK(refused(fmt::format("log_sum=1:{}", epsilon)) ==
          fmt::format("p = log_sum=1:{}: the epsilon of log_sum must be a number above 0", epsilon));
  CHECK(refused("mcp=1:0") == "p = mcp=1:0: the gamma of mcp must be a number above 0");
  // Code can set what text cannot.
  CHECK(message_of<UserError>([] { Dense(2, {}, {.kernel_penalty = log_sum(1, 0)}); }) ==
        "dense: kernel_penalty = log_sum=1:0: the epsilon of log_sum must be a number above 0");
  CHECK(message_of<UserError>([] { Dense(2, {}, {.kernel_penalty = group_lasso(-1)}); }) ==
        std::string("dense: kernel_penalty = group_columns=-1: must be ") + weight_penalty_range);
  CHECK(message_of<UserError>([] {
          Sequential({Dense(2, {}, {.bias_penalty = group_lasso(1)})}).build({false, 4, {"a", "b"}});
        }) ==
        "group_rows and group_columns are for kernels with rows and columns, but 'dense_1/bias' is [2]; give "
        "it l1");
}

TEST_CASE("weight penalty: each becomes a prox, makes zeros, and is kept by the model file") {
  const testing::TemporaryFolder folder;
  const data::Dataset train = points(120, 3, 8, 1);
  const std::vector<std::pair<WeightPenalty, std::string>> rows = {
      {l1(0.02), "soft threshold"},
      {group_lasso(0.05, Groups::rows), "group soft threshold"},
      {sparse_group_lasso(0.01, 0.04, Groups::rows), "soft threshold, group soft threshold"},
      {log_sum(0.03, 0.1), "log-sum threshold"},
      {mcp(0.03, 8), "firm threshold"},
      {count_nonzero(1e-3), "hard threshold"},
      {{.l2 = 0.01, .log_sum = 0.03, .log_sum_epsilon = 0.1}, "shrinkage, log-sum threshold"}};
  for (const auto& [penalty, operator_name] : rows) {
    CAPTURE(to_text(penalty));
    Sequential model{Dense(3, {}, {.kernel_penalty = penalty})};
    model.compile(Adam{.learning_rate = 0.02});
    const FitResult result = model.fit(train, {.epochs = 25, .batch_size = 24, .threads = 1});
    REQUIRE(model.report().rewritten.size() == 1);
    CHECK(model.report().rewritten[0].operator_name == operator_name);
    CHECK(model.report().refused.empty());
    CHECK(result.epochs.back().penalised.zeros > 0);
    CHECK(*result.epochs.back().accuracy > 0.9);
    CHECK(model.zeros()[1].penalty == to_text(penalty));
    model.save(folder / "m.safetensors");
    CHECK(Sequential::load(folder / "m.safetensors").layers() == model.layers());
  }
}

TEST_CASE("weight penalty: groups go as a whole") {
  const data::Dataset train = points(120, 3, 8, 1);
  Sequential model{Dense(3, {}, {.kernel_penalty = group_lasso(0.05, Groups::rows)})};
  model.compile(Adam{.learning_rate = 0.02});
  model.fit(train, {.epochs = 25, .batch_size = 24, .threads = 1});
  const Tensor kernel = model.store().get("dense_1/kernel");
  int64_t gone = 0;
  for (int64_t row = 0; row < 8; ++row) {
    int zeros = 0;
    for (int64_t column = 0; column < 3; ++column) zeros += kernel.at(row * 3 + column) == 0;
    CHECK((zeros == 0 || zeros == 3));
    gone += zeros == 3;
    // The first three dimensions tell the classes apart, the others are noise.
    CHECK((row >= 3 || zeros == 0));
  }
  CHECK(gone == 5);
}

TEST_CASE("weight penalty: terms whose prox does not add up are named, and the fit goes on") {
  const data::Dataset train = points(24, 3, 8, 1);
  for (const WeightPenalty& penalty :
       {WeightPenalty{.l1 = 0.01, .log_sum = 0.01}, WeightPenalty{.group_rows = 0.01, .group_columns = 0.01},
        WeightPenalty{.mcp = 0.01, .count = 0.01}}) {
    CAPTURE(to_text(penalty));
    Sequential model{Dense(3, {}, {.kernel_penalty = penalty})};
    model.compile(Adam{});
    model.fit(train, {.batch_size = 24, .threads = 1});
    REQUIRE(model.report().refused.size() == 1);
    CHECK(model.report().refused[0].code == "L108");
    CHECK(model.report().rewritten.size() == 1);
  }
}

TEST_CASE("weight penalty: a solver of convex losses names the term that it does not take") {
  Graph g;
  const Value w = g.parameter("w", {3}, init::constant(0.5), f64);
  const Value data = sum(square(w - 1.0));
  for (const WeightPenalty& penalty : {log_sum(0.1), mcp(0.1), count_nonzero(0.1)}) {
    CAPTURE(to_text(penalty));
    const std::string refused = message_of<UserError>([&] { solve(data + penalty_of(w, penalty)); });
    CHECK(refused.starts_with("L110: the penalty "));
    CHECK(
        refused.ends_with(" has no form that can be solved for; train the model with an optimizer instead"));
  }
}

}  // namespace lariat::weight_penalty_test
