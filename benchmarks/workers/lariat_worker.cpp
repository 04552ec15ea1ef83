// The cases in lariat's graph API, written as its users write them.

#include "autodiff/penalty/proximal.hpp"
#include "benchmarks/data.hpp"
#include "benchmarks/workers/lariat_nets.hpp"
#include "benchmarks/workers/lariat_workloads.hpp"
#include "graph/program/program.hpp"

namespace lariat::benchmarks {

namespace {

class ModelWorkload final : public Workload {
 public:
  explicit ModelWorkload(const Request& request) : request_(request) {
    const Case& c = request.what;
    net_.l1 = c.l1;
    const Extents extents = input_extents(c);
    net_.x = net_.graph.input("x", to_shape(extents));
    net_.logits = logits_of(net_, c);
    if (c.model == Model::logistic) {
      const Rows rows = a9a(c.batch, c.inputs);
      feeds_.emplace("x", Tensor::of<float>(extents, rows.x));
      targets_ = Tensor::of<float>({c.batch}, rows.y);
    } else {
      feeds_.emplace("x", Tensor::of<float>(extents, numbers("x", element_count(extents))));
      targets_ = Tensor::of<int32_t>({c.batch}, labels("labels", c.batch, classes_of(c)));
    }
    if (c.training) {
      make_trainer();
    } else {
      make_inference();
    }
  }

  double run() override {
    if (trainer_) return trainer_->step(feeds_).loss;
    return program_->run(feeds_, net_.values, *executor_)[0].item();
  }

  void profile(int times) override {
    print_profile(trainer_ ? trainer_->executor() : *executor_, times, [&] { run(); });
  }

 private:
  void make_trainer() {
    const Case& c = request_.what;
    net_.targets = net_.graph.input("targets", {c.batch}, targets_.dtype());
    feeds_.emplace("targets", targets_);
    Value loss = mean(c.model == Model::logistic ? sigmoid_cross_entropy(net_.logits, net_.targets)
                                                 : softmax_cross_entropy(net_.logits, net_.targets));
    if (net_.penalty) loss = loss + net_.penalty;
    const Optimizer optimizer = c.update == Update::adam ? Optimizer(Adam{.learning_rate = learning_rate})
                                                         : Sgd{.learning_rate = learning_rate};
    trainer_ = std::make_unique<Trainer>(loss, optimizer, TrainerOptions{.threads = request_.threads});
    for (const auto& [name, tensor] : net_.values) trainer_->store().set(name, tensor);
  }

  void make_inference() {
    const Value total = sum(net_.logits);
    initialize_store(net_.graph, net_.values, 0);
    program_ = inference_program(net_.graph, {&total, 1}, &net_.values);
    executor_ = make_tbb_executor(request_.threads);
  }

  const Request request_;
  Net net_;
  Tensor targets_;
  Feeds feeds_;
  std::unique_ptr<Trainer> trainer_;
  std::unique_ptr<Program> program_;
  std::unique_ptr<Executor> executor_;
};

// The optimizer's step alone, with a gradient that is given.
class AdamWorkload final : public Workload {
 public:
  explicit AdamWorkload(const Request& request) : executor_(make_tbb_executor(request.threads)) {
    const int64_t count = request.what.units;
    Graph graph;
    const Value parameter = graph.parameter("parameter", {count});
    const Value step = graph.state("step", {}, init::zeros(), i32) + graph.constant(1, i32);
    graph.update("step", step);
    const Value rate = graph.constant(learning_rate);
    UpdateContext context(graph, parameter, graph.input("gradient", {count}), rate, cast(step, f32), false);
    graph.update("parameter", Optimizer(Adam{}).propose(context).point);
    graph.output("step", step);
    program_ = std::make_unique<Program>(graph);
    store_.set("parameter", Tensor::of<float>({count}, numbers("parameter", count)));
    initialize_store(graph, store_, 0);
    feeds_.emplace("gradient", Tensor::of<float>({count}, numbers("gradient", count)));
  }
  double run() override {
    program_->run(feeds_, store_, *executor_);
    return store_.get("parameter").at(0);
  }
  double check() override {
    run();
    return covering_sum(store_.get("parameter").values<float>());
  }
  void profile(int times) override {
    print_profile(*executor_, times, [&] { run(); });
  }

 private:
  std::unique_ptr<Executor> executor_;
  std::unique_ptr<Program> program_;
  Store store_;
  Feeds feeds_;
};

std::unique_ptr<Workload> make(const Request& request) {
  if (request.what.model == Model::adam_update) return std::make_unique<AdamWorkload>(request);
  if (request.what.model == Model::lstm_sequence) return lstm_sequence_workload(request);
  if (request.what.model == Model::features) return feature_workload(request);
  return std::make_unique<ModelWorkload>(request);
}

}  // namespace

}  // namespace lariat::benchmarks

int main(int count, char** arguments) {
  return lariat::benchmarks::serve(count, arguments, LARIAT_VERSION, lariat::benchmarks::make);
}
