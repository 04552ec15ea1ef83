#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace lariat {

/// Reads a graph's text token by token and says where it is wrong. Every error is a UserError that begins
/// with the line: "graph text line 3: expected '=', found 'matmul'".
class Scanner {
 public:
  explicit Scanner(std::string_view text) : text_(text) {}

  bool at_end() const { return at_ >= text_.size(); }
  /// The next character, or 0 at the end.
  char peek() const { return at_end() ? '\0' : text_[at_]; }
  bool at_digit() const { return peek() >= '0' && peek() <= '9'; }
  bool at_letter() const { return (peek() >= 'a' && peek() <= 'z') || (peek() >= 'A' && peek() <= 'Z'); }
  size_t position() const { return at_; }
  /// Goes back to where position() was `position`.
  void rewind(size_t position) { at_ = position; }
  std::string_view since(size_t position) const { return text_.substr(position, at_ - position); }

  [[noreturn]] void fail(std::string_view expected) const;
  /// Refuses what stands at `position`, with any message.
  [[noreturn]] void refuse(size_t position, std::string_view message) const;

  /// Spaces and tabs.
  void skip_blanks();
  void skip_comment();
  /// Blanks, comments and line ends.
  void skip_layout();

  /// Skips `c` and the blanks around it, if it is next.
  bool accept(char c);
  /// The same; fails with "expected 'c' place" where it is not.
  void expect(char c, std::string_view place);

  /// Letters, digits and _ . / : -, perhaps none.
  std::string_view word();
  /// Letters and digits, perhaps none.
  std::string_view plain_word();
  /// A word or a quoted string.
  std::string name(std::string_view expected);
  std::string quoted();
  /// The text from '[' to ']'.
  std::string_view brackets();

  /// An int32_t, int64_t, float or double; "inf", "nan" and "nan(0x7fc00001)", which gives the bits, are
  /// numbers.
  template <class T>
  T number(std::string_view expected);
  /// Digits without a sign.
  template <class T>
  T digits(std::string_view expected);
  /// Whether the number that comes next has no point, exponent, inf or nan.
  bool at_integer() const;

 private:
  size_t line_of(size_t position) const;
  std::string found() const;
  char escaped();
  size_t number_end() const;

  std::string_view text_;
  size_t at_ = 0;
};

}  // namespace lariat
