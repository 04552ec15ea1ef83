#pragma once

#include <initializer_list>
#include <iosfwd>
#include <memory>
#include <span>

#include "graph/base/shape.hpp"

namespace lariat {

/// Data that someone else owns: dtype, extents and a pointer to row-major, dense elements.
struct TensorView {
  void* data = nullptr;
  DType dtype = f32;
  Extents extents;

  int64_t count() const {
    int64_t n = 1;
    for (int64_t extent : extents) n *= extent;
    return n;
  }
  int64_t extent(int axis) const { return extents[axis < 0 ? extents.size() + axis : axis]; }
  int rank() const { return static_cast<int>(extents.size()); }
  size_t bytes() const { return static_cast<size_t>(count()) * size_of(dtype); }
  template <class T>
  T* as() const {
    return static_cast<T*>(data);
  }
};

/// A dense row-major array and its memory, which is aligned to 64 bytes unless it came from elsewhere. Copies
/// share it; clone() does not.
class Tensor {
 public:
  /// A scalar zero.
  Tensor() : Tensor(f32, {}) {}
  /// Zeros. Throws UserError where no memory could be so large, and OutOfMemory, which is no Error, where it
  /// is refused.
  Tensor(DType dtype, Extents extents);

  /// A tensor of T's dtype holding `values`; their number must match `extents`.
  template <class T>
  static Tensor of(Extents extents, std::span<const T> values);
  template <class T>
  static Tensor of(Extents extents, std::initializer_list<T> values) {
    return of<T>(std::move(extents), std::span<const T>(values.begin(), values.size()));
  }
  /// A tensor on elements that are elsewhere, row-major at `data` for as long as `owner` lives, without a
  /// copy. Throws UserError where `data` is null though there are elements.
  static Tensor on(DType dtype, Extents extents, void* data, std::shared_ptr<void> owner);
  static Tensor scalar(double value, DType dtype = f32);
  static Tensor filled(DType dtype, Extents extents, double value);

  DType dtype() const { return view_.dtype; }
  const Extents& extents() const { return view_.extents; }
  int64_t count() const { return view_.count(); }
  size_t bytes() const { return view_.bytes(); }
  const TensorView& view() const { return view_; }
  TensorType type() const { return {view_.dtype, to_shape(view_.extents)}; }

  /// The elements. Throws UserError where T is not the tensor's type.
  template <class T>
  T* data() const {
    check_type(dtype_of<T>);
    return view_.as<T>();
  }
  template <class T>
  std::span<T> values() const {
    return {data<T>(), static_cast<size_t>(count())};
  }
  /// Element `index` in row-major order, converted to double. Throws UserError where there is none.
  double at(int64_t index) const;
  /// The one element of a tensor of count 1.
  double item() const;
  Tensor clone() const;
  /// The same elements as another dtype.
  Tensor cast(DType dtype) const;

 private:
  void check_type(DType asked) const;
  void check_count(size_t given) const;

  std::shared_ptr<std::byte> memory_;
  TensorView view_;
};

template <class T>
Tensor Tensor::of(Extents extents, std::span<const T> values) {
  Tensor result(dtype_of<T>, std::move(extents));
  result.check_count(values.size());
  T* out = result.data<T>();
  for (size_t i = 0; i < values.size(); ++i) out[i] = values[i];
  return result;
}

/// Equal dtype, extents and bits.
bool same_bits(const Tensor& a, const Tensor& b);

/// "f32[2, 2] {{1, 2}, {3, 4}}"; of a long axis the first elements and the last.
std::string text(const Tensor& tensor);
std::ostream& operator<<(std::ostream& out, const Tensor& tensor);

/// Memory aligned to 64 bytes and freed with the last owner; its bytes are not set. Throws UserError where
/// the system has not that much.
std::shared_ptr<std::byte> allocate_bytes(size_t bytes);

}  // namespace lariat
