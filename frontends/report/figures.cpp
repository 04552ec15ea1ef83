#include "frontends/report/figures.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace lariat::reports {

namespace {

bool begins_character(char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }

// Where character `column` begins; the end of a shorter text.
size_t place_of(std::string_view text, size_t column) {
  for (size_t i = 0; i < text.size(); ++i)
    if (begins_character(text[i]) && column-- == 0) return i;
  return text.size();
}

}  // namespace

size_t columns_of(std::string_view text) {
  return static_cast<size_t>(std::count_if(text.begin(), text.end(), begins_character));
}

std::string fitted(std::string_view text, size_t width) {
  if (columns_of(text) <= width) return std::string(text);
  return width == 0 ? "" : std::string(text.substr(0, place_of(text, width - 1))) + "…";
}

std::string shortened(std::string_view text, size_t width) {
  const size_t columns = columns_of(text);
  if (columns <= width || width < 3) return fitted(text, width);
  const size_t behind = (width - 1) / 2;
  return fitted(text, width - behind) + std::string(text.substr(place_of(text, columns - behind)));
}

std::string grouped(int64_t number) {
  std::string digits = fmt::format("{}", number);
  const int64_t first = number < 0 ? 1 : 0;
  for (int64_t at = static_cast<int64_t>(digits.size()) - 3; at > first; at -= 3)
    digits.insert(static_cast<size_t>(at), ",");
  return digits;
}

std::string bytes_text(double bytes) {
  if (bytes < 1000) return fmt::format("{:.0f} bytes", bytes);
  const char* units[] = {"kB", "MB", "GB", "TB"};
  size_t unit = 0;
  for (bytes /= 1000; bytes >= 999.95 && unit + 1 < std::size(units); bytes /= 1000) ++unit;
  return fmt::format("{:.1f} {}", bytes, units[unit]);
}

std::string duration(double seconds) {
  if (seconds < 1) return fmt::format("{:.0f} ms", 1000 * seconds);
  if (seconds < 60) return fmt::format("{:.1f} s", seconds);
  const auto whole = std::llround(seconds);
  if (whole < 3600) return fmt::format("{} min {:02} s", whole / 60, whole % 60);
  return fmt::format("{} h {:02} min", whole / 3600, whole / 60 % 60);
}

std::string percent(double fraction) { return fmt::format("{:.1f}%", 100 * fraction); }
std::string metric_text(std::string_view name, double value) {
  return name.substr(name.rfind('/') + 1) == "accuracy" ? percent(value) : fmt::format("{:.4g}", value);
}
std::string small_percent(double fraction) { return fmt::format("{:.2g}%", 100 * fraction); }

}  // namespace lariat::reports
