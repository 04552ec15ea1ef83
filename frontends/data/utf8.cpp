#include "frontends/data/utf8.hpp"

#include <fmt/format.h>

#include "graph/base/error.hpp"
#include "graph/base/json.hpp"

namespace lariat::data {

bool is_utf8(std::string_view text) {
  try {
    static_cast<void>(Json(text).dump());
    return true;
  } catch (const Json::exception&) {
    return false;
  }
}

namespace {

// How files begin that are no text, or none in UTF-8.
struct Beginning {
  std::string_view bytes, what, advice;
};
constexpr Beginning beginnings[]{
    {"\x1f\x8b", "is packed by gzip, and no text", "unpack it first: gunzip FILE"},
    {"BZh", "is packed by bzip2, and no text", "unpack it first: bunzip2 FILE"},
    {"\xfd\x37\x7a\x58\x5a", "is packed by xz, and no text", "unpack it first: unxz FILE"},
    {"PK\x03\x04", "is a zip archive, as workbooks are, and no text", "unpack it, or save the sheet as CSV"},
    {"\xd0\xcf\x11\xe0", "is a workbook, and no text", "save the sheet as CSV"},
    {"\xff\xfe", "is UTF-16, and not UTF-8", "convert it: iconv -f UTF-16 -t UTF-8 FILE"},
    {"\xfe\xff", "is UTF-16, and not UTF-8", "convert it: iconv -f UTF-16 -t UTF-8 FILE"}};

}  // namespace

std::string_view checked_text(std::string_view bytes, const std::string& file) {
  for (const Beginning& beginning : beginnings)
    if (bytes.starts_with(beginning.bytes))
      throw UserError(fmt::format("{}: {}; {}", file, beginning.what, beginning.advice));
  const size_t end = bytes.find_first_of("\r\n");
  if (end != bytes.npos && bytes[end] == '\r' && end + 1 < bytes.size() && bytes.find('\n') == bytes.npos)
    throw UserError(fmt::format(
        "{}: its lines end by carriage returns alone; convert it: tr '\\r' '\\n' < FILE > NEW", file));
  constexpr std::string_view mark = "\xef\xbb\xbf";
  if (bytes.starts_with(mark)) bytes.remove_prefix(mark.size());
  return bytes;
}

}  // namespace lariat::data
