// Steps of optimizers against their formulas, written once more here; parameter groups; batches in parts.
#include <cmath>

#include "autodiff/training/trainer.hpp"
#include "graph/base/error.hpp"
#include "ops/ops.hpp"
#include "tests/ops/kernel_runner.hpp"
#include "tests/support/testing.hpp"

namespace lariat::optimizers_test {

using testing::message_of;

namespace {

using Numbers = std::vector<double>;
const Numbers start{1, -0.5, 0.25};
const std::vector<Numbers> gradients{{0.5, -1, 0}, {0.25, 2, -0.125}, {-3, 0.1, 0.5}, {1, 1, 1}};

// Trains w on Σ g·w with the gradients above.
Numbers trained(const Optimizer& optimizer, TrainerOptions options = {.threads = 1}) {
  Graph g;
  const Value w = g.parameter("w", {3}, init::zeros(), f64), x = g.input("x", {3}, f64);
  Trainer trainer(sum(w * x), optimizer, options);
  trainer.store().set("w", Tensor::of<double>({3}, std::span(start)));
  for (const Numbers& gradient : gradients) trainer.step({{x, Tensor::of<double>({3}, std::span(gradient))}});
  Numbers result;
  for (int64_t i = 0; i < 3; ++i) result.push_back(trainer.value(w).at(i));
  return result;
}

void check_close(const Numbers& found, const Numbers& wanted) {
  for (size_t i = 0; i < 3; ++i) CHECK(found[i] == doctest::Approx(wanted[i]).epsilon(1e-12));
}

// Walks through the gradients: `next` moves w by element, with the step number from 1.
template <class Next>
Numbers by_hand(Next&& next) {
  Numbers w = start;
  for (size_t t = 0; t < gradients.size(); ++t) next(w, gradients[t], static_cast<double>(t + 1));
  return w;
}

double norm(const Numbers& x) { return std::sqrt(x[0] * x[0] + x[1] * x[1] + x[2] * x[2]); }

}  // namespace

TEST_CASE("Lion's steps") {
  Numbers m(3);
  check_close(trained(Lion{.learning_rate = 0.1, .beta1 = 0.9, .beta2 = 0.99, .weight_decay = 0.2}),
              by_hand([&](Numbers& w, const Numbers& g, double) {
                for (size_t i = 0; i < 3; ++i) {
                  const double c = 0.9 * m[i] + 0.1 * g[i];
                  w[i] -= 0.1 * ((c > 0) - (c < 0) + 0.2 * w[i]);
                  m[i] = 0.99 * m[i] + 0.01 * g[i];
                }
              }));
}

TEST_CASE("NAdam's and AMSGrad's steps") {
  Numbers m(3), v(3);
  check_close(trained(NAdam{.learning_rate = 0.1, .beta1 = 0.9, .beta2 = 0.99, .epsilon = 0.01}),
              by_hand([&](Numbers& w, const Numbers& g, double t) {
                for (size_t i = 0; i < 3; ++i) {
                  m[i] = 0.9 * m[i] + 0.1 * g[i];
                  v[i] = 0.99 * v[i] + 0.01 * g[i] * g[i];
                  const double ahead =
                      0.9 * m[i] / (1 - std::pow(0.9, t + 1)) + 0.1 * g[i] / (1 - std::pow(0.9, t));
                  w[i] -= 0.1 * ahead / (std::sqrt(v[i] / (1 - std::pow(0.99, t))) + 0.01);
                }
              }));
  m = v = Numbers(3);
  Numbers largest(3);
  check_close(trained(AmsGrad{.learning_rate = 0.1, .beta1 = 0.9, .beta2 = 0.5, .epsilon = 0.01}),
              by_hand([&](Numbers& w, const Numbers& g, double t) {
                for (size_t i = 0; i < 3; ++i) {
                  m[i] = 0.9 * m[i] + 0.1 * g[i];
                  v[i] = 0.5 * v[i] + 0.5 * g[i] * g[i];
                  largest[i] = std::max(largest[i], v[i]);
                  w[i] -= 0.1 * m[i] / (1 - std::pow(0.9, t)) /
                          (std::sqrt(largest[i] / (1 - std::pow(0.5, t))) + 0.01);
                }
              }));
}

TEST_CASE("LAMB's steps") {
  Numbers m(3), v(3);
  check_close(
      trained(Lamb{.learning_rate = 0.1, .beta1 = 0.9, .beta2 = 0.99, .epsilon = 0.01, .weight_decay = 0.2}),
      by_hand([&](Numbers& w, const Numbers& g, double t) {
        Numbers r(3);
        for (size_t i = 0; i < 3; ++i) {
          m[i] = 0.9 * m[i] + 0.1 * g[i];
          v[i] = 0.99 * v[i] + 0.01 * g[i] * g[i];
          r[i] =
              m[i] / (1 - std::pow(0.9, t)) / (std::sqrt(v[i] / (1 - std::pow(0.99, t))) + 0.01) + 0.2 * w[i];
        }
        const double rate = 0.1 * norm(w) / norm(r);
        for (size_t i = 0; i < 3; ++i) w[i] -= rate * r[i];
      }));
}

TEST_CASE("LAMB counts small norms as its least one, and large ones as 10") {
  for (const double size : {1e-3, 1.0, 100.0}) {
    Graph g;
    const Value w = g.parameter("w", {2}, init::zeros(), f64);
    Trainer trainer(sum(w),
                    Lamb{.learning_rate = 0.1, .epsilon = 1e-12, .weight_decay = 0, .least_norm = 0.2},
                    {.threads = 1});
    trainer.store().set("w", Tensor::of<double>({2}, {0.6 * size, 0.8 * size}));
    trainer.step(Feeds{});
    // The first direction of Adam is that of signs, of the norm √2.
    const double step = 0.1 * std::clamp(size, 0.2, 10.0) / std::sqrt(2.0);
    CHECK(trainer.value(w).at(0) == doctest::Approx(0.6 * size - step).epsilon(1e-9));
    CHECK(trainer.value(w).at(1) == doctest::Approx(0.8 * size - step).epsilon(1e-9));
  }
  CHECK(message_of<UserError>([] { const Optimizer made(Lamb{.least_norm = 10}); }) ==
        "Lamb: least_norm is 10; it must lie in [0, 10)");
  CHECK(message_of<UserError>([] { const Optimizer made(Lamb{.least_norm = -1}); }) ==
        "Lamb: least_norm is -1; it must lie in [0, 10)");
}

TEST_CASE("every kind of optimizer is made by its name, with the options of its record") {
  CHECK(optimizer_kinds().front().name == "adam");
  for (const OptimizerKind& kind : optimizer_kinds()) {
    CAPTURE(kind.name);
    CHECK(!kind.doc.empty());
    const Optimizer made = make_optimizer(kind.name);
    CHECK(made.propose);
    CHECK(kind.options.front().name == "learning_rate");
    CHECK(kind.options.front().default_value == made.learning_rate);
    Numbers values;
    for (const OptimizerOption& option : kind.options) {
      CHECK(!option.doc.empty());
      CHECK(option.lowest <= option.default_value);
      CHECK(option.default_value <= option.highest);
      values.push_back(option.default_value);
    }
    values[0] = -1;
    CHECK(message_of<UserError>([&] { kind.make(values); }) ==
          made.name + ": learning_rate is -1; it must be a number of 0 or more");
    CHECK(trained(make_optimizer(kind.name, {{"learning_rate", 0}})) == start);
  }
  CHECK(make_optimizer("lion", {{"learning_rate", 0.5}}).learning_rate == 0.5);
  CHECK(message_of<UserError>([] { make_optimizer("lions"); }) ==
        "there is no optimizer 'lions'. Did you mean 'lion'?");
  CHECK(message_of<UserError>([] {
          make_optimizer("lion", {{"learning_rat", 1}});
        }) == "the optimizer 'lion' has no option 'learning_rat'. Did you mean 'learning_rate'?");
  CHECK(message_of<UserError>([] {
          make_optimizer("lbfgs", {{"history", 1.5}});
        }) == "lbfgs: history is 1.5; it must be an integer");
  CHECK(message_of<UserError>([] { const Optimizer made(Lbfgs{.history = 0}); }) ==
        "Lbfgs: history is 0; it must be an integer from 1 to 1000");
  CHECK(message_of<UserError>([] { const Optimizer made(Lamb{.weight_decay = -1}); }) ==
        "Lamb: weight_decay is -1; it must be a number of 0 or more");
}

namespace {

// L1-penalised logistic regression on 60 rows.
struct Rows {
  Graph g;
  Tensor data = testing::random_tensor<double>({60, 8}, 5);
  Value x = g.input("x", {dim::batch, 8}, f64), y = g.input("y", {dim::batch}, f64);
  Value w = g.parameter("w", {8}, init::zeros(), f64), b = g.parameter("b", {}, init::zeros(), f64);
  Value loss = mean(softplus(-y * (reshape(matmul(x, reshape(w, {8, 1})), {dim::batch}) + b))) +
               0.02 * sum(abs(w)) + 0.1 * sum(square(b));

  Feeds feeds(int64_t from, int64_t to) const {
    Tensor part(f64, {to - from, 8}), labels(f64, {to - from});
    for (int64_t i = from; i < to; ++i) {
      double score = 0.2;
      for (int64_t k = 0; k < 8; ++k) {
        part.data<double>()[(i - from) * 8 + k] = data.at(i * 8 + k);
        score += (k < 3 ? 2.0 - k : 0) * data.at(i * 8 + k);
      }
      labels.data<double>()[i - from] = score + 0.3 * std::sin(double(7 * i)) > 0 ? 1 : -1;
    }
    return {{"x", part}, {"y", labels}};
  }
};

}  // namespace

TEST_CASE(
    "L-BFGS finds the optimum of L1 logistic regression in few steps, and its state goes on in a store") {
  Rows rows;
  const Feeds all = rows.feeds(0, 60);
  Trainer trainer(rows.loss, Lbfgs{.history = 5}, {.threads = 1}),
      slow(rows.loss, Sgd{.learning_rate = 1}, {.threads = 1});
  std::vector<double> losses;
  for (int step = 0; step < 40; ++step) losses.push_back(trainer.step(all).loss);
  for (size_t i = 1; i < losses.size(); ++i) CHECK(losses[i] <= losses[i - 1]);
  CHECK(*trainer.certify(all).distance() < 1e-7);
  for (int step = 0; step < 4000; ++step) slow.step(all);
  CHECK(testing::largest_difference(trainer.value(rows.w), slow.value(rows.w)) < 1e-6);
  CHECK(sparsity(trainer.value(rows.w)).zeros == sparsity(slow.value(rows.w)).zeros);
  CHECK(sparsity(trainer.value(rows.w)).zeros > 0);
  // After each step another trainer takes over.
  Trainer whole(rows.loss, Lbfgs{.history = 3}, {.threads = 1});
  for (int step = 0; step < 8; ++step) whole.step(all);
  Store store;
  for (int step = 0; step < 8; ++step) {
    Trainer next(rows.loss, Lbfgs{.history = 3}, {.threads = 1});
    if (step > 0)
      for (const auto& [name, tensor] : Store(store)) next.store().set(name, tensor);
    next.step(all);
    store = next.store();
  }
  CHECK(store.hash() == whole.store().hash());
}

TEST_CASE("L-BFGS: what does not go with a line search") {
  Rows rows;
  const auto refused = [&](TrainerOptions options) {
    return message_of<UserError>([&] { Trainer(rows.loss, Lbfgs{}, std::move(options)); });
  };
  const std::string with = "Lbfgs takes its steps by a line search, with which ",
                    out = "; leave it out, or take another optimizer";
  CHECK(refused({.clip_norm = 1}) == with + "clipped gradients do not go" + out);
  CHECK(refused({.settle_from = 3}) ==
        with + "settle_from has no effect: its zeros stay where they are best" + out);
  CHECK(refused({.accumulates = true}) == with + "batches in parts do not go" + out);
  CHECK(refused({.groups = {{"*"}}}) == with + "parameter groups do not go" + out);
  Graph g;
  const Value w = g.parameter("w", {2}, init::constant(-1), f64), x = g.input("x", {2}, f64);
  Trainer trainer(sum(log(w * x)), Lbfgs{}, {.threads = 1});
  const std::string message = message_of<JobError>([&] {
    trainer.step({{x, Tensor::of<double>({2}, {1, -1})}});
  });
  CHECK(message.starts_with("diverged at step 1: the loss is nan: [log] built at "));
  CHECK(testing::contains(message, "optimizers_test.cpp:"));
  CHECK(trainer.steps() == 0);
}

TEST_CASE("parameter groups have learning rates and decays of their own") {
  Graph g;
  const Value a = g.parameter("a/kernel", {1}, init::constant(1), f64),
              b = g.parameter("a/bias", {1}, init::constant(1), f64),
              c = g.parameter("b/kernel", {1}, init::constant(1), f64);
  const Value loss = sum(a) + sum(b) + sum(c);
  const auto after = [&](const Optimizer& optimizer, std::vector<ParameterGroup> groups) {
    Trainer trainer(loss, optimizer, {.threads = 1, .groups = std::move(groups)});
    trainer.step(Feeds{});
    return Numbers{trainer.value(a).at(0), trainer.value(b).at(0), trainer.value(c).at(0)};
  };
  check_close(after(Sgd{.learning_rate = 0.1}, {{"*/bias", 0.3}, {"b/*", {}, 0.5}}), {0.9, 0.7, 0.95 - 0.1});
  // The first that matches counts; 0 keeps as it is.
  check_close(after(Sgd{.learning_rate = 0.1}, {{"a/b*", 0.0}, {"a/?*", 0.2}}), {0.8, 1, 0.9});
  const double adam = 0.1 / (1 + 1e-8);
  check_close(after(AdamW{.learning_rate = 0.1, .weight_decay = 0.5}, {{"*/bias", {}, 0.0}}),
              {0.95 - adam, 1 - adam, 0.95 - adam});
  const auto refused = [&](const Optimizer& optimizer, std::vector<ParameterGroup> groups) {
    return message_of<UserError>([&] { after(optimizer, groups); });
  };
  CHECK(refused(Sgd{}, {{"a/kernal", 0.1}}) ==
        "the parameter group 'a/kernal' matches no parameter. Did you mean 'a/kernel'?");
  CHECK(refused(Sgd{}, {{"*", 0.1}, {"a/*", 0.2}}) ==
        "the parameter group 'a/*' has no effect: groups before it have all that it matches; put it first");
  CHECK(refused(Sgd{}, {{"*", -0.1}}) ==
        "the parameter group '*': learning_rate is -0.1; it must be a number of 0 or more");
  CHECK(refused(Sgd{.learning_rate = 0}, {{"*", 0.1}}) ==
        "the parameter group '*' has the learning rate 0.1, but the optimizer has 0, on which schedules act; "
        "give "
        "the optimizer one, and the other parameters a group with 0");
}

TEST_CASE("groups keep the fixed point of a penalty: the prox takes each group's step") {
  Graph g;
  const Value w = g.parameter("w", {2}, init::constant(0.5), f64),
              v = g.parameter("v", {2}, init::constant(0.5), f64);
  const Value to = g.constant(Tensor::of<double>({2}, {2, 0.1}));
  const Value loss =
      0.5 * sum(square(w - to)) + 0.5 * sum(square(v - to)) + 0.3 * sum(abs(w)) + 0.3 * sum(abs(v));
  Trainer trainer(loss, Adam{.learning_rate = 0.01, .epsilon = 0.1}, {.threads = 1, .groups = {{"v", 0.05}}});
  for (int step = 0; step < 6000; ++step) trainer.step(Feeds{});
  for (const Value parameter : {w, v}) {
    CHECK(trainer.value(parameter).at(0) == doctest::Approx(1.7).epsilon(1e-9));
    CHECK(trainer.value(parameter).at(1) == 0);
  }
}

TEST_CASE("a batch in parts makes the step of the whole batch") {
  for (const bool clipped : {false, true}) {
    Rows rows;
    TrainerOptions options{.threads = 1, .clip_norm = clipped ? 0.05 : 0, .accumulates = true};
    Trainer whole(rows.loss, Adam{.learning_rate = 0.05}, {.threads = 1, .clip_norm = options.clip_norm}),
        parts(rows.loss, Adam{.learning_rate = 0.05}, options);
    for (int step = 0; step < 20; ++step) {
      const StepResult one = whole.step(rows.feeds(0, 60));
      // 30 + 20 + 10 examples.
      const std::vector<Feeds> three{rows.feeds(0, 30), rows.feeds(30, 50), rows.feeds(50, 60)};
      const double shares[] = {0.5, 1.0 / 3, 1.0 / 6};
      const StepResult other = parts.step(three, shares);
      CHECK(other.loss == doctest::Approx(one.loss).epsilon(1e-13));
      CHECK(other.penalty == doctest::Approx(one.penalty).epsilon(1e-13));
    }
    CHECK(testing::largest_difference(whole.value(rows.w), parts.value(rows.w)) < 1e-12);
    CHECK(testing::largest_difference(whole.value(rows.b), parts.value(rows.b)) < 1e-12);
    CHECK(sparsity(whole.value(rows.w)).zeros == sparsity(parts.value(rows.w)).zeros);
    CHECK(parts.steps() == 20);
    // A single batch is one part.
    const StepResult one = whole.step(rows.feeds(0, 60)), single = parts.step(rows.feeds(0, 60));
    CHECK(single.loss == doctest::Approx(one.loss).epsilon(1e-12));
  }
  Rows rows;
  Trainer trainer(rows.loss, Sgd{}, {.threads = 1});
  const std::vector<Feeds> two{rows.feeds(0, 30), rows.feeds(30, 60)};
  const double shares[] = {0.5, 0.5}, one[] = {1};
  CHECK(message_of<UserError>([&] { trainer.step(two, shares); }) ==
        "a step was given in parts; make the trainer with accumulates = true");
  CHECK(message_of<UserError>([&] { trainer.step(two, one); }) ==
        "a step was given 2 parts and 1 shares; it needs one for each");
  Trainer in_parts(rows.loss, Sgd{}, {.threads = 1, .accumulates = true});
  const double nan = std::numeric_limits<double>::quiet_NaN();
  for (const auto& [first, second, said] :
       std::vector<std::tuple<double, double, std::string>>{{0.5, 0.75, "0.5, 0.75"},
                                                            {1.5, -0.5, "1.5, -0.5"},
                                                            {0.5, 0.25, "0.5, 0.25"},
                                                            {nan, 1, "nan, 1"}}) {
    const double wrong[] = {first, second};
    const uint64_t before = in_parts.store().hash();
    CHECK(message_of<UserError>([&] { in_parts.step(two, wrong); }) ==
          "the shares of a step's 2 parts are " + said + "; they must be 0 or more, and add up to 1");
    CHECK(in_parts.store().hash() == before);
  }
}

TEST_CASE("a part that is not finite is named, and nothing has moved") {
  Graph g;
  const Value w = g.parameter("w", {2}, init::constant(1), f64), x = g.input("x", {2}, f64);
  Trainer trainer(sum(log(w * x)), Sgd{}, {.threads = 1, .accumulates = true, .check_finite = true});
  const auto feeds = [](double a) { return Feeds{{"x", Tensor::of<double>({2}, {1, a})}}; };
  const double shares[] = {0.5, 0.5};
  for (const bool last : {false, true}) {
    const std::vector<Feeds> parts{feeds(last ? 1 : -1), feeds(last ? -1 : 1)};
    const std::string message = message_of<JobError>([&] { trainer.step(parts, shares); });
    CHECK(message.starts_with(last ? "diverged at step 1: in part 2 of 2 the loss is nan: [log] built at "
                                   : "diverged at step 1: in part 1 of 2 the loss is nan: [log] built at "));
    CHECK(trainer.value(w).at(0) == 1);
    CHECK(trainer.steps() == 0);
  }
}

TEST_CASE("schedules: new forms") {
  const Schedule poly = schedule::polynomial(10, 2, 0.1);
  CHECK(poly(0) == 1);
  CHECK(poly(5) == doctest::Approx(0.1 + 0.9 * 0.25));
  CHECK(poly(10) == 0.1);
  CHECK(poly(99) == 0.1);
  const Schedule cycle = schedule::one_cycle(100, 0.3, 0.04, 0.001);
  CHECK(cycle(0) == doctest::Approx(0.04));
  CHECK(cycle(15) == doctest::Approx(0.52));
  CHECK(cycle(30) == 1);
  CHECK(cycle(65) == doctest::Approx(0.5005));
  CHECK(cycle(100) == doctest::Approx(0.001));
  CHECK(cycle(1000) == doctest::Approx(0.001));
  const Schedule restarts = schedule::cosine_restarts(10, 2, 0.2);
  CHECK(restarts(0) == 1);
  CHECK(restarts(5) == doctest::Approx(0.6));
  CHECK(restarts(10) == 1);
  CHECK(restarts(20) == doctest::Approx(0.6));
  CHECK(restarts(30) == 1);
  CHECK(schedule::cosine_restarts(10)(1000000005) == doctest::Approx(0.5));
  const Schedule pieces = schedule::piecewise({5, 8}, {1, 0.5, 0.1});
  CHECK(pieces(4) == 1);
  CHECK(pieces(5) == 0.5);
  CHECK(pieces(8) == 0.1);
  CHECK(message_of<UserError>([] { schedule::piecewise({5}, {1}); }) ==
        "the schedule 'piecewise' has 1 steps and 1 factors; it needs one factor more than steps");
  CHECK(message_of<UserError>([] {
          schedule::piecewise({5, 5}, {1, 1, 1});
        }) == "the schedule 'piecewise' has the step 5 after 5; each must be larger than the one before it");
  CHECK(message_of<UserError>([] { schedule::one_cycle(0); }) ==
        "the schedule 'one_cycle' runs over 0 steps; it needs at least 1");
}

}  // namespace lariat::optimizers_test
