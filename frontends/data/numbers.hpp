#pragma once

#include <string>
#include <vector>

namespace lariat::data {

/// The numbers of a file: an array of numpy.save, or text of one number a line. Throws UserError naming the
/// file, and the line, for what is no finite number.
std::vector<double> read_numbers(const std::string& file);

}  // namespace lariat::data
