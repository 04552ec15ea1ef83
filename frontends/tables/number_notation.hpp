#pragma once

#include <array>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "frontends/tables/csv.hpp"

namespace lariat::data {

/// How numbers of a column are written: 0.0 has a decimal point and 0,0 a decimal comma, while behind the
/// mark of 0.000 and of 0,000 are three digits: it may stand between thousands as well.
enum class NumberForm { point, comma, point_or_thousands, comma_or_thousands };

/// The form of a number, none of one without a mark or of a text.
std::optional<NumberForm> form_of(std::string_view field);

/// Whether a text is a number but for what people write into one: 1,430 or 1 430.5 or 1'430 or $3.50 or 4%.
bool is_written_number(std::string_view field);
/// Of those, the number with thousands apart, such as 1.234.567 or 1 430,5; 1,430 and 1.430 are none.
bool has_thousands(std::string_view field);

/// The forms of each column of numbers that has any, by their names.
using NumberForms = std::map<std::string, std::set<NumberForm>>;

/// What the rows of a table, or of several read alike, say of how numbers are written.
class NotationScan {
 public:
  /// Of these columns, continuing with what others said.
  NotationScan(const TextTable& head, const std::vector<std::string>& columns, NumberForms known = {});
  void look(const TextTable& table, size_t row);
  /// Throws UserError with file, line and column where a number may be two, a thousand times one another, as
  /// 1.234 is among decimal commas. Only `columns` count.
  void check(const std::vector<std::string>& columns) const;
  /// A line for each column between semicolons of which nothing says whether 1.234 is one and a bit.
  std::vector<std::string> notices(const std::vector<std::string>& columns) const;
  const NumberForms& forms() const { return forms_; }

 private:
  struct Field {
    std::string place, text;
  };
  struct Column {
    std::string name;
    size_t place = 0;
    /// The first field of each form.
    std::array<Field, 4> first = {};
  };
  bool has(const std::string& column, NumberForm form) const;
  // What the first field that may be two numbers is at odds with: that column, or "".
  std::string at_odds(const std::string& column, bool comma, const std::vector<std::string>& columns) const;
  std::string column_with(NumberForm form, const std::vector<std::string>& columns) const;

  std::vector<Column> columns_;
  NumberForms forms_;
  bool semicolons_ = false;
};

/// As a model has them: "0.0", "0,0", "0.000", "0,000". Throws UserError for another.
std::string_view name_of(NumberForm form);
NumberForm number_form_named(std::string_view name);

}  // namespace lariat::data
