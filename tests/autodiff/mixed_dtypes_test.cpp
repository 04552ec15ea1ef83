// Parameters of f32 and f64 in one loss, which is of either: penalties, optimizers and options do with both
// what they do with one.
#include <cmath>

#include "autodiff/training/trainer.hpp"
#include "graph/base/error.hpp"
#include "ops/ops.hpp"
#include "tests/support/testing.hpp"

namespace lariat::mixed_dtypes_test {

namespace {

using Penalty = Value (*)(Value w, Value v, DType dtype);

Value as(Value x, DType dtype) { return x.dtype() == dtype ? x : cast(x, dtype); }
Value both(Value w, Value v, DType dtype) { return concat({as(w, dtype), as(v, dtype)}, 0); }

struct Problem {
  DType of_w, of_v, of_loss;
  Graph graph;
  Value w, v, loss;
  Problem(DType of_w, DType of_v, DType of_loss, Penalty penalty) : of_w(of_w), of_v(of_v), of_loss(of_loss) {
    w = graph.parameter("w", {3}, init::constant(0.1), of_w);
    v = graph.parameter("v", {3}, init::constant(-0.1), of_v);
    const Value a = graph.constant(Tensor::of<double>({3}, {1, -0.5, 0.125}).cast(of_w)),
                b = graph.constant(Tensor::of<double>({3}, {-0.875, 0.0625, 0.625}).cast(of_v));
    loss = as(0.5 * sum(square(w - a)), of_loss) + as(0.5 * sum(square(v - b)), of_loss) +
           penalty(w, v, of_loss);
  }
};

struct Case {
  const char* name;
  Penalty penalty;
};

const std::vector<Case>& cases() {
  static const std::vector<Case> list{
      {"sums of magnitudes",
       [](Value w, Value v, DType d) { return 0.25 * as(sum(abs(w)), d) + 0.25 * as(sum(abs(v)), d); }},
      {"magnitudes, cast on either side",
       [](Value w, Value v, DType d) { return 0.25 * sum(as(abs(w), d)) + 0.25 * sum(abs(as(v, d))); }},
      {"magnitudes of both", [](Value w, Value v, DType d) { return 0.25 * sum(abs(both(w, v, d))); }},
      {"elastic net",
       [](Value w, Value v, DType d) {
         return 0.25 * as(sum(abs(w)), d) + 0.5 * as(sum(square(v)), d) + 0.125 * as(sum(abs(v)), d);
       }},
      {"norms", [](Value w, Value v, DType d) { return 0.25 * as(norm2(w), d) + 0.25 * as(norm2(v), d); }},
      {"the norm of both", [](Value w, Value v, DType d) { return 0.5 * norm2(both(w, v, d)); }},
      {"the largest of both", [](Value w, Value v, DType d) { return 0.5 * norm_inf(both(w, v, d)); }},
      {"total variation and magnitudes",
       [](Value w, Value v, DType d) {
         return 0.25 * sum(absolute_differences(both(w, v, d), 0)) + 0.125 * as(sum(abs(w)), d);
       }},
      {"differences", [](Value w, Value v, DType d) { return 0.25 * sum(abs(as(w, d) - as(v, d))); }},
      {"bounds",
       [](Value w, Value v, DType d) { return as(box(w, -0.125, 0.5), d) + as(box(v, -0.125, 0.5), d); }}};
  return list;
}

struct Way {
  const char* name;
  Optimizer optimizer;
  TrainerOptions options;
  int steps;
};

std::vector<Way> ways() {
  const Optimizer sgd = Sgd{.learning_rate = 0.25};
  const auto with = [](const auto& set) {
    TrainerOptions options{.threads = 1};
    set(options);
    return options;
  };
  return {{"steps", sgd, with([](TrainerOptions&) {}), 200},
          {"a limited norm", sgd, with([](TrainerOptions& o) { o.clip_norm = 0.2; }), 400},
          {"limited elements", sgd, with([](TrainerOptions& o) { o.clip_value = 0.2; }), 400},
          {"micro-shards", sgd, with([](TrainerOptions& o) { o.micro_shards = 2; }), 200},
          {"parts", sgd, with([](TrainerOptions& o) { o.accumulates = true; }), 200},
          {"careful steps", sgd, with([](TrainerOptions& o) { o.check_finite = true; }), 200},
          {"zeros that settle", sgd, with([](TrainerOptions& o) { o.settle_from = 150; }), 200},
          {"moments", Adam{.learning_rate = 0.02, .epsilon = 0.1}, with([](TrainerOptions&) {}), 2000}};
}

}  // namespace

TEST_CASE("mixed dtypes: every penalty, optimizer and option reaches what doubles reach") {
  for (const Case& c : cases()) {
    CAPTURE(c.name);
    Problem doubles(f64, f64, f64, c.penalty);
    Trainer reference(doubles.loss, Sgd{.learning_rate = 0.25}, {.threads = 1});
    for (int step = 0; step < 200; ++step) reference.step(Feeds{});
    for (const auto& [of_w, of_v] : {std::pair(f64, f32), std::pair(f32, f64)})
      for (const DType of_loss : {f32, f64})
        for (const Way& way : ways()) {
          CAPTURE(way.name);
          CAPTURE(name_of(of_w));
          CAPTURE(name_of(of_loss));
          Problem mixed(of_w, of_v, of_loss, c.penalty);
          Trainer trainer(mixed.loss, way.optimizer, way.options);
          CHECK(trainer.report().refused.empty());
          StepResult last;
          for (int step = 0; step < way.steps; ++step) last = trainer.step(Feeds{});
          for (int64_t i = 0; i < 3; ++i) {
            const double w = reference.value(doubles.w).at(i), v = reference.value(doubles.v).at(i);
            CHECK(trainer.value(mixed.w).at(i) == doctest::Approx(w).epsilon(1e-5));
            CHECK(trainer.value(mixed.v).at(i) == doctest::Approx(v).epsilon(1e-5));
            CHECK((trainer.value(mixed.w).at(i) == 0) == (w == 0));
            CHECK((trainer.value(mixed.v).at(i) == 0) == (v == 0));
          }
          CHECK(last.loss == doctest::Approx(last.smooth + last.penalty));
          const Certificate certificate = trainer.certify(Feeds{});
          REQUIRE(certificate.distance());
          CHECK(*certificate.distance() < 1e-4);
        }
  }
}

TEST_CASE("mixed dtypes: layers that go together are told of together") {
  for (const auto& [of_w, of_v] : {std::pair(f64, f32), std::pair(f32, f64)}) {
    Problem problem(of_w, of_v, f64, [](Value w, Value v, DType d) {
      return 2 * as(sum(abs(w)), d) + 2 * as(sum(abs(v)), d);
    });
    std::vector<std::string> lines;
    TrainerOptions options{.threads = 1};
    options.warn = [&](const std::string& line) { lines.push_back(line); };
    Trainer trainer(problem.loss, Sgd{.learning_rate = 0.25}, options);
    CHECK(trainer.stationary_at_zero(Feeds{}).size() == 2);
    for (int step = 0; step < 60; ++step) trainer.step(Feeds{});
    REQUIRE(lines.size() == 1);
    CAPTURE(lines[0]);
    CHECK(lines[0].starts_with("L201: all of 'w', 'v' are zero: "));
    CHECK(testing::contains(lines[0], " in place of 2 more than zeros was left"));
  }
}

}  // namespace lariat::mixed_dtypes_test
