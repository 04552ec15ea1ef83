#include <algorithm>
#include <cmath>

#include "autodiff/penalty.hpp"
#include "autodiff/penalty_view.hpp"
#include "graph/passes/rewrite.hpp"
#include "ops/axes.hpp"
#include "ops/ops.hpp"

namespace lariat {

namespace {

const Pattern x = Pattern::variable(0), y = Pattern::variable(1);

Pattern op(std::string name, std::vector<Pattern> inputs) {
  return Pattern::op(std::move(name), std::move(inputs));
}
Pattern absolute(Pattern of) { return op("abs", {of}); }
Pattern where_(Pattern condition, Pattern yes, Pattern no) { return op("select", {condition, yes, no}); }

// The node behind a value of the graph that is being built, its i-th input, and the place to name.
const Node& node_of(Value value) { return value.graph().node(value.node()); }
Value input_of(Value value, size_t index) { return value.graph().value(node_of(value).inputs[index]); }
bool is_op(Value value, std::string_view name) { return node_of(value).op->name == name; }
Operand at(Value value, const Match& match) { return {value, node_of(match.root).where}; }

bool of_floats(const Match& match) { return is_float(match.root.dtype()); }

// op(x) with the attributes of a node.
Value with_attributes_of(Value node, std::string_view op, Value of, const Match& match) {
  const Attributes attributes = node_of(node).attributes;
  return build(op, {at(of, match)}, attributes);
}

std::vector<Rule> spellings_of_abs() {
  return {
      {"max(x, -x) → |x|", op("maximum", {x, -x}), absolute(x)},
      {"min(x, -x) → -|x|", op("minimum", {x, -x}), -absolute(x)},
      {"max(x - y, y - x) → |x - y|", op("maximum", {x - y, y - x}), absolute(x - y)},
      {"relu(x) + relu(-x) → |x|", op("relu", {x}) + op("relu", {-x}), absolute(x)},
      {"where(x > 0, x, -x) → |x|", where_(op("greater", {x, 0}), x, -x), absolute(x)},
      {"where(x ≥ 0, x, -x) → |x|", where_(op("greater_equal", {x, 0}), x, -x), absolute(x)},
      {"where(x < 0, -x, x) → |x|", where_(op("less", {x, 0}), -x, x), absolute(x)},
      {"where(x ≤ 0, -x, x) → |x|", where_(op("less_equal", {x, 0}), -x, x), absolute(x)},
      {"√(x·x) → |x|", op("sqrt", {x * x}), absolute(x)},
      {"√(x²) → |x|", op("sqrt", {op("square", {x})}), absolute(x)},
      {"x·sign(x) → |x|", x * op("sign", {x}), absolute(x)},
      {"||x|| → |x|", absolute(absolute(x)), absolute(x)},
      {"|-x| → |x|", absolute(-x), absolute(x)},
  };
}

std::vector<Rule> spellings_of_powers() {
  return {
      {"x·x → x²", x * x, op("square", {x})},
      {"pow(x, 2) → x²", op("power", {x, 2}), op("square", {x})},
      {"|x|² → x²", op("square", {absolute(x)}), op("square", {x})},
      {"pow(x, 1/2) → √x", op("power", {x, 0.5}), op("sqrt", {x})},
      {"pow(x, 1) → x", op("power", {x, 1}), x},
  };
}

std::vector<Rule> spellings_of_relu() {
  const Pattern relu = op("relu", {x});
  return {
      {"max(x, 0) → relu(x)", op("maximum", {x, 0}), relu, of_floats},
      {"min(x, 0) → -relu(-x)", op("minimum", {x, 0}), -op("relu", {-x}), of_floats},
      {"where(x > 0, x, 0) → relu(x)", where_(op("greater", {x, 0}), x, 0), relu, of_floats},
      {"where(x ≥ 0, x, 0) → relu(x)", where_(op("greater_equal", {x, 0}), x, 0), relu, of_floats},
      {"where(x < 0, 0, x) → relu(x)", where_(op("less", {x, 0}), 0, x), relu, of_floats},
      {"where(x ≤ 0, 0, x) → relu(x)", where_(op("less_equal", {x, 0}), 0, x), relu, of_floats},
  };
}

std::vector<Rule> spellings_of_count() {
  const Pattern count = op("count_nonzero", {x}), is_zero = op("equal", {x, 0});
  return {
      {"1 - [x = 0] → [x ≠ 0]", 1 - is_zero, count, of_floats},
      {"where(x = 0, 0, 1) → [x ≠ 0]", where_(is_zero, 0, 1), count, of_floats},
      {"|x| > 0 → [x ≠ 0]", op("greater", {absolute(x), 0}), count, of_floats},
      {"0 < |x| → [x ≠ 0]", op("less", {0, absolute(x)}), count, of_floats},
      {"|sign(x)| → [x ≠ 0]", absolute(op("sign", {x})), count, of_floats},
      {"sign(x)·sign(x) → [x ≠ 0]", op("sign", {x}) * op("sign", {x}), count, of_floats},
      {"sign(x)² → [x ≠ 0]", op("square", {op("sign", {x})}), count, of_floats},
  };
}

// √Σx², whose sum says the axes. Between the two the result may have been reshaped.
Value to_norm2(const Match& match) {
  Value total = input_of(match.root, 0);
  const bool reshaped = is_op(total, "reshape");
  if (reshaped) total = input_of(total, 0);
  const Value norm = with_attributes_of(total, "norm2", match.variables[0], match);
  return reshaped ? reshape(at(norm, match), match.root.shape()) : norm;
}

// √(Σx²/n) = ‖x‖/√n
Value to_scaled_norm2(const Match& match) {
  const Value mean = input_of(match.root, 0),
              norm = with_attributes_of(mean, "norm2", match.variables[0], match);
  const Shape &from = match.variables[0].shape(), &to = norm.shape();
  if (!is_known(from) || element_count(to).size() == 0) return {};
  const double count =
      static_cast<double>(element_count(from).size()) / static_cast<double>(element_count(to).size());
  return at(norm, match) * (1 / std::sqrt(count));
}

std::vector<Rule> spellings_of_norms() {
  const Pattern square = op("square", {x}), sum = op("sum", {square});
  return {
      {"√Σx² → ‖x‖₂", op("sqrt", {sum}), to_norm2},
      {"√reshape(Σx²) → reshape(‖x‖₂)", op("sqrt", {op("reshape", {sum})}), to_norm2},
      {"√(ridge penalty of x) → ‖x‖₂", op("sqrt", {op("square_penalty", {x})}),
       [](const Match& match) { return norm2(at(match.variables[0], match)); }},
      {"√mean(x²) → ‖x‖₂/√n", op("sqrt", {op("mean", {square})}), to_scaled_norm2},
      {"max |x| → ‖x‖∞", op("reduce_max", {absolute(x)}),
       [](const Match& match) {
         if (!of_floats(match)) return Value();
         return with_attributes_of(match.root, "norm_inf", match.variables[0], match);
       }},
  };
}

// The axis of a slice that leaves out only its first (or last) element along it.
std::optional<int64_t> axis_without(Value slice, bool first) {
  const Attributes& attributes = node_of(slice).attributes;
  if (attributes.get<int64_t>("step") != 1) return std::nullopt;
  if (attributes.get<Shape>("before")[0] != Dim(first ? 1 : 0)) return std::nullopt;
  if (attributes.get<Shape>("after")[0] != Dim(first ? 0 : 1)) return std::nullopt;
  return checked_axis(attributes.get<int64_t>("axis"), slice.shape());
}

Value to_absolute_differences(const Match& match) {
  const Value difference = input_of(match.root, 0);
  const Value a = input_of(difference, 0), b = input_of(difference, 1);
  for (bool rising : {true, false}) {
    const auto later = axis_without(a, rising), earlier = axis_without(b, !rising);
    if (later && later == earlier && of_floats(match))
      return absolute_differences(at(match.variables[0], match), *later);
  }
  return {};
}

// |x| times a number above 0.
struct ScaledAbs {
  Value x;
  double factor;
};
std::optional<ScaledAbs> scaled_abs(Value value) {
  if (is_op(value, "abs")) return ScaledAbs{input_of(value, 0), 1};
  const bool divided = is_op(value, "divide");
  if (!divided && !is_op(value, "multiply")) return std::nullopt;
  for (size_t which : {0, 1}) {
    const Value size = input_of(value, which);
    if (!is_op(size, "abs") || (divided && which == 1)) continue;
    const std::optional<double> number = uniform_value(input_of(value, 1 - which));
    if (number && *number > 0 && std::isfinite(*number))
      return ScaledAbs{input_of(size, 0), divided ? 1 / *number : *number};
  }
  return std::nullopt;
}

// ln(n + f|x|) = ln n + ln(1 + |x|f/n)
Value to_log_sum(const Match& match, std::optional<double> constant, Value scaled) {
  const std::optional<ScaledAbs> size = scaled_abs(scaled);
  if (!size || !constant || !(*constant > 0) || !std::isfinite(*constant)) return {};
  const Value result = log_sum(at(size->x, match), *constant / size->factor);
  return *constant == 1 ? result : at(result, match) + std::log(*constant);
}

std::vector<Rule> other_spellings() {
  return {
      {"|x[1:] - x[:-1]| → |Δx|", absolute(op("slice", {x}) - op("slice", {x})), to_absolute_differences},
      {"ln1p(f|x|) → log_sum(x)", op("log1p", {x}),
       [](const Match& match) { return to_log_sum(match, 1, match.variables[0]); }},
      {"ln(n + f|x|) → log_sum(x) + ln n", op("log", {x + y}),
       [](const Match& match) {
         const Value a = match.variables[0], b = match.variables[1];
         const Value result = to_log_sum(match, uniform_value(a), b);
         return result ? result : to_log_sum(match, uniform_value(b), a);
       }},
  };
}

// The diagonal of a constant matrix that has nothing else, as a column or a row.
std::optional<Tensor> diagonal_of(Value value, bool as_column) {
  if (node_of(value).op->traits.source != SourceKind::constant || value.rank() != 2) return std::nullopt;
  const Tensor matrix = node_of(value).attributes.get<Tensor>("value");
  const int64_t size = matrix.extents()[0];
  if (matrix.extents()[1] != size) return std::nullopt;
  Tensor diagonal(f64, as_column ? Extents{size, 1} : Extents{1, size});
  for (int64_t i = 0; i < matrix.count(); ++i) {
    if (i % (size + 1) == 0)
      diagonal.data<double>()[i / (size + 1)] = matrix.at(i);
    else if (matrix.at(i) != 0)
      return std::nullopt;
  }
  return diagonal.cast(matrix.dtype());
}

// diag(d)·x has x's rows times d, x·diag(d) its columns.
Value to_scaled_matrix(const Match& match) {
  const Attributes attributes = node_of(match.root).attributes;
  for (size_t which : {0, 1}) {
    Value other = match.variables[1 - which];
    const auto diagonal = diagonal_of(match.variables[which], which == 0);
    if (!diagonal || other.rank() != 2) continue;
    if (attributes.get<bool>(which == 0 ? "transpose_b" : "transpose_a")) other = transpose(at(other, match));
    return at(other, match) * at(other.graph().constant(*diagonal), match);
  }
  return {};
}

std::vector<Rule> spellings() {
  std::vector<Rule> all{{"diag(d)·x → d·x", op("matmul", {x, y}), to_scaled_matrix}};
  for (std::vector<Rule> (*more)() : {spellings_of_abs, spellings_of_powers, spellings_of_relu,
                                      spellings_of_count, spellings_of_norms, other_spellings})
    for (Rule& rule : more()) all.push_back(std::move(rule));
  return all;
}

}  // namespace

Value canonicalize_penalties(Value loss, Graph& to) {
  const Graph& from = loss.graph();
  std::vector<int32_t> inputs;
  for (int32_t id = 0; id < from.size(); ++id)
    if (from.node(id).op->traits.source == SourceKind::input) inputs.push_back(id);
  const std::vector<bool> on_data = dependents(from, inputs);
  static const std::vector<Rule> rules = spellings();
  return rewrite(from, to, rules, [&](int32_t id) { return !on_data[id]; })(loss);
}

}  // namespace lariat
