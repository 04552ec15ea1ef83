#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace lariat::to_c {

/// A number as C99 writes it: "0.1F", "(-INFINITY)", "-3"; a float comes back to the bit.
std::string literal(float value);
std::string literal(int64_t value);
/// A string literal; what is not printable ASCII becomes an octal escape.
std::string string_literal(std::string_view text);
/// Text within a comment: what would end it, or move what a terminal shows, is left out.
std::string comment_text(std::string_view text);
/// A name as C takes it: other characters become _, and a digit in front gets one.
std::string identifier(std::string_view text);

/// Whether the text has `name` as a whole word of C.
bool has_word(std::string_view text, std::string_view name);
/// A line that reads each of these parameters which `body` does not, for compilers that ask for it.
std::string unread_parameters(std::string_view body, const std::vector<std::string_view>& parameters);

/// What one C file holds beside its functions: constants, and the helpers that were asked for.
class CUnit {
 public:
  /// The name of a constant array. Of the same type and elements there is one only.
  std::string constant(std::span<const float> values);
  std::string constant(std::span<const uint8_t> values);
  std::string constant(std::span<const uint16_t> values);
  std::string constant(std::span<const int8_t> values);
  std::string constant(std::span<const int16_t> values);
  std::string constant(std::span<const int32_t> values);
  /// Makes a helper (helpers()) part of the file, with those that it calls, and returns its name.
  std::string helper(std::string_view name);
  /// Leaves out constants that these functions do not name: of weights that are all zero, say.
  void leave_out_unread(std::string_view functions);

  /// Bytes of all constant arrays.
  int64_t constant_bytes() const;
  /// The text of both, to stand before the functions.
  std::string text() const;

 private:
  template <class T>
  std::string add(std::span<const T> values, std::string_view type);

  struct Constant {
    std::string name, text;
    int64_t bytes = 0;
  };
  std::map<std::pair<std::string, std::string>, std::string> names_;  // by type and elements
  std::vector<Constant> constants_;
  std::set<std::string, std::less<>> helpers_;
};

/// A function that generated files share: its text, and the helpers that it calls.
struct CHelper {
  std::string_view name;
  std::vector<std::string_view> needs;
  std::string_view text;
};
/// All of them, each behind those that it calls.
const std::vector<CHelper>& c_helpers();

}  // namespace lariat::to_c
