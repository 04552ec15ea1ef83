// Spellings of penalties that are refused, and the codes that say why.
#include "tests/autodiff/loss_table.hpp"
#include "tests/support/testing.hpp"

namespace lariat::loss_refusals_test {

using namespace lariat::testing;

namespace {

Value cubes(Value x) { return sum(abs(x) * abs(x) * abs(x)); }

// One node, which is a part of the sum and inside of another function too.
Value with_cubes(Value a) { return sum(a) + sum(a * a * a); }
Value with_powers(Value a) { return sum(a + power(a, 3)); }
Value with_huber(Value a) { return sum(a) + sum(where(less(a, 1), 0.5 * a * a, a - 0.5)); }

std::vector<LossRow> refused() {
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
      LOSS(data + sum(weights * maximum(w, v)), "L101"),
      LOSS(data + sum(maximum(2 * w + 1, 3 * w - 1) * weights), "L101"),
      LOSS(data + sum(weights * sign(w) * v), "L101"),
      LOSS(data + mean(matmul(x, maximum(w, v))), "L101"),
      // L102: elements are mixed.
      LOSS(data + 0.01 * sum(abs(matmul(w, transpose(v)))), "L102"),
      LOSS(data + 0.01 * sum(abs(w * v)), "L102"),
      LOSS(data + 0.01 * sum(abs(w / v)), "L102"),
      LOSS(data + 0.01 * sum(abs(scale * w)), "L102"),
      LOSS(data + 0.01 * sum(abs(sum(w, {0}) + sum(w))), "L102"),
      LOSS(data - 0.01 * sum(abs(w + v)), "L102"),
      LOSS(data + nonnegative(w - v), "L102"),
      LOSS(data + 0.01 * sum(abs(w - frozen * v)), "L102"),
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
      LOSS(data + 0.01 * sum(abs(slice(w, 0, 1, 4) + slice(w, 0, 0, 3))), "L102"),
      LOSS(data + 0.01 * sum(norm2(matmul(transpose(w), v), {1})), "L102"),
      LOSS(data + 0.01 * nuclear_norm(w + v), "L102"),
      LOSS(data + 0.01 * sum(norm2(slice(w, 0, 1, 4) + slice(w, 0, 0, 3), {1})), "L102"),
      // L103: the coefficient is trained.
      LOSS(data + scale * sum(abs(w)), "L103"),
      LOSS(data + square(scale) * sum(abs(w)), "L103"),
      LOSS(data + sum(abs(w)) / scale, "L103"),
      LOSS(data + exp(scale) * sum(abs(w)) - scale, "L103"),
      LOSS(data + sum(v * abs(w)), "L103"),
      LOSS(data + sum(abs(w)) * sum(square(v)), "L103"),
      LOSS(data + softplus(scale) * sum(abs(w)), "L103"),
      LOSS(data + mean(v) * sum(abs(w)), "L103"),
      LOSS(data + sum(abs(w) / (1 + square(w))), "L103"),
      LOSS(data + sum(abs(w)) * sum(abs(v)), "L103", "L103"),
      // L105: under another function.
      LOSS(data + 0.01 * sum(abs(greater(w, 1) * w)), "L105"),
      LOSS(data + 0.01 * sum(abs(where(greater(w, 1), w, 0))), "L105"),
      LOSS(data + 0.01 * sum(abs(w + less(w, v))), "L105"),
      LOSS(data + 0.01 * sum(relu(greater(v, 1) * w)), "L105"),
      LOSS(data + 0.01 * sum(abs(concat({w, greater(v, 1)}, 0))), "L105"),
      LOSS(data + 0.01 * sum(norm2(greater(w, 1) * w, {1})), "L105"),
      LOSS(data + 0.01 * norm_inf(where(less(v, w), w, 0)), "L105"),
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
      LOSS(data + sum(power(abs(w), 1.5)), "L107"),
      LOSS(data + sum(power(relu(w), 1.25)), "L107"),
      LOSS(data + power(norm2(w), 1.5), "L107"),
      LOSS(data + sum(minimum(abs(w), 1)), "L105"),
      LOSS(data + sum(abs(abs(w) - 1)), "L105"),
      LOSS(data + sum(abs(abs(abs(w) - 2) - 1)), "L105"),
      LOSS(data + lambda * sum(abs(abs(w) - 1)), "L105"),
      LOSS(data + sum(c * abs(abs(w) - c)) + sum(abs(abs(v) - 1)), "L105", "L105"),
      LOSS(data + 0.5 * sum(minimum(abs(w), 1)) + 0.01 * sum(abs(w)), lasso, "L105"),
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
      LOSS(data + 0.01 * sum(w * stop_gradient(sign(w))), "L106"),
      LOSS(data + 0.01 * sum(where(greater(stop_gradient(w), 0), w, -w)), "L106"),
      LOSS(data + stop_gradient(0.01 * sum(abs(w))), "L106"),
      LOSS(data + 0.01 * sum(stop_gradient(abs(w))), "L106"),
      // L107: smooth by construction.
      LOSS(data + 0.01 * sum(sqrt(square(w) + 1e-8)), "L107"),
      LOSS(data + 0.01 * sum(sqrt(w * w + 1e-8)), "L107"),
      LOSS(data + 0.01 * sum(sqrt(1e-8 + w * w)), "L107"),
      LOSS(data + 0.01 * sqrt(sum(square(w)) + 1e-8), "L107"),
      LOSS(data + 0.01 * sum(sqrt(sum(square(w), {1}) + 1e-8)), "L107"),
      LOSS(data + 0.01 * huber(w, g.constant(Tensor(dtype, {4, 3})), 0.1), "L107"),
      LOSS(data + sum(w * abs(w)), "L107"),                       // its slope is 2|w|
      LOSS(data + 0.01 * sum(w * clip(1e9 * w, -1, 1)), "L112"),  // |w| but for a slope of 2 beside ±1e-9
      LOSS(data + 0.01 * sum(where(less(abs(w), 1e-6), 5e5 * w * w, abs(w) - 5e-7)), "L107"),
      LOSS(data + 0.01 * sum(where(less(abs(w), 1), 0.5 * w * w, abs(w) - 0.5)), "L107"),
      LOSS(data + 0.01 * sum(where(less_equal(abs(w), 0.3), square(w) / 0.6, abs(w) - 0.15)), "L107"),
      LOSS(data + 0.01 * sum(where(greater(w, 1), 2 * w - 1, where(less(w, -1), -2 * w - 1, w * w))), "L107"),
      LOSS(data + 0.01 * sum(where(greater(w, 0), square(w), 0)), "L107"),
      LOSS(data + 0.01 * sum(0.5 * square(minimum(abs(w), 1)) + (abs(w) - minimum(abs(w), 1))), "L107"),
      LOSS(data + 0.01 * sum(clip(w, -1, 1) * (w - 0.5 * clip(w, -1, 1))), "L107"),
      LOSS(data + 0.01 * sum(minimum(abs(w), 1) * (abs(w) - 0.5 * minimum(abs(w), 1))), "L107"),
      LOSS(data + 0.01 * sum(softplus(w) + softplus(-w)), "L107"),
      LOSS(data + 0.01 * sum(w * tanh(w)), "L107"),
      LOSS(data + 0.01 * sum(w * tanh(100 * w)), "L107"),
      LOSS(data + 0.01 * sum(w * erf(w)), "L107"),
      LOSS(data + 0.01 * sum(square(w) / (abs(w) + 1e-3)), "L107"),
      LOSS(data + 0.01 * cubes(w - v), "L107"),
      LOSS(data + 0.01 * with_cubes(abs(w)), lasso, "L107"),
      LOSS(data + 0.01 * with_powers(abs(w)), lasso, "L107"),
      LOSS(data + 0.01 * with_huber(abs(w)), lasso, "L107"),
      LOSS(data + 0.01 * with_cubes(relu(w)), positive, "L107"),
      LOSS(data + 0.01 * sum(square(w) / (stop_gradient(abs(w)) + 1e-3)), "L107"),
      LOSS(data + 0.01 * sum(square(w) / stop_gradient(abs(w))), "L107"),
      LOSS(data + 0.01 * sum(square(w) * stop_gradient(1 / maximum(abs(w), 1e-3))), "L107"),
      LOSS(data + 0.01 * sum(w * w / stop_gradient(maximum(w, -w) + 1e-3)) + 0.01 * sum(square(v)), "L107"),
      LOSS(data + 0.01 * cubes(t - mean(t)), "L107"),
      LOSS(data + 0.01 * cubes(sum(w, {0})), "L107"),
      // L108: the prox of the sum is not known.
      LOSS(data + 0.01 * sum(norm2(w, {0})) + 0.01 * sum(norm2(w, {1})), group, "L108"),
      LOSS(data + 0.01 * sum(norm2(gather_rows(w, rows), {1})), "L108"),
      LOSS(data + 0.01 * norm2(concat({slice(w, 0, 0, 3), slice(w, 0, 2, 4)}, 0)), "L108"),
      LOSS(data + 0.01 * norm_inf(w) + 0.01 * sum(abs(w)), lasso, "L108"),
      LOSS(data + 0.01 * nuclear_norm(w) + 0.01 * sum(abs(w)), lasso, "L108"),
      LOSS(data + 0.01 * sum(count_nonzero(w)) + 0.01 * sum(abs(w)), lasso, "L108"),
      LOSS(data + 0.01 * nuclear_norm(c * w), "L108"),
      LOSS(data + 0.01 * norm2(w - v) + 0.01 * sum(abs(w)), lasso, "L108"),
      // Of two, the first one that is written.
      LOSS(data + 0.01 * norm2(w - v) + 0.01 * sum(norm2(w, {1})),
           "w, v: 0.01 * ‖w - v‖₂ -> group soft threshold", "L108"),
      LOSS(data + 0.01 * sum(norm2(w, {1})) + 0.01 * norm2(w - v), group, "L108"),
      LOSS((data + 0.01 * norm_inf(w - v)) + 0.01 * sum(absolute_differences(w - v, 0)),
           "w, v: 0.01 * ‖w - v‖∞ -> projection on the L1 ball (Moreau)", "L108"),
      LOSS(data + 0.01 * nuclear_norm(concat({w, v}, 0)), "L108"),
      // L108: what stands beside it may bend down where it has its kink.
      LOSS(data + 0.6 * sum(abs(w)) + 0.3 * sum(exp(-abs(w))), "L105", "L108"),
      LOSS(data + 0.6 * sum(norm2(w, {1})) + 0.1 * log(1 + exp(-norm2(w))), "L105", "L108"),
      LOSS(data + 0.6 * sum(maximum(w, -w)) + sum(1 / (1 + relu(w))), "L105", "L108"),
      LOSS(data + 0.5 * sum(abs(w)) + sum(abs(abs(w) - 1)), "L105", "L108"),
      LOSS(data + 2 * sum(abs(slice(w, 0, 0, 2))) + sum(abs(abs(w) - 1)), "L105", "L108"),
      LOSS(data + 0.6 * sum(abs(v)) + 0.3 * sum(exp(-abs(w))), "v: 0.6 * |v| -> soft threshold", "L105"),
      LOSS(data + 0.6 * sum(abs(w)) + 0.3 * exp(norm_inf(w)), "w: 0.6 * |w| -> soft threshold", "L105"),
      // L111: masked at random.
      LOSS(data + 0.01 * sum(abs(dropout(w, 0.5))), "L111"),
      LOSS(data + 0.01 * sum(dropout(abs(w), 0.5)), "L111"),
      LOSS(data + dropout(0.01 * sum(abs(w)), 0.5), "L111"),
      LOSS(data + 0.01 * sum(abs(w * dropout(c, 0.5))), "L111"),
  };
}

}  // namespace

TEST_CASE("the table of refused losses") {
  int total = 0;
  for (const LossRow& row : refused()) {
    CHECK(check_loss(row));
    ++total;
  }
  CHECK(total >= 80);
}

}  // namespace lariat::loss_refusals_test
