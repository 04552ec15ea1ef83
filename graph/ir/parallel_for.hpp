#pragma once

#include <cstdint>
#include <functional>

namespace lariat {

/// Runs `body(begin, end)` over [0, count) in chunks of `grain`, perhaps on several threads. Chunk limits
/// depend on the arguments only.
class ParallelFor {
 public:
  virtual ~ParallelFor() = default;
  virtual void run(int64_t count, int64_t grain, const std::function<void(int64_t, int64_t)>& body) const = 0;
  /// How many threads may take part. A kernel may cut its work by it only where no bit of the result depends
  /// on the cut.
  virtual int threads() const { return 1; }
  /// The number of the calling thread, below threads(): no two that are at work have the same.
  virtual int thread() const { return 0; }
};

}  // namespace lariat
