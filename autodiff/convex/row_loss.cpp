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

RowLoss::RowLoss(Value loss, Value prediction, std::span<const Value> zeroed, Executor& executor)
    : executor_(executor), extents_(evaluate(prediction.shape(), {})) {
  Graph graph;
  const Value value = copy_without(loss, zeroed, prediction, graph);
  const Value z = graph.find_source("z");
  // Each slope depends on its own z_i only, so the gradient of their sum is the Hessian's diagonal.
  const Value slope = gradient(value, {z})[0];
  const Value curvature = gradient(sum(slope), {z})[0];
  graph.output("value", value);
  graph.output("slope", slope);
  graph.output("curvature", curvature);
  program_ = std::make_unique<Program>(graph);
}

RowLoss::Point RowLoss::at(const Tensor& z) {
  std::optional<Point> point = at_if_finite(z);
  if (!point) throw JobError("the loss is not finite; look for data far from 1, or scale them");
  return std::move(*point);
}

std::optional<RowLoss::Point> RowLoss::at_if_finite(const Tensor& z) {
  Store none;
  std::vector<Tensor> results = program_->run({{"z", z}}, none, executor_);
  Point point{results[0].item(), results[1], results[2]};
  if (!std::isfinite(point.value)) return std::nullopt;
  const double* curvature = point.curvature.data<double>();
  double lowest = 0, highest = 0;
  for (int64_t i = 0; i < z.count(); ++i) {
    lowest = curvature[i] < lowest ? curvature[i] : lowest;
    highest = curvature[i] > highest ? curvature[i] : highest;
  }
  if (lowest < -1e-9 * std::max(1.0, highest))
    throw UserError(
        fmt::format("the loss is not convex: its second derivative is {:.3g} for one row; the method fista "
                    "finds a stationary point",
                    lowest));
  return point;
}

std::optional<RowLoss::Point> RowLoss::with_slopes(Tensor& z, Point point, std::span<const double> slope) {
  constexpr int most_steps = 100;
  constexpr double infinity = std::numeric_limits<double>::infinity();
  const auto count = static_cast<size_t>(z.count());
  std::vector<double> low(count, -infinity), high(count, infinity);
  double* x = z.data<double>();
  double largest = 0;
  for (const double s : slope) largest = std::max(largest, std::abs(s));
  for (int step = 0; step < most_steps; ++step) {
    const double *reached = point.slope.data<double>(), *curvature = point.curvature.data<double>();
    bool done = true;
    for (size_t i = 0; i < count; ++i) {
      const double off = reached[i] - slope[i];
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
    if (done) return point;
    std::optional<Point> next = at_if_finite(z);
    if (!next) return std::nullopt;
    point = std::move(*next);
  }
  return std::nullopt;
}

}  // namespace lariat::convex
