#pragma once

#include <string_view>

namespace lariat::data {

/// Whether `text` is valid UTF-8, as everything in a model file must be.
bool is_utf8(std::string_view text);

}  // namespace lariat::data
