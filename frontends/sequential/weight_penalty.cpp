#include "frontends/sequential/weight_penalty.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <mutex>
#include <set>

#include "frontends/op_text/op_attributes.hpp"
#include "frontends/sequential/spec.hpp"
#include "graph/base/error.hpp"
#include "graph/ir/builder.hpp"
#include "graph/ir/op_def.hpp"
#include "graph/ir/registry.hpp"
#include "ops/ops.hpp"
#include "ops/plugin/loader.hpp"

namespace lariat {

namespace {

// Σ‖w_g‖₂ over the groups of elements that share their place along an axis, counted from the last.
Value group_norms(Value w, size_t from_last) {
  const size_t rank = w.shape().size();
  if (rank < 2)
    throw UserError(
        fmt::format("group_rows and group_columns are for kernels with rows and columns, but '{}' is {}; "
                    "give it l1",
                    w.name(), text(w.shape())));
  std::vector<int64_t> others;
  for (size_t axis = 0; axis < rank; ++axis)
    if (axis != rank - from_last) others.push_back(static_cast<int64_t>(axis));
  return sum(norm2(w, others));
}

// One term: its name, its λ, its second number where it has one, and Σ φ(w) with that λ.
struct Term {
  std::string name;
  double WeightPenalty::*lambda;
  double WeightPenalty::*shape;
  const char* shape_name;
  bool makes_zeros;
  Value (*build)(Value w, double lambda, double shape);
};

const std::vector<Term>& terms() {
  using P = WeightPenalty;
  static const std::vector<Term> table = {
      {"l1", &P::l1, nullptr, "", true, [](Value w, double lambda, double) { return lambda * sum(abs(w)); }},
      {"l2", &P::l2, nullptr, "", false,
       [](Value w, double lambda, double) { return lambda * sum(square(w)); }},
      {"group_rows", &P::group_rows, nullptr, "", true,
       [](Value w, double lambda, double) { return lambda * group_norms(w, 2); }},
      {"group_columns", &P::group_columns, nullptr, "", true,
       [](Value w, double lambda, double) { return lambda * group_norms(w, 1); }},
      {"log_sum", &P::log_sum, &P::log_sum_epsilon, "epsilon", true,
       [](Value w, double lambda, double epsilon) { return lambda * epsilon * sum(log_sum(w, epsilon)); }},
      {"mcp", &P::mcp, &P::mcp_gamma, "gamma", true,
       [](Value w, double lambda, double gamma) { return sum(mcp(w, lambda, gamma)); }},
      {"count", &P::count, nullptr, "", true,
       [](Value w, double lambda, double) { return lambda * sum(count_nonzero(w)); }}};
  return table;
}

// The record of an op that takes w alone and is a penalty; or nullptr.
const OpDef* penalty_op(const std::string& name) {
  const OpDef* op = registry().find(name);
  return op != nullptr && op->penalty && op->inputs.size() == 1 ? op : nullptr;
}

// What is not known is taken for a penalty as most are.
bool has_kink(const std::string& name) {
  const OpDef* op = penalty_op(name);
  return op == nullptr || op->penalty->nonsmooth;
}

// Names of ops that saved models need for training alone.
struct Expected {
  std::mutex mutex;
  std::set<std::string> names;
};
Expected& expected() {
  static Expected instance;
  return instance;
}
bool is_expected(const std::string& name) {
  const std::lock_guard lock(expected().mutex);
  return expected().names.contains(name);
}

std::vector<std::string> entries_of(const std::map<std::string, std::string>& attributes) {
  std::vector<std::string> entries;
  for (const auto& [name, value] : attributes) entries.push_back(name + "=" + value);
  return entries;
}

// The number that all of `text` is.
std::optional<double> number_of(std::string_view text) {
  double value = 0;
  const char* end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc{} || rest != end || !std::isfinite(value)) return std::nullopt;
  return value;
}

}  // namespace

std::vector<std::string> penalty_ops() {
  std::vector<std::string> names;
  for (const OpDef* op : registry().all())
    if (penalty_op(op->name)) names.push_back(op->name);
  return names;
}

bool operator==(const WeightPenalty& a, const WeightPenalty& b) {
  return std::all_of(terms().begin(), terms().end(),
                     [&](const Term& term) {
                       const bool same_shape =
                           term.shape == nullptr || a.*term.lambda == 0 || a.*term.shape == b.*term.shape;
                       return a.*term.lambda == b.*term.lambda && same_shape;
                     }) &&
         a.by_op == b.by_op;
}

bool WeightPenalty::makes_zeros() const {
  return std::any_of(terms().begin(), terms().end(),
                     [&](const Term& term) { return term.makes_zeros && this->*term.lambda != 0; }) ||
         std::any_of(by_op.begin(), by_op.end(), [](const auto& entry) { return has_kink(entry.first); });
}

WeightPenalty WeightPenalty::at(double lambda) const {
  WeightPenalty result = *this;
  for (const Term& term : terms())
    if (term.makes_zeros && result.*term.lambda != 0) result.*term.lambda = lambda;
  for (auto& [op, coefficient] : result.by_op)
    if (has_kink(op)) coefficient.lambda = lambda;
  return result;
}

WeightPenalty group_lasso(double lambda, Groups groups) { return sparse_group_lasso(0, lambda, groups); }

WeightPenalty sparse_group_lasso(double l1, double group, Groups groups) {
  WeightPenalty penalty{.l1 = l1};
  (groups == Groups::rows ? penalty.group_rows : penalty.group_columns) = group;
  return penalty;
}

Value penalty_of(Value w, const WeightPenalty& penalty) {
  require(bool(penalty), "a penalty that is built has a term");
  Value total;
  for (const Term& term : terms()) {
    const double lambda = penalty.*term.lambda;
    if (lambda == 0) continue;
    const Value part = term.build(w, lambda, term.shape == nullptr ? 0 : penalty.*term.shape);
    total = total ? total + part : part;
  }
  for (const auto& [name, term] : penalty.by_op) {
    const OpDef* op = penalty_op(name);
    if (op == nullptr)
      throw UserError(fmt::format("'{}' is no op of one input that is a penalty; if it is a plugin's, {}",
                                  name, how_to_load_plugins));
    const Value part =
        term.lambda * sum(build(name, {w}, attributes_from_text(*op, entries_of(term.attributes))));
    total = total ? total + part : part;
  }
  return total;
}

std::string unknown_op(const WeightPenalty& penalty) {
  for (const auto& [name, term] : penalty.by_op)
    if (penalty_op(name) == nullptr) return name;
  return {};
}

void expect_penalty(const std::string& op) {
  const std::lock_guard lock(expected().mutex);
  expected().names.insert(op);
}

std::string to_text(const WeightPenalty& penalty) {
  std::string result;
  for (const Term& term : terms()) {
    if (penalty.*term.lambda == 0) continue;
    result += fmt::format("{}{}={}", result.empty() ? "" : ",", term.name, penalty.*term.lambda);
    if (term.shape != nullptr) result += fmt::format(":{}", penalty.*term.shape);
  }
  for (const auto& [op, term] : penalty.by_op) {
    result += fmt::format("{}{}={}", result.empty() ? "" : ",", op, term.lambda);
    for (const std::string& entry : entries_of(term.attributes)) result += ":" + entry;
  }
  return result.empty() ? "none" : result;
}

WeightPenalty parse_weight_penalty(std::string_view name, std::string_view text) {
  WeightPenalty penalty;
  if (text == "none") return penalty;
  const auto refuse = [&](const std::string& why) {
    throw UserError(fmt::format("{} = {}: {}", name, text.empty() ? "''" : data::shortened(text), why));
  };
  const auto out_of_range = [&] { refuse(fmt::format("must be {}", weight_penalty_range)); };
  const std::vector<std::string> words = split_words(text);
  if (words.empty()) out_of_range();
  std::vector<std::string> known, seen;
  for (const Term& term : terms()) known.push_back(term.name);
  for (const std::string& op : penalty_ops()) known.push_back(op);
  for (const std::string& word : words) {
    const size_t equals = word.find('=');
    if (equals == word.npos) out_of_range();
    const std::string which = word.substr(0, equals);
    const auto term =
        std::find_if(terms().begin(), terms().end(), [&](const Term& t) { return t.name == which; });
    const OpDef* op = penalty_op(which);
    const bool is_op = term == terms().end() && (op != nullptr || is_expected(which));
    if (term == terms().end() && !is_op)
      refuse(fmt::format("there is no penalty '{}'.{}", data::shortened(which), did_you_mean(which, known)));
    if (std::find(seen.begin(), seen.end(), which) != seen.end())
      refuse(fmt::format("{} is there twice; add the two up", which));
    seen.push_back(which);
    const std::string_view numbers = std::string_view(word).substr(equals + 1);
    const size_t colon = std::min(numbers.find(':'), numbers.size());
    const std::optional<double> lambda = number_of(numbers.substr(0, colon));
    if (!lambda || *lambda < 0) out_of_range();
    if (is_op) {
      OpPenalty by_op{*lambda};
      std::vector<std::string> entries;
      for (std::string_view rest = numbers.substr(colon); !rest.empty();) {
        const size_t next = std::min(rest.find(':', 1), rest.size());
        const auto [key, value] = sides_of(rest.substr(1, next - 1));
        if (!by_op.attributes.emplace(key, value).second) refuse(fmt::format("'{}' is there twice", key));
        rest.remove_prefix(next);
      }
      if (op != nullptr)
        at_place(fmt::format("{} = {}: ", name, data::shortened(text)),
                 [&] { attributes_from_text(*op, entries_of(by_op.attributes)); });
      if (*lambda > 0) penalty.by_op[which] = std::move(by_op);
      continue;
    }
    penalty.*term->lambda = *lambda;
    if (colon == numbers.size()) continue;
    if (term->shape == nullptr) refuse(fmt::format("{} takes one number, its coefficient", which));
    const std::optional<double> shape = number_of(numbers.substr(colon + 1));
    if (!shape || !(*shape > 0))
      refuse(fmt::format("the {} of {} must be a number above 0", term->shape_name, which));
    penalty.*term->shape = *shape;
  }
  return penalty;
}

}  // namespace lariat
