#include <fmt/format.h>

#include <cmath>
#include <limits>
#include <utility>

#include "ops/kernels/piece_scratch.hpp"
#include "ops/kernels/simd.hpp"
#include "ops/ops.hpp"
#include "ops/prox/variation_lines.hpp"
#include "ops/records.hpp"

namespace lariat {

namespace total_variation_prox_detail {

// argmin_w Σ dᵢ(wᵢ − vᵢ)²/2 + Σ λᵢ|wᵢ₊₁ − wᵢ| by the dynamic programme of Johnson (2013), with a metric and
// weights of their own for each element. fₖ(b), the least cost of the first k elements where the k-th is b,
// is convex and has a piecewise linear derivative:
//   fₖ' (b) = dₖ(b − vₖ) + clip(fₖ₋₁'(b), −λₖ₋₁, λₖ₋₁).
// It is −λₖ at lowₖ and λₖ at highₖ, outside which the next element is too far away to be followed:
// backwards, wₖ = clip(wₖ₊₁, lowₖ, highₖ). Each element adds two knots of the derivative and takes away those
// outside. The metric of an element that stays is infinite. A is wider than the data, for lines and knots are
// added to each other and taken away again.
template <class A>
class Line {
 public:
  static int64_t bytes(int64_t size) { return size * static_cast<int64_t>(5 * sizeof(A) + 2 * sizeof(Knot)); }
  /// In bytes() of memory.
  Line(int64_t size, std::byte* memory) : next_(memory) {
    point = take<A>(size), metric = take<A>(size), weight = take<A>(size);
    low_ = take<A>(size), high_ = take<A>(size), knots_ = take<Knot>(2 * size);
  }

  std::span<A> point, metric, weight;  // the last weight is not used

  /// The minimiser, in `point`. Elements that stay split a line: between two of them each stretch has a
  /// problem of its own, at whose ends the derivative leaps from −λ to λ.
  void solve() {
    const int64_t size = static_cast<int64_t>(point.size());
    for (int64_t begin = 0, end; begin < size; begin = end + 1) {
      for (end = begin; end < size && !stays(end);) ++end;
      if (begin < end) solve_stretch(begin, end);
    }
  }

 private:
  // The line slope·b + offset, or what is added to it on the right of a knot.
  struct Piece {
    A slope, offset;
  };
  struct Knot {
    A at;
    Piece change;
  };

  template <class Element>
  std::span<Element> take(int64_t count) {
    auto* taken = reinterpret_cast<Element*>(next_);
    next_ += count * static_cast<int64_t>(sizeof(Element));
    return {taken, static_cast<size_t>(count)};
  }

  bool stays(int64_t k) const { return std::isinf(metric[k]); }

  // Elements [begin, end), beside which others stay where the line goes on.
  void solve_stretch(int64_t begin, int64_t end) {
    const int64_t size = static_cast<int64_t>(point.size());
    const int64_t first = std::max<int64_t>(begin - 1, 0), last = std::min(end, size - 1);
    const A origin = point[begin];
    // Shifted to the stretch's first element: what it may be far from does not round it away.
    const auto shifted = [&](int64_t k) { return point[k] - origin; };
    A lowest = 0, highest = 0, total = 0;
    for (int64_t k = first; k <= last; ++k) {
      lowest = std::min(lowest, shifted(k));
      highest = std::max(highest, shifted(k));
      if (!stays(k)) total += metric[k];
    }
    // A flow of λ needs Σ d|w − v|.
    cut_weights(weight.subspan(first, last - first + 1), total * (highest - lowest),
                [&](int64_t k) { return stays(first + k); });

    front_ = back_ = size;
    A before = 0;
    if (first < begin) {
      before = weight[first];
      leap(first, shifted(first), before);
    }
    if (end < size) low_[end] = shifted(end);
    for (int64_t k = begin; k < end; ++k) {
      point[k] = shifted(k);
      if (k + 1 < size) extend(k, std::exchange(before, weight[k]));
    }
    // fₙ' = 0
    Piece piece = leftmost(end - 1, before);
    A next = end < size ? low_[end] : pass_left(piece, metric[end - 1], A(0));
    for (int64_t k = end; k-- > begin;) {
      if (k + 1 < size) next = std::clamp(next, low_[k], high_[k]);
      low_[k] = next;
    }
    // Back, and what is equal stays so, whatever rounding does to the shift.
    for (int64_t k = begin; k < end; ++k)
      point[k] = k > 0 && low_[k] == low_[k - 1] ? point[k - 1] : low_[k] + origin;
    for (int64_t k = std::min(end, size - 1); k-- > begin;)
      if (low_[k] == low_[k + 1]) point[k] = point[k + 1];
  }

  Piece leftmost(int64_t k, A before) const { return {metric[k], -metric[k] * point[k] - before}; }

  // Takes knots away from the left while the derivative there is at most `level`; returns where it is, which
  // may be the last of them, for it leaps at an element that stays.
  A pass_left(Piece& piece, A least_slope, A level) {
    A passed = -std::numeric_limits<A>::infinity();
    for (; front_ < back_ && piece.slope * knots_[front_].at + piece.offset <= level; ++front_) {
      piece.slope = std::max(least_slope, piece.slope + knots_[front_].change.slope);
      piece.offset += knots_[front_].change.offset;
      passed = knots_[front_].at;
    }
    return std::max(passed, (level - piece.offset) / piece.slope);
  }

  // Makes the derivative of f up to element k, clipped to its weight, of that up to k − 1.
  void extend(int64_t k, A before) {
    const A limit = weight[k];
    Piece left = leftmost(k, before);
    low_[k] = pass_left(left, metric[k], -limit);
    Piece right{metric[k], -metric[k] * point[k] + before};
    A passed = std::numeric_limits<A>::infinity();
    while (front_ < back_ && right.slope * knots_[back_ - 1].at + right.offset >= limit) {
      --back_;
      right.slope = std::max(metric[k], right.slope - knots_[back_].change.slope);
      right.offset -= knots_[back_].change.offset;
      passed = knots_[back_].at;
    }
    if (front_ == back_) right = left;  // one piece from low to high
    high_[k] = std::max(low_[k], std::min(passed, (limit - right.offset) / right.slope));
    // Its lines meet nowhere in between.
    if (low_[k] == high_[k]) return leap(k, low_[k], limit);
    knots_[--front_] = {low_[k], {left.slope, left.offset + limit}};
    knots_[back_++] = {high_[k], {-right.slope, limit - right.offset}};
  }

  // The same where the derivative leaps from −λ to λ: two knots of half of it.
  void leap(int64_t k, A at, A limit) {
    low_[k] = high_[k] = at;
    front_ = back_ = static_cast<int64_t>(point.size());
    knots_[--front_] = {at, {0, limit}};
    knots_[back_++] = {at, {0, limit}};
  }

  std::byte* next_;
  std::span<A> low_, high_;
  std::span<Knot> knots_;
  int64_t front_ = 0, back_ = 0;
};

// The lines of v, and their scratch.
struct Lines : VariationLines {
  explicit Lines(const KernelContext& k)
      : VariationLines(k),
        scratch(elements.count(), k.inputs[0].dtype == f32 ? Line<Wider<float>>::bytes(elements.size())
                                                           : Line<Wider<double>>::bytes(elements.size())) {}
  PieceScratch scratch;
};

Workspace workspace(const KernelContext& k) { return Lines(k).scratch.workspace(); }

template <class T>
void forward(const KernelContext& k) {
  using A = Wider<T>;
  if (k.inputs[0].count() == 0) return;
  const Lines all(k);
  const GroupedElements& lines = all.elements;
  all.scratch.run(k, rows_per_task(16 * lines.size()), [&](int64_t i, std::byte* scratch) {
    Line<A> line(lines.size(), scratch);
    all.gather<T>(k, i, line);
    A check = 0;
    bool moves = false;
    for (size_t j = 0; j < line.point.size(); ++j) {
      check += line.point[j] * 0 + line.metric[j] * 0 + (line.weight[j] > 0 ? 0 : line.weight[j] * 0);
      const A slopes = (j > 0 ? line.weight[j - 1] : 0) + line.weight[j];
      const bool stay = stays<T>(line.point[j], line.metric[j], slopes);
      moves |= !stay;
      line.metric[j] = stay ? std::numeric_limits<A>::infinity() : 1 / line.metric[j];
    }
    if (check == 0 && moves && lines.size() > 1) line.solve();
    lines.scatter(i, k.out<T>(0), [&](int64_t j) {
      return check == 0 ? line.point[j] : std::numeric_limits<A>::quiet_NaN();
    });
  });
}

std::vector<TensorType> infer(const InferContext& c) { return infer_variation_prox(c, infer_group_prox); }

}  // namespace total_variation_prox_detail

OpDef records::total_variation_prox() {
  using namespace total_variation_prox_detail;
  OpDef def{.name = "total_variation_prox",
            .doc =
                "argmin_w Σ weight |w[i+1] - w[i]| + Σ (w - v)²/(2 step) along one axis, exactly and in "
                "linear time: total variation denoising. The prox of absolute_differences.",
            .inputs = {{"v", "f32 or f64 [.., n, ..]"},
                       {"step", "above 0, or 0 for no step: a scalar or of v's shape"},
                       {"weight", "at least 0: a scalar or [.., n - 1, ..]"}},
            .outputs = {{"w", "like v; NaN or an infinite v anywhere in a line makes it NaN"}}};
  def.attributes = {{"axis", AttributeKind::integer, "the axis, negative ones counted from the last"}};
  def.infer = infer;
  def.kernel = {forward<float>, forward<double>, nullptr};
  def.workspace = workspace;
  def.cost = streaming_cost<60>;
  const auto along = [](int64_t axis) -> Attributes { return {{"axis", axis}}; };
  def.samples = {
      {"one step", {{{4}, {0, 0, 4, 5}}, {{}, {1}}, {{}, {1}}}, along(0), {0.5, 0.5, 4, 4}},
      {"a step for each", {{{2}, {0, 4}}, {{2}, {1, 0.5}}, {{}, {1}}}, along(0), {1, 3.5}},
      {"a weight for each", {{{3}, {0, 3, 9}}, {{}, {1}}, {{2}, {0, 1}}}, along(0), {0, 4, 8}},
      {"a step of 0", {{{3}, {0.5, -0.5, 2}}, {{3}, {0, 0, 1}}, {{}, {0.4}}}, along(0), {0.5, -0.5, 1.6}},
      {"large weight", {{{3}, {1, 2, 6}}, {{}, {1}}, {{}, {1e30}}}, along(0), {3, 3, 3}},
      {"rows", {{{3, 7}}, {{3, 7}, {}, 0.1, 1}, {{3, 6}, {}, 0.1, 1}}, along(1)},
      {"columns", {{{7, 3}}, {{}, {0.5}}, {{}, {0.5}}}, along(0)},
      {"one element", {{{1, 2}, {3, -4}}, {{}, {1}}, {{0, 2}}}, along(0), {3, -4}},
      {"no elements", {{{0}}, {{}, {1}}, {{}, {1}}}, along(0)}};
  def.rejects = {{{{f32, {2, 3}}, {f32, {}}, {f32, {2, 3}}},
                  along(1),
                  "the weight is [2, 3]; it must be a scalar or of shape [2, 2]"},
                 {{{f32, {2, 3}}, {f32, {2}}, {f32, {}}},
                  along(1),
                  "the step is [2]; it must be a scalar or have v's shape [2, 3]"},
                 {{{f32, {}}, {f32, {}}, {f32, {}}}, along(0), "axis 0 does not exist: x is a scalar"}};
  return def;
}

Value total_variation_prox(Operand v, Operand step, Operand weight, int64_t axis) {
  using namespace total_variation_prox_detail;
  return build("total_variation_prox", {v, step, weight}, {{"axis", axis}});
}

}  // namespace lariat
