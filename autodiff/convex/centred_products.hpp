#pragma once

#include <set>
#include <string>

#include "autodiff/convex/separable_penalty.hpp"
#include "graph/ir/graph.hpp"

namespace lariat::convex {

/// A loss of products X·W with constant X, as it is in coordinates that gradient methods get on with: columns
/// of X are centred where a parameter that is added to the product takes their means up, and of about the
/// same size where the penalty's prox is known in other units. W = units·V, and b = b' − μᵀW.
class CentredProducts {
 public:
  /// `cut` are the nodes of `terms`, which the loss is taken without; columns by the parameters in `unscaled`
  /// keep their sizes.
  CentredProducts(Value loss, const Coordinates& coordinates, const std::vector<PenaltyTerm>& terms,
                  std::span<const Value> cut, const std::set<std::string, std::less<>>& unscaled);
  CentredProducts(const CentredProducts&) = delete;

  /// Whether there is any such product.
  bool any() const { return !products_.empty(); }
  /// The loss without penalties in these coordinates, by parameters of the same names.
  Value loss() { return graph_.find_output("loss"); }
  /// Whether the columns of every product are centred and of about the same size.
  bool all_conditioned() const;
  /// Of all coordinates: powers of two.
  const std::vector<double>& units() const { return units_; }
  /// What slopes by each coordinate are to be measured by: of weights of products and their biases the
  /// largest of all, as if all columns were of the same size; of others `scales`, or the largest of them.
  std::vector<double> references(std::span<const double> scales, bool largest_of_others) const;
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
    bool scaled = false;
  };
  // What takes the means of a product's columns up: the node of a parameter, or -1.
  static int32_t bias_of(const Graph& graph, const std::vector<std::vector<int32_t>>& readers,
                         int32_t product, int64_t outputs, const std::vector<PenaltyTerm>& terms);
  void move(std::vector<double>& w, double sign) const;

  Graph graph_;
  std::vector<Product> products_;
  std::vector<double> units_;
  // Those in which columns are of about the same size, also of those that keep theirs; 0 of coordinates that
  // are neither weights of a product nor its bias.
  std::vector<double> units_of_columns_;
};

}  // namespace lariat::convex
