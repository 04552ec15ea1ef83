#include "ops/kernels/phases.hpp"

#include <immintrin.h>

#include <atomic>
#include <memory>
#include <thread>

namespace lariat {

namespace {

class Phases {
 public:
  Phases(int64_t phases, int64_t pieces, const std::function<void(int64_t, int64_t)>& work,
         const std::function<void(int64_t)>& between)
      : phases_(phases), pieces_(pieces), work_(work), between_(between) {
    for (int64_t i = 0; i < pieces; ++i) next_[i].phase.store(0, std::memory_order_relaxed);
  }

  // Until all phases are over: what is `own` first, which is in this processor's cache.
  void join(int64_t own) {
    for (int64_t waited = 0;;) {
      const int64_t phase = open_.load(std::memory_order_acquire);
      if (phase == phases_) return;
      if (take_one(phase, own)) {
        waited = 0;
      } else if (++waited < patience) {
        _mm_pause();
      } else {
        // The thread at work was interrupted, perhaps for this one.
        std::this_thread::yield();
      }
    }
  }

  static constexpr int64_t most_pieces = 64;

 private:
  static constexpr int64_t patience = 4096, cache_line = 64;

  bool take_one(int64_t phase, int64_t own) {
    for (int64_t i = 0; i < pieces_; ++i) {
      const int64_t piece = own + i < pieces_ ? own + i : own + i - pieces_;
      std::atomic<int64_t>& next = next_[piece].phase;
      int64_t expected = phase;
      if (next.load(std::memory_order_relaxed) != phase ||
          !next.compare_exchange_strong(expected, phase + 1, std::memory_order_acq_rel))
        continue;
      work_(phase, piece);
      if (done_.fetch_add(1, std::memory_order_acq_rel) + 1 == (phase + 1) * pieces_) {
        between_(phase);
        open_.store(phase + 1, std::memory_order_release);
      }
      return true;
    }
    return false;
  }

  const int64_t phases_, pieces_;
  const std::function<void(int64_t, int64_t)>& work_;
  const std::function<void(int64_t)>& between_;
  // The phase that each piece is to be taken in next; each in a cache line of its own.
  struct alignas(cache_line) Next {
    std::atomic<int64_t> phase;
  };
  Next next_[most_pieces];
  alignas(cache_line) std::atomic<int64_t> done_ = 0;  // pieces of all phases
  alignas(cache_line) std::atomic<int64_t> open_ = 0;  // the phase at hand
};

}  // namespace

void run_in_phases(const ParallelFor& parallel, int64_t phases, int64_t pieces,
                   const std::function<void(int64_t, int64_t)>& work,
                   const std::function<void(int64_t)>& between) {
  if (parallel.threads() == 1 || pieces == 1 || pieces > Phases::most_pieces) {
    for (int64_t phase = 0; phase < phases; ++phase) {
      parallel.run(pieces, 1, [&](int64_t begin, int64_t end) {
        for (int64_t piece = begin; piece < end; ++piece) work(phase, piece);
      });
      between(phase);
    }
    return;
  }
  Phases all(phases, pieces, work, between);
  parallel.run(pieces, 1, [&](int64_t begin, int64_t end) {
    for (int64_t own = begin; own < end; ++own) all.join(own);
  });
}

}  // namespace lariat
