// Steps that do not end in numbers: they are noticed at once, leave the state as it was, and say which op,
// node and line made the first value that is none.
#include <limits>

#include "autodiff/training/trainer.hpp"
#include "graph/base/error.hpp"
#include "ops/ops.hpp"
#include "tests/support/testing.hpp"

namespace lariat::divergence_test {

using testing::contains;

using testing::message_of;

namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();

struct Failure {
  std::string message;
  bool state_kept = false;
};

// The first failure of up to `steps` steps.
Failure failure_of(Trainer& trainer, const Feeds& feeds, int steps = 1) {
  Failure result;
  for (int i = 0; i < steps && result.message.empty(); ++i) {
    const uint64_t before = trainer.store().hash();
    try {
      trainer.step(feeds);
    } catch (const JobError& error) {
      result = {error.what(), trainer.store().hash() == before};
    }
    for (const auto& [name, tensor] : trainer.store()) {
      CAPTURE(name);
      for (int64_t k = 0; k < tensor.count(); ++k) CHECK(std::isfinite(tensor.at(k)));
    }
  }
  return result;
}

Feeds x_of(std::vector<float> values) {
  return {{"x", Tensor::of<float>({static_cast<int64_t>(values.size())}, std::span<const float>(values))}};
}

}  // namespace

TEST_CASE("a loss that is not finite leaves everything as it was, and names op, node, line and operands") {
  struct Row {
    const char* what;
    std::vector<float> x;
    Value (*model)(Value x, Value w);
    std::vector<const char*> says;
  };
  for (const Row& row : std::vector<Row>{
           {"log of -1",
            {2, -1},
            [](Value x, Value w) { return mean(log(x).named("z") * w); },
            {"diverged at step 1: the loss is nan: [log] 'z' built at divergence_test.cpp:",
             "makes nan of -1 at element 1", "keep its argument where it is defined"}},
           {"log of 0",
            {0, 1},
            [](Value x, Value w) { return mean(log(x) * w); },
            {"the loss is -inf: [log] built at", "makes -inf of 0 at element 0",
             "keep its argument away from 0"}},
           {"division",
            {1, 0},
            [](Value x, Value w) { return mean(w / x); },
            {"[divide]", "makes inf of 2 and 0 at element 1", "away from 0"}},
           {"0/0",
            {0, 1},
            [](Value x, Value w) { return mean(w * (x / x)); },
            {"[divide]", "makes nan of 0 and 0 at element 0", "away from 0"}},
           {"overflow",
            {100, 1},
            [](Value x, Value w) { return mean(exp(x * w)); },
            {"the loss is inf: [exp]", "makes inf of 200 at element 0", "lower the learning rate"}},
           {"product",
            {3e38f, 1},
            [](Value x, Value w) {
              return sum(matmul(reshape(x, {1, 2}), reshape(w, {2, 1})).named("p"));
            },
            {"[matmul] 'p'", "makes inf of finite values", "scale the data"}},
           {"no elements",
            {},
            [](Value x, Value w) { return mean(x) * sum(w); },
            {"the loss is nan: [mean]", "makes nan of no elements", "feed at least one row"}},
           {"NaN in the data",
            {1, std::numeric_limits<float>::quiet_NaN()},
            [](Value x, Value w) { return mean(x * w); },
            {"[input] 'x' built at", "is fed nan at element 1; leave such data out"}},
           {"inf in the data",
            {static_cast<float>(infinity), 1},
            [](Value x, Value w) { return mean(x * w); },
            {"is fed inf at element 0"}},
           {"root of a parameter",
            {1, 1},
            [](Value x, Value w) { return mean(sqrt(w - 3) * x); },
            {"[sqrt]", "makes nan of -1 at element 0", "where it is defined"}}}) {
    CAPTURE(row.what);
    for (const bool careful : {false, true}) {
      Graph g;
      const Value x = g.input("x", {dim::batch}), w = g.parameter("W", {2}, init::constant(2));
      const Value only = row.x.empty() ? sum(w) : w;
      const bool one = row.x.empty();
      Trainer trainer(one ? row.model(x, only) : row.model(reshape(x, {2}), w), Adam{},
                      {.threads = 2, .check_finite = careful});
      const Failure failure = failure_of(trainer, x_of(row.x));
      CAPTURE(failure.message);
      for (const char* part : row.says) CHECK(contains(failure.message, part));
      CHECK(failure.state_kept);
      CHECK(trainer.steps() == 0);
    }
  }
}

TEST_CASE("terms of parameters alone that are no numbers: the op is named, and what is true of it") {
  struct Row {
    const char* what;
    Value (*term)(Graph&);
    std::vector<const char*> says;
  };
  const char* const leave_out = "makes nan of no elements; give it elements, or leave the term out";
  for (const Row& row :
       std::vector<Row>{{"a mean of no elements",
                         [](Graph& g) { return mean(square(g.parameter("w", {0}))).named("m"); },
                         {"the loss is nan: [mean] 'm' built at", leave_out}},
                        {"a penalty that is one",
                         [](Graph& g) {
                           return 0.1 * mean(abs(g.parameter("w", {0, 3})));
                         },
                         {"[mean] built at", leave_out}},
                        {"a mean of the elements of an empty axis",
                         [](Graph& g) {
                           return sum(mean(square(g.parameter("w", {0, 3})), {0}));
                         },
                         {"[mean] built at", leave_out}},
                        {"a mean of no norms",
                         [](Graph& g) {
                           return mean(sqrt(sum(square(g.parameter("w", {0, 3})), {1})));
                         },
                         {"[mean] built at", leave_out}},
                        {"an empty slice",
                         [](Graph& g) { return mean(square(slice(g.parameter("w", {4}), 0, 2, 2))); },
                         {"[mean] built at", leave_out}},
                        {"a logarithm",
                         [](Graph& g) { return log(sum(g.parameter("w", {1}, init::constant(-1)))); },
                         {"[log] built at", "makes nan of -", "keep its argument where it is defined"}}}) {
    CAPTURE(row.what);
    for (const bool careful : {false, true}) {
      Graph g;
      const Value v = g.parameter("v", {2});
      Trainer trainer(sum(square(v)) + row.term(g), Sgd{.learning_rate = 0.1},
                      {.threads = 1, .check_finite = careful});
      const std::string message = failure_of(trainer, {}).message;
      CAPTURE(message);
      CHECK(message.starts_with("diverged at step 1: "));
      CHECK(!contains(message, "learning rate"));
      for (const char* part : row.says) CHECK(contains(message, part));
    }
  }
}

TEST_CASE("no elements of what is fed: the symbol is named that has none") {
  Graph g;
  const Value x = g.input("x", {dim::batch, dim::time}), v = g.parameter("v", {});
  Trainer trainer(sum(mean(square(x * v), {1})), Sgd{.learning_rate = 0.1}, {.threads = 1});
  const std::string message = failure_of(trainer, {{"x", Tensor(f32, {2, 0})}}).message;
  CAPTURE(message);
  CHECK(contains(message, "makes nan of no elements; feed data for which 'time' is at least 1"));
}

TEST_CASE("a finite loss with a gradient that is not: weights stay finite, and the op is named") {
  for (const bool careful : {false, true}) {
    CAPTURE(careful);
    // d log(w) at w = 0, behind a mask that the loss does not see.
    Graph g;
    const Value w = g.parameter("W", {3}, init::zeros());
    const Value safe = where(greater(w, 0), log(w).named("logs"), 0);
    Trainer trainer(sum(safe) + sum(square(w - 1)), Adam{}, {.threads = 1, .check_finite = careful});
    const Failure failure = failure_of(trainer, {});
    CAPTURE(failure.message);
    CHECK(contains(failure.message, careful ? "the gradient of 'W' is nan" : "the next value of 'W' is nan"));
    CHECK(contains(failure.message, "the gradient of [log] 'logs' built at divergence_test.cpp:"));
    CHECK(contains(failure.message, "makes nan of 0 and 0"));
    CHECK(contains(failure.message, "keep its argument away from 0"));
    if (careful) CHECK(failure.state_kept);
    CHECK(trainer.value(w).at(0) == 0);
  }
}

TEST_CASE("the gradient of a root at 0, below layers that move") {
  for (const bool careful : {false, true}) {
    Graph g;
    const Value x = g.input("x", {dim::batch, 4});
    const Value first = g.parameter("first", {4, 4}), second = g.parameter("second", {4, 1});
    const Value h = matmul(x, first);
    const Value distance = sqrt(sum(square(h), {1}, true)).named("distance");
    Trainer trainer(mean(square(matmul(h, second) + distance - 1)), Sgd{},
                    {.threads = 1, .check_finite = careful});
    const uint64_t before = trainer.store().hash();
    const Failure failure = failure_of(trainer, {{"x", Tensor(f32, {2, 4})}});
    CAPTURE(failure.message);
    CHECK(contains(failure.message, "'first' is nan: the gradient of [sqrt] 'distance' built at"));
    CHECK((trainer.store().hash() == before) >= careful);
  }
}

TEST_CASE("a step that is too large is told from a loss that is wrong") {
  Graph g;
  const Value w = g.parameter("W", {2}, init::constant(1));
  Trainer trainer(sum(square(w)) * 1e20, Sgd{.learning_rate = 1e30}, {.threads = 1});
  const Failure failure = failure_of(trainer, {});
  CAPTURE(failure.message);
  CHECK(contains(failure.message, "the next value of 'W' is -inf: "));
  CHECK(contains(failure.message, "lower the learning rate or clip the gradient"));
  CHECK(trainer.value(w).at(0) == 1);
}

TEST_CASE("after a batch that failed a training goes on as if it had not been") {
  const auto hash = [](bool interrupted) {
    Graph g;
    const Value x = g.input("x", {dim::batch, 4});
    const Value w = g.parameter("W", {4, 3}), kept = g.state("kept", {});
    g.update("kept", kept + 1);
    Trainer trainer(mean(square(dropout(matmul(x, w), 0.5) - 1)) + 0.01 * sum(abs(w)), Adam{},
                    {.seed = 3, .threads = 2});
    for (int i = 0; i < 20; ++i) {
      if (interrupted && i % 3 == 0) {
        CHECK_THROWS_AS(trainer.step(Feeds{{"x", Tensor(f32, {0, 4})}}), JobError);
        CHECK_THROWS_AS(trainer.step(Feeds{{"x", Tensor::filled(f32, {2, 4}, NAN)}}), JobError);
      }
      trainer.step(Feeds{{"x", Tensor::filled(f32, {5, 4}, 0.1 * i)}});
    }
    CHECK(trainer.value(kept).item() == 20);
    return trainer.store().hash();
  };
  CHECK(hash(true) == hash(false));
}

TEST_CASE("bounds that the first weights are outside of are no divergence") {
  Graph g;
  const Value x = g.input("x", {dim::batch}), w = g.parameter("W", {1}, init::constant(5));
  Trainer trainer(mean(square(x * w)) + box(w, -1, 1), Sgd{.learning_rate = 0.01}, {.threads = 1});
  CHECK(trainer.step(x_of({1, 2})).loss == infinity);
  CHECK(std::isfinite(trainer.step(x_of({1, 2})).loss));
  CHECK(trainer.value(w).at(0) <= 1);
}

TEST_CASE("what a trainer is told of rates, schedules and epsilons is checked") {
  const auto refused = [](const Optimizer& optimizer, TrainerOptions options) {
    Graph g;
    const Value w = g.parameter("W", {2}, init::constant(1));
    options.threads = 1;
    return message_of<UserError>([&] {
      Trainer trainer(sum(square(w)) + 0.1 * sum(abs(w)), optimizer, options);
      trainer.step(Feeds{});
    });
  };
  CHECK(refused(Sgd{.learning_rate = 0.1}, {.schedule = [](int64_t) { return -1.0; }}) ==
        "the learning rate is -0.1 at step 0, where the schedule gives -1 times 0.1; it must be a number of "
        "0 or more");
  CHECK(refused(Sgd{.learning_rate = 0.1}, {.schedule = [](int64_t) { return NAN; }})
            .starts_with("the learning rate is nan at step 0"));
  CHECK(refused(Sgd{.learning_rate = 0.1}, {.schedule = [](int64_t) { return infinity; }})
            .starts_with("the learning rate is inf at step 0"));
  for (const Optimizer& optimizer :
       {Optimizer(Adam{.epsilon = 1e-46}), Optimizer(AdamW{.epsilon = 1e-46}),
        Optimizer(AdaGrad{.epsilon = 1e-46}), Optimizer(RmsProp{.epsilon = 1e-46})})
    CHECK(refused(optimizer, {}) ==
          optimizer.name + ": epsilon is 1e-46, too small for 'W', which is f32[2]; use at least 1.2e-38");
  Graph g;
  const Value w = g.parameter("W", {2}, init::constant(1), f64), strength = g.input("strength", {}, f64);
  Trainer doubles(sum(w * 0), Adam{.epsilon = 1e-46}, {.threads = 1});
  doubles.step(Feeds{});
  CHECK(doubles.value(w).at(0) == 1);
  Trainer scheduled(sum(square(w)) * strength, Sgd{},
                    {.threads = 1, .scheduled = {{strength, [](int64_t) { return NAN; }}}});
  CHECK(message_of<UserError>([&] { scheduled.step(Feeds{}); }) ==
        "the schedule of 'strength' gives nan at step 0; it must give numbers");
}

TEST_CASE(
    "parameters that cannot be trained, and names that the trainer keeps, are refused where they are built") {
  for (const char* name :
       {"step", "trainer/settle", "trainer/learning_rate", "optimizer/W/mean", "certificate/W"}) {
    Graph g;
    const Value w = g.parameter("W", {1}), s = g.parameter(name, {1});
    const std::string message = message_of<UserError>([&] { Trainer(sum(square(w * s)), Adam{}); });
    CAPTURE(message);
    CHECK(message.starts_with("[parameter] '" + std::string(name) + "' built at divergence_test.cpp:"));
    CHECK(message.ends_with(
        "the name is one that a trainer keeps for itself, as are 'step', 'trainer/…', 'optimizer/…' and "
        "'certificate/…'; choose another"));
  }
  Graph g;
  const Value n = g.parameter("n", {2}, init::constant(1), i32), table = g.parameter("T", {4, 2});
  const std::string message =
      message_of<UserError>([&] { Trainer(sum(square(gather_rows(table, n))), Sgd{}); });
  CHECK(message.starts_with("[parameter] 'n' built at divergence_test.cpp:"));
  CHECK(message.ends_with("is i32[2], which cannot be trained; make it a state with Graph::state, or f32"));
  const Value counts = g.state("counts", {2}, init::constant(1), i32);
  Trainer(sum(square(gather_rows(table, counts))), Sgd{}, {.threads = 1}).step(Feeds{});
}

}  // namespace lariat::divergence_test
