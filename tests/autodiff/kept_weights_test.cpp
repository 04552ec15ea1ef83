// Steps that leave out zeros: for every optimizer, with clipping, decay, frozen and settled zeros they end
// where steps of all weights end, with the same bits on any number of threads and after going on.
#include <cmath>

#include "autodiff/training/kept_step.hpp"
#include "autodiff/training/training_step.hpp"
#include "graph/base/error.hpp"
#include "graph/ir/op_def.hpp"
#include "graph/passes/pass_list.hpp"
#include "ops/ops.hpp"
#include "tests/support/testing.hpp"

namespace lariat::kept_weights_test {

namespace {

const std::vector<std::string> kernels{"W1", "W2"};

struct Problem {
  Graph graph;
  Value x = graph.input("x", {dim::batch, 40}), t = graph.input("t", {dim::batch}, i32);
  Value w1 = graph.parameter("W1", {40, 128}), w2 = graph.parameter("W2", {128, 64}),
        w3 = graph.parameter("W3", {64, 3}), b1 = graph.parameter("b1", {128}, init::zeros());
  Value loss;

  explicit Problem(double lambda = 0) {
    const Value hidden = relu(matmul(relu(matmul(x, w1) + b1), w2));
    loss = mean(softmax_cross_entropy(matmul(hidden, w3), t));
    if (lambda > 0) loss = loss + lambda * (sum(abs(w1)) + sum(abs(w2)));
  }
};

Tensor numbers(const Extents& extents, uint64_t seed) {
  return initialize({"uniform", 1.0}, "numbers", extents, f32, seed);
}

Feeds batch(uint64_t step) {
  Tensor t(i32, {20});
  for (int i = 0; i < 20; ++i) t.data<int32_t>()[i] = static_cast<int32_t>((step * 7 + i * i) % 3);
  return {{"x", numbers({20, 40}, step)}, {"t", t}};
}

// Nineteen in twenty of the weights become zero.
void thin_out(Store& store) {
  for (const std::string& name : kernels) {
    const auto values = store.get(name).values<float>();
    for (size_t i = 0; i < values.size(); ++i)
      values[i] = (i * 2654435761U >> 7) % 20 == 0 ? 3 * values[i] : 0;
  }
}

TrainerOptions frozen(bool leave_out, int threads = 1) {
  TrainerOptions options{.threads = threads, .frozen_zeros = kernels, .leave_out_zeros = leave_out};
  options.warn = {};
  return options;
}

std::unique_ptr<Trainer> thin_trainer(const Optimizer& optimizer, const TrainerOptions& options,
                                      double lambda = 0) {
  const Problem problem(lambda);
  auto trainer = std::make_unique<Trainer>(problem.loss, optimizer, options);
  thin_out(trainer->store());
  return trainer;
}

void run(Trainer& trainer, int steps) {
  for (int i = 0; i < steps; ++i) trainer.step(batch(static_cast<uint64_t>(trainer.steps())));
}

// The largest difference, beside the largest element.
double difference(const Tensor& a, const Tensor& b) {
  double most = 0, size = 1e-30;
  for (int64_t i = 0; i < a.count(); ++i) {
    most = std::max(most, std::abs(a.at(i) - b.at(i)));
    size = std::max(size, std::abs(b.at(i)));
  }
  return most / size;
}

void check_close(Trainer& left_out, Trainer& all, double tolerance) {
  for (const std::string name : {"W1", "W2", "W3", "b1"}) {
    CAPTURE(name);
    CHECK(difference(left_out.store().get(name), all.store().get(name)) < tolerance);
  }
}

bool same_state(Trainer& a, Trainer& b) { return a.store().hash() == b.store().hash(); }

}  // namespace

TEST_CASE("with every optimizer, steps that leave out zeros end where others end") {
  const Sparsity first = sparsity(thin_trainer(Sgd{}, frozen(false))->store().get("W1"));
  const int64_t left_at_first = first.count - first.zeros;
  for (const OptimizerKind& kind : optimizer_kinds()) {
    if (kind.name == "lbfgs") continue;
    CAPTURE(kind.name);
    const Optimizer optimizer = make_optimizer(kind.name);
    const auto all = thin_trainer(optimizer, frozen(false)), left_out = thin_trainer(optimizer, frozen(true));
    run(*all, 30);
    run(*left_out, 30);
    CHECK(all->kept_weights().empty());
    REQUIRE(left_out->kept_weights().size() == 2);
    CHECK(left_out->kept_weights()[0].parameter == "W1");
    CHECK(left_out->kept_weights()[0].count == 40 * 128);
    CHECK(left_out->kept_weights()[0].kept == left_at_first);
    check_close(*left_out, *all, kind.name == "lion" ? 2e-2 : 1e-4);
  }
}

TEST_CASE("clipping and decay see what is left, whether the rest is computed or not") {
  for (const auto& [norm, value, decay] :
       {std::tuple(0.05, 0.0, 0.0), std::tuple(0.0, 1e-3, 0.0), std::tuple(0.1, 0.0, 0.1)}) {
    CAPTURE(norm);
    const Optimizer optimizer = AdamW{.learning_rate = 1e-3, .weight_decay = decay};
    auto options = [&, norm = norm, value = value](bool leave_out) {
      TrainerOptions result = frozen(leave_out);
      result.clip_norm = norm;
      result.clip_value = value;
      return result;
    };
    const auto all = thin_trainer(optimizer, options(false)),
               left_out = thin_trainer(optimizer, options(true));
    run(*all, 20);
    run(*left_out, 20);
    CHECK(left_out->kept_weights().size() == 2);
    check_close(*left_out, *all, 2e-4);
  }
}

TEST_CASE("zeros that settle are left out from then on, and it is said") {
  std::vector<std::string> told;
  const auto trainer = [&](bool leave_out) {
    const Problem problem(2e-3);
    TrainerOptions options{.threads = 2, .settle_from = 40, .leave_out_zeros = leave_out};
    options.warn = {};
    options.tell = [&](const std::string& line) { told.push_back(line); };
    auto result = std::make_unique<Trainer>(problem.loss, Adam{.learning_rate = 5e-3}, options);
    thin_out(result->store());
    return result;
  };
  const auto all = trainer(false), left_out = trainer(true);
  run(*all, 40);
  run(*left_out, 40);
  CHECK(same_state(*all, *left_out));
  CHECK(told.empty());
  run(*all, 30);
  run(*left_out, 30);
  if (left_out->kept_weights().empty()) {
    // Not few enough are left of any: the penalty must be stronger for this test to say something.
    FAIL("zeros of no parameter are left out");
  }
  REQUIRE(told.size() == 1);
  CHECK(told[0].starts_with("from step 41 on, zeros are left out: "));
  check_close(*left_out, *all, 2e-3);
}

TEST_CASE("the bits are the same on any number of threads, and after going on") {
  const Optimizer optimizer = Adam{.learning_rate = 2e-3};
  const auto one = thin_trainer(optimizer, frozen(true, 1), 1e-3);
  run(*one, 150);
  for (const int threads : {2, 5}) {
    const auto many = thin_trainer(optimizer, frozen(true, threads), 1e-3);
    run(*many, 150);
    CHECK(same_state(*one, *many));
  }
  for (const int at : {1, 64, 70, 100}) {
    CAPTURE(at);
    const auto first = thin_trainer(optimizer, frozen(true), 1e-3);
    run(*first, at);
    const auto second = thin_trainer(optimizer, frozen(true), 1e-3);
    second->store() = first->store();
    CHECK(first->store().get("optimizer/W1/mean").extents() == Extents{40, 128});
    run(*second, 150 - at);
    CHECK(same_state(*one, *second));
  }
}

TEST_CASE("weights that are changed in between are trained as they are") {
  const auto all = thin_trainer(Sgd{.learning_rate = 0.05}, frozen(false)),
             left_out = thin_trainer(Sgd{.learning_rate = 0.05}, frozen(true));
  run(*left_out, 5);
  run(*all, 5);
  CHECK(left_out->kept_weights().size() == 2);
  for (Trainer* trainer : {all.get(), left_out.get()}) trainer->store().set("W1", numbers({40, 128}, 9));
  run(*left_out, 5);
  run(*all, 5);
  CHECK(left_out->kept_weights().size() == 1);
  check_close(*left_out, *all, 1e-4);
}

TEST_CASE("a support that does not fit its tensor is refused") {
  const auto refused = [](const Tensor& places, const std::string& why) {
    const auto trainer = thin_trainer(Sgd{}, frozen(true));
    trainer->store().set("trainer/kept/W1", places);
    CHECK_THROWS_WITH_AS(run(*trainer, 1),
                         ("the state's 'trainer/kept/W1' is no support of 'W1', which is f32[40, 128]: " +
                          why + "; start the training again")
                             .c_str(),
                         UserError);
  };
  refused(Tensor::of<int32_t>({2}, {3, 5120}), "it names place 5120 of 5120 elements");
  refused(Tensor::of<int32_t>({2}, {7, 7}), "place 7 comes after 7");
  refused(Tensor::of<float>({2}, {3, 4}), "it is f32[2]");
}

TEST_CASE("a step that fails says the same, and leaves the state as it was") {
  std::string messages[2];
  for (const bool leave_out : {false, true}) {
    const auto trainer = thin_trainer(Adam{}, frozen(leave_out));
    run(*trainer, 3);
    const uint64_t before = trainer->store().hash();
    Feeds feeds = batch(3);
    feeds.at("x").data<float>()[5] = INFINITY;
    try {
      trainer->step(feeds);
    } catch (const JobError& error) {
      messages[leave_out ? 1 : 0] = error.what();
    }
    if (!leave_out) CHECK(trainer->store().hash() == before);
    run(*trainer, 1);
  }
  CHECK(!messages[0].empty());
  CHECK(messages[0] == messages[1]);
}

TEST_CASE("no product and no update of a kept step is of a whole matrix") {
  const Problem problem(1e-3);
  const TrainerOptions options = frozen(false);
  LossAnalysis analysis;
  const auto joined = joined_recurrences(problem.loss, options);
  const auto step = training_step(joined->find_output("loss"), Adam{}, options, analysis);
  const auto simple = optimize(*step, {.last = "sweep"});
  CHECK(parameters_that_keep_zeros(*simple) == std::set<std::string>(kernels.begin(), kernels.end()));

  std::map<std::string, KeptPlaces> kept{
      {"W1", kept_places(Tensor::of<int32_t>({3}, {1, 128, 5119}), {40, 128})},
      {"W2", kept_places(Tensor::of<int32_t>({2}, {0, 64}), {128, 64})}};
  CHECK(kept.at("W1").columns.values<int32_t>()[1] == 0);
  CHECK(kept.at("W1").row_starts.values<int32_t>()[2] == 2);
  const KeptStep result = kept_step(*simple, kept, {});
  CHECK(result.slots.at("W1") == std::vector<std::string>{"optimizer/W1/mean", "optimizer/W1/square_mean"});
  int products = 0;
  for (int32_t id = 0; id < result.graph->size(); ++id) {
    const Node& node = result.graph->node(id);
    products += node.op->name == "matmul";
    if (node.outputs[0].shape != Shape{40, 128} && node.outputs[0].shape != Shape{128, 64}) continue;
    CAPTURE(node.op->name);
    CHECK((node.op->name == "parameter" || node.op->name == "csr_put"));
  }
  CHECK(products == 3);  // with W3, and its two gradients
}

}  // namespace lariat::kept_weights_test
