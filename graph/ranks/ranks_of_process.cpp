#include <memory>
#include <mutex>
#include <vector>

#include "graph/ranks/ranks.hpp"

namespace lariat {

namespace {

struct Kept {
  std::mutex mutex;
  std::vector<std::shared_ptr<void>> memory;
};

std::shared_ptr<Ranks>& of_process() {
  static std::shared_ptr<Ranks> ranks;
  return ranks;
}

}  // namespace

void keep_until_exit(std::shared_ptr<void> memory) {
  static Kept& kept = *new Kept;
  const std::lock_guard lock(kept.mutex);
  kept.memory.push_back(std::move(memory));
}

const std::shared_ptr<Ranks>& ranks_of_process() { return of_process(); }
void set_ranks_of_process(std::shared_ptr<Ranks> ranks) { of_process() = std::move(ranks); }

}  // namespace lariat
