#pragma once

namespace lariat {

/// "0.2.0", as semantic versioning has it.
inline constexpr const char* version = "0.2.0";

}  // namespace lariat
