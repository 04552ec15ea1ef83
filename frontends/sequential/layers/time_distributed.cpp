#include <fmt/format.h>

#include "frontends/sequential/layer_records.hpp"
#include "frontends/sequential/layers.hpp"
#include "frontends/sequential/layers/units.hpp"
#include "graph/base/error.hpp"
#include "ops/ops.hpp"

namespace lariat {

namespace {

struct TimeDistributedFields : TimeDistributedOptions {
  std::vector<LayerSpec> layers;
};

// "dense units=8": the kind, and what is not as it is by default.
std::string text_of_layer(const LayerSpec& layer) {
  const SpecKind& kind = layer_kind_of(layer).spec;
  std::string text = kind.name;
  for (const auto& [option, value] : layer.options) {
    if (value == kind.at(option, "").default_value) continue;
    if (value.find_first_of(" \n") != value.npos)
      throw UserError(fmt::format("time_distributed: {} {} = {}: a value here cannot have spaces", kind.name,
                                  option, data::shortened(value)));
    text += fmt::format(" {}={}", option, value);
  }
  return text;
}

std::string text_of_layers(const std::vector<LayerSpec>& layers) {
  std::vector<std::string> lines;
  for (const LayerSpec& layer : layers) lines.push_back(text_of_layer(layer));
  return join_lines(lines);
}

std::vector<LayerSpec> layers_of_text(std::string_view name, std::string_view text) {
  std::vector<LayerSpec> layers;
  for (const std::string& line : split_lines(text)) {
    layers.emplace_back(spec_from_text(layer_spec_kinds(), line, name));
    for (const char* option : {"input", "initial_state", "shares"})
      if (!layers.back().at(option).empty())
        throw UserError(fmt::format("{}: {} {} = {}: layers here take one another; leave it out", name,
                                    layers.back().kind, option, layers.back().at(option)));
  }
  if (layers.empty())
    throw UserError(
        fmt::format("{} = '': must be layers, such as [\"image height=8 width=8\", \"conv2d filters=4 "
                    "kernel=3\", \"global_max_pool\"]",
                    name));
  return layers;
}

const Fields<TimeDistributedFields>& time_distributed_fields() {
  using T = TimeDistributedFields;
  static const Fields<T> list =
      Fields<T>()
          .parsed_lines("layers", &T::layers, "layers, such as [\"dense units=8\"]",
                        "the layers, one after the other, each a kind and its options as name=value",
                        text_of_layers, layers_of_text)
          .parsed("kernel_penalty", &T::kernel_penalty, weight_penalty_range,
                  "penalties of their kernels that have none of their own", to_text, parse_weight_penalty)
          .parsed("bias_penalty", &T::bias_penalty, weight_penalty_range,
                  "penalties of their biases that have none of their own", to_text, parse_weight_penalty);
  return list;
}

// Frames become rows, [batch·time, …], and rows frames again. What lies behind a sequence's end is computed,
// too, and goes no further than before.
Signal build_time_distributed(LayerContext& context, const Signal& input,
                              const TimeDistributedFields& options) {
  const Shape& shape = input.value.shape();
  if (!input.is_sequence())
    context.fail(fmt::format("takes sequences [batch, time, …]; got {}, which its layers take by themselves",
                             text(shape)));
  Shape rows{-1};
  rows.insert(rows.end(), shape.begin() + 2, shape.end());
  Signal signal{reshape(input.value, rows)};
  const std::vector<LayerSpec> layers =
      penalised(options.layers, {.kernels = options.kernel_penalty, .biases = options.bias_penalty});
  const std::vector<std::string> names = names_of(layers);
  for (size_t i = 0; i < layers.size(); ++i) {
    if (layers[i].kind == "batch_norm")
      context.fail("batch_norm would count frames behind the ends of sequences; put it before or behind");
    LayerContext within = context.within(names[i]);
    signal = layer_kind_of(layers[i]).build(within, signal, layers[i]);
  }
  const Shape& found = signal.value.shape();
  if (found.size() != 2)
    context.fail(
        fmt::format("its layers make {} of each frame, but it must be one vector; end them with flatten or "
                    "global_average_pool",
                    text(Shape(found.begin() + 1, found.end()))));
  return {reshape(signal.value, {shape[0], shape[1], found[1]}), input.lengths};
}

}  // namespace

LayerKind layer_records::time_distributed() {
  return layer_kind("time_distributed", "layers on each frame of a sequence by itself",
                    time_distributed_fields(), build_time_distributed)
      .with(joined_channels("its layers lie within it"));
}

TimeDistributed::TimeDistributed(const std::vector<LayerSpec>& layers, const TimeDistributedOptions& options)
    : LayerSpec(time_distributed_fields().write("time_distributed", {options, layers})) {}

}  // namespace lariat
