#pragma once

#include <span>
#include <string>
#include <vector>

#include "graph/ir/op_def.hpp"

namespace lariat {

/// Attributes of an op from entries such as "beta = 2" and "axes = 0 1". Throws UserError for what is none of
/// the op's, and for a value of another kind.
Attributes attributes_from_text(const OpDef& op, std::span<const std::string> entries);

/// The two sides of "name = value", without spaces around them; the second is empty where there is no sign.
std::pair<std::string, std::string> sides_of(std::string_view entry, char sign = '=');

}  // namespace lariat
