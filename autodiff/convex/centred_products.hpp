#pragma once

#include "autodiff/convex/separable_penalty.hpp"
#include "graph/ir/graph.hpp"

namespace lariat::convex {

/// A loss of products X·W with constant X, as it is in coordinates that gradient methods get on with: columns
/// of X are centred where a parameter that is added to the product takes their means up, and of about the
/// same size where the penalty says what it is in other units. W = units·V, and b = b' − μᵀW.
class CentredProducts {
 public:
  /// `cut` are the nodes of `terms`, which the loss is taken without; `scales` says whether columns may be.
  CentredProducts(Value loss, const Coordinates& coordinates, const std::vector<PenaltyTerm>& terms,
                  std::span<const Value> cut, bool scales);
  CentredProducts(const CentredProducts&) = delete;

  /// Whether there is any such product.
  bool any() const { return !products_.empty(); }
  /// The loss without penalties in these coordinates, by parameters of the same names.
  Value loss() { return graph_.find_output("loss"); }
  /// Of all coordinates: powers of two.
  const std::vector<double>& units() const { return units_; }
  std::vector<double> as_written(std::span<const double> v) const;
  std::vector<double> centred(std::span<const double> w) const;
  /// At most how large slopes by the coordinates as written are, of those in these.
  std::vector<double> slopes_as_written(std::span<const double> slopes) const;
  /// How many columns have means so far from 0 that weights as written, in double, say too little of them.
  size_t far_from_centred() const;

 private:
  struct Product {
    int64_t weights = 0, bias = -1;     // where their coordinates begin; no bias: not centred
    int64_t columns = 0, outputs = 0;   // of W
    std::vector<double> means, widths;  // of each column
  };
  // What takes the means of a product's columns up: the node of a parameter, or -1.
  static int32_t bias_of(const Graph& graph, const std::vector<std::vector<int32_t>>& readers,
                         int32_t product, const std::vector<PenaltyTerm>& terms);
  void move(std::vector<double>& w, double sign) const;

  Graph graph_;
  std::vector<Product> products_;
  std::vector<double> units_;
};

}  // namespace lariat::convex
