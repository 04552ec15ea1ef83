#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "autodiff/double_graph.hpp"
#include "autodiff/penalty/element_functions.hpp"
#include "autodiff/penalty/loss_terms.hpp"
#include "autodiff/penalty/penalty.hpp"
#include "autodiff/penalty/penalty_view.hpp"
#include "graph/ir/op_def.hpp"
#include "graph/passes/rewrite.hpp"
#include "graph/program/program.hpp"

namespace lariat {

namespace {

// Poles, whose places functions that are piecewise linear do not tell.
bool has_poles(Graph& graph, const Node& node, ElementFunctions& functions) {
  if (node.op->traits.of_finite == Traits::OfFinite::finite || functions.scales(node)) return false;
  if (node.op->name != "power") return true;
  const std::optional<double> exponent = uniform_value(graph.value(node.inputs[1]));
  return !exponent || *exponent < 0 || std::floor(*exponent) != *exponent;
}

// What lies between a value and the one that it is a function of.
struct Between {
  Value of;
  std::vector<const ElementFunction*> bends;  // functions of `of`, at whose breaks something may bend
};

// The function that tells where a node bends: its own, or that of the condition which selects.
const ElementFunction* bend_of(Graph& graph, int32_t id, ElementFunctions& functions) {
  const ElementFunction& own = functions({&graph, id});
  if (own.of && own.of.node() != id) return &own;
  if (graph.node(id).op->name != "select") return nullptr;
  const ElementFunction& condition = functions(graph.value(graph.node(id).inputs[0]));
  const bool told = condition.of && condition.of.node() != graph.node(id).inputs[0].node;
  return told ? &condition : nullptr;
}

std::optional<Between> find_between(Value value, ElementFunctions& functions) {
  Graph& graph = value.graph();
  Between between;
  // From the last node on, so that every reader of a node comes before it.
  std::set<int32_t, std::greater<>> pending{value.node()};
  std::set<int32_t> ends;
  for (auto id = pending.begin(); id != pending.end(); ++id) {
    if (graph.is_constant(*id)) continue;
    const Node& node = graph.node(*id);
    const bool ends_here = between.of && functions.equal().same({&graph, *id}, between.of);
    if (ends_here || !node.op->traits.elementwise || node.outputs.size() != 1 ||
        has_poles(graph, node, functions)) {
      ends.insert(*id);
      if (ends.size() > 1) return std::nullopt;
      continue;
    }
    if (has_kinks(node)) {
      const ElementFunction* bend = bend_of(graph, *id, functions);
      if (!bend || (between.of && !functions.equal().same(bend->of, between.of))) return std::nullopt;
      between.of = bend->of;
      between.bends.push_back(bend);
    }
    for (const Edge& edge : graph.node(*id).inputs) pending.insert(edge.node);
  }
  if (!between.of || ends.empty()) return std::nullopt;
  const Value end(&graph, *ends.begin());
  if (!functions.equal().same(end, between.of)) return std::nullopt;
  between.of = end;
  return between;
}

// The nodes that a value is computed of, down to `of`, from the last on.
std::set<int32_t, std::greater<>> nodes_down_to(Value value, Value of) {
  std::set<int32_t, std::greater<>> nodes{value.node()};
  for (auto id = nodes.begin(); id != nodes.end(); ++id)
    if (*id != of.node())
      for (const Edge& edge : value.graph().node(*id).inputs) nodes.insert(edge.node);
  return nodes;
}

// `value` as a function of the input "z" of such extents, which stands for `of`.
Value function_of(Value value, Value of, const Extents& extents, Graph& to) {
  const std::set<int32_t, std::greater<>> nodes = nodes_down_to(value, of);
  std::map<int32_t, int32_t> copies;
  for (auto id = nodes.rbegin(); id != nodes.rend(); ++id) {
    const Node& node = value.graph().node(*id);
    std::vector<Value> inputs;
    if (*id != of.node())
      for (const Edge& edge : node.inputs) inputs.push_back({&to, copies.at(edge.node), edge.output});
    const Value copy = *id == of.node() ? to.input("z", to_shape(extents), of.dtype())
                                        : to.add(*node.op, inputs, node.attributes, node.name, node.where);
    copies[*id] = copy.node();
  }
  return {&to, copies.at(value.node()), value.output()};
}

// Where something may bend, and what distances there are compared with.
struct Place {
  double at, size;
};

// Other places that are nearer than a thousandth, beside 0, are told apart.
Place place_among(double at, const std::vector<const PiecewiseLinear*>& functions) {
  double size = std::max(std::abs(at), 1e-3);
  for (const PiecewiseLinear* function : functions)
    for (const double other : function->breaks)
      if (other != at) size = std::min(size, std::abs(other - at));
  return {at, std::max(size, std::abs(at))};
}

// Values of the function beside places, one for each element; where all elements have the same function, of
// one.
class Beside {
 public:
  Beside(Value value, Value of, bool same_for_all) {
    for (const Extents& extents :
         {same_for_all ? Extents{1} : evaluate(of.shape(), {}), evaluate(of.shape(), {})}) {
      Graph cut;
      const Value result = function_of(value, of, extents, cut);
      if (result.shape() != to_shape(extents)) continue;  // constants have more elements
      extents_ = extents;
      cut.output("value", result);
      convex::copy_in_double(cut, graph_);
      break;
    }
    program_ = std::make_unique<Program>(graph_);
  }

  // At each place, moved by so much of its size.
  std::vector<double> at(std::span<const Place> places, double by) {
    Tensor z(f64, extents_);
    for (int64_t i = 0; i < z.count(); ++i) z.data<double>()[i] = places[i].at + by * places[i].size;
    Store none;
    const Tensor values = program_->run({{"z", z}}, none, *executor_)[0];
    return {values.data<double>(), values.data<double>() + values.count()};
  }
  int64_t count() const { return element_count(extents_); }
  const Extents& extents() const { return extents_; }

 private:
  Extents extents_;
  Graph graph_;
  std::unique_ptr<Program> program_;
  std::unique_ptr<Executor> executor_ = make_serial_executor();
};

// What it tends to on one side of each place, and with which slope, by a parabola through three points there.
struct Limits {
  std::vector<double> value, slope;
};
Limits limits(Beside& beside, std::span<const Place> places, double width) {
  const std::vector<double> one = beside.at(places, width), two = beside.at(places, 2 * width),
                            three = beside.at(places, 3 * width);
  Limits result;
  for (size_t i = 0; i < places.size(); ++i) {
    result.value.push_back(3 * one[i] - 3 * two[i] + three[i]);
    result.slope.push_back((-2.5 * one[i] + 4 * two[i] - 1.5 * three[i]) / (width * places[i].size));
  }
  return result;
}

// By how much values and slopes differ across each place.
struct Jumps {
  std::vector<double> value, slope, slopes;
};
Jumps jumps(Beside& beside, std::span<const Place> places, double width) {
  const std::vector<double> here = beside.at(places, 0);
  const Limits below = limits(beside, places, -width), above = limits(beside, places, width);
  Jumps result;
  for (size_t i = 0; i < places.size(); ++i) {
    result.value.push_back(std::max(std::abs(here[i] - below.value[i]), std::abs(here[i] - above.value[i])));
    result.slope.push_back(std::abs(above.slope[i] - below.slope[i]));
    result.slopes.push_back(std::abs(above.slope[i]) + std::abs(below.slope[i]) +
                            1e-3 * std::abs(here[i]) / places[i].size);
  }
  return result;
}

// Whether no value or slope jumps, by as much however near it is looked at.
bool joins_at(Beside& beside, std::span<const Place> places) {
  constexpr double wide = 0x1p-18, narrow = 0x1p-23;
  constexpr double tolerance = 1e-5;  // constants may be rounded to float
  const Jumps far = jumps(beside, places, wide), near = jumps(beside, places, narrow);
  for (size_t i = 0; i < places.size(); ++i) {
    const auto jumps = [](double by, double from_far, double rounding) {
      return !(by <= rounding || by < 0.5 * from_far);
    };
    if (jumps(near.value[i], far.value[i], tolerance * near.slopes[i] * places[i].size) ||
        jumps(near.slope[i], far.slope[i], tolerance * near.slopes[i]))
      return false;
  }
  return true;
}

// Where `value` is, element by element, a function of one other value that ops with kinks, leaps or
// conditions make up, and yet it is continuous and its slope too: that other value. Judged by values, in
// double, on both sides of every place where one of those ops bends; nothing where such a place cannot be
// told.
std::optional<Value> smooth_function_of(Value value, ElementFunctions& functions) {
  const std::optional<Between> between = find_between(value, functions);
  if (!between || !is_known(value.shape()) || value.shape() != between->of.shape() ||
      between->of.output() != 0 || !is_float(value.dtype()) || element_count(value.shape()) == Dim(0))
    return std::nullopt;
  const bool same_for_all =
      std::all_of(between->bends.begin(), between->bends.end(),
                  [](const ElementFunction* bend) { return bend->functions.size() == 1; });
  Beside beside(value, between->of, same_for_all);
  for (const ElementFunction* bend : between->bends) {
    size_t most = 0;
    for (const PiecewiseLinear& f : bend->functions) most = std::max(most, f.breaks.size());
    for (size_t k = 0; k < most; ++k) {
      std::vector<Place> places;
      for (int64_t i = 0; i < beside.count(); ++i) {
        const auto function = [&](const ElementFunction* of) {
          return same_for_all ? &of->functions[0] : &of->at(i, beside.extents());
        };
        std::vector<const PiecewiseLinear*> all;
        for (const ElementFunction* other : between->bends) all.push_back(function(other));
        const std::vector<double>& breaks = function(bend)->breaks;
        places.push_back(place_among(breaks.empty() ? 0 : breaks[std::min(k, breaks.size() - 1)], all));
      }
      if (!joins_at(beside, places)) return std::nullopt;
    }
  }
  return between->of;
}

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
  if (!may_end_smooth(value, functions)) return std::nullopt;
  if (const std::optional<Value> of = smooth_function_of(value, functions))
    return SmoothSpelling{value.node(), "a function whose pieces join with the same slope, as Huber's,", *of};
  return std::nullopt;
}

}  // namespace

std::vector<SmoothSpelling> smooth_spellings(Graph& graph, const std::vector<bool>& eligible) {
  ElementFunctions functions(graph);
  std::vector<SmoothSpelling> found;
  for (int32_t id = 0; id < static_cast<int32_t>(eligible.size()); ++id)
    if (eligible[id])
      if (std::optional<SmoothSpelling> spelling = spelling_at({&graph, id}, functions))
        found.push_back(std::move(*spelling));
  return found;
}

std::vector<bool> sums_in_smooth_functions(Graph& graph, const std::vector<bool>& eligible) {
  ElementFunctions functions(graph);
  std::vector<bool> sums(eligible.size()), within(eligible.size());
  for (auto id = static_cast<int32_t>(eligible.size()) - 1; id >= 0; --id) {
    if (!eligible[id] || within[id] || !may_end_smooth({&graph, id}, functions)) continue;
    const std::optional<Value> of = smooth_function_of({&graph, id}, functions);
    if (!of) continue;
    for (const int32_t at : nodes_down_to({&graph, id}, *of)) {
      if (at == of->node()) continue;
      within[at] = true;
      sums[at] = graph.node(at).op->traits.additive;
    }
  }
  return sums;
}

}  // namespace lariat
