#include "ops/kernels/phases.hpp"

#include <immintrin.h>

#include <atomic>
#include <thread>

namespace lariat {

namespace {

class Phases {
 public:
  static constexpr int64_t most_pieces = 64;

  Phases(int64_t phases, int64_t pieces, const std::function<void(int64_t, int64_t)>& work)
      : phases_(phases), pieces_(pieces), work_(work) {}

  // Until all phases are over: a thread's own piece, which is in its processor's cache, and others of threads
  // that are not there.
  void join(int64_t own) {
    bool others_are_absent = false;
    for (int64_t phase = 0; phase < phases_; ++phase) {
      take(phase, own);
      int64_t patience = first_patience;
      for (int64_t waited = 0; !is_over(phase); ++waited) {
        if (others_are_absent || waited == patience) {
          others_are_absent = take_one(phase, own);
          if (!others_are_absent && waited == last_patience) std::this_thread::yield();
          if (others_are_absent || waited == last_patience) waited = 0;
          patience = last_patience;
        }
        _mm_pause();
      }
    }
  }

 private:
  // How often one looks before others' pieces are looked at, which makes these threads fetch what is theirs
  // again; and before one lets others have the processor, for a thread at work may have lost it.
  static constexpr int64_t first_patience = 32, last_patience = 4096;
  static constexpr int64_t cache_line = 64;

  bool is_over(int64_t phase) const {
    for (int64_t i = 0; i < pieces_; ++i)
      if (finished_[i].phases.load(std::memory_order_acquire) <= phase) return false;
    return true;
  }

  bool take(int64_t phase, int64_t piece) {
    std::atomic<int64_t>& taken = taken_[piece].phases;
    int64_t expected = phase;
    if (taken.load(std::memory_order_relaxed) != phase ||
        !taken.compare_exchange_strong(expected, phase + 1, std::memory_order_acq_rel))
      return false;
    work_(phase, piece);
    finished_[piece].phases.store(phase + 1, std::memory_order_release);
    return true;
  }

  bool take_one(int64_t phase, int64_t own) {
    for (int64_t piece = 0; piece < pieces_; ++piece)
      if (piece != own && take(phase, piece)) return true;
    return false;
  }

  const int64_t phases_, pieces_;
  const std::function<void(int64_t, int64_t)>& work_;
  // How many phases of each piece somebody has taken, and how many are finished: each in a cache line of its
  // own, for threads that wait look at the latter only.
  struct alignas(cache_line) Count {
    std::atomic<int64_t> phases = 0;
  };
  Count taken_[most_pieces], finished_[most_pieces];
};

}  // namespace

void run_in_phases(const ParallelFor& parallel, int64_t phases, int64_t pieces,
                   const std::function<void(int64_t, int64_t)>& work) {
  if (parallel.threads() == 1 || pieces == 1 || pieces > Phases::most_pieces) {
    for (int64_t phase = 0; phase < phases; ++phase)
      parallel.run(pieces, 1, [&](int64_t begin, int64_t end) {
        for (int64_t piece = begin; piece < end; ++piece) work(phase, piece);
      });
    return;
  }
  Phases all(phases, pieces, work);
  parallel.run(pieces, 1, [&](int64_t begin, int64_t end) {
    for (int64_t own = begin; own < end; ++own) all.join(own);
  });
}

}  // namespace lariat
