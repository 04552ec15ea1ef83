// Proximal operators of groups against the optimality condition 0 ∈ D(w − v) + ∂h(w), in long double and by
// other means than the operators' own; and against brute force.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <numeric>

#include "graph/program/program.hpp"
#include "ops/ops.hpp"
#include "tests/autodiff/prox_cases.hpp"

namespace lariat::prox_groups_test {

using namespace lariat::testing;

namespace {

using Residual = long double (*)(const GroupProblem&);

// λ‖w‖₂: D(v − w) is λw/‖w‖, or within the ball of radius λ where w = 0.
long double group_residual(const GroupProblem& p) {
  long double norm = 0, pull = 0, worst = 0;
  for (size_t i = 0; i < p.v.size(); ++i) {
    norm += p.w[i] * p.w[i];
    pull += p.metric[i] * p.v[i] * p.metric[i] * p.v[i];
  }
  norm = std::sqrt(norm), pull = std::sqrt(pull);
  const long double lambda = p.weight[0], size = pull + std::min(lambda, pull);
  if (norm == 0) return pull == 0 ? 0 : std::max(0.0L, pull - lambda) / size;
  for (size_t i = 0; i < p.v.size(); ++i)
    worst = std::max(worst, std::fabs(p.metric[i] * (p.w[i] - p.v[i]) + lambda * p.w[i] / norm));
  return worst / size;
}

// λ max|w|: D(v − w) has the signs of w, is 0 off the elements of largest magnitude, and of 1-norm λ (at most
// λ where w = 0).
long double level_residual(const GroupProblem& p) {
  long double top = 0, total = 0, worst = 0;
  for (long double w : p.w) top = std::max(top, std::fabs(w));
  for (size_t i = 0; i < p.v.size(); ++i) {
    const long double pull = p.metric[i] * (p.v[i] - p.w[i]);
    if (top > 0 && std::fabs(p.w[i]) < top) worst = std::max(worst, std::fabs(pull));
    if (top > 0 && std::fabs(p.w[i]) == top) worst = std::max(worst, -pull * std::copysign(1.0L, p.w[i]));
    total += std::fabs(pull);
  }
  const long double lambda = p.weight[0], size = p.size() + std::min(lambda, p.size());
  worst = std::max(worst, top > 0 ? std::fabs(total - lambda) : total - lambda);
  return size == 0 ? worst : worst / size;
}

// Σ λᵢ|wᵢ₊₁ − wᵢ|: the flow uᵢ = Σ_{j ≤ i} dⱼ(wⱼ − vⱼ) is λᵢ·sign(wᵢ₊₁ − wᵢ), within ±λᵢ where these are
// equal, and 0 at the ends. An element of step 0, whose metric is infinite, is where it was, and behind it
// the flow begins anew with what fits best.
long double chain_residual(const GroupProblem& p) {
  constexpr long double infinity = std::numeric_limits<long double>::infinity();
  long double flow = 0, least = 0, most = 0, worst = 0, size = 0;
  const size_t n = p.v.size();
  const bool some_stay =
      std::any_of(p.metric.begin(), p.metric.end(), [](long double d) { return std::isinf(d); });
  // The flow that the stretch begins with lies from `least` to `most`.
  const auto within = [&](long double from, long double to) {
    least = std::max(least, from - flow);
    most = std::min(most, to - flow);
  };
  const auto end_stretch = [&] { worst = std::max(worst, least - most); };
  for (size_t i = 0; i < n; ++i) {
    if (std::isinf(p.metric[i])) {
      if (p.w[i] != p.v[i]) return infinity;
      end_stretch();
      flow = 0, least = -infinity, most = infinity;
    } else {
      flow += p.metric[i] * (p.w[i] - p.v[i]);
      // What a place that stays holds may lie far from where it would be.
      size += p.metric[i] * (some_stay ? std::max(std::fabs(p.v[i]), std::fabs(p.w[i])) : std::fabs(p.v[i]));
    }
    if (i + 1 == n) break;
    const long double lambda = p.weight[i], step = p.w[i + 1] - p.w[i];
    within(step > 0 ? lambda : -lambda, step < 0 ? -lambda : lambda);
  }
  if (n > 0 && !std::isinf(p.metric[n - 1])) within(0, 0);
  end_stretch();
  return size == 0 ? worst : worst / size;
}

std::string described(const GroupProblem& p) {
  const auto list = [](const std::vector<long double>& x) {
    std::string text;
    for (size_t i = 0; i < std::min<size_t>(x.size(), 12); ++i)
      text += fmt::format(" {:.17g}", static_cast<double>(x[i]));
    return text;
  };
  return "v" + list(p.v) + ", metric" + list(p.metric) + ", weight" + list(p.weight) + ", w" + list(p.w);
}

template <class T>
Outcome random_groups(const std::string& op, bool chain, Residual residual, uint64_t seed) {
  Draw draw(seed);
  Outcome outcome;
  while (outcome.cases < random_cases()) {
    const int64_t kind = chain ? draw.below(2) : draw.below(3);
    const int64_t size = draw.one_in(40)  ? 100 + draw.below(200)
                         : draw.one_in(6) ? 1 + draw.below(40)
                                          : 1 + draw.below(6);
    const GroupLayout layout(kind, 1 + draw.below(size > 50 ? 3 : 20), size);
    const bool one_step = draw.one_in(3), some_stay = chain && !one_step && draw.one_in(3);
    const double step = draw.power_of_ten(-2, 2);
    std::vector<double> scales(layout.groups), v(layout.groups * size), steps(v.size(), step);
    for (int64_t g = 0; g < layout.groups; ++g) {
      scales[g] = draw.scale();
      double last = 0;
      for (int64_t i = 0; i < size; ++i) {
        last = v[layout.place(g, i)] = static_cast<T>(draw.element(scales[g], last));
        if (!one_step) steps[layout.place(g, i)] = static_cast<T>(step * draw.power_of_ten(-2, 2));
      }
    }
    // One weight for each group, or for each of a chain's differences.
    const int64_t per_group = chain ? size - 1 : 1;
    std::vector<double> weights(layout.groups * per_group);
    Extents weight_extents = layout.extents;
    if (chain)
      weight_extents[kind == 0 ? 1 : 0] = per_group;
    else
      weight_extents = {layout.groups};
    const auto weight_place = [&](int64_t g, int64_t i) {
      return chain && kind == 1 ? i * layout.groups + g : g * per_group + i;
    };
    for (int64_t g = 0; g < layout.groups; ++g) {
      double pull = 0;
      for (int64_t i = 0; i < size; ++i) {
        const double one = v[layout.place(g, i)] / steps[layout.place(g, i)];
        pull += op == "norm_inf_prox" ? std::abs(one) : one / scales[g] * one;
      }
      if (op != "norm_inf_prox") pull = std::sqrt(pull / scales[g]) * scales[g];
      const bool same = draw.one_in(2);
      double pressure = draw.pressure();
      for (int64_t i = 0; i < per_group; ++i)
        weights[weight_place(g, i)] = std::min((same ? pressure : draw.pressure()) * pull, 1e37);
    }
    if (some_stay)
      for (double& one : steps) one = draw.one_in(4) ? 0 : one;
    const auto values = [](const std::vector<double>& list) {
      return [&list](int64_t i) { return list[i]; };
    };
    const Tensor point = tensor_of<T>(layout.extents, values(v)),
                 weight = tensor_of<T>(weight_extents, values(weights)),
                 metric =
                     one_step ? tensor_of<T>({}, values(steps)) : tensor_of<T>(layout.extents, values(steps));
    Attributes attributes{{"axes", layout.axes}};
    if (chain) attributes = {{"axis", layout.axes[0]}};
    const Tensor w = run_op(op, {point, metric, weight}, attributes)[0];
    outcome.note_zeros<T>(w);
    for (int64_t g = 0; g < layout.groups; ++g) {
      GroupProblem p;
      for (int64_t i = 0; i < size; ++i) {
        p.v.push_back(point.at(layout.place(g, i)));
        p.w.push_back(w.at(layout.place(g, i)));
        p.metric.push_back(1 / static_cast<long double>(metric.at(one_step ? 0 : layout.place(g, i))));
      }
      for (int64_t i = 0; i < per_group; ++i) p.weight.push_back(weight.at(weight_place(g, i)));
      outcome.note(residual(p), [&] { return described(p); });
    }
  }
  return outcome;
}

double objective(const std::string& op, const std::vector<double>& w, const std::vector<double>& v,
                 const std::vector<double>& steps, double weight) {
  double result = 0, squares = 0, largest = 0;
  for (size_t i = 0; i < w.size(); ++i) {
    result += (w[i] - v[i]) * (w[i] - v[i]) / (2 * steps[i]);
    squares += w[i] * w[i];
    largest = std::max(largest, std::abs(w[i]));
    if (op == "total_variation_prox" && i > 0) result += weight * std::abs(w[i] - w[i - 1]);
  }
  if (op == "group_soft_threshold") result += weight * std::sqrt(squares);
  if (op == "norm_inf_prox") result += weight * largest;
  return result;
}

const std::vector<std::string> group_ops{"group_soft_threshold", "norm_inf_prox", "total_variation_prox"};

Attributes along_rows(const std::string& op) {
  if (op == "total_variation_prox") return {{"axis", int64_t{1}}};
  return {{"axes", std::vector<int64_t>{1}}};
}

}  // namespace

TEST_CASE_TEMPLATE("random groups meet the optimality condition", T, float, double) {
  check(random_groups<T>("group_soft_threshold", false, group_residual, 1), prox_tolerance<T>);
  check(random_groups<T>("norm_inf_prox", false, level_residual, 2), prox_tolerance<T>);
  check(random_groups<T>("total_variation_prox", true, chain_residual, 3), prox_tolerance<T>);
}

TEST_CASE("no point of a grid is better than the prox of a small group") {
  Draw draw(4);
  int64_t compared = 0;
  for (const std::string& op : group_ops) {
    for (int round = 0; round < 60; ++round) {
      const size_t size = 1 + round % 3;
      std::vector<double> v, steps;
      for (size_t i = 0; i < size; ++i) {
        v.push_back(draw.uniform(-1, 1));
        steps.push_back(draw.uniform(0.2, 2));
      }
      const double weight = draw.uniform(0, 1);
      const Extents row{1, static_cast<int64_t>(size)};
      const Tensor w =
          run_op(op,
                 {Tensor::of<double>(row, std::span<const double>(v)),
                  Tensor::of<double>(row, std::span<const double>(steps)), Tensor::scalar(weight, f64)},
                 along_rows(op))[0];
      const std::vector<double> found(w.values<double>().begin(), w.values<double>().end());
      const double least = objective(op, found, v, steps, weight);
      // The minimiser lies within [-1, 1]; a grid point next to it would be about as good.
      constexpr int points = 41;
      double best = INFINITY;
      for (int64_t index = 0; index < static_cast<int64_t>(std::pow(points, size)); ++index) {
        std::vector<double> at(size);
        int64_t rest = index;
        for (double& x : at) x = -1 + 2.0 / (points - 1) * static_cast<double>(rest % points), rest /= points;
        best = std::min(best, objective(op, at, v, steps, weight));
      }
      CAPTURE(op);
      CHECK(least <= best + 1e-14);
      CHECK(best - least < 0.1);
      ++compared;
    }
  }
  CHECK(compared == 180);
}

TEST_CASE_TEMPLATE("NaN in any input of a group makes that group NaN, and no other", T, float, double) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  int64_t checks = 0;
  for (const std::string& op : group_ops) {
    const bool chain = op == "total_variation_prox";
    for (int64_t input = 0; input < 3; ++input) {
      for (double weight : {0.0, 0.1, 100.0}) {
        std::vector<Tensor> inputs{tensor_of<T>({3, 4}, [](int64_t i) { return i % 5 - 2.0; }),
                                   Tensor::filled(dtype_of<T>, {3, 4}, 0.5),
                                   Tensor::filled(dtype_of<T>, chain ? Extents{3, 3} : Extents{3}, weight)};
        inputs[input].data<T>()[inputs[input].count() / 2] = static_cast<T>(nan);
        const Tensor w = run_op(op, inputs, along_rows(op))[0];
        CAPTURE(op);
        CAPTURE(input);
        for (int64_t i = 0; i < 12; ++i) CHECK(std::isnan(w.at(i)) == (i / 4 == 1));
        ++checks;
      }
    }
  }
  CHECK(checks == 27);
}

TEST_CASE_TEMPLATE("groups at the limits of the numbers, with a step of 0, and empty ones", T, float,
                   double) {
  const double big = std::numeric_limits<T>::max(), small = std::numeric_limits<T>::denorm_min();
  for (const std::string& op : group_ops) {
    CAPTURE(op);
    const auto prox = [&](const std::vector<double>& v, double step, double weight) {
      const auto n = static_cast<int64_t>(v.size());
      const Tensor w = run_op(op,
                              {tensor_of<T>({1, n}, [&](int64_t i) { return v[i]; }),
                               Tensor::scalar(step, dtype_of<T>), Tensor::scalar(weight, dtype_of<T>)},
                              along_rows(op))[0];
      std::vector<double> result;
      for (int64_t i = 0; i < n; ++i) result.push_back(w.at(i));
      return result;
    };
    using List = std::vector<double>;
    CHECK(prox({3, -4, -0.0}, 0, 1) == List{3, -4, 0});
    CHECK(prox({3, -4, 0}, 1, 0) == List{3, -4, 0});
    CHECK(prox({big, big}, 1, 1) == List{big, big});
    CHECK(prox({small, -small}, 1, 0) == List{small, -small});
    const bool chain = op == "total_variation_prox";
    CHECK(prox({small, -small, small, -small}, 1, 1) == List{0, 0, 0, 0});
    CHECK(prox({3, -3}, 1, big) == List{0, 0});
    CHECK(prox({3, -3}, 1, INFINITY) == List{0, 0});
    CHECK(prox({}, 1, 1).empty());
    CHECK(prox({-5}, 0.5, 4) == (chain ? List{-5} : List{-3}));
    CHECK_FALSE(std::signbit(prox({-0.0, 0.0}, 1, 1)[0]));
  }
}

TEST_CASE("large groups give the same bits whatever the order of chunks and the number of threads") {
  for (const Extents& extents : std::vector<Extents>{{3, 100'000}, {300, 700}}) {
    const Tensor v = random_tensor<float>(extents, 1), steps = random_tensor<float>(extents, 2, 0.1, 1);
    for (const std::string& op : group_ops) {
      CAPTURE(op);
      const std::vector<Tensor> inputs{v, steps, Tensor::scalar(op == "total_variation_prox" ? 0.3 : 5, f32)};
      const Tensor wanted = run_op(op, inputs, along_rows(op))[0];
      CHECK(same_bits(wanted, run_op(op, inputs, along_rows(op), Reversed())[0]));
      Graph graph;
      std::vector<Operand> operands;
      for (const Tensor& input : inputs) operands.emplace_back(graph.constant(input));
      graph.output("w", build(op, operands, along_rows(op)));
      Program program(graph);
      Store store;
      for (int threads : {1, 2, 3})
        CHECK(same_bits(wanted, program.run({}, store, *make_tbb_executor(threads))[0]));
    }
  }
}

TEST_CASE("a group of one is a soft threshold") {
  const Tensor v = random_tensor<double>({200, 1}, 5, -2, 2),
               step = random_tensor<double>({200, 1}, 6, 0.1, 1);
  const Tensor weight = Tensor::scalar(0.7, f64);
  const Tensor threshold = tensor_of<double>({200, 1}, [&](int64_t i) { return 0.7 * step.at(i); });
  const Tensor wanted = run_op("soft_threshold", {v, threshold})[0];
  for (const char* op : {"group_soft_threshold", "norm_inf_prox"})
    CHECK(largest_difference(run_op(op, {v, step, weight}, along_rows(op))[0], wanted) < 1e-15);
}

TEST_CASE("a line of 1e5 elements is denoised as exactly as a short one") {
  Draw draw(7);
  GroupProblem p;
  const int64_t size = 100'000;
  const Tensor v = tensor_of<double>({1, size},
                                     [&](int64_t i) { return (i / 1000) % 7 + draw.uniform(-1, 1); }),
               step = tensor_of<double>({1, size}, [&](int64_t) { return draw.power_of_ten(-1, 1); });
  const Tensor w =
      run_op("total_variation_prox", {v, step, Tensor::scalar(20, f64)}, {{"axis", int64_t{1}}})[0];
  for (int64_t i = 0; i < size; ++i) {
    p.v.push_back(v.at(i)), p.w.push_back(w.at(i));
    p.metric.push_back(1 / static_cast<long double>(step.at(i)));
  }
  p.weight.assign(size - 1, 20);
  CHECK(static_cast<double>(chain_residual(p)) < 1e-15);
}

}  // namespace lariat::prox_groups_test
