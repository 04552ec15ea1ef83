// A penalty with a prox: written into a loss it is rewritten by the pass that knows L1, and weights become
// exactly zero, and exactly equal.
#include <algorithm>
#include <lariat/lariat_op.hpp>
#include <numeric>

using namespace lariat::op;

namespace {

// λ₀ ≥ λ₁ ≥ … ≥ λₙ₋₁ = 1, falling evenly from 1 + spread (OSCAR, Bondell and Reich 2008).
class Weights {
 public:
  Weights(const Attributes& attributes, int64_t n)
      : first_(1 + attributes.real("spread")),
        step_(n > 1 ? attributes.real("spread") / static_cast<double>(n - 1) : 0) {}
  double operator[](int64_t rank) const { return first_ - step_ * static_cast<double>(rank); }

 private:
  double first_, step_;
};

// The places of x's elements, the largest first. NaN is in no order.
template <class T>
std::vector<int64_t> by_size(Tensor<const T> x) {
  std::vector<int64_t> order(static_cast<size_t>(x.count()));
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(),
                   [&](int64_t a, int64_t b) { return std::abs(x[a]) > std::abs(x[b]); });
  return order;
}

template <class T>
bool has_nan(Tensor<const T> x) {
  return std::any_of(x.data(), x.data() + x.count(), [](T value) { return std::isnan(value); });
}

// The non-increasing sequence nearest to z, in its place: neighbours that rise are pooled.
void pool(double* z, int64_t n) {
  struct Block {
    double sum;
    int64_t count;
    double mean() const { return sum / static_cast<double>(count); }
  };
  std::vector<Block> blocks;
  for (int64_t i = 0; i < n; ++i) {
    blocks.push_back({z[i], 1});
    while (blocks.size() > 1 && blocks[blocks.size() - 2].mean() <= blocks.back().mean()) {
      const Block last = blocks.back();
      blocks.pop_back();
      blocks.back().sum += last.sum;
      blocks.back().count += last.count;
    }
  }
  for (const Block& block : blocks) z = std::fill_n(z, block.count, block.mean());
}

// J(x) = Σ λᵢ |x|₍ᵢ₎, |x|₍₀₎ ≥ |x|₍₁₎ ≥ …:  dx = dy·sign(x)·λ by rank
struct Value_ {
  template <class T>
  void operator()(const Kernel<T>& k) const {
    const auto x = k.in(0);
    const Weights lambda(k.attributes(), x.count());
    const std::vector<int64_t> order = by_size(x);
    double total = has_nan(x) ? std::nan("") : 0;
    for (size_t rank = 0; rank < order.size(); ++rank)
      total += lambda[static_cast<int64_t>(rank)] * std::abs(static_cast<double>(x[order[rank]]));
    k.out(0)[0] = static_cast<T>(total);
  }
};

struct Derivative {
  template <class T>
  void operator()(const Backward<T>& k) const {
    const auto x = k.in(0);
    const Weights lambda(k.attributes(), x.count());
    const std::vector<int64_t> order = by_size(x);
    for (size_t rank = 0; rank < order.size(); ++rank) {
      const T value = x[order[rank]];
      const auto slope = static_cast<T>((value > 0   ? 1
                                         : value < 0 ? -1
                                                     : 0) *
                                        lambda[static_cast<int64_t>(rank)]);
      k.gradient(0)[order[rank]] = k.adjoint(0)[0] * slope;
    }
  }
};

// The sizes, in their order, minus step·weight·λ, pooled and cut off at 0 (Bogdan et al. 2015).
struct Prox_ {
  template <class T>
  void operator()(const Prox<T>& p) const {
    const auto v = p.point();
    if (has_nan(v)) return (void)std::fill_n(p.result().data(), v.count(), std::nan(""));
    const Weights lambda(p.attributes(), v.count());
    const double scale = static_cast<double>(p.step()) * p.weight();
    const std::vector<int64_t> order = by_size(v);
    std::vector<double> z;
    for (size_t rank = 0; rank < order.size(); ++rank)
      z.push_back(std::abs(static_cast<double>(v[order[rank]])) - scale * lambda[static_cast<int64_t>(rank)]);
    pool(z.data(), v.count());
    for (size_t rank = 0; rank < order.size(); ++rank) {
      const auto size = static_cast<T>(std::max(z[rank], 0.0));
      p.result()[order[rank]] = v[order[rank]] < 0 && size > 0 ? -size : size;
    }
  }
};

// Elements of one size share their λs: the subdifferential is, by such cluster, what permutations of them
// span, and at 0 what lies below. The element nearest to -g leaves what pooling leaves (Negrinho and Martins
// 2014).
struct Residual_ {
  template <class T>
  void operator()(const Residual<T>& r) const {
    const auto x = r.x(), g = r.gradient();
    if (has_nan(x) || has_nan(g)) return (void)std::fill_n(r.result().data(), x.count(), std::nan(""));
    const Weights lambda(r.attributes(), x.count());
    const double weight = r.weight();
    std::vector<int64_t> order = by_size(x);
    for (size_t begin = 0, end = 0; begin < order.size(); begin = end) {
      const T size = std::abs(x[order[begin]]);
      while (end < order.size() && std::abs(x[order[end]]) == size) ++end;
      // How far each element is pushed outwards.
      const auto push = [&](int64_t i) {
        return size == 0 ? std::abs(static_cast<double>(g[i])) : (x[i] < 0 ? 1.0 : -1.0) * g[i];
      };
      std::stable_sort(order.begin() + static_cast<int64_t>(begin), order.begin() + static_cast<int64_t>(end),
                       [&](int64_t a, int64_t b) { return push(a) > push(b); });
      std::vector<double> left;
      for (size_t rank = begin; rank < end; ++rank)
        left.push_back(push(order[rank]) - weight * lambda[static_cast<int64_t>(rank)]);
      pool(left.data(), static_cast<int64_t>(left.size()));
      for (size_t rank = begin; rank < end; ++rank) {
        const int64_t i = order[rank];
        const double rest = size == 0 ? std::max(left[rank - begin], 0.0) : left[rank - begin];
        const bool downwards = size == 0 ? g[i] < 0 : x[i] > 0;
        r.result()[i] = static_cast<T>(downwards ? -rest : rest);
      }
    }
  }
};

}  // namespace

static Op ordered_l1() {
  Op op{"ordered_l1",
        "Σ λ_i |x|_(i), the largest |x| with the largest weight: SLOPE.",
        {{"x", "f32 or f64 of any shape"}}};
  op.outputs = {{"penalty", "a scalar"}};
  op.attributes = {{"spread", Kind::real, "weights fall evenly from 1 + spread to 1", 1.0, {{0, 1e6}}}};
  op.infer = [](const Infer& c) {
    c.need_float(0);
    c.out(0, {c.in(0).dtype, {}});
  };
  op.forward = Value_{};
  op.backward = Derivative{};
  op.penalty = Penalty{.formula = "ordered |x|",
                       .operator_name = "ordered soft threshold",
                       .scalar_metric = true,
                       .prox = Prox_{},
                       .residual = Residual_{}};
  op.kinks = "At 0 the derivative is 0; of equal sizes the first counts as the larger.";
  op.samples = {{"values", {{{3}, {3, -1, 2}}}, {}, {10}},
                {"matrix", {{{2, 2}, {0.5, -1.5, 2.5, -3.5}}}, {{"spread", 3.0}}, {25}},
                {"as L1", {{{3}, {3, -1, 2}}}, {{"spread", 0.0}}, {6}}};
  op.rejects = {
      {{{{2}, {}, -1, 1, 0, {}, LARIAT_I32}}, {}, "takes f32 or f64; got i32. Use cast to convert it"}};
  return op;
}

LARIAT_PLUGIN(.name = "ordered_l1", .version = "1.0.0", .doc = "A penalty that makes weights equal, or zero.",
              .ops = {ordered_l1()})
