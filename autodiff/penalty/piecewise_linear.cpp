#include "autodiff/penalty/element_functions.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace lariat {

namespace {

constexpr double unbounded = std::numeric_limits<double>::infinity();

using Piece = PiecewiseLinear::Piece;

std::vector<double> merged(const std::vector<double>& a, const std::vector<double>& b) {
  std::vector<double> result;
  std::set_union(a.begin(), a.end(), b.begin(), b.end(), std::back_inserter(result));
  return result;
}

// The same function with breaks at all of `breaks`, which include its own.
PiecewiseLinear refined(const PiecewiseLinear& f, const std::vector<double>& breaks) {
  PiecewiseLinear result{breaks, {}, {f.pieces[0]}};
  size_t own = 0;
  for (double at : breaks) {
    const bool is_own = own < f.breaks.size() && f.breaks[own] == at;
    result.values.push_back(is_own ? f.values[own] : f.pieces[own](at));
    own += is_own;
    result.pieces.push_back(f.pieces[own]);
  }
  return result;
}

// A point within each piece.
double inside(const std::vector<double>& breaks, size_t piece) {
  if (breaks.empty()) return 0;
  if (piece == 0) return breaks.front() - 1 - std::abs(breaks.front());
  if (piece == breaks.size()) return breaks.back() + 1 + std::abs(breaks.back());
  return breaks[piece - 1] + (breaks[piece] - breaks[piece - 1]) / 2;
}

// With breaks where pieces cross 0, of the value 0.
PiecewiseLinear split_at_zeros(const PiecewiseLinear& f) {
  std::vector<double> zeros;
  for (size_t i = 0; i < f.pieces.size(); ++i) {
    if (f.pieces[i].slope == 0) continue;
    const double at = 0 - f.pieces[i].shift / f.pieces[i].slope;
    if (at > (i == 0 ? -unbounded : f.breaks[i - 1]) && at < (i == f.breaks.size() ? unbounded : f.breaks[i]))
      zeros.push_back(at);
  }
  PiecewiseLinear result = refined(f, merged(f.breaks, zeros));
  for (double zero : zeros)
    result
        .values[std::lower_bound(result.breaks.begin(), result.breaks.end(), zero) - result.breaks.begin()] =
        0;
  return result;
}

// Without breaks at which nothing happens.
PiecewiseLinear simplified(const PiecewiseLinear& f) {
  PiecewiseLinear result{{}, {}, {f.pieces[0]}};
  for (size_t i = 0; i < f.breaks.size(); ++i) {
    const Piece &before = result.pieces.back(), &after = f.pieces[i + 1];
    const bool idle =
        before.slope == after.slope && before.shift == after.shift && f.values[i] == before(f.breaks[i]);
    if (idle) continue;
    result.breaks.push_back(f.breaks[i]);
    result.values.push_back(f.values[i]);
    result.pieces.push_back(after);
  }
  return result;
}

}  // namespace

PiecewiseLinear combination(double a, const PiecewiseLinear& f, double b, const PiecewiseLinear& g) {
  const std::vector<double> breaks = merged(f.breaks, g.breaks);
  const PiecewiseLinear x = refined(f, breaks), y = refined(g, breaks);
  PiecewiseLinear result{breaks, {}, {}};
  for (size_t i = 0; i < breaks.size(); ++i) result.values.push_back(a * x.values[i] + b * y.values[i]);
  for (size_t i = 0; i < x.pieces.size(); ++i)
    result.pieces.push_back(
        {a * x.pieces[i].slope + b * y.pieces[i].slope, a * x.pieces[i].shift + b * y.pieces[i].shift});
  return simplified(result);
}

std::optional<PiecewiseLinear> product(const PiecewiseLinear& f, const PiecewiseLinear& g) {
  const std::vector<double> breaks = merged(f.breaks, g.breaks);
  const PiecewiseLinear x = refined(f, breaks), y = refined(g, breaks);
  PiecewiseLinear result{breaks, {}, {}};
  for (size_t i = 0; i < breaks.size(); ++i) result.values.push_back(x.values[i] * y.values[i]);
  for (size_t i = 0; i < x.pieces.size(); ++i) {
    const Piece &a = x.pieces[i], &b = y.pieces[i];
    if (a.slope != 0 && b.slope != 0) return std::nullopt;
    result.pieces.push_back(a.slope == 0 ? Piece{a.shift * b.slope, a.shift * b.shift}
                                         : Piece{b.shift * a.slope, b.shift * a.shift});
  }
  return simplified(result);
}

PiecewiseLinear by_sign(const PiecewiseLinear& d, const PiecewiseLinear& positive,
                        const PiecewiseLinear& negative, const PiecewiseLinear& zero) {
  const PiecewiseLinear split = split_at_zeros(d);
  const std::vector<double> breaks =
      merged(merged(split.breaks, positive.breaks), merged(negative.breaks, zero.breaks));
  const PiecewiseLinear sign = refined(split, breaks), above = refined(positive, breaks),
                        below = refined(negative, breaks), on = refined(zero, breaks);
  const auto chosen = [&](double value) -> const PiecewiseLinear& {
    return value > 0 ? above : value < 0 ? below : on;
  };
  PiecewiseLinear result{breaks, {}, {}};
  for (size_t i = 0; i < breaks.size(); ++i) result.values.push_back(chosen(sign.values[i]).values[i]);
  for (size_t i = 0; i < sign.pieces.size(); ++i)
    result.pieces.push_back(chosen(sign.pieces[i](inside(breaks, i))).pieces[i]);
  return simplified(result);
}

std::optional<Kinks> kinks_of(const PiecewiseLinear& f, double tolerance) {
  Kinks result{f.pieces[0].slope, f.pieces[0].shift, {}, {}};
  for (size_t i = 0; i < f.breaks.size(); ++i) {
    const Piece &before = f.pieces[i], &after = f.pieces[i + 1];
    const double at = f.breaks[i], size = std::abs(before.slope * at) + std::abs(before.shift) +
                                          std::abs(after.slope * at) + std::abs(after.shift);
    if (std::abs(before(at) - after(at)) > tolerance * size) return std::nullopt;
    const double weight = after.slope - before.slope;
    if (std::abs(weight) > tolerance * (std::abs(after.slope) + std::abs(before.slope)))
      result.kinks.push_back({at, weight});
    if (std::abs(f.values[i] - before(at)) > tolerance * (size + std::abs(f.values[i])))
      result.gaps.push_back({at, before(at) - f.values[i]});
  }
  return result;
}

}  // namespace lariat
