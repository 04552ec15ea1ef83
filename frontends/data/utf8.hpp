#pragma once

#include <string>
#include <string_view>

namespace lariat::data {

/// Whether `text` is valid UTF-8, as everything in a model file must be.
bool is_utf8(std::string_view text);

/// The beginning of a file of lines, or all of it, without a byte-order mark. Throws UserError that says what
/// it is and how it becomes text, where it is packed, a workbook, UTF-16, or ends its lines by CR alone.
std::string_view checked_text(std::string_view bytes, const std::string& file);

}  // namespace lariat::data
