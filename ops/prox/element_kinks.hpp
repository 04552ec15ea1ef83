#pragma once

#include <algorithm>
#include <cmath>
#include <limits>

#include "ops/kernels/groups.hpp"
#include "ops/kernels/piece_scratch.hpp"

namespace lariat {

// What the prox ops of structured penalties beside functions of single elements share: inputs from
// `first_kink_input` on are low, high, and place and slopes of each kink, scalars or of v's shape.

inline constexpr size_t first_kink_input = 3;

/// Infers the prox ops' result: what `infer_group_prox` checks of the first inputs, and the kinks' shapes.
std::vector<TensorType> infer_kink_prox(const InferContext& c, const Shape& weights);
/// The inputs low, high, and of kinks.
std::vector<InputSpec> kink_inputs(std::vector<InputSpec> first);

/// below·(w − at) for w < at, above·(w − at) for w > at.
template <class A>
struct ElementKink {
  A at, below, above;
};

/// Where a function is least, and whether that is at a kink or bound.
template <class A>
struct Minimiser {
  A at;
  bool pinned;
};

/// The minimiser of (w − v)²/(2 step) + Σ kinks, which stand from the left to the right. Between them the
/// slope is σ₀ ≤ … ≤ σₘ, and v − s·σⱼ solves (w − v)/s + σⱼ = 0. These fall while the kinks rise, and the
/// minimiser is where they meet:  w = maxⱼ min(v − s·σⱼ, bⱼ₊₁), with bₘ₊₁ = ∞.
template <class A>
Minimiser<A> minimiser(A v, A step, const ElementKink<A>* begin, const ElementKink<A>* end) {
  A slope = 0;
  for (const ElementKink<A>* kink = begin; kink != end; ++kink) slope += kink->below;
  Minimiser<A> found{-std::numeric_limits<A>::infinity(), false};
  const auto raise = [&](A at, bool pinned) {
    if (at > found.at) found = {at, pinned};
  };
  for (const ElementKink<A>* kink = begin; kink != end; ++kink) {
    const A free = v - step * slope;
    raise(std::min(free, kink->at), free >= kink->at);
    slope += kink->above - kink->below;
  }
  raise(v - step * slope, false);
  return found;
}

/// The convex piecewise linear functions Σ below·(w − at) for w < at, above·(w − at) for w > at, within
/// bounds, of each element of a group.
template <class A>
class ElementKinks {
 public:
  using Kink = ElementKink<A>;

  /// How many kinks each element has, for a kernel with that many inputs.
  static int64_t count(size_t inputs) { return static_cast<int64_t>(inputs - first_kink_input - 2) / 3; }
  static int64_t bytes(int64_t size, size_t inputs) {
    return 2 * ScratchArrays::bytes<A>(size) + ScratchArrays::bytes<Kink>(size * count(inputs));
  }
  /// Of a group of `size` elements, in bytes() of scratch.
  ElementKinks(int64_t size, size_t inputs, ScratchArrays& scratch)
      : low(scratch.take<A>(size)),
        high(scratch.take<A>(size)),
        kinks_(count(inputs)),
        list_(scratch.take<Kink>(size * kinks_)) {}

  std::span<A> low, high;

  /// Takes them from a kernel's inputs.
  template <class T>
  void gather(const KernelContext& k, const GroupedElements& groups, int64_t group) {
    undefined_ = false;
    const auto each = [&](size_t input, const auto& put) {
      const T* from = k.in<T>(input);
      const auto take = [&](int64_t i, T value) {
        undefined_ |= value != value;
        put(i, static_cast<A>(value));
      };
      if (k.inputs[input].rank() == 0) {
        for (int64_t i = 0; i < groups.size(); ++i) take(i, *from);
      } else {
        groups.visit(group, 0, groups.size(), [&](int64_t i, int64_t at) { take(i, from[at]); });
      }
    };
    each(first_kink_input, [&](int64_t i, A value) { low[i] = value; });
    each(first_kink_input + 1, [&](int64_t i, A value) { high[i] = value; });
    for (int64_t j = 0; j < kinks_; ++j) {
      const size_t input = first_kink_input + 2 + 3 * static_cast<size_t>(j);
      each(input, [&](int64_t i, A value) { list_[i * kinks_ + j].at = value; });
      each(input + 1, [&](int64_t i, A value) { list_[i * kinks_ + j].below = value; });
      each(input + 2, [&](int64_t i, A value) { list_[i * kinks_ + j].above = value; });
    }
    for (int64_t i = 0; i < groups.size(); ++i)
      std::sort(list_.begin() + i * kinks_, list_.begin() + (i + 1) * kinks_,
                [](const Kink& a, const Kink& b) { return a.at < b.at; });
  }

  /// Whether a NaN is among them.
  bool undefined() const { return undefined_; }
  /// The kinks of an element, from the left to the right.
  const Kink* begin(int64_t i) const { return list_.data() + i * kinks_; }
  const Kink* end(int64_t i) const { return begin(i) + kinks_; }

  /// The minimiser of (w − v)²/(2 step) + an element's function.
  Minimiser<A> prox(int64_t i, A v, A step) const {
    Minimiser<A> found = minimiser(v, step, begin(i), end(i));
    if (found.at <= low[i]) found = {low[i], true};
    if (found.at >= high[i]) found = {high[i], true};
    return found;
  }

  /// No slope of an element's function is larger.
  A most_slope(int64_t i) const {
    A most = 0;
    for (const Kink* kink = begin(i); kink != end(i); ++kink)
      most += std::max(std::abs(kink->below), std::abs(kink->above));
    return most;
  }

  /// The least and the largest slope of an element's function at `at`, infinite at bounds.
  std::pair<A, A> slopes(int64_t i, A at) const {
    constexpr A infinity = std::numeric_limits<A>::infinity();
    A least = 0, largest = 0;
    for (const Kink* kink = begin(i); kink != end(i); ++kink) {
      least += at > kink->at ? kink->above : kink->below;
      largest += at < kink->at ? kink->below : kink->above;
    }
    return {at <= low[i] ? -infinity : least, at >= high[i] ? infinity : largest};
  }

 private:
  int64_t kinks_;
  bool undefined_ = false;
  std::span<Kink> list_;
};

}  // namespace lariat
