#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <type_traits>

namespace lariat {

enum class DType : uint8_t { f32, f64, i32 };
inline constexpr DType f32 = DType::f32, f64 = DType::f64, i32 = DType::i32;

constexpr size_t size_of(DType dtype) { return dtype == f64 ? 8 : 4; }
constexpr bool is_float(DType dtype) { return dtype != i32; }
constexpr std::string_view name_of(DType dtype) {
  return dtype == f32 ? "f32" : dtype == f64 ? "f64" : "i32";
}

/// The dtype called `name`, or nothing.
constexpr std::optional<DType> dtype_named(std::string_view name) {
  for (DType dtype : {f32, f64, i32})
    if (name_of(dtype) == name) return dtype;
  return std::nullopt;
}

template <class T>
inline constexpr DType dtype_of = [] {
  static_assert(sizeof(T) == 0, "a tensor holds float, double or int32_t");
  return f32;
}();
template <>
inline constexpr DType dtype_of<float> = f32;
template <>
inline constexpr DType dtype_of<double> = f64;
template <>
inline constexpr DType dtype_of<int32_t> = i32;

/// Calls `function` with a value of the C++ type that `dtype` stands for.
template <class Function>
decltype(auto) with_type(DType dtype, Function&& function) {
  switch (dtype) {
    case f32:
      return function(float{});
    case f64:
      return function(double{});
    default:
      return function(int32_t{});
  }
}

/// `value` as a To. C++ leaves open what a number becomes that an int32_t cannot hold: NaN becomes 0, the
/// rest the nearest limit.
template <class To, class From>
constexpr To converted(From value) {
  if constexpr (std::is_same_v<To, int32_t> && std::is_floating_point_v<From>) {
    if (value != value) return 0;
    if (value >= static_cast<From>(0x1p31)) return INT32_MAX;
    if (value <= static_cast<From>(-0x1p31)) return INT32_MIN;
  }
  return static_cast<To>(value);
}

}  // namespace lariat
