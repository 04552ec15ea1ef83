#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace lariat::benchmarks {

/// Both sides of a comparison fill their tensors from here: `count` numbers in [-scale, scale) that depend on
/// `name` only.
std::vector<float> numbers(const std::string& name, int64_t count, double scale = 1);
/// Labels in [0, classes).
std::vector<int32_t> labels(const std::string& name, int64_t count, int64_t classes);
/// The scale of Glorot and Bengio (2010) for a kernel.
double kernel_scale(int64_t inputs, int64_t outputs);

/// Σ value·number over numbers() of their own: a sum that nearly every change of a value changes.
double covering_sum(std::span<const float> values);

/// Where real data of that name lies: in the folder LARIAT_DATA, where that is set, else in ../shared/data;
/// empty where it is in neither.
std::string data_path(const std::string& name);

/// The LIBSVM set a9a as dense rows and labels 0 or 1: from data_path("libsvm/a9a"), else numbers of the same
/// extents and density.
struct Rows {
  std::vector<float> x, y;
};
Rows a9a(int64_t rows, int64_t columns);

}  // namespace lariat::benchmarks
