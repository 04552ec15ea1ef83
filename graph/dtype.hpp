#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

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

}  // namespace lariat
