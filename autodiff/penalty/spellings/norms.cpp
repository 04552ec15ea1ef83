#include <algorithm>
#include <cmath>

#include "autodiff/penalty/penalty_view.hpp"
#include "autodiff/penalty/spellings/spellings.hpp"
#include "autodiff/penalty/spellings/sums_of_squares.hpp"
#include "ops/kernels/axes.hpp"
#include "ops/ops.hpp"

namespace lariat {

namespace {

std::vector<int64_t> marked(const std::vector<bool>& mask) {
  std::vector<int64_t> result;
  for (size_t i = 0; i < mask.size(); ++i)
    if (mask[i]) result.push_back(static_cast<int64_t>(i));
  return result;
}

Value times(Value value, double factor, Value root) { return factor == 1 ? value : at(value, root) * factor; }

Value reshaped(Value value, Value root) {
  return value.shape() == root.shape() ? value : reshape(at(value, root), root.shape());
}

// √(factor·Σx²) = √factor·‖x‖, or the largest magnitudes in the same groups.
Value norm_of(const NormPiece& piece, Value root, const std::string& norm = "norm2") {
  const double factor = std::sqrt(piece.factor);
  if (piece.is_whole()) return reshaped(times(abs(at(piece.x, root)), factor, root), root);
  std::vector<int64_t> axes = marked(piece.reduced);
  if (axes.size() == piece.reduced.size()) axes.clear();
  bool keep = piece.axes && root.rank() == piece.x.rank() && !axes.empty();
  for (size_t i = 0; keep && i < piece.axes->size(); ++i)
    keep = (*piece.axes)[i] == (piece.reduced[i] ? -1 : static_cast<int64_t>(i));
  const Value of =
      norm == "norm2" ? norm2(at(piece.x, root), axes, keep) : norm_inf(at(piece.x, root), axes, keep);
  return times(reshaped(of, root), factor, root);
}

// The piece's elements as [groups, elements of each].
Value in_groups(const NormPiece& piece, int64_t groups, Value root) {
  Value x = piece.x;
  std::vector<int64_t> order;
  for (bool reduced : {false, true})
    for (size_t i = 0; i < piece.reduced.size(); ++i)
      if (piece.reduced[i] == reduced) order.push_back(static_cast<int64_t>(i));
  if (!std::is_sorted(order.begin(), order.end())) x = transpose(at(x, root), order);
  return reshape(at(x, root), {groups, -1});
}

// √Σ pieces is the norm of them side by side.
Value norm_of(Pieces pieces, Value root, EqualNodes& equal) {
  Pieces different;
  for (const NormPiece& piece : pieces) {
    const auto known = std::find_if(different.begin(), different.end(), [&](const NormPiece& other) {
      return equal.same(other.x, piece.x) && other.reduced == piece.reduced;
    });
    known == different.end() ? different.push_back(piece) : void(known->factor += piece.factor);
  }
  if (different.size() == 1) return norm_of(different[0], root);
  const std::optional<int64_t> groups = known_count(root.shape());
  if (!groups || *groups == 0) return {};
  const double factor = different[0].factor;
  std::vector<Value> columns;
  for (const NormPiece& piece : different) {
    if (!known_count(piece.x.shape()).value_or(0)) return {};
    columns.push_back(times(in_groups(piece, *groups, root), std::sqrt(piece.factor / factor), root));
  }
  const Value side_by_side = concat(columns, 1, node_of(root).where);
  return times(reshaped(norm2(at(side_by_side, root), {1}), root), std::sqrt(factor), root);
}

Value to_norm(const Match& match, SumsOfSquares& sums, Spellings& spellings) {
  const Value squares = input_of(match.root, 0);
  if (const auto pieces = sums(squares)) return norm_of(*pieces, match.root, spellings.functions.equal());
  // √(c·max x²) = √c·max |x|
  double factor = 1;
  Value largest = squares;
  while (is_op(largest, "multiply") || is_op(largest, "divide") || is_op(largest, "reshape")) {
    size_t of = 0;
    if (!is_op(largest, "reshape")) {
      if (is_op(largest, "multiply") && is_constant(input_of(largest, 0))) of = 1;
      const auto number = uniform_value(input_of(largest, 1 - of));
      if (!number || !(*number > 0)) return {};
      factor *= is_op(largest, "divide") ? 1 / *number : *number;
    }
    largest = input_of(largest, of);
  }
  if (!is_op(largest, "reduce_max")) return {};
  const auto pieces = sums(input_of(largest, 0));
  if (!pieces || pieces->size() != 1 || !pieces->front().is_whole()) return {};
  const Attributes attributes = node_of(largest).attributes;
  const Value norm = build("norm_inf", {at(pieces->front().x, match.root)}, attributes);
  return times(reshaped(norm, match.root), std::sqrt(factor * pieces->front().factor), match.root);
}

// The norm of k copies of x is k^(1/p)·‖x‖_p, and copies of norms stay copies.
Value to_norm_of_copied(const Match& match) {
  const Value root = match.root, copies = input_of(root, 0), x = match.variables[0];
  const auto all = known_count(copies.shape()), own = known_count(x.shape());
  if (!all || *all == 0 || !own || !is_float(root.dtype())) return {};
  const std::vector<bool> mask = axes_mask(root);
  Shape aligned(mask.size(), 1);
  double copied = 1;
  for (size_t axis = 0; axis < mask.size(); ++axis) {
    const size_t missing = mask.size() - x.shape().size();
    if (axis >= missing) aligned[axis] = x.shape()[axis - missing];
    if (mask[axis] && aligned[axis] == 1) copied *= static_cast<double>(copies.shape()[axis].size());
  }
  const Value norm = build(node_of(root).op->name, {reshape(at(x, root), aligned)}, node_of(root).attributes),
              scaled = is_op(root, "norm2") ? times(norm, std::sqrt(copied), root) : norm;
  return broadcast_to(at(scaled, root), root.shape());
}

// ‖(‖x_g‖)_g‖ = ‖x‖, and the norm of magnitudes is that of the numbers.
Value to_one_norm(const Match& match, EqualNodes& equal) {
  const Value inner = match.variables[0], root = match.root;
  if (const auto size = scaled_abs(inner))
    return times(build(node_of(root).op->name, {at(size->x, root)}, node_of(root).attributes), size->factor,
                 root);
  // Of one number each.
  const auto numbers = known_count(inner.shape()), norms = known_count(root.shape());
  if (numbers && *numbers > 0 && numbers == norms) return reshaped(abs(at(inner, root)), root);
  if (is_op(root, "norm2") && is_op(inner, "norm2")) {
    const auto piece = reduce(square_of(inner), axes_mask(root), keeps_dims(root));
    return piece ? norm_of(Pieces{*piece}, root, equal) : Value();
  }
  if (!is_op(root, "norm_inf") || !is_op(inner, "norm_inf")) return {};
  const auto groups = reduce(whole(input_of(inner, 0)), axes_mask(inner), keeps_dims(inner));
  const auto piece = groups ? reduce(*groups, axes_mask(root), keeps_dims(root)) : std::nullopt;
  return piece ? norm_of(*piece, root, "norm_inf") : Value();
}

// ‖(‖x‖₂, ‖y‖₂, …)‖₂ = ‖(x, y, …)‖₂
Value to_norm_of_parts(const Match& match, EqualNodes& equal) {
  const Value root = match.root, side_by_side = input_of(root, 0);
  if (known_count(root.shape()) != 1 || !(is_op(side_by_side, "stack") || is_op(side_by_side, "concat")))
    return {};
  Pieces pieces;
  bool has_norm = false;
  for (const Edge& input : node_of(side_by_side).inputs) {
    const Value part = root.graph().value(input);
    has_norm = has_norm || is_op(part, "norm2");
    const auto piece =
        reduce(square_of(part), std::vector<bool>(static_cast<size_t>(part.rank()), true), false);
    if (!piece) return {};
    pieces.push_back(*piece);
  }
  return has_norm ? norm_of(pieces, root, equal) : Value();
}

// max(a|x|, b|y|) = ‖(ax, by)‖∞ element by element, where x and y are of different parameters.
Value to_norm_of_pairs(const Match& match, const Spellings& spellings) {
  const Value root = match.root;
  const auto a = scaled_abs(match.variables[0]), b = scaled_abs(match.variables[1]);
  if (!spellings.in_plain_term || !a || !b || a->x.shape() != root.shape() || b->x.shape() != root.shape())
    return {};
  for (const Value of_a : parameters_behind(a->x))
    for (const Value of_b : parameters_behind(b->x))
      if (is_same(of_a, of_b)) return {};
  const Value pairs =
      stack({times(a->x, a->factor, root), times(b->x, b->factor, root)}, 0, node_of(root).where);
  return norm_inf(at(pairs, root), {0});
}

}  // namespace

std::optional<ScaledAbs> scaled_abs(Value value) {
  if (is_op(value, "abs")) return ScaledAbs{input_of(value, 0), 1};
  const bool divided = is_op(value, "divide");
  if (!divided && !is_op(value, "multiply")) return std::nullopt;
  for (size_t which : {0, 1}) {
    const Value size = input_of(value, which);
    if (!is_op(size, "abs") || (divided && which == 1)) continue;
    const std::optional<double> number = uniform_value(input_of(value, 1 - which));
    if (number && *number > 0 && std::isfinite(*number))
      return ScaledAbs{input_of(size, 0), divided ? 1 / *number : *number};
  }
  return std::nullopt;
}

std::vector<Rule> norm_rules(Spellings& spellings) {
  const Pattern x = Pattern::variable(0), y = Pattern::variable(1);
  const auto op = [](std::string name, std::vector<Pattern> inputs) {
    return Pattern::op(std::move(name), std::move(inputs));
  };
  const auto sums = std::make_shared<SumsOfSquares>(spellings);
  const auto one_norm = [&spellings](const Match& match) {
    return to_one_norm(match, spellings.functions.equal());
  };
  const auto norm_of_parts = [&spellings](const Match& match) {
    return to_norm_of_parts(match, spellings.functions.equal());
  };
  const auto largest_size = [](const Match& match) -> Value {
    const Value inner = match.variables[0], root = match.root;
    const Attributes attributes = node_of(root).attributes;
    if (!is_float(root.dtype())) return {};
    if (const auto size = scaled_abs(inner))
      return times(build("norm_inf", {at(size->x, root)}, attributes), size->factor, root);
    if (!is_op(inner, "norm_inf") || known_count(root.shape()) != 1) return {};
    return reshaped(norm_inf(at(input_of(inner, 0), root)), root);
  };
  const auto both_ends = [](const Match& match) -> Value {
    const Value above = input_of(match.root, 0), below = input_of(match.root, 1);
    if (!is_float(match.root.dtype()) || axes_mask(above) != axes_mask(below)) return {};
    return build("norm_inf", {at(match.variables[0], match.root)}, node_of(above).attributes);
  };
  const auto both_signs = [](const Match& match) -> Value {
    const std::vector<bool> mask = axes_mask(match.root);
    const bool all = std::find(mask.begin(), mask.end(), false) == mask.end();
    if (!all || !is_float(match.root.dtype()) || known_count(match.variables[0].shape()).value_or(0) == 0)
      return {};
    return reshaped(norm_inf(at(match.variables[0], match.root)), match.root);
  };
  return {
      {"√Σx² → ‖x‖₂, √max x² → ‖x‖∞", op("sqrt", {x}),
       [sums, &spellings](const Match& match) { return to_norm(match, *sums, spellings); }},
      {"‖(‖x‖₂)‖₂ → ‖x‖₂, ‖(|x|)‖₂ → ‖x‖₂, ‖x‖₂ → |x| of one number", op("norm2", {x}), one_norm},
      {"‖(‖x‖∞)‖∞ → ‖x‖∞, ‖(|x|)‖∞ → ‖x‖∞, ‖x‖∞ → |x| of one number", op("norm_inf", {x}), one_norm},
      {"‖x, x, …‖₂ → √k·‖x‖₂", op("norm2", {op("broadcast_to", {x})}), to_norm_of_copied},
      {"‖x, x, …‖∞ → ‖x‖∞", op("norm_inf", {op("broadcast_to", {x})}), to_norm_of_copied},
      {"‖(‖x‖₂, ‖y‖₂)‖₂ → ‖(x, y)‖₂", op("norm2", {x}), norm_of_parts},
      {"max(|x|, |y|) → ‖(x, y)‖∞", op("maximum", {x, y}),
       [&spellings](const Match& match) { return to_norm_of_pairs(match, spellings); }},
      {"max |x| → ‖x‖∞", op("reduce_max", {x}), largest_size},
      {"max [x, -x] → ‖x‖∞", op("reduce_max", {op("concat", {x, -x})}), both_signs},
      {"max [-x, x] → ‖x‖∞", op("reduce_max", {op("concat", {-x, x})}), both_signs},
      {"max stack(x, -x) → ‖x‖∞", op("reduce_max", {op("stack", {x, -x})}), both_signs},
      {"max stack(-x, x) → ‖x‖∞", op("reduce_max", {op("stack", {-x, x})}), both_signs},
      {"max(max x, max -x) → ‖x‖∞", op("maximum", {op("reduce_max", {x}), op("reduce_max", {-x})}),
       both_ends},
  };
}

}  // namespace lariat
