// An op along the last axis, with kernels for its value and its gradient. What the forward kernel finds out
// on its way, the gradient need not compute again: it is an output of its own, saved for it.
#include <algorithm>
#include <lariat/lariat_op.hpp>

using namespace lariat::op;

// y = x·s with s = 1/√(mean x² + ε), both by row:  dx = s·(dy − y·mean(dy·y))   (Zhang and Sennrich 2019)
static Op rms_norm() {
  Op op{"rms_norm", "x/√(mean(x²) + epsilon) along the last axis.", {{"x", "f32 or f64 [.., n]"}}};
  op.outputs = {{"y", "of x's shape"}, {"scale", "[..]: what each row was multiplied by"}};
  op.first_saved_output = 1;
  op.attributes = {{"epsilon", Kind::real, "added to the mean", 1e-6, {{0, 1}}}};
  op.infer = [](const Infer& c) {
    c.need_float(0);
    Type type = c.in(0);
    if (type.shape.empty()) c.fail("x is a scalar; it needs an axis to be normalised along");
    c.out(0, type);
    type.shape.pop_back();
    c.out(1, type);
  };
  op.forward = [](const auto& k) {
    using T = typename std::decay_t<decltype(k)>::Element;
    const auto x = k.in(0);
    const auto y = k.out(0), scale = k.out(1);
    const int64_t n = x.extent(-1);
    const double epsilon = k.attributes().real("epsilon");
    k.parallel_for(scale.count(), std::max<int64_t>(1, 16384 / std::max<int64_t>(n, 1)),
                   [&](int64_t begin, int64_t end) {
                     for (int64_t row = begin; row < end; ++row) {
                       const T* from = x.data() + row * n;
                       double squares = 0;
                       for (int64_t i = 0; i < n; ++i) squares += static_cast<double>(from[i]) * from[i];
                       const T s = static_cast<T>(1 / std::sqrt(squares / static_cast<double>(n) + epsilon));
                       for (int64_t i = 0; i < n; ++i) y[row * n + i] = from[i] * s;
                       scale[row] = s;
                     }
                   });
  };
  op.gradient_inputs = 0;
  op.gradient_outputs = 0b11;
  op.backward = [](const auto& k) {
    using T = typename std::decay_t<decltype(k)>::Element;
    const auto y = k.out(0), scale = k.out(1), dy = k.adjoint(0);
    const auto dx = k.gradient(0);
    const int64_t n = y.extent(-1);
    k.parallel_for(scale.count(), std::max<int64_t>(1, 16384 / std::max<int64_t>(n, 1)),
                   [&](int64_t begin, int64_t end) {
                     for (int64_t row = begin; row < end; ++row) {
                       double product = 0;
                       for (int64_t i = row * n; i < (row + 1) * n; ++i)
                         product += static_cast<double>(dy[i]) * y[i];
                       const T mean = static_cast<T>(product / static_cast<double>(n));
                       for (int64_t i = row * n; i < (row + 1) * n; ++i)
                         dx[i] = scale[row] * (dy[i] - y[i] * mean);
                     }
                   });
  };
  op.samples = {{"values",
                 {{{2, 2}, {3, 4, -1, 1}}},
                 {{"epsilon", 0.0}},
                 {0.84852813742385702928, 1.1313708498984760390, -1, 1}},
                {"sequence", {{{2, 3, 4}, {}, -2, 2}}}};
  op.rejects = {
      {{{{}}}, {}, "x is a scalar; it needs an axis to be normalised along"},
      {{{{2}, {}, -1, 1, 0, {}, LARIAT_I32}}, {}, "takes f32 or f64; got i32. Use cast to convert it"}};
  return op;
}

LARIAT_PLUGIN(.name = "rms_norm", .version = "1.0.0", .doc = "Normalisation by the root mean square.",
              .ops = {rms_norm()})
