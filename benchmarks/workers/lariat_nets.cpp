#include "benchmarks/workers/lariat_nets.hpp"

#include "benchmarks/data.hpp"
#include "graph/base/error.hpp"

namespace lariat::benchmarks {

Value Net::kernel(const std::string& name, const Extents& extents, int64_t inputs, int64_t outputs) {
  values.set(
      name, Tensor::of<float>(extents, numbers(name, element_count(extents), kernel_scale(inputs, outputs))));
  const Value w = graph.parameter(name, extents);
  if (l1 > 0) penalty = penalty ? penalty + l1 * sum(abs(w)) : l1 * sum(abs(w));
  return w;
}

Value Net::bias(const std::string& name, int64_t outputs) {
  return graph.parameter(name, {outputs}, init::zeros());
}

Value Net::dense(Value input, const std::string& name, int64_t inputs, int64_t outputs) {
  const Value product = matmul(input, kernel(name + "/kernel", inputs, outputs));
  return product + bias(name + "/bias", outputs);
}

Value Net::recurrent(Value input, const std::string& name, int64_t inputs, int64_t units) {
  const Value input_kernel = kernel(name + "/input_kernel", inputs, 4 * units);
  const Value recurrent_kernel = kernel(name + "/recurrent_kernel", units, 4 * units);
  return lstm(input, input_kernel, recurrent_kernel, bias(name + "/bias", 4 * units));
}

namespace {

Value mlp(Net& net, const Case& c) {
  Value h = relu(net.dense(net.x, "dense1", c.inputs, c.units));
  h = relu(net.dense(h, "dense2", c.units, c.units));
  return net.dense(h, "dense3", c.units, digit_classes);
}

Value last_step(Value sequence, int64_t time) {
  const Shape& shape = sequence.shape();
  return reshape(slice(sequence, 1, time - 1, time), {shape[0], shape[2]});
}

Value lstm_layers(Net& net, const Case& c) {
  Value h = net.x;
  for (int64_t layer = 0; layer < c.layers; ++layer)
    h = net.recurrent(h, "lstm" + std::to_string(layer + 1), layer == 0 ? c.inputs : c.units, c.units);
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
  const Value forward = net.recurrent(net.x, "lstm1", c.inputs, c.units);
  const Value backward = net.recurrent(reverse_sequence(net.x, lengths), "lstm1/backward", c.inputs, c.units);
  return net.dense(concat({last_step(forward, c.time), last_step(backward, c.time)}, 1), "dense", 2 * c.units,
                   digit_classes);
}

Value convolution(Net& net, Value input, const std::string& name, Plane kernel, int64_t channels,
                  int64_t maps) {
  const int64_t window = kernel.height * kernel.width;
  const Value w = net.kernel(name + "/kernel", {kernel.height, kernel.width, channels, maps},
                             window * channels, window * maps);
  return relu(conv2d(input, w, {}, "valid") + net.bias(name + "/bias", maps));
}

Value keyword_cnn(Net& net, const Case& c) {
  Value h = convolution(net, net.x, "conv1", keyword_kernels[0], 1, c.units);
  h = max_pool2d(h, {2, 2}, {2, 2});
  h = convolution(net, h, "conv2", keyword_kernels[1], c.units, c.units);
  const int64_t features = keyword_planes(c).second.size() * c.units;
  return net.dense(reshape(h, {c.batch, features}), "dense", features, keyword_classes);
}

}  // namespace

Extents input_extents(const Case& c) {
  switch (c.model) {
    case Model::mlp:
    case Model::logistic:
      return {c.batch, c.inputs};
    case Model::keyword_cnn:
      return {c.batch, c.inputs, c.time, 1};
    default:
      return {c.batch, c.time, c.inputs};
  }
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
    case Model::keyword_cnn:
      return keyword_cnn(net, c);
    default:
      throw UserError("the case '" + c.name + "' is no net");
  }
}

}  // namespace lariat::benchmarks
