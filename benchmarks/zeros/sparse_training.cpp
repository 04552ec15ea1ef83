// What exact zeros are worth in training: steps of an MLP whose zeros stay, with zeros left out and without.
// Steps alternate; each figure is a median of ratios.

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>

#include "autodiff/training/trainer.hpp"
#include "benchmarks/machine.hpp"
#include "benchmarks/status.hpp"
#include "graph/base/clock.hpp"
#include "graph/base/error.hpp"
#include "graph/base/instruction_set.hpp"
#include "graph/base/json.hpp"
#include "graph/base/random.hpp"
#include "graph/io/atomic_file.hpp"
#include "ops/ops.hpp"

namespace lariat::benchmarks {

namespace {

const std::vector<std::string> kernels{"W1", "W2"};

Tensor numbers(const std::string& name, const Extents& extents, double zeros, float scale) {
  Tensor result(f32, extents);
  const auto values = result.values<float>();
  for (size_t i = 0; i < values.size(); ++i) {
    const auto bits = random_bits(1, hash_name(name), i);
    values[i] = to_unit(bits[1]) < zeros ? 0 : scale * (2 * to_unit(bits[0]) - 1);
  }
  return result;
}

// 784-512-512-10, of whose large kernels a share is zero.
std::unique_ptr<Trainer> trainer_of(const std::string& optimizer, double zeros, int threads, bool leave_out) {
  Graph graph;
  const Value x = graph.input("x", {dim::batch, 784}), labels = graph.input("labels", {dim::batch}, i32);
  Value hidden = x, penalty;
  int64_t width = 784;
  for (int i = 1; i <= 3; ++i) {
    const int64_t units = i == 3 ? 10 : 512;
    const Value w = graph.parameter(fmt::format("W{}", i), {width, units}),
                b = graph.parameter(fmt::format("b{}", i), {units}, init::zeros());
    hidden = matmul(i == 1 ? hidden : relu(hidden), w) + b;
    penalty = penalty ? penalty + sum(abs(w)) : sum(abs(w));
    width = units;
  }
  TrainerOptions options{.threads = threads, .frozen_zeros = kernels, .leave_out_zeros = leave_out};
  options.warn = {};
  auto trainer = std::make_unique<Trainer>(mean(softmax_cross_entropy(hidden, labels)) + 1e-6 * penalty,
                                           make_optimizer(optimizer), options);
  for (const std::string& name : kernels)
    trainer->store().set(name, numbers(name, trainer->store().get(name).extents(), zeros, 0.1F));
  return trainer;
}

double median(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + static_cast<int64_t>(values.size() / 2), values.end());
  return values[values.size() / 2];
}

struct Row {
  std::string optimizer;
  int64_t batch;
  double zeros;
  double microseconds = 0, dense_microseconds = 0, ratio = 0;
};

void measure(Row& row, int rounds, int threads) {
  const auto all = trainer_of(row.optimizer, row.zeros, threads, false),
             left_out = trainer_of(row.optimizer, row.zeros, threads, true);
  Tensor labels(i32, {row.batch});
  for (int64_t i = 0; i < row.batch; ++i) labels.data<int32_t>()[i] = static_cast<int32_t>(i % 10);
  const Feeds feeds{{"x", numbers("x", {row.batch, 784}, 0.5, 1)}, {"labels", labels}};
  const auto seconds_of = [&](Trainer& trainer) {
    constexpr int steps = 4;
    const auto start = Clock::now();
    for (int i = 0; i < steps; ++i) trainer.step(feeds);
    return seconds_since(start) / steps;
  };
  seconds_of(*all), seconds_of(*left_out);
  std::vector<double> dense, sparse, ratios;
  for (int i = 0; i < rounds; ++i) {
    dense.push_back(seconds_of(*all));
    sparse.push_back(seconds_of(*left_out));
    ratios.push_back(dense.back() / sparse.back());
  }
  row.microseconds = 1e6 * median(sparse);
  row.dense_microseconds = 1e6 * median(dense);
  row.ratio = median(ratios);
}

int run(int count, char** words) {
  CLI::App app("What exact zeros are worth in training.");
  std::string json;
  int rounds = 21, threads = 1;
  app.add_option("--json", json, "write the figures to a file");
  app.add_option("--rounds", rounds, "how many times each is measured")->check(CLI::Range(1, 10000));
  app.add_option("--threads", threads, "threads")->check(CLI::Range(1, 256));
  CLI11_PARSE(app, count, words);
  const Machine machine = measure_machine(1);
  fmt::print("{}, kernels for {}, {} thread{}; a step of 784-512-512-10\n\n", machine.processor,
             name_of(instruction_set()), threads, threads == 1 ? "" : "s");
  fmt::print("{:>10} {:>6} {:>6} {:>9} {:>9} {:>8}\n", "optimizer", "batch", "zeros", "µs", "dense µs",
             "× dense");
  Json rows = Json::array();
  for (const char* optimizer : {"adam", "sgd"})
    for (const int64_t batch : {32, 64, 128, 512})
      for (const double zeros : {0.8, 0.9, 0.95, 0.98}) {
        Row row{optimizer, batch, zeros};
        measure(row, rounds, threads);
        fmt::print("{:>10} {:>6} {:>5.0f}% {:>9.1f} {:>9.1f} {:>8.2f}\n", row.optimizer, batch, 100 * zeros,
                   row.microseconds, row.dense_microseconds, row.ratio);
        std::fflush(stdout);
        rows.push_back({{"optimizer", row.optimizer},
                        {"batch", batch},
                        {"zeros", zeros},
                        {"microseconds", row.microseconds},
                        {"dense_microseconds", row.dense_microseconds},
                        {"beside_dense", row.ratio}});
      }
  if (!json.empty()) {
    AtomicFile file(json);
    file.write(to_text(Json{{"processor", machine.processor},
                            {"instruction_set", std::string(name_of(instruction_set()))},
                            {"threads", threads},
                            {"rows", rows}}));
    file.commit();
  }
  return 0;
}

}  // namespace

}  // namespace lariat::benchmarks

int main(int count, char** words) {
  return lariat::benchmarks::status_of("sparse_training",
                                       [&] { return lariat::benchmarks::run(count, words); });
}
