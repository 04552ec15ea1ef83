#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "autodiff/penalty/element_functions.hpp"
#include "autodiff/penalty/penalty.hpp"
#include "autodiff/penalty/penalty_view.hpp"
#include "graph/ir/op_def.hpp"
#include "graph/passes/rewrite.hpp"

namespace lariat {

namespace {

// Such a function has its kinks, if it is not affine.
bool is_piecewise_linear(Value value, ElementFunctions& functions) {
  const ElementFunction& own = functions(value);
  return own.of && own.of.node() != value.node();
}

// Whether the value may be smooth though parts of it are not: Huber's loss, however it is written, ends where
// parts are added, multiplied or selected.
bool may_end_smooth(Value value, ElementFunctions& functions) {
  if (is_constant(value)) return false;
  const Node& node = value.graph().node(value.node());
  int64_t parts = 0;
  for (size_t i = 0; i < node.inputs.size(); ++i) parts += node.op->traits.is_linear(i);
  return node.op->traits.elementwise && parts > 1 && !is_piecewise_linear(value, functions);
}

struct Spelling {
  std::string what;
  Pattern pattern;
  /// Variables that must be constants of more than this for it to be smooth.
  std::vector<int> constants;
  double above = 0;
};

std::vector<Spelling> spellings() {
  const Pattern x = Pattern::variable(0), c = Pattern::variable(1);
  const auto op = [](std::string name, std::vector<Pattern> inputs) {
    return Pattern::op(std::move(name), std::move(inputs));
  };
  const Pattern size = op("abs", {x});
  const Pattern squares = op("square", {x});
  const auto root = [&](const Pattern& of) { return op("sqrt", {of + c}); };
  return {
      {"√(x² + ε)", root(squares), {1}},
      {"√(Σx² + ε)", root(op("sum", {squares})), {1}},
      {"√(Σx² + ε)", root(op("square_penalty", {x})), {1}},
      {"√(mean x² + ε)", root(op("mean", {squares})), {1}},
      {"softplus(x) + softplus(-x)", op("softplus", {x}) + op("softplus", {-x}), {}},
      {"x·tanh(x)", x * op("tanh", {x}), {}},
      {"x·tanh(c·x)", x * op("tanh", {x * c}), {}},
      {"x·erf(x)", x * op("erf", {x}), {}},
      {"x·erf(c·x)", x * op("erf", {x * c}), {}},
      {"x²/(|x| + ε)", squares / (size + c), {1}},
      {"|x|³", size * squares, {}},
      {"a power of |x|", op("power", {size, c}), {1}, 1},
      {"a power of ‖x‖", op("power", {op("norm2", {x}), c}), {1}, 1},
      {"‖x‖³", op("norm2", {x}) * op("sum", {squares}), {}},
  };
}

bool is_constant_above(Value value, double bound) {
  const std::optional<Tensor> constant = constant_value(value);
  if (!constant) return false;
  for (int64_t i = 0; i < constant->count(); ++i)
    if (!(constant->at(i) > bound)) return false;
  return true;
}

// What a square, or another power above 1, of what has kinks only where it is 0, as max(x, 0)², is a function
// of.
std::optional<Value> power_of_kinks(Value value, ElementFunctions& functions) {
  const Node& node = value.graph().node(value.node());
  if (node.op->name != "square") {
    if (node.op->name != "power") return std::nullopt;
    const std::optional<double> exponent = uniform_value(value.graph().value(node.inputs[1]));
    if (!exponent || *exponent <= 1) return std::nullopt;
  }
  const ElementFunction& inner = functions(value.graph().value(node.inputs[0]));
  const bool smooth = inner.of && !inner.is_affine() && inner.all([](const PiecewiseLinear& f) {
    const std::optional<Kinks> kinks = kinks_of(f, 1e-6);
    return kinks && kinks->gaps.empty() &&
           std::all_of(f.values.begin(), f.values.end(), [](double v) { return v == 0; });
  });
  return smooth ? std::optional(inner.of) : std::nullopt;
}

std::optional<SmoothSpelling> spelling_at(Value value, ElementFunctions& functions) {
  static const std::vector<Spelling> list = spellings();
  for (const Spelling& spelling : list) {
    const std::optional<Match> matched = match(spelling.pattern, value);
    if (matched && std::all_of(spelling.constants.begin(), spelling.constants.end(), [&](int variable) {
          return is_constant_above(matched->variables[variable], spelling.above);
        }))
      return SmoothSpelling{value.node(), spelling.what, matched->variables[0]};
  }
  if (const std::optional<Value> of = power_of_kinks(value, functions))
    return SmoothSpelling{value.node(), "a power above 1 of what is 0 at its kinks", *of};
  return std::nullopt;
}

}  // namespace

std::vector<SmoothSpelling> smooth_spellings(Graph& graph, const std::vector<bool>& eligible) {
  ElementFunctions functions(graph);
  std::map<int32_t, SmoothSpelling> found;
  std::vector<bool> others(eligible.size());
  for (int32_t id = 0; id < static_cast<int32_t>(eligible.size()); ++id) {
    if (!eligible[id]) continue;
    if (std::optional<SmoothSpelling> spelling = spelling_at({&graph, id}, functions)) {
      found.emplace(id, std::move(*spelling));
    } else {
      others[id] = may_end_smooth({&graph, id}, functions);
    }
  }
  for (const auto& [id, of] : smooth_functions(graph, others, functions))
    found.emplace(id, SmoothSpelling{id,
                                     "a function whose pieces join with the same slope, as Huber's,",
                                     {&graph, of.first, of.second}});
  std::vector<SmoothSpelling> result;
  for (auto& [id, spelling] : found) result.push_back(std::move(spelling));
  return result;
}

std::vector<bool> parts_of_smooth_functions(Graph& graph, const std::vector<bool>& eligible) {
  ElementFunctions functions(graph);
  std::vector<bool> parts(eligible.size()), wanted(eligible.size());
  for (int32_t id = 0; id < static_cast<int32_t>(eligible.size()); ++id)
    wanted[id] = eligible[id] && may_end_smooth({&graph, id}, functions);
  const std::map<int32_t, ComputedValue> smooth = smooth_functions(graph, wanted, functions);
  // Each node once for a value that it is a function of.
  std::set<std::pair<int32_t, ComputedValue>> seen;
  for (auto it = smooth.rbegin(); it != smooth.rend(); ++it) {
    const auto& [node, of] = *it;
    std::vector<int32_t> open;
    const auto reach = [&, of = of](int32_t id) {
      if (functions.equal().first(id) != of.first && seen.emplace(id, of).second) open.push_back(id);
    };
    reach(node);
    while (!open.empty()) {
      const Node& next = graph.node(open.back());
      parts[open.back()] = true;
      open.pop_back();
      for (const Edge& edge : next.inputs) reach(edge.node);
    }
  }
  return parts;
}

}  // namespace lariat
