// The cases in lariat's graph API, written as its users write them.

#include <fmt/format.h>

#include "autodiff/proximal.hpp"
#include "benchmarks/data.hpp"
#include "benchmarks/worker.hpp"
#include "frontends/lariat.hpp"
#include "graph/error.hpp"
#include "graph/exec/program.hpp"
#include "graph/exec/trace.hpp"

namespace lariat::benchmarks {

namespace {

// A case's graph with its named sources.
struct Net {
  Graph graph;
  Value x, targets, logits, penalty;
  Store values;
  double l1 = 0;

  Value kernel(const std::string& name, int64_t inputs, int64_t outputs) {
    values.set(name, Tensor::of<float>({inputs, outputs},
                                       numbers(name, inputs * outputs, kernel_scale(inputs, outputs))));
    const Value w = graph.parameter(name, {inputs, outputs});
    if (l1 > 0) penalty = penalty ? penalty + l1 * sum(abs(w)) : l1 * sum(abs(w));
    return w;
  }
  Value bias(const std::string& name, int64_t outputs) {
    return graph.parameter(name, {outputs}, init::zeros());
  }
  Value dense(Value input, const std::string& name, int64_t inputs, int64_t outputs) {
    const Value product = matmul(input, kernel(name + "/kernel", inputs, outputs));
    return product + bias(name + "/bias", outputs);
  }
};

Value mlp(Net& net, const Case& c) {
  Value h = relu(net.dense(net.x, "dense1", c.inputs, c.units));
  h = relu(net.dense(h, "dense2", c.units, c.units));
  return net.dense(h, "dense3", c.units, digit_classes);
}

Value fused_layer(Net& net, Value x, const std::string& name, int64_t inputs, int64_t units) {
  const Value input_kernel = net.kernel(name + "/input_kernel", inputs, 4 * units);
  const Value recurrent_kernel = net.kernel(name + "/recurrent_kernel", units, 4 * units);
  return lstm(x, input_kernel, recurrent_kernel, net.bias(name + "/bias", 4 * units));
}

Value last_step(Value sequence, int64_t time) {
  const Shape& shape = sequence.shape();
  return reshape(slice(sequence, 1, time - 1, time), {shape[0], shape[2]});
}

Value lstm_layers(Net& net, const Case& c) {
  Value h = net.x;
  for (int64_t layer = 0; layer < c.layers; ++layer)
    h = fused_layer(net, h, "lstm" + std::to_string(layer + 1), layer == 0 ? c.inputs : c.units, c.units);
  return net.dense(last_step(h, c.time), "dense", c.units, digit_classes);
}

Value unrolled_cells(Net& net, const Case& c) {
  std::vector<Value> steps;
  for (int64_t t = 0; t < c.time; ++t)
    steps.push_back(reshape(slice(net.x, 1, t, t + 1), {c.batch, c.inputs}));
  const Value zeros = net.graph.constant(Tensor(f32, {c.batch, c.units}));
  for (int64_t layer = 0; layer < c.layers; ++layer) {
    const std::string name = "lstm" + std::to_string(layer + 1);
    const int64_t inputs = layer == 0 ? c.inputs : c.units;
    const Value input_kernel = net.kernel(name + "/input_kernel", inputs, 4 * c.units);
    const Value recurrent_kernel = net.kernel(name + "/recurrent_kernel", c.units, 4 * c.units);
    const Value bias = net.bias(name + "/bias", 4 * c.units);
    LstmState state{zeros, zeros};
    for (Value& step : steps) {
      state = lstm_cell(step, state.hidden, state.cell, input_kernel, recurrent_kernel, bias);
      step = state.hidden;
    }
  }
  return net.dense(steps.back(), "dense", c.units, digit_classes);
}

Value both_directions(Net& net, const Case& c) {
  const Value lengths = net.graph.constant(Tensor::filled(i32, {c.batch}, static_cast<double>(c.time)));
  const Value forward = fused_layer(net, net.x, "lstm1", c.inputs, c.units);
  const Value backward =
      fused_layer(net, reverse_sequence(net.x, lengths), "lstm1/backward", c.inputs, c.units);
  return net.dense(concat({last_step(forward, c.time), last_step(backward, c.time)}, 1), "dense", 2 * c.units,
                   digit_classes);
}

Value logits_of(Net& net, const Case& c) {
  switch (c.model) {
    case Model::mlp:
      return mlp(net, c);
    case Model::lstm:
      return lstm_layers(net, c);
    case Model::lstm_cells:
      return unrolled_cells(net, c);
    case Model::bidirectional_lstm:
      return both_directions(net, c);
    case Model::logistic:
      return reshape(net.dense(net.x, "dense", c.inputs, 1), {c.batch});
    default:
      throw UserError("the case '" + c.name + "' is no net");
  }
}

class ModelWorkload final : public Workload {
 public:
  explicit ModelWorkload(const Request& request) : request_(request) {
    const Case& c = request.what;
    net_.l1 = c.l1;
    const bool flat = c.model == Model::mlp || c.model == Model::logistic;
    const Extents extents = flat ? Extents{c.batch, c.inputs} : Extents{c.batch, c.time, c.inputs};
    net_.x = net_.graph.input("x", to_shape(extents));
    net_.logits = logits_of(net_, c);
    if (c.model == Model::logistic) {
      const Rows rows = a9a(c.batch, c.inputs);
      feeds_.emplace("x", Tensor::of<float>(extents, rows.x));
      targets_ = Tensor::of<float>({c.batch}, rows.y);
    } else {
      feeds_.emplace("x", Tensor::of<float>(extents, numbers("x", element_count(extents))));
      targets_ = Tensor::of<int32_t>({c.batch}, labels("labels", c.batch, digit_classes));
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
    Executor& executor = trainer_ ? trainer_->executor() : *executor_;
    Trace trace;
    executor.record(&trace);
    const double begin = trace.now();
    for (int i = 0; i < times; ++i) run();
    const double wall = trace.now() - begin;
    executor.record(nullptr);
    fmt::print(stderr, "{:.0f} us a run\n", wall / times);
    for (const Trace::OpTotal& t : trace.totals())
      fmt::print(stderr, "{:28} {:6.1f} runs {:9.1f} us {:5.1f}% {:7.1f} GFLOP/s {:6.1f} GB/s\n", t.op,
                 static_cast<double>(t.runs) / times, t.microseconds / times, 100 * t.microseconds / wall,
                 t.flops / t.microseconds / 1e3, t.bytes / t.microseconds / 1e3);
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
    program_ = inference_program(net_.graph, {&total, 1});
    executor_ = make_tbb_executor(request_.threads);
    initialize_store(net_.graph, net_.values, 0);
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
    UpdateContext context(graph, parameter, graph.input("gradient", {count}), rate, cast(step, f32));
    graph.update("parameter", proximal_update(Optimizer(Adam{}).propose(context), {}));
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

 private:
  std::unique_ptr<Executor> executor_;
  std::unique_ptr<Program> program_;
  Store store_;
  Feeds feeds_;
};

std::unique_ptr<Workload> make(const Request& request) {
  if (request.what.model == Model::adam_update) return std::make_unique<AdamWorkload>(request);
  return std::make_unique<ModelWorkload>(request);
}

}  // namespace

}  // namespace lariat::benchmarks

int main(int count, char** arguments) {
  return lariat::benchmarks::serve(count, arguments, LARIAT_VERSION, lariat::benchmarks::make);
}
