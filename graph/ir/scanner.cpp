#include "graph/ir/scanner.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <charconv>
#include <type_traits>

#include "graph/base/error.hpp"

namespace lariat {

namespace {

bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool is_figure(char c) { return c >= '0' && c <= '9'; }
bool is_in_token(char c) {
  return is_letter(c) || is_figure(c) || std::string_view("_./:-").find(c) != std::string_view::npos;
}

}  // namespace

size_t Scanner::line_of(size_t position) const {
  return 1 + static_cast<size_t>(
                 std::count(text_.begin(), text_.begin() + static_cast<ptrdiff_t>(position), '\n'));
}

std::string Scanner::found() const {
  if (at_end()) return "the end of the text";
  if (peek() == '\n' || peek() == '\r' || peek() == '#') return "the end of the line";
  if (peek() == '"') return "a string";
  size_t end = at_ + 1;
  if (is_in_token(peek()))
    while (end < text_.size() && end - at_ < 30 && is_in_token(text_[end])) ++end;
  const std::string_view next = text_.substr(at_, end - at_);
  const bool visible = std::all_of(next.begin(), next.end(), [](char c) { return c >= 0x20 && c < 0x7f; });
  return visible ? fmt::format("'{}'", next)
                 : fmt::format("the byte 0x{:02x}", static_cast<unsigned char>(next[0]));
}

void Scanner::fail(std::string_view expected) const {
  refuse(at_, fmt::format("expected {}, found {}", expected, found()));
}

void Scanner::refuse(size_t position, std::string_view message) const {
  throw UserError(fmt::format("graph text line {}: {}", line_of(position), message));
}

void Scanner::skip_blanks() {
  while (peek() == ' ' || peek() == '\t' || peek() == '\r') ++at_;
}

void Scanner::skip_comment() {
  if (peek() == '#') at_ = std::min(text_.find('\n', at_), text_.size());
}

void Scanner::skip_layout() {
  for (skip_blanks(); peek() == '\n' || peek() == '#'; skip_blanks()) {
    skip_comment();
    if (peek() == '\n') ++at_;
  }
}

bool Scanner::accept(char c) {
  skip_blanks();
  if (peek() != c) return false;
  ++at_;
  skip_blanks();
  return true;
}

void Scanner::expect(char c, std::string_view place) {
  if (!accept(c)) fail(fmt::format("'{}' {}", c, place));
}

std::string_view Scanner::word() {
  const size_t start = at_;
  while (is_in_token(peek())) ++at_;
  return since(start);
}

std::string_view Scanner::plain_word() {
  const size_t start = at_;
  while (at_letter() || at_digit()) ++at_;
  return since(start);
}

std::string Scanner::name(std::string_view expected) {
  if (peek() == '"') return quoted();
  if (!is_in_token(peek())) fail(expected);
  return std::string(word());
}

std::string Scanner::quoted() {
  const size_t start = at_++;
  std::string result;
  while (peek() != '"') {
    if (at_end() || peek() == '\n') refuse(start, "a string is not closed: expected '\"' on the same line");
    const char c = text_[at_++];
    result += c == '\\' ? escaped() : c;
  }
  ++at_;
  return result;
}

char Scanner::escaped() {
  const char c = peek();
  if (c != '"' && c != '\\' && c != 'n' && c != 'x') fail("\\\", \\\\, \\n or \\xNN in a string");
  ++at_;
  if (c == 'n') return '\n';
  if (c != 'x') return c;
  unsigned char byte = 0;
  const char* first = text_.data() + at_;
  const char* last = first + std::min<size_t>(2, text_.size() - at_);
  if (std::from_chars(first, last, byte, 16).ptr != first + 2) fail("two hexadecimal digits after \\x");
  at_ += 2;
  return static_cast<char>(byte);
}

std::string_view Scanner::brackets() {
  const size_t start = at_;
  if (peek() != '[') fail("'[' before the dimensions of a shape");
  const size_t end = text_.find_first_of("]\n", at_);
  if (end == std::string_view::npos || text_[end] == '\n')
    refuse(start, "a shape is not closed: expected ']' on the same line");
  at_ = end + 1;
  return since(start);
}

size_t Scanner::number_end() const {
  size_t end = at_;
  const auto belongs = [&](char c) {
    return is_letter(c) || is_figure(c) || c == '.' ||
           ((c == '-' || c == '+') && (end == at_ || text_[end - 1] == 'e'));
  };
  while (end < text_.size() && belongs(text_[end])) ++end;
  if (text_.substr(at_, end - at_) == "nan" && end < text_.size() && text_[end] == '(')
    end = std::min(text_.find_first_of(")\n", end), text_.size() - 1) + 1;
  return end;
}

bool Scanner::at_integer() const {
  const std::string_view token = text_.substr(at_, number_end() - at_);
  return std::all_of(token.begin(), token.end(), [](char c) { return is_figure(c) || c == '-'; });
}

template <class T>
T Scanner::number(std::string_view expected) {
  std::string_view token = text_.substr(at_, number_end() - at_);
  const size_t length = token.size();
  const auto read = [&](auto& value, auto... base) {
    const auto [end, error] = std::from_chars(token.data(), token.data() + token.size(), value, base...);
    return !token.empty() && error == std::errc() && end == token.data() + token.size();
  };
  T value{};
  bool good = false;
  if constexpr (std::is_floating_point_v<T>) {
    if (token.starts_with("nan(0x") && token.ends_with(')')) {
      token = token.substr(6, token.size() - 7);
      std::conditional_t<sizeof(T) == 4, uint32_t, uint64_t> bits = 0;
      const bool is_hexadecimal = read(bits, 16);
      value = std::bit_cast<T>(bits);
      good = is_hexadecimal && value != value;
    } else {
      good = !token.ends_with(')') && read(value);
    }
  } else {
    good = read(value);
  }
  if (!good) fail(expected);
  at_ += length;
  return value;
}

template float Scanner::number(std::string_view);
template double Scanner::number(std::string_view);
template int32_t Scanner::number(std::string_view);
template int64_t Scanner::number(std::string_view);

template <class T>
T Scanner::digits(std::string_view expected) {
  T value{};
  const auto [end, error] = std::from_chars(text_.data() + at_, text_.data() + text_.size(), value);
  if (!at_digit() || error != std::errc()) fail(expected);
  at_ = static_cast<size_t>(end - text_.data());
  return value;
}

template int32_t Scanner::digits(std::string_view);
template int64_t Scanner::digits(std::string_view);

}  // namespace lariat
