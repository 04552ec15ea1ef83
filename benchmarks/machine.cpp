#include "benchmarks/machine.hpp"

#include <cblas.h>
#ifdef LARIAT_ONEDNN
#include <dnnl.h>
#include <omp.h>
#endif

#include <algorithm>
#include <atomic>
#include <barrier>
#include <chrono>
#include <fstream>
#include <functional>
#include <thread>

#include "graph/base/blas.hpp"
#include "ops/instruction_sets/kernel_set.hpp"

extern "C" char* openblas_get_corename(void);

namespace lariat::benchmarks {

namespace {

using Clock = std::chrono::steady_clock;
constexpr int64_t side = 512;

struct Serial final : ParallelFor {
  void run(int64_t count, int64_t, const std::function<void(int64_t, int64_t)>& body) const override {
    body(0, count);
  }
};

// Seconds of the fastest of several runs of `body(thread)` on all threads at once.
double fastest(int threads, const std::function<void(int)>& body, int repetitions = 15) {
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

// Matrices for one product on each thread.
struct Products {
  static constexpr Product square{false, false, side, side, side, side, side};
  std::vector<std::vector<float>> a, b, c;
  std::vector<OwnScratch> scratch;
  explicit Products(int threads)
      : a(threads, std::vector<float>(side * side, 0.5f)),
        b(threads, std::vector<float>(side * side, 0.25f)),
        c(threads, std::vector<float>(side * side)) {
    for (int t = 0; t < threads; ++t) scratch.emplace_back(kernel_set().f32.workspace(square, false), 1);
  }
  void run(int t) {
    kernel_set().f32.gemm(Serial(), square, a[t].data(), b[t].data(), {}, c[t].data(), side, scratch[t],
                          nullptr);
  }
  static double gflops(int threads, double seconds) {
    return 2.0 * static_cast<double>(side * side * side) * threads / seconds / 1e9;
  }
};

double product_gflops(int threads) {
  Products p(threads);
  auto &a = p.a, &b = p.b, &c = p.c;
  double seconds = fastest(threads, [&](int t) {
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, side, side, side, 1, a[t].data(), side,
                b[t].data(), side, 0, c[t].data(), side);
  });
  seconds = std::min(seconds, fastest(threads, [&](int t) { p.run(t); }));
#ifdef LARIAT_ONEDNN
  seconds = std::min(seconds, fastest(threads, [&](int t) {
                       omp_set_num_threads(1);
                       dnnl_sgemm('N', 'N', side, side, side, 1, a[t].data(), side, b[t].data(), side, 0,
                                  c[t].data(), side);
                     }));
#endif
  return Products::gflops(threads, seconds);
}

double memory_gbytes(int threads) {
  const int64_t count = 16 << 20;
  std::vector<float> a(count, 1), b(count, 2), c(count, 3);
  const auto part = [&](int t) { return std::pair{count * t / threads, count * (t + 1) / threads}; };
  constexpr int repetitions = 5;
  const double triad = fastest(
      threads,
      [&](int t) {
        const auto [begin, end] = part(t);
        for (int64_t i = begin; i < end; ++i) a[i] = b[i] + 0.5f * c[i];
      },
      repetitions);
  const double in_place = fastest(
      threads,
      [&](int t) {
        const auto [begin, end] = part(t);
        for (int64_t i = begin; i < end; ++i) a[i] += 0.5f * b[i];
      },
      repetitions);
  return 3.0 * 4 * static_cast<double>(count) / std::min(triad, in_place) / 1e9;
}

double handover_nanoseconds() {
  constexpr int rounds = 2000, repetitions = 5, patience = 10000;
  std::atomic<int> turn = 0;
  const auto pass_on = [&](int t) {
    for (int i = 0; i < rounds; ++i) {
      // Where the other thread has no processor, it may have this one.
      for (int tries = 0; turn.load(std::memory_order_acquire) != t; ++tries)
        if (tries > patience) std::this_thread::yield();
      turn.store(1 - t, std::memory_order_release);
    }
  };
  const double seconds = fastest(2, pass_on, repetitions);
  return seconds / rounds * 1e9;
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
  Machine machine{processor_name(), openblas_get_corename(), __VERSION__, {}, 0};
  for (int t : thread_counts(threads)) {
    double gflops = product_gflops(t);
    // A host may give two of its guests' processors one core at times.
    for (int attempt = 0; t > 1 && attempt < 5 && gflops < 0.8 * t * machine.limits[0].product_gflops;
         ++attempt)
      gflops = std::max(gflops, product_gflops(t));
    machine.limits.push_back({t, gflops, memory_gbytes(t)});
  }
  if (threads > 1) {
    // Where a hypervisor moves the processors about, they are at times close to each other and at times not.
    machine.handover_nanoseconds = handover_nanoseconds();
    for (int attempt = 0; attempt < 5; ++attempt) {
      std::this_thread::sleep_for(std::chrono::milliseconds(100));
      machine.handover_nanoseconds = std::min(machine.handover_nanoseconds, handover_nanoseconds());
    }
  }
  return machine;
}

const Limit& Machine::at(int threads) const {
  for (const Limit& limit : limits)
    if (limit.threads >= threads) return limit;
  return limits.back();
}

}  // namespace lariat::benchmarks
