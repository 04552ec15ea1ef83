#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>

#include "frontends/sequential/layer_records.hpp"
#include "frontends/sequential/layers.hpp"
#include "frontends/sequential/layers/limits.hpp"
#include "frontends/sequential/layers/units.hpp"
#include "graph/base/error.hpp"
#include "ops/ops.hpp"

namespace lariat {

namespace {

struct SelectFields {
  std::vector<int64_t> channels;
};

// "0-3,7,9-12"
std::string runs_text(const std::vector<int64_t>& channels) {
  std::string text;
  for (size_t begin = 0, end = 0; begin < channels.size(); begin = end) {
    for (end = begin + 1; end < channels.size() && channels[end] == channels[end - 1] + 1;) ++end;
    text += fmt::format("{}{}", text.empty() ? "" : ",", channels[begin]);
    if (end - begin > 1) text += fmt::format("-{}", channels[end - 1]);
  }
  return text;
}

constexpr const char* channels_range = "numbers of channels from 0 in rising order, such as 0-3,7";

std::vector<int64_t> parse_channels(std::string_view name, std::string_view text) {
  std::vector<int64_t> channels;
  const auto refuse = [&] {
    throw UserError(
        fmt::format("{} = {}: must be {}", name, data::shortened(std::string(text)), channels_range));
  };
  for (const std::string& word : split_words(text)) {
    int64_t first = 0, last = 0;
    const char* end = word.data() + word.size();
    const auto [dash, error] = std::from_chars(word.data(), end, first);
    if (error != std::errc{} || first < 0 || first >= most_channels) refuse();
    last = first;
    if (dash != end) {
      if (*dash != '-') refuse();
      const auto [rest, wrong] = std::from_chars(dash + 1, end, last);
      if (wrong != std::errc{} || rest != end || last < first || last >= most_channels) refuse();
    }
    if (!channels.empty() && first <= channels.back()) refuse();
    for (; first <= last; ++first) channels.push_back(first);
  }
  return channels;
}

const Fields<SelectFields>& select_fields() {
  static const Fields<SelectFields> list =
      Fields<SelectFields>().parsed("channels", &SelectFields::channels, channels_range,
                                    "the channels that stay, from 0", runs_text, parse_channels);
  return list;
}

Signal build_select(LayerContext& context, const Signal& input, const SelectFields& options) {
  const Shape& shape = input.value.shape();
  const int64_t channels = input.channels(), count = static_cast<int64_t>(options.channels.size());
  if (options.channels.empty()) context.fail("needs channels, such as 0-3,7");
  if (options.channels.back() >= channels)
    context.fail(fmt::format("channels = {}: {} has the channels 0 to {}", runs_text(options.channels),
                             text(shape), channels - 1));
  if (count == channels) return input;
  Tensor places(i32, {count});
  for (int64_t i = 0; i < count; ++i)
    places.data<int32_t>()[i] = static_cast<int32_t>(options.channels[static_cast<size_t>(i)]);
  const Value rows = transpose(reshape(input.value, {-1, channels}), {1, 0});
  const Value picked = transpose(gather_rows(rows, context.graph.constant(places)), {1, 0});
  Shape result = shape;
  result.back() = count;
  if (!input.columns) return {reshape(picked, result), input.lengths};
  ChannelNames columns{{}, input.columns->known};
  for (const int64_t channel : options.channels)
    columns.names.push_back(input.columns->names[static_cast<size_t>(channel)]);
  return {reshape(picked, result), input.lengths, std::make_shared<ChannelNames>(std::move(columns))};
}

LayerUnits select_units() {
  LayerUnits units;
  const auto channels_of = [](const LayerInModel& layer) {
    return select_fields().read(layer.spec).channels;
  };
  const auto set_channels = [](const LayerInModel& layer, std::vector<int64_t> channels) {
    layer.set_options(select_fields().write(layer.spec.kind, {std::move(channels)}));
  };
  units.constants = [=](const LayerInModel& layer, const ChannelConstants& inputs) {
    ChannelConstants outputs;
    for (const int64_t channel : channels_of(layer)) outputs.push_back(inputs[static_cast<size_t>(channel)]);
    return outputs;
  };
  units.reads = [=](const LayerInModel& layer, const ChannelMarks& outputs) {
    ChannelMarks read(static_cast<size_t>(layer.input.back().size()), false);
    const std::vector<int64_t> channels = channels_of(layer);
    for (size_t i = 0; i < channels.size(); ++i)
      if (outputs[i]) read[static_cast<size_t>(channels[i])] = true;
    return read;
  };
  units.why_reads = [](const LayerInModel&, float) {
    return std::string("it has no bias to add a constant to");
  };
  units.keep_inputs = [=](const LayerInModel& layer, const std::vector<int64_t>& kept,
                          const ChannelConstants&) {
    std::vector<int64_t> channels;
    const std::vector<int64_t> before = channels_of(layer);
    for (size_t i = 0; i < kept.size(); ++i)
      if (std::binary_search(before.begin(), before.end(), kept[i]))
        channels.push_back(static_cast<int64_t>(i));
    set_channels(layer, std::move(channels));
  };
  units.keep_outputs = [=](const LayerInModel& layer, const std::vector<int64_t>& kept) {
    std::vector<int64_t> channels;
    const std::vector<int64_t> before = channels_of(layer);
    for (const int64_t output : kept) channels.push_back(before[static_cast<size_t>(output)]);
    set_channels(layer, std::move(channels));
  };
  return units;
}

}  // namespace

LayerKind layer_records::select() {
  return layer_kind("select", "some of the channels", select_fields(), build_select).with(select_units());
}

Select::Select(const std::vector<int64_t>& channels)
    : LayerSpec(select_fields().write("select", {channels})) {}

}  // namespace lariat
