#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace lariat::data {

/// What is called `name` in Keras, PyTorch, scikit-learn or in speech, by the names that are `known` here:
/// those of them that may be meant.
std::vector<std::string> known_as(std::string_view name, const std::vector<std::string>& known);

/// As did_you_mean(), of names from elsewhere too.
std::string what_was_meant(std::string_view name, const std::vector<std::string>& known);
/// The same of a key of a table of a recipe, which may be one of another table's.
std::string which_key_was_meant(std::string_view name, const std::vector<std::string>& known);

}  // namespace lariat::data
