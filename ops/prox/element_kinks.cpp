#include "ops/prox/element_kinks.hpp"

#include <fmt/format.h>

#include "graph/base/error.hpp"

namespace lariat {

std::vector<TensorType> infer_kink_prox(const InferContext& c, const Shape& weights) {
  if (c.size() < first_kink_input + 5 || (c.size() - first_kink_input - 2) % 3 != 0)
    c.fail(fmt::format(
        "takes v, the step, the weight, two bounds, and three inputs for each kink; got {} inputs",
        c.size()));
  for (size_t i = first_kink_input; i < c.size(); ++i)
    if (!c.shape(i).empty() && c.shape(i) != c.shape(0))
      c.fail(fmt::format("input {} is {}; bounds and kinks must be scalars or have v's shape {}", i,
                         text(c.shape(i)), text(c.shape(0))));
  return infer_group_prox(c, weights);
}

std::vector<InputSpec> kink_inputs(std::vector<InputSpec> first) {
  for (const InputSpec& more :
       {InputSpec{"low", "bounds of each element: scalars or of v's shape"},
        InputSpec{"high", "at least low"}, InputSpec{"at", "the place of a kink, a scalar or of v's shape"},
        InputSpec{"below", "the slope below it"},
        InputSpec{"above", "the slope above it, at least that; then place and slopes of the others"}})
    first.push_back(more);
  return first;
}

}  // namespace lariat
