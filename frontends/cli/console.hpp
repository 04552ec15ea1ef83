#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "frontends/report/figures.hpp"

namespace lariat::cli {

using namespace reports;

/// Results, to standard output, with "\xNN" in place of what would move or colour what a terminal shows:
/// names come out of files. A closed pipe (`lariat … | head`) is no failure: what nobody reads is dropped.
void print(std::string_view text);
/// The text with "\n" and "\xNN" in place of bytes that would move or colour what a terminal shows.
std::string one_line(std::string_view text);
/// JSON whose strings hold "\uNNNN" in place of such characters, which says the same.
std::string harmless_json(std::string_view json);
/// One line to standard error: "lariat: …" with a line feed.
void report(std::string_view message);
/// Notices and progress, to standard error, with "\xNN" as print() has it.
void note(std::string_view text);
/// What moves the cursor, to standard error, as it is.
void note_unchanged(std::string_view text);

/// From here on print() drops its text: standard output belongs to a file that was asked for.
void silence_results();

/// From here on nothing is printed, reported or noted, until it is to speak again.
void silence_all();
void speak_again();

/// What was printed goes out now, before a long silence.
void flush_output();
/// Flushes. Throws UserError where standard output could not be written (a full disk).
void finish_output();

/// Whether standard error is a terminal that can redraw a line, and its width in columns.
bool on_terminal();
int terminal_width();

/// Limits TBB to `threads` while it lives; nothing: what the machine and its cgroup allow.
class ThreadLimit {
 public:
  explicit ThreadLimit(std::optional<int64_t> threads);
  ~ThreadLimit();
  ThreadLimit(const ThreadLimit&) = delete;
  ThreadLimit& operator=(const ThreadLimit&) = delete;
  int threads() const { return threads_; }

 private:
  int threads_;
  void* control_;
};

}  // namespace lariat::cli
