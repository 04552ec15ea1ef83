#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace lariat::cli {

/// Results, to standard output, with "\xNN" in place of what would move or colour what a terminal shows:
/// names come out of files. A closed pipe (`lariat … | head`) is no failure: what nobody reads is dropped.
void print(std::string_view text);
/// The text with "\n" and "\xNN" in place of bytes that would move or colour what a terminal shows.
std::string one_line(std::string_view text);
/// One line to standard error: "lariat: …" with a line feed.
void report(std::string_view message);
/// Notices and progress, to standard error, with "\xNN" as print() has it.
void note(std::string_view text);
/// What moves the cursor, to standard error, as it is.
void note_unchanged(std::string_view text);

/// From here on print() drops its text: standard output belongs to a file that was asked for.
void silence_results();

/// What was printed goes out now, before a long silence.
void flush_output();
/// Flushes. Throws UserError where standard output could not be written (a full disk).
void finish_output();

/// Whether standard error is a terminal that can redraw a line, and its width in columns.
bool on_terminal();
int terminal_width();

/// The text cut to `width` columns, "…" at the end of what was cut. UTF-8 sequences count as one column.
std::string fitted(std::string_view text, size_t width);

/// "1,234,567".
std::string grouped(int64_t number);
/// "1.2 kB", "3.4 MB".
std::string bytes_text(double bytes);
/// "850 ms", "12.3 s", "4 min 05 s".
std::string duration(double seconds);
/// "97.2%".
std::string percent(double fraction);
/// "12%", "0.3%", "0.00041%": two digits, wherever they are.
std::string small_percent(double fraction);

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
