#pragma once

#include <string>
#include <vector>

namespace lariat::cli {

/// Rows of text in columns, two spaces apart, each line indented by `indent`. A column whose cells all are
/// empty is left out; the last one is not padded. A column of numbers, below its heading, is set to the
/// right.
std::string columns(const std::vector<std::vector<std::string>>& rows, size_t indent = 2);

}  // namespace lariat::cli
