#include "autodiff/check/size_check.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <optional>
#include <set>

#include "graph/base/error.hpp"

namespace lariat {

namespace {

// Past blocks of 64 and 128, and past chunks of a thousand; with a rest behind every width of vectors.
constexpr int64_t some = 131, many = 2077;
// A plugin is checked once, built-in ops with every test.
int64_t most_elements(const OpDef& op) { return op.plugin ? 1 << 20 : 1 << 12; }

int64_t grown(int64_t extent, int64_t at_least) { return (at_least + extent - 1) / extent * extent; }

// The elements whose index along `axis` is i modulo the old extent, for each i below `extent`, shifted by
// `first`.
Tensor tiled(const Tensor& tensor, size_t axis, int64_t first, int64_t extent) {
  Extents extents = tensor.extents();
  const int64_t old = extents[axis];
  extents[axis] = extent;
  Tensor result(tensor.dtype(), extents);
  int64_t before = 1, behind = 1;
  for (size_t d = 0; d < extents.size(); ++d) (d < axis ? before : behind) *= d == axis ? 1 : extents[d];
  const size_t bytes = static_cast<size_t>(behind) * size_of(tensor.dtype());
  const auto* from = static_cast<const std::byte*>(tensor.view().data);
  auto* to = static_cast<std::byte*>(result.view().data);
  for (int64_t b = 0; b < before; ++b)
    for (int64_t i = 0; i < extent; ++i)
      std::memcpy(to + static_cast<size_t>(b * extent + i) * bytes,
                  from + static_cast<size_t>(b * old + (first + i) % old) * bytes, bytes);
  return result;
}

bool has_extent(const Tensor& tensor, size_t axis, int64_t extent) {
  return axis < tensor.extents().size() && tensor.extents()[axis] == extent;
}

// The kernel's outputs on slices along one axis; nothing where it refuses.
std::optional<std::vector<Tensor>> run_slices(const OpCase& c, size_t axis, int64_t old, int64_t first,
                                              int64_t extent) {
  std::vector<Tensor> inputs = c.inputs;
  for (Tensor& input : inputs)
    if (has_extent(input, axis, old)) input = tiled(input, axis, first, extent);
  try {
    return run_op_kernel(*c.node->op, c.node->attributes, inputs);
  } catch (const UserError&) {
    return std::nullopt;
  }
}

// The first element along the axis in which `of` is not what `whole` has there, or "".
std::string different_slice(const Tensor& whole, const Tensor& of, size_t axis, int64_t first) {
  const int64_t extent = of.extents().size() > axis ? of.extents()[axis] : -1;
  const Tensor expected = extent < 0 ? whole : tiled(whole, axis, first, extent);
  if (expected.type() != of.type()) return "another shape";
  double size = 0;
  for (int64_t i = 0; i < whole.count(); ++i)
    if (std::isfinite(whole.at(i))) size = std::max(size, std::abs(whole.at(i)));
  const double most = (of.dtype() == f32 ? 1e-5 : 1e-11) * size;
  for (int64_t i = 0; i < of.count(); ++i) {
    const double a = of.at(i), b = expected.at(i);
    if (a == b || std::abs(a - b) <= most || (std::isnan(a) && std::isnan(b))) continue;
    int64_t behind = 1;
    for (size_t d = axis + 1; d < of.extents().size(); ++d) behind *= of.extents()[d];
    return fmt::format("slice {} along axis {} has {:.10g}, and {:.10g}", i / behind % extent, axis, a, b);
  }
  return {};
}

bool is_constant(const Tensor& tensor) {
  for (int64_t i = 1; i < tensor.count(); ++i)
    if (tensor.at(i) != tensor.at(0)) return false;
  return true;
}

std::string check_slices(const OpCase& c, size_t axis, const std::vector<Tensor>& whole) {
  const int64_t extent = whole[0].extents()[axis];
  if (extent == 0 || std::none_of(c.inputs.begin(), c.inputs.end(),
                                  [&](const Tensor& input) { return has_extent(input, axis, extent); }))
    return {};
  const auto agree = [&](const std::vector<Tensor>& outputs, int64_t first, std::string& where) {
    for (size_t o = 0; o < outputs.size() && where.empty(); ++o)
      if (has_extent(whole[o], axis, extent)) where = different_slice(whole[o], outputs[o], axis, first);
    return where.empty();
  };
  std::string where;
  for (int64_t i = 0; i < extent; ++i) {
    const auto alone = run_slices(c, axis, extent, i, 1);
    if (!alone || !agree(*alone, i, where)) return {};
  }
  // Rows may be independent by their values, as those of a diagonal matrix are; with one of them twice they
  // are not.
  const auto one_more = run_slices(c, axis, extent, 0, extent + 1);
  if (!one_more || !agree(*one_more, 0, where)) return {};
  for (const int64_t at_least : {some, many}) {
    const int64_t count = grown(extent, at_least);
    if (whole[0].count() / extent * count > most_elements(*c.node->op)) continue;
    const auto outputs = run_slices(c, axis, extent, 0, count);
    if (!outputs) return {};
    if (!agree(*outputs, 0, where)) return fmt::format("of {} slices, {} by itself", count, where);
  }
  return {};
}

Sample with_larger(const Sample& sample, int64_t extent) {
  Sample result = sample;
  const int64_t count = grown(extent, some);
  result.name = fmt::format("{}, with {} for {}", sample.name, count, extent);
  result.expected.clear();
  for (SampleInput& input : result.inputs)
    for (size_t axis = 0; axis < input.extents.size(); ++axis) {
      if (input.extents[axis] != extent) continue;
      if (!input.values.empty()) {
        Tensor values(f64, input.extents);
        std::copy(input.values.begin(), input.values.end(), values.data<double>());
        values = tiled(values, axis, 0, count);
        // Copies that are equal would meet in the kink of a largest one.
        if (input.dtype != i32)
          for (int64_t i = 0; i < values.count(); ++i)
            values.data<double>()[i] *= 1 + 0.01 * uniform_number(29, axis, static_cast<uint64_t>(i));
        const auto grown_values = values.values<double>();
        input.values.assign(grown_values.begin(), grown_values.end());
      }
      input.extents[axis] = count;
    }
  return result;
}

// How many elements its inputs have with so many for each axis of this extent; a large number where they are
// too many to count.
double elements_with(const Sample& sample, int64_t extent, int64_t count) {
  double total = 0;
  for (const SampleInput& input : sample.inputs) {
    double elements = 1;
    for (const int64_t own : input.extents) elements *= static_cast<double>(own == extent ? count : own);
    total += elements;
  }
  return total;
}

}  // namespace

std::string check_many_slices(const OpCase& c) {
  const std::vector<Tensor> whole = run_op_kernel(*c.node->op, c.node->attributes, c.inputs);
  if (is_constant(whole[0])) return {};  // as of a threshold that takes everything: nothing is told from it
  for (size_t axis = 0; axis < whole[0].extents().size(); ++axis)
    if (std::string fault = check_slices(c, axis, whole); !fault.empty()) return fault;
  return {};
}

std::vector<Sample> larger_samples(const OpDef& op) {
  std::vector<Sample> result;
  for (const Sample& sample : op.samples) {
    std::set<int64_t> extents;
    for (const SampleInput& input : sample.inputs) extents.insert(input.extents.begin(), input.extents.end());
    for (const int64_t extent : extents) {
      if (extent < 2 || extent >= some) continue;
      if (elements_with(sample, extent, grown(extent, some)) <= static_cast<double>(most_elements(op)))
        result.push_back(with_larger(sample, extent));
    }
  }
  return result;
}

}  // namespace lariat
