#include "ops/sparse/csr.hpp"

#include <fmt/format.h>

#include "graph/base/error.hpp"

namespace lariat {

std::vector<InputSpec> csr_inputs(bool with_values) {
  std::vector<InputSpec> inputs{
      {"columns", "i32 [entries], the column of each entry of X, row after row"},
      {"row_starts", "i32 [rows + 1], where each row's entries begin; then the end"}};
  if (with_values) inputs.insert(inputs.begin(), {"values", "f32 or f64 [entries]"});
  return inputs;
}

void check_csr(const InferContext& c, size_t first, const Dim& entries) {
  check_integers(c, first, "columns", {entries});
  const TensorType& starts = c.in(first + 1);
  if (starts.dtype != i32 || starts.shape.size() != 1 || starts.shape[0] == Dim(0))
    c.fail(fmt::format("row_starts is {}; it must be i32[rows + 1]", text(starts)));
}

void check_factor(const InferContext& c, size_t index, std::string_view name, DType dtype) {
  const TensorType& type = c.in(index);
  if (type.dtype != dtype || type.shape.empty() || type.shape.size() > 2)
    c.fail(fmt::format("{} is {}; it must be a vector or matrix of {}", name, text(type), name_of(dtype)));
}

Shape product_shape(Dim rows, const Shape& factor) {
  return factor.size() == 2 ? Shape{rows, factor[1]} : Shape{rows};
}

void check_csr(const TensorView& columns, const TensorView& row_starts, int64_t count) {
  const int64_t entries = columns.count(), rows = row_starts.count() - 1;
  const int32_t *column = columns.as<int32_t>(), *start = row_starts.as<int32_t>();
  if (start[0] != 0 || start[rows] != entries)
    throw UserError(fmt::format("row_starts runs from {} to {}; it must run from 0 to the {} entries",
                                start[0], start[rows], entries));
  for (int64_t row = 0; row < rows; ++row)
    if (start[row] > start[row + 1])
      throw UserError(fmt::format("row_starts falls from {} to {} at row {}; it must not fall", start[row],
                                  start[row + 1], row));
  // One unsigned maximum over all, which vectorises; a negative column is a large one.
  uint32_t largest = 0;
  for (int64_t i = 0; i < entries; ++i) largest = std::max(largest, static_cast<uint32_t>(column[i]));
  if (entries == 0 || largest < count) return;
  const int64_t at =
      std::find_if(column, column + entries, [&](int32_t c) { return c < 0 || c >= count; }) - column;
  const int64_t row = std::upper_bound(start, start + rows + 1, at) - start - 1;
  throw UserError(fmt::format("column {} of row {} is out of range: there are {} columns{}", column[at], row,
                              count, count == 0 ? "" : fmt::format(", 0 to {}", count - 1)));
}

void check_places(const TensorView& columns, const TensorView& row_starts, int64_t count) {
  check_csr(columns, row_starts, count);
  const int64_t rows = row_starts.count() - 1;
  const int32_t *column = columns.as<int32_t>(), *start = row_starts.as<int32_t>();
  for (int64_t row = 0; row < rows; ++row)
    for (int32_t i = start[row] + 1; i < start[row + 1]; ++i)
      if (column[i] <= column[i - 1])
        throw UserError(
            fmt::format("column {} of row {} comes after column {}; the columns of a row must ascend",
                        column[i], row, column[i - 1]));
}

void check_matrix_of_rows(const InferContext& c, size_t index, std::string_view name, size_t starts) {
  check_float(c, index, std::string(name));
  if (c.shape(index).size() != 2)
    c.fail(fmt::format("{} is {}; it must be [rows, columns]", name, text(c.shape(index))));
  const Dim rows = c.shape(starts)[0] - 1;
  if (!(c.shape(index)[0] == rows))
    c.fail(fmt::format("{} is {}, but row_starts {} says {} rows", name, text(c.shape(index)),
                       text(c.shape(starts)), rows.text()));
}

int64_t csr_rows_per_task(int64_t rows, int64_t entries, int64_t width) {
  return rows_per_task(width * (1 + entries / std::max<int64_t>(1, rows)));
}

Cost csr_cost(std::span<const TensorView> inputs, std::span<const TensorView> outputs, const Attributes&) {
  Cost cost{.flops = 2.0 * static_cast<double>(inputs[0].count() * width_of(inputs.back()))};
  for (const TensorView& view : inputs) cost.bytes += static_cast<double>(view.bytes());
  for (const TensorView& view : outputs) cost.bytes += static_cast<double>(view.bytes());
  return cost;
}

SampleInput csr_sample_values(std::vector<double> values) {
  const auto count = static_cast<int64_t>(values.size());
  return {.extents = {count}, .values = std::move(values)};
}

SampleInput csr_sample_integers(std::vector<double> values) {
  const auto count = static_cast<int64_t>(values.size());
  return {.extents = {count}, .values = std::move(values), .dtype = i32};
}

}  // namespace lariat
