#include <fmt/format.h>

#include <algorithm>

#include "frontends/sequential/layer_records.hpp"
#include "frontends/sequential/layers.hpp"
#include "frontends/sequential/layers/units.hpp"
#include "ops/ops.hpp"

namespace lariat {

namespace {

struct PermuteFields {
  std::vector<double> axes;
};

const Fields<PermuteFields>& permute_fields() {
  static const Fields<PermuteFields> list = Fields<PermuteFields>().numbers(
      "axes", &PermuteFields::axes, 1, 16, "the axes behind the batch, counted from 1, in their new order");
  return list;
}

Signal build_permute(LayerContext& context, const Signal& input, const PermuteFields& options) {
  if (input.is_sequence()) context.fail("the time of sequences stays where it is; end them before permute");
  std::vector<int64_t> axes{0}, sorted{0};
  for (const double axis : options.axes) axes.push_back(static_cast<int64_t>(axis));
  for (int64_t axis = 1; axis < input.value.rank(); ++axis) sorted.push_back(axis);
  if (!std::is_permutation(axes.begin(), axes.end(), sorted.begin(), sorted.end()))
    context.fail(fmt::format("axes = {}: {} has the axes 1 to {} behind its batch; name each once",
                             join_numbers(options.axes), text(input.value.shape()), input.value.rank() - 1));
  return {transpose(input.value, axes)};
}

}  // namespace

LayerKind layer_records::permute() {
  return layer_kind("permute", "the axes behind the batch in another order", permute_fields(), build_permute)
      .with(joined_channels("it moves values from one place to another"));
}

Permute::Permute(const std::vector<double>& axes) : LayerSpec(permute_fields().write("permute", {axes})) {}

}  // namespace lariat
