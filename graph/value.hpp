#pragma once

#include <source_location>
#include <string>

#include "graph/tensor.hpp"

namespace lariat {

/// "train.cpp:42", or "" where the place is not known.
std::string text(const std::source_location& where);

class Graph;

/// A small handle to one output of a node. Copies refer to the same node; an empty Value refers to none.
class Value {
 public:
  Value() = default;
  Value(Graph* graph, int32_t node, int32_t output = 0) : graph_(graph), node_(node), output_(output) {}

  explicit operator bool() const { return graph_ != nullptr; }
  Graph& graph() const { return *graph_; }
  int32_t node() const { return node_; }
  int32_t output() const { return output_; }
  const TensorType& type() const;
  const Shape& shape() const { return type().shape; }
  DType dtype() const { return type().dtype; }
  int rank() const { return static_cast<int>(shape().size()); }
  const std::string& name() const;
  /// Names the node, for messages and pictures; returns the same value.
  Value named(std::string name) const;
  friend bool operator==(const Value&, const Value&) = default;

 private:
  Graph* graph_ = nullptr;
  int32_t node_ = -1;
  int32_t output_ = 0;
};

/// An argument of a building function: a value or a number, and the source line it was written on. A number
/// takes the dtype of the other operands.
class Operand {
 public:
  Operand(Value value, std::source_location where = std::source_location::current())
      : value(value), where(where) {}
  Operand(double number, std::source_location where = std::source_location::current())
      : number(number), where(where) {}
  Operand(int number, std::source_location where = std::source_location::current())
      : number(number), where(where) {}

  Value value;
  double number = 0;
  std::source_location where;
};

/// A point and the step size of each element (1/d of the metric D): what a prox maps.
struct ProxPoint {
  Value point;
  Value step;
};

}  // namespace lariat
