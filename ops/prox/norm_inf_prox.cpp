#include <cmath>
#include <limits>

#include "ops/kernels/groups.hpp"
#include "ops/kernels/piece_scratch.hpp"
#include "ops/kernels/reduction.hpp"
#include "ops/ops.hpp"
#include "ops/records.hpp"

namespace lariat {

namespace norm_inf_prox_detail {

struct Breakpoint {
  double size, metric;
};

// The level τ ≥ 0 with Σ dᵢ(|vᵢ| − τ)₊ = λ, or 0 where even that takes less than λ: as τ falls from the
// largest |v|, what it takes grows by (Σ d of those above) between one |v| and the next. Sorts the
// breakpoints. By Moreau's identity, clipping at τ is v less its projection on the L1 ball (Held, Wolfe and
// Crowder 1974).
double clip_level(std::span<Breakpoint> points, double weight) {
  std::sort(points.begin(), points.end(),
            [](const Breakpoint& a, const Breakpoint& b) { return a.size > b.size; });
  double slope = 0, taken = 0;
  for (size_t i = 0; i < points.size(); ++i) {
    slope += points[i].metric;
    const double size = points[i].size, next = i + 1 < points.size() ? points[i + 1].size : 0;
    if (size == next) continue;  // a step of 0 has an infinite metric
    const double more = slope * (size - next);
    if (taken + more > weight) return size - (weight - taken) / slope;
    taken += more;
  }
  return 0;
}

GroupedElements groups_of(const KernelContext& k) {
  return {k.inputs[0].extents, axes_attribute(k.inputs[0], k.inputs[0], k.attributes)};
}

PieceScratch scratch_of(const GroupedElements& groups) {
  return {groups.count(), groups.size() * static_cast<int64_t>(sizeof(Breakpoint))};
}

Workspace workspace(const KernelContext& k) { return scratch_of(groups_of(k)).workspace(); }

template <class T>
void forward(const KernelContext& k) {
  const GroupedElements groups = groups_of(k);
  if (k.inputs[0].count() == 0) return;
  const T *points = k.in<T>(0), *steps = k.in<T>(1), *weights = k.in<T>(2);
  const bool one_step = k.inputs[1].rank() == 0, one_weight = k.inputs[2].rank() == 0;
  scratch_of(groups).run(k, rows_per_task(8 * groups.size()), [&](int64_t group, std::byte* scratch) {
    const std::span breakpoints(reinterpret_cast<Breakpoint*>(scratch), static_cast<size_t>(groups.size()));
    const double weight = weights[one_weight ? 0 : group];
    double largest_step = 0, largest = 0, check = weight;
    groups.visit(group, 0, groups.size(), [&](int64_t i, int64_t at) {
      const double size = std::abs(static_cast<double>(points[at])), step = steps[one_step ? 0 : at];
      breakpoints[i] = {size, step};
      largest_step = std::max(largest_step, step);
      largest = std::max(largest, size);
      if (std::isnan(size) || std::isnan(step)) check = size + step;
    });
    double level = std::numeric_limits<double>::quiet_NaN();
    if (std::isinf(largest) || weight <= 0 || largest_step == 0) {
      level = largest;
    } else if (!std::isnan(check)) {
      // Times the largest step, which keeps the metric at 1 and above.
      for (Breakpoint& point : breakpoints) point.metric = largest_step / point.metric;
      level = clip_level(breakpoints, weight * largest_step);
    }
    const T limit = static_cast<T>(std::isnan(check) ? check : level);
    groups.visit(group, 0, groups.size(), [&](int64_t, int64_t at) {
      const T x = points[at];
      k.out<T>(0)[at] = limit != limit ? limit : (x > limit ? limit : x < -limit ? -limit : x) + T(0);
    });
  });
}

}  // namespace norm_inf_prox_detail

OpDef records::norm_inf_prox() {
  using namespace norm_inf_prox_detail;
  OpDef def{.name = "norm_inf_prox",
            .doc =
                "argmin_w weight max|w| + Σ (w - v)²/(2 step) for each group: v clipped to [-τ, τ] with "
                "Σ (|v| - τ)₊/step = weight, or 0 where Σ |v|/step <= weight. The prox of norm_inf.",
            .inputs = {{"v", "f32 or f64 of any shape"},
                       {"step", "above 0, or 0 for no step: a scalar or of v's shape"},
                       {"weight", "at least 0: a scalar or one for each group"}},
            .outputs = {{"w", "like v; NaN in any of its inputs makes a group NaN"}},
            .attributes = {group_axes_attribute()}};
  def.infer = infer_prox_along_axes;
  def.kernel = {forward<float>, forward<double>, nullptr};
  def.workspace = workspace;
  def.cost = streaming_cost<60>;
  const Attributes rows{{"axes", std::vector<int64_t>{1}}};
  def.samples = {{"one step", {{{3}, {3, -2, 0.5}}, {{}, {1}}, {{}, {2}}}, {}, {1.5, -1.5, 0.5}},
                 {"a step for each", {{{2}, {3, -2}}, {{2}, {0.5, 1}}, {{}, {5}}}, {}, {1, -1}},
                 {"rows", {{{2, 2}, {3, 1, 0.25, -0.5}}, {{}, {1}}, {{2}, {1, 1}}}, rows, {2, 1, 0, 0}},
                 {"rows, a step for each", {{{3, 4}}, {{3, 4}, {}, 0.1, 1}, {{}, {0.5}}}, rows},
                 {"outer axes",
                  {{{2, 3, 2}}, {{2, 3, 2}, {}, 0.1, 1}, {{2}, {0.3, 0.5}}},
                  {{"axes", std::vector<int64_t>{0, 1}}}},
                 {"scalar", {{{}, {-3}}, {{}, {0.5}}, {{}, {2}}}, {}, {-2}},
                 {"no elements", {{{2, 0}}, {{}, {1}}, {{2}, {1, 1}}}, rows}};
  def.rejects = {{{{f32, {2, 3}}, {f32, {2, 1}}, {f32, {}}},
                  rows,
                  "the step is [2, 1]; it must be a scalar or have v's shape [2, 3]"},
                 {{{f32, {2, 3}}, {f32, {}}, {f32, {3}}},
                  rows,
                  "the weight is [3]; it must be a scalar or of shape [2]"},
                 {{{f32, {2, 3}}, {f64, {}}, {f32, {}}},
                  rows,
                  "takes inputs of one dtype; got f32[2, 3] and f64[]. Use cast to convert one"}};
  return def;
}

Value norm_inf_prox(Operand v, Operand step, Operand weight, std::vector<int64_t> axes) {
  return build("norm_inf_prox", {v, step, weight}, {{"axes", std::move(axes)}});
}

}  // namespace lariat
