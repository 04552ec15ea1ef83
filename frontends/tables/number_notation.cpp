#include "frontends/tables/number_notation.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "frontends/data/option_table.hpp"
#include "graph/base/error.hpp"

namespace lariat::data {

namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }

constexpr std::array<std::string_view, 4> form_names{"0.0", "0,0", "0.000", "0,000"};

std::string_view without_sign(std::string_view field) {
  if (field.starts_with('-') || field.starts_with('+')) field.remove_prefix(1);
  return field;
}

// What stands between thousands, as bytes of UTF-8: beside these the point and the comma.
constexpr std::array<std::string_view, 8> separators{
    " ", "'", "_", "\xC2\xA0", "\xE2\x80\xAF", "\xE2\x80\x89", "\xE2\x80\x99", "\xA0"};

// The separator that a text begins with, or "".
std::string_view separator_at(std::string_view text) {
  for (const std::string_view separator : separators)
    if (text.starts_with(separator)) return separator;
  return text.starts_with('.') || text.starts_with(',') ? text.substr(0, 1) : std::string_view();
}

// How many digits a text begins with.
size_t digits_at(std::string_view text) {
  return static_cast<size_t>(std::find_if_not(text.begin(), text.end(), is_digit) - text.begin());
}

}  // namespace

std::string_view name_of(NumberForm form) { return form_names[static_cast<size_t>(form)]; }

NumberForm number_form_named(std::string_view name) {
  const auto found = std::find(form_names.begin(), form_names.end(), name);
  if (found == form_names.end())
    throw UserError("the columns that a model was trained on are damaged; save it again");
  return static_cast<NumberForm>(found - form_names.begin());
}

std::optional<NumberForm> form_of(std::string_view field) {
  const size_t mark = field.find_first_of(".,");
  if (mark == field.npos || !number_in(field, true)) return std::nullopt;
  const bool comma = field[mark] == ',';
  const std::string_view before = without_sign(field.substr(0, mark)), behind = field.substr(mark + 1);
  const bool thousands = !before.empty() && before.size() <= 3 && before[0] != '0' && behind.size() == 3 &&
                         digits_at(behind) == 3;
  if (comma) return thousands ? NumberForm::comma_or_thousands : NumberForm::comma;
  return thousands ? NumberForm::point_or_thousands : NumberForm::point;
}

bool has_thousands(std::string_view field) {
  std::string_view rest = without_sign(field);
  const size_t digits = digits_at(rest);
  if (digits == 0 || digits > 3 || rest[0] == '0') return false;
  rest.remove_prefix(digits);
  const std::string_view between = separator_at(rest);
  if (between.empty()) return false;
  size_t groups = 0;
  while (rest.starts_with(between) && digits_at(rest.substr(between.size())) == 3) {
    rest.remove_prefix(between.size() + 3);
    ++groups;
  }
  const bool mark = between == "." || between == ",";
  if (groups == 0) return false;
  if (rest.empty()) return groups > 1 || !mark;
  if ((rest[0] != '.' && rest[0] != ',') || rest.substr(0, 1) == between) return false;
  rest.remove_prefix(1);
  return digits_at(rest) == rest.size();
}

bool is_written_number(std::string_view field) {
  if (has_thousands(field)) return true;
  std::string plain;
  for (const char c : field)
    if (c != ',' && c != '$' && c != '%' && c != '\'' && c != ' ' && c != '_') plain += c;
  return number_in(plain).has_value();
}

NotationScan::NotationScan(const TextTable& head, const std::vector<std::string>& columns, NumberForms known)
    : forms_(std::move(known)), semicolons_(head.decimal_commas) {
  for (const std::string& name : columns) {
    const auto found = std::find(head.names.begin(), head.names.end(), name);
    if (found != head.names.end())
      columns_.push_back({name, static_cast<size_t>(found - head.names.begin())});
  }
}

void NotationScan::look(const TextTable& table, size_t row) {
  for (Column& column : columns_) {
    const std::string& field = table.rows[row][column.place];
    // Between commas, a comma is no mark.
    if (!table.decimal_commas && field.find(',') != field.npos) continue;
    const std::optional<NumberForm> form = form_of(field);
    if (!form) continue;
    Field& first = column.first[static_cast<size_t>(*form)];
    if (!first.place.empty()) continue;
    first = {table.place(row), field};
    forms_[column.name].insert(*form);
  }
}

bool NotationScan::has(const std::string& column, NumberForm form) const {
  const auto found = forms_.find(column);
  return found != forms_.end() && found->second.contains(form);
}

std::string NotationScan::column_with(NumberForm form, const std::vector<std::string>& columns) const {
  const auto found =
      std::find_if(columns.begin(), columns.end(), [&](const std::string& name) { return has(name, form); });
  return found == columns.end() ? std::string() : *found;
}

namespace {

// Of a mark, the forms with it and with the other one.
struct FormsOfMark {
  NumberForm doubtful, sure, other_doubtful, other;
};

constexpr FormsOfMark forms_of_point{NumberForm::point_or_thousands, NumberForm::point,
                                     NumberForm::comma_or_thousands, NumberForm::comma};
constexpr FormsOfMark forms_of_comma{NumberForm::comma_or_thousands, NumberForm::comma,
                                     NumberForm::point_or_thousands, NumberForm::point};

}  // namespace

std::string NotationScan::at_odds(const std::string& column, bool comma,
                                  const std::vector<std::string>& columns) const {
  const FormsOfMark& forms = comma ? forms_of_comma : forms_of_point;
  if (has(column, forms.other) || has(column, forms.other_doubtful)) return column;
  if (has(column, forms.sure)) return {};
  if (const std::string other = column_with(forms.other, columns); !other.empty()) return other;
  return column_with(forms.sure, columns).empty() ? column_with(forms.other_doubtful, columns) : "";
}

void NotationScan::check(const std::vector<std::string>& columns) const {
  for (const Column& column : columns_) {
    if (std::find(columns.begin(), columns.end(), column.name) == columns.end()) continue;
    for (const bool comma : {false, true}) {
      const Field& first =
          column.first[static_cast<size_t>((comma ? forms_of_comma : forms_of_point).doubtful)];
      if (first.place.empty()) continue;
      const std::string against = at_odds(column.name, comma, columns);
      if (against.empty()) continue;
      std::string thousands = first.text;
      std::erase(thousands, comma ? ',' : '.');
      throw UserError(fmt::format(
          "{}: column '{}' is '{}', but {} has decimal {}: write {} where that is meant, else {}0",
          first.place, column.name, shortened(first.text),
          against == column.name ? "it" : fmt::format("column '{}'", against), comma ? "points" : "commas",
          thousands, first.text));
    }
  }
}

std::vector<std::string> NotationScan::notices(const std::vector<std::string>& columns) const {
  std::vector<std::string> lines;
  for (const Column& column : columns_) {
    if (!semicolons_ || std::find(columns.begin(), columns.end(), column.name) == columns.end()) continue;
    for (const FormsOfMark& forms : {forms_of_point, forms_of_comma}) {
      const Field& first = column.first[static_cast<size_t>(forms.doubtful)];
      if (first.place.empty() || !column_with(forms.sure, columns).empty()) continue;
      std::string thousands = first.text;
      std::erase_if(thousands, [](char c) { return c == ',' || c == '.'; });
      lines.push_back(
          fmt::format("{}: column '{}' is '{}', and no number of the file says whether its mark stands "
                      "between thousands; "
                      "it is read as a decimal one: write {} where that is meant",
                      first.place, column.name, shortened(first.text), thousands));
    }
  }
  return lines;
}

}  // namespace lariat::data
