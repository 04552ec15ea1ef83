#pragma once

#include <doctest/doctest.h>

#include <string>

namespace lariat::testing {

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

}  // namespace lariat::testing
