#include "frontends/tables/columns.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <map>
#include <optional>
#include <set>

#include "frontends/data/option_table.hpp"
#include "frontends/data/utf8.hpp"
#include "graph/base/error.hpp"

namespace lariat::data {

namespace {

size_t column_named(const TextTable& table, const std::string& name) {
  const auto found = std::find(table.names.begin(), table.names.end(), name);
  if (found == table.names.end())
    throw UserError(
        std::count_if(table.names.begin(), table.names.end(),
                      [](const std::string& word) { return number_in(word).has_value(); }) > 1
            ? fmt::format(
                  "{}: has no column '{}'; the first line must name the columns, but begins with '{}'",
                  table.file, name, shortened(table.names.front()))
            : fmt::format("{}: has no column '{}'.{}", table.file, name, did_you_mean(name, table.names)));
  return static_cast<size_t>(found - table.names.begin());
}

double number_at(const TextTable& table, size_t row, size_t column, const char* advice = "") {
  const std::string& field = table.rows[row][column];
  const std::optional<double> value = number_in(field, table.decimal_commas);
  if (!value)
    throw UserError(fmt::format("{}: column '{}' is '{}', which is no finite number{}", table.place(row),
                                table.names[column], shortened(field),
                                is_written_number(field) ? "; write it as 1430.5" : advice));
  return *value;
}

constexpr size_t most_categories = 1000;

// What the rows say of one column, looked at twice: for the values that there are, then for how far numbers
// are from their mean.
class ColumnScan {
 public:
  ColumnScan(size_t column, bool number) : column_(column), is_number_(number) {}

  void look(const TextTable& table, size_t row) {
    const std::string& field = table.rows[row][column_];
    if (is_missing(field)) return;
    const std::optional<double> number = number_in(field, table.decimal_commas);
    is_number_ = is_number_ && number;
    if (number) sum_ += *number, ++count_;
    if (number) outside_ += *number < 0 || *number > 1, between_ += *number > 0 && *number < 1;
    if (!number && has_thousands(field) && first_thousands_.empty())
      first_thousands_ =
          fmt::format("{}: column '{}' is '{}'", table.place(row), table.names[column_], shortened(field));
    if (!number && others_++ == 0)
      first_other_ = fmt::format("{}: column '{}' is '{}', which is no number", table.place(row),
                                 table.names[column_], shortened(field));
    // Of numbers that are many, no list of values will be asked for.
    if ((!is_number_ || values_.size() <= most_categories) && values_.insert(field).second &&
        !is_utf8(field) && not_utf8_.empty())
      not_utf8_ = fmt::format("{}: column '{}' is '{}', which is not UTF-8, in which models are saved",
                              table.place(row), table.names[column_], shortened(field));
  }
  bool is_number() const { return is_number_; }
  void look_again(const TextTable& table, size_t row) {
    if (const auto number = number_in(table.rows[row][column_], table.decimal_commas))
      squares_ += (*number - mean()) * (*number - mean());
  }

  // Whether nearly every row has a value of its own.
  bool tells_nothing(size_t rows) const {
    return values_.size() > most_categories || (values_.size() > 20 && 2 * values_.size() > rows);
  }
  // "column 'id' is no number and has 30 different values in 30 rows, such as 'a1'"
  std::string described(const std::string& name, const char* what, size_t rows) const {
    return fmt::format("column '{}' {}has {} different values in {} rows, such as '{}'", name, what,
                       values_.size(), rows, shortened(*values_.begin()));
  }
  // Whether all values would be numbers without what people write into them.
  bool holds_written_numbers() const {
    return std::all_of(values_.begin(), values_.end(), is_written_number);
  }
  // Of a column that holds numbers, where the first one with thousands apart is; else "".
  std::string thousands_among_numbers() const { return count_ > 0 ? first_thousands_ : ""; }
  const std::string& first_value() const { return *values_.begin(); }
  // Whether all are numbers from 0 to 1, and some are between; two numbers alone are two classes.
  bool holds_shares() const { return others_ == 0 && outside_ == 0 && between_ > 0 && values_.size() > 2; }
  // Of a column that holds texts among numbers that are at least as many, where the first one is; else "".
  std::string text_among_numbers() const {
    if (count_ == 0 || others_ == 0 || others_ > count_) return {};
    return fmt::format("{}, as {:.0f} of {:.0f} are", first_other_, count_, count_ + others_);
  }

  Columns::Feature category(const std::string& file, const std::string& name, size_t rows) const {
    if (!not_utf8_.empty()) throw UserError(not_utf8_);
    Columns::Feature feature{name, 0, 0, 1, {values_.begin(), values_.end()}, true};
    if (tells_nothing(rows))
      throw UserError(
          fmt::format("{}: {}, which are no classes; learn another column, or numbers by mean_squared_error",
                      file, described(name, "", rows)));
    if (std::all_of(feature.values.begin(), feature.values.end(),
                    [](const std::string& v) { return number_in(v).has_value(); }))
      std::stable_sort(feature.values.begin(), feature.values.end(),
                       [](const auto& a, const auto& b) { return *number_in(a) < *number_in(b); });
    return feature;
  }
  Columns::Feature number(const std::string& name, bool standardize) const {
    Columns::Feature feature{name};
    feature.mean = mean();
    const double deviation = count_ > 0 ? std::sqrt(squares_ / count_) : 0;
    if (standardize) feature.centre = feature.mean;
    if (standardize && deviation > 1e-12 * std::abs(feature.mean)) feature.scale = 1 / deviation;
    return feature;
  }

 private:
  double mean() const { return count_ > 0 ? sum_ / count_ : 0; }

  size_t column_;
  bool is_number_;
  double sum_ = 0, squares_ = 0, count_ = 0, others_ = 0, outside_ = 0, between_ = 0;
  std::set<std::string> values_;
  std::string not_utf8_, first_other_, first_thousands_;
};

// All columns that are asked for, over rows that are looked at one by one.
class TableScan {
 public:
  // `head` has the names and the file of all rows.
  TableScan(const TextTable& head, const ColumnOptions& options)
      : options_(options), file_(head.file), columns_{{}, options.targets, {}, options.weight} {
    check_table(head);
    columns_.label_targets = options.label_targets;
    if (options.targets.empty())
      throw UserError(fmt::format("{}: which column is to be learned? Name it as target: {}", head.file,
                                  fmt::join(head.names, ", ")));
    check_named_once();
    std::set<std::string> taken(options.targets.begin(), options.targets.end());
    for (const std::string& name : options.targets) column_named(head, name);
    if (!options.weight.empty()) {
      column_named(head, options.weight);
      if (!taken.insert(options.weight).second)
        throw UserError(fmt::format("{}: the column '{}' is a target, and the weight; name it once",
                                    head.file, options.weight));
    }
    for (const std::string& name : options.ignored) {
      column_named(head, name);
      if (taken.contains(name) || is_among(name, options.features))
        throw UserError(fmt::format("{}: the column '{}' is ignored, and a {}; name it once", head.file, name,
                                    is_among(name, options.features) ? "feature" : "target or a weight"));
    }
    taken.insert(options.ignored.begin(), options.ignored.end());
    features_ = options.features;
    if (features_.empty())
      std::copy_if(head.names.begin(), head.names.end(), std::back_inserter(features_),
                   [&](const std::string& name) { return !taken.contains(name); });
    for (const std::string& name : features_) {
      if (taken.contains(name))
        throw UserError(fmt::format("{}: the column '{}' is a target or a weight, and cannot be a feature",
                                    head.file, name));
      scan(head, name, !is_among(name, options.categories));
    }
    for (const std::string& name : options.categories) {
      column_named(head, name);
      if (is_among(name, options.targets))
        throw UserError(
            fmt::format("{}: the column '{}' is a category, and a target, whose loss says what it is; "
                        "leave it out of categories",
                        head.file, name));
      if (!is_among(name, features_))
        throw UserError(
            fmt::format("{}: the column '{}' is a category, but no feature; leave it out of "
                        "categories, or name it as a feature",
                        head.file, name));
    }
    for (const std::string& name : options.targets)
      if (is_class(name)) scan(head, name, false);
    std::vector<std::string> numbers = features_;
    numbers.insert(numbers.end(), options.targets.begin(), options.targets.end());
    if (!options.weight.empty()) numbers.push_back(options.weight);
    notation_.emplace(head, numbers);
  }

  void look(const TextTable& table, size_t row) {
    ++rows_;
    for (auto& [name, scan] : scans_) scan.look(table, row);
    notation_->look(table, row);
  }
  void look_again(const TextTable& table, size_t row) {
    for (auto& [name, scan] : scans_)
      if (scan.is_number()) scan.look_again(table, row);
  }

  Columns found() && {
    check_categories();
    for (const std::string& name : features_) {
      const ColumnScan& scan = scans_.at(name);
      columns_.features.push_back(scan.is_number() ? scan.number(name, options_.standardize)
                                                   : scan.category(file_, name, rows_));
    }
    columns_.number_forms = notation_->forms();
    if (columns_.dimensions() == 0)
      throw UserError(fmt::format("{}: has no features; it needs columns beside its targets", file_));
    const auto values = [&](const std::string& name) {
      return scans_.at(name).category(file_, name, rows_).values;
    };
    // Of one target that says how probable something is, numbers are learned.
    const bool shares = options_.shares && options_.targets.size() == 1 && is_class(options_.targets[0]) &&
                        scans_.at(options_.targets[0]).holds_shares();
    if (shares) return checked();
    if (options_.classes && options_.targets.size() == 1) columns_.classes = values(options_.targets[0]);
    if (!options_.class_targets.empty())
      for (const std::string& name : options_.targets)
        columns_.target_classes.push_back(
            is_among(name, options_.class_targets) ? values(name) : std::vector<std::string>());
    return checked();
  }

 private:
  Columns checked() {
    const std::vector<std::string> numbers = columns_.numbers();
    notation_->check(numbers);
    for (std::string& notice : notation_->notices(numbers)) columns_.notices.push_back(std::move(notice));
    std::erase_if(columns_.number_forms, [&](const auto& of) { return !is_among(of.first, numbers); });
    return std::move(columns_);
  }
  static void check_table(const TextTable& head) {
    // "1 3:0.5 7:2"
    const std::string& first = head.names.front();
    const size_t colon = first.find(':'), space = first.find(' ');
    if (head.names.size() == 1 && space < colon && colon != first.npos && number_in(first.substr(0, space)) &&
        number_in(first.substr(space + 1, colon - space - 1)))
      throw UserError(
          fmt::format("{}: is LIBSVM text and no table of columns; take [data] kind = libsvm, or "
                      "lariat solve",
                      head.file));
  }
  void check_named_once() const {
    for (const auto& [key, names] :
         {std::pair("target", &options_.targets), std::pair("features", &options_.features),
          std::pair("categories", &options_.categories), std::pair("ignore", &options_.ignored)})
      for (size_t i = 0; i < names->size(); ++i)
        if (std::find(names->begin(), names->begin() + static_cast<std::ptrdiff_t>(i), (*names)[i]) !=
            names->begin() + static_cast<std::ptrdiff_t>(i))
          throw UserError(
              fmt::format("{}: the column '{}' is twice in {}; name it once", file_, (*names)[i], key));
  }
  // Identifiers, dates and other texts say nothing of rows that are not there. All such columns are named at
  // once.
  void check_categories() {
    std::vector<std::string> unfit;
    for (const std::string& name : features_) {
      const ColumnScan& scan = scans_.at(name);
      if (scan.is_number() || is_among(name, options_.categories)) continue;
      if (const std::string thousands = scan.thousands_among_numbers(); !thousands.empty())
        throw UserError(
            fmt::format("{}, a number with its thousands apart; write it as 1430.5, or have the column for "
                        "categories, by [data] categories = {}",
                        thousands, quoted({name})));
      if (scan.holds_written_numbers())
        throw UserError(
            fmt::format("{}: column '{}' holds numbers such as '{}'; write them as 1430.5, or have them "
                        "for categories, by [data] categories = {}",
                        file_, name, shortened(scan.first_value()), quoted({name})));
      const std::string stray = scan.text_among_numbers();
      if (scan.tells_nothing(rows_) && !stray.empty())
        throw UserError(
            fmt::format("{}; correct it, leave it empty where it is missing, or leave the column out, by "
                        "[data] ignore = {}",
                        stray, quoted({name})));
      if (!stray.empty())
        columns_.notices.push_back(
            fmt::format("{}: the column is taken for categories; [data] categories = {} says so, an empty "
                        "field that a number is missing",
                        stray, quoted({name})));
      if (scan.tells_nothing(rows_)) unfit.push_back(name);
    }
    if (unfit.empty()) return;
    std::string others;
    for (size_t i = 1; i < unfit.size(); ++i)
      others += fmt::format("{} '{}'", i > 1 ? "," : unfit.size() == 2 ? ", nor is" : ", nor are", unfit[i]);
    throw UserError(fmt::format("{}: {}{}; leave {} out, by [data] ignore = {}", file_,
                                scans_.at(unfit.front()).described(unfit.front(), "is no number and ", rows_),
                                others, unfit.size() == 1 ? "it" : "them", quoted(unfit)));
  }
  // As a recipe has it.
  static std::string quoted(const std::vector<std::string>& names) {
    std::string list;
    for (const std::string& name : names) list += fmt::format("{}{:?}", list.empty() ? "" : ", ", name);
    return "[" + list + "]";
  }
  static bool is_among(const std::string& name, const std::vector<std::string>& names) {
    return std::find(names.begin(), names.end(), name) != names.end();
  }
  bool is_class(const std::string& target) const {
    return (options_.classes && options_.targets.size() == 1) || is_among(target, options_.class_targets);
  }
  void scan(const TextTable& head, const std::string& name, bool number) {
    scans_.emplace(name, ColumnScan(column_named(head, name), number));
  }

  ColumnOptions options_;
  std::string file_;
  Columns columns_;
  std::vector<std::string> features_;
  std::map<std::string, ColumnScan> scans_;
  std::optional<NotationScan> notation_;
  size_t rows_ = 0;
};

}  // namespace

namespace {

[[noreturn]] void fail_without_training_rows() {
  throw UserError("there are no rows to train on; keep fewer of them for other things");
}

}  // namespace

Columns columns_of(const TextTable& table, const ColumnOptions& options) {
  if (table.rows.empty()) fail_without_training_rows();
  TableScan scan(table, options);
  for (size_t row = 0; row < table.rows.size(); ++row) scan.look(table, row);
  for (size_t row = 0; row < table.rows.size(); ++row) scan.look_again(table, row);
  return std::move(scan).found();
}

Columns columns_of(const EachPart& each, const ColumnOptions& options) {
  std::optional<TableScan> scan;
  each([&](const TextTable& part) {
    if (!scan) scan.emplace(part, options);
    for (size_t row = 0; row < part.rows.size(); ++row) scan->look(part, row);
  });
  if (!scan) fail_without_training_rows();
  each([&](const TextTable& part) {
    for (size_t row = 0; row < part.rows.size(); ++row) scan->look_again(part, row);
  });
  return std::move(*scan).found();
}

Columns with_numbers_of(Columns columns, const TextTable& rows, bool standardize) {
  for (Columns::Feature& feature : columns.features) {
    if (feature.is_category) continue;
    ColumnScan scan(column_named(rows, feature.name), true);
    for (size_t row = 0; row < rows.rows.size(); ++row) scan.look(rows, row);
    for (size_t row = 0; row < rows.rows.size(); ++row) scan.look_again(rows, row);
    feature = scan.number(feature.name, standardize);
  }
  return columns;
}

namespace {

size_t value_at(const TextTable& table, size_t row, size_t column, const std::vector<std::string>& known,
                bool feature) {
  const std::string& field = table.rows[row][column];
  const auto found = std::find(known.begin(), known.end(), field);
  if (found == known.end())
    throw UserError(
        fmt::format("{}: column '{}' is '{}', which training never saw.{} {}train on rows that have "
                    "it too, or leave the row out",
                    table.place(row), table.names[column], shortened(field), did_you_mean(field, known),
                    feature ? "Leave it empty, which is none of these, " : "Correct it, "));
  return static_cast<size_t>(found - known.begin());
}

float target_at(const TextTable& table, size_t row, size_t column, const Columns& columns, size_t target) {
  if (target < columns.target_classes.size() && !columns.target_classes[target].empty())
    return static_cast<float>(value_at(table, row, column, columns.target_classes[target], false));
  const std::vector<std::string>& labels = columns.label_targets;
  const bool label = std::find(labels.begin(), labels.end(), columns.targets[target]) != labels.end();
  if (const auto truth = label ? truth_in(table.rows[row][column]) : std::nullopt) return *truth;
  return static_cast<float>(
      number_at(table, row, column,
                label ? "; of several labels each is 1 or 0, or yes or no, or true or false"
                      : "; classes are learned by a loss of theirs, such as softmax_cross_entropy"));
}

void add_feature(const TextTable& table, size_t row, size_t column, const Columns::Feature& feature,
                 std::vector<float>& values) {
  const bool missing = is_missing(table.rows[row][column]);
  if (feature.is_category) {
    const size_t first = values.size();
    values.resize(first + feature.values.size());
    if (!missing) values[first + value_at(table, row, column, feature.values, true)] = 1;
  } else {
    const double value = missing ? feature.mean : number_at(table, row, column);
    values.push_back(static_cast<float>((value - feature.centre) * feature.scale));
  }
}

}  // namespace

Dataset dataset_of(const TextTable& table, const Columns& columns, bool labelled) {
  Dataset dataset;
  dataset.sequences = false;
  dataset.classes = columns.classes;
  NotationScan notation(table, columns.numbers(), columns.number_forms);
  for (size_t row = 0; row < table.rows.size(); ++row) notation.look(table, row);
  notation.check(columns.numbers());
  std::vector<size_t> features, targets;
  for (const Columns::Feature& feature : columns.features)
    features.push_back(column_named(table, feature.name));
  if (labelled)
    for (const std::string& name : columns.targets) targets.push_back(column_named(table, name));
  const bool as_classes = !columns.classes.empty();
  if (labelled && !as_classes)
    dataset.targets = {static_cast<int64_t>(targets.size()), false, columns.targets, columns.target_classes};
  for (const Columns::Feature& feature : columns.features)
    dataset.columns.push_back({feature.name, feature.width()});
  for (size_t row = 0; row < table.rows.size(); ++row) {
    const auto target_missing = [&](size_t column) { return is_missing(table.rows[row][column]); };
    if (const auto gap = std::find_if(targets.begin(), targets.end(), target_missing); gap != targets.end()) {
      dataset.skipped.push_back(fmt::format("{}: has no '{}'", table.place(row), table.names[*gap]));
      continue;
    }
    Example example{table.place(row), 0, 1, columns.dimensions(), {}};
    for (size_t i = 0; i < features.size(); ++i)
      add_feature(table, row, features[i], columns.features[i], example.values);
    if (labelled && as_classes)
      example.label = static_cast<int>(value_at(table, row, targets[0], columns.classes, false));
    if (labelled && !as_classes)
      for (size_t i = 0; i < targets.size(); ++i)
        example.targets.push_back(target_at(table, row, targets[i], columns, i));
    if (labelled && !columns.weight.empty())
      example.weight = static_cast<float>(number_at(table, row, column_named(table, columns.weight)));
    dataset.examples.push_back(std::move(example));
  }
  return dataset;
}

}  // namespace lariat::data
