#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace lariat::data {

/// A file of rows of text under a line of names.
struct TextTable {
  std::string file;
  std::vector<std::string> names;
  std::vector<std::vector<std::string>> rows;
  std::vector<int64_t> lines;  ///< where each row begins, from 1
  /// Whether 3,5 is a number: where fields are separated by semicolons.
  bool decimal_commas = false;

  /// "people.csv: line 7".
  std::string place(size_t row) const;
};

/// Reads comma-separated values as RFC 4180 has them: quoted fields may hold separators, line ends and,
/// twice, quotes. The first line names the columns. The separator is that of comma, tab and semicolon which
/// the line of names holds most of, outside quotes; empty lines and a byte-order mark are passed over. Throws
/// UserError with file and line for a row of another width, a quote that does not end, a name that is empty
/// or there twice, and for a file without rows.
TextTable read_csv(const std::string& file);
/// The same of what `text` holds; `file` stands for it in messages.
TextTable parse_csv(std::string_view text, const std::string& file);

/// Calls `take` with some rows at a time of a file that need not fit into memory, in their order and under
/// its names: the number of the first, from 0, and a table of them. As often as it is called it reads the
/// file again. Throws as read_csv does.
void each_csv_part(const std::string& file,
                   const std::function<void(int64_t first, const TextTable& rows)>& take);

/// The number that a field is, all of it, finite; with `decimal_commas` 3,5 is one as well as 3.5.
std::optional<double> number_in(std::string_view field, bool decimal_commas = false);

/// 1 for yes, true, y and t, 0 for no, false, n and f, in letters of any size.
std::optional<float> truth_in(std::string_view word);

/// A field that says nothing: empty, NA, N/A, NaN, null or ?.
bool is_missing(std::string_view field);

}  // namespace lariat::data
