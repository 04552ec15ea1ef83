#pragma once

#include <span>

#include "frontends/sequential/layer.hpp"
#include "frontends/spec/activation.hpp"

// What layers say of their channels, from parts that several kinds share.

namespace lariat {

/// Each channel by itself, and as many come out as go in. `constant` is what a channel that always is `x`
/// becomes; empty: x.
LayerUnits channelwise(std::function<std::optional<float>(const LayerInModel&, float x)> constant = {});

/// The same where the ingoing channels come out several times, as a whole one time after the other.
LayerUnits repeated_channels(std::function<std::optional<float>(const LayerInModel&, float x)> constant = {});

/// Each channel by itself with weights of its own, each of one number a channel: `weights`, as far as the
/// layer has them. `made` gives what channels that always are `x` become; those whose weight `factor` is 0
/// are always the same, whatever they are.
LayerUnits weighted_channels(
    std::vector<std::string> weights,
    std::function<std::vector<float>(const LayerInModel&, const std::vector<float>& x)> made,
    const std::string& factor = {});

/// No answers, and why.
LayerUnits joined_channels(std::string reason);
/// The same of images; the channels of plain sequences, [batch, time, channels], are the width of images
/// there, which none can be left out of, for this reason.
LayerUnits of_images(LayerUnits units, const std::string& reason);

/// The multiplications of weights with two or more axes at one place.
double products_of(const LayerInModel& layer, const std::vector<std::string>& whats);
/// How many places there are between the batch and the last axis.
double places_of(const Shape& shape);

/// What functions of elements make of numbers, with the bits that a program has.
std::vector<float> applied(const ActivationFunction& function, const std::vector<float>& values);

/// A kernel as a matrix of ingoing and outgoing channels, or several such, one after the other: [taps,
/// inputs, outputs].
struct ChannelKernel {
  std::span<const float> values;
  int64_t taps, inputs, outputs;

  explicit ChannelKernel(const Tensor& kernel);
  float at(int64_t tap, int64_t input, int64_t output) const {
    return values[static_cast<size_t>((tap * inputs + input) * outputs + output)];
  }
};
/// Whether input i has a weight to any output that is marked.
ChannelMarks inputs_read(const ChannelKernel& kernel, const ChannelMarks& outputs);
/// The sum of what constant inputs send to each output, and nothing for outputs that others reach.
ChannelConstants sums_of_constants(const ChannelKernel& kernel, const ChannelConstants& inputs);
/// Adds to the bias what the inputs that are not among `kept` send: their constants times their weights. A
/// bias that is not there is made where that is not 0; true where it was.
bool fold_into_bias(const LayerInModel& layer, const std::string& kernel, const std::string& bias,
                    const std::vector<int64_t>& kept, const ChannelConstants& inputs);

/// Of layers with a kernel [taps…, inputs, outputs] and a bias, whose options have use_bias.
template <class Options>
LayerUnits kernel_units(
    const Fields<Options>& fields, int64_t Options::*units_option,
    std::function<std::string(const LayerInModel&, const Options&, float value)> why_reads) {
  LayerUnits units;
  units.count = [fields, units_option](const LayerSpec& spec, int64_t) {
    return fields.read(spec).*units_option;
  };
  units.constants = [fields, why_reads](const LayerInModel& layer, const ChannelConstants& inputs) {
    const Options options = fields.read(layer.spec);
    // One that it could not do without is no constant of its outputs either.
    ChannelConstants usable = inputs;
    for (std::optional<float>& input : usable)
      if (input && !why_reads(layer, options, *input).empty()) input.reset();
    ChannelConstants outputs = sums_of_constants(ChannelKernel(layer.weight("kernel")), usable);
    std::vector<float> sums;
    for (size_t output = 0; output < outputs.size(); ++output) {
      if (!outputs[output]) continue;
      if (options.use_bias) *outputs[output] += layer.weight("bias").template data<float>()[output];
      sums.push_back(*outputs[output]);
    }
    const std::vector<float> activated = applied(options.activation, sums);
    size_t next = 0;
    for (std::optional<float>& output : outputs)
      if (output) output = activated[next++];
    return outputs;
  };
  units.reads = [](const LayerInModel& layer, const ChannelMarks& outputs) {
    return inputs_read(ChannelKernel(layer.weight("kernel")), outputs);
  };
  units.why_reads = [fields, why_reads](const LayerInModel& layer, float value) {
    return why_reads(layer, fields.read(layer.spec), value);
  };
  units.keep_inputs = [fields](const LayerInModel& layer, const std::vector<int64_t>& kept,
                               const ChannelConstants& inputs) {
    if (fold_into_bias(layer, "kernel", "bias", kept, inputs)) {
      Options options = fields.read(layer.spec);
      options.use_bias = true;
      layer.set_options(fields.write(layer.spec.kind, options));
    }
    layer.keep("kernel", -2, kept);
  };
  units.keep_outputs = [fields, units_option](const LayerInModel& layer, const std::vector<int64_t>& kept) {
    Options options = fields.read(layer.spec);
    options.*units_option = static_cast<int64_t>(kept.size());
    layer.set_options(fields.write(layer.spec.kind, options));
    layer.keep("kernel", -1, kept);
    if (options.use_bias) layer.keep("bias", -1, kept);
  };
  units.multiply_adds = [](const LayerInModel& layer) {
    return products_of(layer, {"kernel"}) * places_of(layer.output);
  };
  return units;
}

}  // namespace lariat
