#include "frontends/sequential/layer_records.hpp"
#include "frontends/sequential/layers.hpp"
#include "frontends/sequential/layers/merging.hpp"
#include "ops/ops.hpp"

namespace lariat {

namespace {

struct ConcatFields {};

Signal build_concat(LayerContext& context, const std::vector<Signal>& inputs, const ConcatFields&) {
  check_alike(context, inputs, 1);
  std::vector<Value> values;
  for (const Signal& input : inputs) values.push_back(input.value);
  ChannelNames columns;
  bool of_data = true;
  for (const Signal& input : inputs) {
    of_data = of_data && input.columns;
    if (!of_data) break;
    columns.names.insert(columns.names.end(), input.columns->names.begin(), input.columns->names.end());
    columns.known.insert(input.columns->known.begin(), input.columns->known.end());
  }
  return {values.size() == 1 ? values.front() : concat(values, values.front().rank() - 1),
          inputs.front().lengths, of_data ? std::make_shared<ChannelNames>(std::move(columns)) : nullptr};
}

}  // namespace

LayerKind layer_records::concat() {
  return merge_kind("concat", "its inputs side by side: the channels of one behind those of the other",
                    Fields<ConcatFields>(), build_concat)
      .with({.side_by_side = true});
}

Concat::Concat() : LayerSpec{"concat", {}} {}

}  // namespace lariat
