#include "frontends/sequential/support.hpp"

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
