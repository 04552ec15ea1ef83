#pragma once

#include <optional>
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

/// The term with what is constant in it as constants.
ScalarTerm settled_term(ScalarTerm term);

}  // namespace lariat
