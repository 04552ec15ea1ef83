#pragma once

#include <string>

namespace lariat::plugin {

/// Why the dynamic linker would read behind the end of the shared object, which ends the process; "" where it
/// would not. What is no shared object of this kind of machine is left to the linker, which says so.
std::string cut_off(const std::string& file);

}  // namespace lariat::plugin
