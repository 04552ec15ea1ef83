#include "benchmarks/machine.hpp"

#include <cblas.h>
#ifdef LARIAT_ONEDNN
#include <dnnl.h>
#include <omp.h>
#endif

#include <algorithm>
#include <barrier>
#include <chrono>
#include <fstream>
#include <functional>
#include <thread>

#include "graph/blas.hpp"
#include "ops/gemm.hpp"

extern "C" char* openblas_get_corename(void);

namespace lariat::benchmarks {

namespace {

using Clock = std::chrono::steady_clock;
constexpr int repetitions = 15;
constexpr int64_t side = 512;

// Seconds of the fastest of several runs of `body(thread)` on all threads at once.
double fastest(int threads, const std::function<void(int)>& body) {
  double best = 1e300;
  Clock::time_point begin;
  std::barrier start(threads, [&]() noexcept { begin = Clock::now(); });
  std::barrier end(threads, [&]() noexcept {
    best = std::min(best, std::chrono::duration<double>(Clock::now() - begin).count());
  });
  std::vector<std::jthread> workers;
  for (int thread = 0; thread < threads; ++thread)
    workers.emplace_back([&, thread] {
      for (int i = 0; i < repetitions; ++i) {
        start.arrive_and_wait();
        body(thread);
        end.arrive_and_wait();
      }
    });
  workers.clear();
  return best;
}

double product_gflops(int threads) {
  const int64_t count = side * side;
  std::vector<std::vector<float>> a(threads), b(threads), c(threads);
  for (int t = 0; t < threads; ++t) {
    a[t].assign(count, 0.5f);
    b[t].assign(count, 0.25f);
    c[t].assign(count, 0);
  }
  double seconds = fastest(threads, [&](int t) {
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, side, side, side, 1, a[t].data(), side,
                b[t].data(), side, {}, c[t].data(), side);
  });
  struct Serial final : ParallelFor {
    void run(int64_t count, int64_t, const std::function<void(int64_t, int64_t)>& body) const override {
      body(0, count);
    }
  };
  seconds = std::min(seconds, fastest(threads, [&](int t) {
                       gemm<float>(Serial(), false, false, side, side, side, a[t].data(), side, b[t].data(),
                                   side, {}, c[t].data(), side);
                     }));
#ifdef LARIAT_ONEDNN
  seconds = std::min(seconds, fastest(threads, [&](int t) {
                       omp_set_num_threads(1);
                       dnnl_sgemm('N', 'N', side, side, side, 1, a[t].data(), side, b[t].data(), side, 0,
                                  c[t].data(), side);
                     }));
#endif
  return 2.0 * static_cast<double>(side * side * side) * threads / seconds / 1e9;
}

double memory_gbytes(int threads) {
  const int64_t count = 32 << 20;
  std::vector<float> a(count, 1), b(count, 2), c(count, 3);
  const auto part = [&](int t) { return std::pair{count * t / threads, count * (t + 1) / threads}; };
  const double triad = fastest(threads, [&](int t) {
    const auto [begin, end] = part(t);
    for (int64_t i = begin; i < end; ++i) a[i] = b[i] + 0.5f * c[i];
  });
  const double in_place = fastest(threads, [&](int t) {
    const auto [begin, end] = part(t);
    for (int64_t i = begin; i < end; ++i) a[i] += 0.5f * b[i];
  });
  return 3.0 * 4 * static_cast<double>(count) / std::min(triad, in_place) / 1e9;
}

std::string processor_name() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);)
    if (line.starts_with("model name")) return line.substr(line.find(':') + 2);
  return "unknown";
}

}  // namespace

std::vector<int> thread_counts(int threads) {
  std::vector<int> counts;
  for (int t = 1; t < threads; t *= 2) counts.push_back(t);
  counts.push_back(threads);
  return counts;
}

Machine measure_machine(int threads) {
  use_one_blas_thread();
  Machine machine{processor_name(), openblas_get_corename(), __VERSION__, {}};
  for (int t : thread_counts(threads)) machine.limits.push_back({t, product_gflops(t), memory_gbytes(t)});
  return machine;
}

const Limit& Machine::at(int threads) const {
  for (const Limit& limit : limits)
    if (limit.threads >= threads) return limit;
  return limits.back();
}

}  // namespace lariat::benchmarks
