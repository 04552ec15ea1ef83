#pragma once

#include <iosfwd>
#include <source_location>
#include <span>
#include <string>
#include <type_traits>

#include "graph/base/tensor.hpp"

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
  Graph& graph() const {
    if (!graph_) refuse_empty();
    return *graph_;
  }
  int32_t node() const { return node_; }
  int32_t output() const { return output_; }
  const TensorType& type() const;
  const Shape& shape() const { return type().shape; }
  DType dtype() const { return type().dtype; }
  int rank() const { return static_cast<int>(shape().size()); }
  const std::string& name() const;
  /// Names the node, for messages and pictures; returns the same value.
  Value named(std::string name) const;
  /// Whether both are the same output of the same node. There is no ==, which would read like `equal`, the
  /// comparison of elements.
  friend bool is_same(const Value& a, const Value& b) {
    return a.graph_ == b.graph_ && a.node_ == b.node_ && a.output_ == b.output_;
  }
  friend bool operator==(const Value&, const Value&) = delete;

 private:
  [[noreturn]] static void refuse_empty();
  Graph* graph_ = nullptr;
  int32_t node_ = -1;
  int32_t output_ = 0;
};

/// Whether `value` is one of `values`.
inline bool is_among(std::span<const Value> values, const Value& value) {
  for (const Value& other : values)
    if (is_same(other, value)) return true;
  return false;
}

/// "[matmul] 'fc1' f32[batch, 10] built at train.cpp:42", or "an empty Value".
std::string text(const Value& value);
std::ostream& operator<<(std::ostream& out, const Value& value);

/// An argument of a building function: a value or a number, and the source line it was written on. A number
/// takes the dtype of the other operands.
class Operand {
 public:
  Operand(Value value, std::source_location where = std::source_location::current())
      : value(value), where(where) {}
  template <class Number>
  requires std::is_arithmetic_v<Number> Operand(Number number,
                                                std::source_location where = std::source_location::current())
      : number(static_cast<double>(number)), where(where), is_number_(true) {}

  /// Whether it is neither a value nor a number.
  bool is_empty() const { return !value && !is_number_; }

  Value value;
  double number = 0;
  std::source_location where;

 private:
  bool is_number_ = false;
};

/// A point and the step size of each element (1/d of the metric D): what a prox maps.
struct ProxPoint {
  Value point;
  Value step;
};

}  // namespace lariat
