#include "autodiff/penalty/spellings/sums_of_squares.hpp"

#include <algorithm>
#include <cmath>

#include "autodiff/penalty/penalty_view.hpp"
#include "ops/kernels/axes.hpp"
#include "ops/ops.hpp"

namespace lariat {

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

NormPiece square_of(Value x) {
  if (!is_op(x, "norm2")) return whole(x);
  return *reduce(whole(input_of(x, 0)), axes_mask(x), keeps_dims(x));
}

std::optional<int64_t> known_count(const Shape& shape) {
  return is_known(shape) ? std::optional(element_count(shape).size()) : std::nullopt;
}

std::optional<Pieces> SumsOfSquares::operator()(Value value) {
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

// The inputs that must be sums of squares for the value to be one.
std::vector<Value> SumsOfSquares::parts_of(Value value) {
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

std::optional<Pieces> SumsOfSquares::found(Value value) {
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
Value SumsOfSquares::squared_vector(Value product) {
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
NormPiece SumsOfSquares::of_one_element(Value vector) {
  NormPiece piece = *reduce(whole(vector), std::vector<bool>(vector.rank(), true), false);
  piece.axes = std::vector<int64_t>{-1, -1};
  return piece;
}

// All parts are there, of the sum's shape, and what is constant is 0.
bool SumsOfSquares::is_sum(Value value, const std::vector<Value>& parts) {
  for (size_t i : {0, 1})
    if (is_constant(input_of(value, i)) && uniform_value(input_of(value, i)) != 0.0) return false;
  return std::all_of(parts.begin(), parts.end(), [&](Value part) { return part.shape() == value.shape(); });
}

// The piece of `of` as one of `value`, which an op makes of it.
std::optional<NormPiece> SumsOfSquares::carried(NormPiece piece, Value value, Value of) {
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
    if (piece.is_whole() && piece.factor == 1) return whole(build(op, {at(piece.x, value)}, node.attributes));
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

std::optional<NormPiece> SumsOfSquares::weighted(NormPiece piece, Value factors, bool divided, Value root) {
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
std::optional<NormPiece> SumsOfSquares::summed_by_product(NormPiece piece, Value product, Value of) {
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
std::optional<std::vector<int64_t>> SumsOfSquares::same_axes(const NormPiece& piece, const Shape& from,
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

}  // namespace lariat
