#include <cmath>

#include "autodiff/penalty/penalty_view.hpp"
#include "autodiff/penalty/spellings/spellings.hpp"
#include "ops/kernels/axes.hpp"
#include "ops/ops.hpp"

namespace lariat {

namespace {

struct Axes {
  std::vector<bool> reduced;
  bool keep_dims;
  friend bool operator==(const Axes&, const Axes&) = default;
};
Axes axes_of(Value reduction) {
  const Attributes& attributes = node_of(reduction).attributes;
  return {checked_axes(attributes.get<std::vector<int64_t>>("axes"), input_of(reduction, 0).shape()),
          attributes.get<bool>("keep_dims")};
}

// factor·of^exponent, or factor·‖of‖₂^exponent over the axes of the norm.
struct Power {
  Value of;
  std::optional<Axes> norm;
  double factor = 1, exponent = 1;
};

std::optional<double> exponent_of(Value power) {
  if (is_op(power, "square")) return 2;
  return is_op(power, "power") ? uniform_value(input_of(power, 1)) : std::nullopt;
}

Power power_of(Value value) {
  Power power{value, {}};
  while (true) {
    const Value of = power.of;
    if (is_op(of, "negate")) {
      power.factor = -power.factor;
      power.of = input_of(of, 0);
      continue;
    }
    const bool divided = is_op(of, "divide");
    if (!divided && !is_op(of, "multiply")) break;
    std::optional<double> number;
    for (size_t which = divided ? 1 : 0; which < 2 && !number; ++which)
      if ((number = uniform_value(input_of(of, which)))) power.of = input_of(of, 1 - which);
    if (!number || power.of.shape() != of.shape()) return {value, {}};
    power.factor *= divided ? 1 / *number : *number;
  }
  for (auto next = exponent_of(power.of); next && *next >= 1; next = exponent_of(power.of)) {
    power.exponent *= *next;
    power.of = input_of(power.of, 0);
  }
  if (is_op(power.of, "sum") && is_op(input_of(power.of, 0), "square")) {
    power.norm = axes_of(power.of);
    power.of = input_of(input_of(power.of, 0), 0);
    power.exponent *= 2;
  } else if (is_op(power.of, "norm2")) {
    power.norm = axes_of(power.of);
    power.of = input_of(power.of, 0);
  }
  return std::isfinite(power.factor) ? power : Power{value, {}};
}

bool is_even(double number) { return std::fmod(number, 2) == 0; }

// Even powers of a norm are powers of a sum of squares, which has no kink.
Value built(const Power& power, Value root) {
  const auto here = [&](Value value) { return at(value, root); };
  const auto raised = [&](Value value, double exponent) {
    return exponent == 1 ? value : exponent == 2 ? square(here(value)) : lariat::power(here(value), exponent);
  };
  std::vector<int64_t> axes;
  if (power.norm)
    for (size_t i = 0; i < power.norm->reduced.size(); ++i)
      if (power.norm->reduced[i]) axes.push_back(static_cast<int64_t>(i));
  Value result;
  if (!power.norm) {
    const bool is_abs = is_op(power.of, "abs") && is_even(power.exponent);
    result = raised(is_abs ? input_of(power.of, 0) : power.of, power.exponent);
  } else if (is_even(power.exponent)) {
    result = raised(sum(here(square(here(power.of))), axes, power.norm->keep_dims), power.exponent / 2);
  } else {
    result = raised(norm2(here(power.of), axes, power.norm->keep_dims), power.exponent);
  }
  return power.factor == 1 ? result : here(result) * power.factor;
}

// a·x^m · b·x^n = ab·x^(m+n)
Value to_joined_power(const Match& match, ElementFunctions& functions) {
  const Value left = input_of(match.root, 0), right = input_of(match.root, 1);
  if (!is_float(match.root.dtype()) || is_constant(left) || is_constant(right)) return {};
  const Power a = power_of(left), b = power_of(right);
  if (!functions.equal().same(a.of, b.of) || a.norm != b.norm) return {};
  const Power joined{a.of, a.norm, a.factor * b.factor, a.exponent + b.exponent};
  return a.norm || joined.exponent == 2 ? built(joined, match.root) : Value();
}

// (a·x^m)^n = aⁿ·x^(mn), for norms and |x|.
Value to_one_power(const Match& match) {
  const Value inner = input_of(match.root, 0);
  const std::optional<double> exponent = exponent_of(match.root);
  if (!exponent || !(*exponent > 0)) return {};
  Power power = power_of(inner);
  if (!power.norm && !(is_op(power.of, "abs") && power.exponent == 1 && *exponent == 2)) return {};
  if (!(power.factor > 0) && !is_even(*exponent)) return {};
  const bool even = is_even(power.exponent * *exponent);
  if (power.factor == 1 && is_op(inner, even ? "sum" : "norm2")) return {};  // as it is written already
  power.factor = std::pow(power.factor, *exponent);
  power.exponent *= *exponent;
  return std::isfinite(power.factor) ? built(power, match.root) : Value();
}

}  // namespace

std::vector<Rule> power_rules(Spellings& spellings) {
  const Pattern x = Pattern::variable(0), y = Pattern::variable(1);
  const auto op = [](std::string name, std::vector<Pattern> inputs) {
    return Pattern::op(std::move(name), std::move(inputs));
  };
  const Pattern size = op("abs", {x});
  ElementFunctions& functions = spellings.functions;
  return {
      {"√(x·x) → |x|", op("sqrt", {x * x}), size},
      {"√(x²) → |x|", op("sqrt", {op("square", {x})}), size},
      {"|-x| → |x|", op("abs", {-x}), size},
      {"pow(x, 2) → x²", op("power", {x, 2}), op("square", {x})},
      {"|x|² → x²", op("square", {size}), op("square", {x})},
      {"(-x)² → x²", op("square", {-x}), op("square", {x})},
      {"pow(x, 1/2) → √x", op("power", {x, 0.5}), op("sqrt", {x})},
      {"pow(x, 1) → x", op("power", {x, 1}), x},
      {"a·x·b·x → ab·x²", x * y,
       [&functions](const Match& match) { return to_joined_power(match, functions); }},
      {"(a‖x‖)² → a²·Σx²", op("square", {x}), to_one_power},
      {"(a‖x‖)ⁿ → aⁿ·‖x‖ⁿ", op("power", {x, y}), to_one_power},
  };
}

}  // namespace lariat
