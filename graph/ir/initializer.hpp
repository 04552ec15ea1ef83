#pragma once

#include <string>

#include "graph/base/tensor.hpp"

namespace lariat {

/// How a parameter's first value is drawn. fan_in and fan_out are the last two dimensions of a matrix;
/// leading dimensions (a convolution's window) multiply both.
struct Initializer {
  /// "constant", "uniform", "normal", "glorot_uniform", "he_normal", "orthogonal".
  std::string kind = "constant";
  /// The constant, half-width of the uniform, standard deviation of the normal, or gain of the others.
  double scale = 0;
};

namespace init {
inline Initializer zeros() { return {"constant", 0}; }
inline Initializer constant(double value) { return {"constant", value}; }
/// Uniform in [-half_width, half_width].
inline Initializer uniform(double half_width) { return {"uniform", half_width}; }
inline Initializer normal(double standard_deviation) { return {"normal", standard_deviation}; }
/// Uniform in ±gain·sqrt(6/(fan_in + fan_out)). Glorot and Bengio (2010), eq. 16.
inline Initializer glorot_uniform(double gain = 1) { return {"glorot_uniform", gain}; }
/// Normal with standard deviation gain·sqrt(2/fan_in). He et al. (2015), eq. 10.
inline Initializer he_normal(double gain = 1) { return {"he_normal", gain}; }
/// Orthonormal rows or columns, times gain. Saxe et al. (2014).
inline Initializer orthogonal(double gain = 1) { return {"orthogonal", gain}; }
}  // namespace init

/// Draws the first value of the parameter `name`: depends on seed, name and extents only.
Tensor initialize(const Initializer& initializer, std::string_view name, const Extents& extents, DType dtype,
                  uint64_t seed);

}  // namespace lariat
