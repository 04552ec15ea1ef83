#include <algorithm>
#include <cmath>
#include <map>

#include "autodiff/penalty/penalty_view.hpp"
#include "autodiff/penalty/spellings.hpp"
#include "ops/kernels/axes.hpp"
#include "ops/ops.hpp"

namespace lariat {

namespace {

// factor·Σ x² over the reduced axes of x: for each element of a value, in the order of the other axes.
struct NormPiece {
  Value x;
  std::vector<bool> reduced;
  double factor = 1;
  // The axis of x that each axis of the value is, -1 for one of size 1 that is none; nothing where a reshape
  // has come between.
  std::optional<std::vector<int64_t>> axes;

  bool is_whole() const { return std::find(reduced.begin(), reduced.end(), true) == reduced.end(); }
};
using Pieces = std::vector<NormPiece>;

std::vector<int64_t> marked(const std::vector<bool>& mask) {
  std::vector<int64_t> result;
  for (size_t i = 0; i < mask.size(); ++i)
    if (mask[i]) result.push_back(static_cast<int64_t>(i));
  return result;
}

std::vector<bool> axes_mask(Value reduction) {
  return checked_axes(node_of(reduction).attributes.get<std::vector<int64_t>>("axes"),
                      input_of(reduction, 0).shape());
}
bool keeps_dims(Value reduction) { return node_of(reduction).attributes.get<bool>("keep_dims"); }

NormPiece whole(Value x) {
  NormPiece piece{x, std::vector<bool>(x.rank()), 1, std::vector<int64_t>()};
  for (int64_t i = 0; i < x.rank(); ++i) piece.axes->push_back(i);
  return piece;
}

// The piece of a value, once the marked axes of the value are summed.
std::optional<NormPiece> reduce(NormPiece piece, const std::vector<bool>& mask, bool keep) {
  const bool all = std::find(mask.begin(), mask.end(), false) == mask.end();
  if (!piece.axes && !all) return std::nullopt;
  std::vector<int64_t> axes;
  if (all) piece.reduced.assign(piece.reduced.size(), true);
  for (size_t i = 0; i < mask.size(); ++i) {
    const int64_t axis = piece.axes ? (*piece.axes)[i] : -1;
    if (mask[i] && axis >= 0) piece.reduced[axis] = true;
    if (!mask[i]) axes.push_back(axis);
    if (mask[i] && keep) axes.push_back(-1);
  }
  piece.axes = axes;
  return piece;
}

// x² as a piece: of a norm, what the norm is of.
NormPiece square_of(Value x) {
  if (!is_op(x, "norm2")) return whole(x);
  return *reduce(whole(input_of(x, 0)), axes_mask(x), keeps_dims(x));
}

std::optional<int64_t> known_count(const Shape& shape) {
  return is_known(shape) ? std::optional(element_count(shape).size()) : std::nullopt;
}

class SumsOfSquares {
 public:
  explicit SumsOfSquares(Spellings& spellings) : spellings_(spellings) {}

  // The value as Σ pieces, or nothing.
  std::optional<Pieces> operator()(Value value) {
    std::vector<Value> pending{value};
    while (!pending.empty()) {
      const Value next = pending.back();
      const size_t before = pending.size();
      if (!known_.contains(next.node()))
        for (Value part : parts_of(next))
          if (!known_.contains(part.node())) pending.push_back(part);
      if (pending.size() > before) continue;
      pending.pop_back();
      if (!known_.contains(next.node())) known_[next.node()] = found(next);
    }
    return known_.at(value.node());
  }

 private:
  // The inputs that must be sums of squares for the value to be one.
  std::vector<Value> parts_of(Value value) {
    const Node& node = node_of(value);
    if (node.outputs.size() != 1 || !is_float(value.dtype())) return {};
    const std::string& op = node.op->name;
    const auto input = [&](size_t i) { return input_of(value, i); };
    if (op == "sum" || op == "mean" || op == "reshape" || op == "transpose" || op == "cast" || op == "divide")
      return {input(0)};
    if (op == "add") {
      std::vector<Value> result;
      for (size_t i : {0, 1})
        if (!is_constant(input(i))) result.push_back(input(i));
      return result;
    }
    if (op == "multiply" || op == "matmul") {
      if (is_constant(input(0))) return {input(1)};
      if (is_constant(input(1))) return {input(0)};
    }
    return {};
  }

  std::optional<Pieces> found(Value value) {
    const Node& node = node_of(value);
    if (node.outputs.size() != 1 || !is_float(value.dtype())) return std::nullopt;
    const std::string& op = node.op->name;
    if (op == "square") return Pieces{square_of(input_of(value, 0))};
    if (op == "square_penalty")
      return Pieces{
          *reduce(whole(input_of(value, 0)), std::vector<bool>(input_of(value, 0).rank(), true), false)};
    if (op == "multiply" && spellings_.functions.equal().same(input_of(value, 0), input_of(value, 1)))
      return Pieces{square_of(input_of(value, 0))};
    if (op == "matmul")
      if (const Value vector = squared_vector(value)) return Pieces{of_one_element(vector)};
    const std::vector<Value> parts = parts_of(value);
    Pieces pieces;
    for (Value part : parts) {
      const std::optional<Pieces>& of_part = known_.at(part.node());
      if (!of_part) return std::nullopt;
      pieces.insert(pieces.end(), of_part->begin(), of_part->end());
    }
    if (pieces.empty()) return std::nullopt;
    if (op == "add") return is_sum(value, parts) ? std::optional(pieces) : std::nullopt;
    for (NormPiece& piece : pieces) {
      std::optional<NormPiece> next = carried(piece, value, parts[0]);
      if (!next) return std::nullopt;
      piece = *next;
    }
    return pieces;
  }

  // xᵀx of a column or a row.
  Value squared_vector(Value product) {
    if (known_count(product.shape()) != 1) return {};
    const auto stripped = [](Value x) {
      const auto is_line = [](const Shape& shape) {
        return std::count_if(shape.begin(), shape.end(), [](Dim d) { return d != Dim(1); }) <= 1;
      };
      while (is_op(x, "reshape") || (is_op(x, "transpose") && is_line(x.shape()))) x = input_of(x, 0);
      return x;
    };
    const Value a = stripped(input_of(product, 0)), b = stripped(input_of(product, 1));
    return spellings_.functions.equal().same(a, b) ? a : Value();
  }
  NormPiece of_one_element(Value vector) {
    NormPiece piece = *reduce(whole(vector), std::vector<bool>(vector.rank(), true), false);
    piece.axes = std::vector<int64_t>{-1, -1};
    return piece;
  }

  // All parts are there, of the sum's shape, and what is constant is 0.
  bool is_sum(Value value, const std::vector<Value>& parts) {
    for (size_t i : {0, 1})
      if (is_constant(input_of(value, i)) && uniform_value(input_of(value, i)) != 0.0) return false;
    return std::all_of(parts.begin(), parts.end(), [&](Value part) { return part.shape() == value.shape(); });
  }

  // The piece of `of` as one of `value`, which an op makes of it.
  std::optional<NormPiece> carried(NormPiece piece, Value value, Value of) {
    const Node node = node_of(value);
    const std::string& op = node.op->name;
    if (op == "sum" || op == "mean") {
      const std::vector<bool> mask = axes_mask(value);
      if (op == "mean") {
        const auto from = known_count(of.shape()), to = known_count(value.shape());
        if (!from || !to || *from == 0 || *to == 0) return std::nullopt;
        piece.factor *= static_cast<double>(*to) / static_cast<double>(*from);
      }
      return reduce(piece, mask, keeps_dims(value));
    }
    if (op == "cast") {
      piece.x = cast(at(piece.x, value), value.dtype());
      return is_float(of.dtype()) ? std::optional(piece) : std::nullopt;
    }
    if (op == "reshape" || op == "transpose") {
      if (piece.is_whole() && piece.factor == 1)
        return whole(build(op, {at(piece.x, value)}, node.attributes));
      if (op == "transpose") return std::nullopt;
      piece.axes = same_axes(piece, of.shape(), value.shape());
      return piece;
    }
    if (op == "multiply" || op == "divide") {
      const Value factors =
          op == "divide" || is_same(of, input_of(value, 0)) ? input_of(value, 1) : input_of(value, 0);
      if (of.shape() != value.shape()) return std::nullopt;
      return weighted(piece, factors, op == "divide", value);
    }
    return op == "matmul" ? summed_by_product(piece, value, of) : std::nullopt;
  }

  std::optional<NormPiece> weighted(NormPiece piece, Value factors, bool divided, Value root) {
    const std::optional<Tensor> numbers = is_constant(factors) ? constant_value(factors) : std::nullopt;
    for (int64_t i = 0; numbers && i < numbers->count(); ++i)
      if (!(numbers->at(i) >= 0)) return std::nullopt;
    if (!numbers) return std::nullopt;
    if (const auto number = uniform_value(factors)) {
      if (!(*number > 0) || !std::isfinite(*number)) return std::nullopt;
      piece.factor *= divided ? 1 / *number : *number;
      return piece;
    }
    if (!piece.is_whole() || divided) return std::nullopt;
    piece.x = at(piece.x, root) * at(sqrt(at(factors, root)), root);
    return piece;
  }

  // A product with a row or a column of constants sums over the columns or rows.
  std::optional<NormPiece> summed_by_product(NormPiece piece, Value product, Value of) {
    if (!piece.is_whole() || of.rank() != 2 || product.rank() != 2) return std::nullopt;
    const bool is_left = is_same(of, input_of(product, 0));
    const Value factors = input_of(product, is_left ? 1 : 0);
    const Attributes& attributes = node_of(product).attributes;
    if (attributes.get<bool>(is_left ? "transpose_a" : "transpose_b") || factors.rank() != 2)
      return std::nullopt;
    const size_t axis = is_left ? 1 : 0;
    if (product.shape()[axis] != Dim(1)) return std::nullopt;
    Shape shape{1, 1};
    shape[axis] = of.shape()[axis];
    const std::optional<NormPiece> scaled =
        weighted(piece, reshape(at(factors, product), shape), false, product);
    return scaled ? reduce(*scaled, {axis == 0, axis == 1}, true) : std::nullopt;
  }

  // Where only axes of size 1 come or go.
  static std::optional<std::vector<int64_t>> same_axes(const NormPiece& piece, const Shape& from,
                                                       const Shape& to) {
    if (!piece.axes) return std::nullopt;
    std::vector<int64_t> real;
    Shape sizes;
    for (size_t i = 0; i < from.size(); ++i)
      if (from[i] != Dim(1)) real.push_back((*piece.axes)[i]), sizes.push_back(from[i]);
    std::vector<int64_t> axes;
    size_t next = 0;
    for (Dim size : to) {
      if (size == Dim(1)) {
        axes.push_back(-1);
      } else if (next < real.size() && sizes[next] == size) {
        axes.push_back(real[next++]);
      } else {
        return std::nullopt;
      }
    }
    return next == real.size() ? std::optional(axes) : std::nullopt;
  }

  Spellings& spellings_;
  std::map<int32_t, std::optional<Pieces>> known_;
};

Value times(Value value, double factor, Value root) { return factor == 1 ? value : at(value, root) * factor; }

Value reshaped(Value value, Value root) {
  return value.shape() == root.shape() ? value : reshape(at(value, root), root.shape());
}

// √(factor·Σx²) = √factor·‖x‖
Value norm_of(const NormPiece& piece, Value root) {
  const double factor = std::sqrt(piece.factor);
  if (piece.is_whole()) return reshaped(times(abs(at(piece.x, root)), factor, root), root);
  std::vector<int64_t> axes = marked(piece.reduced);
  if (axes.size() == piece.reduced.size()) axes.clear();
  bool keep = piece.axes && root.rank() == piece.x.rank() && !axes.empty();
  for (size_t i = 0; keep && i < piece.axes->size(); ++i)
    keep = (*piece.axes)[i] == (piece.reduced[i] ? -1 : static_cast<int64_t>(i));
  return times(reshaped(norm2(at(piece.x, root), axes, keep), root), factor, root);
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
  const std::vector<bool> mask = axes_mask(root);
  const bool all = std::find(mask.begin(), mask.end(), false) == mask.end();
  if (is_op(root, "norm_inf") && is_op(inner, "norm_inf") && all)
    return reshaped(norm_inf(at(input_of(inner, 0), root)), root);
  return {};
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
  const Pattern x = Pattern::variable(0);
  const auto op = [](std::string name, std::vector<Pattern> inputs) {
    return Pattern::op(std::move(name), std::move(inputs));
  };
  const auto sums = std::make_shared<SumsOfSquares>(spellings);
  const auto one_norm = [&spellings](const Match& match) {
    return to_one_norm(match, spellings.functions.equal());
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
