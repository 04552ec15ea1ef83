#include "autodiff/check/penalty_check.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "autodiff/check/penalty_use.hpp"
#include "graph/base/error.hpp"
#include "graph/ir/builder.hpp"
#include "ops/ops.hpp"

namespace lariat {

namespace penalty_check_detail {

// Σ weight·φ(w) + Σ (w − v)²/(2 step) + Σ extra(w).
struct Sum {
  Use& use;
  const Point &v, &step, &weight;
  std::vector<Kinked> extra = {};

  const Kinked& extra_of(size_t i) const { return extra[extra.size() == 1 ? 0 : i]; }

  double operator()(const Point& x, Point* slope) const {
    double total = use.value(x, weight, slope);
    Point outside(x.size());
    for (size_t i = 0; i < x.size(); ++i) {
      const double distance = x[i] - v[i], s = of_element(step, i);
      total += distance * distance / (2 * s);
      if (slope) (*slope)[i] += distance / s;
      if (extra.empty()) continue;
      const Kinked& h = extra_of(i);
      total += h.value(x[i]);
      if (slope) (*slope)[i] += x[i] < h.at ? h.below : h.above;
      outside[i] = x[i] < h.low ? x[i] - h.low : x[i] > h.high ? x[i] - h.high : 0;
    }
    if (slope && norm(outside) > 0) *slope = outside;
    return total;
  }
};

// The least value that is found beside that at `at`, and where.
Minimum least_of(const Sum& sum, const Point& at) {
  Use& use = sum.use;
  const Objective objective = [&](const Point& x, Point* slope) { return sum(x, slope); };
  if (use.is_separable) {
    Minimum least{at, 0};
    for (size_t i = 0; i < use.elements; ++i) {
      const double v = sum.v[i], a = of_element(sum.weight, i), s = of_element(sum.step, i);
      const double reach = 1 + std::abs(v);
      const auto function = [&](double x) {
        return (a == 0 ? 0 : a * use.phi(x)) + (x - v) * (x - v) / (2 * s) +
               (sum.extra.empty() ? 0 : sum.extra_of(i).value(x));
      };
      std::vector<double> special{0, v, at[i]};
      if (!sum.extra.empty()) special.push_back(sum.extra_of(i).at);
      for (const Point& point : use.points()) special.push_back(point[i]);
      least.value += line_minimum(function, std::min(0.0, v) - reach, std::max(0.0, v) + reach, special);
    }
    return least;
  }
  Minimum best{at, objective(at, nullptr)};
  const auto take = [&](const Minimum& other) {
    if (other.value < best.value || std::isnan(best.value)) best = other;
  };
  const double step = largest(sum.step);
  Point slope(use.elements);
  const double start = use.value(sum.v, sum.weight, &slope);
  double reach = 0, outside = 0;
  for (size_t i = 0; i < use.elements && !sum.extra.empty(); ++i) {
    const Kinked& h = sum.extra_of(i);
    reach += std::max(std::abs(h.below), std::abs(h.above));
    outside += std::abs(sum.v[i] - std::clamp(sum.v[i], h.low, h.high));
  }
  if (use.penalty.convex && std::isfinite(start) && is_finite(slope)) {
    // |w − v|²/(2 step) is at most what a slope at v lets the rest fall.
    const double radius = 1.01 * (2 * step * (norm(slope) + reach) + 2 * outside);
    const int most = static_cast<int>(std::min<size_t>(20000, 100 * use.elements * use.elements));
    if (radius > 0) take(ellipsoid_minimum(objective, sum.v, radius, 1e-12 * (1 + std::abs(start)), most));
    if (radius == 0) take({sum.v, objective(sum.v, nullptr)});
  } else {
    for (const Point& from : {at, sum.v, Point(use.elements)})
      take(pattern_minimum(objective, from, 1 + largest(sum.v), directions_of(use)));
  }
  return best;
}

// A fault where `at` is no minimum of the sum.
std::string not_least(const Sum& sum, const Point& at) {
  const double own = sum(at, nullptr);
  const Minimum least = least_of(sum, at);
  if (own <= least.value + 1e-9 * (1e-2 + std::abs(least.value))) return {};
  return fmt::format(
      "for the point {}, step {} and weight {} it gives {}, whose value is {:.8g}; {} is possible",
      point_text(sum.v), point_text(sum.step), point_text(sum.weight), point_text(at), own,
      sum.use.is_separable ? fmt::format("{:.8g}", least.value)
                           : fmt::format("{:.8g} at {}", least.value, point_text(least.at)));
}

// Where h(y) falls below h(x) + ⟨slope, y − x⟩, of a convex h = Σ weight·φ: at ends of chords and where the
// ellipsoid method looks. "" where it does nowhere.
std::string not_below(Use& use, const Point& x, const Point& slope, const Point& weight) {
  const double base = use.value(x, weight);
  if (!std::isfinite(base)) return fmt::format("the penalty is {} there", base);
  const auto tilted = [&](const Point& y, Point* at) {
    const double value = use.value(y, weight, at);
    if (at) *at = moved(*at, -1, slope);
    return value - dot(slope, y);
  };
  const double here = base - dot(slope, x);
  const double size = std::abs(base) + norm(slope) * (1 + norm(x));
  std::string fault;
  const auto look = [&](const Point& y) {
    if (fault.empty() && tilted(y, nullptr) < here - 1e-8 * (1e-3 + size))
      fault = fmt::format("at {} the penalty is below it", point_text(y));
  };
  for (const Point& direction : directions_of(use))
    for (const double length : {1.0, -1.0, 1e-2, -1e-2, 1e-4, -1e-4})
      look(moved(x, length * (1 + largest(x)), direction));
  look(Point(use.elements));
  for (const Point& y : use.points()) look(y);
  Point at(use.elements);
  if (use.value(x, weight, &at); fault.empty() && is_finite(at))
    look(ellipsoid_minimum(tilted, x, 1 + norm(x), 1e-12 * (1 + size),
                           static_cast<int>(std::min<size_t>(1000, 15 * use.elements * use.elements)))
             .at);
  return fault;
}

std::string check_prox_at(Use& use, const Point& v, const Point& step, const Point& weight) {
  const Point at = use.prox(v, step, weight);
  if (at.size() != use.elements)
    return fmt::format("the prox has {} elements; the point {}", at.size(), use.elements);
  if (std::string fault = not_least({use, v, step, weight}, at); !fault.empty()) return fault;
  if (!use.penalty.convex) return {};
  Point slope(use.elements);
  for (size_t i = 0; i < slope.size(); ++i) slope[i] = (v[i] - at[i]) / of_element(step, i);
  if (const std::string fault = not_below(use, at, slope, weight); !fault.empty())
    return fmt::format(
        "for the point {}, step {} and weight {} it gives {}, where (point - w)/step is no "
        "subgradient: {}",
        point_text(v), point_text(step), point_text(weight), point_text(at), fault);
  const Point single = use.prox(v, step, weight, f32);
  for (size_t i = 0; i < single.size(); ++i)
    if (!(std::abs(single[i] - at[i]) <= 1e-4 * (1 + largest(v))))
      return fmt::format("for the point {}, step {} and weight {} it gives {} in f64 and {} in f32",
                         point_text(v), point_text(step), point_text(weight), point_text(at),
                         point_text(single));
  return {};
}

std::string check_prox(Use& use) {
  for (const Point& weight : weights_of(use))
    for (const Point& step : steps_of(use))
      for (const Point& v : use.points())
        if (std::string fault = check_prox_at(use, v, step, weight); !fault.empty()) return fault;
  if (std::string fault = check_step_of_none(use); !fault.empty()) return fault;
  const auto many = [&](const Point& v, const Point&) { return use.prox(v, {0.5}, {0.3}); };
  if (std::string fault = check_many(use, many); !fault.empty()) return fault;
  if (std::string fault = check_prox_at(use, use.points()[6], {0.5}, {60}); !fault.empty()) return fault;
  // Weights as small as λ mostly is, beside steps by which they show, and thresholds of any size.
  for (const auto& [step, weight] : {std::pair(20.0, 0.005), {200.0, 4e-4}, {20.0, 60.0}, {0.5, 7.0}})
    for (size_t p : {0, 3, 6})
      if (std::string fault = check_prox_at(use, use.points()[p], {step}, {weight}); !fault.empty())
        return fault;
  // As small a threshold as a training has, and a slope that rounding leaves some digits of.
  for (size_t p : {0, 1, 3, 5})
    if (std::string fault = check_prox_at(use, use.points()[p], {1e-3}, {0.09}); !fault.empty()) return fault;
  // A diverged weight must be seen.
  for (size_t i = 0; i < use.elements; ++i) {
    Point v = use.points()[0];
    v[i] = std::numeric_limits<double>::quiet_NaN();
    const Point at = use.prox(v, {0.5}, {0.3});
    if (is_finite(at))
      return fmt::format("for the point {}, step [0.5] and weight [0.3] it gives {}; NaN must come through",
                         point_text(v), point_text(at));
  }
  return {};
}

// [F'(x; −e)·(−1), F'(x; e)] by element, where F is convex there.
struct Slopes {
  double low, high;
};
Slopes slopes_at(Use& use, Point x, const Point& weight, size_t i) {
  const double h = 1e-6 * std::max(1.0, std::abs(x[i])), at = x[i], here = use.value(x, weight);
  x[i] = at + h;
  const double above = use.value(x, weight);
  x[i] = at - h;
  return {(here - use.value(x, weight)) / h, (above - here) / h};
}

std::string check_residual_at(Use& use, const Point& x, const Point& gradient, const Point& weight) {
  const Point rest = use.residual(x, gradient, weight);
  const auto fault = [&](const std::string& why) {
    return fmt::format("at {} with the gradient {} and weight {} it gives {}: {}", point_text(x),
                       point_text(gradient), point_text(weight), point_text(rest), why);
  };
  if (rest.size() != use.elements || !is_finite(rest)) return fault("it is no vector like x");
  const double size = 1 + largest(gradient);
  // By element: the nearest number to -gradient between the slopes on both sides.
  for (size_t i = 0; i < use.elements; ++i) {
    const Slopes slopes = slopes_at(use, x, weight, i);
    const double least = std::min(std::abs(slopes.low), std::abs(slopes.high)), error = 1e-3 * (size + least);
    if (!(slopes.low <= slopes.high + error)) continue;  // a kink of a function that is not convex
    const double taken = rest[i] - gradient[i];
    if (taken < slopes.low - error || taken > slopes.high + error)
      return fault(
          fmt::format("minus the gradient its element {} is {:.6g}; slopes there are {:.6g} to {:.6g}", i,
                      taken, slopes.low, slopes.high));
    if (!use.is_separable) continue;
    const double expected =
        gradient[i] + std::clamp(-gradient[i], slopes.low, std::max(slopes.low, slopes.high));
    if (!(std::abs(rest[i] - expected) <= error))
      return fault(fmt::format("its element {} is {:.6g} by the values of the penalty", i, expected));
  }
  if (use.is_separable) return {};
  if (use.penalty.convex)
    if (const std::string why = not_below(use, x, moved(rest, -1, gradient), weight); !why.empty())
      return fault("minus the gradient it is no subgradient: " + why);
  // Downwards along it the sum falls by its square at least.
  const double length = norm(rest), h = 1e-5 * std::max(1.0, largest(x));
  if (length < 1e-6 * size) return {};
  const double fall = (use.value(moved(x, -h / length, rest), weight) - use.value(x, weight)) / h * length -
                      dot(gradient, rest);
  if (fall > -length * length + 1e-3 * length * (size + length))
    return fault(fmt::format("it is not the shortest: against it the sum changes by {:.6g}, not {:.6g}", fall,
                             -length * length));
  return {};
}

std::string check_residual(Use& use) {
  std::vector<Point> weights = weights_of(use);
  for (const double weight : {0.02, 7.0, 60.0}) weights.push_back({weight});
  for (const Point& weight : weights)
    for (size_t p = 0; p < points_away_from_kinks; ++p) {
      const Point& x = use.points()[p];
      for (const double scale : {0.1, 1.0, 10.0}) {
        Point gradient(use.elements);
        for (size_t i = 0; i < gradient.size(); ++i) gradient[i] = scale * (2 * uniform_number(11, p, i) - 1);
        if (const std::string fault = check_residual_at(use, x, gradient, weight); !fault.empty())
          return fault;
      }
      // Where the prox ends nothing is left.
      for (const double step : {0.5, 20.0}) {
        const Point at = use.prox(x, {step}, weight);
        const Point gradient = [&] {
          Point g(use.elements);
          for (size_t i = 0; i < g.size(); ++i) g[i] = (at[i] - x[i]) / step;
          return g;
        }();
        const Point rest = use.residual(at, gradient, weight);
        if (!(norm(rest) <= 1e-6 * (1 + norm(gradient))))
          return fmt::format("at {}, the prox of {} for step {} and weight {}, {} is left; 0 should be",
                             point_text(at), point_text(x), step, point_text(weight), point_text(rest));
      }
    }
  return check_many(use,
                    [&](const Point& x, const Point& gradient) { return use.residual(x, gradient, {0.3}); });
}

std::string check_convex(Use& use) {
  const std::vector<Point>& points = use.points();
  for (size_t a = 0; a < points.size(); ++a)
    for (size_t b = 0; b < a; ++b)
      for (const double part : {0.5, 0.1, 0.01, 0.9, 0.99}) {
        Point between(use.elements);
        for (size_t i = 0; i < between.size(); ++i)
          between[i] = part * points[a][i] + (1 - part) * points[b][i];
        const Point of_a = use.phi(points[a]), of_b = use.phi(points[b]), value = use.phi(between);
        for (size_t k = 0; k < value.size(); ++k) {
          const double chord = part * of_a[k] + (1 - part) * of_b[k];
          if (value[k] > chord + 1e-9 * (1e-3 + std::abs(of_a[k]) + std::abs(of_b[k])))
            return fmt::format("it is not convex: at {} it is {:.8g}, above the chord from {} to {}, {:.8g}",
                               point_text(between), value[k], point_text(points[a]), point_text(points[b]),
                               chord);
        }
      }
  return {};
}

// The place between `low` and `high` where the slope of the function leaps, by ever closer looks at its
// largest second difference: of a smooth function it shrinks with the distance squared.
std::optional<double> kink_of(const std::function<double(double)>& function, double low, double high) {
  constexpr int cells = 200;
  double before = 0, leap = 0, at = 0, slope = 0;
  for (int look = 0; look < 4; ++look) {
    const double width = (high - low) / cells;
    std::vector<double> values;
    for (int k = 0; k <= cells; ++k) values.push_back(function(low + width * k));
    double most = -1;
    for (int k = 1; k < cells; ++k) {
      const double second = std::abs(values[k + 1] - 2 * values[k] + values[k - 1]) / width;
      slope = std::max(slope, std::abs(values[k + 1] - values[k]) / width);
      if (!(second <= most)) {
        most = second;
        at = low + width * k;
      }
    }
    before = leap;
    leap = most;
    low = at - 2 * width;
    high = at + 2 * width;
  }
  if (leap > 0.3 * before && leap > 1e-4 * slope) return at;
  return std::nullopt;
}

std::string check_smooth(Use& use) {
  std::vector<Point> directions = directions_of(use);
  for (size_t b : {0, 1, 2, 4})
    for (size_t d = 0; d < directions.size(); d += 3) {
      const Point &base = use.points()[b], &direction = directions[d];
      const auto along = [&](double t) { return use.value(moved(base, t, direction), {1}); };
      if (const auto kink = kink_of(along, -4.1, 4))
        return fmt::format("it is said to be smooth, and has a kink at {}",
                           point_text(moved(base, *kink, direction)));
    }
  return {};
}

std::string check_combination(Use& use) {
  const bool last = use.penalty.combination == Combination::last;
  std::vector<std::vector<Kinked>> others;
  if (last) {
    others = {{{0, -0.4, 0.4}}, {{0, 0, 0.7}}, {{0, -0.3, 0.9}}, {{0, 0, 0.2, 0, infinite}}, {}};
    for (size_t i = 0; i < use.elements; ++i) {
      const double size = uniform_number(13, 1, i);
      others.back().push_back({0, -size, size});
    }
  } else {
    others = {{{0, -0.4, 0.4}}, {{0.5, -0.4, 0.4}}, {{-0.25, -0.2, 0.7}}, {{0, 0, 0, -0.6, 0.8}}};
  }
  for (const Point& weight : weights_of(use))
    for (const Point& step : steps_of(use)) {
      if (!last && step.size() > 1) continue;
      for (size_t p : {0, 1, 3, 5, 7})
        for (const std::vector<Kinked>& other : others) {
          const Point& v = use.points()[p];
          const Sum sum{use, v, step, weight, other};
          const auto of_other = [&](Point x) {
            for (size_t i = 0; i < x.size(); ++i) x[i] = sum.extra_of(i).prox(x[i], of_element(step, i));
            return x;
          };
          const Point at = last ? use.prox(of_other(v), step, weight) : of_other(use.prox(v, step, weight));
          if (const std::string fault = not_least(sum, at); !fault.empty())
            return fmt::format("{} a kink at {:.3g} with slopes {:.3g} and {:.3g}: {}",
                               last ? "behind" : "before", other[0].at, other[0].below, other[0].above,
                               fault);
        }
    }
  return {};
}

std::string check_beside_kinks(Use& use) {
  for (const Point& weight : weights_of(use))
    for (const Point& step : steps_of(use))
      for (size_t p : {0, 1, 3, 5, 7})
        for (const Kinked& kink : {Kinked{0, -0.4, 0.4}, Kinked{0.5, -0.4, 0.4}, Kinked{-0.25, -0.2, 0.7},
                                   Kinked{0, 0, 0, -0.6, 0.8}}) {
          const Point& v = use.points()[p];
          const Point at = use.prox_beside_kinks(v, step, weight, kink);
          if (const std::string fault = not_least({use, v, step, weight, {kink}}, at); !fault.empty())
            return fmt::format("beside a kink at {:.3g} with slopes {:.3g} and {:.3g}: {}", kink.at,
                               kink.below, kink.above, fault);
        }
  return {};
}

}  // namespace penalty_check_detail

std::vector<OpClaim> penalty_claims(const OpDef& op, const OpCases& cases) {
  using namespace penalty_check_detail;
  std::vector<OpClaim> claims;
  const auto claim = [&](const char* name, std::string (*check)(Use&)) {
    claims.push_back({name, [&cases, check](OpFinding& finding) {
                        std::vector<OpCase> usable;
                        for (const OpCase& c : cases.of_op())
                          if (c.inputs.size() == 1 && c.inputs[0].dtype() == f64 &&
                              c.inputs[0].count() >= 1 && c.inputs[0].count() <= most_elements)
                            usable.push_back(c);
                        if (usable.size() > most_samples) usable.resize(most_samples, usable.front());
                        if (usable.empty())
                          finding.not_run =
                              fmt::format("add a sample of floats with 1 to {} elements", most_elements);
                        finding.fault = first_fault(usable, [&](const OpCase& c) {
                          Use use(c);
                          return check(use);
                        });
                      }});
  };
  claim("prox", check_prox);
  claim("residual", check_residual);
  if (op.penalty->convex) claim("convex", check_convex);
  if (!op.penalty->nonsmooth) claim("smooth", check_smooth);
  if (op.penalty->combination != Combination::alone) claim("combination", check_combination);
  if (op.penalty->prox_beside_kinks) claim("beside kinks", check_beside_kinks);
  return claims;
}

}  // namespace lariat
