#include "frontends/sequential/layers/units.hpp"

#include <algorithm>

#include "graph/base/error.hpp"
#include "graph/program/evaluate.hpp"

namespace lariat {

namespace {

bool has_weight(const LayerInModel& layer, const std::string& what) {
  return layer.weights.find(layer.name + "/" + what) != nullptr;
}

}  // namespace

LayerUnits channelwise(std::function<std::optional<float>(const LayerInModel&, float)> constant) {
  LayerUnits units = repeated_channels(std::move(constant));
  units.count = [](const LayerSpec&, int64_t inputs) { return inputs; };
  return units;
}

LayerUnits repeated_channels(std::function<std::optional<float>(const LayerInModel&, float)> constant) {
  LayerUnits units;
  units.sources = [](const LayerInModel& layer) {
    std::vector<int64_t> sources;
    const int64_t inputs = layer.input.back().size(), outputs = layer.output.back().size();
    for (int64_t output = 0; output < outputs; ++output) sources.push_back(output % inputs);
    return sources;
  };
  units.constants = [constant = std::move(constant)](const LayerInModel& layer,
                                                     const ChannelConstants& inputs) {
    ChannelConstants outputs;
    const auto count = static_cast<size_t>(layer.output.back().size());
    for (size_t output = 0; output < count; ++output) {
      const std::optional<float>& input = inputs[output % inputs.size()];
      outputs.push_back(input && constant ? constant(layer, *input) : input);
    }
    return outputs;
  };
  return units;
}

LayerUnits weighted_channels(
    std::vector<std::string> weights,
    std::function<std::vector<float>(const LayerInModel&, const std::vector<float>& x)> made,
    const std::string& factor) {
  LayerUnits units = channelwise();
  units.constants = [=](const LayerInModel& layer, const ChannelConstants& inputs) {
    ChannelConstants outputs = inputs;
    if (!factor.empty() && has_weight(layer, factor)) {
      const Tensor factors = layer.weight(factor);
      for (size_t channel = 0; channel < outputs.size(); ++channel)
        if (factors.data<float>()[channel] == 0) outputs[channel] = 0.0f;
    }
    std::vector<float> x;
    for (const std::optional<float>& output : outputs) x.push_back(output.value_or(0.0f));
    const std::vector<float> y = made(layer, x);
    for (size_t channel = 0; channel < outputs.size(); ++channel)
      if (outputs[channel]) outputs[channel] = y[channel];
    return outputs;
  };
  units.keep_outputs = [=](const LayerInModel& layer, const std::vector<int64_t>& kept) {
    for (const std::string& what : weights)
      if (has_weight(layer, what)) layer.keep(what, -1, kept);
  };
  return units;
}

LayerUnits joined_channels(std::string reason) {
  LayerUnits units;
  units.reason = std::move(reason);
  return units;
}

LayerUnits of_images(LayerUnits units, const std::string& reason) {
  const auto is_image = [](const LayerInModel& layer) { return layer.input.size() == 4; };
  LayerUnits result = units;
  result.reason = reason;
  result.count = {};  // it depends on what goes in
  if (units.sources)
    result.sources = [=](const LayerInModel& layer) {
      return is_image(layer) ? units.sources(layer) : std::vector<int64_t>();
    };
  result.constants = [=](const LayerInModel& layer, const ChannelConstants& inputs) {
    return units.constants(layer, is_image(layer) ? inputs : ChannelConstants(1));
  };
  if (units.reads)
    result.reads = [=](const LayerInModel& layer, const ChannelMarks& outputs) {
      return is_image(layer) ? units.reads(layer, outputs)
                             : ChannelMarks(static_cast<size_t>(layer.input.back().size()), true);
    };
  if (units.why_reads)
    result.why_reads = [=](const LayerInModel& layer, float value) {
      return is_image(layer) ? units.why_reads(layer, value) : reason;
    };
  return result;
}

double products_of(const LayerInModel& layer, const std::vector<std::string>& whats) {
  double products = 0;
  for (const std::string& what : whats) products += static_cast<double>(layer.weight(what).count());
  return products;
}

double places_of(const Shape& shape) {
  double places = 1;
  for (size_t axis = 1; axis + 1 < shape.size(); ++axis) places *= static_cast<double>(shape[axis].size());
  return places;
}

std::vector<float> applied(const ActivationFunction& function, const std::vector<float>& values) {
  if (values.empty()) return {};
  Graph graph;
  const Extents extents{static_cast<int64_t>(values.size())};
  const Value x = graph.input("x", to_shape(extents));
  const Tensor computed =
      evaluate(function(x), {{x, Tensor::of<float>(extents, std::span<const float>(values))}});
  const auto found = computed.values<float>();
  return {found.begin(), found.end()};
}

ChannelKernel::ChannelKernel(const Tensor& kernel)
    : values(kernel.values<float>()),
      taps(1),
      inputs(kernel.extents()[kernel.extents().size() - 2]),
      outputs(kernel.extents().back()) {
  for (size_t axis = 0; axis + 2 < kernel.extents().size(); ++axis) taps *= kernel.extents()[axis];
}

ChannelMarks inputs_read(const ChannelKernel& kernel, const ChannelMarks& outputs) {
  ChannelMarks read(static_cast<size_t>(kernel.inputs), false);
  for (int64_t tap = 0; tap < kernel.taps; ++tap)
    for (int64_t input = 0; input < kernel.inputs; ++input)
      for (int64_t output = 0; output < kernel.outputs; ++output)
        if (outputs[static_cast<size_t>(output)] && kernel.at(tap, input, output) != 0)
          read[static_cast<size_t>(input)] = true;
  return read;
}

ChannelConstants sums_of_constants(const ChannelKernel& kernel, const ChannelConstants& inputs) {
  std::vector<double> sums(static_cast<size_t>(kernel.outputs), 0);
  ChannelMarks others(sums.size(), false);
  for (int64_t tap = 0; tap < kernel.taps; ++tap)
    for (int64_t input = 0; input < kernel.inputs; ++input) {
      const std::optional<float>& constant = inputs[static_cast<size_t>(input)];
      for (int64_t output = 0; output < kernel.outputs; ++output) {
        const float weight = kernel.at(tap, input, output);
        if (weight == 0) continue;
        if (constant)
          sums[static_cast<size_t>(output)] += static_cast<double>(*constant) * static_cast<double>(weight);
        else
          others[static_cast<size_t>(output)] = true;
      }
    }
  ChannelConstants result(sums.size());
  for (size_t output = 0; output < sums.size(); ++output)
    if (!others[output]) result[output] = static_cast<float>(sums[output]);
  return result;
}

bool fold_into_bias(const LayerInModel& layer, const std::string& kernel, const std::string& bias,
                    const std::vector<int64_t>& kept, const ChannelConstants& inputs) {
  ChannelConstants gone = inputs;
  for (const int64_t input : kept) gone[static_cast<size_t>(input)] = 0;
  const Tensor weights = layer.weight(kernel);
  // Whatever is kept counts as 0 here, and what is neither kept nor constant is unread.
  for (std::optional<float>& constant : gone) constant = constant.value_or(0);
  const ChannelConstants sums = sums_of_constants(ChannelKernel(weights), gone);
  if (std::all_of(sums.begin(), sums.end(), [](const auto& sum) { return *sum == 0; })) return false;
  const bool is_there = has_weight(layer, bias);
  const Tensor old = is_there ? layer.weight(bias) : Tensor(f32, {static_cast<int64_t>(sums.size())});
  const Tensor moved = old.clone();
  for (size_t output = 0; output < sums.size(); ++output) moved.data<float>()[output] += *sums[output];
  layer.set_weight(bias, moved);
  return !is_there;
}

}  // namespace lariat
