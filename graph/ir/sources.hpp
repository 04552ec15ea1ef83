#pragma once

#include <vector>

#include "graph/ir/op_def.hpp"

namespace lariat {

/// The records of the four ops without inputs: input, parameter, state, constant.
std::vector<OpDef> source_ops();

}  // namespace lariat
