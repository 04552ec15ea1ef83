#include "frontends/sequential/support.hpp"

#include <algorithm>

#include "graph/base/error.hpp"

namespace lariat {

namespace {

constexpr std::string_view digits = "0123456789abcdef";

}  // namespace

Support support_of(const Store& store, std::span<const std::string> names) {
  Support support;
  for (const std::string& name : names) {
    const Tensor tensor = store.get(name);
    with_type(tensor.dtype(), [&](auto zero) {
      for (auto value : tensor.values<decltype(zero)>()) support.push_back(value != decltype(zero)(0));
    });
  }
  return support;
}

double share_changed(const Support& before, const Support& now) {
  require(before.size() == now.size() && !now.empty(), "supports are compared element by element");
  int64_t changed = 0;
  for (size_t i = 0; i < now.size(); ++i) changed += before[i] != now[i];
  return static_cast<double>(changed) / static_cast<double>(now.size());
}

Sparsity zero_blocks(const Tensor& tensor, BlockShape blocks) {
  Sparsity result;
  const Extents& extents = tensor.extents();
  if (extents.size() < 2 || tensor.dtype() != f32) return result;
  const int64_t rows = extents[extents.size() - 2], columns = extents.back();
  const auto values = tensor.values<float>();
  const auto is_zero = [&](int64_t matrix, int64_t row, int64_t column) {
    for (int64_t i = row; i < std::min(row + blocks.rows, rows); ++i)
      for (int64_t j = column; j < std::min(column + blocks.columns, columns); ++j)
        if (values[static_cast<size_t>((matrix * rows + i) * columns + j)] != 0) return false;
    return true;
  };
  const int64_t matrices = rows == 0 || columns == 0 ? 0 : tensor.count() / (rows * columns);
  for (int64_t matrix = 0; matrix < matrices; ++matrix)
    for (int64_t row = 0; row < rows; row += blocks.rows)
      for (int64_t column = 0; column < columns; column += blocks.columns) {
        ++result.count;
        result.zeros += is_zero(matrix, row, column) ? 1 : 0;
      }
  return result;
}

std::string hexadecimal(const Support& support) {
  std::string text;
  for (size_t i = 0; i < support.size(); i += 4) {
    size_t digit = 0;
    for (size_t bit = 0; bit < 4 && i + bit < support.size(); ++bit)
      digit |= static_cast<size_t>(support[i + bit]) << bit;
    text += digits[digit];
  }
  return text;
}

std::optional<Support> parse_support(std::string_view text) {
  Support support;
  for (const char c : text) {
    const size_t digit = digits.find(c);
    if (digit == digits.npos) return std::nullopt;
    for (size_t bit = 0; bit < 4; ++bit) support.push_back((digit >> bit & 1) != 0);
  }
  return support;
}

}  // namespace lariat
