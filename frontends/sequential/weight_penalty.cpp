#include "frontends/sequential/weight_penalty.hpp"

#include <fmt/format.h>

#include <charconv>
#include <cmath>

#include "frontends/sequential/spec.hpp"
#include "graph/error.hpp"
#include "ops/ops.hpp"

namespace lariat {

Value penalty_of(Value w, const WeightPenalty& penalty) {
  require(bool(penalty), "a penalty that is built has a term");
  Value total;
  if (penalty.l1 != 0) total = penalty.l1 * sum(abs(w));
  if (penalty.l2 != 0) {
    const Value squares = penalty.l2 * sum(square(w));
    total = total ? total + squares : squares;
  }
  return total;
}

std::string to_text(const WeightPenalty& penalty) {
  if (!penalty) return "none";
  std::string result;
  if (penalty.l1 != 0) result = fmt::format("l1={}", penalty.l1);
  if (penalty.l2 != 0) result += fmt::format("{}l2={}", result.empty() ? "" : ",", penalty.l2);
  return result;
}

WeightPenalty parse_weight_penalty(std::string_view name, std::string_view text) {
  WeightPenalty penalty;
  if (text == "none") return penalty;
  const auto refuse = [&] {
    throw UserError(
        fmt::format("{} = {}: must be {}", name, text.empty() ? "''" : text, weight_penalty_range));
  };
  const std::vector<std::string> terms = split_words(text);
  if (terms.empty()) refuse();
  for (const std::string& term : terms) {
    double* target = term.starts_with("l1=") ? &penalty.l1 : term.starts_with("l2=") ? &penalty.l2 : nullptr;
    if (target == nullptr || *target != 0) refuse();
    const char* end = term.data() + term.size();
    const auto [rest, error] = std::from_chars(term.data() + 3, end, *target);
    if (error != std::errc{} || rest != end || !std::isfinite(*target) || *target < 0) refuse();
  }
  return penalty;
}

}  // namespace lariat
