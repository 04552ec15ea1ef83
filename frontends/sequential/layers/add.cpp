#include "frontends/sequential/layer_records.hpp"
#include "frontends/sequential/layers.hpp"
#include "frontends/sequential/layers/merging.hpp"
#include "frontends/sequential/layers/units.hpp"
#include "ops/ops.hpp"

namespace lariat {

namespace {

struct AddFields {};

Signal build_add(LayerContext& context, const std::vector<Signal>& inputs, const AddFields&) {
  check_alike(context, inputs, 0);
  Value sum = inputs.front().value;
  for (size_t i = 1; i < inputs.size(); ++i) sum = sum + inputs[i].value;
  return {sum, inputs.front().lengths};
}

}  // namespace

LayerKind layer_records::add() {
  return merge_kind("add", "the sum of its inputs, which are of one shape", Fields<AddFields>(), build_add)
      .with(joined_channels("it adds channels of several layers, which go together or not at all"));
}

Add::Add() : LayerSpec{"add", {}} {}

}  // namespace lariat
