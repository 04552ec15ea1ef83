#include <cmath>
#include <limits>
#include <map>

#include "ops/kernels/simd.hpp"
#include "ops/ops.hpp"
#include "ops/prox/element_kinks.hpp"
#include "ops/prox/variation_lines.hpp"
#include "ops/records.hpp"

namespace lariat {

namespace total_variation_kink_prox_detail {

// argmin_w Σ λᵢ|wᵢ₊₁ − wᵢ| + Σ dᵢ(wᵢ − vᵢ)²/2 + φᵢ(wᵢ) for piecewise linear convex φᵢ, by the dynamic
// programme of Johnson (2013), which asks of the functions of single elements only that they are convex:
//   fₖ' (b) = dₖ(b − vₖ) + φₖ'(b) + clip(fₖ₋₁'(b), −λₖ₋₁, λₖ₋₁),
// a rising function with knots where it bends or leaps. It passes −λₖ at lowₖ and λₖ at highₖ; backwards,
// wₖ = clip(wₖ₊₁, lowₖ, highₖ). A is wider than the data, for lines are added to each other and taken away
// again.
template <class A>
class Line {
 public:
  Line(int64_t size, size_t inputs)
      : point(size), metric(size), weight(size), kinks(size, inputs), low_(size), high_(size) {}

  std::vector<A> point, metric, weight;  // the last weight is not used
  ElementKinks<A> kinks;

  /// The minimiser, in `point`.
  void solve() {
    const int64_t size = static_cast<int64_t>(point.size());
    cut_weights();
    knots_.clear();
    left_ = right_ = {0, 0};
    for (int64_t k = 0; k < size; ++k) {
      add_element(k);
      low_[k] = pass_right(k, -weight[k]);
      high_[k] = std::max(low_[k], pass_left(k, weight[k]));
      clip(k);
    }
    for (int64_t k = size - 1; k-- > 0;) point[k] = std::clamp(point[k + 1], low_[k], high_[k]);
  }

 private:
  // The line slope·b + offset, or what is added to it on the right of a knot.
  struct Piece {
    A slope, offset;
    A at(A b) const { return slope * b + offset; }
    Piece& operator+=(const Piece& other) {
      slope += other.slope;
      offset += other.offset;
      return *this;
    }
    Piece operator-() const { return {-slope, -offset}; }
  };

  // A flow through a difference is a sum of slopes, so weights above all of these together bind alike; much
  // larger ones would only round the others away.
  void cut_weights() {
    A least = std::numeric_limits<A>::infinity(), largest = -least, flow = 0, metrics = 0;
    const auto include = [&](A at) {
      if (!std::isfinite(at)) return;
      least = std::min(least, at);
      largest = std::max(largest, at);
    };
    for (size_t i = 0; i < point.size(); ++i) {
      include(point[i]), include(kinks.low[i]), include(kinks.high[i]);
      for (const auto* kink = kinks.begin(i); kink != kinks.end(i); ++kink) {
        include(kink->at);
        flow += std::max(std::abs(kink->below), std::abs(kink->above));
      }
      metrics += metric[i];
    }
    flow += metrics * (largest - least);
    for (A& l : weight) l = std::min(l, flow);
    weight.back() = 0;
  }

  void add_element(int64_t k) {
    const Piece square{metric[k], -metric[k] * point[k]};
    left_ += square;
    right_ += square;
    for (const auto* kink = kinks.begin(k); kink != kinks.end(k); ++kink) {
      left_.offset += kink->below;
      right_.offset += kink->above;
      add_knot(kink->at, {0, kink->above - kink->below});
    }
  }

  void add_knot(A at, Piece change) { knots_.try_emplace(at, Piece{0, 0}).first->second += change; }

  // Takes away the knots where the derivative is below `level`, from the left; `left_` becomes the piece
  // behind the place where it is passed, which is returned.
  A pass_right(int64_t k, A level) {
    while (!knots_.empty()) {
      const auto [at, change] = *knots_.begin();
      if (at > kinks.low[k] && left_.at(at) >= level) break;
      Piece behind = left_;
      behind += change;
      left_ = behind;
      left_.slope = std::max(left_.slope, metric[k]);
      knots_.erase(knots_.begin());
      if (at >= kinks.low[k] && left_.at(at) >= level) return bounded(k, at);
    }
    if (knots_.empty()) left_ = right_;
    return bounded(k, (level - left_.offset) / left_.slope);
  }

  // The same from the right.
  A pass_left(int64_t k, A level) {
    if (knots_.empty()) right_ = left_;
    while (!knots_.empty()) {
      const auto [at, change] = *std::prev(knots_.end());
      if (at < kinks.high[k] && right_.at(at) <= level) break;
      right_ += -change;
      right_.slope = std::max(right_.slope, metric[k]);
      knots_.erase(std::prev(knots_.end()));
      if (at <= kinks.high[k] && right_.at(at) <= level) return bounded(k, at);
    }
    return bounded(k, (level - right_.offset) / right_.slope);
  }

  A bounded(int64_t k, A b) const { return std::min(std::max(b, kinks.low[k]), kinks.high[k]); }

  // The derivative becomes −λ below lowₖ and λ above highₖ; the last element is where its own is 0.
  void clip(int64_t k) {
    if (k + 1 == static_cast<int64_t>(point.size())) {
      point[k] = low_[k];
      return;
    }
    const A limit = weight[k];
    if (low_[k] == high_[k]) {
      knots_.clear();
      add_knot(low_[k], {0, 2 * limit});
    } else {
      add_knot(low_[k], {left_.slope, left_.offset + limit});
      add_knot(high_[k], {-right_.slope, limit - right_.offset});
    }
    left_ = {0, -limit};
    right_ = {0, limit};
  }

  Piece left_{0, 0}, right_{0, 0};  // before the first knot, behind the last one
  std::map<A, Piece> knots_;
  std::vector<A> low_, high_;
};

template <class T>
void forward(const KernelContext& k) {
  using A = Wider<T>;
  if (k.inputs[0].count() == 0) return;
  const VariationLines all(k);
  const GroupedElements& lines = all.elements;
  k.parallel.run(lines.count(), rows_per_task(200 * lines.size()), [&](int64_t begin, int64_t end) {
    Line<A> line(lines.size(), k.inputs.size());
    for (int64_t i = begin; i < end; ++i) {
      all.gather<T>(k, i, line);
      line.kinks.template gather<T>(k, lines, i);
      bool undefined = line.kinks.undefined();
      for (size_t j = 0; j < line.point.size(); ++j) {
        undefined |=
            !std::isfinite(line.point[j]) || std::isnan(line.metric[j]) || std::isnan(line.weight[j]);
        line.metric[j] = 1 / std::max(line.metric[j], A(std::numeric_limits<T>::denorm_min()));
      }
      if (!undefined) line.solve();
      lines.scatter(i, k.out<T>(0), [&](int64_t j) {
        return undefined ? std::numeric_limits<A>::quiet_NaN() : line.point[j];
      });
    }
  });
}

std::vector<TensorType> infer(const InferContext& c) { return infer_variation_prox(c, infer_kink_prox); }

}  // namespace total_variation_kink_prox_detail

OpDef records::total_variation_kink_prox() {
  using namespace total_variation_kink_prox_detail;
  OpDef def{
      .name = "total_variation_kink_prox",
      .doc =
          "argmin_w Σ weight |w[i+1] - w[i]| + Σ (w - v)²/(2 step) + piecewise linear convex functions of "
          "single elements, along one axis. The prox of absolute_differences beside kinks and bounds.",
      .inputs = kink_inputs({{"v", "f32 or f64 [.., n, ..]"},
                             {"step", "above 0, or 0 for no step: a scalar or of v's shape"},
                             {"weight", "at least 0: a scalar or [.., n - 1, ..]"}}),
      .variadic = true,
      .outputs = {{"w", "like v; NaN or an infinite v anywhere in a line makes it NaN"}}};
  def.attributes = {{"axis", AttributeKind::integer, "the axis, negative ones counted from the last"}};
  def.infer = infer;
  def.kernel = {forward<float>, forward<double>, nullptr};
  def.cost = streaming_cost<400>;
  const auto along = [](int64_t axis) -> Attributes { return {{"axis", axis}}; };
  const SampleInput none_below{{}, {-INFINITY}}, none_above{{}, {INFINITY}};
  def.samples = {
      // ½(w − 1)² + ½(v − 1)² + ½|w − v| + ½|w|
      {"a kink of one element",
       {{{2}, {1, 1}},
        {{}, {1}},
        {{}, {0.5}},
        none_below,
        none_above,
        {{}, {0}},
        {{2}, {-0.5, 0}},
        {{2}, {0.5, 0}}},
       along(0),
       {0.75, 0.75}},
      // The example of docs/proximal.md, where thresholds after the total variation would cost 17/16.
      {"steps of their own",
       {{{2}, {1, 1}},
        {{2}, {1, 0.5}},
        {{}, {1}},
        none_below,
        none_above,
        {{}, {0}},
        {{}, {-0.5}},
        {{}, {0.5}}},
       along(0),
       {2.0 / 3, 2.0 / 3}},
      {"bounds",
       {{{3}, {0, 4, 9}}, {{}, {1}}, {{}, {1}}, {{3}, {2, 0, 0}}, {{}, {5}}, {{}, {0}}, {{}, {0}}, {{}, {0}}},
       along(0),
       {2, 4, 5}},
      {"columns",
       {{{7, 3}},
        {{7, 3}, {}, 0.1, 1},
        {{6, 3}, {}, 0, 0.5},
        none_below,
        none_above,
        {{7, 3}},
        {{}, {-0.2}},
        {{7, 3}, {}, 0, 0.4}},
       along(0)}};
  def.rejects.push_back(
      {std::vector<TensorType>(10, {f32, {2}}), along(0),
       "takes v, the step, the weight, two bounds, and three inputs for each kink; got 10 inputs"});
  return def;
}

}  // namespace lariat
