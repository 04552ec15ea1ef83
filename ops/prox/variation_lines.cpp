#include "ops/prox/variation_lines.hpp"

#include <algorithm>

namespace lariat {

namespace {

GroupedElements lines_of(const KernelContext& k, int64_t fewer) {
  Extents extents = k.inputs[0].extents;
  std::vector<bool> axis(extents.size());
  const size_t along =
      static_cast<size_t>(checked_axis(k.attributes.get<int64_t>("axis"), to_shape(extents)));
  axis[along] = true;
  extents[along] = std::max<int64_t>(0, extents[along] - fewer);
  return {extents, axis};
}

}  // namespace

VariationLines::VariationLines(const KernelContext& k)
    : elements(lines_of(k, 0)), differences(lines_of(k, 1)) {}

std::vector<TensorType> infer_variation_prox(const InferContext& c,
                                             std::vector<TensorType> (*infer_rest)(const InferContext&,
                                                                                   const Shape&)) {
  Shape weights = c.shape(0);
  Dim& extent = weights[checked_axis(c.attribute<int64_t>("axis"), weights)];
  extent = extent == Dim(0) ? extent : extent - 1;
  return infer_rest(c, weights);
}

}  // namespace lariat
