#pragma once

#include "graph/ir/op_def.hpp"

namespace lariat {

// The attributes that slice and pad share. One takes off the margins that the other puts on; each is the
// adjoint of the other:  size = before + count·step + after.

std::vector<AttributeSpec> margin_attributes(const std::string& what_happens);
Attributes margins(int64_t axis, Dim before, Dim after, int64_t step = 1);

struct Margins {
  Dim before, after;
};
/// Throws UserError unless each margin is one dimension and at least one is a number.
Margins checked_margins(const InferContext& c);

/// The margin in front, from the attributes and the extents with and without margins.
int64_t front_margin(const Attributes& attributes, int64_t size, int64_t count);

}  // namespace lariat
