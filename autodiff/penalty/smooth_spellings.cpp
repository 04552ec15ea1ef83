#include <algorithm>

#include "autodiff/penalty/element_functions.hpp"
#include "autodiff/penalty/penalty.hpp"
#include "autodiff/penalty/penalty_view.hpp"
#include "graph/passes/rewrite.hpp"

namespace lariat {

namespace {

struct Spelling {
  std::string what;
  Pattern pattern;
  /// Variables that must be constants of at least so much, or more than 0, for it to be smooth.
  std::vector<int> positive;
  double at_least = 0;
};

std::vector<Spelling> spellings() {
  const Pattern x = Pattern::variable(0), c = Pattern::variable(1), d = Pattern::variable(2);
  const auto op = [](std::string name, std::vector<Pattern> inputs) {
    return Pattern::op(std::move(name), std::move(inputs));
  };
  const Pattern size = op("abs", {x}), small = op("minimum", {size, c});
  const Pattern squares = op("square", {x});
  const auto root = [&](const Pattern& of) { return op("sqrt", {of + c}); };
  return {
      {"√(x² + ε)", root(squares), {1}},
      {"√(Σx² + ε)", root(op("sum", {squares})), {1}},
      {"√(Σx² + ε)", root(op("square_penalty", {x})), {1}},
      {"√(mean x² + ε)", root(op("mean", {squares})), {1}},
      {"Huber's loss", small * (size - small * d), {1}},
      {"Huber's loss", op("select", {op("less_equal", {size, c}), squares * d, Pattern::variable(3)}), {1}},
      {"Huber's loss", op("select", {op("less", {size, c}), squares * d, Pattern::variable(3)}), {1}},
      {"softplus(x) + softplus(-x)", op("softplus", {x}) + op("softplus", {-x}), {}},
      {"x·tanh(x)", x * op("tanh", {x}), {}},
      {"x·tanh(c·x)", x * op("tanh", {x * c}), {}},
      {"x·erf(x)", x * op("erf", {x}), {}},
      {"x·erf(c·x)", x * op("erf", {x * c}), {}},
      {"x²/(|x| + ε)", squares / (size + c), {1}},
      {"|x|³", size * squares, {}},
      {"a power of |x|", op("power", {size, c}), {1}, 2},
      {"a power of ‖x‖", op("power", {op("norm2", {x}), c}), {1}, 2},
      {"‖x‖³", op("norm2", {x}) * op("sum", {squares}), {}},
  };
}

bool is_positive(Value value, double at_least) {
  const std::optional<Tensor> constant = constant_value(value);
  if (!constant) return false;
  for (int64_t i = 0; i < constant->count(); ++i)
    if (!(constant->at(i) > 0 && constant->at(i) >= at_least)) return false;
  return true;
}

// A square, or a higher power, of what has kinks only where it is 0, as max(x, 0)².
bool is_square_of_kinks(Value value, ElementFunctions& functions) {
  const Node& node = value.graph().node(value.node());
  if (node.op->name != "square") {
    if (node.op->name != "power") return false;
    const std::optional<double> exponent = uniform_value(value.graph().value(node.inputs[1]));
    if (!exponent || *exponent < 2) return false;
  }
  const ElementFunction& inner = functions(value.graph().value(node.inputs[0]));
  return inner.of && !inner.is_affine() && inner.all([](const PiecewiseLinear& f) {
    const std::optional<Kinks> kinks = kinks_of(f, 1e-6);
    return kinks && kinks->gaps.empty() &&
           std::all_of(f.values.begin(), f.values.end(), [](double v) { return v == 0; });
  });
}

}  // namespace

std::vector<SmoothSpelling> smooth_spellings(Graph& graph, const std::vector<bool>& eligible) {
  static const std::vector<Spelling> list = spellings();
  ElementFunctions functions(graph);
  std::vector<SmoothSpelling> found;
  for (int32_t id = 0; id < static_cast<int32_t>(eligible.size()); ++id) {
    if (!eligible[id]) continue;
    for (const Spelling& spelling : list) {
      const std::optional<Match> matched = match(spelling.pattern, Value(&graph, id));
      if (!matched || !std::all_of(spelling.positive.begin(), spelling.positive.end(), [&](int variable) {
            return is_positive(matched->variables[variable], spelling.at_least);
          }))
        continue;
      found.push_back({id, spelling.what});
      break;
    }
    const bool is_known = !found.empty() && found.back().node == id;
    if (!is_known && is_square_of_kinks({&graph, id}, functions))
      found.push_back({id, "the square of what is 0 at its kinks"});
  }
  return found;
}

}  // namespace lariat
