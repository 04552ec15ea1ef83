#pragma once

#include <optional>

#include "autodiff/penalty/rewrite_report.hpp"
#include "graph/ir/builder.hpp"
#include "graph/ir/graph.hpp"
#include "graph/ir/op_def.hpp"

namespace lariat {

/// quadratic·w² + Σ kinks within [low, high], element by element of one parameter w. All values
/// have the parameter's shape or are scalars; an empty one says 0, or no limit.
struct ScalarTerm {
  struct Kink {
    Value at;
    /// Slopes on either side of `at`; an empty one below says -above.
    Value below, above;
  };
  Value quadratic;
  std::vector<Kink> kinks;
  Value low, high;

  /// Whether it is more than a square.
  bool bends() const { return !kinks.empty() || low || high; }
};

/// A term h = Σᵢ weightᵢ φᵢ of a loss, φ being the function of a penalty record on views of parameters.
struct PenaltyTerm {
  /// The node whose backward edge is cut.
  Value node;
  const Penalty* penalty = nullptr;
  /// One for a scalar term; a structured one may span several.
  std::vector<std::string> parameters;
  /// For penalties that are functions of single elements. Where coefficients count as a sum only, the first
  /// term on a parameter has it, and the others are empty.
  std::optional<ScalarTerm> scalar;
  /// For structured penalties: what φ is applied to, and the adjoint of its result.
  Value argument, weight;
  /// Whether elements of the argument combine several of the parameters' elements, such as w - v, of which
  /// none is in two; see CombinedView. A function of single elements is structured then, too.
  bool combines = false;
  /// Whether kinks or bounds of scalar terms are on its elements, and whether its prox takes them in.
  bool meets_kinks = false, takes_kinks = false;
  /// Where one number is the coefficient of all elements, but for a scheduled factor that `text` names.
  std::optional<double> coefficient;
  /// "0.01 * |w|"; empty where another term's says it.
  std::string text;
  std::source_location where;

  bool is_of(std::string_view parameter) const;
  /// The parameters, as they are in the node's graph.
  std::vector<Value> parameter_values() const;
  /// Of a function of single elements that `combines`: what it is on those of the argument.
  ScalarTerm on_argument() const;
};

struct PenaltySplit {
  std::vector<PenaltyTerm> terms;
  std::vector<Refusal> refusals;
  /// The terms of parameters alone that are smooth and stay in the smooth loss.
  std::vector<RewriteReport::Smooth> smooth;
};

/// Which smooth terms, such as x², are penalty terms: those of a parameter with a kink from another term, or
/// all.
enum class SmoothTerms { beside_kinks, all };

/// Which terms a split keeps: those whose prox on a parameter is exact together, or all whose form is known.
enum class Sums { exact, all };

/// Finds the penalty terms of `loss`: nodes whose record is a penalty, on which the loss depends linearly,
/// and whose argument is a scaled and shifted view of `parameters`. Every other term of parameters alone is
/// named: as refused where it has a kink, else as smooth (only in a search for terms beside kinks). Adds
/// nodes for the weights. `of_all` takes the split with Sums::all as well. Throws UserError (L104) where
/// constant weights add up to less than 0.
PenaltySplit split_penalties(Value loss, const std::vector<Value>& parameters,
                             SmoothTerms smooth = SmoothTerms::beside_kinks, Sums sums = Sums::exact,
                             PenaltySplit* of_all = nullptr);

/// A spelling that looks like a penalty with a kink and has none.
struct SmoothSpelling {
  int32_t node;
  std::string what;
  Value of;  ///< the value that it is a smooth function of
};
/// The smooth spellings among the nodes that `eligible` allows, each at its last node.
std::vector<SmoothSpelling> smooth_spellings(Graph& graph, const std::vector<bool>& eligible);

/// The nodes within functions that are smooth only as a whole, as Huber's loss is where it is m²/2 + (|x| −
/// m) with m = min(|x|, 1): turned into a penalty, such a part would have kinks that the rest takes up.
std::vector<bool> parts_of_smooth_functions(Graph& graph, const std::vector<bool>& eligible);

/// Copies the graph of `loss` into `to` with spellings of a penalty turned into its op, and arguments of
/// penalties into views of parameters where they come to one; only values that no data enter are touched.
/// Returns the loss in `to`, which has the same values and, away from kinks, gradients.
Value canonicalize_penalties(Value loss, Graph& to);

/// The formula with `name` for the x that stands alone, and numbers for attributes.
std::string with_names(const Penalty& penalty, const std::string& name, const Attributes& attributes);

/// Gives the term its text and, where it is one number, its coefficient: "0.01 * |w - 1|", all factors and
/// shifts included.
void describe(PenaltyTerm& term);

}  // namespace lariat
