#include "autodiff/convex/row_loss.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "autodiff/double_graph.hpp"
#include "autodiff/gradient.hpp"
#include "graph/base/error.hpp"
#include "ops/ops.hpp"

namespace lariat::convex {

namespace {

// ℓ_i of every row: Σ_k ∂ℓ/∂r_k·r_k over the values r_k of all rows of which single numbers are made, for ℓ
// is linear in them, but for a constant.
Value losses_of_rows(Graph& graph, Value value, Value z) {
  const Shape shape = z.shape();
  const int64_t rows = element_count(shape).size();
  if (rows == 1) return reshape(value, shape);
  const int32_t source = z.node();
  const std::vector<bool> depends = dependents(graph, {&source, 1});
  const auto count = [&](Edge edge) { return element_count(graph.type(edge).shape).size(); };
  std::vector<Value> last;
  for (int32_t id = 0; id <= value.node(); ++id) {
    if (!depends[id] || count({id, 0}) != 1) continue;
    for (const Edge& edge : graph.node(id).inputs)
      if (depends[edge.node] && count(edge) == rows && !is_among(last, graph.value(edge)))
        last.push_back(graph.value(edge));
  }
  const std::vector<Value> slopes = gradient(value, last);
  Value total = zeros_like(z);
  for (size_t k = 0; k < last.size(); ++k) total = total + reshape(slopes[k] * last[k], shape);
  return total;
}

}  // namespace

RowLoss::RowLoss(Value loss, Value prediction, std::span<const Value> zeroed, Executor& executor,
                 RowParts parts)
    : executor_(executor), extents_(evaluate(prediction.shape(), {})), parts_(std::move(parts)) {
  Graph graph;
  const Value value = copy_without(loss, zeroed, prediction, graph);
  const Value z = graph.find_source("z");
  // Each slope depends on its own z_i only, so the gradient of their sum is the Hessian's diagonal.
  const Value slope = gradient(value, {z})[0];
  const Value curvature = gradient(sum(slope), {z})[0];
  graph.output("value", value);
  graph.output("slope", slope);
  graph.output("curvature", curvature);
  if (!parts_.is_one()) graph.output("rows", losses_of_rows(graph, value, z));
  program_ = std::make_unique<Program>(graph);
}

RowLoss::Point RowLoss::at(const Tensor& z) {
  std::optional<Point> point = at_if_finite(z);
  if (!point) throw JobError("the loss is not finite; look for data far from 1, or scale them");
  return std::move(*point);
}

RowLoss::Point RowLoss::at_here(const Tensor& z) {
  Store none;
  const std::vector<Tensor> results = program_->run({{"z", z}}, none, executor_);
  Point point{results[0].item(), results[1], results[2]};
  if (!parts_.is_one()) point.losses = results[3];
  return point;
}

std::optional<RowLoss::Point> RowLoss::at_if_finite(const Tensor& z) { return over_all(at_here(z), z, true); }

void RowLoss::check_convex() {
  for (const double size : {0.1, 0.7, 1.9, 5.0, 13.0, 47.0, 211.0})
    for (const double place : {size, -size}) (void)at_if_finite(Tensor::filled(f64, extents_, place));
}

std::optional<RowLoss::Point> RowLoss::over_all(Point here, const Tensor& z, bool reached) const {
  enum { value, squares, uncertain, blurred, lowest, highest, constant, missed, width };
  const double *x = z.data<double>(), *u = here.slope.data<double>(), *d = here.curvature.data<double>();
  const bool one = parts_.is_one();
  double beside = here.value;  // what the value has beside its rows
  for (int64_t i = 0; !one && i < z.count(); ++i) beside -= here.losses.data<double>()[i];
  const std::vector<double> all =
      parts_.gather(z.count(), width, [&](int64_t begin, int64_t end, std::span<double> of) {
        for (int64_t i = begin; i < end; ++i) {
          const double off = std::abs(u[i]) + std::abs(d[i] * x[i]);
          of[value] += one ? 0 : here.losses.data<double>()[i];
          of[squares] += u[i] * u[i];
          of[uncertain] += off * off;
          of[blurred] += d[i] * x[i] * x[i];
          of[lowest] = d[i] < of[lowest] ? d[i] : of[lowest];
          of[highest] = d[i] > of[highest] ? d[i] : of[highest];
        }
        of[constant] = one || !std::isfinite(beside) ? 0 : std::abs(beside);
        of[missed] = reached ? 0 : 1;
      });
  double total[width] = {};
  for (size_t at = 0; at < all.size(); at += width) {
    for (const int sum : {value, squares, uncertain, blurred, missed}) total[sum] += all[at + sum];
    total[lowest] = std::min(total[lowest], all[at + lowest]);
    for (const int most : {highest, constant}) total[most] = std::max(total[most], all[at + most]);
  }
  if (!one) here.value = total[value];
  if (!std::isfinite(here.value) || total[missed] > 0) return std::nullopt;
  // By which rounding of a sum over rows may be off.
  constexpr double negligible = 1e-9;
  if (total[constant] > negligible * std::max(1.0, std::abs(here.value)))
    throw UserError(
        fmt::format("the loss of this rank's rows has a constant of {:.3g} beside what it sums over rows, "
                    "which would count once for each rank; leave it out",
                    total[constant]));
  if (total[lowest] < -1e-9 * std::max(1.0, total[highest]))
    throw UserError(
        fmt::format("the loss is not convex: its second derivative is {:.3g} for one row; the method fista "
                    "finds a stationary point",
                    total[lowest]));
  here.steepest = total[highest];
  here.slope_length = std::sqrt(total[squares]);
  constexpr double rounded = 4 * std::numeric_limits<double>::epsilon();
  here.rounding = rounded * std::sqrt(total[uncertain]);
  here.unresolved = rounded * rounded / 2 * std::max(0.0, total[blurred]);
  return here;
}

// Rows are moved each for itself, so ranks meet at the end only.
std::optional<RowLoss::Point> RowLoss::with_slopes(Tensor& z, Point point, std::span<const double> slope) {
  constexpr int most_steps = 100;
  constexpr double infinity = std::numeric_limits<double>::infinity();
  const auto count = static_cast<size_t>(z.count());
  std::vector<double> low(count, -infinity), high(count, infinity);
  double* x = z.data<double>();
  double largest = 0;
  for (const double s : slope) largest = std::max(largest, std::abs(s));
  largest = parts_.largest(largest);
  bool reached = false;
  for (int step = 0; step < most_steps; ++step) {
    const double *present = point.slope.data<double>(), *curvature = point.curvature.data<double>();
    bool done = true;
    for (size_t i = 0; i < count; ++i) {
      const double off = present[i] - slope[i];
      if (std::abs(off) <= 4e-16 * std::abs(slope[i]) + 1e-16 * largest) continue;
      (off < 0 ? low : high)[i] = x[i];
      double next = x[i] - off / curvature[i];
      if (!(next > low[i] && next < high[i])) {
        const double far = std::ldexp(1.0, step);
        next = std::isinf(high[i]) ? x[i] + far : std::isinf(low[i]) ? x[i] - far : 0.5 * (low[i] + high[i]);
      }
      // Where z is large the slope takes steps, and no z is nearer.
      if (std::abs(next - x[i]) <= 4e-16 * std::abs(x[i])) continue;
      x[i] = next;
      done = false;
    }
    if (done) {
      reached = true;
      break;
    }
    point = at_here(z);
    if (!std::isfinite(point.value)) break;
  }
  return over_all(std::move(point), z, reached);
}

}  // namespace lariat::convex
