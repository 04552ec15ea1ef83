#include "frontends/data/libsvm.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>

#include "frontends/data/option_table.hpp"
#include "frontends/data/source.hpp"
#include "frontends/data/utf8.hpp"
#include "graph/base/error.hpp"
#include "graph/base/random.hpp"

namespace lariat::data {

namespace {

constexpr int64_t most_entries = std::numeric_limits<int32_t>::max();

bool ends_token(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == '#'; }

bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\r'; }

// Where some rows lie in a text of lines, and perhaps some before and behind them.
struct RowPlace {
  uint64_t begin = 0, end = 0;  // in bytes
  // The number of the first row there among all, from 0, and of its line, from 1.
  int64_t row = 0, line = 1;
};

// The rows of a text, lines that hold more than blanks and a comment: counted block by block, in little
// memory.
class TextRows {
 public:
  explicit TextRows(const std::string& file);

  int64_t rows() const { return rows_; }
  uint64_t hash() const { return hash_; }
  RowPlace place(int64_t first, int64_t count) const;

 private:
  // Beginnings of lines, one in each block, and the end.
  std::vector<RowPlace> marks_;
  int64_t rows_ = 0;
  uint64_t hash_ = 0;
};

TextRows::TextRows(const std::string& file) {
  marks_.push_back({});
  uint64_t size = 0;
  int64_t line = 1;
  // Whether the line has had nothing but blanks.
  bool fresh = true;
  each_block(file, [&](uint64_t begin, std::string_view block) {
    hash_ = hash_words(block.data(), block.size(), hash_);
    size = begin + block.size();
    const char *at = block.data(), *const end = at + block.size();
    if (begin == 0) at = checked_text(block, file).data();
    bool marked = false;
    while (at < end) {
      if (fresh) {
        while (at < end && is_blank(*at)) ++at;
        if (at == end) break;
        if (*at != '\n' && *at != '#') ++rows_;
        fresh = false;
      }
      at = std::find(at, end, '\n');
      if (at == end) break;
      ++at, ++line;
      fresh = true;
      if (!marked) marks_.push_back({begin + static_cast<uint64_t>(at - block.data()), 0, rows_, line});
      marked = true;
    }
  });
  marks_.push_back({size, 0, rows_, line});
}

RowPlace TextRows::place(int64_t first, int64_t count) const {
  // The last mark up to the first row, and the first from the end of the last on.
  const auto begin = std::upper_bound(marks_.begin() + 1, marks_.end() - 1, first,
                                      [](int64_t row, const RowPlace& mark) { return row < mark.row; });
  const auto end = std::lower_bound(begin, marks_.end() - 1, first + count,
                                    [](const RowPlace& mark, int64_t row) { return mark.row < row; });
  RowPlace place = *(begin - 1);
  place.end = end->begin;
  return place;
}

class Reader {
 public:
  // `text` begins with the line `line`.
  Reader(const std::string& file, std::string text, bool zero_based, int64_t line = 1)
      : file_(file), text_(std::move(text)), first_index_(zero_based ? 0 : 1), line_(line) {
    at_ = line == 1 ? checked_text(text_, file).data() : text_.data();
    end_ = text_.data() + text_.size();
  }

  // `count` rows behind those that are passed over.
  LabelledRows read(int64_t passed, int64_t count) {
    LabelledRows rows;
    rows.file = file_;
    // A token such as " 12:1" takes five bytes or more as a rule.
    rows.values.reserve(text_.size() / 5);
    rows.entry_columns.reserve(text_.size() / 5);
    rows.row_starts.push_back(0);
    for (; at_ < end_ && rows.rows < count; ++line_) {
      skip_blanks();
      const bool is_row = at_ < end_ && *at_ != '\n' && *at_ != '#';
      if (is_row && passed > 0) {
        --passed;
      } else if (is_row) {
        rows.labels.push_back(number(at_, "label"));
        rows.places.push_back(line_);
        read_entries(rows);
        ++rows.rows;
      }
      // What is left is a comment.
      at_ = std::find(at_, end_, '\n');
      if (at_ < end_) ++at_;
    }
    return rows;
  }

 private:
  void skip_blanks() {
    while (at_ < end_ && is_blank(*at_)) ++at_;
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
  int64_t line_;
};

void check_some(int64_t rows, const std::string& file) {
  if (rows == 0)
    throw UserError(fmt::format("{}: holds no rows; each line should be 'label index:value …'", file));
}

}  // namespace

LabelledRows read_libsvm(const std::string& file, bool zero_based, RowShare* share) {
  if (share == nullptr) {
    LabelledRows rows =
        Reader(file, read_whole_file(file), zero_based).read(0, std::numeric_limits<int64_t>::max());
    check_some(rows.rows, file);
    return rows;
  }
  const TextRows text(file);
  check_some(text.rows(), file);
  share->rows = text.rows();
  share->hash = text.hash();
  const auto [first, count] = share->of(text.rows());
  const RowPlace place = text.place(first, count);
  std::string bytes(place.end - place.begin, '\0');
  RandomFile(file).read(place.begin, bytes.data(), bytes.size());
  return Reader(file, std::move(bytes), zero_based, place.line).read(first - place.row, count);
}

}  // namespace lariat::data
