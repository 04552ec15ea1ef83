#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace lariat::testing {

/// One record of a file of TensorBoard's.
struct Event {
  double wall_time = 0;
  int64_t step = 0;
  std::string version, tag;
  float value = 0;
};

/// Reads and checks such a file; shares nothing with what writes them.
std::vector<Event> read_events(const std::string& file);

}  // namespace lariat::testing
