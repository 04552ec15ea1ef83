// Spellings of penalties that are rewritten.
#include "tests/autodiff/loss_table.hpp"
#include "tests/support/testing.hpp"

namespace lariat::loss_spellings_test {

using namespace lariat::testing;

namespace {

const std::string of_v = "v: 0.01 * |v| -> soft threshold";
const std::string negative = "w: 0.01 * max(-w, 0) -> one-sided soft threshold";

std::vector<LossRow> absolute_values() {
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

std::vector<LossRow> coefficients() {
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
      LOSS(data + cast(0.01 * sum(abs(cast(w, f64))), dtype), lasso),
      LOSS(data + 0.0 * sum(abs(w)), "w: 0 * |w| -> soft threshold"),
      LOSS(data + sum(c * abs(w)), weighted),
      LOSS(data + sum(abs(c * w)), weighted),
      LOSS(data + sum(abs(w * c)), weighted),
      LOSS(data + sum(abs(w) / c), weighted),
      LOSS(data + sum(abs(w / c)), weighted),
      LOSS(data + sum(slice(c, 0, 0, 1) * abs(w)), weighted),
      LOSS(data + sum(slice(c, 1, 0, 1) * abs(w)), weighted),
      LOSS(data + sum(abs(slice(c, 1, 0, 1) * w)), weighted),
      LOSS(data + 0.005 * sum(abs(matmul(w, diagonal(g, dtype, {2, 2, 2})))), lasso),
      LOSS(data + 0.01 * sum(abs(matmul(w, diagonal(g, dtype, {1, 2, 3})))), weighted),
      LOSS(data + lambda * sum(abs(w)), "w: lambda * |w| -> soft threshold"),
      LOSS(data + 0.1 * lambda * sum(abs(w)), "w: 0.1 * lambda * |w| -> soft threshold"),
      LOSS(data + sum(lambda * abs(w)), "w: lambda * |w| -> soft threshold"),
      LOSS(data + exp(lambda) * sum(abs(w)), weighted),
      LOSS(data + sum(abs(w)) * sum(frozen), weighted),
      LOSS(data + sum(frozen * abs(w)), weighted),
      LOSS(data + stop_gradient(scale) * sum(abs(w)), weighted),
      LOSS(data + sum(abs(w) / (abs(stop_gradient(w)) + 0.1)), weighted),
      LOSS(data + sum(abs(w) * stop_gradient(abs(w - 1))), weighted),
      LOSS(data + sum(abs(w) * stop_gradient(exp(-abs(w)))), weighted),
      LOSS(mean(sum(square(matmul(x, w)), {1}) + 0.01 * sum(abs(w))), weighted),
      LOSS(sum(square(matmul(x, w)) + 0.01 * sum(abs(w))), weighted),
  };
}

std::vector<LossRow> views() {
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
      LOSS(data + 0.01 * sum(abs(cast(cast(w, f64), dtype))), lasso),
  };
}

std::vector<LossRow> sums() {
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

std::vector<LossRow> kinks() {
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
      LOSS(data + 0.01 * sum(abs(concat({w, w - 1}, 0))), "w: 0.01 * |w| + 0.01 * |w - 1| -> soft threshold"),
      LOSS(data + 0.01 * sum(abs(stack({w - c, w + c}, 0))),
           "w: 0.01 * |w - (a tensor)| + 0.01 * |w - (a tensor)| -> soft threshold"),
      LOSS(data + 0.01 * sum(abs(w)) + 0.01 * sum(relu(w)),
           "w: 0.01 * |w| + 0.01 * max(w, 0) -> soft threshold, one-sided soft threshold"),
  };
}

std::vector<LossRow> groups() {
  return {
      LOSS(data + 0.01 * norm2(w), group),
      LOSS(data + 0.01 * sum(norm2(w, {1})), group),
      LOSS(data + 0.12 * mean(norm2(w, {0}, true)), "w: 0.04 * ‖w‖₂ along axis 0 -> group soft threshold"),
      LOSS(data + 0.01 * sqrt(sum(square(w))), group),
      LOSS(data + 0.01 * sqrt(square_penalty(w)), group),
      LOSS(data + 0.01 * sum(sqrt(sum(w * w, {1}))), group),
      LOSS(data + 0.01 * sum(power(sum(power(w, 2), {0}, true), 0.5)), group),
      LOSS(data + 0.01 * sum(sqrt(reshape(sum(square(w), {1}), {2, 2}))), group),
      LOSS(data + 0.01 * sqrt(mean(square(slice(w, 1, 0, 1)))),
           "w: 0.005 * ‖part of w‖₂ -> group soft threshold"),
      LOSS(data + sum(slice(c, 1, 0, 1) * norm2(w, {1}, true)), "w: weighted ‖w‖₂ -> group soft threshold"),
      LOSS(data + 0.01 * sum(norm2(transpose(w), {0})), group),
      LOSS(data + 0.01 * sum(norm2(2 * w, {1})), "w: 0.01 * ‖2 * w‖₂ -> group soft threshold"),
      LOSS(data + 0.01 * sum(norm2(concat({w, v}, 1), {1})), both),
      LOSS(data + 0.01 * sum(norm2(w, {1})) + 0.02 * sum(abs(w)),
           "w: 0.01 * ‖w‖₂ + 0.02 * |w| -> group soft threshold, soft threshold"),
      LOSS(data + 0.01 * sum(norm2(w, {1})) + 0.02 * norm2(w),
           "w: 0.01 * ‖w‖₂ along axis 1 + 0.02 * ‖w‖₂ -> group soft threshold"),
      LOSS(data + 0.01 * sum(norm2(w, {1})) + box(w, -1, 1),
           "w: w >= -1, w <= 1 + 0.01 * ‖w‖₂ -> clip, group soft threshold"),
      LOSS(data + 0.01 * sum(norm2(w, {1})) + 0.01 * sum(abs(w - 1)),
           "w: 0.01 * |w - 1| + 0.01 * ‖w‖₂ -> soft threshold, group soft threshold"),
      LOSS(data + 0.01 * sum(absolute_differences(w, 1)) + sum(c * abs(w)),
           "w: weighted |w| + 0.01 * |Δw| -> soft threshold, total variation denoising"),
      LOSS(data + 0.01 * norm_inf(w), largest),
      LOSS(data + 0.01 * sum(reduce_max(abs(w), {0})), largest),
      LOSS(data + 0.01 * nuclear_norm(w), "w: 0.01 * ‖w‖* -> singular value threshold"),
      LOSS(data + 0.01 * sum(absolute_differences(w, 0)), variation),
      LOSS(data + 0.01 * sum(abs(slice(w, 0, 1, 4) - slice(w, 0, 0, 3))), variation),
      LOSS(data + 0.01 * sum(abs(slice(w, -1, 0, 2) - slice(w, 1, 1, 3))), variation),
      LOSS(data + 0.01 * sum(absolute_differences(w, 1)) + 0.02 * sum(abs(w)),
           "w: 0.02 * |w| + 0.01 * |Δw| -> soft threshold, total variation denoising"),
  };
}

// Elements of arguments that combine elements, each in one only.
std::vector<LossRow> combined() {
  const std::string sums = "w: 0.01 * |combined w| -> soft threshold",
                    difference = "w, v: 0.01 * |w - v| -> soft threshold";
  return {
      LOSS(data + 0.01 * sum(abs(w - v)), difference),
      LOSS(data + 0.01 * sum(abs(v - w)), "w, v: 0.01 * |-w + v| -> soft threshold"),
      LOSS(data + 0.01 * sum(maximum(w - v, v - w)), difference),
      LOSS(data + 0.01 * norm1(w - v), difference),
      LOSS(data + 0.01 * abs_penalty(w - v), difference),
      LOSS(data + 0.01 * sum(abs(w + v)), "w, v: 0.01 * |w + v| -> soft threshold"),
      LOSS(data + 0.01 * sum(abs(2 * w - 3 * v)), "w, v: 0.01 * |2 * w - 3 * v| -> soft threshold"),
      LOSS(data + 0.01 * sum(abs(w - v - 1)), "w, v: 0.01 * |combined w, v| -> soft threshold"),
      LOSS(data + lambda * sum(abs(w - v)), "w, v: lambda * |w - v| -> soft threshold"),
      LOSS(data + sum(c * abs(w - v)), "w, v: weighted |w - v| -> soft threshold"),
      LOSS(data + 0.01 * sum(relu(w - v)), "w, v: 0.01 * max(w - v, 0) -> one-sided soft threshold"),
      LOSS(data + 0.01 * sum(abs(matmul(w, ones))), sums),
      LOSS(data + 0.01 * sum(abs(sum(w, {0}))), sums),
      LOSS(data + 0.01 * abs(sum(w)), sums),
      LOSS(data + 0.01 * abs(mean(w)), sums),
      LOSS(data + 0.01 * norm2(w - v), "w, v: 0.01 * ‖w - v‖₂ -> group soft threshold"),
      LOSS(data + 0.01 * sum(norm2(w - v, {1})), "w, v: 0.01 * ‖w - v‖₂ -> group soft threshold"),
      LOSS(data + 0.01 * sqrt(sum(square(w - v))), "w, v: 0.01 * ‖w - v‖₂ -> group soft threshold"),
      LOSS(data + 0.01 * sum(norm2(slice(w, 0, 2, 4) - slice(w, 0, 0, 2), {1})),
           "w: 0.01 * ‖combined w‖₂ -> group soft threshold"),
      LOSS(data + 0.01 * norm_inf(w - v), "w, v: 0.01 * ‖w - v‖∞ -> projection on the L1 ball (Moreau)"),
      LOSS(data + 0.01 * sum(count_nonzero(w - v)), "w, v: 0.01 * [(w - v) ≠ 0] -> hard threshold"),
      LOSS(data + 0.01 * sum(abs(w - reshape(transpose(v), {4, 3}))),
           "w, v: 0.01 * |combined w, v| -> soft threshold"),
      LOSS(data + 0.01 * sum(absolute_differences(w - v, 0)),
           "w, v: 0.01 * |Δ(w - v)| -> total variation denoising"),
      // With a kink on one of the two it is a total variation over them.
      LOSS(data + 0.01 * sum(abs(w - v)) + 0.01 * sum(abs(w)), lasso,
           "w, v: 0.01 * |Δ(w, v)| -> total variation denoising"),
      LOSS(data + 0.01 * norm2(w - v) + 0.02 * sum(square(w)), "w: 0.02 * w^2 -> shrinkage",
           "w, v: 0.01 * ‖w - v‖₂ -> group soft threshold"),
  };
}

std::vector<LossRow> concave() {
  return {
      LOSS(data + 0.01 * sum(count_nonzero(w)), count),
      LOSS(data + 0.01 * sum(1 - equal(w, 0)), count),
      LOSS(data + 0.01 * sum(where(equal(0, w), 0, 1)), count),
      LOSS(data + 0.01 * sum(greater(abs(w), 0)), count),
      LOSS(data + 0.01 * sum(less(0, abs(w))), count),
      LOSS(data + 0.01 * sum(abs(sign(w))), count),
      LOSS(data + 0.01 * sum(square(sign(w))), count),
      LOSS(data + 0.01 * sum(sign(w) * sign(w)), count),
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

}  // namespace

TEST_CASE("the table of loss spellings") {
  int total = 0;
  for (const auto& table :
       {absolute_values(), coefficients(), views(), sums(), kinks(), groups(), combined(), concave()})
    for (const LossRow& row : table) {
      CHECK_FALSE(check_loss(row));
      ++total;
    }
  CHECK(total >= 140);
}

}  // namespace lariat::loss_spellings_test
