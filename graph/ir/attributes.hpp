#pragma once

#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "graph/base/tensor.hpp"

namespace lariat {

class Graph;
struct OpDef;

/// A constant that belongs to a node. A graph is the body of a fused node.
using Attribute = std::variant<bool, int64_t, double, std::string, std::vector<int64_t>, Shape, DType, Tensor,
                               std::shared_ptr<const Graph>>;

/// Which alternative of Attribute a spec asks for; the order is Attribute's own.
enum class AttributeKind { boolean, integer, real, string, integers, shape, dtype, tensor, graph };
std::string_view name_of(AttributeKind kind);

/// A node's attributes, ordered by name. Copies share them until one is set.
class Attributes {
 public:
  Attributes();
  Attributes(std::initializer_list<std::pair<std::string, Attribute>> entries);
  Attributes(const Attributes&);
  Attributes(Attributes&&) noexcept;
  Attributes& operator=(const Attributes&);
  Attributes& operator=(Attributes&&) noexcept;
  ~Attributes();

  void set(std::string name, Attribute value);
  const Attribute* find(std::string_view name) const;
  /// The attribute as a T. Throws InternalError where it is missing or of another kind.
  template <class T>
  const T& get(std::string_view name) const {
    const Attribute* found = find(name);
    const T* value = found ? std::get_if<T>(found) : nullptr;
    if (!value) missing(name);
    return *value;
  }
  auto begin() const { return entries().begin(); }
  auto end() const { return entries().end(); }
  bool empty() const { return entries().empty(); }
  /// The op whose node they belong to: what functions that several records share ask for their record.
  /// nullptr until a graph takes them.
  const OpDef* op() const { return op_; }
  void set_op(const OpDef& op) { op_ = &op; }

 private:
  using Entries = std::vector<std::pair<std::string, Attribute>>;
  [[noreturn]] static void missing(std::string_view name);
  const Entries& entries() const { return entries_ ? *entries_ : none; }

  static const Entries none;
  const OpDef* op_ = nullptr;
  std::shared_ptr<Entries> entries_;
};

}  // namespace lariat
