#include <fmt/format.h>

#include "frontends/sequential/layer_records.hpp"
#include "frontends/sequential/layers.hpp"
#include "frontends/sequential/layers/limits.hpp"
#include "frontends/sequential/layers/units.hpp"
#include "ops/ops.hpp"

namespace lariat {

namespace {

struct ReshapeFields {
  std::vector<double> shape;
};

const Fields<ReshapeFields>& reshape_fields() {
  static const Fields<ReshapeFields> list = Fields<ReshapeFields>().numbers(
      "shape", &ReshapeFields::shape, 1, most_units, "the sizes behind the batch");
  return list;
}

Signal build_reshape(LayerContext& context, const Signal& input, const ReshapeFields& options) {
  if (input.is_sequence())
    context.fail("sequences have no fixed length to reshape; use flatten, global_average_pool or last_step");
  if (options.shape.empty()) context.fail("needs shape, the sizes behind the batch, such as 4, 7");
  Shape shape{input.value.shape()[0]};
  int64_t count = 1, have = 1;
  for (const double size : options.shape) {
    shape.emplace_back(static_cast<int64_t>(size));
    count *= static_cast<int64_t>(size);
    if (size != static_cast<double>(static_cast<int64_t>(size)) || count > int64_t{1} << 40)
      context.fail(fmt::format("shape = {}: must be whole numbers", join_numbers(options.shape)));
  }
  for (size_t axis = 1; axis < input.value.shape().size(); ++axis) have *= input.value.shape()[axis].size();
  if (have != count)
    context.fail(fmt::format("shape = {} is of {} values, but {} has {}", join_numbers(options.shape), count,
                             text(input.value.shape()), have));
  return {reshape(input.value, shape)};
}

std::vector<int64_t> values_of_reshape(const ReshapeFields& options) {
  int64_t count = 1;
  for (const double size : options.shape) count *= static_cast<int64_t>(size);
  return {count};
}

}  // namespace

LayerKind layer_records::reshape() {
  return layer_kind("reshape", "the values of an example in another shape, row by row", reshape_fields(),
                    build_reshape)
      .with(joined_channels("it moves values from one place to another"))
      .taking(reshape_fields(), values_of_reshape);
}

Reshape::Reshape(const std::vector<double>& shape) : LayerSpec(reshape_fields().write("reshape", {shape})) {}

}  // namespace lariat
