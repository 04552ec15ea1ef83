#include "frontends/sequential/layer_records.hpp"
#include "frontends/sequential/layers.hpp"
#include "frontends/sequential/layers/merging.hpp"
#include "frontends/sequential/layers/units.hpp"
#include "ops/ops.hpp"

namespace lariat {

namespace {

struct MultiplyFields {};

Signal build_multiply(LayerContext& context, const std::vector<Signal>& inputs, const MultiplyFields&) {
  check_alike(context, inputs, 0);
  // Behind a sequence's end a product may overflow.
  Value product = masked(inputs.front());
  for (size_t i = 1; i < inputs.size(); ++i) product = product * masked(inputs[i]);
  return {product, inputs.front().lengths};
}

}  // namespace

LayerKind layer_records::multiply() {
  return merge_kind("multiply", "the product, element by element, of its inputs, which are of one shape",
                    Fields<MultiplyFields>(), build_multiply)
      .with(joined_channels("it multiplies channels of several layers, which go together or not at all"));
}

Multiply::Multiply() : LayerSpec{"multiply", {}} {}

}  // namespace lariat
