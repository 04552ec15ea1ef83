#pragma once

#include <map>
#include <string>
#include <string_view>

#include "graph/ir/value.hpp"

namespace lariat {

/// λ, and the op's attributes as text where they are not their defaults: {"axes", "0 1"}.
struct OpPenalty {
  double lambda = 0;
  std::map<std::string, std::string> attributes = {};
  OpPenalty(double lambda = 0, std::map<std::string, std::string> attributes = {})
      : lambda(lambda), attributes(std::move(attributes)) {}
  friend bool operator==(const OpPenalty&, const OpPenalty&) = default;
};

/// Of so many neighbouring rows and columns, each from 1 to most_block.
struct BlockShape {
  int64_t rows = 8, columns = 1;
  friend bool operator==(const BlockShape&, const BlockShape&) = default;
};
inline constexpr int64_t most_block = 1024;

/// Rows of a kernel that belong together, by their numbers.
using RowGroups = std::vector<std::vector<int64_t>>;

/// A sum of penalties of one weight w, added to the loss as it stands here; the trainer's rewrite turns it
/// into a proximal update. Rows and columns are those of a kernel [inputs, units]: row i is what input i
/// sends out, column j what comes into unit j. Of kernels with more axes, the last one are the units and the
/// one before it the inputs.
struct WeightPenalty {
  /// l1 Σ|w| (Tibshirani 1996) and l2 Σw².
  double l1 = 0, l2 = 0;
  /// group_rows Σᵢ‖row i‖₂ and group_columns Σⱼ‖column j‖₂: whole rows or columns become zero (Yuan and Lin
  /// 2006). All groups are of one size, and no factor makes up for it.
  double group_rows = 0, group_columns = 0;
  /// group_inputs Σ_g √n_g·‖the rows of group g‖₂, n_g their number of weights, over columns of the data, of
  /// which one is several rows where it is categories, or over groups of such columns: what the model need
  /// not be given becomes zero (Yuan and Lin 2006, equation 2.1).
  double group_inputs = 0;
  /// group_blocks Σ‖block‖₂ over blocks of neighbouring rows and columns, of each matrix where a kernel has
  /// several: what a vector register of a sparse product holds becomes zero at once. At the edges blocks are
  /// smaller.
  double group_blocks = 0;
  BlockShape blocks = {};
  /// log_sum·ε Σ log(1 + |w|/ε), of slope log_sum at 0 and less for large weights, so that it shrinks those
  /// less than L1 does (Candès, Wakin and Boyd 2008). ε > 0.
  double log_sum = 0, log_sum_epsilon = 0.01;
  /// Σ mcp|w| - w²/(2γ) up to |w| = γ·mcp, constant from there on (Zhang 2010). γ > 0.
  double mcp = 0, mcp_gamma = 3;
  /// count times the number of weights that are not 0.
  double count = 0;
  /// λ Σ op(w) by the name of an op of one input that is a penalty, a plugin's for instance.
  std::map<std::string, OpPenalty> by_op = {};

  explicit operator bool() const { return *this != WeightPenalty(); }
  /// Whether it has a term that makes weights exactly zero.
  bool makes_zeros() const;
  /// The same with `lambda` in place of every coefficient of a term that makes zeros.
  WeightPenalty at(double lambda) const;
  friend bool operator==(const WeightPenalty&, const WeightPenalty&);
};

enum class Groups { rows, columns };

inline WeightPenalty l1(double lambda) { return {.l1 = lambda}; }
inline WeightPenalty l2(double lambda) { return {.l2 = lambda}; }
/// Zou and Hastie (2005).
inline WeightPenalty elastic_net(double l1, double l2) { return {.l1 = l1, .l2 = l2}; }
WeightPenalty group_lasso(double lambda, Groups groups = Groups::columns);
WeightPenalty block_lasso(double lambda, BlockShape blocks = {});
/// Over columns of the data, which LayerSpec::grouped() may put together.
inline WeightPenalty group_inputs(double lambda) { return {.group_inputs = lambda}; }
/// Simon et al. (2013), without their mixing parameter: l1 Σ|w| + group Σ‖row or column‖₂.
WeightPenalty sparse_group_lasso(double l1, double group, Groups groups = Groups::columns);
inline WeightPenalty log_sum(double lambda, double epsilon = 0.01) {
  return {.log_sum = lambda, .log_sum_epsilon = epsilon};
}
inline WeightPenalty mcp(double lambda, double gamma = 3) { return {.mcp = lambda, .mcp_gamma = gamma}; }
inline WeightPenalty count_nonzero(double lambda) { return {.count = lambda}; }

/// Σ‖block‖₂ as a scalar value, of blocks as group_blocks has them. Throws UserError for a `w` of one axis.
Value sum_of_block_norms(Value w, BlockShape blocks = {});

/// The penalty of `w` as a scalar value. The penalty must not be empty; `inputs` are the rows that
/// group_inputs has as one, without any each row. Throws UserError for groups of a `w` that has no rows and
/// columns, and for ops that are no penalty.
Value penalty_of(Value w, const WeightPenalty& penalty, const RowGroups& inputs = {});

/// The ops that take a tensor of weights alone and are penalties, those of plugins among them.
std::vector<std::string> penalty_ops();
/// All that a penalty's terms may be called: its own and those ops.
std::vector<std::string> penalty_names();
/// The name of an op in `penalty` that is not known, or is no penalty of one input; "" where there is none.
std::string unknown_op(const WeightPenalty& penalty);
/// Lets parse_weight_penalty() take the name of an op that is not known: layers of a saved model name it,
/// which only training needs.
void expect_penalty(const std::string& op);

/// "none", "l1=0.0001", "l1=0.0001,l2=1e-05", "group_blocks=0.001:8x1" or "log_sum=0.001:0.01", and back:
/// terms with their λ, and behind a colon the shape of blocks, ε or γ, which may be left out; of an op its
/// attributes, "ordered_l1=0.001:spread=3". Throws UserError "name = text: …".
std::string to_text(const WeightPenalty& penalty);
WeightPenalty parse_weight_penalty(std::string_view name, std::string_view text);
inline constexpr const char* weight_penalty_range =
    "none, or l1, l2, group_rows, group_columns, group_inputs, group_blocks, log_sum, mcp, count and ops "
    "that "
    "are penalties with numbers "
    "from 0, such as l1=1e-4,l2=1e-5, log_sum=1e-3:0.01, group_blocks=1e-3:8x1 or norm2=1e-3:axes=1";

}  // namespace lariat
