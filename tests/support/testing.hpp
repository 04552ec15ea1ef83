#pragma once

#include <doctest/doctest.h>

#include <cmath>
#include <string>

#include "graph/base/tensor.hpp"

namespace lariat::testing {

/// Whether ./run nightly runs the tests, which then try a hundred times as much.
bool is_nightly();

/// The seeds of a test over random cases: from `first` on, so many.
struct SeedRange {
  uint64_t first = 0;
  int64_t count = 0;
};
/// 0 and so many as are usual or nightly; LARIAT_SEEDS=FIRST:COUNT says others, one case again or a part of a
/// long run.
SeedRange seed_range(int64_t usual, int64_t nightly);

/// Marks the running test case as skipped and says why; return from the test after it.
void skip(const char* reason);

/// The message of the exception that `action` throws as `ErrorType`; fails the test where it throws none.
template <class ErrorType, class Action>
std::string message_of(Action&& action) {
  try {
    action();
  } catch (const ErrorType& error) {
    return error.what();
  }
  FAIL("nothing was thrown");
  return {};
}

inline bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

/// max |a - b| of two tensors of the same extents.
inline double largest_difference(const Tensor& a, const Tensor& b) {
  REQUIRE(a.extents() == b.extents());
  double largest = 0;
  for (int64_t i = 0; i < a.count(); ++i) largest = std::max(largest, std::abs(a.at(i) - b.at(i)));
  return largest;
}

}  // namespace lariat::testing
