#pragma once

#include <map>
#include <optional>
#include <vector>

#include "autodiff/penalty/spellings/spellings.hpp"

namespace lariat {

/// factor·Σ x² over the reduced axes of x: for each element of a value, in the order of the other axes.
struct NormPiece {
  Value x;
  std::vector<bool> reduced;
  double factor = 1;
  /// The axis of x that each axis of the value is, -1 for one of size 1 that is none; nothing where a reshape
  /// has come between.
  std::optional<std::vector<int64_t>> axes;

  bool is_whole() const { return std::find(reduced.begin(), reduced.end(), true) == reduced.end(); }
};
using Pieces = std::vector<NormPiece>;

NormPiece whole(Value x);
/// The piece of a value, once the marked axes of the value are summed.
std::optional<NormPiece> reduce(NormPiece piece, const std::vector<bool>& mask, bool keep);
/// x² as a piece: of a norm, what the norm is of.
NormPiece square_of(Value x);

/// The marked axes of a reduction's argument, and whether they stay with size 1.
std::vector<bool> axes_mask(Value reduction);
bool keeps_dims(Value reduction);
std::optional<int64_t> known_count(const Shape& shape);

/// Values that are sums of squares.
class SumsOfSquares {
 public:
  explicit SumsOfSquares(Spellings& spellings) : spellings_(spellings) {}
  /// The value as Σ pieces, or nothing.
  std::optional<Pieces> operator()(Value value);

 private:
  std::vector<Value> parts_of(Value value);
  std::optional<Pieces> found(Value value);
  Value squared_vector(Value product);
  NormPiece of_one_element(Value vector);
  bool is_sum(Value value, const std::vector<Value>& parts);
  std::optional<NormPiece> carried(NormPiece piece, Value value, Value of);
  std::optional<NormPiece> weighted(NormPiece piece, Value factors, bool divided, Value root);
  std::optional<NormPiece> summed_by_product(NormPiece piece, Value product, Value of);
  static std::optional<std::vector<int64_t>> same_axes(const NormPiece& piece, const Shape& from,
                                                       const Shape& to);

  Spellings& spellings_;
  std::map<int32_t, std::optional<Pieces>> known_;
};

}  // namespace lariat
