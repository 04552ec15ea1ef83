#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "graph/ir/graph.hpp"

namespace lariat {

/// A function of one number that is affine between its breaks, perhaps with leaps and single points at them.
struct PiecewiseLinear {
  struct Piece {
    double slope = 0, shift = 0;  // slope·x + shift
    double operator()(double x) const { return slope == 0 ? shift : slope * x + shift; }
  };
  std::vector<double> breaks;  // rising
  std::vector<double> values;  // at the breaks
  std::vector<Piece> pieces;   // one more: before, between and after them

  static PiecewiseLinear constant(double value) { return {{}, {}, {{0, value}}}; }
  static PiecewiseLinear identity() { return {{}, {}, {{1, 0}}}; }

  bool is_affine() const { return breaks.empty(); }
  bool is_constant() const { return breaks.empty() && pieces[0].slope == 0; }
};

/// a·f + b·g.
PiecewiseLinear combination(double a, const PiecewiseLinear& f, double b, const PiecewiseLinear& g);
/// f·g, where everywhere one of them is a constant.
std::optional<PiecewiseLinear> product(const PiecewiseLinear& f, const PiecewiseLinear& g);
/// Where d > 0 `positive`, where d < 0 `negative`, where d = 0 `zero`.
PiecewiseLinear by_sign(const PiecewiseLinear& d, const PiecewiseLinear& positive,
                        const PiecewiseLinear& negative, const PiecewiseLinear& zero);

/// What a function is a sum of, so far as each part is one that penalties are made of:
/// slope·x + shift + Σ kinks, with `weight` for the change of slope at `at`, + Σ gaps·[x ≠ at].
struct Kinks {
  struct Kink {
    double at, weight;
  };
  double slope = 0, shift = 0;  // of the leftmost piece
  std::vector<Kink> kinks, gaps;
};
/// Nothing for a function with leaps. Differences up to `tolerance`, relative, are taken for rounding.
std::optional<Kinks> kinks_of(const PiecewiseLinear& f, double tolerance);

/// Which nodes of a growing graph compute the same: each node's first equal one.
class EqualNodes {
 public:
  explicit EqualNodes(const Graph& graph) : graph_(graph) {}
  int32_t first(int32_t node);
  bool same(Value a, Value b) { return a.output() == b.output() && first(a.node()) == first(b.node()); }

 private:
  const Graph& graph_;
  std::vector<int32_t> first_;
  std::unordered_map<std::string, int32_t> seen_;
};

/// A value as piecewise linear functions of another one, element by element.
struct ElementFunction {
  /// Empty for a constant.
  Value of;
  /// Of the functions; they and `of` broadcast together to the value's shape.
  Extents extents;
  std::vector<PiecewiseLinear> functions;

  /// That of element `index` of the extents `of_value`, to which they broadcast.
  const PiecewiseLinear& at(int64_t index, const Extents& of_value) const;
  template <class Predicate>
  bool all(Predicate holds) const {
    for (const PiecewiseLinear& function : functions)
      if (!holds(function)) return false;
    return true;
  }
  bool is_affine() const {
    return all([](const PiecewiseLinear& f) { return f.is_affine(); });
  }
};

bool is_comparison(std::string_view op);

/// Finds what values of a growing graph are as such functions, through arithmetic with constants, extrema,
/// selections, comparisons and signs. Where these end, a value is the identity of itself.
class ElementFunctions {
 public:
  explicit ElementFunctions(Graph& graph) : graph_(graph), equal_(graph) {}
  const ElementFunction& operator()(Value value);
  /// Whether values of this op are more than the identity of themselves.
  static bool looks_into(std::string_view op);
  EqualNodes& equal() { return equal_; }
  /// Whether no parameter stands behind it, but behind what stops gradients.
  bool is_fixed(int32_t node);
  /// Whether a product that mixes elements stands behind it, as in a loss of rows: it shows no single
  /// elements of parameters, and is left as it is written.
  bool holds_product(int32_t node);
  /// Whether what is not constant only goes in linearly, as into a quotient by a constant.
  bool scales(const Node& node);
  /// Whether it may be NaN though parameters are not: a logarithm, root or quotient is behind it.
  bool may_be_nan(int32_t node);

 private:
  ElementFunction computed(Value value);
  ElementFunction joined(Value value, const ElementFunction& a, const ElementFunction& b);

  Graph& graph_;
  EqualNodes equal_;
  std::map<std::pair<int32_t, int32_t>, ElementFunction> known_;  // by node and output
  std::vector<bool> fixed_, product_, nan_;
};

/// A value, told by the first node that computes the same, and its output.
using ComputedValue = std::pair<int32_t, int32_t>;
/// Which of the values `wanted` are, element by element, a function of one other value that ops with kinks,
/// leaps or conditions make up, and yet are continuous and their slopes too: that other value of each. Judged
/// by values, in double, on both sides of every place where one of those ops bends; not those of which such a
/// place cannot be told.
std::map<int32_t, ComputedValue> smooth_functions(Graph& graph, const std::vector<bool>& wanted,
                                                  ElementFunctions& functions);

}  // namespace lariat
