#include "frontends/cli/table.hpp"

#include <algorithm>

namespace lariat::cli {

namespace {

size_t width_of(const std::string& text) {
  return static_cast<size_t>(std::count_if(
      text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}

bool is_number(const std::string& text) {
  return (text[0] >= '0' && text[0] <= '9' &&
          text.find_first_not_of("0123456789.,e+-% ") == std::string::npos) ||
         text == ".";
}

// Below the first row, which may be a heading, there are numbers and nothing else.
bool is_numeric(const std::vector<std::vector<std::string>>& rows, size_t column) {
  size_t numbers = 0;
  for (size_t i = 1; i < rows.size(); ++i) {
    if (rows[i].size() <= column || rows[i][column].empty()) continue;
    if (!is_number(rows[i][column])) return false;
    ++numbers;
  }
  return numbers > 0;
}

}  // namespace

std::string columns(const std::vector<std::vector<std::string>>& rows, size_t indent) {
  std::vector<size_t> widths;
  for (const auto& row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], width_of(row[i]));
  }
  std::vector<bool> numeric(widths.size());
  for (size_t i = 0; i < widths.size(); ++i) numeric[i] = is_numeric(rows, i);
  std::string text;
  for (const auto& row : rows) {
    std::string line(indent, ' ');
    for (size_t i = 0; i < row.size(); ++i) {
      if (widths[i] == 0) continue;
      const std::string padding(widths[i] - width_of(row[i]), ' ');
      line += (numeric[i] ? padding + row[i] : row[i] + padding) + "  ";
    }
    line.erase(line.find_last_not_of(' ') + 1);
    text += line + "\n";
  }
  return text;
}

}  // namespace lariat::cli
