// The cases in libtorch's C++ API, written as its users write them.

#include <torch/torch.h>

#include "benchmarks/data.hpp"
#include "benchmarks/worker.hpp"

namespace lariat::benchmarks {

namespace {

torch::Tensor filled(const std::string& name, at::IntArrayRef shape, double scale = 1) {
  int64_t count = 1;
  for (int64_t extent : shape) count *= extent;
  const std::vector<float> values = numbers(name, count, scale);
  return torch::from_blob(const_cast<float*>(values.data()), shape).clone();
}

torch::Tensor label_tensor(const Case& c) {
  const std::vector<int32_t> values = labels("labels", c.batch, digit_classes);
  return torch::tensor(std::vector<int64_t>(values.begin(), values.end()));
}

// A kernel is given [inputs, outputs]; torch keeps its transpose.
void set_kernel(torch::Tensor parameter, const std::string& name, int64_t inputs, int64_t outputs) {
  const torch::NoGradGuard no_gradient;
  parameter.copy_(filled(name, {inputs, outputs}, kernel_scale(inputs, outputs)).t());
}

void set_dense(torch::nn::Linear layer, const std::string& name, int64_t inputs, int64_t outputs) {
  const torch::NoGradGuard no_gradient;
  set_kernel(layer->weight, name, inputs, outputs);
  layer->bias.zero_();
}

// One bias, as in the other side's formula: torch's second one stays zero.
void set_recurrent(torch::nn::Module& layer, const std::string& suffix, const std::string& name,
                   int64_t inputs, int64_t units) {
  const torch::NoGradGuard no_gradient;
  auto parameters = layer.named_parameters();
  set_kernel(parameters["weight_ih" + suffix], name + "/input_kernel", inputs, 4 * units);
  set_kernel(parameters["weight_hh" + suffix], name + "/recurrent_kernel", units, 4 * units);
  parameters["bias_ih" + suffix].zero_();
  parameters["bias_hh" + suffix].zero_().set_requires_grad(false);
}

// [batch, time, inputs] with time first, which torch's LSTM prefers.
torch::Tensor sequences(const Case& c) {
  return filled("x", {c.batch, c.time, c.inputs}).transpose(0, 1).contiguous();
}

struct Net : torch::nn::Module {
  virtual torch::Tensor forward(torch::Tensor x) = 0;
};

struct Mlp : Net {
  torch::nn::Linear first, second, third;
  explicit Mlp(const Case& c)
      : first(register_module("first", torch::nn::Linear(c.inputs, c.units))),
        second(register_module("second", torch::nn::Linear(c.units, c.units))),
        third(register_module("third", torch::nn::Linear(c.units, digit_classes))) {
    set_dense(first, "dense1/kernel", c.inputs, c.units);
    set_dense(second, "dense2/kernel", c.units, c.units);
    set_dense(third, "dense3/kernel", c.units, digit_classes);
  }
  torch::Tensor forward(torch::Tensor x) override {
    return third(torch::relu(second(torch::relu(first(x)))));
  }
};

struct LstmNet : Net {
  torch::nn::LSTM lstm;
  torch::nn::Linear dense;
  bool bidirectional;
  explicit LstmNet(const Case& c)
      : lstm(register_module("lstm",
                             torch::nn::LSTM(torch::nn::LSTMOptions(c.inputs, c.units)
                                                 .num_layers(c.layers)
                                                 .bidirectional(c.model == Model::bidirectional_lstm)))),
        dense(register_module(
            "dense",
            torch::nn::Linear(c.model == Model::bidirectional_lstm ? 2 * c.units : c.units, digit_classes))),
        bidirectional(c.model == Model::bidirectional_lstm) {
    for (int64_t layer = 0; layer < c.layers; ++layer)
      set_recurrent(*lstm, "_l" + std::to_string(layer), "lstm" + std::to_string(layer + 1),
                    layer == 0 ? c.inputs : c.units, c.units);
    if (bidirectional) set_recurrent(*lstm, "_l0_reverse", "lstm1/backward", c.inputs, c.units);
    set_dense(dense, "dense/kernel", bidirectional ? 2 * c.units : c.units, digit_classes);
  }
  torch::Tensor forward(torch::Tensor x) override {
    const auto [output, state] = lstm(x);
    const torch::Tensor hidden = std::get<0>(state);  // [layers · directions, batch, units]
    if (bidirectional) return dense(torch::cat({hidden[0], hidden[1]}, 1));
    return dense(hidden[-1]);
  }
};

struct CellNet : Net {
  std::vector<torch::nn::LSTMCell> cells;
  torch::nn::Linear dense;
  explicit CellNet(const Case& c)
      : dense(register_module("dense", torch::nn::Linear(c.units, digit_classes))) {
    for (int64_t layer = 0; layer < c.layers; ++layer) {
      const int64_t inputs = layer == 0 ? c.inputs : c.units;
      const std::string name = "lstm" + std::to_string(layer + 1);
      cells.push_back(register_module(name, torch::nn::LSTMCell(inputs, c.units)));
      set_recurrent(*cells.back(), "", name, inputs, c.units);
    }
    set_dense(dense, "dense/kernel", c.units, digit_classes);
  }
  torch::Tensor forward(torch::Tensor x) override {
    std::vector<torch::Tensor> steps = x.unbind(0);
    for (torch::nn::LSTMCell& cell : cells) {
      std::tuple<torch::Tensor, torch::Tensor> state{torch::zeros({x.size(1), cell->options.hidden_size()}),
                                                     torch::zeros({x.size(1), cell->options.hidden_size()})};
      for (torch::Tensor& step : steps) {
        state = cell(step, state);
        step = std::get<0>(state);
      }
    }
    return dense(steps.back());
  }
};

struct Logistic : Net {
  torch::nn::Linear dense;
  explicit Logistic(const Case& c) : dense(register_module("dense", torch::nn::Linear(c.inputs, 1))) {
    set_dense(dense, "dense/kernel", c.inputs, 1);
  }
  torch::Tensor forward(torch::Tensor x) override { return dense(x).squeeze(1); }
};

std::shared_ptr<Net> make_net(const Case& c) {
  switch (c.model) {
    case Model::mlp:
      return std::make_shared<Mlp>(c);
    case Model::lstm_cells:
      return std::make_shared<CellNet>(c);
    case Model::logistic:
      return std::make_shared<Logistic>(c);
    default:
      return std::make_shared<LstmNet>(c);
  }
}

std::unique_ptr<torch::optim::Optimizer> make_optimizer(const Case& c,
                                                        std::vector<torch::Tensor> parameters) {
  std::erase_if(parameters, [](const torch::Tensor& p) { return !p.requires_grad(); });
  if (c.update == Update::adam)
    return std::make_unique<torch::optim::Adam>(parameters, torch::optim::AdamOptions(learning_rate));
  return std::make_unique<torch::optim::SGD>(parameters, torch::optim::SGDOptions(learning_rate));
}

class ModelWorkload final : public Workload {
 public:
  explicit ModelWorkload(const Case& c)
      : case_(c), net_(make_net(c)), optimizer_(make_optimizer(c, net_->parameters())) {
    if (c.model == Model::logistic) {
      const Rows rows = a9a(c.batch, c.inputs);
      x_ = torch::tensor(rows.x).view({c.batch, c.inputs});
      targets_ = torch::tensor(rows.y);
    } else {
      x_ = c.model == Model::mlp ? filled("x", {c.batch, c.inputs}) : sequences(c);
      targets_ = label_tensor(c);
    }
    if (!c.training) net_->eval();
  }

  double run() override {
    if (!case_.training) {
      const torch::InferenceMode inference;
      return net_->forward(x_).sum().item<double>();
    }
    optimizer_->zero_grad();
    const torch::Tensor logits = net_->forward(x_);
    torch::Tensor loss = case_.model == Model::logistic
                             ? torch::binary_cross_entropy_with_logits(logits, targets_)
                             : torch::nn::functional::cross_entropy(logits, targets_);
    if (case_.l1 > 0)
      for (const torch::Tensor& parameter : net_->parameters())
        if (parameter.dim() > 1) loss = loss + case_.l1 * parameter.abs().sum();
    loss.backward();
    optimizer_->step();
    return loss.item<double>();
  }

 private:
  const Case case_;
  std::shared_ptr<Net> net_;
  std::unique_ptr<torch::optim::Optimizer> optimizer_;
  torch::Tensor x_, targets_;
};

class AdamWorkload final : public Workload {
 public:
  explicit AdamWorkload(const Case& c)
      : parameter_(filled("parameter", {c.units})),
        optimizer_({parameter_}, torch::optim::AdamOptions(learning_rate)) {
    parameter_.mutable_grad() = filled("gradient", {c.units});
  }
  double run() override {
    optimizer_.step();
    return parameter_[0].item<double>();
  }

 private:
  torch::Tensor parameter_;
  torch::optim::Adam optimizer_;
};

std::unique_ptr<Workload> make(const Request& request) {
  at::set_num_threads(request.threads);
  at::globalContext().setUserEnabledMkldnn(request.setting != "without oneDNN");
  if (request.what.model == Model::adam_update) return std::make_unique<AdamWorkload>(request.what);
  return std::make_unique<ModelWorkload>(request.what);
}

}  // namespace

}  // namespace lariat::benchmarks

int main(int count, char** arguments) {
  return lariat::benchmarks::serve(count, arguments, TORCH_VERSION, lariat::benchmarks::make);
}
