#include "autodiff/training/trainer.hpp"
#include "graph/base/error.hpp"
#include "graph/exec/executor.hpp"
#include "ops/ops.hpp"
#include "tests/support/testing.hpp"

namespace lariat::step_rewrites_test {

namespace {

struct Model {
  Graph g;
  Value x = g.input("x", {dim::batch, 3}), w = g.parameter("w", {3}, init::constant(0.5));
  Value loss = mean(square(sum(x * w, {1}) - 4.0)) + 0.01 * sum(abs(w));
};

Tensor rows() { return Tensor::of<float>({2, 3}, std::vector<float>{1, 2, -1, 0.5F, -1, 2}); }

// Every next value of a parameter within ±limit.
std::unique_ptr<Graph> limited(const Graph& step, double limit) {
  auto result = std::make_unique<Graph>();
  GraphCopy copy(step, *result);
  for (int32_t id = 0; id < step.size(); ++id) copy.copy(id);
  for (const Output& output : step.outputs()) {
    const Value value = copy(output.value);
    if (!output.is_update) {
      result->output(output.name, value);
    } else {
      result->update(output.name, output.name == "w" ? minimum(maximum(value, -limit), limit) : value);
    }
  }
  return result;
}

}  // namespace

TEST_CASE("a step rewrite has its say in every step, in parts and micro-shards alike") {
  for (const int way : {0, 1, 2}) {
    CAPTURE(way);
    Model m;
    TrainerOptions options{.threads = 1};
    options.accumulates = way == 1;
    options.micro_shards = way == 2 ? 2 : 0;
    int calls = 0;
    options.step_rewrites = {{"limit", [&](const Graph& step) {
                                ++calls;
                                return limited(step, 0.75);
                              }}};
    Trainer trainer(m.loss, Adam{.learning_rate = 0.1}, options);
    const Feeds feeds{{"x", rows()}};
    const Feeds parts[] = {feeds, feeds};
    const double shares[] = {0.5, 0.5};
    for (int i = 0; i < 30; ++i) way == 0 ? trainer.step(feeds) : trainer.step(FeedsList(parts), shares);
    const Tensor w = trainer.value(m.w);
    CHECK(w.at(0) == doctest::Approx(0.75));
    for (int64_t i = 0; i < 3; ++i) CHECK(std::abs(w.at(i)) <= 0.75);
    CHECK(calls == (way == 0 ? 1 : 2));
  }
}

TEST_CASE("an executor of one's own runs a trainer's steps, to the bits of any other") {
  Model m;
  const std::shared_ptr<Executor> serial = make_serial_executor();
  TrainerOptions options;
  options.executor = serial;
  Trainer one(m.loss, Adam{}, options), two(m.loss, Adam{}, options), other(m.loss, Adam{}, {.threads = 2});
  CHECK(&one.executor() == serial.get());
  CHECK(&two.executor() == serial.get());
  for (Trainer* trainer : {&one, &two, &other})
    for (int i = 0; i < 5; ++i) trainer->step(Feeds{{"x", rows()}});
  CHECK(one.store().hash() == other.store().hash());
  CHECK(two.store().hash() == other.store().hash());
}

TEST_CASE("a step rewrite that gives no step is named") {
  Model m;
  const auto said = [&](std::function<std::unique_ptr<Graph>(const Graph&)> run) {
    TrainerOptions options;
    options.step_rewrites = {{"mine", std::move(run)}};
    return testing::message_of<UserError>([&] { Trainer(m.loss, Sgd{}, options); });
  };
  CHECK(said([](const Graph&) { return nullptr; }) ==
        "the step rewrite 'mine' gives no graph; give the step at least");
  CHECK(said([](const Graph&) { return std::make_unique<Graph>(); }) ==
        "the step rewrite 'mine' gives nothing where the step has loss of f32[]; keep its outputs");
  CHECK(testing::contains(
      said([](const Graph& step) {
        auto result = limited(step, 1);
        result->output("more", result->find_source("w"));
        return result;
      }),
      "the step rewrite 'mine' gives more of f32[3] where the step has nothing; keep its outputs"));
}

}  // namespace lariat::step_rewrites_test
