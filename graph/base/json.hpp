#pragma once

#include <cmath>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace lariat {

/// JSON whose members stay in the order they were written in.
using Json = nlohmann::ordered_json;

/// What `text` holds; a discarded value (`is_discarded()`) where that is not JSON.
Json parse_json(std::string_view text);
/// On one line, or with so many spaces a level. What is not UTF-8 is replaced by U+FFFD.
std::string to_text(const Json& json, int indent = -1);
/// JSON has no infinities and no NaN: null stands for them.
Json finite_or_null(double value);

}  // namespace lariat

// Compiled once, in json.cpp.
extern template class nlohmann::basic_json<nlohmann::ordered_map>;
