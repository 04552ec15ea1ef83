#include <cmath>
#include <limits>

#include "ops/kernels/reduction.hpp"
#include "ops/ops.hpp"
#include "ops/prox/element_kinks.hpp"
#include "ops/records.hpp"

namespace lariat {

namespace group_kink_prox_detail {

constexpr double infinity = std::numeric_limits<double>::infinity();

// argmin_w λ‖w‖ + Σ (wᵢ − vᵢ)²/(2 sᵢ) + φᵢ(wᵢ) for piecewise linear convex φᵢ. With
//   λ‖w‖ = min_r λ(‖w‖²/r + r)/2
// the problem is convex in w and r together and, for a given r, falls into elements:
//   wᵢ(r) = argmin (wᵢ − pᵢ)²/(2 tᵢ) + φᵢ(wᵢ),  pᵢ = vᵢ·r/(r + λsᵢ),  tᵢ = sᵢ·r/(r + λsᵢ).
// Its derivative by r is λ(1 − ‖w(r)‖²/r²)/2, so that r is the root of ‖w(r)‖/r = 1, which falls in r.
class Group {
 public:
  static int64_t bytes(int64_t size, size_t inputs) {
    return 3 * ScratchArrays::bytes<double>(size) + ElementKinks<double>::bytes(size, inputs);
  }
  /// In bytes() of scratch.
  Group(int64_t size, size_t inputs, ScratchArrays scratch)
      : v(scratch.take<double>(size)),
        step(scratch.take<double>(size)),
        kinks(size, inputs, scratch),
        w_(scratch.take<double>(size)) {}

  const std::span<double> v, step;
  ElementKinks<double> kinks;

  /// The minimiser for the weight λ.
  std::span<const double> solve(double weight) {
    const int64_t size = static_cast<int64_t>(v.size());
    bool undefined = kinks.undefined() || std::isnan(weight);
    for (int64_t i = 0; i < size; ++i) undefined |= !std::isfinite(v[i]) || std::isnan(step[i]);
    if (undefined) {
      std::fill(w_.begin(), w_.end(), std::numeric_limits<double>::quiet_NaN());
    } else if (is_zero(weight)) {
      std::fill(w_.begin(), w_.end(), 0.0);
    } else {
      place(infinity, weight);
      if (weight > 0) place(root(weight), weight);
    }
    return w_;
  }

 private:
  struct Sums {
    double square = 0, cube = 0;  // Σy² and Σy²/(r + λs), for y = w(r)/r
  };

  // Puts w(r) and gives the sums that Newton's method for 1/‖y‖ = 1 needs. Where an element does not lie at a
  // kink, yᵢ = (vᵢ − sᵢσ)/(r + λsᵢ).
  Sums place(double r, double weight) {
    Sums sums;
    for (size_t i = 0; i < v.size(); ++i) {
      const double mu = weight * step[i], share = r == infinity ? 1 : r / (r + mu);
      const auto [at, pinned] = kinks.prox(static_cast<int64_t>(i), v[i] * share, step[i] * share);
      w_[i] = at;
      const double y = at / r;
      sums.square += y * y;
      sums.cube += y * y / (pinned ? r : r + mu);
    }
    return sums;
  }

  double root(double weight) {
    double low = 0, high = 0;
    for (double w : w_) high = std::hypot(high, w);
    double r = high;
    for (int step = 0; step < most_steps && high > low; ++step) {
      const Sums sums = place(r, weight);
      const double norm = std::sqrt(sums.square);
      if (norm == 1) break;
      (norm > 1 ? low : high) = r;
      double next = r + (norm - 1) * sums.square / sums.cube;
      if (!(next > low && next < high)) next = low > 0 ? low + (high - low) / 2 : high / 16;
      if (next == r) break;
      r = next;
    }
    return r;
  }

  // Whether the elements' slopes at 0 can be balanced by a subgradient of the norm.
  bool is_zero(double weight) const {
    if (!(weight > 0)) return false;
    double least = 0;
    for (size_t i = 0; i < v.size(); ++i) {
      const auto [below, above] = kinks.slopes(static_cast<int64_t>(i), 0);
      if (kinks.low[i] > 0 || kinks.high[i] < 0) return false;
      if (step[i] == 0 && v[i] == 0) continue;
      const double pull = -v[i] / step[i];
      least = std::hypot(least, std::max(pull + below, 0.0) + std::min(pull + above, 0.0));
    }
    return least <= weight;
  }

  static constexpr int most_steps = 200;
  const std::span<double> w_;
};

// The groups of v, and their scratch.
struct Groups {
  explicit Groups(const KernelContext& k)
      : elements(k.inputs[0].extents, axes_attribute(k.inputs[0], k.inputs[0], k.attributes)),
        scratch(elements.count(), Group::bytes(elements.size(), k.inputs.size())) {}
  GroupedElements elements;
  PieceScratch scratch;
};

Workspace workspace(const KernelContext& k) { return Groups(k).scratch.workspace(); }

template <class T>
void forward(const KernelContext& k) {
  if (k.inputs[0].count() == 0) return;
  const Groups all(k);
  const GroupedElements& groups = all.elements;
  const bool one_step = k.inputs[1].rank() == 0, one_weight = k.inputs[2].rank() == 0;
  all.scratch.run(k, rows_per_task(40 * groups.size()), [&](int64_t i, std::byte* scratch) {
    Group group(groups.size(), k.inputs.size(), ScratchArrays(scratch));
    groups.gather(i, k.in<T>(0), false, group.v.data());
    groups.gather(i, k.in<T>(1), one_step, group.step.data());
    group.kinks.gather<T>(k, groups, i);
    const std::span<const double> w = group.solve(static_cast<double>(k.in<T>(2)[one_weight ? 0 : i]));
    groups.scatter(i, k.out<T>(0), [&](int64_t j) { return w[j]; });
  });
}

std::vector<TensorType> infer(const InferContext& c) {
  const std::vector<bool> reduced = checked_axes(c.attribute<std::vector<int64_t>>("axes"), c.shape(0));
  return infer_kink_prox(c, reduced_shape(c.shape(0), reduced, false));
}

}  // namespace group_kink_prox_detail

OpDef records::group_kink_prox() {
  using namespace group_kink_prox_detail;
  OpDef def{.name = "group_kink_prox",
            .doc =
                "argmin_w weight ‖w‖₂ + Σ (w - v)²/(2 step) + piecewise linear convex functions of single "
                "elements, for each group. The prox of norm2 beside kinks and bounds anywhere.",
            .inputs = kink_inputs({{"v", "f32 or f64 of any shape"},
                                   {"step", "above 0, or 0 for no step: a scalar or of v's shape"},
                                   {"weight", "at least 0: a scalar or one for each group"}}),
            .variadic = true,
            .outputs = {{"w", "like v; NaN or an infinite v in a group makes it NaN"}},
            .attributes = {group_axes_attribute()}};
  def.infer = infer;
  def.kernel = {forward<float>, forward<double>, nullptr};
  def.workspace = workspace;
  def.cost = streaming_cost<400>;
  const SampleInput none_below{{}, {-INFINITY}}, none_above{{}, {INFINITY}};
  // |w| + ‖w − 1‖ about 0.5, as x = w − 1: the slopes of both terms are 0 between their kinks.
  def.samples = {
      {"a kink elsewhere",
       {{{1}, {-0.5}}, {{}, {1}}, {{}, {1}}, none_below, none_above, {{}, {-1}}, {{}, {-1}}, {{}, {1}}},
       {},
       {-0.5}},
      {"sparse group",
       {{{2}, {4, -5}}, {{}, {1}}, {{}, {2.5}}, none_below, none_above, {{}, {0}}, {{}, {-1}}, {{}, {1}}},
       {},
       {1.5, -2}},
      {"bounds that exclude 0",
       {{{2}, {0.5, 0.5}},
        {{}, {1}},
        {{}, {100}},
        {{}, {0.25}},
        {{2}, {1, 2}},
        {{}, {0}},
        {{}, {0}},
        {{}, {0}}},
       {},
       {0.25, 0.25}},
      {"rows",
       {{{3, 4}},
        {{3, 4}, {}, 0.1, 1},
        {{3}, {0.1, 0.2, 0.4}},
        none_below,
        none_above,
        {{3, 4}},
        {{}, {-0.2}},
        {{3, 4}, {}, 0, 1}},
       {{"axes", std::vector<int64_t>{1}}}}};
  const TensorType number{f32, {}};
  def.rejects.push_back(
      {std::vector<TensorType>(9, number),
       {},
       "takes v, the step, the weight, two bounds, and three inputs for each kink; got 9 inputs"});
  std::vector<TensorType> types(8, number);
  types[0].shape = {2};
  types[3].shape = {3};
  def.rejects.push_back(
      {types, {}, "input 3 is [3]; bounds and kinks must be scalars or have v's shape [2]"});
  return def;
}

}  // namespace lariat
