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

bool ElementFunctions::is_constant(int32_t node) {
  while (static_cast<int32_t>(constant_.size()) <= node) {
    const Node& next = graph_.node(static_cast<int32_t>(constant_.size()));
    const SourceKind source = next.op->traits.source;
    constant_.push_back(source == SourceKind::constant ||
                        (source == SourceKind::none &&
                         std::all_of(next.inputs.begin(), next.inputs.end(), [&](const Edge& edge) {
                           return constant_[edge.node] && is_known(graph_.type(edge).shape);
                         })));
  }
  return constant_[node];
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
  if (is_constant(value.node()))
    if (auto known = as_constant(value)) return *known;
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
  ElementFunction result{variable->of, extents, {}};
  for (int64_t i = 0; i < element_count(extents); ++i) {
    Functions arguments;
    for (const ElementFunction* input : inputs)
      arguments.push_back(&input->functions[broadcast_place(i, extents, input->extents)]);
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
    if (looks_within && !known_.contains(key(next)) && !is_constant(next.node) &&
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

namespace {

// One number for each function: a part of the sum that is built.
struct Column {
  std::vector<double> at, weight;
  explicit Column(size_t size) : at(size), weight(size) {}
  bool is_empty() const {
    return std::all_of(weight.begin(), weight.end(), [](double w) { return w == 0; });
  }
};

class Builder {
 public:
  Builder(Value root, const ElementFunction& function)
      : root_(root), x_(function.of), extents_(function.extents) {
    where_ = root.graph().node(root.node()).where;
  }

  void add(const std::string& op, const Column& column, bool mirrored) {
    if (column.is_empty()) return;
    const std::optional<double> at = uniform(column.at);
    Value argument = at == 0.0 ? x_ : build("subtract", {operand(x_), operand(constant(column.at))});
    if (mirrored)
      argument = at == 0.0 ? build("negate", {operand(x_)})
                           : build("subtract", {operand(constant(column.at)), operand(x_)});
    add(times(build(op, {operand(argument)}), column.weight));
  }
  void add_linear(const std::vector<double>& slope) {
    if (uniform(slope) != 0.0) add(times(x_, slope));
  }
  void add_constant(const std::vector<double>& shift) {
    if (uniform(shift) != 0.0) add(constant(shift));
  }
  Value result(bool negated) {
    Value all = sum_ ? sum_ : root_.graph().constant(0.0, root_.dtype());
    if (negated) all = build("negate", {operand(all)});
    return all.shape() == root_.shape() ? all : broadcast_to(operand(all), root_.shape());
  }

 private:
  static std::optional<double> uniform(const std::vector<double>& numbers) {
    const bool equal = std::all_of(numbers.begin(), numbers.end(), [&](double n) { return n == numbers[0]; });
    return equal ? std::optional(numbers[0]) : std::nullopt;
  }
  Operand operand(Value value) const { return {value, where_}; }
  Value constant(const std::vector<double>& numbers) const {
    Graph& graph = root_.graph();
    if (const auto number = uniform(numbers)) return graph.constant(*number, root_.dtype());
    return graph.constant(Tensor::of<double>(extents_, numbers).cast(root_.dtype()));
  }
  Value times(Value value, const std::vector<double>& factors) const {
    return uniform(factors) == 1.0 ? value : build("multiply", {operand(value), operand(constant(factors))});
  }
  void add(Value part) { sum_ = sum_ ? build("add", {operand(sum_), operand(part)}) : part; }

  Value root_, x_, sum_;
  Extents extents_;
  std::source_location where_;
};

// The kinks of a convex function: those left of its minimum as max(at - x, 0), those right of it as
// max(x - at, 0), so that all parts are 0 or more.
struct Parts {
  std::vector<Column> left, right, gaps;
  Column below, above;  // at the minimum
  std::vector<double> slope, shift;

  explicit Parts(size_t size) : below(size), above(size), slope(size), shift(size), size_(size) {}

  void set(size_t i, const Kinks& kinks, double sign, double tolerance) {
    double before = sign * kinks.slope, largest = std::abs(before);
    shift[i] = sign * kinks.shift;
    size_t lefts = 0, rights = 0;
    double rounding = std::abs(shift[i]);
    slope[i] = std::max(before, 0.0);
    const auto is_zero = [&](double s) { return std::abs(s) <= tolerance * largest; };
    for (const Kinks::Kink& kink : kinks.kinks) {
      const double weight = sign * kink.weight;
      largest = std::max(largest, std::abs(before + weight));
      const double after = is_zero(before + weight) ? 0 : before + weight;
      if (before >= 0) {
        put(right, rights++, i, kink.at, weight);
      } else if (after < 0) {
        put(left, lefts++, i, kink.at, weight);
      } else {
        below.at[i] = above.at[i] = kink.at;
        below.weight[i] = is_zero(after + before) ? after : -before;
        above.weight[i] = after;
      }
      before = after;
    }
    if (before < 0) slope[i] = before;  // all of it is left of the minimum
    for (const Column& column : left) remove(i, column, rounding);
    remove(i, below, rounding);
    size_t gap = 0;
    for (const Kinks::Kink& kink : kinks.gaps) {
      put(gaps, gap++, i, kink.at, sign * kink.weight);
      shift[i] -= sign * kink.weight;
      rounding += std::abs(kink.weight);
    }
    if (std::abs(shift[i]) <= tolerance * rounding) shift[i] = 0;
  }

 private:
  void put(std::vector<Column>& columns, size_t index, size_t i, double at, double weight) {
    if (columns.size() <= index) columns.emplace_back(size_);
    columns[index].at[i] = at;
    columns[index].weight[i] = weight;
  }
  void remove(size_t i, const Column& column, double& rounding) {
    shift[i] -= column.weight[i] * column.at[i];
    rounding += std::abs(column.weight[i] * column.at[i]);
  }
  size_t size_;
};

bool is_comparison(const std::string& op) {
  return op == "greater" || op == "greater_equal" || op == "less" || op == "less_equal" || op == "equal";
}

// What the function is for x ≥ 0.
PiecewiseLinear above_zero(const PiecewiseLinear& f) {
  size_t drop = 0;
  while (drop < f.breaks.size() && f.breaks[drop] <= 0) {
    if (f.breaks[drop] == 0 && f.values[drop] != f.pieces[drop + 1](0)) break;
    ++drop;
  }
  const auto from = static_cast<int64_t>(drop);
  return {{f.breaks.begin() + from, f.breaks.end()},
          {f.values.begin() + from, f.values.end()},
          {f.pieces.begin() + from, f.pieces.end()}};
}

// Whether a node of such an op may be more than a sum of kinks as it stands.
bool may_be_simpler(Value root, ElementFunctions& functions, bool comparisons) {
  Graph& graph = root.graph();
  const Node& node = graph.node(root.node());
  const std::string& op = node.op->name;
  const auto is_bent = [&](size_t input) { return !functions(graph.value(node.inputs[input])).is_affine(); };
  if (op == "maximum" || op == "minimum" || op == "select" || op == "leaky_relu" || op == "clip") return true;
  if (op == "abs" || op == "relu" || op == "count_nonzero" || op == "square") return is_bent(0);
  if (op == "multiply")
    return (is_bent(0) || is_bent(1)) && !functions.is_constant(node.inputs[0].node) &&
           !functions.is_constant(node.inputs[1].node);
  if (op == "add" || op == "subtract") return is_bent(0) && is_bent(1);
  return is_comparison(op) && (comparisons || is_bent(0) || is_bent(1));
}

// Whether the sum or difference of two functions is one |x - at|, and none of them is.
bool joins_to_abs(Value root, ElementFunctions& functions, const Parts& parts) {
  const auto symmetric = [](const Parts& p) {
    return p.left.empty() && p.right.empty() && p.gaps.empty() && p.below.weight == p.above.weight;
  };
  if (!symmetric(parts)) return false;
  Graph& graph = root.graph();
  for (const Edge& edge : graph.node(root.node()).inputs) {
    const ElementFunction& input = functions(graph.value(edge));
    for (const PiecewiseLinear& f : input.functions)
      if (f.breaks.size() != 1 || f.pieces[0].slope == -f.pieces[1].slope) return false;
  }
  return true;
}

}  // namespace

namespace {

// Whether a product that mixes elements stands behind the value, as in a loss of rows: it shows no single
// elements of parameters, and is left as it is written.
bool holds_product(Value value) {
  const Graph& graph = value.graph();
  const Edge root{value.node(), value.output()};
  const std::vector<bool> parts = ancestors(graph, {&root, 1});
  for (int32_t id = 0; id <= value.node(); ++id) {
    const Node& node = graph.node(id);
    const Traits& traits = node.op->traits;
    if (parts[id] && !traits.elementwise && !traits.selection && node.inputs.size() > 1 &&
        traits.is_linear(0) && traits.is_linear(node.inputs.size() - 1))
      return true;
  }
  return false;
}

}  // namespace

Value as_kinks(Value root, ElementFunctions& functions, Signs& signs, bool comparisons) {
  if (!is_float(root.dtype())) return {};
  const std::string& op = root.graph().node(root.node()).op->name;
  if (!applied().contains(op)) return {};
  ElementFunction function = functions(root);
  if (!function.of || is_same(function.of, root) || holds_product(function.of)) return {};
  bool straightened = false;
  // What is never 0 does not meet these kinks, and is left as it is written.
  if (signs.is_nonnegative(function.of) && !signs.is_positive(function.of)) {
    const bool bent = !function.is_affine();
    for (PiecewiseLinear& f : function.functions) f = above_zero(f);
    straightened = bent && function.is_affine();
  }
  if (!straightened && !may_be_simpler(root, functions, comparisons)) return {};
  const double tolerance = root.dtype() == f32 ? 4 * 0x1p-23 : 16 * 0x1p-52;
  std::vector<Kinks> kinks;
  bool rises = false, falls = false;
  for (const PiecewiseLinear& f : function.functions) {
    const std::optional<Kinks> found = kinks_of(f, tolerance);
    if (!found) return {};
    for (const Kinks::Kink& kink : found->kinks) (kink.weight > 0 ? rises : falls) = true;
    kinks.push_back(*found);
  }
  if (rises && falls) return {};
  Parts parts(kinks.size());
  for (size_t i = 0; i < kinks.size(); ++i) parts.set(i, kinks[i], falls ? -1 : 1, tolerance);
  if ((op == "add" || op == "subtract") && !straightened && !joins_to_abs(root, functions, parts)) return {};

  Builder builder(root, function);
  for (const Column& column : parts.left) builder.add("relu", column, true);
  if (parts.below.weight == parts.above.weight) {
    builder.add("abs", parts.above, false);
  } else {
    builder.add("relu", parts.above, false);
    builder.add("relu", parts.below, true);
  }
  for (const Column& column : parts.right) builder.add("relu", column, false);
  for (const Column& column : parts.gaps) builder.add("count_nonzero", column, false);
  builder.add_linear(parts.slope);
  builder.add_constant(parts.shift);
  return builder.result(falls);
}

}  // namespace lariat
