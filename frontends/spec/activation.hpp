#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "graph/ir/value.hpp"

namespace lariat {

/// A function applied to a layer's output, by name: `relu`, `"relu"`; linear where nothing is given.
class ActivationFunction {
 public:
  ActivationFunction() = default;
  /// One of the element-wise functions of ops.hpp. Throws UserError for a function that is not listed.
  ActivationFunction(Value (*function)(Operand));
  /// Throws UserError with the nearest known name.
  ActivationFunction(std::string_view name);
  ActivationFunction(const char* name) : ActivationFunction(std::string_view(name)) {}
  explicit ActivationFunction(size_t index) : index_(index) {}

  explicit operator size_t() const { return index_; }
  Value operator()(Value x) const;

 private:
  size_t index_ = 0;
};

/// The lowest and highest values that an activation or op of this name leaves; infinite where it leaves any.
struct ValueRange {
  double lowest, highest;
  /// "from 0" or "from -1 to 1".
  std::string text() const;
};
ValueRange range_of_activation(std::string_view name);

/// All names, in the order of their indices; the first is "linear".
const std::vector<std::string>& activation_names();

}  // namespace lariat
