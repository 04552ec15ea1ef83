#include <cmath>
#include <functional>
#include <limits>

#include "ops/kernels/groups.hpp"
#include "ops/kernels/piece_scratch.hpp"
#include "ops/kernels/reduction.hpp"
#include "ops/ops.hpp"
#include "ops/records.hpp"

namespace lariat {

namespace group_soft_threshold_detail {

// What a group comes to: all zeros, the point itself, NaN, or wᵢ = vᵢ·r/(r + μᵢ).
struct Shrinkage {
  double r = 0;
  bool kept = false, undefined = false;
  double operator()(double v, double mu) const {
    if (undefined) return std::numeric_limits<double>::quiet_NaN();
    if (kept) return v;
    return r > 0 && v != 0 ? v * (r / (r + mu)) : 0.0;
  }
};

// One group, scaled by a power of two so that its largest |v| is about 1, with thresholds μ = λ·step.
class Group {
 public:
  /// `parts` is memory for part_bytes().
  Group(const double* v, const double* mu, int64_t size, std::byte* parts, const ParallelFor& parallel)
      : v_(v), mu_(mu), size_(size), parts_(parts), parallel_(parallel) {}

  static int64_t part_bytes(int64_t size) {
    return size <= elements_per_task ? 0 : part_count(size) * static_cast<int64_t>(sizeof(Sums));
  }

  // argmin_w λ‖w‖ + Σ (wᵢ − vᵢ)²/(2 sᵢ) is wᵢ = r·vᵢ/(r + μᵢ) with r = ‖w‖, so that y(r) = v/(r + μ) has norm
  // 1. 1/‖y(r)‖ rises and is concave in r, so Newton's method for 1/‖y(r)‖ = 1 (Moré and Sorensen 1983) never
  // passes the root from below. No |yᵢ| exceeds 1 from r = max(|vᵢ| − μᵢ) on.
  double root() const {
    double r = fold<double>([](double v, double mu) { return std::abs(v) - mu; },
                            [](double a, double b) { return std::max(a, b); });
    if (r <= 0) {
      r = 0;
      if (sums_at(0).square <= 1) return 0;
    }
    for (int step = 0; step < most_steps; ++step) {
      const Sums sums = sums_at(r);
      const double norm = std::sqrt(sums.square), next = r + (norm - 1) * sums.square / sums.cube;
      if (!(next > r)) break;
      r = next;
    }
    return r;
  }

  double norm() const {
    return std::sqrt(fold<double>([](double v, double) { return v * v; }, std::plus<double>()));
  }

 private:
  static constexpr int most_steps = 100;
  struct Sums {
    double square = 0, cube = 0;
  };
  static int64_t part_count(int64_t size) { return (size + elements_per_task - 1) / elements_per_task; }

  Sums sums_at(double r) const {
    return fold<Sums>(
        [r](double v, double mu) {
          const double share = v == 0 ? 0 : v / (r + mu), square = share * share;
          return Sums{square, v == 0 ? 0 : square / (r + mu)};
        },
        [](Sums a, Sums b) {
          return Sums{a.square + b.square, a.cube + b.cube};
        });
  }

  // Over pieces whose limits depend on the size only, each in lanes that the compiler can run side by side.
  template <class Result, class Map, class Combine>
  Result fold(const Map& map, const Combine& combine) const {
    const auto piece = [&](int64_t begin, int64_t end) {
      constexpr int64_t width = 8;
      Result lanes[width];
      const int64_t first = std::min(width, end - begin);
      for (int64_t j = 0; j < first; ++j) lanes[j] = map(v_[begin + j], mu_[begin + j]);
      int64_t i = begin + first;
      for (; i + width <= end; i += width)
        for (int64_t j = 0; j < width; ++j) lanes[j] = combine(lanes[j], map(v_[i + j], mu_[i + j]));
      for (int64_t j = 0; i + j < end; ++j) lanes[j] = combine(lanes[j], map(v_[i + j], mu_[i + j]));
      for (int64_t j = 1; j < first; ++j) lanes[0] = combine(lanes[0], lanes[j]);
      return lanes[0];
    };
    if (size_ <= elements_per_task) return piece(0, size_);
    const std::span parts(reinterpret_cast<Result*>(parts_), static_cast<size_t>(part_count(size_)));
    parallel_.run(part_count(size_), 1, [&](int64_t begin, int64_t end) {
      for (int64_t p = begin; p < end; ++p)
        parts[p] = piece(p * elements_per_task, std::min(size_, (p + 1) * elements_per_task));
    });
    for (size_t p = 1; p < parts.size(); ++p) parts[0] = combine(parts[0], parts[p]);
    return parts[0];
  }

  const double *v_, *mu_;
  int64_t size_;
  std::byte* parts_;
  const ParallelFor& parallel_;
};

// Scales v and turns the steps in `mu` into thresholds.
Shrinkage shrinkage_of(double* v, double* mu, int64_t size, std::byte* parts, bool one_step, double weight,
                       const ParallelFor& parallel) {
  double largest = 0, check = weight;
  for (int64_t i = 0; i < size; ++i) {
    largest = std::max(largest, std::abs(v[i]));
    check += v[i] * 0 + mu[i];
  }
  Shrinkage result;
  // Infinity times 0 is NaN as well, so look again.
  if (std::isnan(check)) {
    result.undefined = std::isnan(weight);
    for (int64_t i = 0; i < size; ++i) result.undefined |= std::isnan(v[i]) || std::isnan(mu[i]);
    if (result.undefined) return result;
  }
  result.kept = weight <= 0 || std::isinf(largest);
  if (result.kept || largest == 0) return result;
  // In two factors, for one could leave the range of doubles.
  const int exponent = -std::ilogb(largest);
  const double half = std::ldexp(1.0, exponent / 2), rest = std::ldexp(1.0, exponent - exponent / 2);
  const double scaled_weight = weight * half * rest;
  for (int64_t i = 0; i < size; ++i) {
    v[i] = v[i] * half * rest;
    mu[i] = mu[i] == 0 ? 0 : scaled_weight * mu[i];
  }
  const Group group(v, mu, size, parts, parallel);
  result.r = one_step ? group.norm() - mu[0] : group.root();
  return result;
}

// v and the thresholds of one group, and what its pieces add up to.
int64_t bytes_of_group(int64_t size) {
  return 2 * size * static_cast<int64_t>(sizeof(double)) + Group::part_bytes(size);
}

GroupedElements groups_of(const KernelContext& k) {
  return {k.inputs[0].extents, axes_attribute(k.inputs[0], k.inputs[0], k.attributes)};
}

template <class T>
void forward(const KernelContext& k) {
  const GroupedElements groups = groups_of(k);
  const int64_t size = groups.size();
  if (k.inputs[0].count() == 0) return;
  const bool one_step = k.inputs[1].rank() == 0, one_weight = k.inputs[2].rank() == 0;
  const auto shrink = [&](int64_t group, std::byte* scratch) {
    auto* points = reinterpret_cast<double*>(scratch);
    double* mu = points + size;
    groups.gather(group, k.in<T>(0), false, points);
    groups.gather(group, k.in<T>(1), one_step, mu);
    const Shrinkage shrinkage = shrinkage_of(points, mu, size, reinterpret_cast<std::byte*>(mu + size),
                                             one_step, k.in<T>(2)[one_weight ? 0 : group], k.parallel);
    const T* from = k.in<T>(0);
    T* to = k.out<T>(0);
    // What rounds to 0 is +0.
    groups.visit(group, 0, size, [&](int64_t i, int64_t at) {
      to[at] = static_cast<T>(shrinkage(static_cast<double>(from[at]), mu[i])) + T(0);
    });
  };
  // Many groups side by side, or the pieces of one large group after the other.
  if (size > elements_per_task) {
    for (int64_t group = 0; group < groups.count(); ++group) shrink(group, k.scratch.shared);
    return;
  }
  PieceScratch(groups.count(), bytes_of_group(size)).run(k, rows_per_task(size), shrink);
}

Workspace workspace(const KernelContext& k) {
  const GroupedElements groups = groups_of(k);
  const int64_t bytes = bytes_of_group(groups.size());
  if (groups.size() > elements_per_task) return {static_cast<size_t>(bytes), 0};
  return PieceScratch(groups.count(), bytes).workspace();
}

}  // namespace group_soft_threshold_detail

OpDef records::group_soft_threshold() {
  using namespace group_soft_threshold_detail;
  OpDef def{.name = "group_soft_threshold",
            .doc =
                "argmin_w weight ‖w‖₂ + Σ (w - v)²/(2 step) for each group: all of it exactly +0 where "
                "‖v/step‖₂ <= weight. The prox of norm2.",
            .inputs = {{"v", "f32 or f64 of any shape"},
                       {"step", "above 0, or 0 for no step: a scalar or of v's shape"},
                       {"weight", "at least 0: a scalar or one for each group"}},
            .outputs = {{"w", "like v; NaN in any of its inputs makes a group NaN"}},
            .attributes = {group_axes_attribute()}};
  def.infer = infer_prox_along_axes;
  def.kernel = {forward<float>, forward<double>, nullptr};
  def.workspace = workspace;
  def.cost = streaming_cost<40>;
  const Attributes rows{{"axes", std::vector<int64_t>{1}}};
  // With steps 1 and 1/2, r = 1 and weight 2 take vᵢ = wᵢ(1 + 2 stepᵢ) to w = (0.6, 0.8).
  def.samples = {{"one step", {{{2}, {3, 4}}, {{}, {0.5}}, {{}, {5}}}, {}, {1.5, 2}},
                 {"a step for each", {{{2}, {1.8, 1.6}}, {{2}, {1, 0.5}}, {{}, {2}}}, {}, {0.6, 0.8}},
                 {"rows", {{{2, 2}, {3, 4, 0.3, -0.4}}, {{}, {1}}, {{2}, {2.5, 1}}}, rows, {1.5, 2, 0, 0}},
                 {"rows, a step for each", {{{3, 4}}, {{3, 4}, {}, 0.1, 1}, {{}, {0.5}}}, rows},
                 {"outer axes",
                  {{{2, 3, 2}}, {{2, 3, 2}, {}, 0.1, 1}, {{2}, {0.3, 0.5}}},
                  {{"axes", std::vector<int64_t>{0, 1}}}},
                 {"scalar", {{{}, {-3}}, {{}, {0.5}}, {{}, {2}}}, {}, {-2}},
                 {"no elements", {{{2, 0}}, {{}, {1}}, {{2}, {1, 1}}}, rows}};
  def.rejects = {{{{f32, {2, 3}}, {f32, {3}}, {f32, {}}},
                  rows,
                  "the step is [3]; it must be a scalar or have v's shape [2, 3]"},
                 {{{f32, {2, 3}}, {f32, {}}, {f32, {3}}},
                  rows,
                  "the weight is [3]; it must be a scalar or of shape [2]"},
                 {{{i32, {2}}, {i32, {}}, {i32, {}}}, {}, "v is i32[2]; it must be f32 or f64. Use cast"}};
  return def;
}

Value group_soft_threshold(Operand v, Operand step, Operand weight, std::vector<int64_t> axes) {
  return build("group_soft_threshold", {v, step, weight}, {{"axes", std::move(axes)}});
}

}  // namespace lariat
