#pragma once

#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "graph/ir/graph.hpp"

namespace lariat {

/// factor·(element) + … + shift: one element of a value, by numbers of elements of parameters.
struct LinearRow {
  std::vector<std::pair<int64_t, double>> entries;  // by rising number
  double shift = 0;
};

/// Numbers the elements of parameters, one parameter behind the other in the order of their graph: of all of
/// a graph, or of those that stand behind a value, in time by its size alone.
class ParameterElements {
 public:
  explicit ParameterElements(Graph& graph);
  explicit ParameterElements(Value value);

  /// The value's elements as sums of elements and a constant; nothing where it is none, or too large a one.
  std::optional<std::vector<LinearRow>> rows_of(Value value) const;
  /// A vector of these elements.
  Value gathered(const std::vector<int64_t>& elements, DType dtype, std::source_location where) const;
  /// The parameter that has the element, and its place there.
  std::pair<Value, int64_t> find(int64_t element) const;

 private:
  void add(Value parameter);

  std::vector<Value> parameters_;
  std::vector<int64_t> starts_{0};
  std::map<int32_t, int64_t> start_of_;  // by parameter
};

/// Whether a value is made by ops alone through which its elements may be sums of elements, so far as it is
/// `on_parameters`. Looks no further than to the first that is none.
bool may_be_rows(Value value, const std::vector<bool>& on_parameters);

/// Whether the elements are differences, some of the same element: the steps between the rows of a matrix,
/// say.
bool are_shared_differences(Value value);

}  // namespace lariat
