// Penalties that are written as what they are equal to, and what comes close to them.
#include "graph/base/error.hpp"
#include "tests/autodiff/loss_table.hpp"
#include "tests/support/testing.hpp"

namespace lariat::loss_forms_test {

using namespace lariat::testing;

namespace {

const std::string of_t = "t: 0.01 * |Δt| -> total variation denoising";
std::string reordered(const std::string& name) {
  const std::string parameter = name.substr(name.rfind(' ') + 1);
  return parameter + ": 0.01 * |Δ(" + name + " reordered)| -> total variation denoising";
}

std::vector<LossRow> piecewise() {
  return {
      LOSS(data + 0.1 * sum(maximum(0.1 * w, -0.1 * w)), lasso),
      LOSS(data + 0.1 * sum(maximum(w / 10, w / -10)), lasso),
      LOSS(data + 0.1 * sum(where(greater(w, 0), 0.1 * w, -0.1 * w)), lasso),
      LOSS(data + 0.1 * sum(where(less_equal(w, 0), w * -0.1, w * 0.1)), lasso),
      LOSS(data + 0.1 * sum(where(less(0, w), 0.1 * w, -0.1 * w)), lasso),
      LOSS(data + 0.1 * sum(where(greater(2 * w, 0), 0.1 * w, -0.1 * w)), lasso),
      LOSS(data + 0.01 * sum(maximum(w, 0 - w)), lasso),
      LOSS(data - 0.01 * sum(minimum(0 - w, w)), lasso),
      LOSS(data + 0.01 * sum(maximum(w, multiply_add(w, -1, 0))), lasso),
      LOSS(data + 0.01 * sum(leaky_relu(w, -1)), lasso),
      LOSS(data + 0.01 * sum(leaky_relu(-w, -1)), lasso),
      LOSS(data + 0.01 * sum(w * greater(w, 0) - w * less(w, 0)), lasso),
      LOSS(data + 0.01 * sum(w * (2 * greater(w, 0) - 1)), lasso),
      LOSS(data + 0.01 * sum(maximum(transpose(w), -transpose(w))), lasso),
      LOSS(data + 0.01 * sum(multiply_add(1, abs(w), 3)), lasso),
      LOSS(data + 0.005 * sum(abs(multiply_add(w, 2, 0))), lasso),
      LOSS(multiply_add(0.01, sum(abs(w)), data), lasso),
      LOSS(data + 0.01 * sum(maximum(w - 1, 1 - w)), "w: 0.01 * |w - 1| -> soft threshold"),
      LOSS(data + 0.005 * sum(maximum(2 * w - 1, 1 - w * 2)), "w: 0.01 * |w - 0.5| -> soft threshold"),
      LOSS(data + 0.01 * sum(maximum(c * w, -c * w)), weighted),
      LOSS(data + 0.01 * sum(maximum(signs * w, -signs * w)), weighted),
      LOSS(data + 0.01 * sum(where(greater(w, 0), c * w, -c * w)), weighted),
      LOSS(data + 0.01 * sum(where(greater(signs, 0), abs(w), 2 * abs(w))), weighted),
      LOSS(data + 0.01 * sum(maximum(2 * w, w)), positive),
      LOSS(data + 0.01 * sum(where(greater(w, 0), 3 * w, 2 * w)), positive),
      LOSS(data + 0.1 * sum(leaky_relu(w, 0.9)), positive),
      LOSS(data + 0.01 * sum(leaky_relu(w, 0)), positive),
      LOSS(data + 0.01 * sum(clip(w, 0, INFINITY)), positive),
      LOSS(data + 0.01 * sum(maximum(2 * w, -w)),
           "w: 0.02 * max(w, 0) + 0.01 * max(-w, 0) -> one-sided soft threshold"),
      LOSS(data + 0.01 * sum(leaky_relu(w, -2)),
           "w: 0.01 * max(w, 0) + 0.02 * max(-w, 0) -> one-sided soft threshold"),
      LOSS(data + 0.01 * sum(where(greater(w, 1), w - 1, 0)),
           "w: 0.01 * max(w - 1, 0) -> one-sided soft threshold"),
      LOSS(data + 0.01 * sum(abs(w - clip(w, -1, 1))),
           "w: 0.01 * max(w - 1, 0) + 0.01 * max(-(w + 1), 0) -> one-sided soft threshold"),
      LOSS(data + 0.01 * sum(relu(abs(w) - 1)),
           "w: 0.01 * max(w - 1, 0) + 0.01 * max(-(w + 1), 0) -> one-sided soft threshold"),
      LOSS(data + 0.01 * sum(abs(w) - minimum(abs(w), 1)),
           "w: 0.01 * max(w - 1, 0) + 0.01 * max(-(w + 1), 0) -> one-sided soft threshold"),
      // Not every part is convex.
      LOSS(data + 0.02 * sum(abs(w)) + 0.01 * sum(abs(abs(w) - 1)),
           "w: 0.01 * |w| + 0.01 * |w + 1| + 0.01 * |w - 1| -> soft threshold"),
      LOSS(data + 0.01 * (2 * sum(abs(w)) + 12 * mean(abs(abs(w) - 1))),
           "w: 0.01 * |w| + 0.01 * |w + 1| + 0.01 * |w - 1| -> soft threshold"),
      LOSS(data + lambda * (2 * sum(abs(w)) + sum(abs(abs(w) - 1))),
           "w: 2 * lambda * |w| + -1 * lambda * |w| + lambda * |w + 1| + lambda * |w - 1| -> soft threshold"),
      LOSS(data + 0.02 * sum(abs(w)) + 0.01 * sum(abs(abs(slice(w, 0, 0, 2)) - 1)),
           "w: weighted |w| + weighted |w + 1| + weighted |w - 1| -> soft threshold"),
      LOSS(data + sum(c * abs(w)) + 0.5 * sum(c * abs(abs(w) - 1)),
           "w: weighted |w| + weighted |w + 1| + weighted |w - 1| -> soft threshold"),
      LOSS(data + 0.01 * sum(maximum(abs(w), 1)),
           "w: 0.01 * max(w - 1, 0) + 0.01 * max(-(w + 1), 0) -> one-sided soft threshold"),
      LOSS(data + 0.01 * sum(maximum(w, stop_gradient(v))),
           "w: 0.01 * max(w - (a tensor), 0) -> one-sided soft threshold"),
      LOSS(data + 0.01 * sum(maximum(lambda * w, -lambda * w)), "w: 0.01 * lambda * |w| -> soft threshold"),
      LOSS(data - 0.01 * sum(equal(w, 0)), count),
      LOSS(data + 0.01 * sum(where(equal(w, 0), 0, 1)), count),
      LOSS(data + 0.01 * sum(greater(abs(w), 0) * 1), count),
      // Near misses.
      LOSS(data + 0.01 * sum(leaky_relu(w, 2)), "L112"),
      LOSS(data + 0.01 * sum(where(greater(w, 0), signs * w, -signs * w)), "L112"),
      LOSS(data + 0.01 * sum(where(greater(w, 1), w, 0)), "L112"),
      LOSS(data + 0.01 * sum(where(greater(w, 0), w + 0.5, -w)), "L112"),
      LOSS(data + 0.01 * sum(maximum(w, v)), "L112"),
      LOSS(data + 0.01 * sum(clip(w, -1, 1)), "L112"),
      LOSS(data + 0.01 * sum(greater(w, 0)), "L112"),
      LOSS(data + 0.01 * sum(maximum(w - v, v - w)), "w, v: 0.01 * |w - v| -> soft threshold"),
      LOSS(data + 0.01 * sum(abs(maximum(w, v))), "L102"),
      LOSS(data - 0.01 * sum(relu(w)), "L112"),
      LOSS(data + 0.01 * reduce_max(w), "L112"),
      LOSS(data + 0.01 * sum(reduce_max(w, {0})), "L112"),
      LOSS(data + 0.01 * sum(exp(maximum(w, v))), "L112"),
      LOSS(data + 0.01 * sum(where(greater(w, 0), square(w), -w)), "L112"),
      LOSS(data + 0.01 * sum(where(greater(signs, 0), abs(w), sign(v))), weighted, "L112"),
      LOSS(data + 0.01 * sum(where(greater(2 * sign(w), 2), abs(v), sign(w))), "v: 0 * |v| -> soft threshold",
           "L112"),
      LOSS(data + 0.01 * sum(tanh(1 / w)), "L112"),
      LOSS(data + 0.01 * sum(sin(v / w)), "L112"),
      LOSS(data + 0.01 * sum(relu(w) + less_equal(relu(w), 2)), positive, "L112"),
      // What is compared keeps its rounding.
      LOSS(data + 0.01 * sum(where(equal(1 - signs * w, maximum(1 - signs * w, 0.7)), square(w), w)), "L112"),
      LOSS(data + 0.01 * sum(abs(w)) + sum(maximum(w, log(g.constant(0.0, dtype)) - 1)), lasso, "L112"),
      // What takes NaN out keeps its condition.
      LOSS(data + 0.01 * sum(where(equal(log(w), log(w)), log(w), 0)), "L112"),
      LOSS(data + 0.01 * sum(where(greater(log1p(w), 0), log1p(w), 0)), "L112"),
      LOSS(data + 0.01 * sum(power(abs(w) + square(v), 0.5)), "L105"),
      LOSS(data + 0.01 * stop_gradient(sum(maximum(w, v))), "L106"),
      LOSS(data + 0.01 * sum(elu(w))),
      LOSS(data + 0.01 * sum(softplus(w))),
  };
}

std::vector<LossRow> norms() {
  return {
      LOSS(data + 0.01 * sqrt(4 * sum(square(w))), "w: 0.02 * ‖w‖₂ -> group soft threshold"),
      LOSS(data + 0.02 * sqrt(sum(square(w)) / 4), group),
      LOSS(data + 0.02 * power(0.25 * sum(w * w), 0.5), group),
      LOSS(data + 0.01 * sqrt(sum(square(w) + 0)), group),
      LOSS(data + 0.01 * sqrt(sum(c * square(w))), "w: 0.01 * ‖(a tensor) * w‖₂ -> group soft threshold"),
      LOSS(data + 0.01 * sum(sqrt(sum(c * square(w), {1}))),
           "w: 0.01 * ‖(a tensor) * w‖₂ -> group soft threshold"),
      LOSS(data + 0.01 * sum(sqrt(sum(reshape(square(w), {2, 2, 3}), {1, 2}))), group),
      LOSS(data + 0.01 * sum(sqrt(12 * mean(square(w), {0, 1}))), "w: 0.01 * ‖w‖₂ -> group soft threshold"),
      LOSS(data + 0.01 * sum(sqrt(matmul(square(w), ones))), group),
      LOSS(data + 0.01 * sqrt(multiply_add(1, square_penalty(w), 0)), group),
      LOSS(data + 0.01 * sqrt(cast(sum(square(w)), dtype)), group),
      LOSS(data + 0.01 * sqrt(sum(square(w)) + sum(square(v))), both),
      LOSS(data + 0.01 * sqrt(square(norm2(w)) + square(norm2(v))), both),
      LOSS(data + 0.01 * sum(sqrt(sum(square(w), {1}) + sum(square(v), {1}))), both),
      LOSS(data + 0.01 * sum(sqrt(square(w) + square(v))), both),
      LOSS(data + 0.01 * sqrt(sum(square(w)) + sum(square(w)) * 3), "w: 0.02 * ‖w‖₂ -> group soft threshold"),
      LOSS(data + 0.01 * sum(sqrt(matmul(transpose(column), column))),
           "column: 0.01 * ‖column‖₂ -> group soft threshold"),
      LOSS(data + 0.01 * sum(sqrt(matmul(row, transpose(row)))),
           "row: 0.01 * ‖row‖₂ -> group soft threshold"),
      LOSS(data + 0.01 * sqrt(reshape(matmul(reshape(w, {1, 12}), reshape(w, {12, 1})), {})), group),
      LOSS(data + 0.01 * norm1(norm2(w, {1})), group),
      LOSS(data + 0.01 * abs_penalty(norm2(w, {1})), group),
      LOSS(data + 0.01 * sum(maximum(norm2(w, {1}), -norm2(w, {1}))), group),
      LOSS(data + 0.01 * sum(relu(norm2(w, {1}))), group),
      LOSS(data + 0.01 * norm2(norm2(w, {1})), group),
      LOSS(data + 0.01 * norm2(abs(w)), group),
      LOSS(data + 0.01 * sqrt(reduce_max(square(w))), largest),
      LOSS(data + 0.02 * sqrt(reduce_max(square(w)) / 4), largest),
      LOSS(data + 0.01 * sum(sqrt(reduce_max(square(w), {0}))), largest),
      LOSS(data + 0.01 * reduce_max(maximum(w, -w)), largest),
      LOSS(data + 0.02 * reduce_max(abs(w) / 2), largest),
      LOSS(data + 0.01 * maximum(reduce_max(w), reduce_max(-w)), largest),
      LOSS(data + 0.01 * reduce_max(norm_inf(w, {1})), largest),
      LOSS(data + 0.01 * reduce_max(concat({w, -w}, 0)), largest),
      LOSS(data + 0.01 * reduce_max(concat({-w, w}, 1)), largest),
      LOSS(data + 0.01 * reduce_max(stack({w, -w}, 0)), largest),
      LOSS(data + 0.01 * reduce_max(stack({-w, w}, 1)), largest),
      LOSS(data + 0.01 * norm_inf(stack({w, w}, 2)), "L108"),
      LOSS(data + 0.01 * sum(norm_inf(norm_inf(w, {1}, true), {0})), largest),
      LOSS(data + 0.01 * sum(norm_inf(norm_inf(reshape(w, {2, 2, 3}), {2}), {1})),
           "w: 0.01 * ‖w‖∞ along axes 1, 2 -> projection on the L1 ball (Moreau)"),
      LOSS(data + 0.01 * norm2(stack({norm2(w), norm2(v)}, 0)), both),
      LOSS(data + 0.01 * norm2(concat({norm2(w, {0}), norm2(v, {0})}, 0)), both),
      LOSS(data + 0.01 * sum(maximum(abs(w), abs(v))),
           "w, v: 0.01 * ‖w, v‖∞ along axis 0 -> projection on the L1 ball (Moreau)"),
      LOSS(data + 0.01 * sum(maximum(abs(w), 2 * abs(w))), "w: 0.02 * |w| -> soft threshold"),
      LOSS(data + 0.01 * norm_inf(broadcast_to(reshape(w, {1, 12}), {5, 12})), largest),
      LOSS(data + 0.005 * norm2(broadcast_to(reshape(w, {1, 12}), {4, 12})), group),
      LOSS(data + 0.005 * sqrt(sum(square(broadcast_to(reshape(w, {12, 1}), {12, 4})))), group),
      LOSS(data + 0.0025 * sum(norm2(broadcast_to(reshape(w, {1, 12}), {4, 12}), {1})), group),
      LOSS(data + 0.005 * sum(norm2(broadcast_to(reshape(w, {1, 3, 4}), {4, 3, 4}), {0, 2})), group),
      LOSS(data + 0.005 * sum(norm2(broadcast_to(reshape(w, {1, 12}), {4, 12}), {0})), group),
      LOSS(data + 0.01 * sum(abs(w)) + 0.02 * square(norm2(w)),
           "w: 0.01 * |w| + 0.02 * w^2 -> soft threshold, shrinkage"),
      LOSS(data + 0.01 * sum(abs(w)) + 0.02 * norm2(w) * norm2(w),
           "w: 0.01 * |w| + 0.02 * w^2 -> soft threshold, shrinkage"),
      LOSS(data + 0.01 * sum(abs(w)) + 0.2 * norm2(w) * (0.1 * norm2(w)),
           "w: 0.01 * |w| + 0.02 * w^2 -> soft threshold, shrinkage"),
      LOSS(data + 0.01 * sum(abs(w)) + 0.02 * norm2(w) * sqrt(sum(square(w))),
           "w: 0.01 * |w| + 0.02 * w^2 -> soft threshold, shrinkage"),
      LOSS(data + 0.01 * sum(abs(w)) + 0.02 * sum(norm2(w, {1}) * norm2(w, {1})),
           "w: 0.01 * |w| + 0.02 * w^2 -> soft threshold, shrinkage"),
      LOSS(data + 0.01 * sum(abs(w)) + square(norm2(w) / -10),
           "w: 0.01 * |w| + 0.01 * w^2 -> soft threshold, shrinkage"),
      LOSS(data + 0.01 * sum(abs(w)) + power(0.1 * norm2(w), 2),
           "w: 0.01 * |w| + 0.01 * w^2 -> soft threshold, shrinkage"),
      LOSS(data + 0.01 * sum(abs(w)) + sum(0.1 * w * (-0.1 * w) * -1),
           "w: 0.01 * |w| + 0.01 * w^2 -> soft threshold, shrinkage"),
      LOSS(data + 0.01 * norm2(w) * norm2(w)),
      LOSS(data + 0.01 * square(0.5 * norm2(w))),
      LOSS(data + 0.01 * power(norm2(w), 4)),
      LOSS(data + 0.01 * norm2(w) * norm2(w) * norm2(w) * norm2(w)),
      LOSS(data + 0.01 * square(square(norm2(w)))),
      LOSS(data + 0.01 * sum(norm_inf(reshape(w, {4, 3, 1}), {2})), lasso),
      // Near misses.
      LOSS(data + 0.01 * norm2(w) * norm2(w) * norm2(w), "L107"),
      LOSS(data + 0.01 * power(sum(square(w)), 1.5), "L107"),
      LOSS(data + 0.01 * norm2(w) * norm2(v), "L103", "L103"),
      LOSS(data + 0.01 * norm1(w) * norm1(w), "L105"),
      LOSS(data + 0.01 * square(norm2(w) + 1), "L105"),
      LOSS(data + 0.01 * sqrt(sum(square(w)) + 1e-6), "L107"),
      LOSS(data + 0.01 * sqrt(sum(signs * square(w)) + 100), "L112"),
      LOSS(data + 0.01 * sum(sqrt(matmul(transpose(w), w) + 10)), "L112"),
      LOSS(data + 0.01 * sum(abs(w) * square(w)), "L107"),
      LOSS(data + 0.01 * sum(w * w * abs(w)), "L107"),
      LOSS(data + 0.01 * sum(power(abs(w), 3)), "L107"),
      LOSS(data + 0.01 * power(norm2(w), 3), "L107"),
      LOSS(data + 0.01 * sum(square(relu(w))), "L107"),
      LOSS(data + 0.01 * square(norm2(w))),
      LOSS(data + 0.01 * sum(log(exp(w) + exp(-w)))),
  };
}

// Σ over neighbours in t, one term each.
Value steps_of_t(LossSetting& s, std::vector<int64_t> starts) {
  Value total;
  for (int64_t i : starts) {
    const Value step = sum(abs(slice(s.t, 0, i + 1, i + 2) - slice(s.t, 0, i, i + 1)));
    total = total ? total + step : step;
  }
  return total;
}

Value steps_of_rows(LossSetting& s) {
  const std::vector<Value> rows = unstack(s.w, 0);
  Value total;
  for (size_t i = 0; i + 1 < rows.size(); ++i) {
    const Value step = norm1(rows[i + 1] - rows[i]);
    total = total ? total + step : step;
  }
  return total;
}

std::vector<LossRow> products() {
  return {
      LOSS(data + 0.01 * sum(abs(matmul(
                             matrix(g, dtype, {{0, 1, 0, 0}, {1, 0, 0, 0}, {0, 0, 0, 1}, {0, 0, 1, 0}}), w))),
           lasso),
      LOSS(data + 0.01 * sum(abs(matmul(w, matrix(g, dtype, {{0, 1, 0}, {0, 0, 2}, {3, 0, 0}})))), weighted),
      LOSS(data + 0.01 * sum(abs(matmul(matrix(g, dtype, {{0, 1, 0, 0}, {0, 0, 0, -1}}), w))), weighted),
      LOSS(data + 0.01 * sum(norm2(matmul(matrix(g, dtype,
                                                 {{0, 1, 0, 0}, {1, 0, 0, 0}, {0, 0, 0, 1}, {0, 0, 1, 0}}),
                                          w),
                                   {1})),
           group),
      LOSS(data + 0.01 * sum(abs(pad(slice(w, 0, 0, 2), 0, 0, 2) + pad(slice(w, 0, 2, 4), 0, 2, 0))), lasso),
      LOSS(data + 0.01 * sum(abs(w + 0 * v)), lasso),
      LOSS(data + 0.01 * sum(abs(matmul(matrix(g, dtype, {{-1, 1, 0, 0}, {0, -1, 1, 0}, {0, 0, -1, 1}}), w))),
           variation),
      LOSS(data + 0.01 * sum(abs(matmul(w, matrix(g, dtype, {{1, 0}, {-1, 1}, {0, -1}})))), variation),
      LOSS(data + 0.01 * sum(abs(matmul(matrix(g, dtype, {{-1, 1, 0, 0}, {0, 2, -2, 0}, {0, 0, -3, 3}}), w))),
           "w: weighted |Δw| -> total variation denoising"),
      LOSS(data + 0.01 * sum(abs(matmul(matrix(g, dtype, {{0, 0, -1, 1}, {-1, 1, 0, 0}}), w))), variation),
      LOSS(data + 0.01 * sum(maximum(slice(w, 0, 1, 4) - slice(w, 0, 0, 3),
                                     slice(w, 0, 0, 3) - slice(w, 0, 1, 4))),
           variation),
      LOSS(data + 0.01 * steps_of_t(s, {0, 1, 2, 3, 4}), of_t),
      LOSS(data + 0.01 * steps_of_t(s, {4, 1, 0, 3, 2}), of_t),
      LOSS(data + 0.01 * steps_of_t(s, {0, 1, 3}), "t: weighted |Δ(part of t)| -> total variation denoising"),
      LOSS(data + 0.01 * steps_of_rows(s), variation),
      LOSS(data + 0.02 * sum(absolute_differences(w, 0)) - 0.01 * sum(absolute_differences(w, 0)), variation),
      LOSS(data + lambda * steps_of_rows(s), "w: lambda * |Δw| -> total variation denoising"),
      LOSS(data + 0.01 * steps_of_rows(s) + 0.02 * sum(abs(w)),
           "w: 0.02 * |w| + 0.01 * |Δw| -> soft threshold, total variation denoising"),
      LOSS(data + 0.01 * (sum(absolute_differences(slice(w, 0, 0, 2), 0)) +
                          norm1(unstack(w, 0)[3] - unstack(w, 0)[2])),
           "w: 0.01 * |Δw| -> total variation denoising"),
      LOSS(data +
               lambda * (sum(abs(slice(t, 0, 1, 3) - slice(t, 0, 0, 2))) +
                         sum(abs(slice(t, 0, 4, 5) - slice(t, 0, 3, 4)))) +
               lambda * sum(abs(slice(t, 0, 3, 4) - slice(t, 0, 2, 3))),
           "t: lambda * |Δ(part of t)| -> total variation denoising"),
      LOSS(data + 0.01 * sum(norm2(reshape(slice(w, 0, 1, 4) - slice(w, 0, 0, 3), {3, 3, 1}), {2})),
           variation),
      // At strides: one chain for each remainder.
      LOSS(data + 0.01 * sum(abs(slice(w, 0, 2, 4) - slice(w, 0, 0, 2))), reordered("w")),
      LOSS(data + 0.01 * sum(abs(slice(w, 1, 2, 3) - slice(w, 1, 0, 1))), reordered("part of w")),
      LOSS(data + 0.01 * sum(abs(slice(t, 0, 2, 6) - slice(t, 0, 0, 4))), reordered("t")),
      LOSS(data + 0.01 * sum(abs(slice(t, 0, 0, 3) - slice(t, 0, 3, 6))), reordered("t")),
      LOSS(data + 0.01 * sum(abs(slice(t, 0, 4, 6) - slice(t, 0, 0, 2))), reordered("part of t")),
      LOSS(data + 0.01 * norm1(slice(t, 0, 2, 6, 2) - slice(t, 0, 0, 4, 2)), reordered("part of t")),
      LOSS(data + 0.01 * sum(absolute_differences(slice(t, 0, 0, 6, 2), 0)),
           "t: 0.01 * |Δ(part of t)| -> total variation denoising"),
      LOSS(data + 0.01 * sum(maximum(slice(t, 0, 2, 6) - slice(t, 0, 0, 4),
                                     slice(t, 0, 0, 4) - slice(t, 0, 2, 6))),
           reordered("t")),
      LOSS(data + 0.01 * sum(abs(matmul(matrix(g, dtype, {{-1, 0, 1, 0}, {0, -1, 0, 1}}), w))),
           reordered("w")),
      LOSS(data + lambda * sum(abs(slice(t, 0, 2, 6) - slice(t, 0, 0, 4))),
           "t: lambda * |Δ(t reordered)| -> total variation denoising"),
      // Chains of 3 and 2 in one row, with a difference of no weight between them.
      LOSS(data + 0.01 * sum(abs(slice(column, 0, 2, 5) - slice(column, 0, 0, 3))),
           "column: weighted |Δ(column reordered)| -> total variation denoising"),
      LOSS(data + 0.01 * sum(abs(slice(t, 0, 2, 6) - slice(t, 0, 0, 4))) + 0.02 * sum(abs(t)),
           "t: 0.02 * |t| + 0.01 * |Δ(t reordered)| -> soft threshold, total variation denoising"),
      // Near misses.
      LOSS(
          data + 0.01 * sum(absolute_differences(t, 0)) + 0.01 * norm1(slice(t, 0, 2, 6) - slice(t, 0, 0, 4)),
          of_t, "L108"),
      LOSS(data + 0.01 * sum(norm2(slice(w, 0, 1, 4) - slice(w, 0, 0, 3), {1})), "L108"),
      LOSS(data + 0.01 * sum(sqrt(sum(square(slice(w, 0, 1, 4) - slice(w, 0, 0, 3)), {1}))), "L108"),
      LOSS(data + 0.01 * sum(sqrt(sum(square(slice(w, 1, 1, 3) - slice(w, 1, 0, 2)), {0}))), "L108"),
      LOSS(data + 0.01 * norm2(slice(t, 0, 2, 6) - slice(t, 0, 0, 4)), "L108"),
      LOSS(data + 0.01 * norm_inf(slice(w, 0, 1, 4) - slice(w, 0, 0, 3)), "L108"),
      LOSS(data + 0.01 * nuclear_norm(slice(w, 0, 1, 4) - slice(w, 0, 0, 3)), "L108"),
      LOSS(data + 0.01 * steps_of_rows(s) + 0.01 * sum(absolute_differences(w, 1)), variation, "L108"),
      LOSS(data + 0.01 * sum(abs(matmul(matrix(g, dtype, {{1, -2, 1, 0}, {0, 1, -2, 1}}), w))), "L102"),
      LOSS(data + 0.01 * sum(abs(matmul(matrix(g, dtype, {{-1, 2, 0, 0}, {0, -1, 1, 0}}), w))), "L102"),
      LOSS(data + 0.01 * sum(abs(matmul(matrix(g, dtype, {{-1, 1, 0, 0}, {0, -1, 1, 0}, {1, 0, -1, 0}}), w))),
           "L102"),
      LOSS(data + 0.01 * sum(absolute_differences(w, 0)) + 0.01 * sum(absolute_differences(w, 1)), variation,
           "L108"),
  };
}

// What a structured term is of is said: shifts, scales and parts.
std::vector<LossRow> structured() {
  return {
      LOSS(data + 0.01 * norm2(2 * w - 1), "w: 0.01 * ‖2 * w - 1‖₂ -> group soft threshold"),
      LOSS(data + 0.01 * norm2(w + 1), "w: 0.01 * ‖w + 1‖₂ -> group soft threshold"),
      LOSS(data + 0.01 * norm2(-w), "w: 0.01 * ‖-w‖₂ -> group soft threshold"),
      LOSS(data + 0.01 * norm2(1 - w), "w: 0.01 * ‖-w + 1‖₂ -> group soft threshold"),
      LOSS(data + 0.01 * norm2(c * w), "w: 0.01 * ‖(a tensor) * w‖₂ -> group soft threshold"),
      LOSS(data + 0.01 * norm2(w - c), "w: 0.01 * ‖w + (a tensor)‖₂ -> group soft threshold"),
      LOSS(data + 0.01 * norm2(slice(w, 0, 0, 2)), "w: 0.01 * ‖part of w‖₂ -> group soft threshold"),
      LOSS(data + 0.01 * norm2(3 * slice(w, 0, 0, 2) + 1),
           "w: 0.01 * ‖3 * (part of w) + 1‖₂ -> group soft threshold"),
      LOSS(data + 0.01 * norm_inf(0.5 * w), "w: 0.01 * ‖0.5 * w‖∞ -> projection on the L1 ball (Moreau)"),
      LOSS(data + 0.01 * nuclear_norm(w - 2), "w: 0.01 * ‖w - 2‖* -> singular value threshold"),
      LOSS(data + 0.01 * sum(absolute_differences(2 * w, 0)),
           "w: 0.01 * |Δ(2 * w)| -> total variation denoising"),
      LOSS(data + 0.01 * norm2(2 * concat({w, v}, 0)), "w, v: 0.01 * ‖2 * (w, v)‖₂ -> group soft threshold"),
      LOSS(data + 0.01 * norm2(transpose(w)), group),
  };
}

std::vector<LossRow> coefficients() {
  return {
      LOSS(data + sum(weights * abs(w)), weighted),
      LOSS(data + sum(weights * maximum(w, -w)), weighted),
      LOSS(data + 0.1 * sum(exp(weights) * abs(w)) + sum(w), weighted),
      LOSS(data + sum(slice(weights, 1, 0, 1) * norm2(w, {1}, true)),
           "w: weighted ‖w‖₂ -> group soft threshold"),
      LOSS(data + 0.03 * sum(abs(w)) - 0.02 * sum(abs(w)), lasso),
      LOSS(data + 0.03 * sum(abs(w)) - 0.24 * mean(abs(w)), lasso),
      LOSS(data + 0.03 * sum(abs(w)) - 0.01 * sum(abs(2 * w)), lasso),
      LOSS(data + 0.03 * norm2(w) - 0.02 * norm2(w), group),
      // Near misses.
      LOSS(data + sum(abs(weights * w)), "L101"),
      LOSS(data + sum(weights * w) + sum(weights * abs(w)), "L101"),
      LOSS(mean(square(w - weights)) + sum(weights * abs(w)), "L101"),
      LOSS(data + mean(square(matmul(transpose(weights), w))) + sum(weights * abs(w)), "L101"),
      LOSS(data + sum(weights * abs(w)) * sum(w), "L103"),
  };
}

}  // namespace

TEST_CASE("penalties written as what they are equal to") {
  for (const auto& table : {piecewise(), norms(), products(), structured(), coefficients()})
    for (const LossRow& row : table) check_loss(row);
}

}  // namespace lariat::loss_forms_test
