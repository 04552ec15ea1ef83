// The master test: w is a fixed point of every optimizer if and only if 0 ∈ ∇f(w) + ∂h(w). For each
// optimizer and each convex term h, the minimiser of f + h for f = Σ (w − a)²/2, which is the prox of h at a
// in the unit metric and has a textbook form, is reached and then stays.
#include <cmath>
#include <functional>

#include "autodiff/training/trainer.hpp"
#include "graph/base/error.hpp"
#include "ops/ops.hpp"
#include "tests/support/testing.hpp"

namespace lariat::fixed_point_test {

namespace {

constexpr int64_t rows = 4, columns = 3, count = rows * columns;
using Numbers = std::vector<double>;

// Rows 1 and 3 are small, so that groups vanish; no element lies where a term has a kink of its own.
const Numbers target{1.5, -0.8, 0.21, 0.13, -0.15, 0.05, -2, 0.9, 0.6, 0.02, 0.12, -0.11};

double soft(double v, double t) { return v > t ? v - t : v < -t ? v + t : 0; }

Numbers each(const std::function<double(double)>& f) {
  Numbers result;
  for (double a : target) result.push_back(f(a));
  return result;
}

// The group moves towards 0 by `by`, or is 0.
void shrink(double* group, int64_t size, double by) {
  double norm = 0;
  for (int64_t i = 0; i < size; ++i) norm = std::hypot(norm, group[i]);
  for (int64_t i = 0; i < size; ++i) group[i] = norm > by ? group[i] * (1 - by / norm) : 0;
}

Numbers shrunk_rows(Numbers w, double by) {
  for (int64_t row = 0; row < rows; ++row) shrink(&w[row * columns], columns, by);
  return w;
}

struct Term {
  std::string name;
  std::function<Value(Value)> penalty;
  Numbers minimiser;
};

const std::vector<Term>& terms() {
  static const std::vector<Term> table{
      {"L1", [](Value w) { return 0.3 * sum(abs(w)); }, each([](double a) { return soft(a, 0.3); })},
      {"L1 of a slice, twice",
       [](Value w) { return 0.1 * (sum(abs(slice(w, 0, 0, 3))) + sum(abs(slice(w, 0, 0, 4)))); },
       [] {
         Numbers w;
         for (int64_t i = 0; i < count; ++i) w.push_back(soft(target[i], i < 9 ? 0.2 : 0.1));
         return w;
       }()},
      {"elastic net", [](Value w) { return 0.3 * sum(abs(w)) + 0.25 * sum(square(w)); },
       each([](double a) { return soft(a, 0.3) / 1.5; })},
      {"shifted", [](Value w) { return 0.3 * sum(abs(w - 0.5)); },
       each([](double a) { return 0.5 + soft(a - 0.5, 0.3); })},
      {"two kinks", [](Value w) { return 0.2 * sum(abs(w)) + 0.1 * sum(abs(w - 1)); }, each([](double a) {
         // Slopes -0.3, 0.1, 0.3 between the kinks 0 and 1.
         if (a + 0.3 < 0) return a + 0.3;
         if (a - 0.1 < 0) return 0.0;
         if (a - 0.1 < 1) return a - 0.1;
         return std::max(a - 0.3, 1.0);
       })},
      {"one-sided", [](Value w) { return 0.3 * sum(relu(w)); },
       each([](double a) { return a > 0 ? soft(a, 0.3) : a; })},
      {"one-sided, mirrored", [](Value w) { return 0.3 * sum(relu(-w)); },
       each([](double a) { return a < 0 ? soft(a, 0.3) : a; })},
      {"L1 within bounds", [](Value w) { return 0.3 * sum(abs(w)) + sum(box(w, -0.4, 1.1)); },
       each([](double a) { return std::clamp(soft(a, 0.3), -0.4, 1.1); })},
      {"non-negative", [](Value w) { return sum(nonnegative(w)); },
       each([](double a) { return std::max(a, 0.0); })},
      {"rows", [](Value w) { return 0.3 * sum(norm2(w, {1})); }, shrunk_rows(target, 0.3)},
      {"sparse rows", [](Value w) { return 0.1 * sum(abs(w)) + 0.2 * sum(norm2(w, {1})); },
       shrunk_rows(each([](double a) { return soft(a, 0.1); }), 0.2)},
      {"rows within one group", [](Value w) { return 0.3 * sum(norm2(w, {1})) + 0.5 * norm2(w); },
       [] {
         Numbers w = shrunk_rows(target, 0.3);
         shrink(w.data(), count, 0.5);
         return w;
       }()},
      // τ of a column, with Σ (|a| − τ)₊ = 0.3, is 1.7, 0.7 and 0.3.
      {"largest of each column",
       [](Value w) { return 0.3 * sum(norm_inf(w, {0})); },
       {1.5, -0.7, 0.21, 0.13, -0.15, 0.05, -1.7, 0.7, 0.3, 0.02, 0.12, -0.11}},
      // The best of all partitions into constant pieces, in rational numbers.
      {"total variation",
       [](Value w) { return 0.2 * sum(absolute_differences(w, 0)); },
       {1.3, -0.6, 0.22, 0.13, -0.15, 0.22, -1.6, 0.5, 0.22, -0.18, 0.32, 0.09}},
      {"fused",
       [](Value w) { return 0.2 * sum(absolute_differences(w, 0)) + 0.1 * sum(abs(w)); },
       {1.2, -0.5, 0.12, 0.03, -0.05, 0.12, -1.5, 0.4, 0.12, -0.08, 0.22, 0}},
      // By LAPACK's singular values 2.80119374, 0.56016748 and 0.11147217.
      {"nuclear norm",
       [](Value w) { return 0.4 * nuclear_norm(w); },
       {1.2717681612985372, -0.6440729593638539, -0.061485774280171594, 0.13394442273951454,
        -0.07097354616345526, 0.005576405330206293, -1.72271521813303, 0.8074265789180706,
        0.33295542733978944, -0.015749481186231155, 0.017466568567004657, -0.035678476637725734}},
  };
  return table;
}

struct Method {
  std::string name;
  Optimizer optimizer;
  /// The state that goes with a constant gradient g, by slot.
  std::map<std::string, std::function<double(double g)>> settled = {};
};

const std::vector<Method>& methods() {
  const auto momentum = [](double g) { return g / (1 - 0.9); };
  const auto squares = [](double g) { return g * g; };
  static const std::vector<Method> table{
      {"Sgd", Sgd{.learning_rate = 0.3}},
      {"Momentum", Momentum{.learning_rate = 0.02, .momentum = 0.9}, {{"velocity", momentum}}},
      {"Nesterov", Nesterov{.learning_rate = 0.02, .momentum = 0.9}, {{"velocity", momentum}}},
      // Any sum will do, but 0 + rounding: of gradients that are 0 it would make steps.
      {"AdaGrad", AdaGrad{.learning_rate = 0.5}, {{"square_sum", [](double g) { return 1 + g * g; }}}},
      {"RmsProp", RmsProp{.learning_rate = 0.02, .epsilon = 0.1}, {{"square_mean", squares}}},
      {"Adam", Adam{.learning_rate = 0.02, .epsilon = 0.1}},
      {"AdamW without decay", AdamW{.learning_rate = 0.02, .epsilon = 0.1, .weight_decay = 0}},
      {"NAdam", NAdam{.learning_rate = 0.02, .epsilon = 0.1}},
      {"AmsGrad", AmsGrad{.learning_rate = 0.05, .epsilon = 0.1}},
      {"Lamb without decay", Lamb{.learning_rate = 0.01, .epsilon = 0.1, .weight_decay = 0}},
  };
  return table;
}

Tensor as_tensor(const Numbers& numbers) { return Tensor::of<double>({rows, columns}, std::span(numbers)); }

struct Problem {
  Graph g;
  Value w = g.parameter("w", {rows, columns}, init::constant(0.7), f64);
  Value loss(const Term& term) {
    return 0.5 * sum(square(w - g.constant(as_tensor(target)))) + term.penalty(w);
  }
};

double distance(const Tensor& found, const Numbers& wanted) {
  double worst = 0;
  for (int64_t i = 0; i < count; ++i) worst = std::max(worst, std::abs(found.at(i) - wanted[i]));
  return worst;
}

}  // namespace

namespace {

// Trains until the minimiser of each term is reached, with every optimizer.
void check_that_minimisers_are_reached(const TrainerOptions& options) {
  int pairs = 0;
  for (const Method& method : methods())
    for (const Term& term : terms()) {
      Problem problem;
      Trainer trainer(problem.loss(term), method.optimizer, options);
      double last = 1;
      for (int step = 0; step < 40000 && last > 1e-10; ++step) {
        trainer.step(Feeds{});
        if (step % 50 == 49) last = distance(trainer.value(problem.w), term.minimiser);
      }
      CAPTURE(method.name);
      CAPTURE(term.name);
      CHECK(last <= 1e-8);
      // Exact zeros where the minimiser has them.
      for (int64_t i = 0; i < count; ++i)
        if (term.minimiser[i] == 0) CHECK(trainer.value(problem.w).at(i) == 0);
      ++pairs;
    }
  CHECK(pairs == static_cast<int>(methods().size() * terms().size()));
}

}  // namespace

TEST_CASE("every optimizer reaches the minimiser of every term") {
  check_that_minimisers_are_reached({.threads = 1});
}

namespace {

// Data that are weaker than each of these penalties in every element.
const Numbers weak{0.3, -0.1, 0.2, 0.05, -0.25, 0.15, 0.1, -0.2, 0, 0.35, -0.3, 0.01};
const std::vector<std::pair<std::string, Value (*)(Value)>> strong{
    {"L1", [](Value w) { return 0.6 * sum(abs(w)); }},
    {"groups", [](Value w) { return sum(norm2(w, {1})); }},
    {"one group", [](Value w) { return 2 * norm2(w); }}};

// The steps after which all weights are exactly 0, and how far they are from it at the end.
std::pair<int, double> steps_to_zero(const Optimizer& optimizer, Value (*penalty)(Value), int most) {
  Problem problem;
  const Value data = 0.5 * sum(square(problem.w - problem.g.constant(as_tensor(weak))));
  Trainer trainer(data + penalty(problem.w), optimizer, {.threads = 1, .warn = {}});
  const Numbers none(count);
  int steps = 0;
  for (; steps < most && distance(trainer.value(problem.w), none) > 0; ++steps) trainer.step(Feeds{});
  // There they stay.
  for (int i = 0; i < 100; ++i) trainer.step(Feeds{});
  return {steps, distance(trainer.value(problem.w), none)};
}

}  // namespace

TEST_CASE("every optimizer makes all of a tensor zero where the penalty outweighs the data everywhere") {
  for (const Method& method : methods())
    for (const auto& [name, penalty] : strong) {
      CAPTURE(method.name);
      CAPTURE(name);
      CHECK(steps_to_zero(method.optimizer, penalty, 10000).second == 0);
    }
  // In proportion to the weights alone steps never end there.
  const Lamb without{.learning_rate = 0.01, .epsilon = 0.1, .weight_decay = 0, .least_norm = 0};
  CHECK(steps_to_zero(without, strong[0].second, 10000).second > 0);
}

// At the minimisers the gradient balances the terms: its norm is up to 1.2, its elements up to 0.5, so that
// these limits bind there.
TEST_CASE("with gradients limited in norm, every optimizer reaches the same minimiser of every term") {
  check_that_minimisers_are_reached({.threads = 1, .clip_norm = 0.2});
}
TEST_CASE("with gradients limited by elements, every optimizer reaches the same minimiser of every term") {
  check_that_minimisers_are_reached({.threads = 1, .clip_value = 0.05});
}

TEST_CASE("a gradient that is limited twice moves no optimum, alone or in several parameters") {
  Graph g;
  const Value w = g.parameter("w", {1}, init::constant(1.5), f64),
              v = g.parameter("v", {2}, init::constant(0.4), f64);
  const Value loss =
      0.5 * sum(square(w - 2)) + sum(abs(w)) + 0.5 * sum(square(v - 3)) + norm2(concat({w, v}, 0));
  Trainer plain(loss, Sgd{.learning_rate = 0.1}, {.threads = 1}),
      limited(loss, Adam{.learning_rate = 0.01}, {.threads = 1, .clip_norm = 0.3, .clip_value = 0.25});
  for (int step = 0; step < 3000; ++step) plain.step(Feeds{}), limited.step(Feeds{});
  for (int step = 0; step < 20000; ++step) limited.step(Feeds{});
  CHECK(*plain.certify(Feeds{}).distance() < 1e-12);
  for (Value parameter : {w, v})
    CHECK(testing::largest_difference(plain.value(parameter), limited.value(parameter)) < 1e-8);
}

TEST_CASE("every optimizer leaves the minimiser of every term as it is") {
  for (const Method& method : methods())
    for (const Term& term : terms()) {
      Problem problem;
      Trainer trainer(problem.loss(term), method.optimizer, {.threads = 1});
      trainer.store().set("w", as_tensor(term.minimiser));
      for (const auto& [slot, value] : method.settled) {
        const std::string name = "optimizer/w/" + slot;
        const Tensor state = trainer.store().get(name);
        double mean = 0;
        for (int64_t i = 0; i < count; ++i) mean += value(term.minimiser[i] - target[i]) / count;
        for (int64_t i = 0; i < state.count(); ++i)
          state.data<double>()[i] = state.count() == 1 ? mean : value(term.minimiser[i] - target[i]);
      }
      for (int step = 0; step < 3; ++step) trainer.step(Feeds{});
      CAPTURE(method.name);
      CAPTURE(term.name);
      CHECK(distance(trainer.value(problem.w), term.minimiser) <= 1e-14);
    }
}

TEST_CASE("L-BFGS reaches and leaves the minimiser of terms λ|w|, and says which others it does not take") {
  int taken = 0;
  for (const Term& term : terms()) {
    Problem problem;
    CAPTURE(term.name);
    const bool fits = term.name == "L1" || term.name == "L1 of a slice, twice" || term.name == "elastic net";
    if (!fits) {
      const std::string message =
          testing::message_of<UserError>([&] { Trainer(problem.loss(term), Lbfgs{}, {.threads = 1}); });
      CHECK(message.starts_with("Lbfgs does not go with the penalty "));
      CHECK(message.ends_with(" of 'w': OWL-QN is for λ|w| and smooth terms; take adam or another"));
      continue;
    }
    ++taken;
    Trainer trainer(problem.loss(term), Lbfgs{}, {.threads = 1});
    for (int step = 0; step < 30; ++step) trainer.step(Feeds{});
    CHECK(distance(trainer.value(problem.w), term.minimiser) <= 1e-8);
    for (int64_t i = 0; i < count; ++i)
      if (term.minimiser[i] == 0) CHECK(trainer.value(problem.w).at(i) == 0);
    trainer.store().set("w", as_tensor(term.minimiser));
    for (int step = 0; step < 3; ++step) trainer.step(Feeds{});
    CHECK(distance(trainer.value(problem.w), term.minimiser) <= 1e-14);
  }
  CHECK(taken == 3);
}

TEST_CASE("Lion takes no penalty that is rewritten: no metric has its steps") {
  Problem problem;
  CHECK(testing::message_of<UserError>([&] { Trainer(problem.loss(terms().front()), Lion{}); }) ==
        "Lion does not go with the penalty 0.3 * |w| of 'w': its steps are of one size whatever the "
        "gradient, so "
        "that no metric weighs it against a penalty; take adam or another, or give weight_decay in place of "
        "the "
        "penalty");
  Trainer plain(problem.loss(terms().front()), Lion{}, {.threads = 1, .rewrite = false});
  plain.step(Feeds{});
  CHECK(plain.value(problem.w).at(0) == doctest::Approx(0.7 + 1e-4));
}

TEST_CASE("AdamW reaches the fixed point of its own condition") {
  // w = w − ηd·w − η(g + λs)/(|g| + ε), so g + λs + d(|g| + ε)w = 0 for g = w − a: for a > 0 and w > 0 with
  // g < 0,  w − a + λ + d(a − w + ε)w = 0.
  constexpr double lambda = 0.3, decay = 0.2, epsilon = 0.1;
  Problem problem;
  Trainer trainer(problem.loss(terms().front()),
                  AdamW{.learning_rate = 0.02, .beta2 = 0.99, .epsilon = epsilon, .weight_decay = decay},
                  {.threads = 1});
  for (int step = 0; step < 20000; ++step) trainer.step(Feeds{});
  for (int64_t i = 0; i < count; ++i) {
    const double a = std::abs(target[i]);
    double low = 0, high = a;
    const auto slope = [&](double w) { return w - a + lambda + decay * (a - w + epsilon) * w; };
    for (int k = 0; k < 200 && slope(0) < 0; ++k)
      (slope((low + high) / 2) < 0 ? low : high) = (low + high) / 2;
    CHECK(std::abs(trainer.value(problem.w).at(i)) == doctest::Approx(slope(0) < 0 ? low : 0).epsilon(1e-8));
  }
}

TEST_CASE("the certificate is zero at the minimiser, and the distance it is off elsewhere") {
  for (const Term& term : terms()) {
    Problem problem;
    Trainer trainer(problem.loss(term), Sgd{}, {.threads = 1});
    trainer.store().set("w", as_tensor(term.minimiser));
    CAPTURE(term.name);
    const Certificate there = trainer.certify(Feeds{});
    CHECK(there.prox_residual() <= 1e-14);
    REQUIRE(there.distance().has_value());
    CHECK(*there.distance() <= 1e-14);
    CHECK(there.at_least <= 1e-12);
    // Where one weight is off by δ, its gradient is; the prox of a unit step undoes it.
    const Tensor off = as_tensor(term.minimiser);
    off.data<double>()[6] += 1e-3;
    trainer.store().set("w", off);
    const Certificate away = trainer.certify(Feeds{});
    CHECK(away.prox_residual() == doctest::Approx(1e-3));
    CHECK(*away.distance() >= 0.99e-3);
    // Values of the loss alone say the same.
    CHECK(away.at_least <= *away.distance() * (1 + 1e-6));
    CHECK(away.at_least >= 0.9 * *away.distance());
  }
}

TEST_CASE("a certificate over batches is that of all examples, whatever their split") {
  Graph g;
  const Value x = g.input("x", {dim::batch, 2}, f64), w = g.parameter("w", {2, 1}, init::constant(0.5), f64);
  const Value loss = mean(square(matmul(x, w) - 1)) + 0.1 * sum(abs(w));
  Trainer trainer(loss, Sgd{}, {.threads = 1});
  const auto feeds = [&](std::initializer_list<double> values) {
    return Feeds{{"x", Tensor::of<double>({static_cast<int64_t>(values.size()) / 2, 2}, values)}};
  };
  const Certificate whole = trainer.certify(feeds({1, 2, 3, -1, 0.5, 0.25}));
  const std::vector<Feeds> parts{feeds({1, 2, 3, -1}), feeds({0.5, 0.25})};
  const Certificate split = trainer.certify(parts);
  CHECK(split.loss == doctest::Approx(whole.loss).epsilon(1e-14));
  CHECK(split.prox_residual() == doctest::Approx(whole.prox_residual()).epsilon(1e-13));
  CHECK(*split.distance() == doctest::Approx(*whole.distance()).epsilon(1e-13));
  CHECK(testing::message_of<UserError>([&] { trainer.certify(std::vector<Feeds>{}); }) ==
        "a certificate needs data; give at least one batch");
  const double one[] = {1};
  CHECK(testing::message_of<UserError>([&] { trainer.certify(parts, one); }) ==
        "a certificate was given 2 batches and 1 weights; it needs one for each");
}

TEST_CASE("L201: a penalty that keeps a parameter at zero is named") {
  Graph g;
  const Value x = g.input("x", {dim::batch, 2}, f64), w = g.parameter("w", {2, 1}, init::constant(0.5), f64);
  const Value v = g.parameter("v", {2, 1}, init::constant(0.5), f64);
  const Value loss = mean(square(matmul(x, w) + matmul(x, v) - 1)) + 10 * sum(abs(w)) + 0.1 * sum(abs(v));
  Trainer trainer(loss, Sgd{}, {.threads = 1});
  const auto lines = trainer.stationary_at_zero({{"x", Tensor::of<double>({2, 2}, {1, 2, 3, -1})}});
  REQUIRE(lines.size() == 1);
  CHECK(
      lines[0].starts_with("L201: 'w' is stationary where all of it is zero: the penalty outweighs its "
                           "gradient, at most "));
  CHECK(trainer.value(w).at(0) == 0.5);
}

TEST_CASE("a scheduled coefficient is fed by step") {
  Graph g;
  const Value w = g.parameter("w", {3}, init::constant(1), f64), lambda = g.input("lambda", {}, f64);
  TrainerOptions options{.threads = 1};
  options.scheduled = {{lambda, [](int64_t step) { return step == 1 ? 2.0 : 0.0; }}};
  Trainer trainer(0 * sum(w) + lambda * sum(abs(w)), Sgd{.learning_rate = 0.1}, options);
  trainer.step(Feeds{});
  CHECK(trainer.value(w).at(0) == 1);
  trainer.step(Feeds{});
  CHECK(trainer.value(w).at(0) == doctest::Approx(0.8));
  CHECK(trainer.certify(Feeds{}).loss == 0);
}

TEST_CASE("from settle_from on, zeros stay zero and signs do not change") {
  Graph g;
  const Value w = g.parameter("w", {3}, init::zeros(), f64), a = g.input("a", {3}, f64);
  TrainerOptions options{.threads = 1, .settle_from = 2};
  Trainer trainer(0.5 * sum(square(w - a)) + 0.1 * sum(abs(w)), Sgd{.learning_rate = 1}, options);
  const auto step = [&](std::initializer_list<double> to) {
    trainer.step({{a, Tensor::of<double>({3}, to)}});
    return trainer.value(w);
  };
  step({1, 0.05, -1});
  Tensor now = step({2, 0.05, -1});
  CHECK(now.at(0) == doctest::Approx(1.9));
  CHECK(now.at(1) == 0);
  now = step({-3, 5, -2});
  CHECK(now.at(0) == 0);
  CHECK(now.at(1) == 0);
  CHECK(now.at(2) == doctest::Approx(-1.9));
  // Two zeros that a = (-3, 5) would move count for nothing; the third weight is 0.9 from its optimum.
  const Certificate certificate = trainer.certify({{"a", Tensor::of<double>({3}, {-3, 5, -2.9})}});
  CHECK(certificate.zeros_kept);
  CHECK(certificate.prox_residual() == doctest::Approx(0.9));
  CHECK(*certificate.distance() == doctest::Approx(0.9));
  CHECK(certificate.text() ==
        "stationary to 0.9 (distance from the subdifferential), prox residual 0.9, with its zeros kept; not "
        "globally certified");
}

TEST_CASE("before zeros settle, a certificate counts them") {
  Graph g;
  const Value w = g.parameter("w", {1}, init::zeros(), f64);
  Trainer trainer(0.5 * sum(square(w - 5)) + 0.1 * sum(abs(w)), Sgd{}, {.threads = 1, .settle_from = 1});
  const Certificate certificate = trainer.certify(Feeds{});
  CHECK_FALSE(certificate.zeros_kept);
  CHECK(*certificate.distance() == doctest::Approx(4.9));
}

}  // namespace lariat::fixed_point_test
