#pragma once

#include <string>
#include <vector>

#include "autodiff/convex/solution.hpp"
#include "frontends/data/labelled_rows.hpp"
#include "frontends/linear/penalty_spec.hpp"
#include "graph/io/store.hpp"

namespace lariat {

/// Sums over rows of a function of the prediction z and the label y: "logistic" log(1 + exp(−y·z)), "squared"
/// ½(z − y)², "hinge-squared" max(0, 1 − y·z)², "poisson" exp(z) − y·z for counts y (Nelder and Wedderburn
/// 1972), "huber" ½e² where |e| = |z − y| ≤ δ, else δ(|e| − ½δ) (Huber 1964), and "multinomial"
/// log Σₖ exp(zₖ) − z_y for classes y, with a column of weights for each.
const std::vector<std::string>& linear_losses();

/// A linear model z = X·w + b and what is made small of it: the sum of a loss over rows, and penalties of w.
struct LinearProblem {
  /// One of linear_losses(); logistic and hinge-squared take the labels -1 and 1, multinomial 0, 1, ….
  std::string loss = "logistic";
  std::vector<PenaltySpec> penalty = {};
  /// Added to each row, and not penalised.
  bool bias = false;
  /// Whether rows have a number each that is added to their predictions, such as the logarithm of an
  /// exposure.
  bool offset = false;
  /// Of huber.
  double delta = 1;
  /// Whether the loss is the mean over rows, by their weights, in place of the sum: λ is glmnet's then
  /// (Friedman, Hastie and Tibshirani 2010).
  bool mean = false;
  /// How much all rows count, by their weights, where those given are a rank's share of them; 0: as much as
  /// those given.
  double counted = 0;
  /// What multiplies each column's l1 and l2, of all columns; empty: 1. A column of factor 0 is not
  /// penalised.
  std::vector<double> factors = {};
  /// The group of each column, of all columns, for the penalty `group`; empty: each is one. Where those of a
  /// group lie side by side in the rows, it is less to compute: see data::sort_columns().
  std::vector<double> groups = {};
  /// The labels as the data have them: of two classes, which are -1 and 1 here, or of several, 0, 1, …;
  /// empty: numbers.
  std::vector<double> classes = {};

  /// Whether labels are -1 and 1.
  bool has_signs() const { return loss == "logistic" || loss == "hinge-squared"; }
  bool classifies() const { return has_signs() || loss == "multinomial"; }
  /// Columns of predictions: as many as there are classes, or 1.
  int64_t outputs() const { return loss == "multinomial" ? static_cast<int64_t>(classes.size()) : 1; }
  /// Throws UserError where all rows that count are of one class, and a bias would grow without end; `which`
  /// says of which rows.
  void check_classes(const data::LabelledRows& rows, const std::string& which) const;
  /// Where nothing is penalised and the weights tell the classes apart, the loss of several falls for ever:
  /// the solution is none that has converged then.
  void look_for_vanishing(Solution& solution, const data::LabelledRows& rows, double tolerance) const;
  /// Why a λ_max of 0 makes every weight zero, whatever λ is.
  std::string why_zero(const data::LabelledRows& rows) const;
  /// The loss of `rows` as an ordinary graph with the parameter "w" and, where asked for, "b".
  Value build(Graph& graph, const data::LabelledRows& rows) const;
  /// X·w + b of those rows with their offsets, [rows], or [rows, classes].
  Value prediction(Graph& graph, const data::LabelledRows& rows) const;
  /// The parameters with a weight for every column of the data, of its values as they are in the file.
  Store with_all_columns(const Store& store, const data::LabelledRows& rows) const;

  /// "logistic loss + 1*l1".
  std::string title() const;
  /// The coefficient of Σ|w|.
  double l1() const;
  /// Whether a term other than squares has a coefficient.
  bool makes_zeros() const;
  /// Whether the columns may be put into another order.
  bool ignores_order() const;
  /// Whether columns without entries, whose weights are then zero, may be left out.
  bool ignores_zeros() const;

 private:
  std::vector<ColumnGroup> column_groups(const data::LabelledRows& rows) const;
};

}  // namespace lariat
