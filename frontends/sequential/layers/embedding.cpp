#include <fmt/format.h>

#include "frontends/sequential/layer_records.hpp"
#include "frontends/sequential/layers.hpp"
#include "frontends/sequential/layers/limits.hpp"
#include "frontends/sequential/layers/units.hpp"
#include "ops/ops.hpp"

namespace lariat {

namespace {

struct EmbeddingFields {
  int64_t symbols = 0, units = 0;
  WeightPenalty penalty = {};
};

const Fields<EmbeddingFields>& embedding_fields() {
  static const Fields<EmbeddingFields> list =
      Fields<EmbeddingFields>()
          .integer("symbols", &EmbeddingFields::symbols, 1, int64_t{1} << 24, "how many there are, from 0")
          .integer("units", &EmbeddingFields::units, 1, most_units, "size of the vector of each")
          .parsed("table_penalty", &EmbeddingFields::penalty, weight_penalty_range,
                  "penalties of the vectors", to_text, parse_weight_penalty);
  return list;
}

Signal build_embedding(LayerContext& context, const Signal& input, const EmbeddingFields& options) {
  const Shape& shape = input.value.shape();
  if (input.is_sequence() && (shape.size() != 3 || input.channels() != 1))
    context.fail(fmt::format("takes sequences of one symbol a frame, [batch, time, 1]; got {}", text(shape)));
  const Value table =
      context.parameter("table", {options.symbols, options.units}, init::glorot_uniform(), options.penalty);
  // A number that is not whole is no symbol either: -1 is refused.
  const Value given = masked(input), whole = cast(cast(given, i32), given.dtype());
  const Value indices = cast(where(equal(given, whole), given, -1), i32);
  // A symbol that is none of them is told by this name.
  const auto vectors = [&](Value symbols) {
    return gather_rows(table, symbols).named(context.name + "/symbols");
  };
  if (!input.is_sequence()) return {vectors(indices)};
  return {vectors(reshape(indices, {shape[0], shape[1]})), input.lengths};
}

// A unit whose number is the same for every symbol is a constant; every symbol is read.
LayerUnits embedding_units() {
  LayerUnits units;
  units.constants = [](const LayerInModel& layer, const ChannelConstants&) {
    const Tensor table = layer.weight("table");
    const auto values = table.values<float>();
    const auto width = static_cast<size_t>(table.extents().back());
    ChannelConstants constants(values.begin(), values.begin() + static_cast<int64_t>(width));
    for (size_t at = 0; at < values.size(); ++at)
      if (std::optional<float>& constant = constants[at % width]; constant && *constant != values[at])
        constant.reset();
    return constants;
  };
  units.keep_outputs = [](const LayerInModel& layer, const std::vector<int64_t>& kept) {
    EmbeddingFields options = embedding_fields().read(layer.spec);
    options.units = static_cast<int64_t>(kept.size());
    layer.set_options(embedding_fields().write(layer.spec.kind, options));
    layer.keep("table", -1, kept);
  };
  units.reason = "it looks its input up";
  return units;
}

}  // namespace

LayerKind layer_records::embedding() {
  LayerKind kind = layer_kind("embedding", "a trained vector for each symbol, which are numbers from 0",
                              embedding_fields(), build_embedding);
  kind.symbols = [](const LayerSpec& spec) { return embedding_fields().read(spec).symbols; };
  return std::move(kind).with(embedding_units());
}

Embedding::Embedding(int64_t symbols, int64_t units, const EmbeddingOptions& options)
    : LayerSpec(embedding_fields().write("embedding", {symbols, units, options.table_penalty})) {}

}  // namespace lariat
