#pragma once

#include <string>
#include <vector>

namespace lariat {

class Recipe;

/// A line where a recipe sets apart less than one percent, which elsewhere would be a share; or "".
std::string said_of_shares(const Recipe& recipe);

/// What a training by the recipe says of its keys before it begins: such shares, and keys that change nothing
/// and are no fault, for saved models may have them.
std::vector<std::string> notices_of(const Recipe& recipe);

}  // namespace lariat
