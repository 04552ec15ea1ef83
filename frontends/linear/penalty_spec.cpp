#include "frontends/linear/penalty_spec.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>

#include "frontends/data/option_table.hpp"
#include "frontends/spec/op_attributes.hpp"
#include "frontends/spec/weight_penalty.hpp"
#include "graph/base/error.hpp"
#include "graph/ir/builder.hpp"
#include "graph/ir/registry.hpp"
#include "ops/ops.hpp"

namespace lariat {

namespace {

constexpr const char* penalty_form = "write coefficient*name, such as 1.0*l1 + 0.5*l2";

}  // namespace

bool PenaltySpec::makes_zeros() const {
  if (name == "l1" || name == "l2" || name == "group") return name != "l2";
  return registry().get(name).penalty->nonsmooth;
}

namespace {

// φ of an op that is a function of single weights, or nothing.
std::optional<ScalarPenalty> scalar_of(const PenaltySpec& spec) {
  const OpDef& op = registry().get(spec.name);
  if (op.penalty->scalar == nullptr) return std::nullopt;
  return op.penalty->scalar(attributes_from_text(op, spec.attributes));
}

}  // namespace

bool PenaltySpec::ignores_order() const {
  return name == "l1" || name == "l2" || name == "group" || scalar_of(*this).has_value();
}

bool PenaltySpec::ignores_zeros() const {
  if (name == "l1" || name == "l2" || name == "group") return true;
  const std::optional<ScalarPenalty> scalar = scalar_of(*this);
  if (!scalar || scalar->low > 0 || scalar->high < 0) return false;
  double below = 0, above = 0;
  for (const ScalarPenalty::Kink& kink : scalar->kinks) {
    below += kink.at < 0 ? kink.slope_above : kink.slope_below;
    above += kink.at > 0 ? kink.slope_below : kink.slope_above;
  }
  return below <= 0 && above >= 0;
}

namespace {

// The weights of a group, of w [columns] or [columns, classes].
Value weights_of(Value w, const ColumnGroup& group) {
  std::vector<Value> parts;
  for (const auto& [first, end] : group.ranges) parts.push_back(slice(w, 0, first, end));
  return parts.size() == 1 ? parts.front() : concat(parts, 0);
}

// Σ_g √n_g·‖w_g‖₂, of w [columns] or [columns, classes].
Value sum_of_groups(Value w, const std::vector<ColumnGroup>& groups) {
  const bool several = w.rank() == 2;
  const auto width = static_cast<double>(several ? w.shape()[1].size() : 1);
  if (groups.empty()) return several ? std::sqrt(width) * sum(norm2(w, {1})) : sum(abs(w));
  Value total;
  for (const ColumnGroup& group : groups) {
    const Value part = weights_of(w, group);
    const double weight = std::sqrt(static_cast<double>(group.size) * width);
    const Value term = weight * (!several && part.shape()[0] == Dim(1) ? sum(abs(part)) : norm2(part));
    total = total ? total + term : term;
  }
  return total;
}

}  // namespace

Value PenaltySpec::of(Value w, const std::optional<Value>& factors,
                      const std::vector<ColumnGroup>& groups) const {
  const auto weighted = [&](Value terms) { return coefficient * sum(factors ? *factors * terms : terms); };
  if (name == "l1") return weighted(abs(w));
  if (name == "l2") return weighted(square(w));
  if (factors)
    throw UserError(fmt::format(
        "penalty factors go with l1 and l2, whose terms are of single weights, not with {}", name));
  if (name == "group") return coefficient * sum_of_groups(w, groups);
  return coefficient * sum(build(name, {w}, attributes_from_text(registry().get(name), attributes)));
}

// Whether the + at `at`, behind what was read of a term, is that of a number: high=1e+3.
static bool is_sign(const std::string& read, const char* at, const char* end) {
  const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
  const size_t equals = read.rfind('=');
  if (equals == read.npos || at + 1 == end || !is_digit(at[1])) return false;
  const std::string value = read.substr(equals + 1);
  const bool has_exponent = value.ends_with('e') || value.ends_with('E');
  return has_exponent && value.find_first_not_of("+-.0123456789") == value.size() - 1 &&
         std::any_of(value.begin(), value.end(), is_digit);
}

std::vector<PenaltySpec> parse_penalty(const std::string& text) {
  std::vector<PenaltySpec> terms;
  const char *at = text.data(), *const end = at + text.size();
  const auto skip = [&] {
    while (at < end && *at == ' ') ++at;
  };
  for (skip(); at < end; skip()) {
    if (!terms.empty()) {
      if (*at != '+') throw UserError(fmt::format("'{}' cannot be read: {}", text, penalty_form));
      ++at;
      skip();
    }
    PenaltySpec term;
    if (const auto [rest, error] = std::from_chars(at, end, term.coefficient); error == std::errc{}) {
      at = rest;
      skip();
      if (at == end || *at != '*' || !std::isfinite(term.coefficient))
        throw UserError(fmt::format("'{}' cannot be read: {}", text, penalty_form));
      ++at;
      skip();
    }
    while (at < end && *at != ' ' && (*at != '+' || is_sign(term.name, at, end))) term.name += *at++;
    const size_t colon = term.name.find(':');
    std::string rest = colon == term.name.npos ? "" : term.name.substr(colon);
    term.name.resize(std::min(colon, term.name.size()));
    while (!rest.empty()) {
      const size_t next = std::min(rest.find(':', 1), rest.size());
      term.attributes.push_back(rest.substr(1, next - 1));
      rest.erase(0, next);
    }
    if (term.name.empty()) throw UserError(fmt::format("'{}' cannot be read: {}", text, penalty_form));
    std::vector<std::string> known{"l1", "l2", "group"};
    for (const std::string& op : penalty_ops()) known.push_back(op);
    if (std::find(known.begin(), known.end(), term.name) == known.end())
      throw UserError(fmt::format("there is no penalty '{}'.{}", data::shortened(term.name),
                                  did_you_mean(term.name, known)));
    if (!term.attributes.empty()) {
      if (term.name == "l1" || term.name == "l2" || term.name == "group")
        throw UserError(fmt::format("'{}' has no attributes: {}", term.name, penalty_form));
      attributes_from_text(registry().get(term.name), term.attributes);
    }
    terms.push_back(term);
  }
  if (terms.empty()) throw UserError(fmt::format("it is empty: {}", penalty_form));
  return terms;
}

}  // namespace lariat
