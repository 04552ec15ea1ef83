#include "frontends/tables/csv.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <limits>
#include <map>
#include <set>

#include "frontends/data/labelled_rows.hpp"
#include "frontends/data/option_table.hpp"
#include "frontends/data/source.hpp"
#include "frontends/data/utf8.hpp"
#include "graph/base/error.hpp"

namespace lariat::data {

std::string TextTable::place(size_t row) const { return fmt::format("{}: line {}", file, lines[row]); }

bool is_missing(std::string_view field) {
  constexpr std::array<std::string_view, 9> words{"", "NA", "N/A", "NaN", "nan", "null", "NULL", "None", "?"};
  return std::find(words.begin(), words.end(), field) != words.end();
}

std::optional<double> number_in(std::string_view field, bool decimal_commas) {
  std::string pointed;
  if (const size_t comma = field.find(','); decimal_commas && comma != field.npos) {
    if (field.find('.') != field.npos) return std::nullopt;
    pointed = field;
    pointed[comma] = '.';
    field = pointed;
  }
  double value = 0;
  if (field.starts_with('+')) field.remove_prefix(1);
  const char* end = field.data() + field.size();
  const auto [rest, error] = std::from_chars(field.data(), end, value);
  return error == std::errc{} && rest == end && std::isfinite(value) ? std::optional(value) : std::nullopt;
}

std::optional<float> truth_in(std::string_view word) {
  std::string small;
  for (const char c : word) small += c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  if (small == "yes" || small == "true" || small == "y" || small == "t") return 1.0F;
  if (small == "no" || small == "false" || small == "n" || small == "f") return 0.0F;
  return std::nullopt;
}

namespace {

// Reads row after row.
class CsvReader {
 public:
  CsvReader(std::string_view text, const std::string& file) : rest_(checked_text(text, file)), file_(file) {
    std::map<char, int> found;
    bool quoted = false;
    for (const char c : rest_.substr(0, rest_.find('\n'))) {
      if (c == '"') quoted = !quoted;
      if (!quoted) ++found[c];
    }
    for (const char separator : {'\t', ';'})
      if (found[separator] > found[separator_]) separator_ = separator;
  }

  char separator() const { return separator_; }

  // The line of the row that was read last, from 1.
  int64_t line() const { return row_line_; }
  // What is read next.
  const char* place() const { return rest_.data(); }

  // False where there are no more rows.
  bool next(std::vector<std::string>& fields) {
    while (!rest_.empty() && (rest_.front() == '\n' || rest_.starts_with("\r\n"))) {
      rest_.remove_prefix(rest_.front() == '\n' ? 1 : 2);
      ++line_;
    }
    fields.clear();
    if (rest_.empty()) return false;
    row_line_ = line_;
    do fields.push_back(field());
    while (take(separator_));
    if (!rest_.empty() && rest_.front() == '\r') rest_.remove_prefix(1);
    if (!rest_.empty() && !take('\n'))
      throw UserError(fmt::format(
          "{}: line {}: has text behind a closing quote; put all of the field in quotes", file_, row_line_));
    ++line_;
    return true;
  }

 private:
  bool take(char c) {
    if (rest_.empty() || rest_.front() != c) return false;
    rest_.remove_prefix(1);
    return true;
  }

  std::string field() {
    if (take('"')) return quoted();
    const std::array ends{separator_, '\n'};
    std::string_view field = rest_.substr(0, rest_.find_first_of(std::string_view(ends.data(), ends.size())));
    rest_.remove_prefix(field.size());
    if (field.ends_with('\r')) field.remove_suffix(1);
    while (field.starts_with(' ')) field.remove_prefix(1);
    while (field.ends_with(' ')) field.remove_suffix(1);
    return std::string(field);
  }

  std::string quoted() {
    std::string field;
    while (true) {
      const size_t quote = rest_.find('"');
      if (quote == rest_.npos)
        throw UserError(fmt::format(
            "{}: line {}: a quote begins there that does not end; write \"\" for a quote in a field", file_,
            row_line_));
      field += rest_.substr(0, quote);
      rest_.remove_prefix(quote + 1);
      if (!take('"')) break;
      field += '"';
    }
    line_ += std::count(field.begin(), field.end(), '\n');
    return field;
  }

  std::string_view rest_;
  const std::string& file_;
  char separator_ = ',';
  int64_t line_ = 1, row_line_ = 1;
};

// The names that the first line gives columns.
std::vector<std::string> names_in(CsvReader& reader, const std::string& file) {
  std::vector<std::string> names;
  if (!reader.next(names)) throw UserError(fmt::format("{}: is empty; its first line names columns", file));
  for (const std::string& name : names)
    if (name.find('\0') != name.npos)
      throw UserError(fmt::format("{}: is no table of text; give CSV, whose first line names columns", file));
  std::set<std::string> seen;
  for (const std::string& name : names) {
    if (name.empty())
      throw UserError(fmt::format("{}: line {}: column {} has no name; the first line names every column",
                                  file, reader.line(), seen.size() + 1));
    if (!is_utf8(name))
      throw UserError(fmt::format("{}: line {}: the name '{}' is not UTF-8, in which models are saved", file,
                                  reader.line(), shortened(name)));
    if (!seen.insert(name).second)
      throw UserError(
          fmt::format("{}: line {}: names the column '{}' twice; the first line gives every column "
                      "a name of its own",
                      file, reader.line(), shortened(name)));
  }
  // Whole numbers may be names; others are data.
  const auto is_data = [](const std::string& name) {
    const std::optional<double> number = number_in(name);
    return number && *number != std::floor(*number);
  };
  if (const auto data = std::find_if(names.begin(), names.end(), is_data); data != names.end())
    throw UserError(
        fmt::format("{}: line {}: '{}' is a number where a column should be named; write a line of names "
                    "above the data, such "
                    "as x1{}x2{}y",
                    file, reader.line(), shortened(*data), reader.separator(), reader.separator()));
  return names;
}

// Adds the next rows, at most so many. False where there are no more.
bool add_rows(CsvReader& reader, TextTable& table, size_t most) {
  std::vector<std::string> fields;
  while (table.rows.size() < most) {
    if (!reader.next(fields)) return false;
    if (fields.size() != table.names.size())
      throw UserError(fmt::format("{}: line {}: has {} field{}, but the first line names {} columns",
                                  table.file, reader.line(), fields.size(), fields.size() == 1 ? "" : "s",
                                  table.names.size()));
    table.rows.push_back(fields);
    table.lines.push_back(reader.line());
  }
  return true;
}

[[noreturn]] void fail_without_rows(const std::string& file) {
  throw UserError(fmt::format("{}: has no rows below its line of names", file));
}

// How many rows are in memory at a time.
constexpr size_t rows_at_once = 4096;

}  // namespace

TextTable read_csv(const std::string& file) { return parse_csv(read_whole_file(file), file); }

TextTable parse_csv(std::string_view text, const std::string& file) {
  CsvReader reader(text, file);
  TextTable table{file, names_in(reader, file), {}, {}, reader.separator() == ';'};
  add_rows(reader, table, std::numeric_limits<size_t>::max());
  if (table.rows.empty()) fail_without_rows(file);
  return table;
}

void each_csv_part(const std::string& file,
                   const std::function<void(int64_t first, const TextTable& rows)>& take) {
  const MappedFile text(file);
  CsvReader reader(text.bytes(), file);
  TextTable table{file, names_in(reader, file), {}, {}, reader.separator() == ';'};
  int64_t first = 0;
  for (bool more = true; more; first += static_cast<int64_t>(table.rows.size())) {
    table.rows.clear();
    table.lines.clear();
    more = add_rows(reader, table, rows_at_once);
    if (!table.rows.empty()) take(first, table);
    text.forget(reader.place());
  }
  if (first == 0) fail_without_rows(file);
}

}  // namespace lariat::data
