#pragma once

#include <map>
#include <string>
#include <string_view>

namespace lariat::data {

/// The members of a zip archive by name, stored or deflated, as numpy.savez writes them. `file` names it in
/// messages. Throws UserError where the archive is damaged or packed in another way.
std::map<std::string, std::string> read_zip(std::string_view bytes, const std::string& file);

}  // namespace lariat::data
