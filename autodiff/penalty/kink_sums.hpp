#pragma once

#include <optional>
#include <span>
#include <unordered_map>
#include <vector>

#include "autodiff/penalty/element_functions.hpp"
#include "autodiff/penalty/penalty.hpp"
#include "autodiff/penalty/signs.hpp"

namespace lariat {

/// A kinked value once more as slope·x + shift + Σ weights·(|x - at|, max(x - at, 0), max(at - x, 0) or
/// [x ≠ at]), times -1 where it is concave; kinks below 0 are left out of functions of what is 0 or more.
/// Empty where it is neither convex nor concave, leaps, or is such a sum already. A bare comparison is left
/// alone unless `comparisons`.
Value as_kinks(Value root, ElementFunctions& functions, Signs& signs, bool comparisons);

/// A node that is a function of the elements of one value which bends up at some of its kinks and down at
/// others, as ||w| - 1| is: no penalty by itself, but a sum may be one.
struct MixedKinks {
  Value node, of;
  /// Of the kinks; they and `of` broadcast together to the node's shape.
  Extents extents;
  std::vector<Kinks> kinks;
};
/// Those of the nodes that `eligible` allows, but for sums and multiples of others.
std::vector<MixedKinks> mixed_kinks(Graph& graph, const std::vector<bool>& eligible,
                                    ElementFunctions& functions);
/// The node once more as slope·x + shift + Σ weight·|x - at|, with weights of both signs.
Value as_signed_sum(const MixedKinks& mixed);
/// Its kinks times what weighs the node.
ScalarTerm scalar_term(const MixedKinks& mixed, Value weight);
/// The φ of a record on each element of its argument, times the weight.
ScalarTerm scalar_term(const ScalarPenalty& scalar, Value weight);

/// Numbers the places of kinks, from 0 on; one that was there before has its number again.
class KinkPlaces {
 public:
  /// An empty value is 0.
  size_t operator()(Value at);

 private:
  struct Place {
    Value at;
    std::optional<Tensor> constant;
  };
  std::vector<Place> places_;
  std::unordered_multimap<uint64_t, size_t> by_hash_;
};

/// Adds up scalar terms: kinks at the same place become one.
class ScalarSum {
 public:
  void add(const ScalarTerm& more);
  const ScalarTerm& sum() const { return sum_; }

 private:
  ScalarTerm sum_;
  KinkPlaces places_;
};

/// kink + more, of the same place.
void add_to(ScalarTerm::Kink& kink, const ScalarTerm::Kink& more);

/// By how much the slope grows at a kink.
Value bend_at(const ScalarTerm::Kink& kink);
/// The largest constant slope above a kink.
double largest_slope(std::span<const ScalarTerm::Kink> kinks);
/// Whether a sum of such slopes is below 0 by rounding only.
inline bool is_rounding(double negative, double largest) { return -negative <= 1e-6 * largest; }

/// The term with what is constant in it as constants.
ScalarTerm settled_term(ScalarTerm term);

}  // namespace lariat
