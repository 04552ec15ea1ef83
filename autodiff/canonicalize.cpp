#include "autodiff/penalty.hpp"
#include "graph/passes/rewrite.hpp"

namespace lariat {

namespace {

std::vector<Rule> spellings() {
  const Pattern x = Pattern::variable(0), y = Pattern::variable(1);
  const auto op = [](std::string name, std::vector<Pattern> inputs) {
    return Pattern::op(std::move(name), std::move(inputs));
  };
  const auto abs = [&](Pattern of) { return op("abs", {of}); };
  const auto where = [&](Pattern condition, Pattern yes, Pattern no) {
    return op("select", {condition, yes, no});
  };
  return {
      {"max(x, -x) → |x|", op("maximum", {x, -x}), abs(x)},
      {"min(x, -x) → -|x|", op("minimum", {x, -x}), -abs(x)},
      {"max(x - y, y - x) → |x - y|", op("maximum", {x - y, y - x}), abs(x - y)},
      {"max(x, 0) → relu(x)", op("maximum", {x, 0}), op("relu", {x})},
      {"where(x > 0, x, 0) → relu(x)", where(op("greater", {x, 0}), x, 0), op("relu", {x})},
      {"min(x, 0) → -relu(-x)", op("minimum", {x, 0}), -op("relu", {-x})},
      {"relu(x) + relu(-x) → |x|", op("relu", {x}) + op("relu", {-x}), abs(x)},
      {"where(x > 0, x, -x) → |x|", where(op("greater", {x, 0}), x, -x), abs(x)},
      {"where(x ≥ 0, x, -x) → |x|", where(op("greater_equal", {x, 0}), x, -x), abs(x)},
      {"where(x < 0, -x, x) → |x|", where(op("less", {x, 0}), -x, x), abs(x)},
      {"where(x ≤ 0, -x, x) → |x|", where(op("less_equal", {x, 0}), -x, x), abs(x)},
      {"√(x·x) → |x|", op("sqrt", {x * x}), abs(x)},
      {"√(x²) → |x|", op("sqrt", {op("square", {x})}), abs(x)},
      {"x·sign(x) → |x|", x * op("sign", {x}), abs(x)},
      {"||x|| → |x|", abs(abs(x)), abs(x)},
      {"|-x| → |x|", abs(-x), abs(x)},
      {"x·x → x²", x * x, op("square", {x})},
      {"pow(x, 2) → x²", op("power", {x, 2}), op("square", {x})},
      {"|x|² → x²", op("square", {abs(x)}), op("square", {x})},
  };
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
