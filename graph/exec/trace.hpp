#pragma once

#include <chrono>
#include <mutex>
#include <string>
#include <vector>

#include "graph/exec/plan.hpp"

namespace lariat {

/// Which node ran when on which thread, as Chrome's and Perfetto's viewers show it.
class Trace {
 public:
  /// Microseconds since the trace began.
  double now() const;
  /// Records a step that began at `begin` and has just ended.
  void add(const OpDef& op, const std::string& node, const Step& step, double begin);
  /// Writes Chrome's trace-event JSON. Throws UserError where the file cannot be written.
  void save(const std::string& file) const;
  size_t size() const { return events_.size(); }

 private:
  struct Event {
    std::string op, node, shapes;
    double begin, end;
    int thread;
  };
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  std::mutex mutex_;
  std::vector<Event> events_;
};

}  // namespace lariat
