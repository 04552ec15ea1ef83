#include "frontends/spec/weight_penalty.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <mutex>
#include <set>

#include "frontends/data/foreign_names.hpp"
#include "frontends/spec/op_attributes.hpp"
#include "frontends/spec/spec.hpp"
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

// A kernel as matrices [taps, inputs, units].
Value as_matrices(Value w, const char* groups) {
  const Shape& shape = w.shape();
  if (shape.size() < 2)
    throw UserError(fmt::format("{} are for kernels with rows and columns, but '{}' is {}; give it l1",
                                groups, w.name(), text(shape)));
  int64_t taps = 1;
  for (size_t axis = 0; axis + 2 < shape.size(); ++axis) taps *= shape[axis].size();
  return reshape(w, {taps, shape[shape.size() - 2].size(), shape.back().size()});
}

// Σ_g √n_g·‖w_g‖₂; groups of one size are an op.
Value sum_of_input_norms(Value w, const RowGroups& groups) {
  const Value matrices = as_matrices(w, "group_inputs");
  const int64_t taps = matrices.shape()[0].size(), rows = matrices.shape()[1].size(),
                columns = matrices.shape()[2].size();
  std::map<int64_t, std::vector<int64_t>> members;
  for (const std::vector<int64_t>& group : groups) {
    std::vector<int64_t>& of_size = members[static_cast<int64_t>(group.size())];
    of_size.insert(of_size.end(), group.begin(), group.end());
  }
  for (int64_t row = 0; row < rows && groups.empty(); ++row) members[1].push_back(row);
  Value total;
  for (const auto& [size, numbers] : members) {
    // Neighbours are one slice.
    std::vector<Value> parts;
    for (size_t begin = 0, end = 0; begin < numbers.size(); begin = end) {
      for (end = begin + 1; end < numbers.size() && numbers[end] == numbers[end - 1] + 1;) ++end;
      parts.push_back(slice(matrices, 1, numbers[begin], numbers[end - 1] + 1));
    }
    const Value together = parts.size() == 1 ? parts.front() : concat(parts, 1);
    const auto count = static_cast<int64_t>(numbers.size()) / size;
    const int64_t weights = taps * size * columns;
    const Value norms = weights == 1
                            ? sum(abs(together))
                            : std::sqrt(static_cast<double>(weights)) *
                                  sum(norm2(reshape(together, {taps, count, size, columns}), {0, 2, 3}));
    total = total ? total + norms : norms;
  }
  return total ? total : sum(abs(w));
}

// What a term has behind its λ: "epsilon of log_sum must be …", as text, and back; false for what it cannot
// be.
struct TermShape {
  const char* range = "";
  std::string (*text)(const WeightPenalty& penalty) = nullptr;
  bool (*set)(WeightPenalty& penalty, std::string_view text) = nullptr;
};

// The number that all of `text` is.
std::optional<double> number_of(std::string_view text) {
  double value = 0;
  const char* end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc{} || rest != end || !std::isfinite(value)) return std::nullopt;
  return value;
}

template <double WeightPenalty::*member>
TermShape positive_number(const char* range) {
  return {range, [](const WeightPenalty& penalty) { return fmt::format("{}", penalty.*member); },
          [](WeightPenalty& penalty, std::string_view text) {
            const std::optional<double> number = number_of(text);
            if (number && *number > 0) penalty.*member = *number;
            return number && *number > 0;
          }};
}

// "8x1"
bool set_blocks(WeightPenalty& penalty, std::string_view text) {
  BlockShape blocks;
  const char* end = text.data() + text.size();
  const auto [by, first] = std::from_chars(text.data(), end, blocks.rows);
  if (first != std::errc{} || by == end || *by != 'x') return false;
  const auto [rest, second] = std::from_chars(by + 1, end, blocks.columns);
  if (second != std::errc{} || rest != end) return false;
  if (blocks.rows < 1 || blocks.columns < 1 || blocks.rows > most_block || blocks.columns > most_block)
    return false;
  penalty.blocks = blocks;
  return true;
}

// One term: its name, its λ, its shape where it has one, and Σ φ(w) with both.
struct Term {
  std::string name;
  double WeightPenalty::*lambda;
  TermShape shape;
  bool makes_zeros;
  Value (*build)(Value w, const WeightPenalty& penalty, const RowGroups& inputs);
};

const std::vector<Term>& terms() {
  using P = WeightPenalty;
  static const std::vector<Term> table = {
      {"l1", &P::l1, {}, true, [](Value w, const P& p, const RowGroups&) { return p.l1 * sum(abs(w)); }},
      {"l2", &P::l2, {}, false, [](Value w, const P& p, const RowGroups&) { return p.l2 * sum(square(w)); }},
      {"group_rows",
       &P::group_rows,
       {},
       true,
       [](Value w, const P& p, const RowGroups&) { return p.group_rows * group_norms(w, 2); }},
      {"group_columns",
       &P::group_columns,
       {},
       true,
       [](Value w, const P& p, const RowGroups&) { return p.group_columns * group_norms(w, 1); }},
      {"group_inputs",
       &P::group_inputs,
       {},
       true,
       [](Value w, const P& p, const RowGroups& inputs) {
         return p.group_inputs * sum_of_input_norms(w, inputs);
       }},
      {"group_blocks",
       &P::group_blocks,
       {"shape of group_blocks must be rows x columns from 1 to 1024, such as 8x1",
        [](const P& p) { return fmt::format("{}x{}", p.blocks.rows, p.blocks.columns); }, set_blocks},
       true,
       [](Value w, const P& p, const RowGroups&) {
         return p.group_blocks * sum_of_block_norms(w, p.blocks);
       }},
      {"log_sum", &P::log_sum,
       positive_number<&P::log_sum_epsilon>("epsilon of log_sum must be a number above 0"), true,
       [](Value w, const P& p, const RowGroups&) {
         return p.log_sum * p.log_sum_epsilon * sum(log_sum(w, p.log_sum_epsilon));
       }},
      {"mcp", &P::mcp, positive_number<&P::mcp_gamma>("gamma of mcp must be a number above 0"), true,
       [](Value w, const P& p, const RowGroups&) { return sum(mcp(w, p.mcp, p.mcp_gamma)); }},
      {"count", &P::count, {}, true, [](Value w, const P& p, const RowGroups&) {
         return p.count * sum(count_nonzero(w));
       }}};
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

}  // namespace

std::vector<std::string> penalty_ops() {
  std::vector<std::string> names;
  for (const OpDef* op : registry().all())
    if (penalty_op(op->name)) names.push_back(op->name);
  return names;
}

std::vector<std::string> penalty_names() {
  std::vector<std::string> names;
  for (const Term& term : terms()) names.push_back(term.name);
  // Some of the terms are ops.
  for (const std::string& op : penalty_ops())
    if (std::find(names.begin(), names.end(), op) == names.end()) names.push_back(op);
  return names;
}

bool operator==(const WeightPenalty& a, const WeightPenalty& b) {
  return std::all_of(terms().begin(), terms().end(),
                     [&](const Term& term) {
                       const bool same_shape = term.shape.text == nullptr || a.*term.lambda == 0 ||
                                               term.shape.text(a) == term.shape.text(b);
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

Value sum_of_block_norms(Value w, BlockShape blocks) {
  const Value matrices = as_matrices(w, "group_blocks");
  const int64_t taps = matrices.shape()[0].size(), rows = matrices.shape()[1].size(),
                columns = matrices.shape()[2].size();
  constexpr int64_t last = 2;
  Value total;
  // Whole blocks, what is left of the rows, of the columns, and of both.
  const auto add = [&](int64_t first_row, int64_t end_row, int64_t first_column, int64_t end_column,
                       BlockShape size) {
    if (first_row == end_row || first_column == end_column) return;
    Value part = matrices;
    if (end_row - first_row != rows) part = slice(part, last - 1, first_row, end_row);
    if (end_column - first_column != columns) part = slice(part, last, first_column, end_column);
    const Value in_blocks = reshape(part, {taps, (end_row - first_row) / size.rows, size.rows,
                                           (end_column - first_column) / size.columns, size.columns});
    const Value norms = sum(norm2(in_blocks, {2, 4}));
    total = total ? total + norms : norms;
  };
  const int64_t whole_rows = rows - rows % blocks.rows, whole_columns = columns - columns % blocks.columns;
  add(0, whole_rows, 0, whole_columns, blocks);
  add(whole_rows, rows, 0, whole_columns, {rows - whole_rows, blocks.columns});
  add(0, whole_rows, whole_columns, columns, {blocks.rows, columns - whole_columns});
  add(whole_rows, rows, whole_columns, columns, {rows - whole_rows, columns - whole_columns});
  return total ? total : sum(abs(w));
}

WeightPenalty block_lasso(double lambda, BlockShape blocks) {
  return {.group_blocks = lambda, .blocks = blocks};
}

WeightPenalty group_lasso(double lambda, Groups groups) { return sparse_group_lasso(0, lambda, groups); }

WeightPenalty sparse_group_lasso(double l1, double group, Groups groups) {
  WeightPenalty penalty{.l1 = l1};
  (groups == Groups::rows ? penalty.group_rows : penalty.group_columns) = group;
  return penalty;
}

Value penalty_of(Value w, const WeightPenalty& penalty, const RowGroups& inputs) {
  require(bool(penalty), "a penalty that is built has a term");
  Value total;
  for (const Term& term : terms()) {
    const double lambda = penalty.*term.lambda;
    if (lambda == 0) continue;
    const Value part = term.build(w, penalty, inputs);
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
    if (term.shape.text != nullptr) result += ":" + term.shape.text(penalty);
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
  const std::vector<std::string> known = penalty_names();
  std::vector<std::string> seen;
  for (const std::string& word : words) {
    const size_t equals = word.find('=');
    if (equals == word.npos) out_of_range();
    const std::string which = word.substr(0, equals);
    const auto term =
        std::find_if(terms().begin(), terms().end(), [&](const Term& t) { return t.name == which; });
    const OpDef* op = penalty_op(which);
    const bool is_op = term == terms().end() && (op != nullptr || is_expected(which));
    if (term == terms().end() && !is_op)
      refuse(fmt::format("there is no penalty '{}'.{}", data::shortened(which),
                         data::what_was_meant(which, known)));
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
    if (term->shape.set == nullptr) refuse(fmt::format("{} takes one number, its coefficient", which));
    if (!term->shape.set(penalty, numbers.substr(colon + 1)))
      refuse(fmt::format("the {}", term->shape.range));
  }
  return penalty;
}

}  // namespace lariat
