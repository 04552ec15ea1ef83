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

  /// All runs of one op together. Work that a step spread over several threads counts once, by the clock.
  struct OpTotal {
    std::string op;
    int64_t runs = 0;
    double microseconds = 0, flops = 0, bytes = 0;
  };
  /// By op, longest time first.
  std::vector<OpTotal> totals() const;

 private:
  struct Event {
    std::string op, node, shapes;
    double begin, end;
    int thread;
    Cost cost;
  };
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  std::mutex mutex_;
  std::vector<Event> events_;
};

}  // namespace lariat
