#pragma once

#include <string>
#include <utility>
#include <vector>

namespace lariat::to_c {

/// Throws UserError where write_files would not write: `folder` is no folder, holds other files than `names`,
/// or its parent is not there.
void check_folder(const std::string& folder, const std::vector<std::string>& names);
/// Writes files, by name and text, into `folder`, which appears with all of them or not at all; one that is
/// there keeps each of its files until the new one is complete. Throws UserError as check_folder() does.
void write_files(const std::string& folder, const std::vector<std::pair<std::string, std::string>>& files);

}  // namespace lariat::to_c
