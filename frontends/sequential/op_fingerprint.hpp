#pragma once

#include <nlohmann/json.hpp>

#include "graph/op_def.hpp"

namespace lariat {

/// What the op gives for some small samples of its own, with their inputs: by it another op of the same name
/// is known. An empty list where it has none.
nlohmann::ordered_json fingerprint_of(const OpDef& op);

/// How the op differs from the one whose fingerprint this is, beyond what rounding on another processor does:
/// "gives … where … was"; "" where it does not. Throws nlohmann::json::exception for what is no fingerprint.
std::string difference_from(const OpDef& op, const nlohmann::ordered_json& fingerprint);

}  // namespace lariat
