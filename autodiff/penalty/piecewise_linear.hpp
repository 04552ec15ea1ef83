#pragma once

#include <optional>
#include <vector>

namespace lariat {

/// A function of one number that is affine between its breaks, perhaps with leaps and single points at them.
struct PiecewiseLinear {
  struct Piece {
    double slope = 0, shift = 0;  // slope·x + shift
    double operator()(double x) const { return slope == 0 ? shift : slope * x + shift; }
  };
  std::vector<double> breaks;  // rising
  std::vector<double> values;  // at the breaks
  std::vector<Piece> pieces;   // one more: before, between and after them

  static PiecewiseLinear constant(double value) { return {{}, {}, {{0, value}}}; }
  static PiecewiseLinear identity() { return {{}, {}, {{1, 0}}}; }

  bool is_affine() const { return breaks.empty(); }
  bool is_constant() const { return breaks.empty() && pieces[0].slope == 0; }
};

/// a·f + b·g.
PiecewiseLinear combination(double a, const PiecewiseLinear& f, double b, const PiecewiseLinear& g);
/// f·g, where everywhere one of them is a constant.
std::optional<PiecewiseLinear> product(const PiecewiseLinear& f, const PiecewiseLinear& g);
/// Where d > 0 `positive`, where d < 0 `negative`, where d = 0 `zero`.
PiecewiseLinear by_sign(const PiecewiseLinear& d, const PiecewiseLinear& positive,
                        const PiecewiseLinear& negative, const PiecewiseLinear& zero);

/// What a function is a sum of, so far as each part is one that penalties are made of:
/// slope·x + shift + Σ kinks, with `weight` for the change of slope at `at`, + Σ gaps·[x ≠ at].
struct Kinks {
  struct Kink {
    double at, weight;
  };
  double slope = 0, shift = 0;  // of the leftmost piece
  std::vector<Kink> kinks, gaps;
};
/// Nothing for a function with leaps. Differences up to `tolerance`, relative, are taken for rounding.
std::optional<Kinks> kinks_of(const PiecewiseLinear& f, double tolerance);

}  // namespace lariat
