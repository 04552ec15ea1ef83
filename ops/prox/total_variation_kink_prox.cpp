#include <cmath>
#include <limits>
#include <map>
#include <memory_resource>
#include <utility>

#include "graph/base/error.hpp"
#include "ops/kernels/simd.hpp"
#include "ops/ops.hpp"
#include "ops/prox/element_kinks.hpp"
#include "ops/prox/variation_lines.hpp"
#include "ops/records.hpp"

namespace lariat {

namespace total_variation_kink_prox_detail {

// Memory for the nodes of a map, in scratch; what is given back is taken again.
class NodeMemory final : public std::pmr::memory_resource {
 public:
  // A node has three links and a colour beside its value.
  template <class Value>
  static constexpr int64_t bytes(int64_t count) {
    struct Node {
      void* links[4];
      Value value;
    };
    return ScratchArrays::bytes<Node>(1) * count;
  }
  NodeMemory(std::byte* memory, int64_t bytes) : next_(memory), end_(memory + bytes) {}

 private:
  void* do_allocate(size_t bytes, size_t) override {
    if (free_) return std::exchange(free_, *static_cast<void**>(free_));
    std::byte* const taken = next_;
    next_ += ScratchArrays::bytes<std::byte>(static_cast<int64_t>(bytes));
    require(next_ <= end_, "a line has more knots than its scratch has room for");
    return taken;
  }
  void do_deallocate(void* node, size_t, size_t) override {
    *static_cast<void**>(node) = std::exchange(free_, node);
  }
  bool do_is_equal(const std::pmr::memory_resource& other) const noexcept override { return this == &other; }

  std::byte *next_, *end_;
  void* free_ = nullptr;
};

// argmin_w Σ λᵢ|wᵢ₊₁ − wᵢ| + Σ dᵢ(wᵢ − vᵢ)²/2 + φᵢ(wᵢ) for piecewise linear convex φᵢ, by the dynamic
// programme of Johnson (2013), which asks of the functions of single elements only that they are convex:
//   fₖ' (b) = dₖ(b − vₖ) + φₖ'(b) + clip(fₖ₋₁'(b), −λₖ₋₁, λₖ₋₁),
// a rising function with knots where it bends or leaps. It passes −λₖ at lowₖ and λₖ at highₖ; backwards,
// wₖ = clip(wₖ₊₁, lowₖ, highₖ). A is wider than the data, for lines are added to each other and taken away
// again.
template <class A>
class Line {
 public:
  static int64_t bytes(int64_t size, size_t inputs) {
    return 5 * ScratchArrays::bytes<A>(size) + ElementKinks<A>::bytes(size, inputs) +
           knot_bytes(size, inputs);
  }
  /// In bytes() of scratch.
  Line(int64_t size, size_t inputs, ScratchArrays scratch)
      : point(scratch.take<A>(size)),
        metric(scratch.take<A>(size)),
        weight(scratch.take<A>(size)),
        kinks(size, inputs, scratch),
        low_(scratch.take<A>(size)),
        high_(scratch.take<A>(size)),
        memory_(scratch.take<std::byte>(knot_bytes(size, inputs)).data(), knot_bytes(size, inputs)),
        knots_(&memory_) {}

  const std::span<A> point, metric, weight;  // the last weight is not used
  ElementKinks<A> kinks;

  /// Makes a metric of element k's step. One that stays is bounded to where it is, or to the nearest place
  /// within its bounds.
  void keep_or_move(size_t k, bool stay) {
    metric[k] = stay ? 1 : 1 / metric[k];
    if (stay) kinks.low[k] = kinks.high[k] = bounded(static_cast<int64_t>(k), point[k]);
  }

  /// The minimiser, in `point`.
  void solve() {
    const int64_t size = static_cast<int64_t>(point.size());
    cut_weights(weight, most_flow(), [this](int64_t k) { return holds(k); });
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

  // A bound holds its element against any flow.
  bool holds(int64_t k) const { return std::isfinite(kinks.low[k]) || std::isfinite(kinks.high[k]); }

  // The sum of the slopes of all elements.
  A most_flow() const {
    A least = std::numeric_limits<A>::infinity(), largest = -least, flow = 0, metrics = 0;
    const auto include = [&](A at) {
      if (!std::isfinite(at)) return;
      least = std::min(least, at);
      largest = std::max(largest, at);
    };
    for (size_t i = 0; i < point.size(); ++i) {
      include(point[i]), include(kinks.low[i]), include(kinks.high[i]);
      for (const auto* kink = kinks.begin(i); kink != kinks.end(i); ++kink) include(kink->at);
      flow += kinks.most_slope(i);
      metrics += metric[i];
    }
    return flow + metrics * (largest - least);
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

  // Each element adds a knot for each of its kinks, and two where it is clipped.
  static int64_t knot_bytes(int64_t size, size_t inputs) {
    return NodeMemory::bytes<std::pair<const A, Piece>>(size * (ElementKinks<A>::count(inputs) + 2));
  }

  Piece left_{0, 0}, right_{0, 0};  // before the first knot, behind the last one
  const std::span<A> low_, high_;
  NodeMemory memory_;
  std::pmr::map<A, Piece> knots_;
};

template <class T>
PieceScratch scratch_of(const KernelContext& k, const GroupedElements& lines) {
  return {lines.count(), Line<Wider<T>>::bytes(lines.size(), k.inputs.size())};
}

Workspace workspace(const KernelContext& k) {
  const VariationLines all(k);
  const bool single = k.inputs[0].dtype == f32;
  return (single ? scratch_of<float>(k, all.elements) : scratch_of<double>(k, all.elements)).workspace();
}

template <class T>
void forward(const KernelContext& k) {
  using A = Wider<T>;
  if (k.inputs[0].count() == 0) return;
  const VariationLines all(k);
  const GroupedElements& lines = all.elements;
  scratch_of<T>(k, lines).run(k, rows_per_task(200 * lines.size()), [&](int64_t i, std::byte* scratch) {
    Line<A> line(lines.size(), k.inputs.size(), ScratchArrays(scratch));
    all.gather<T>(k, i, line);
    line.kinks.template gather<T>(k, lines, i);
    bool undefined = line.kinks.undefined();
    for (size_t j = 0; j < line.point.size(); ++j) {
      undefined |= !std::isfinite(line.point[j]) || std::isnan(line.metric[j]) || std::isnan(line.weight[j]);
      line.keep_or_move(j, stays<T>(line.point[j], line.metric[j],
                                    (j > 0 ? line.weight[j - 1] : 0) + line.weight[j] +
                                        line.kinks.most_slope(static_cast<int64_t>(j))));
    }
    if (!undefined) line.solve();
    lines.scatter(i, k.out<T>(0),
                  [&](int64_t j) { return undefined ? std::numeric_limits<A>::quiet_NaN() : line.point[j]; });
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
  def.workspace = workspace;
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
      {"a step of 0",
       {{{3}, {0.5, -0.5, 2}},
        {{3}, {0, 0, 1}},
        {{}, {0.4}},
        {{}, {-0.25}},
        none_above,
        {{}, {0}},
        {{}, {-0.1}},
        {{}, {0.1}}},
       along(0),
       {0.5, -0.25, 1.5}},
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
