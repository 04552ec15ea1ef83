#include "frontends/cli/console.hpp"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <tbb/global_control.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <system_error>

#include "frontends/cli/little_memory.hpp"
#include "graph/base/error.hpp"
#include "graph/exec/executor.hpp"

namespace lariat::cli {

namespace {

bool silenced = false, all_silenced = false;
int output_error = 0;  // errno of the first write that failed

// How many bytes the character of UTF-8 has that begins at `at`; 0 where none does.
size_t character_at(std::string_view text, size_t at) {
  const auto byte = [&](size_t i) { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0U; };
  const unsigned first = byte(at);
  const size_t length = first < 0x80   ? 1
                        : first < 0xC2 ? 0
                        : first < 0xE0 ? 2
                        : first < 0xF0 ? 3
                        : first < 0xF5 ? 4
                                       : 0;
  for (size_t i = 1; i < length; ++i)
    if ((byte(at + i) & 0xC0) != 0x80) return 0;
  return length;
}

// The number of the character of so many bytes.
unsigned code_at(std::string_view text, size_t at, size_t length) {
  const auto byte = [&](size_t i) { return static_cast<unsigned>(static_cast<unsigned char>(text[at + i])); };
  unsigned code = length == 1 ? byte(0) : byte(0) & (0x7F >> length);
  for (size_t i = 1; i < length; ++i) code = code << 6 | (byte(i) & 0x3F);
  return code;
}

// Whether it would move, reorder or colour what a terminal shows: control characters of ASCII and of Latin-1,
// ends of lines, and those of the direction of writing.
bool is_control(unsigned code) {
  return code < 0x20 || (code >= 0x7F && code < 0xA0) || (code >= 0x2028 && code <= 0x202E) ||
         (code >= 0x2066 && code <= 0x2069);
}

// "\\n", "\\xNN" and "\\uNNNN" in place of these, and of bytes that are no part of a character.
std::string harmless(std::string_view text, bool keep_lines) {
  std::string result;
  for (size_t i = 0; i < text.size();) {
    const size_t length = character_at(text, i);
    const unsigned code =
        length > 0 ? code_at(text, i, length) : static_cast<unsigned>(static_cast<unsigned char>(text[i]));
    if (length > 0 && (!is_control(code) || (keep_lines && (code == '\n' || code == '\t')))) {
      result += text.substr(i, length);
    } else {
      result += code == '\n'   ? "\\n"
                : code < 0x100 ? fmt::format("\\x{:02x}", code)
                               : fmt::format("\\u{:04x}", code);
    }
    i += std::max<size_t>(length, 1);
  }
  return result;
}

}  // namespace

void print(std::string_view text) {
  if (silenced || all_silenced || output_error != 0) return;
  const std::string shown = harmless(text, true);
  if (std::fwrite(shown.data(), 1, shown.size(), stdout) != shown.size()) output_error = errno;
}

std::string one_line(std::string_view text) { return harmless(text, false); }

std::string harmless_json(std::string_view json) {
  std::string result;
  for (size_t i = 0; i < json.size();) {
    const size_t length = std::max<size_t>(character_at(json, i), 1);
    const unsigned code = length > 1 ? code_at(json, i, length) : 0;
    if (length > 1 && is_control(code)) {
      result += fmt::format("\\u{:04x}", code);
    } else {
      result += json.substr(i, length);
    }
    i += length;
  }
  return result;
}

void report(std::string_view message) { note(fmt::format("lariat: {}\n", one_line(message))); }

void note(std::string_view text) { note_unchanged(harmless(text, true)); }

void note_unchanged(std::string_view text) {
  if (all_silenced) return;
  flush_output();  // what was printed before stands before, where both go to one terminal
  std::fwrite(text.data(), 1, text.size(), stderr);
  std::fflush(stderr);
}

void silence_results() { silenced = true; }
void silence_all() { all_silenced = true; }
void speak_again() { all_silenced = false; }

void flush_output() {
  if (output_error == 0 && std::fflush(stdout) != 0) output_error = errno;
}

void finish_output() {
  flush_output();
  if (output_error == 0 || output_error == EPIPE) return;
  throw UserError(fmt::format("cannot write standard output: {}; send it somewhere else",
                              std::generic_category().message(output_error)));
}

bool on_terminal() {
  static const bool terminal = [] {
    const char* kind = std::getenv("TERM");
    return isatty(STDERR_FILENO) == 1 && !(kind != nullptr && std::string_view(kind) == "dumb");
  }();
  return terminal;
}

int terminal_width() {
  winsize size = {};
  return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

ThreadLimit::ThreadLimit(std::optional<int64_t> threads)
    : threads_(threads_within_limits(threads ? static_cast<int>(*threads) : available_threads())),
      control_(new tbb::global_control(tbb::global_control::max_allowed_parallelism,
                                       static_cast<size_t>(threads_))) {}

ThreadLimit::~ThreadLimit() { delete static_cast<tbb::global_control*>(control_); }

}  // namespace lariat::cli
