#pragma once

#include "frontends/recipe/run.hpp"

namespace lariat {

/// Throws UserError where a training by this recipe would be refused before its first step, whatever its data
/// are: layers are built for data of several sizes, and what is refused of all of them in the same way is
/// refused of those that nobody knows, whose size stands in the message as "?". What layers or the recipe say
/// of the data, such as the pixels of an image, the columns of a table or the classes of the last layer, is
/// taken to be so.
void check_without_data(const Recipe& recipe);

}  // namespace lariat
