#pragma once

#include <string>
#include <vector>

#include "graph/base/json.hpp"
#include "graph/ir/op_def.hpp"

namespace lariat {

/// What the op gives for some small samples of its own, with their inputs: by it another op of the same name
/// is known. An empty list where it has none.
Json fingerprint_of(const OpDef& op);

/// Which of these ops are of plugins, a line for each with what tells the plugin's file from another: the
/// same where processes compute the same.
std::string plugins_among(const std::vector<const OpDef*>& ops);

/// How the op differs from the one whose fingerprint this is, beyond what rounding on another processor does:
/// "gives … where … was"; "" where it does not. Throws Json::exception for what is no fingerprint.
std::string difference_from(const OpDef& op, const Json& fingerprint);

}  // namespace lariat
