#pragma once

#include <string>
#include <vector>

namespace lariat::benchmarks {

/// What the machine can do at best, measured.
struct Limit {
  int threads = 1;
  /// Products of 512 x 512 matrices of float, one on each thread, by the fastest of OpenBLAS, oneDNN where it
  /// is installed, and lariat.
  double product_gflops = 0;
  /// The faster of a = b + c·d (STREAM's triad) and a = a + b·c, over arrays of 64 MB.
  double memory_gbytes = 0;
};

struct Machine {
  std::string processor, openblas_core, compiler;
  std::vector<Limit> limits;
  /// How long a cache line takes from one core to another and back: some 60 where the cores share a cache,
  /// several hundred where they do not.
  double handover_nanoseconds = 0;
  const Limit& at(int threads) const;
};

/// Measures with 1, 2, 4 … and `threads` threads.
Machine measure_machine(int threads);

/// 1, 2, 4 … and `threads`.
std::vector<int> thread_counts(int threads);

}  // namespace lariat::benchmarks
