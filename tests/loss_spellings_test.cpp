// Loss spellings and what the rewrite must make of them: one row each, with the lines that the report must
// give for what was rewritten, or the codes of what was refused, in any order.
#include <algorithm>
#include <functional>

#include "autodiff/trainer.hpp"
#include "ops/ops.hpp"
#include "tests/testing.hpp"

using namespace lariat;

namespace {

Tensor ramp(Extents extents, double first = 1) {
  Tensor result(f32, extents);
  for (int64_t i = 0; i < result.count(); ++i)
    result.data<float>()[i] = static_cast<float>(first + static_cast<double>(i));
  return result;
}

Value diagonal(std::vector<float> entries, Graph& g) {
  const auto n = static_cast<int64_t>(entries.size());
  Tensor matrix(f32, {n, n});
  for (int64_t i = 0; i < n; ++i) matrix.data<float>()[i * n + i] = entries[i];
  return g.constant(matrix);
}

// What the losses are made of. The data loss depends on w and v; c is a constant.
struct Setting {
  Graph g;
  Value w = g.parameter("w", {4, 3}), v = g.parameter("v", {4, 3});
  Value scale = g.parameter("scale", {}, init::constant(0.1));
  Value x = g.input("x", {dim::batch, 4}), lambda = g.input("lambda", {});
  Value c = g.constant(ramp({4, 3})), ones = g.constant(Tensor::filled(f32, {3, 1}, 1));
  Value rows = g.constant(Tensor::of<int32_t>({3}, {0, 2, 2}));
  Value frozen = g.state("frozen", {4, 3}, init::constant(1));
  Value data = mean(square(matmul(x, w + v)));
};

struct Row {
  std::string loss;
  std::function<Value(Setting&)> build;
  std::vector<std::string> expected;
};

#define LOSS(expression, ...)                                                                    \
  Row {                                                                                          \
#expression, [](Setting& s) -> Value {                                                         \
      [[maybe_unused]] auto& [g, w, v, scale, x, lambda, c, ones, rows, frozen, data] = s;         \
      return expression;                                                                           \
    },                                                                                             \
        std::vector<std::string> { \
      __VA_ARGS__                                                                                \
    }                                                                                            \
  }

const std::string lasso = "w: 0.01 * |w| -> soft threshold", weighted = "w: weighted |w| -> soft threshold";
const std::string of_v = "v: 0.01 * |v| -> soft threshold";
const std::string positive = "w: 0.01 * max(w, 0) -> one-sided soft threshold";
const std::string negative = "w: 0.01 * max(-w, 0) -> one-sided soft threshold";

std::vector<Row> absolute_values() {
  return {
      LOSS(data + 0.01 * sum(abs(w)), lasso),
      LOSS(data + 0.01 * sum(maximum(w, -w)), lasso),
      LOSS(data + 0.01 * sum(maximum(-w, w)), lasso),
      LOSS(data - 0.01 * sum(minimum(w, -w)), lasso),
      LOSS(data - 0.01 * sum(minimum(-w, w)), lasso),
      LOSS(data + 0.01 * sum(relu(w) + relu(-w)), lasso),
      LOSS(data + 0.01 * sum(relu(-w) + relu(w)), lasso),
      LOSS(data + 0.01 * sum(where(greater(w, 0), w, -w)), lasso),
      LOSS(data + 0.01 * sum(where(greater_equal(w, 0), w, -w)), lasso),
      LOSS(data + 0.01 * sum(where(less(w, 0), -w, w)), lasso),
      LOSS(data + 0.01 * sum(where(less_equal(w, 0), -w, w)), lasso),
      LOSS(data + 0.01 * sum(sqrt(square(w))), lasso),
      LOSS(data + 0.01 * sum(sqrt(w * w)), lasso),
      LOSS(data + 0.01 * sum(sqrt(power(w, 2))), lasso),
      LOSS(data + 0.01 * sum(power(abs(w), 1)), lasso),
      LOSS(data + 0.01 * sum(power(square(w), 0.5)), lasso),
      LOSS(data + 0.01 * sum(w * sign(w)), lasso),
      LOSS(data + 0.01 * sum(sign(w) * w), lasso),
      LOSS(data + 0.01 * sum(abs(abs(w))), lasso),
      LOSS(data + 0.01 * sum(abs(-w)), lasso),
      LOSS(data + 0.01 * sum(abs(-(-w))), lasso),
      LOSS(data + 0.01 * sum(1 * abs(w)), lasso),
      LOSS(data + 0.01 * abs_penalty(w), lasso),
      LOSS(data + 0.01 * norm1(w), lasso),
      LOSS(data + 0.01 * norm1(-w), lasso),
  };
}

std::vector<Row> coefficients() {
  return {
      LOSS(0.01 * sum(abs(w)) + data, lasso),
      LOSS(data + sum(abs(w)) * 0.01, lasso),
      LOSS(data + sum(abs(w)) / 100, lasso),
      LOSS(data + sum(0.01 * abs(w)), lasso),
      LOSS(data + sum(abs(w) / 100), lasso),
      LOSS(data + sum(abs(0.01 * w)), lasso),
      LOSS(data + sum(abs(-0.01 * w)), lasso),
      LOSS(data + sum(abs(w / 100)), lasso),
      LOSS(data + sum(abs(w / -100)), lasso),
      LOSS(data + 0.1 * sum(abs(0.1 * w)), lasso),
      LOSS(data + 0.1 * (0.1 * sum(abs(w))), lasso),
      LOSS(data + 0.12 * mean(abs(w)), lasso),
      LOSS(data + mean(0.12 * abs(w)), lasso),
      LOSS(data + 0.04 * sum(mean(abs(w), {0})), lasso),
      LOSS(data + 0.03 * sum(mean(abs(w), {1})), lasso),
      LOSS(data + 0.03 * mean(sum(abs(w), {0})), lasso),
      LOSS(data + 0.01 * sum(sum(abs(w), {1})), lasso),
      LOSS(data + 0.01 * sum(sum(abs(w), {0}, true)), lasso),
      LOSS(data + 0.01 * sum(matmul(abs(w), ones)), lasso),
      LOSS(0.5 * (data + 0.02 * sum(abs(w))), lasso),
      LOSS((data + 0.02 * sum(abs(w))) / 2, lasso),
      LOSS(data - (-0.01) * sum(abs(w)), lasso),
      LOSS(data - sum(-0.01 * abs(w)), lasso),
      LOSS(-(-data - 0.01 * sum(abs(w))), lasso),
      LOSS(sum(data + 0.01 * sum(abs(w))), lasso),
      LOSS(mean(stack({data + 0.02 * sum(abs(w)), data}, 0)), lasso),
      LOSS(sum(concat({reshape(data, {1}), reshape(0.01 * sum(abs(w)), {1})}, 0)), lasso),
      LOSS(data + cast(0.01 * sum(abs(cast(w, f64))), f32), lasso),
      LOSS(data + 0.0 * sum(abs(w)), "w: 0 * |w| -> soft threshold"),
      LOSS(data + sum(c * abs(w)), weighted),
      LOSS(data + sum(abs(c * w)), weighted),
      LOSS(data + sum(abs(w * c)), weighted),
      LOSS(data + sum(abs(w) / c), weighted),
      LOSS(data + sum(abs(w / c)), weighted),
      LOSS(data + sum(slice(c, 0, 0, 1) * abs(w)), weighted),
      LOSS(data + sum(slice(c, 1, 0, 1) * abs(w)), weighted),
      LOSS(data + sum(abs(slice(c, 1, 0, 1) * w)), weighted),
      LOSS(data + 0.005 * sum(abs(matmul(w, diagonal({2, 2, 2}, g)))), lasso),
      LOSS(data + 0.01 * sum(abs(matmul(w, diagonal({1, 2, 3}, g)))), weighted),
      LOSS(data + lambda * sum(abs(w)), "w: lambda * |w| -> soft threshold"),
      LOSS(data + 0.1 * lambda * sum(abs(w)), "w: 0.1 * lambda * |w| -> soft threshold"),
      LOSS(data + sum(lambda * abs(w)), "w: lambda * |w| -> soft threshold"),
      LOSS(data + exp(lambda) * sum(abs(w)), weighted),
      LOSS(data + sum(abs(w)) * sum(frozen), weighted),
      LOSS(data + sum(frozen * abs(w)), weighted),
      LOSS(data + stop_gradient(scale) * sum(abs(w)), weighted),
      LOSS(data + sum(abs(w) / (abs(stop_gradient(w)) + 0.1)), weighted),
      LOSS(data + sum(abs(w) * stop_gradient(exp(-abs(w)))), weighted),
      LOSS(mean(sum(square(matmul(x, w)), {1}) + 0.01 * sum(abs(w))), weighted),
      LOSS(sum(square(matmul(x, w)) + 0.01 * sum(abs(w))), weighted),
  };
}

std::vector<Row> views() {
  return {
      LOSS(data + 0.01 * sum(abs(reshape(w, {12}))), lasso),
      LOSS(data + 0.01 * sum(abs(reshape(w, {2, 6}))), lasso),
      LOSS(data + 0.01 * sum(abs(transpose(w))), lasso),
      LOSS(data + sum(abs(reshape(0.01 * transpose(w), {12}))), lasso),
      LOSS(data + 0.01 * sum(transpose(abs(w))), lasso),
      LOSS(data + 0.01 * sum(abs(slice(w, 0, 0, 2))), weighted),
      LOSS(data + 0.01 * sum(slice(abs(w), 0, 0, 2)), weighted),
      LOSS(data + 0.01 * sum(abs(slice(w, 1, 0, 3, 2))), weighted),
      LOSS(data + 0.01 * (sum(abs(slice(w, 0, 0, 3))) + sum(abs(slice(w, 0, 2, 4)))),
           "w: weighted |w| + weighted |w| -> soft threshold"),
      LOSS(data + 0.01 * sum(abs(concat({slice(w, 0, 0, 2), slice(w, 0, 2, 4)}, 0))), lasso),
      LOSS(data + 0.01 * sum(abs(concat({w, v}, 0))), of_v, lasso),
      LOSS(data + 0.24 * mean(abs(concat({w, v}, 0))), of_v, lasso),
      LOSS(data + 0.01 * sum(abs(stack({w, v}, 0))), of_v, lasso),
      LOSS(data + 0.005 * sum(abs(concat({w, w}, 0))), lasso),
      LOSS(data + 0.005 * sum(abs(broadcast_to(w, {2, 4, 3}))), lasso),
      LOSS(data + 0.005 * sum(abs(stack({w, -w}, 0))), lasso),
      LOSS(data + 0.01 * sum(abs(unstack(w, 0)[1])), weighted),
      LOSS(data + 0.01 * sum(abs(gather_rows(w, rows))), weighted),
      LOSS(data + 0.01 * sum(abs(pad(w, 0, 1, 1))), lasso),
      LOSS(data + 0.01 * sum(abs(cast(cast(w, f64), f32))), lasso),
  };
}

std::vector<Row> sums() {
  return {
      LOSS(data + 0.01 * sum(abs(w)) + 0.02 * sum(abs(w)), "w: 0.01 * |w| + 0.02 * |w| -> soft threshold"),
      LOSS(data + 0.01 * sum(abs(w) + abs(w)), "w: 0.01 * |w| + 0.01 * |w| -> soft threshold"),
      LOSS(data + 0.01 * sum(abs(w)) + 0.02 * sum(abs(v)), lasso, "v: 0.02 * |v| -> soft threshold"),
      LOSS(data + 0.01 * (sum(abs(w)) + sum(abs(v))), lasso, of_v),
      LOSS(data + 0.01 * sum(abs(w) + abs(v)), lasso, of_v),
      LOSS(data + 0.01 * sum(abs(w)) + 0.02 * sum(square(w)),
           "w: 0.01 * |w| + 0.02 * w^2 -> soft threshold, shrinkage"),
      LOSS(data + 0.01 * sum(abs(w)) + 0.01 * sum(w * w),
           "w: 0.01 * |w| + 0.01 * w^2 -> soft threshold, shrinkage"),
      LOSS(data + 0.01 * sum(abs(w)) + sum(square(2 * w)),
           "w: 0.01 * |w| + 4 * w^2 -> soft threshold, shrinkage"),
      LOSS(data + 0.01 * sum(abs(w)) + 0.01 * sum(power(w, 2)),
           "w: 0.01 * |w| + 0.01 * w^2 -> soft threshold, shrinkage"),
      LOSS(data + sum(0.01 * abs(w) + 0.02 * square(w)),
           "w: 0.01 * |w| + 0.02 * w^2 -> soft threshold, shrinkage"),
      LOSS(data + 0.01 * sum(abs(w)) + 0.02 * square_penalty(w),
           "w: 0.01 * |w| + 0.02 * w^2 -> soft threshold, shrinkage"),
      LOSS(data + 0.02 * sum(square(w)) + 0.01 * sum(abs(v)), of_v),
      LOSS(data + 0.02 * sum(square(w))),
      LOSS(data + 0.02 * sum(square(w - 1))),
      LOSS(data),
      LOSS(data + 0.01 * sum(w)),
      LOSS(data + 0.01 * sum(abs(frozen))),
      LOSS(data + 0.01 * sum(abs(c))),
      LOSS(mean(square(relu(matmul(x, w)) - 1))),
      LOSS(mean(relu(1 - matmul(x, w)))),
      LOSS(mean(square(abs(matmul(x, w))))),
      LOSS(mean(maximum(matmul(x, w), 0))),
  };
}

std::vector<Row> kinks() {
  return {
      LOSS(data + 0.01 * sum(abs(w - 1)), "w: 0.01 * |w - 1| -> soft threshold"),
      LOSS(data + 0.01 * sum(abs(1 - w)), "w: 0.01 * |w - 1| -> soft threshold"),
      LOSS(data + 0.01 * sum(abs(w + 1)), "w: 0.01 * |w + 1| -> soft threshold"),
      LOSS(data + 0.005 * sum(abs(2 * w - 1)), "w: 0.01 * |w - 0.5| -> soft threshold"),
      LOSS(data + 0.005 * sum(abs(2 * (w - 1))), "w: 0.01 * |w - 1| -> soft threshold"),
      LOSS(data + 0.01 * sum(abs(w - c)), "w: 0.01 * |w - (a tensor)| -> soft threshold"),
      LOSS(data + 0.01 * sum(abs(w - frozen)), "w: 0.01 * |w - (a tensor)| -> soft threshold"),
      LOSS(data + 0.01 * sum(abs(w - stop_gradient(v))), "w: 0.01 * |w - (a tensor)| -> soft threshold"),
      LOSS(data + 0.01 * sum(abs(transpose(w) - 1)), "w: 0.01 * |w - 1| -> soft threshold"),
      LOSS(data + 0.01 * sum(maximum(w - 1, 1 - w)), "w: 0.01 * |w - 1| -> soft threshold"),
      LOSS(data + 0.01 * sum(relu(w)), positive),
      LOSS(data + 0.01 * sum(maximum(w, 0)), positive),
      LOSS(data + 0.01 * sum(maximum(0, w)), positive),
      LOSS(data + 0.01 * sum(where(greater(w, 0), w, 0)), positive),
      LOSS(data + 0.01 * sum(relu(-w)), negative),
      LOSS(data + sum(relu(-0.01 * w)), negative),
      LOSS(data - 0.01 * sum(minimum(w, 0)), negative),
      LOSS(data + 0.01 * sum(relu(w - 1)), "w: 0.01 * max(w - 1, 0) -> one-sided soft threshold"),
      LOSS(data + 0.01 * sum(relu(1 - w)), "w: 0.01 * max(-(w - 1), 0) -> one-sided soft threshold"),
      LOSS(data + 0.01 * sum(abs(w)) + 0.01 * sum(abs(w - 1)),
           "w: 0.01 * |w| + 0.01 * |w - 1| -> soft threshold"),
      LOSS(data + 0.01 * sum(relu(w)) + 0.02 * sum(relu(-w)),
           "w: 0.01 * max(w, 0) + 0.02 * max(-w, 0) -> one-sided soft threshold"),
      LOSS(data + 0.01 * sum(abs(w)) + 0.01 * sum(relu(w)),
           "w: 0.01 * |w| + 0.01 * max(w, 0) -> soft threshold, one-sided soft threshold"),
  };
}

std::vector<Row> groups() {
  return {
      LOSS(data + 0.01 * norm2(w), "w: 0.01 * ‖w‖₂ -> group soft threshold"),
      LOSS(data + 0.01 * sum(norm2(w, {1})), "w: 0.01 * ‖w‖₂ -> group soft threshold"),
      LOSS(data + 0.12 * mean(norm2(w, {0}, true)), "w: 0.04 * ‖w‖₂ -> group soft threshold"),
      LOSS(data + 0.01 * sqrt(sum(square(w))), "w: 0.01 * ‖w‖₂ -> group soft threshold"),
      LOSS(data + 0.01 * sqrt(square_penalty(w)), "w: 0.01 * ‖w‖₂ -> group soft threshold"),
      LOSS(data + 0.01 * sum(sqrt(sum(w * w, {1}))), "w: 0.01 * ‖w‖₂ -> group soft threshold"),
      LOSS(data + 0.01 * sum(power(sum(power(w, 2), {0}, true), 0.5)),
           "w: 0.01 * ‖w‖₂ -> group soft threshold"),
      LOSS(data + 0.01 * sum(sqrt(reshape(sum(square(w), {1}), {2, 2}))),
           "w: 0.01 * ‖w‖₂ -> group soft threshold"),
      LOSS(data + 0.01 * sqrt(mean(square(slice(w, 1, 0, 1)))), "w: 0.005 * ‖w‖₂ -> group soft threshold"),
      LOSS(data + sum(slice(c, 1, 0, 1) * norm2(w, {1}, true)), "w: weighted ‖w‖₂ -> group soft threshold"),
      LOSS(data + 0.01 * sum(norm2(transpose(w), {0})), "w: 0.01 * ‖w‖₂ -> group soft threshold"),
      LOSS(data + 0.01 * sum(norm2(2 * w, {1})), "w: 0.01 * ‖w‖₂ -> group soft threshold"),
      LOSS(data + 0.01 * sum(norm2(concat({w, v}, 1), {1})), "w, v: 0.01 * ‖w, v‖₂ -> group soft threshold"),
      LOSS(data + 0.01 * sum(norm2(w, {1})) + 0.02 * sum(abs(w)),
           "w: 0.01 * ‖w‖₂ + 0.02 * |w| -> group soft threshold, soft threshold"),
      LOSS(data + 0.01 * sum(norm2(w, {1})) + 0.02 * norm2(w),
           "w: 0.01 * ‖w‖₂ + 0.02 * ‖w‖₂ -> group soft threshold"),
      LOSS(data + 0.01 * norm_inf(w), "w: 0.01 * ‖w‖∞ -> projection on the L1 ball (Moreau)"),
      LOSS(data + 0.01 * sum(reduce_max(abs(w), {0})),
           "w: 0.01 * ‖w‖∞ -> projection on the L1 ball (Moreau)"),
      LOSS(data + 0.01 * nuclear_norm(w), "w: 0.01 * ‖w‖* -> singular value threshold"),
      LOSS(data + 0.01 * sum(absolute_differences(w, 0)), "w: 0.01 * |Δw| -> total variation denoising"),
      LOSS(data + 0.01 * sum(abs(slice(w, 0, 1, 4) - slice(w, 0, 0, 3))),
           "w: 0.01 * |Δw| -> total variation denoising"),
      LOSS(data + 0.01 * sum(abs(slice(w, -1, 0, 2) - slice(w, 1, 1, 3))),
           "w: 0.01 * |Δw| -> total variation denoising"),
      LOSS(data + 0.01 * sum(absolute_differences(w, 1)) + 0.02 * sum(abs(w)),
           "w: 0.02 * |w| + 0.01 * |Δw| -> soft threshold, total variation denoising"),
  };
}

std::vector<Row> concave() {
  return {
      LOSS(data + 0.01 * sum(count_nonzero(w)), "w: 0.01 * [w ≠ 0] -> hard threshold"),
      LOSS(data + 0.01 * sum(1 - equal(w, 0)), "w: 0.01 * [w ≠ 0] -> hard threshold"),
      LOSS(data + 0.01 * sum(where(equal(0, w), 0, 1)), "w: 0.01 * [w ≠ 0] -> hard threshold"),
      LOSS(data + 0.01 * sum(greater(abs(w), 0)), "w: 0.01 * [w ≠ 0] -> hard threshold"),
      LOSS(data + 0.01 * sum(less(0, abs(w))), "w: 0.01 * [w ≠ 0] -> hard threshold"),
      LOSS(data + 0.01 * sum(abs(sign(w))), "w: 0.01 * [w ≠ 0] -> hard threshold"),
      LOSS(data + 0.01 * sum(square(sign(w))), "w: 0.01 * [w ≠ 0] -> hard threshold"),
      LOSS(data + 0.01 * sum(sign(w) * sign(w)), "w: 0.01 * [w ≠ 0] -> hard threshold"),
      LOSS(data + 0.01 * sum(mcp(w, 1)), "w: 0.01 * MCP(w; 1, 3) -> firm threshold"),
      LOSS(data + 0.01 * sum(scad(w, 1)), "w: 0.01 * SCAD(w; 1, 3.7) -> SCAD threshold"),
      LOSS(data + 0.01 * sum(log_sum(w, 0.1)), "w: 0.01 * log(1 + |w|/0.1) -> log-sum threshold"),
      LOSS(data + 0.01 * sum(log(1 + abs(w) / 0.1)), "w: 0.01 * log(1 + |w|/0.1) -> log-sum threshold"),
      LOSS(data + 0.01 * sum(log(10 * abs(w) + 1)), "w: 0.01 * log(1 + |w|/0.1) -> log-sum threshold"),
      LOSS(data + 0.01 * sum(log(abs(w) + 0.1)), "w: 0.01 * log(1 + |w|/0.1) -> log-sum threshold"),
      LOSS(data + 0.01 * sum(log1p(abs(w))), "w: 0.01 * log(1 + |w|/1) -> log-sum threshold"),
      LOSS(data + 0.01 * sum(log1p(abs(w) / 0.1)), "w: 0.01 * log(1 + |w|/0.1) -> log-sum threshold"),
      LOSS(data + box(w, -1, 1), "w: w >= -1, w <= 1 -> clip"),
      LOSS(data + nonnegative(w) + 0.02 * sum(abs(w)), "w: 0.02 * |w| + w >= 0 -> soft threshold, clip"),
      LOSS(data + nonnegative(w), "w: w >= 0 -> clip"),
  };
}

std::vector<Row> refused() {
  return {
      // L101: the data come in.
      LOSS(data + 0.01 * sum(abs(matmul(x, w))), "L101"),
      LOSS(mean(abs(matmul(x, w) - 1)), "L101"),
      LOSS(mean(abs(matmul(x, w))), "L101"),
      LOSS(data + 0.01 * mean(sum(abs(matmul(x, w)), {1})), "L101"),
      LOSS(data + 0.01 * sum(abs(x)) * 0 + 0.01 * sum(abs(sum(x) * w)), "L101"),
      LOSS(data + mean(x) * sum(abs(w)), "L101"),
      LOSS(data + sum(abs(w)) / (1 + mean(square(x))), "L101"),
      LOSS(data + sum(mean(x) * abs(w)), "L101"),
      LOSS(data + 0.01 * mean(norm1(relu(matmul(x, w)))), "L101"),
      LOSS(data + 0.01 * sum(abs(tanh(matmul(x, w)))), "L101"),
      LOSS(data + 0.01 * sum(abs(matmul(x, w) + matmul(x, v))), "L101"),
      LOSS(data + 0.01 * abs_penalty(matmul(x, w)), "L101"),
      // L102: elements are mixed.
      LOSS(data + 0.01 * sum(abs(matmul(w, transpose(v)))), "L102"),
      LOSS(data + 0.01 * sum(abs(matmul(w, ones))), "L102"),
      LOSS(data + 0.01 * sum(abs(w + v)), "L102"),
      LOSS(data + 0.01 * sum(abs(w - v)), "L102"),
      LOSS(data + 0.01 * sum(abs(w * v)), "L102"),
      LOSS(data + 0.01 * sum(abs(w / v)), "L102"),
      LOSS(data + 0.01 * sum(abs(scale * w)), "L102"),
      LOSS(data + 0.01 * abs(sum(w)), "L102"),
      LOSS(data + 0.01 * abs(mean(w)), "L102"),
      LOSS(data + 0.01 * sum(abs(sum(w, {0}))), "L102"),
      LOSS(data + 0.01 * sum(abs(w - mean(w))), "L102"),
      LOSS(data + 0.01 * sum(abs(w / sqrt(sum(square(v))))), "L102", "L105"),
      LOSS(data + 0.01 * sum(abs(tanh(w))), "L102"),
      LOSS(data + 0.01 * sum(abs(exp(w))), "L102"),
      LOSS(data + 0.01 * sum(abs(power(w, 3))), "L102"),
      LOSS(data + 0.01 * sum(abs(maximum(w, v))), "L102"),
      LOSS(data + 0.01 * sum(abs(softmax(w))), "L102"),
      LOSS(data + 0.01 * sum(abs(matmul(transpose(w), w))), "L102"),
      LOSS(data + 0.01 * sum(abs(clip(w, -1, 1))), "L102"),
      LOSS(data + 0.01 * sum(abs(sin(w))), "L102"),
      LOSS(data + 0.01 * sum(abs(w + transpose(reshape(w, {3, 4})))), "L102"),
      LOSS(data + 0.01 * sum(abs(concat({w + v, v}, 0))), "L102"),
      LOSS(data + 0.01 * abs(reduce_max(w)), "L102"),
      LOSS(data + 0.01 * sum(abs(w * w - 1)), "L102"),
      LOSS(data + 0.01 * sum(abs(stop_gradient(w) * w + v)), "L102"),
      LOSS(data + 0.01 * sum(abs(slice(w, 0, 2, 4) - slice(w, 0, 0, 2))), "L102"),
      LOSS(data + 0.01 * sum(abs(slice(w, 0, 1, 4) + slice(w, 0, 0, 3))), "L102"),
      LOSS(data + 0.01 * sum(norm2(matmul(transpose(w), v), {1})), "L102"),
      LOSS(data + 0.01 * nuclear_norm(w + v), "L102"),
      // L103: the coefficient is trained.
      LOSS(data + scale * sum(abs(w)), "L103"),
      LOSS(data + square(scale) * sum(abs(w)), "L103"),
      LOSS(data + sum(abs(w)) / scale, "L103"),
      LOSS(data + exp(scale) * sum(abs(w)) - scale, "L103"),
      LOSS(data + sum(w * abs(w)), "L103"),
      LOSS(data + sum(v * abs(w)), "L103"),
      LOSS(data + sum(abs(w)) * sum(square(v)), "L103"),
      LOSS(data + softplus(scale) * sum(abs(w)), "L103"),
      LOSS(data + mean(v) * sum(abs(w)), "L103"),
      LOSS(data + sum(abs(w) / (1 + square(w))), "L103"),
      LOSS(data + sum(abs(w)) * sum(abs(v)), "L103", "L103"),
      // L105: under another function.
      LOSS(data + log(1 + sum(abs(w))), "L105"),
      LOSS(data + log(sum(abs(w))), "L105"),
      LOSS(data + sqrt(sum(abs(w))), "L105"),
      LOSS(data + exp(sum(abs(w))), "L105"),
      LOSS(data + square(sum(abs(w))), "L105"),
      LOSS(data + maximum(sum(abs(w)), 1), "L105"),
      LOSS(data + minimum(sum(abs(w)), 1), "L105"),
      LOSS(data + relu(sum(abs(w)) - 1), "L105"),
      LOSS(data + clip(sum(abs(w)), 0, 1), "L105"),
      LOSS(data + where(greater(sum(abs(w)), 1), sum(abs(w)), 0), "L105"),
      LOSS(data + where(greater(sum(square(w)), 1), sum(abs(w)), 0), "L105"),
      LOSS(data / (1 + sum(abs(w))), "L105"),
      LOSS(data + 1 / (1 + sum(abs(w))), "L105"),
      LOSS(data + sum(square(sum(abs(w), {0}))), "L105"),
      LOSS(data + sum(sqrt(abs(w))), "L105"),
      LOSS(data + sum(power(abs(w), 0.5)), "L105"),
      LOSS(data + sum(power(abs(w), 1.5)), "L105"),
      LOSS(data + sum(minimum(abs(w), 1)), "L105"),
      LOSS(data + sum(maximum(abs(w), 1)), "L105"),
      LOSS(data + sum(exp(-abs(w))), "L105"),
      LOSS(data + sum(1 - exp(-abs(w))), "L105"),
      LOSS(data + sum(tanh(abs(w))), "L105"),
      LOSS(data + sum(abs(w) / (1 + abs(w))), "L103", "L105"),
      LOSS(log(data + 0.01 * sum(abs(w))), "L105"),
      LOSS(sqrt(data + 0.01 * sum(abs(w))), "L105"),
      LOSS(square(data + 0.01 * sum(abs(w))), "L105"),
      LOSS(mean(square(matmul(x, abs(w)))), "L105"),
      LOSS(mean(square(matmul(x, abs(w) + v))), "L105"),
      // L106: no gradient by design.
      LOSS(data + 0.01 * sum(abs(stop_gradient(w))) + 0 * sum(w), "L106"),
      LOSS(data + 0.01 * stop_gradient(sum(abs(w))), "L106"),
      LOSS(data + stop_gradient(0.01 * sum(abs(w))), "L106"),
      LOSS(data + 0.01 * sum(stop_gradient(abs(w))), "L106"),
      // L107: smooth by construction.
      LOSS(data + 0.01 * sum(sqrt(square(w) + 1e-8)), "L107"),
      LOSS(data + 0.01 * sum(sqrt(w * w + 1e-8)), "L107"),
      LOSS(data + 0.01 * sum(sqrt(1e-8 + w * w)), "L107"),
      LOSS(data + 0.01 * sqrt(sum(square(w)) + 1e-8), "L107"),
      LOSS(data + 0.01 * sum(sqrt(sum(square(w), {1}) + 1e-8)), "L107"),
      LOSS(data + 0.01 * huber(w, g.constant(Tensor(f32, {4, 3})), 0.1), "L107"),
      LOSS(data + 0.01 * sum(softplus(w) + softplus(-w)), "L107"),
      LOSS(data + 0.01 * sum(w * tanh(w)), "L107"),
      LOSS(data + 0.01 * sum(w * tanh(100 * w)), "L107"),
      LOSS(data + 0.01 * sum(w * erf(w)), "L107"),
      LOSS(data + 0.01 * sum(square(w) / (abs(w) + 1e-3)), "L107"),
      // L108: the prox of the sum is not known.
      LOSS(data + 0.01 * sum(norm2(w, {0})) + 0.01 * sum(norm2(w, {1})),
           "w: 0.01 * ‖w‖₂ -> group soft threshold", "L108"),
      LOSS(data + 0.01 * sum(norm2(gather_rows(w, rows), {1})), "L108"),
      LOSS(data + 0.01 * norm2(concat({slice(w, 0, 0, 3), slice(w, 0, 2, 4)}, 0)), "L108"),
      LOSS(data + 0.01 * sum(norm2(w, {1})) + box(w, -1, 1),
           "w: w >= -1, w <= 1 + 0.01 * ‖w‖₂ -> clip, group soft threshold"),
      LOSS(data + 0.01 * sum(norm2(w, {1})) + 0.01 * sum(abs(w - 1)),
           "w: 0.01 * |w - 1| + 0.01 * ‖w‖₂ -> soft threshold, group soft threshold"),
      LOSS(data + 0.01 * norm_inf(w) + 0.01 * sum(abs(w)), lasso, "L108"),
      LOSS(data + 0.01 * nuclear_norm(w) + 0.01 * sum(abs(w)), lasso, "L108"),
      LOSS(data + 0.01 * sum(count_nonzero(w)) + 0.01 * sum(abs(w)), lasso, "L108"),
      LOSS(data + 0.01 * sum(absolute_differences(w, 1)) + sum(c * abs(w)),
           "w: weighted |w| + 0.01 * |Δw| -> soft threshold, total variation denoising"),
      LOSS(data + 0.01 * nuclear_norm(c * w), "L108"),
      LOSS(data + 0.01 * nuclear_norm(concat({w, v}, 0)), "L108"),
      // L111: masked at random.
      LOSS(data + 0.01 * sum(abs(dropout(w, 0.5))), "L111"),
      LOSS(data + 0.01 * sum(dropout(abs(w), 0.5)), "L111"),
      LOSS(data + dropout(0.01 * sum(abs(w)), 0.5), "L111"),
      LOSS(data + 0.01 * sum(abs(w * dropout(c, 0.5))), "L111"),
  };
}

std::vector<std::string> outcome(const RewriteReport& report) {
  std::vector<std::string> result;
  for (const auto& entry : report.rewritten) {
    // Operands of + are evaluated in any order.
    std::vector<std::string> terms = entry.terms;
    std::sort(terms.begin(), terms.end());
    std::string line = entry.parameter + ": ";
    for (size_t i = 0; i < terms.size(); ++i) line += (i > 0 ? " + " : "") + terms[i];
    result.push_back(line);
  }
  for (const Refusal& refusal : report.refused) result.push_back(refusal.code);
  std::sort(result.begin(), result.end());
  return result;
}

// "w: 0.01 * |w| -> soft threshold": the terms, and the operators apart, in any order.
std::string operators_of(const RewriteReport& report) {
  std::vector<std::string> all;
  for (const auto& entry : report.rewritten)
    for (size_t at = 0; at < entry.operator_name.size();) {
      const size_t end = std::min(entry.operator_name.find(", ", at), entry.operator_name.size());
      all.push_back(entry.operator_name.substr(at, end - at));
      at = end + 2;
    }
  std::sort(all.begin(), all.end());
  std::string result;
  for (const std::string& name : all) result += name + ";";
  return result;
}

std::pair<std::vector<std::string>, std::string> expected_outcome(const std::vector<std::string>& expected) {
  RewriteReport report;
  for (const std::string& line : expected) {
    if (line.starts_with("L")) {
      report.refused.push_back({line, {}, {}, {}, {}});
      continue;
    }
    const size_t colon = line.find(": "), arrow = line.find(" -> ");
    RewriteReport::Entry entry{line.substr(0, colon), {}, {}, line.substr(arrow + 4), {}};
    const std::string terms = line.substr(colon + 2, arrow - colon - 2);
    for (size_t at = 0; at < terms.size();) {
      size_t end = terms.find(" + ", at);
      // A + within bars or brackets belongs to the term.
      while (end != std::string::npos && std::count(terms.begin() + static_cast<int64_t>(at),
                                                    terms.begin() + static_cast<int64_t>(end), '|') %
                                                 2 ==
                                             1)
        end = terms.find(" + ", end + 1);
      end = std::min(end, terms.size());
      entry.terms.push_back(terms.substr(at, end - at));
      at = end + 3;
    }
    report.rewritten.push_back(entry);
  }
  return {outcome(report), operators_of(report)};
}

}  // namespace

TEST_CASE("the table of loss spellings") {
  int rewritten = 0, refusals = 0, total = 0;
  for (const auto& table :
       {absolute_values(), coefficients(), views(), sums(), kinks(), groups(), concave(), refused()})
    for (const Row& row : table) {
      Setting setting;
      const Trainer trainer(row.build(setting), Sgd{.learning_rate = 0.1}, {.threads = 1});
      CAPTURE(row.loss);
      CAPTURE(trainer.report().text());
      const auto [terms, operators] = expected_outcome(row.expected);
      CHECK(outcome(trainer.report()) == terms);
      CHECK(operators_of(trainer.report()) == operators);
      ++total;
      const bool is_refused = !row.expected.empty() && row.expected.back().starts_with("L");
      ++(is_refused ? refusals : rewritten);
    }
  CHECK(total >= 200);
  CHECK(refusals >= 80);
  CHECK(rewritten >= 110);
}
