#include <fmt/format.h>

#include <cmath>
#include <cstdio>

#include "benchmarks/fit.hpp"
#include "benchmarks/results.hpp"

namespace lariat::benchmarks {

namespace {

std::string percent(double share) { return std::isnan(share) ? "-" : fmt::format("{:.0f}%", 100 * share); }
std::string times(double ratio) { return std::isnan(ratio) ? "-" : fmt::format("{:.2f}x", ratio); }

std::string figure(const Comparison& c, const Timing* timing) {
  return timing ? fmt::format("{:.3f} {} ({})", c.figure(*timing), c.unit(), timing->threads) : "-";
}

constexpr const char* columns =
    "{:44} {:>17} {:>17} {:>10} {:>21} {:>8} {:>9} {:>8} {:>8} {:>8} {:>5} {:>5}\n";

constexpr const char* fit_columns = "{:44} {:>8} {:>12} {:>26} {:>8}\n";

}  // namespace

std::string describe(const Results& results) {
  const Machine& machine = results.machine;
  std::string text = fmt::format("{}, OpenBLAS core {}, {} threads, g++ {}{}{}\n", machine.processor,
                                 machine.openblas_core, results.threads, machine.compiler,
                                 results.versions.empty() ? "" : "; ", fmt::join(results.versions, ", "));
  for (const Limit& limit : machine.limits)
    text += fmt::format("at most {:.0f} GFLOP/s of products and {:.1f} GB/s of memory with {} threads\n",
                        limit.product_gflops, limit.memory_gbytes, limit.threads);
  if (results.threads > 1)
    text += fmt::format("a cache line takes {:.0f} ns from core to core and back\n",
                        machine.handover_nanoseconds);
  return text;
}

void print_heading() {
  fmt::print("ratio: median and 95% interval of paired rounds; ~1: not separable from 1 on this machine\n");
  fmt::print(columns, "case", "lariat (threads)", "other (threads)", "beside", "ratio", "as is", "1 thread",
             "of peak", "of mem", "scaling", "MB", "bits");
}

void print_row(const Comparison& c, const Machine& machine) {
  const Timing *best = c.best("lariat"), *one = c.best("lariat", 1);
  const Timing* other = c.best_other();
  const Spread spread = c.spread();
  fmt::print(columns, c.what.name, figure(c, best), figure(c, other), other ? other->side : "-",
             spread.text() + (other && !spread.differs() ? " ~1" : ""), times(c.ratio_as_it_comes()),
             times(c.ratio(1)), percent(c.peak_share(machine)), percent(c.bandwidth_share(machine)),
             times(c.figure(*one) / c.figure(*best)), fmt::format("{:.0f}", best->peak_megabytes),
             !c.same_bits   ? "-"
             : *c.same_bits ? "same"
                            : "DIFFER");
  std::fflush(stdout);
}

void print_fits(const Results& results) {
  const std::vector<Fit> lines = fits(results.comparisons);
  if (lines.empty()) return;
  fmt::print("\n");
  fmt::print(fit_columns, "cost of a step, as a line", "threads", "at 0", "slope", "R^2");
  for (const Fit& fit : lines)
    fmt::print(fit_columns, fit.name, fit.threads, fmt::format("{:.3f} ms", fit.intercept),
               fmt::format("{:.4g} us per {}", 1e3 * fit.slope, fit.amount),
               fmt::format("{:.4f}", fit.r_squared));
}

}  // namespace lariat::benchmarks
