#include "benchmarks/workers/libtorch_nets.hpp"

#include "benchmarks/data.hpp"

namespace lariat::benchmarks {

torch::Tensor filled(const std::string& name, at::IntArrayRef shape, double scale) {
  int64_t count = 1;
  for (int64_t extent : shape) count *= extent;
  const std::vector<float> values = numbers(name, count, scale);
  return torch::from_blob(const_cast<float*>(values.data()), shape).clone();
}

namespace {

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

// Kernels are given [height, width, channels, maps].
void set_convolution(torch::nn::Conv2d layer, const std::string& name, Plane kernel, int64_t channels,
                     int64_t maps) {
  const torch::NoGradGuard no_gradient;
  const int64_t window = kernel.height * kernel.width;
  layer->weight.copy_(filled(name, {kernel.height, kernel.width, channels, maps},
                             kernel_scale(window * channels, window * maps))
                          .permute({3, 2, 0, 1}));
  layer->bias.zero_();
}

torch::nn::Conv2d convolution(Plane kernel, int64_t channels, int64_t maps) {
  return torch::nn::Conv2d(torch::nn::Conv2dOptions(channels, maps, {kernel.height, kernel.width}));
}

struct KeywordCnn : Net {
  torch::nn::Conv2d first, second;
  torch::nn::Linear dense;
  explicit KeywordCnn(const Case& c)
      : first(register_module("first", convolution(keyword_kernels[0], 1, c.units))),
        second(register_module("second", convolution(keyword_kernels[1], c.units, c.units))),
        dense(register_module(
            "dense", torch::nn::Linear(keyword_planes(c).second.size() * c.units, keyword_classes))) {
    set_convolution(first, "conv1/kernel", keyword_kernels[0], 1, c.units);
    set_convolution(second, "conv2/kernel", keyword_kernels[1], c.units, c.units);
    // The rows are given as [height, width, maps]; torch flattens [maps, height, width].
    const Plane plane = keyword_planes(c).second;
    const int64_t features = plane.size() * c.units;
    const torch::NoGradGuard no_gradient;
    dense->weight.copy_(filled("dense/kernel", {plane.height, plane.width, c.units, keyword_classes},
                               kernel_scale(features, keyword_classes))
                            .permute({3, 2, 0, 1})
                            .reshape({keyword_classes, features}));
    dense->bias.zero_();
  }
  torch::Tensor forward(torch::Tensor x) override {
    x = torch::max_pool2d(torch::relu(first(x)), 2);
    return dense(torch::relu(second(x)).flatten(1));
  }
};

}  // namespace

std::shared_ptr<Net> make_net(const Case& c) {
  switch (c.model) {
    case Model::mlp:
      return std::make_shared<Mlp>(c);
    case Model::lstm_cells:
      return std::make_shared<CellNet>(c);
    case Model::keyword_cnn:
      return std::make_shared<KeywordCnn>(c);
    case Model::logistic:
      return std::make_shared<Logistic>(c);
    default:
      return std::make_shared<LstmNet>(c);
  }
}

torch::Tensor input_of(const Case& c) {
  switch (c.model) {
    case Model::logistic:
      return torch::tensor(a9a(c.batch, c.inputs).x).view({c.batch, c.inputs});
    case Model::mlp:
      return filled("x", {c.batch, c.inputs});
    case Model::keyword_cnn:
      return filled("x", {c.batch, 1, c.inputs, c.time});
    default:  // time first
      return filled("x", {c.batch, c.time, c.inputs}).transpose(0, 1).contiguous();
  }
}

}  // namespace lariat::benchmarks
