#pragma once

#include <cstdint>
#include <functional>
#include <string>

namespace lariat {

/// What a child process says, a line at a time, to the process that started it.
class ChildLines {
 public:
  explicit ChildLines(int descriptor) : descriptor_(descriptor) {}
  /// `line` holds no line feed.
  void send(const std::string& line) const;

 private:
  int descriptor_;
};

struct ChildOptions {
  /// How long it may say nothing before it is ended.
  int64_t seconds = 60;
  /// Drops what it prints, and lets signals do what they do by default.
  bool is_silent = false;
};

/// How a child process went.
struct ChildEnd {
  /// False where no process can be started; nothing has run then.
  bool started = false;
  /// "ended the process by signal 11 (Segmentation fault)", "did not end within 60 s"; "": `work` returned.
  std::string failure;
};

/// Runs `work` in a copy of this process and hands over each line that it sends. Neither a crash nor an exit
/// in it reaches this process. `work` throws nothing.
ChildEnd run_in_child(const std::function<void(const ChildLines&)>& work, const ChildOptions& options,
                      const std::function<void(const std::string&)>& receive);

}  // namespace lariat
