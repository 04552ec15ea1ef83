// What a program may get wrong in what it gives a trainer: each is told in one line, before anything runs.
#include <cmath>

#include "autodiff/check/gradcheck.hpp"
#include "autodiff/training/trainer.hpp"
#include "graph/base/error.hpp"
#include "graph/program/evaluate.hpp"
#include "ops/ops.hpp"
#include "tests/support/testing.hpp"

namespace lariat::trainer_misuse_test {

namespace {

struct Problem {
  Graph g;
  Value w = g.parameter("w", {3}, init::constant(1), f64), x = g.input("x", {dim::batch, 3}, f64),
        strength = g.input("strength", {}, f64);
  Value loss = 0.5 * mean(square(x - w)) + strength * sum(abs(w));
  Tensor data = Tensor::filled(f64, {2, 3}, 0.5);

  std::string refused(TrainerOptions options) {
    options.threads = 1;
    return testing::message_of<UserError>([&] { Trainer(loss, Sgd{}, options); });
  }
};

}  // namespace

TEST_CASE("a trainer's options are refused that name what is not the loss's, or have no function") {
  Problem p, other;
  const Schedule constant = schedule::constant();
  CHECK(p.refused({.schedule = {}}) ==
        "the trainer's schedule is an empty function; give it one, such as schedule::constant(), or leave it "
        "out");
  CHECK(p.refused({.scheduled = {{p.strength, {}}}}) ==
        "the schedule of 'strength' is an empty function; give it one, such as schedule::constant()");
  CHECK(p.refused({.scheduled = {{p.strength, constant}, {p.strength, constant}}}) ==
        "'strength' is scheduled twice; give it one schedule");
  CHECK(p.refused({.scheduled = {{Value(), constant}}}) ==
        "what is scheduled is an empty Value; build the value first");
  const std::string scalar = "it must be a scalar input, as Graph::input(\"name\", {}) makes";
  for (const Value wrong : {p.w, p.x, p.loss}) {
    const std::string message = p.refused({.scheduled = {{wrong, constant}}});
    CAPTURE(message);
    CHECK(message.starts_with("what is scheduled is "));
    CHECK(message.ends_with(scalar));
    CHECK(p.refused({.full_strength = {{wrong, 1}}}).ends_with(scalar));
  }
  CHECK(p.refused({.full_strength = {{p.strength, NAN}}}) ==
        "the full strength of 'strength' is nan; it must be a number");
  for (const std::string& message :
       {p.refused({.scheduled = {{other.strength, constant}}}), p.refused({.parameters = {other.w}}),
        p.refused({.full_strength = {{other.strength, 1}}})}) {
    CAPTURE(message);
    CHECK(message.ends_with(", which belongs to another graph than the loss; take it from the loss's"));
  }
  CHECK(p.refused({.parameters = {Value()}}) ==
        "a parameter to train is an empty Value; build the value first");
  CHECK(p.refused({.micro_shards = -1}) == "micro_shards is -1; it must be 1 or more, or 0 for none");
  CHECK(p.refused({.step_rewrites = {{"halve", {}}}}) ==
        "the step rewrite 'halve' is an empty function; give it one, or leave it out");
  const auto message = [](const auto& action) { return testing::message_of<UserError>(action); };
  Optimizer own;
  own.name = "own";
  CHECK(message([&] { Trainer(p.loss, own, {.threads = 1}); }) ==
        "the optimizer 'own' has no function `propose`; give it one, or take one such as Adam{}");
  CHECK(message([] { FeedsList(3, std::function<Feeds(size_t)>()); }) ==
        "what gives the feeds of each batch is an empty function; give it one");
  CHECK(message([] { schedule::warmup(3, {}); }) ==
        "what follows the warmup is an empty function; give it one");
  CHECK(message([] { gradcheck(GraphFunction(), {}); }) ==
        "what is to be checked is an empty function; give it one");
}

TEST_CASE("a step is refused feeds that the trainer makes itself, and inputs that are fed twice") {
  Problem p;
  Trainer trainer(p.loss, Sgd{}, {.threads = 1, .scheduled = {{p.strength, schedule::constant()}}});
  CHECK(testing::message_of<UserError>([&] {
          trainer.step({{"x", p.data}, {"trainer/learning_rate", Tensor::scalar(1, f64)}});
        }) == "'trainer/learning_rate' was fed to a trainer's step, which feeds it itself; leave it out");
  CHECK(testing::message_of<UserError>([&] {
          trainer.step({{"x", p.data}, {"strength", Tensor::scalar(3, f64)}});
        }) == "'strength' is scheduled, and was fed to a step as well; leave it out of one of the two");
  CHECK(testing::message_of<UserError>([&] {
          trainer.step({{p.x, p.data}, {p.x, p.data}});
        }) == "'x' is fed twice; feed each input once");
  CHECK(trainer.steps() == 0);
  trainer.step({{p.x, p.data}});
  CHECK(trainer.steps() == 1);
  // Elsewhere a scheduled input may be fed: what a certificate is at another strength, say.
  const Value penalty = p.strength * sum(abs(p.w));
  const Feeds stronger{{"x", p.data}, {"strength", Tensor::scalar(3, f64)}};
  CHECK(trainer.evaluate({penalty}, stronger)[0].item() ==
        doctest::Approx(3 * trainer.evaluate({penalty}, {{"x", p.data}})[0].item()));
}

TEST_CASE("evaluate is refused inputs of another graph, and inputs that are fed twice") {
  Problem p, other;
  const Value doubled = 2 * p.x;
  CHECK(testing::message_of<UserError>([&] {
          evaluate(doubled, {{p.x, p.data}, {p.x, p.data}});
        }) == "'x' is fed twice; feed each input once");
  CHECK(testing::message_of<UserError>([&] {
          evaluate(doubled, {{other.x, p.data}});
        }) ==
        "'x' is fed as an input of another graph than that of the value to evaluate; take it from there");
  CHECK(evaluate(doubled, {{p.x, p.data}}).at(0) == 1);
}

TEST_CASE("a certificate's weights are numbers from 0 on") {
  Graph g;
  const Value w = g.parameter("w", {2}, init::constant(1), f64);
  Trainer trainer(0.5 * sum(square(w - 1)), Sgd{}, {.threads = 1});
  const std::vector<Feeds> batches(2);
  const auto refused = [&](double second) {
    const std::vector<double> weights{0, second};
    return testing::message_of<UserError>([&] { trainer.certify(batches, weights); });
  };
  for (const auto& [weight, shown] : {std::pair{-1.0, "-1"}, {double{NAN}, "nan"}, {double{INFINITY}, "inf"}})
    CHECK(refused(weight) ==
          std::string("a certificate's weight of batch 1 is ") + shown + "; weights are numbers from 0 on");
  CHECK(refused(0) == "the weights of a certificate's batches are all 0; give one of them some");
}

}  // namespace lariat::trainer_misuse_test
