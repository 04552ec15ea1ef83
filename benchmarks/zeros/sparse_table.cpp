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
#include "ops/kernels/sparse_product.hpp"

namespace lariat::benchmarks {

namespace {

std::vector<float> numbers(std::string_view name, int64_t count, double density) {
  std::vector<float> result(static_cast<size_t>(count));
  for (int64_t i = 0; i < count; ++i) {
    const auto bits = random_bits(1, hash_name(name), static_cast<uint64_t>(i));
    result[static_cast<size_t>(i)] = to_unit(bits[1]) < density ? 2 * to_unit(bits[0]) - 1 : 0;
  }
  return result;
}

double median(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + static_cast<int64_t>(values.size() / 2), values.end());
  return values[values.size() / 2];
}

// How many times as long the dense product takes, of `rows` rows and a matrix [side, side].
double ratio(int64_t rows, int64_t side, double density, int rounds) {
  const auto a = numbers("a", rows * side, 1), b = numbers("b", side * side, density);
  std::vector<float> c(static_cast<size_t>(rows * side));
  const auto dense = pack_b<float>(false, side, side, b.data(), side);
  const auto sparse = pack_sparse(false, side, side, b.data(), side, 1);
  if (!sparse) return 0;
  const std::unique_ptr<Executor> serial = make_serial_executor();
  const Product product{false, false, rows, side, side, side, side};
  const OwnScratch scratch(larger(gemm_workspace<float>(product, true), sparse_workspace(rows)), 1);
  const auto seconds_of = [&](int repetitions, const auto& body) {
    const auto start = Clock::now();
    for (int i = 0; i < repetitions; ++i) body();
    return seconds_since(start) / repetitions;
  };
  const auto whole = [&] {
    gemm<float>(*serial, product, a.data(), b.data(), {}, c.data(), side, scratch, dense.get());
  };
  const auto left_out = [&] {
    multiply_sparse(*serial, rows, a.data(), side, *sparse, {}, c.data(), side, scratch);
  };
  const int repetitions = std::max(1, static_cast<int>(5e-4 / seconds_of(3, whole)));
  std::vector<double> ratios;
  for (int i = 0; i < rounds; ++i)
    ratios.push_back(seconds_of(repetitions, whole) / seconds_of(repetitions, left_out));
  return median(ratios);
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
  // It must be faster by so much, for what is measured is noisy.
  constexpr double clearly = 1.05;
  const int64_t width = window_columns();
  std::string head, lines;
  std::ifstream in(file);
  for (std::string line; std::getline(in, line);)
    if (line.starts_with("//")) {
      head += line + "\n";
    } else if (!line.starts_with(fmt::format("LARIAT_SPARSE_PAYS({}, ", width))) {
      lines += line + "\n";
    }
  fmt::print("kernels for {}, vectors of {} floats, one thread\n", name_of(instruction_set()), width);
  for (const int64_t rows : {1, 2, 4, 8, 16, 64})
    for (const int64_t side : {128, 512, 1024}) {
      double pays = 0;
      for (const double density : {0.5, 0.45, 0.4, 0.35, 0.3, 0.25, 0.2, 0.15, 0.1, 0.05, 0.02})
        if (ratio(rows, side, density, rounds) >= clearly) {
          pays = density;
          break;
        }
      const int64_t from = side == 128 ? 0 : side * side / 4;
      fmt::print("{:>3} rows, {:>4} x {:<4}: {:.2f}\n", rows, side, side, pays);
      std::fflush(stdout);
      lines += fmt::format("LARIAT_SPARSE_PAYS({}, {}, {}, {:g})\n", width, rows, from, pays);
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
