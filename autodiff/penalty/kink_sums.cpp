#include "autodiff/penalty/kink_sums.hpp"

#include <algorithm>
#include <cmath>

#include "autodiff/penalty/loss_terms.hpp"
#include "autodiff/penalty/penalty_view.hpp"
#include "graph/base/random.hpp"
#include "ops/ops.hpp"

namespace lariat {

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
  Builder(Value root, Value of, const Extents& extents) : root_(root), x_(of), extents_(extents) {
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
  // Whether x is in what there is so far.
  bool shows_x() const { return bool(sum_); }
  void add_constant(const std::vector<double>& shift) {
    if (uniform(shift) != 0.0) add(constant(shift));
  }
  Value constant(const std::vector<double>& numbers) const {
    Graph& graph = root_.graph();
    if (const auto number = uniform(numbers)) return graph.constant(*number, root_.dtype());
    return graph.constant(Tensor::of<double>(extents_, numbers).cast(root_.dtype()));
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

double kink_tolerance(DType dtype) { return dtype == f32 ? 4 * 0x1p-23 : 16 * 0x1p-52; }

bool has_bend(const Kinks& kinks, double sign) {
  return std::any_of(kinks.kinks.begin(), kinks.kinks.end(),
                     [&](const Kinks::Kink& kink) { return sign * kink.weight > 0; });
}

// The halves of the weights of the k-th kinks of all functions, which are those of |x - at|.
std::vector<Column> columns_of(const MixedKinks& mixed) {
  std::vector<Column> columns;
  for (size_t i = 0; i < mixed.kinks.size(); ++i)
    for (size_t k = 0; k < mixed.kinks[i].kinks.size(); ++k) {
      const Kinks::Kink& kink = mixed.kinks[i].kinks[k];
      if (columns.size() <= k) columns.emplace_back(mixed.kinks.size());
      columns[k].at[i] = kink.at;
      columns[k].weight[i] = kink.weight / 2;
    }
  return columns;
}

// Whether a node only adds up, selects or multiplies by constants what depends on parameters.
bool is_sum_of_others(const Graph& graph, int32_t id, const std::vector<bool>& moves) {
  const Node& node = graph.node(id);
  for (size_t i = 0; i < node.inputs.size(); ++i)
    if (moves[node.inputs[i].node] && !node.op->traits.is_linear(i)) return false;
  return !joins_parameters(graph, id, moves);
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
    return (is_bent(0) || is_bent(1)) && !graph.is_constant(node.inputs[0].node) &&
           !graph.is_constant(node.inputs[1].node);
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

// Whether an input of a sum is neither convex nor concave: what the sum makes convex of is no penalty by
// itself.
bool takes_up_other_kinks(Value root, ElementFunctions& functions, double tolerance) {
  Graph& graph = root.graph();
  for (const Edge& edge : graph.node(root.node()).inputs)
    for (const PiecewiseLinear& f : functions(graph.value(edge)).functions) {
      const std::optional<Kinks> found = kinks_of(f, tolerance);
      if (!found) continue;
      if (has_bend(*found, 1) && has_bend(*found, -1)) return true;
    }
  return false;
}

}  // namespace

Value as_kinks(Value root, ElementFunctions& functions, Signs& signs, bool comparisons) {
  if (!is_float(root.dtype())) return {};
  const std::string& op = root.graph().node(root.node()).op->name;
  if (!ElementFunctions::looks_into(op) || is_constant(root)) return {};
  ElementFunction function = functions(root);
  if (!function.of || is_same(function.of, root) || functions.holds_product(function.of.node())) return {};
  bool straightened = false;
  // What is never 0 does not meet these kinks, and is left as it is written.
  if (signs.is_nonnegative(function.of) && !signs.is_positive(function.of)) {
    const bool bent = !function.is_affine();
    for (PiecewiseLinear& f : function.functions) f = above_zero(f);
    straightened = bent && function.is_affine();
  }
  if (!straightened && !may_be_simpler(root, functions, comparisons)) return {};
  const double tolerance = kink_tolerance(root.dtype());
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
  if ((op == "add" || op == "subtract") && !straightened && !joins_to_abs(root, functions, parts) &&
      !takes_up_other_kinks(root, functions, tolerance))
    return {};

  Builder builder(root, function.of, function.extents);
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
  // A constant would hide that x is NaN.
  const Node& of = root.graph().node(function.of.node());
  if (!builder.shows_x() && of.op->traits.source == SourceKind::none && !of.op->traits.selection) return {};
  builder.add_constant(parts.shift);
  return builder.result(falls);
}

std::vector<MixedKinks> mixed_kinks(Graph& graph, const std::vector<bool>& eligible,
                                    ElementFunctions& functions) {
  std::vector<MixedKinks> result;
  const std::vector<bool> moves = on_parameters(graph);
  for (int32_t id = 0; id < static_cast<int32_t>(eligible.size()); ++id) {
    const Value value(&graph, id);
    const Node& node = graph.node(id);
    if (!eligible[id] || node.outputs.size() != 1 || !is_float(value.dtype()) || !is_known(value.shape()) ||
        !ElementFunctions::looks_into(node.op->name) || is_sum_of_others(graph, id, moves))
      continue;
    const ElementFunction& function = functions(value);
    if (!function.of || is_same(function.of, value) || functions.holds_product(function.of.node())) continue;
    MixedKinks mixed{value, function.of, function.extents, {}};
    bool rises = false, falls = false, known = true;
    for (const PiecewiseLinear& f : function.functions) {
      std::optional<Kinks> found = kinks_of(f, kink_tolerance(value.dtype()));
      known = known && found && found->gaps.empty();
      if (!known) break;
      rises = rises || has_bend(*found, 1), falls = falls || has_bend(*found, -1);
      mixed.kinks.push_back(std::move(*found));
    }
    if (known && rises && falls) result.push_back(std::move(mixed));
  }
  return result;
}

Value as_signed_sum(const MixedKinks& mixed) {
  // w/2·|x - at| has the slope -w/2 on the left, and w/2·at to the left of 0.
  std::vector<double> slope, shift;
  for (const Kinks& kinks : mixed.kinks) {
    slope.push_back(kinks.slope), shift.push_back(kinks.shift);
    double largest = std::abs(kinks.slope), rounding = std::abs(kinks.shift);
    for (const Kinks::Kink& kink : kinks.kinks) {
      const double half = kink.weight / 2;
      slope.back() += half, shift.back() -= half * kink.at;
      largest = std::max(largest, std::abs(half)), rounding += std::abs(half * kink.at);
    }
    const double tolerance = kink_tolerance(mixed.node.dtype());
    if (std::abs(slope.back()) <= tolerance * largest) slope.back() = 0;
    if (std::abs(shift.back()) <= tolerance * rounding) shift.back() = 0;
  }
  Builder builder(mixed.node, mixed.of, mixed.extents);
  for (const Column& column : columns_of(mixed)) builder.add("abs", column, false);
  builder.add_linear(slope);
  builder.add_constant(shift);
  return builder.result(false);
}

ScalarTerm scalar_term(const MixedKinks& mixed, Value weight) {
  const Builder builder(mixed.node, mixed.of, mixed.extents);
  ScalarTerm term;
  for (const Column& column : columns_of(mixed))
    term.kinks.push_back({builder.constant(column.at), {}, weight * builder.constant(column.weight)});
  return term;
}

ScalarTerm scalar_term(const ScalarPenalty& scalar, Value weight) {
  Graph& graph = weight.graph();
  const auto number = [&](double value) { return graph.constant(value, weight.dtype()); };
  const auto place = [&](double at) { return at == 0 ? Value() : number(at); };
  ScalarTerm term;
  if (scalar.quadratic != 0) term.quadratic = scalar.quadratic == 1 ? weight : scalar.quadratic * weight;
  for (const ScalarPenalty::Kink& kink : scalar.kinks) {
    const bool symmetric = kink.slope_below == -kink.slope_above;
    const auto slope = [&](double value) { return value == 1 ? weight : value * weight; };
    term.kinks.push_back(
        {place(kink.at), symmetric ? Value() : slope(kink.slope_below), slope(kink.slope_above)});
  }
  if (std::isfinite(scalar.low)) term.low = number(scalar.low);
  if (std::isfinite(scalar.high)) term.high = number(scalar.high);
  return term;
}

size_t KinkPlaces::operator()(Value at) {
  if (at && uniform_value(at) == 0.0) at = {};
  const Place place{at, at ? constant_value(at) : std::nullopt};
  const uint64_t key =
      place.constant ? hash_bytes(place.constant->view().data, place.constant->bytes())
                     : (at ? static_cast<uint64_t>(at.node()) * 8 + static_cast<uint64_t>(at.output()) : 0);
  const auto is_same_place = [&](const Place& other) {
    if (!at || !other.at) return !at && !other.at;
    return is_same(at, other.at) ||
           (place.constant && other.constant && same_bits(*place.constant, *other.constant));
  };
  for (auto [known, last] = by_hash_.equal_range(key); known != last; ++known)
    if (is_same_place(places_[known->second])) return known->second;
  by_hash_.emplace(key, places_.size());
  places_.push_back(place);
  return places_.size() - 1;
}

void add_to(ScalarTerm::Kink& kink, const ScalarTerm::Kink& more) {
  if (kink.below || more.below)
    kink.below = (kink.below ? kink.below : -kink.above) + (more.below ? more.below : -more.above);
  kink.above = kink.above + more.above;
}

Value bend_at(const ScalarTerm::Kink& kink) {
  return settled(kink.below ? kink.above - kink.below : 2 * kink.above);
}

double largest_slope(std::span<const ScalarTerm::Kink> kinks) {
  double largest = 0;
  for (const ScalarTerm::Kink& kink : kinks)
    if (const auto above = constant_value(kink.above))
      for (int64_t i = 0; i < above->count(); ++i) largest = std::max(largest, std::abs(above->at(i)));
  return largest;
}

void ScalarSum::add(const ScalarTerm& more) {
  if (more.quadratic) sum_.quadratic = sum_.quadratic ? sum_.quadratic + more.quadratic : more.quadratic;
  for (const ScalarTerm::Kink& kink : more.kinks) {
    const size_t place = places_(kink.at);
    if (place == sum_.kinks.size()) {
      sum_.kinks.push_back(kink);
    } else {
      add_to(sum_.kinks[place], kink);
    }
  }
  if (more.low) sum_.low = sum_.low ? maximum(sum_.low, more.low) : more.low;
  if (more.high) sum_.high = sum_.high ? minimum(sum_.high, more.high) : more.high;
}

ScalarTerm settled_term(ScalarTerm term) {
  const auto settle = [](Value& value) {
    if (value) value = settled(value);
  };
  settle(term.quadratic), settle(term.low), settle(term.high);
  for (ScalarTerm::Kink& kink : term.kinks) settle(kink.at), settle(kink.below), settle(kink.above);
  return term;
}

}  // namespace lariat
