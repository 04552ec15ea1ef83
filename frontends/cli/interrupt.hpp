#pragma once

#include <atomic>

namespace lariat::cli {

/// While it lives, the first SIGINT, SIGTERM or SIGHUP only sets a flag; a second one ends the process as
/// usual.
class Interruption {
 public:
  Interruption();
  ~Interruption();
  Interruption(const Interruption&) = delete;
  Interruption& operator=(const Interruption&) = delete;
  /// True once the signal has come.
  const std::atomic<bool>& flag() const;
  /// The same, which may be looked at before and after.
  static const std::atomic<bool>& flag_of_process();
};

}  // namespace lariat::cli
