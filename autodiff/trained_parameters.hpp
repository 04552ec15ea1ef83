#pragma once

#include <vector>

#include "graph/ir/value.hpp"

namespace lariat {

/// The parameters that `loss` depends on, or those of them that are asked for. Throws UserError where there
/// is none, or one that is asked for is not among them.
std::vector<Value> trained_parameters(Value loss, const std::vector<Value>& asked);

}  // namespace lariat
