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

// Σ_g √n_g·‖w_g‖₂, of w [columns] or [columns, classes].
Value sum_of_groups(Value w, const std::vector<ColumnGroup>& groups) {
  const bool several = w.rank() == 2;
  const auto width = static_cast<double>(several ? w.shape()[1].size() : 1);
  if (groups.empty()) return several ? std::sqrt(width) * sum(norm2(w, {1})) : sum(abs(w));
  Value total;
  for (const ColumnGroup& group : groups) {
    const Value part = slice(w, 0, group.first, group.end);
    const double weight = std::sqrt(static_cast<double>(group.end - group.first) * width);
    const Value term = weight * (group.end - group.first == 1 && !several ? sum(abs(part)) : norm2(part));
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
    while (at < end && *at != ' ' && *at != '+') term.name += *at++;
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
