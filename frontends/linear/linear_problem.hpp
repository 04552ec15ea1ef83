#pragma once

#include <string>
#include <vector>

#include "frontends/data/labelled_rows.hpp"
#include "frontends/linear/penalty_spec.hpp"
#include "graph/io/store.hpp"

namespace lariat {

/// "logistic": Σ log(1 + exp(−y·z)), "squared": Σ ½(z − y)², "hinge-squared": Σ max(0, 1 − y·z)².
const std::vector<std::string>& linear_losses();

/// A linear model z = X·w + b and what is made small of it: the sum of a loss over rows, and penalties of w.
struct LinearProblem {
  /// One of linear_losses(); all but "squared" take the labels -1 and 1.
  std::string loss = "logistic";
  std::vector<PenaltySpec> penalty = {};
  /// Added to each row, and not penalised.
  bool bias = false;

  bool classifies() const { return loss != "squared"; }
  /// Throws UserError where all rows are of one class, and a bias would grow without end; `which` says of
  /// which rows.
  void check_classes(const data::LabelledRows& rows, const std::string& which) const;
  /// The loss of `rows` as an ordinary graph with the parameter "w" and, where asked for, "b".
  Value build(Graph& graph, const data::LabelledRows& rows) const;
  /// X·w + b of those rows.
  Value prediction(Graph& graph, const data::LabelledRows& rows) const;
  /// The parameters with a weight for every column of the data.
  Store with_all_columns(const Store& store, const data::LabelledRows& rows) const;

  /// "logistic loss + 1*l1".
  std::string title() const;
  /// The coefficient of Σ|w|.
  double l1() const;
  /// Whether a term other than squares has a coefficient.
  bool makes_zeros() const;
};

}  // namespace lariat
