#pragma once

// Tensors as arrays of xtensor and back, without a copy. A program that includes this includes xtensor.

#include <type_traits>
#include <xtensor/xadapt.hpp>
#include <xtensor/xarray.hpp>

#include "graph/base/tensor.hpp"

namespace lariat {

/// The tensor's own elements as an array of its extents, to read and to write; it is valid as long as a copy
/// of the tensor lives. Throws UserError where T is not the tensor's type.
///
///     xt::sum(as_xarray<float>(store.at("W")), {0})
template <class T>
auto as_xarray(const Tensor& tensor) {
  return xt::adapt(tensor.data<T>(), static_cast<size_t>(tensor.count()), xt::no_ownership(),
                   std::vector<size_t>(tensor.extents().begin(), tensor.extents().end()));
}

/// A tensor of what an expression gives. An array that is moved in is taken as it is; anything else is
/// computed into a new one. Elements are float (f32), double (f64) or int32_t (i32).
template <class Expression>
Tensor to_tensor(Expression&& expression) {
  using T = typename std::decay_t<Expression>::value_type;
  static_assert(std::is_same_v<T, float> || std::is_same_v<T, double> || std::is_same_v<T, int32_t>,
                "tensors hold float, double or int32_t; use xt::cast<float>(…) or another of them");
  const auto array = std::make_shared<xt::xarray<T>>(std::forward<Expression>(expression));
  return Tensor::on(dtype_of<T>, Extents(array->shape().begin(), array->shape().end()), array->data(), array);
}

}  // namespace lariat
