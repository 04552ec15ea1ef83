// From how few weights on a product without zeros is the faster one: measured for this machine's instruction
// set, on one thread, and written into the table that the library is built with.

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <fstream>

#include "benchmarks/machine.hpp"
#include "benchmarks/status.hpp"
#include "graph/base/clock.hpp"
#include "graph/base/error.hpp"
#include "graph/base/instruction_set.hpp"
#include "graph/base/random.hpp"
#include "graph/exec/executor.hpp"
#include "graph/io/atomic_file.hpp"
#include "ops/instruction_sets/kernel_set.hpp"

namespace lariat::benchmarks {

namespace {

std::vector<float> numbers(std::string_view name, int64_t count, double density, int64_t run = 1) {
  std::vector<float> result(static_cast<size_t>(count));
  for (int64_t i = 0; i < count; ++i) {
    const auto bits = random_bits(1, hash_name(name), static_cast<uint64_t>(i)),
               of_run = random_bits(1, hash_name(name), static_cast<uint64_t>(i / run));
    result[static_cast<size_t>(i)] = to_unit(of_run[1]) < density ? 2 * to_unit(bits[0]) - 1 : 0;
  }
  return result;
}

double median(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + static_cast<int64_t>(values.size() / 2), values.end());
  return values[values.size() / 2];
}

// The times of one product, the sides taking turns, and how many numbers in the form of weights stand for a
// run.
struct Times {
  double all, weights, runs, numbers_of_run;
};

struct Shape {
  int64_t rows, side;
  // Of the matrix [side, side]: the share of runs of so many neighbours that are not zero.
  double density;
  int64_t run;
};

Times times_of(const Shape& s, int rounds) {
  const KernelSet& kernels = kernel_set();
  const auto a = numbers("a", s.rows * s.side, 1), b = numbers("b", s.side * s.side, s.density, s.run);
  std::vector<float> c(static_cast<size_t>(s.rows * s.side));
  const auto dense = kernels.packed.pack(false, s.side, s.side, b.data(), s.side);
  const auto sparse = kernels.packed.pack_every_form(false, s.side, s.side, b.data(), s.side);
  const std::unique_ptr<Executor> serial = make_serial_executor();
  const Product product{false, false, s.rows, s.side, s.side, s.side, s.side};
  const OwnScratch scratch(
      larger(kernels.f32.workspace(product, true), kernels.packed.sparse_workspace(s.rows)), 1);
  const auto seconds_of = [&](int repetitions, const auto& body) {
    const auto start = Clock::now();
    for (int i = 0; i < repetitions; ++i) body();
    return seconds_since(start) / repetitions;
  };
  const auto whole = [&] {
    kernels.f32.gemm(*serial, product, a.data(), b.data(), {}, c.data(), s.side, scratch, dense.get());
  };
  const auto in_form = [&](SparseForm form) {
    kernels.packed.multiply_in_form(form, *serial, s.rows, a.data(), s.side, *sparse, {}, c.data(), s.side,
                                    scratch);
  };
  const int repetitions = std::max(1, static_cast<int>(5e-4 / seconds_of(3, whole)));
  std::vector<double> all, weights, runs;
  for (int i = 0; i < rounds; ++i) {
    all.push_back(seconds_of(repetitions, whole));
    weights.push_back(seconds_of(repetitions, [&] { in_form(SparseForm::weights); }));
    runs.push_back(seconds_of(repetitions, [&] { in_form(SparseForm::runs); }));
  }
  return {median(all), median(weights), median(runs), kernels.packed.numbers_of_run(*sparse, s.rows)};
}

// The largest share of weights, or of runs, up to which the product without the others is clearly faster at
// every share, as often as it is measured: that is noisy, and the form that is taken must be no slower than
// the dense one.
double densest(int64_t rows, int64_t side, bool by_runs, int rounds) {
  constexpr double clearly = 1.1;
  constexpr int measurements = 3;
  const auto pays = [&](double density) {
    const Times times = times_of({rows, side, density, by_runs ? run_columns : 1}, rounds);
    return times.all >= clearly * (by_runs ? times.runs : times.weights);
  };
  double paid = 0;
  for (const double density : {0.02, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.6, 0.7, 0.8}) {
    for (int i = 0; i < measurements; ++i)
      if (!pays(density)) return paid;
    paid = density;
  }
  return paid;
}

// How many numbers in the form of weights take the time of a run.
double numbers_in_time_of_run(int64_t rows, int rounds) {
  const Times times = times_of({rows, 512, 0.05, run_columns}, rounds);
  return times.numbers_of_run * times.runs / times.weights;
}

int run(int count, char** words) {
  CLI::App app("Measures from how few weights on a product without zeros pays, and writes the table.");
  std::string file;
  int rounds = 15;
  app.add_option("file", file, "the table: ops/kernels/sparse_table.inc")
      ->required()
      ->check(CLI::ExistingFile);
  app.add_option("--rounds", rounds, "how many times each is measured")->check(CLI::Range(1, 10000));
  CLI11_PARSE(app, count, words);
  const int64_t width = kernel_set().packed.width();
  std::string head, lines;
  std::ifstream in(file);
  for (std::string line; std::getline(in, line);)
    if (line.starts_with("//")) {
      head += line + "\n";
    } else if (line.find(fmt::format("_pay, {}, ", width)) == std::string::npos &&
               line.find(fmt::format("_hold, {}, ", width)) == std::string::npos) {
      lines += line + "\n";
    }
  fmt::print("kernels for {}, vectors of {} floats, one thread\n", name_of(instruction_set()), width);
  const auto put = [&](const char* figure, int64_t rows, int64_t elements, double value) {
    fmt::print("{:>11} {:>3} rows, {:>7} elements: {:.2f}\n", figure, rows, elements, value);
    std::fflush(stdout);
    lines += fmt::format("LARIAT_SPARSE({}, {}, {}, {}, {:.3g})\n", figure, width, rows, elements, value);
  };
  for (const int64_t rows : {1, 2, 4, 8, 16, 64}) {
    // Each size stands for those from half-way to the one below, by ratio.
    for (const auto& [side, from] :
         {std::pair<int64_t, int64_t>{128, 0}, {512, 256 * 256}, {1024, 512 * 1024}}) {
      put("weights_pay", rows, from, densest(rows, side, false, rounds));
      put("runs_pay", rows, from, densest(rows, side, true, rounds));
    }
    put("runs_hold", rows, 0, numbers_in_time_of_run(rows, rounds));
  }
  AtomicFile out(file);
  out.write(head + lines);
  out.commit();
  return 0;
}

}  // namespace

}  // namespace lariat::benchmarks

int main(int count, char** words) {
  return lariat::benchmarks::status_of("sparse_table", [&] { return lariat::benchmarks::run(count, words); });
}
