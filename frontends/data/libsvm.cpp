#include "frontends/data/libsvm.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>

#include "frontends/data/option_table.hpp"
#include "graph/base/error.hpp"

namespace lariat::data {

namespace {

constexpr int64_t most_entries = std::numeric_limits<int32_t>::max();
constexpr std::string_view byte_order_mark = "\xef\xbb\xbf";

bool ends_token(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == '#'; }

class Reader {
 public:
  Reader(const std::string& file, bool zero_based)
      : file_(file), text_(read_whole_file(file)), first_index_(zero_based ? 0 : 1) {
    at_ = text_.data() + (text_.starts_with(byte_order_mark) ? byte_order_mark.size() : 0);
    end_ = text_.data() + text_.size();
  }

  LabelledRows read() {
    LabelledRows rows;
    rows.file = file_;
    // A token such as " 12:1" takes five bytes or more as a rule.
    rows.values.reserve(text_.size() / 5);
    rows.entry_columns.reserve(text_.size() / 5);
    rows.row_starts.push_back(0);
    for (line_ = 1; at_ < end_; ++line_) {
      skip_blanks();
      if (at_ < end_ && *at_ != '\n' && *at_ != '#') {
        rows.labels.push_back(number(at_, "label"));
        rows.places.push_back(line_);
        read_entries(rows);
      }
      // What is left is a comment.
      at_ = std::find(at_, end_, '\n');
      if (at_ < end_) ++at_;
    }
    rows.rows = static_cast<int64_t>(rows.labels.size());
    if (rows.rows == 0)
      throw UserError(fmt::format("{}: holds no rows; each line should be 'label index:value …'", file_));
    return rows;
  }

 private:
  void skip_blanks() {
    while (at_ < end_ && (*at_ == ' ' || *at_ == '\t' || *at_ == '\r')) ++at_;
  }

  void read_entries(LabelledRows& rows) {
    int64_t last = first_index_ - 1;
    for (skip_blanks(); at_ < end_ && *at_ != '\n' && *at_ != '#'; skip_blanks()) {
      const char* const token = at_;
      int64_t index = 0;
      for (; at_ < end_ && *at_ >= '0' && *at_ <= '9'; ++at_)
        index = std::min(10 * index + (*at_ - '0'), most_entries + 1);
      if (at_ == token || at_ == end_ || *at_ != ':') fail(token, "is not index:value");
      if (index < first_index_)
        fail(token, "has the index 0, but indices begin at 1; where they begin at 0, say --zero-based");
      if (index > most_entries) fail(token, fmt::format("has an index above {}", most_entries));
      if (index <= last)
        fail(token, fmt::format("comes after index {}, but indices must ascend within a line", last));
      ++at_;
      last = index;
      rows.entry_columns.push_back(static_cast<int32_t>(index - first_index_));
      rows.values.push_back(number(token, "value"));
    }
    rows.columns = std::max(rows.columns, last + 1 - first_index_);
    if (static_cast<int64_t>(rows.values.size()) > most_entries)
      throw UserError(fmt::format("{}: holds more than {} entries, which is the most that can be read", file_,
                                  most_entries));
    rows.row_starts.push_back(static_cast<int32_t>(rows.values.size()));
  }

  // The number at the present place, which is (part of) the token that begins at `token`.
  double number(const char* token, const char* what) {
    // Most data sets of counts hold single digits.
    if (at_ + 1 < end_ && *at_ >= '0' && *at_ <= '9' && ends_token(at_[1])) return *at_++ - '0';
    if (at_ < end_ && *at_ == '+') ++at_;
    double value = 0;
    const auto [rest, error] = std::from_chars(at_, end_, value);
    if (error == std::errc::result_out_of_range)
      fail(token, fmt::format("has a {} that no double can hold", what));
    if (error != std::errc{} || (rest < end_ && !ends_token(*rest)))
      fail(token, at_ == token ? "is no number" : fmt::format("has a {} that is no number", what));
    if (!std::isfinite(value)) fail(token, fmt::format("has a {} that is not finite", what));
    at_ = rest;
    return value;
  }

  [[noreturn]] void fail(const char* token, const std::string& why) const {
    const char* stop = token;
    while (stop < end_ && !ends_token(*stop)) ++stop;
    throw UserError(fmt::format("{}: line {}: '{}' {}; write 'label index:value …'", file_, line_,
                                shortened({token, static_cast<size_t>(stop - token)}), why));
  }

  const std::string& file_;
  std::string text_;
  const int64_t first_index_;
  const char *at_ = nullptr, *end_ = nullptr;
  int64_t line_ = 1;
};

}  // namespace

LabelledRows read_libsvm(const std::string& file, bool zero_based) { return Reader(file, zero_based).read(); }

}  // namespace lariat::data
