#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "graph/base/dtype.hpp"

namespace lariat {

/// The shape of data in memory, outermost dimension first; a scalar has none.
using Extents = std::vector<int64_t>;

/// Product of all extents. Throws UserError where it exceeds what 64 bits can address.
int64_t element_count(const Extents& extents);

/// "[32, 784]".
std::string text(const Extents& extents);

/// The sizes that symbols stand for in one run, by name.
using Bindings = std::map<std::string, int64_t, std::less<>>;

/// One dimension of a shape: a number, or a polynomial over symbols such as `batch` and `time` and over
/// floor quotients of such polynomials. Kept in normal form, so equal dimensions compare equal.
class Dim {
 public:
  constexpr Dim(int64_t size = 0) : size_(size) {}
  static Dim symbol(std::string_view name);

  bool known() const { return expression_ == nullptr; }
  /// The number. Throws UserError for a dimension that is not known.
  int64_t size() const;
  /// The symbol's name where the dimension is exactly one symbol, else "".
  std::string symbol_name() const;
  /// The number under `bindings`. Throws UserError for a symbol without a binding.
  int64_t evaluate(const Bindings& bindings) const;
  std::string text() const;
  /// Reads what text() wrote. Throws UserError naming the text where it is malformed.
  static Dim parse(std::string_view text);

  friend Dim operator+(Dim a, Dim b);
  friend Dim operator-(Dim a, Dim b);
  friend Dim operator*(Dim a, Dim b);
  /// ⌊a / divisor⌋ for a positive divisor.
  friend Dim floor_divide(Dim a, int64_t divisor);
  friend bool operator==(Dim a, Dim b) { return a.size_ == b.size_ && a.expression_ == b.expression_; }

  struct Expression;

 private:
  static Dim interned(const Expression& expression);
  Expression expand() const;

  int64_t size_ = 0;
  const Expression* expression_ = nullptr;
};

namespace dim {
/// The customary symbols: sequences in a batch, and steps in a sequence.
inline const Dim batch = Dim::symbol("batch");
inline const Dim time = Dim::symbol("time");
}  // namespace dim

using Shape = std::vector<Dim>;

/// Product of all dimensions; checked where they are known.
Dim element_count(const Shape& shape);
std::string text(const Shape& shape);
/// Reads "[batch, 784]".
Shape parse_shape(std::string_view text);
bool is_known(const Shape& shape);
/// The extents under `bindings`.
Extents evaluate(const Shape& shape, const Bindings& bindings);
Shape to_shape(const Extents& extents);

/// The shape both broadcast to by numpy's rule (aligned at the last dimension, 1 stretches), or nothing.
std::optional<Shape> broadcast(const Shape& a, const Shape& b);

/// What a value is before it has data.
struct TensorType {
  DType dtype = f32;
  Shape shape;
  friend bool operator==(const TensorType&, const TensorType&) = default;
};

/// "f32[batch, 784]".
std::string text(const TensorType& type);

}  // namespace lariat
