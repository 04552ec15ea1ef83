// What exact zeros are worth in a product: the same layer at inference with a share of its weights zero,
// beside the layer without zeros and beside OpenBLAS, both by a program that is bound to its memory, the same
// by Program::run(), and the product alone beside the dense one, on one thread; and, of layers that no cache
// holds, the same with weights of 8 bits and no zeros. Runs alternate; each figure is a median of ratios.

#include <cblas.h>
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>

#include "benchmarks/machine.hpp"
#include "benchmarks/status.hpp"
#include "graph/base/blas.hpp"
#include "graph/base/clock.hpp"
#include "graph/base/error.hpp"
#include "graph/base/instruction_set.hpp"
#include "graph/base/json.hpp"
#include "graph/base/random.hpp"
#include "graph/io/atomic_file.hpp"
#include "graph/io/short_numbers.hpp"
#include "graph/program/program.hpp"
#include "ops/instruction_sets/kernel_set.hpp"
#include "ops/ops.hpp"

namespace lariat::benchmarks {

namespace {

// Zeros come in runs of `block` neighbours.
std::vector<float> numbers(std::string_view name, int64_t count, double zeros, int64_t block = 1) {
  std::vector<float> result(static_cast<size_t>(count));
  for (int64_t i = 0; i < count; ++i) {
    const auto bits = random_bits(1, hash_name(name), static_cast<uint64_t>(i)),
               of_block = random_bits(1, hash_name(name), static_cast<uint64_t>(i / block * block));
    result[static_cast<size_t>(i)] = to_unit(of_block[1]) < zeros ? 0 : 2 * to_unit(bits[0]) - 1;
  }
  return result;
}

// y = x·w for a constant w.
class Layer {
 public:
  Layer(int64_t inner, int64_t columns, double zeros, int64_t block, NumberForm form = NumberForm::float32) {
    const Value x = graph_.input("x", {dim::batch, inner});
    const Value y = matmul(x, graph_.parameter("w", {inner, columns}, init::zeros()));
    store_.set(
        "w", rounded(Tensor::of<float>({inner, columns}, numbers("w", inner * columns, zeros, block)), form));
    program_ = inference_program(graph_, {&y, 1}, &store_);
  }
  void run(const Feeds& feeds) { program_->run(feeds, store_, *executor_); }
  std::unique_ptr<BoundProgram> bind(const Feeds& feeds) { return program_->bind(feeds, store_, *executor_); }
  const float* weights() const { return store_.get("w").data<float>(); }

 private:
  Graph graph_;
  Store store_;
  std::unique_ptr<Program> program_;
  std::unique_ptr<Executor> executor_ = make_serial_executor();
};

template <class Body>
double seconds_of(int repetitions, const Body& body) {
  const auto start = Clock::now();
  for (int i = 0; i < repetitions; ++i) body();
  return seconds_since(start) / repetitions;
}

double median(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + static_cast<int64_t>(values.size() / 2), values.end());
  return values[values.size() / 2];
}

struct Row {
  int64_t inner, columns, batch, block;
  double zeros;
  bool int8 = false;
  double microseconds = 0, dense_microseconds = 0, beside_dense = 0, beside_openblas = 0;
  // By Program::run(), and of the product alone.
  double by_run_microseconds = 0, by_run_beside_dense = 0;
  double alone_microseconds = 0, alone_beside_dense = 0;
};

// x·w by the kernels, in the form that a program takes for so many rows.
class Alone {
 public:
  Alone(const Row& row, const float* weights)
      : product_{false, false, row.batch, row.columns, row.inner, row.inner, row.columns},
        weights_(weights),
        dense_(kernels_.packed.pack(false, row.columns, row.inner, weights, row.columns)),
        sparse_(kernels_.packed.pack_sparse(false, row.columns, row.inner, weights, row.columns)),
        coded_(row.int8 ? kernels_.packed.code_matrix(row.columns, row.inner, weights, row.columns)
                        : nullptr),
        form_(sparse_ ? kernels_.packed.form_for(*sparse_, row.batch) : SparseForm::all),
        scratch_(larger(kernels_.f32.workspace(product_, true),
                        larger(kernels_.packed.sparse_workspace(row.batch),
                               kernels_.packed.coded_workspace(row.batch))),
                 1) {}

  void run(const float* x, float* y) const {
    if (coded_)
      return kernels_.packed.multiply_coded(*executor_, product_.m, x, product_.k, *coded_, {}, y, product_.n,
                                            scratch_);
    if (form_ == SparseForm::all)
      return kernels_.f32.gemm(*executor_, product_, x, weights_, {}, y, product_.n, scratch_, dense_.get());
    kernels_.packed.multiply_in_form(form_, *executor_, product_.m, x, product_.k, *sparse_, {}, y,
                                     product_.n, scratch_);
  }

 private:
  const KernelSet& kernels_ = kernel_set();
  const Product product_;
  const float* const weights_;
  const std::shared_ptr<const float> dense_;
  const std::shared_ptr<const SparseMatrix> sparse_;
  const std::shared_ptr<const CodedMatrix> coded_;
  const SparseForm form_;
  const OwnScratch scratch_;
  const std::unique_ptr<Executor> executor_ = make_serial_executor();
};

void measure(Row& row, int rounds) {
  Layer dense(row.inner, row.columns, 0, 1),
      sparse(row.inner, row.columns, row.zeros, row.block, row.int8 ? NumberForm::int8 : NumberForm::float32);
  const Tensor x = Tensor::of<float>({row.batch, row.inner}, numbers("x", row.batch * row.inner, 0));
  const Feeds feeds{{"x", x}};
  const auto bound_dense = dense.bind(feeds), bound_sparse = sparse.bind(feeds);
  std::vector<float> result(static_cast<size_t>(row.batch * row.columns));
  const auto by_openblas = [&] {
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, static_cast<int>(row.batch),
                static_cast<int>(row.columns), static_cast<int>(row.inner), 1, x.data<float>(),
                static_cast<int>(row.inner), dense.weights(), static_cast<int>(row.columns), 0, result.data(),
                static_cast<int>(row.columns));
  };
  const int repetitions = std::max(1, static_cast<int>(3e-3 / seconds_of(3, [&] { dense.run(feeds); })));
  Row plain = row;
  plain.int8 = false;
  const Alone whole(plain, dense.weights()), without_zeros(row, sparse.weights());
  std::vector<double> own, zero_free, beside_dense, beside_openblas, by_run, by_run_beside_dense, alone,
      alone_beside_dense;
  for (int i = 0; i < rounds; ++i) {
    own.push_back(seconds_of(repetitions, [&] { bound_dense->run(); }));
    zero_free.push_back(seconds_of(repetitions, [&] { bound_sparse->run(); }));
    const double theirs = seconds_of(repetitions, by_openblas);
    beside_dense.push_back(own.back() / zero_free.back());
    beside_openblas.push_back(theirs / zero_free.back());
    const double dense_by_run = seconds_of(repetitions, [&] { dense.run(feeds); });
    by_run.push_back(seconds_of(repetitions, [&] { sparse.run(feeds); }));
    by_run_beside_dense.push_back(dense_by_run / by_run.back());
    const double all = seconds_of(repetitions, [&] { whole.run(x.data<float>(), result.data()); });
    alone.push_back(seconds_of(repetitions, [&] { without_zeros.run(x.data<float>(), result.data()); }));
    alone_beside_dense.push_back(all / alone.back());
  }
  row.microseconds = 1e6 * median(zero_free);
  row.dense_microseconds = 1e6 * median(own);
  row.beside_dense = median(beside_dense);
  row.beside_openblas = median(beside_openblas);
  row.by_run_microseconds = 1e6 * median(by_run);
  row.by_run_beside_dense = median(by_run_beside_dense);
  row.alone_microseconds = 1e6 * median(alone);
  row.alone_beside_dense = median(alone_beside_dense);
}

constexpr double zeros_measured[] = {0.5, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99};

// The table of docs/zeros.md: 512 x 512, times faster than the dense product and than OpenBLAS.
std::string markdown_of(const std::vector<Row>& rows) {
  struct Line {
    const char* name;
    int64_t batch, block;
  };
  constexpr Line lines[] = {{"64 rows, zeros anywhere", 64, 1},
                            {"64 rows, blocks of 8 × 1", 64, 8},
                            {"16 rows", 16, 1},
                            {"8 rows", 8, 1},
                            {"1 row", 1, 1},
                            {"1 row, blocks of 8 × 1", 1, 8}};
  std::string head = "| |", rule = "| --- |", body;
  for (const double zeros : zeros_measured) {
    if (zeros < 0.8) continue;
    head += fmt::format(" {:.0f}% |", 100 * zeros);
    rule += " --- |";
  }
  for (const Line& line : lines) {
    body += fmt::format("| {} |", line.name);
    for (const Row& row : rows)
      if (!row.int8 && row.inner == 512 && row.batch == line.batch && row.block == line.block &&
          row.zeros >= 0.8)
        body += fmt::format(" {:.1f} / {:.1f} |", row.beside_dense, row.beside_openblas);
    body += "\n";
  }
  return head + "\n" + rule + "\n" + body;
}

int run(int count, char** words) {
  CLI::App app("What exact zeros are worth in a product, on one thread.");
  std::string json, markdown;
  int rounds = 21;
  app.add_option("--json", json, "write the figures to a file");
  app.add_option("--markdown", markdown, "write the table of docs/zeros.md to a file");
  app.add_option("--rounds", rounds, "how many times each is measured")->check(CLI::Range(1, 10000));
  CLI11_PARSE(app, count, words);
  use_one_blas_thread();
  const Machine machine = measure_machine(1);
  fmt::print("{}, kernels for {}, OpenBLAS for {}, one thread\n\n", machine.processor,
             name_of(instruction_set()), machine.openblas_core);
  fmt::print("{:>14} {:>6} {:>6} {:>6} {:>9} {:>9} {:>8} {:>9} {:>9} {:>8} {:>9} {:>8}\n", "layer", "batch",
             "blocks", "zeros", "µs", "dense µs", "× dense", "× OpenBLAS", "run() µs", "× dense", "alone µs",
             "× dense");
  Json rows = Json::array();
  std::vector<Row> all;
  for (const auto& [inner, columns] : {std::pair<int64_t, int64_t>{512, 512}, {784, 512}, {2048, 512}})
    for (const auto& [batch, block] :
         {std::pair<int64_t, int64_t>{1, 1}, {1, 8}, {4, 1}, {8, 1}, {16, 1}, {64, 1}, {64, 8}, {512, 1}})
      for (const double zeros : zeros_measured) all.push_back({inner, columns, batch, block, zeros});
  for (const int64_t side : {2048, 4096})
    for (const int64_t batch : {1, 3, 16, 64}) all.push_back({side, side, batch, 1, 0, true});
  for (Row& row : all) {
    measure(row, rounds);
    fmt::print(
        "{:>14} {:>6} {:>6} {:>6} {:>9.1f} {:>9.1f} {:>8.2f} {:>9.2f} {:>9.2f} {:>8.2f} {:>9.2f} {:>8.2f}\n",
        fmt::format("{} x {}", row.inner, row.columns), row.batch, fmt::format("{}x1", row.block),
        row.int8 ? "int8" : fmt::format("{:.0f}%", 100 * row.zeros), row.microseconds, row.dense_microseconds,
        row.beside_dense, row.beside_openblas, row.by_run_microseconds, row.by_run_beside_dense,
        row.alone_microseconds, row.alone_beside_dense);
    std::fflush(stdout);
    rows.push_back({{"inner", row.inner},
                    {"columns", row.columns},
                    {"batch", row.batch},
                    {"block", row.block},
                    {"zeros", row.zeros},
                    {"int8", row.int8},
                    {"microseconds", row.microseconds},
                    {"dense_microseconds", row.dense_microseconds},
                    {"beside_dense", row.beside_dense},
                    {"beside_openblas", row.beside_openblas},
                    {"by_run_microseconds", row.by_run_microseconds},
                    {"by_run_beside_dense", row.by_run_beside_dense},
                    {"alone_microseconds", row.alone_microseconds},
                    {"alone_beside_dense", row.alone_beside_dense}});
  }
  if (!json.empty()) {
    AtomicFile file(json);
    file.write(to_text(Json{{"processor", machine.processor},
                            {"instruction_set", std::string(name_of(instruction_set()))},
                            {"openblas_core", machine.openblas_core},
                            {"threads", 1},
                            {"rows", rows}}));
    file.commit();
  }
  if (!markdown.empty()) {
    AtomicFile file(markdown);
    file.write(markdown_of(all));
    file.commit();
  }
  return 0;
}

}  // namespace

}  // namespace lariat::benchmarks

int main(int count, char** words) {
  return lariat::benchmarks::status_of("sparse_products",
                                       [&] { return lariat::benchmarks::run(count, words); });
}
