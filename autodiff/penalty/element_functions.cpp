#include "autodiff/penalty/element_functions.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>

#include "autodiff/penalty/penalty_view.hpp"
#include "graph/passes/merge_common.hpp"
#include "ops/ops.hpp"

namespace lariat {

namespace {

constexpr int64_t most_functions = int64_t{1} << 20;
constexpr size_t most_breaks = 32;

using Function = PiecewiseLinear;
using Functions = std::vector<const Function*>;

Function constant(double value) { return Function::constant(value); }
Function scaled(double factor, const Function& f) { return combination(factor, f, 0, constant(0)); }
Function difference(const Function& f, const Function& g) { return combination(1, f, -1, g); }
Function larger(const Function& f, const Function& g) { return by_sign(difference(f, g), f, g, f); }
Function smaller(const Function& f, const Function& g) { return by_sign(difference(f, g), g, f, f); }
Function of_sign(const Function& d, double positive, double negative, double zero) {
  return by_sign(d, constant(positive), constant(negative), constant(zero));
}

// What each op makes of its inputs' functions.
using Apply = std::optional<Function> (*)(const Functions& in, const Attributes& attributes);
const std::unordered_map<std::string_view, Apply>& applied() {
  static const std::unordered_map<std::string_view, Apply> all{
      {"add", [](const Functions& in,
                 const Attributes&) { return std::optional(combination(1, *in[0], 1, *in[1])); }},
      {"subtract",
       [](const Functions& in, const Attributes&) { return std::optional(difference(*in[0], *in[1])); }},
      {"negate", [](const Functions& in, const Attributes&) { return std::optional(scaled(-1, *in[0])); }},
      {"multiply", [](const Functions& in, const Attributes&) { return product(*in[0], *in[1]); }},
      {"square", [](const Functions& in, const Attributes&) { return product(*in[0], *in[0]); }},
      {"multiply_add",
       [](const Functions& in, const Attributes&) {
         std::optional<Function> result = product(*in[0], *in[1]);
         if (result) result = combination(1, *result, 1, *in[2]);
         return result;
       }},
      {"divide",
       [](const Functions& in, const Attributes&) {
         const double by = in[1]->pieces[0].shift;
         return in[1]->is_constant() && by != 0 ? std::optional(scaled(1 / by, *in[0])) : std::nullopt;
       }},
      {"maximum",
       [](const Functions& in, const Attributes&) { return std::optional(larger(*in[0], *in[1])); }},
      {"minimum",
       [](const Functions& in, const Attributes&) { return std::optional(smaller(*in[0], *in[1])); }},
      {"abs",
       [](const Functions& in, const Attributes&) {
         return std::optional(by_sign(*in[0], *in[0], scaled(-1, *in[0]), constant(0)));
       }},
      {"relu",
       [](const Functions& in, const Attributes&) { return std::optional(larger(*in[0], constant(0))); }},
      {"leaky_relu",
       [](const Functions& in, const Attributes& attributes) {
         const Function below = scaled(attributes.get<double>("slope"), *in[0]);
         return std::optional(by_sign(*in[0], *in[0], below, constant(0)));
       }},
      {"clip",
       [](const Functions& in, const Attributes& attributes) {
         const double low = attributes.get<double>("low"), high = attributes.get<double>("high");
         Function result = *in[0];
         if (std::isfinite(low)) result = larger(result, constant(low));
         if (std::isfinite(high)) result = smaller(result, constant(high));
         return std::optional(result);
       }},
      {"sign",
       [](const Functions& in, const Attributes&) { return std::optional(of_sign(*in[0], 1, -1, 0)); }},
      {"count_nonzero",
       [](const Functions& in, const Attributes&) { return std::optional(of_sign(*in[0], 1, 1, 0)); }},
      {"greater",
       [](const Functions& in, const Attributes&) {
         return std::optional(of_sign(difference(*in[0], *in[1]), 1, 0, 0));
       }},
      {"greater_equal",
       [](const Functions& in, const Attributes&) {
         return std::optional(of_sign(difference(*in[0], *in[1]), 1, 0, 1));
       }},
      {"less", [](const Functions& in,
                  const Attributes&) { return std::optional(of_sign(difference(*in[0], *in[1]), 0, 1, 0)); }},
      {"less_equal",
       [](const Functions& in, const Attributes&) {
         return std::optional(of_sign(difference(*in[0], *in[1]), 0, 1, 1));
       }},
      {"equal",
       [](const Functions& in, const Attributes&) {
         return std::optional(of_sign(difference(*in[0], *in[1]), 0, 0, 1));
       }},
      {"select", [](const Functions& in,
                    const Attributes&) { return std::optional(by_sign(*in[0], *in[1], *in[1], *in[2])); }},
  };
  return all;
}

// The place in `from`, broadcast to `to`, that element `index` of `to` reads.
int64_t broadcast_place(int64_t index, const Extents& to, const Extents& from) {
  int64_t place = 0, stride = 1;
  for (size_t back = 1; back <= from.size(); ++back) {
    const int64_t extent = from[from.size() - back], at = index % to[to.size() - back];
    index /= to[to.size() - back];
    place += (extent == 1 ? 0 : at) * stride;
    stride *= extent;
  }
  return place;
}

ElementFunction identity(Value value) { return {value, {}, {Function::identity()}}; }

std::optional<ElementFunction> as_constant(Value value) {
  const std::optional<Tensor> tensor = constant_value(value);
  if (!tensor || tensor->count() == 0 || tensor->count() > most_functions) return std::nullopt;
  const bool uniform = uniform_value(value).has_value();
  ElementFunction result{{}, uniform ? Extents{} : tensor->extents(), {}};
  for (int64_t i = 0; i < (uniform ? 1 : tensor->count()); ++i) {
    if (!std::isfinite(tensor->at(i))) return std::nullopt;
    result.functions.push_back(constant(tensor->at(i)));
  }
  return result;
}

// c·x + s for all elements, c not 0.
std::optional<Function::Piece> uniform_affine(const ElementFunction& f) {
  if (!f.of || f.functions.size() != 1 || !f.functions[0].is_affine()) return std::nullopt;
  const Function::Piece piece = f.functions[0].pieces[0];
  return piece.slope == 0 ? std::nullopt : std::optional(piece);
}

ElementFunction uniform(Value of, double slope, double shift) {
  return {of, {}, {{{}, {}, {{slope, shift}}}}};
}

}  // namespace

const PiecewiseLinear& ElementFunction::at(int64_t index, const Extents& of_value) const {
  return functions[broadcast_place(index, of_value, extents)];
}

bool is_comparison(std::string_view op) {
  return op == "greater" || op == "greater_equal" || op == "less" || op == "less_equal" || op == "equal";
}

bool ElementFunctions::looks_into(std::string_view op) { return applied().contains(op); }

int32_t EqualNodes::first(int32_t node) {
  while (static_cast<int32_t>(first_.size()) <= node) {
    const auto id = static_cast<int32_t>(first_.size());
    const Node& next = graph_.node(id);
    const SourceKind source = next.op->traits.source;
    if (source != SourceKind::none && source != SourceKind::constant) {
      first_.push_back(id);
      continue;
    }
    std::vector<Edge> inputs;
    for (const Edge& edge : next.inputs) inputs.push_back({first_[edge.node], edge.output});
    if (next.op->traits.commutative && inputs.size() == 2 && inputs[1].node < inputs[0].node)
      std::swap(inputs[0], inputs[1]);
    first_.push_back(seen_.try_emplace(node_key(next, inputs), id).first->second);
  }
  return first_[node];
}

bool ElementFunctions::is_fixed(int32_t node) {
  while (static_cast<int32_t>(fixed_.size()) <= node) {
    const Node& next = graph_.node(static_cast<int32_t>(fixed_.size()));
    fixed_.push_back(
        next.op->traits.source != SourceKind::parameter &&
        (next.op->traits.stops_gradient || std::all_of(next.inputs.begin(), next.inputs.end(),
                                                       [&](const Edge& edge) { return fixed_[edge.node]; })));
  }
  return fixed_[node];
}

bool ElementFunctions::holds_product(int32_t node) {
  while (static_cast<int32_t>(product_.size()) <= node) {
    const Node& next = graph_.node(static_cast<int32_t>(product_.size()));
    product_.push_back(next.op->traits.product ||
                       std::any_of(next.inputs.begin(), next.inputs.end(),
                                   [&](const Edge& edge) { return product_[edge.node]; }));
  }
  return product_[node];
}

bool ElementFunctions::scales(const Node& node) {
  for (size_t i = 0; i < node.inputs.size(); ++i)
    if (!node.op->traits.is_linear(i) && !graph_.is_constant(node.inputs[i].node)) return false;
  return true;
}

bool ElementFunctions::may_be_nan(int32_t node) {
  while (static_cast<int32_t>(nan_.size()) <= node) {
    const auto id = static_cast<int32_t>(nan_.size());
    const Node& next = graph_.node(id);
    const Traits& traits = next.op->traits;
    const bool itself = traits.elementwise && traits.of_finite == Traits::OfFinite::or_nan && !scales(next);
    nan_.push_back(itself || std::any_of(next.inputs.begin(), next.inputs.end(),
                                         [&](const Edge& edge) { return nan_[edge.node]; }));
  }
  return nan_[node];
}

// Sums and products of two different values: the same one for both orders and all factors.
ElementFunction ElementFunctions::joined(Value value, const ElementFunction& a, const ElementFunction& b) {
  const auto left = uniform_affine(a), right = uniform_affine(b);
  const Node node = graph_.node(value.node());
  const std::string& op = node.op->name;
  if (!left || !right) return identity(value);
  const auto place = [&](Value v) { return std::pair(equal_.first(v.node()), v.output()); };
  const bool swapped = place(b.of) < place(a.of);
  const Value x = swapped ? b.of : a.of, y = swapped ? a.of : b.of;
  const auto built = [&](const std::string& name, Value first, Value second) {
    return build(name, {Operand(first, node.where), Operand(second, node.where)});
  };
  if (op == "multiply") {
    if (left->shift != 0 || right->shift != 0) return identity(value);
    const double factor = left->slope * right->slope;
    return factor == 1 ? identity(value) : uniform(built("multiply", x, y), factor, 0);
  }
  const double sign = op == "subtract" ? -1 : 1;
  const double of_a = left->slope, of_b = sign * right->slope;
  const double first = swapped ? of_b : of_a, ratio = swapped ? of_a / of_b : of_b / of_a;
  const double shift = left->shift + sign * right->shift;
  if (first == 1 && shift == 0 && std::abs(ratio) == 1 && !swapped) return identity(value);
  if (ratio == -1) return uniform(built("subtract", x, y), first, shift);
  const Value other = ratio == 1 ? y : built("multiply", y, graph_.constant(ratio, value.dtype()));
  return uniform(built("add", x, other), first, shift);
}

ElementFunction ElementFunctions::computed(Value value) {
  const Node& node = graph_.node(value.node());
  if (graph_.is_constant(value.node())) {
    const std::optional<ElementFunction> known = as_constant(value);
    return known ? *known : identity(value);  // an infinite one, say
  }
  const auto apply = applied().find(node.op->name);
  if (apply == applied().end()) return identity(value);
  std::vector<const ElementFunction*> inputs;
  const ElementFunction* variable = nullptr;
  Extents extents;
  for (const Edge& edge : node.inputs) {
    const ElementFunction& input = known_.at({edge.node, edge.output});
    inputs.push_back(&input);
    const auto common = broadcast(to_shape(extents), to_shape(input.extents));
    if (!common) return identity(value);
    extents = evaluate(*common, {});
    if (!input.of) continue;
    if (variable && !equal_.same(variable->of, input.of)) {
      const bool joins = node.inputs.size() == 2 && (node.op->name == "add" || node.op->name == "subtract" ||
                                                     node.op->name == "multiply");
      return joins ? joined(value, *inputs[0], *inputs[1]) : identity(value);
    }
    variable = &input;
  }
  if (!variable || element_count(extents) > most_functions) return identity(value);
  // NaN is neither above, nor at, nor below a break: what a comparison makes of it would be another number.
  const bool compares = is_comparison(node.op->name) || (node.op->name == "select" && inputs[0]->of);
  if (compares && may_be_nan(variable->of.node())) return identity(value);
  ElementFunction result{variable->of, extents, {}};
  for (int64_t i = 0; i < element_count(extents); ++i) {
    Functions arguments;
    for (const ElementFunction* input : inputs) arguments.push_back(&input->at(i, extents));
    const std::optional<Function> function = apply->second(arguments, node.attributes);
    if (!function || function->breaks.size() > most_breaks) return identity(value);
    result.functions.push_back(*function);
  }
  return result;
}

const ElementFunction& ElementFunctions::operator()(Value value) {
  const auto key = [](const Edge& edge) { return std::pair(edge.node, edge.output); };
  std::vector<Edge> pending{{value.node(), value.output()}};
  while (!pending.empty()) {
    const Edge next = pending.back();
    const Node& node = graph_.node(next.node);
    const bool looks_within = node.outputs.size() == 1 && is_float(node.outputs[0].dtype);
    if (looks_within && !known_.contains(key(next)) && !graph_.is_constant(next.node) &&
        applied().contains(node.op->name)) {
      const size_t before = pending.size();
      for (const Edge& edge : node.inputs)
        if (!known_.contains(key(edge))) pending.push_back(edge);
      if (pending.size() > before) continue;
    }
    pending.pop_back();
    if (!known_.contains(key(next)))
      known_.emplace(key(next), looks_within ? computed(graph_.value(next)) : identity(graph_.value(next)));
  }
  return known_.at({value.node(), value.output()});
}

}  // namespace lariat
