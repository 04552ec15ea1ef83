// Products of matrices of float over shapes: lariat's kernel beside OpenBLAS's and oneDNN's. The sides take
// turns; a row's figures are medians, its ratio that of pairs beside the better of the two others.

#include <cblas.h>
#include <fmt/format.h>
#ifdef LARIAT_ONEDNN
#include <dnnl.h>
#include <omp.h>
#endif

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <functional>

#include "benchmarks/machine.hpp"
#include "benchmarks/picture.hpp"
#include "benchmarks/spread.hpp"
#include "benchmarks/status.hpp"
#include "frontends/report/chart.hpp"
#include "frontends/report/style.hpp"
#include "graph/base/clock.hpp"
#include "graph/base/error.hpp"
#include "graph/base/json.hpp"
#include "graph/base/random.hpp"
#include "graph/exec/executor.hpp"
#include "graph/io/atomic_file.hpp"
#include "ops/instruction_sets/kernel_set.hpp"

extern "C" {
void openblas_set_num_threads(int threads);
char* openblas_get_corename(void);
}

namespace lariat::benchmarks {

namespace {

// A turn is short beside the slices of time in which the system shares a processor.
constexpr double burst_seconds = 3e-4, row_seconds = 0.5;

struct Options {
  bool quick = false;
  int threads = 1;
  int64_t largest = 4096;
  std::string filter, json, html;
};

// What is multiplied: the kind of shape tells what decides over its speed.
struct Row {
  std::string kind;
  int64_t m, n, k;
  std::string form = {};  // nn, nt, tn, tt: which operands are transposed
  std::vector<std::string> sides = {};
  std::vector<double> microseconds = {};
  Spread beside_best = {};

  std::string name() const { return fmt::format("{} {}x{}x{} {}", kind, m, n, k, form); }
  double gflops(double at) const {
    return 2e-3 * static_cast<double>(m) * static_cast<double>(n) * static_cast<double>(k) / at;
  }
};

std::vector<Row> shapes() {
  std::vector<Row> all;
  for (const int64_t side : {1, 2, 4, 8, 16, 32, 64, 100, 128, 256, 500, 512, 1024, 2048, 4096})
    all.push_back({"square", side, side, side});
  for (const int64_t rows : {1, 2, 4, 8, 16, 32, 64})
    for (const int64_t side : {128, 512, 2048}) all.push_back({"few rows", rows, side, side});
  for (const auto& [m, n, k] : {std::array<int64_t, 3>{4096, 1, 1024},
                                {4096, 8, 512},
                                {4096, 16, 256},
                                {4096, 64, 64},
                                {1024, 10, 512}})
    all.push_back({"tall", m, n, k});
  for (const auto& [m, n, k] : {std::array<int64_t, 3>{8, 4096, 256}, {16, 4096, 512}, {64, 4096, 64}})
    all.push_back({"wide", m, n, k});
  for (const auto& [m, n, k] :
       {std::array<int64_t, 3>{8, 8, 4096}, {16, 16, 4096}, {64, 64, 4096}, {256, 256, 4096}})
    all.push_back({"long inner", m, n, k});
  for (const auto& [m, n, k] : {std::array<int64_t, 3>{512, 512, 1}, {512, 512, 8}, {1024, 1024, 32}})
    all.push_back({"short inner", m, n, k});
  for (const auto& [m, n, k] : {std::array<int64_t, 3>{32, 512, 784},
                                {128, 512, 784},
                                {512, 512, 784},
                                {784, 512, 128},
                                {784, 512, 512},
                                {32, 1024, 256},
                                {16, 512, 128},
                                {3200, 1024, 128},
                                {256, 1024, 3200},
                                {1500, 64, 160}})
    all.push_back({"layer", m, n, k});
  std::vector<Row> formed;
  for (const Row& row : all)
    for (const char* form : {"nn", "nt", "tn", "tt"}) {
      formed.push_back(row);
      formed.back().form = form;
    }
  return formed;
}

std::vector<float> numbers(std::string_view name, int64_t count) {
  std::vector<float> result(static_cast<size_t>(count));
  for (int64_t i = 0; i < count; ++i)
    result[static_cast<size_t>(i)] =
        2 * to_unit(random_bits(1, hash_name(name), static_cast<uint64_t>(i))[0]) - 1;
  return result;
}

struct Side {
  std::string name;
  std::function<void(float*)> run;
  std::vector<double> samples = {};
};

double seconds_of(int64_t repetitions, const std::function<void()>& body) {
  const auto start = Clock::now();
  for (int64_t i = 0; i < repetitions; ++i) body();
  return seconds_since(start) / static_cast<double>(repetitions);
}

double median(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + static_cast<int64_t>(values.size() / 2), values.end());
  return values[values.size() / 2];
}

void check_same(const Row& row, const std::vector<float>& own, const std::vector<float>& other,
                const std::string& side) {
  for (size_t i = 0; i < own.size(); ++i)
    if (!(std::abs(own[i] - other[i]) <= 1e-4 * std::sqrt(static_cast<double>(row.k) + 1)))
      throw JobError(
          fmt::format("{}: element {} is {} by lariat and {} by {}", row.name(), i, own[i], other[i], side));
}

void measure(Row& row, const Executor& executor, bool quick) {
  const bool transpose_a = row.form[0] == 't', transpose_b = row.form[1] == 't';
  const Product product{transpose_a,
                        transpose_b,
                        row.m,
                        row.n,
                        row.k,
                        transpose_a ? row.m : row.k,
                        transpose_b ? row.k : row.n};
  const std::vector<float> a = numbers("a", row.m * row.k), b = numbers("b", row.k * row.n);
  const OwnScratch scratch(kernel_set().f32.workspace(product, false), executor.threads());
  const auto m = static_cast<int>(row.m), n = static_cast<int>(row.n), k = static_cast<int>(row.k),
             lda = static_cast<int>(product.lda), ldb = static_cast<int>(product.ldb);
  std::vector<Side> sides;
  sides.push_back({"lariat", [&](float* c) {
                     kernel_set().f32.gemm(executor, product, a.data(), b.data(), {}, c, row.n, scratch,
                                           nullptr);
                   }});
  sides.push_back({"OpenBLAS", [&](float* c) {
                     cblas_sgemm(CblasRowMajor, transpose_a ? CblasTrans : CblasNoTrans,
                                 transpose_b ? CblasTrans : CblasNoTrans, m, n, k, 1, a.data(), lda, b.data(),
                                 ldb, 0, c, n);
                   }});
#ifdef LARIAT_ONEDNN
  sides.push_back({"oneDNN", [&](float* c) {
                     dnnl_sgemm(transpose_a ? 'T' : 'N', transpose_b ? 'T' : 'N', m, n, k, 1, a.data(), lda,
                                b.data(), ldb, 0, c, n);
                   }});
#endif
  std::vector<std::vector<float>> results(sides.size(), std::vector<float>(row.m * row.n));
  double slowest = 0;
  std::vector<int64_t> repetitions;
  for (size_t s = 0; s < sides.size(); ++s) {
    const auto once = [&] { sides[s].run(results[s].data()); };
    once();
    if (s > 0) check_same(row, results[0], results[s], sides[s].name);
    double one = seconds_of(1, once);
    if (one < burst_seconds / 10) one = seconds_of(20, once);
    slowest = std::max(slowest, one);
    repetitions.push_back(std::max<int64_t>(1, static_cast<int64_t>(burst_seconds / one)));
  }
  const double turn = static_cast<double>(sides.size()) * std::max(slowest, burst_seconds);
  const int rounds =
      static_cast<int>(std::clamp((quick ? 0.3 : 1) * row_seconds / turn, 3.0, quick ? 101. : 301.));
  for (int round = 0; round < rounds; ++round)
    for (size_t s = 0; s < sides.size(); ++s)
      sides[s].samples.push_back(seconds_of(repetitions[s], [&] { sides[s].run(results[s].data()); }));
  size_t best = 1;
  for (size_t s = 0; s < sides.size(); ++s) {
    row.sides.push_back(sides[s].name);
    row.microseconds.push_back(1e6 * median(sides[s].samples));
    if (s > 0 && row.microseconds[s] < row.microseconds[best]) best = s;
  }
  std::vector<double> ratios;
  for (size_t i = 0; i < sides[0].samples.size(); ++i)
    ratios.push_back(sides[best].samples[i] / sides[0].samples[i]);
  row.beside_best = spread_of(ratios);
}

std::string page(const std::string& words, const std::vector<Row>& rows) {
  std::string body;
  for (size_t first = 0; first < rows.size();) {
    BarChart chart{"How many times faster lariat multiplies", "×", {}, 1, true, 1.5};
    size_t last = first;
    for (; last < rows.size() && rows[last].kind == rows[first].kind; ++last) {
      const Row& row = rows[last];
      chart.rows.push_back(
          {fmt::format("{} x {} x {} {}", row.m, row.n, row.k, row.form),
           fmt::format("{} {:.3g} GFLOP/s", row.beside_best.text(), row.gflops(row.microseconds[0])),
           {row.beside_best.middle}});
    }
    body += fmt::format("<section><h2>{}</h2><div class=\"card\">{}</div></section>\n", rows[first].kind,
                        bar_chart(chart));
    first = last;
  }
  return fmt::format(
      "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" "
      "content=\"width=device-width, initial-scale=1\">\n<title>Lariat's products</title>\n<style>{}{}"
      "</style>\n</head>\n<body>\n<main>\n<h1>Lariat's products</h1>\n"
      "<p class=\"soft\">{}. m x n x k; n: as it lies, t: transposed. Time of the better of OpenBLAS and "
      "oneDNN over lariat's, median and 95% interval of paired runs.</p>\n{}</main>\n</body>\n</html>\n",
      reports::report_style, bars_style, reports::escaped(words), body);
}

void write_file(const std::string& path, const std::string& text) {
  AtomicFile file(path);
  file.write(text);
  file.commit();
}

void run(const Options& options) {
  const Machine machine = measure_machine(options.threads);
  openblas_set_num_threads(options.threads);
#ifdef LARIAT_ONEDNN
  omp_set_num_threads(options.threads);
#endif
  const auto executor = options.threads > 1 ? make_tbb_executor(options.threads) : make_serial_executor();
  const double peak = machine.at(options.threads).product_gflops;
  const std::string words = fmt::format(
      "{}, kernels for {}, OpenBLAS for {}, {} threads, at most {:.0f} GFLOP/s", machine.processor,
      name_of(instruction_set()), machine.openblas_core, options.threads, peak);
  fmt::print("{}\n\n{:36} {:>10} {:>10} {:>10}   {}\n", words, "GFLOP/s", "lariat", "OpenBLAS", "oneDNN",
             "beside the better");
  std::vector<Row> rows;
  int behind = 0;
  for (Row& row : shapes()) {
    if (row.name().find(options.filter) == std::string::npos) continue;
    if (std::max({row.m, row.n, row.k}) > options.largest) continue;
    measure(row, *executor, options.quick);
    std::string line = fmt::format("{:36}", row.name());
    for (const double at : row.microseconds) line += fmt::format(" {:>10.4g}", row.gflops(at));
    const bool is_behind = row.beside_best.high < 1 / 1.05;
    behind += is_behind;
    fmt::print("{}   {}{}\n", line, row.beside_best.text(), is_behind ? "  behind" : "");
    std::fflush(stdout);
    rows.push_back(std::move(row));
  }
  if (rows.empty())
    throw UserError(fmt::format("no shape up to {} has '{}' in its name, such as 'square 64x64x64 nt'",
                                options.largest, options.filter));
  fmt::print("\n{} of {} shapes are behind the better of the two by over 5%\n", behind, rows.size());
  if (!options.json.empty()) {
    Json list = Json::array();
    for (const Row& row : rows) {
      Json figures{{"kind", row.kind},
                   {"m", row.m},
                   {"n", row.n},
                   {"k", row.k},
                   {"form", row.form},
                   {"beside_best", row.beside_best.middle},
                   {"low", row.beside_best.low},
                   {"high", row.beside_best.high}};
      for (size_t s = 0; s < row.sides.size(); ++s) figures["us"][row.sides[s]] = row.microseconds[s];
      list.push_back(std::move(figures));
    }
    write_file(options.json, to_text(Json{{"processor", machine.processor},
                                          {"instruction_set", std::string(name_of(instruction_set()))},
                                          {"openblas_core", machine.openblas_core},
                                          {"threads", options.threads},
                                          {"peak_gflops", peak},
                                          {"rows", list}},
                                     1) +
                                 "\n");
  }
  if (!options.html.empty()) write_file(options.html, page(words, rows));
}

}  // namespace

}  // namespace lariat::benchmarks

int main(int count, char** words) {
  lariat::benchmarks::Options options;
  CLI::App app("Products of matrices over shapes, beside OpenBLAS and oneDNN");
  app.add_flag("--quick", options.quick, "fewer runs");
  app.add_option("--filter", options.filter, "only shapes with this in their names");
  app.add_option("--largest", options.largest, "only shapes with no longer side");
  app.add_option("--threads", options.threads, "of every side")->check(CLI::Range(1, 1024));
  app.add_option("--json", options.json, "write the figures to this file");
  app.add_option("--html", options.html, "write a page of pictures to this file");
  CLI11_PARSE(app, count, words);
  return lariat::benchmarks::status_of("product_table", [&] { return lariat::benchmarks::run(options); });
}
