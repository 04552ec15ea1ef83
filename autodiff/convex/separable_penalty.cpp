#include "autodiff/convex/separable_penalty.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "autodiff/penalty/penalty_view.hpp"
#include "graph/base/error.hpp"

namespace lariat::convex {

namespace {

// h_j(w) = b·w² + above·w for w > 0, below·w for w < 0: the elastic net (Zou and Hastie 2005), perhaps
// one-sided.
class KinkAtZero final : public SeparablePenalty {
 public:
  explicit KinkAtZero(int64_t count)
      : below_(static_cast<size_t>(count)), above_(below_.size()), squared_(below_.size()) {}
  std::vector<double>& below() { return below_; }
  std::vector<double>& above() { return above_; }
  std::vector<double>& squared() { return squared_; }

  double value(int64_t j, double w) const override {
    return factor * ((w > 0 ? above_[j] : below_[j]) * w + squared_[j] * w * w);
  }
  double prox(int64_t j, double v, double step) const override {
    const double high = factor * above_[j] * step, low = factor * below_[j] * step;
    const double shrunk = v > high ? v - high : v < low ? v - low : v == v ? 0.0 : v;
    return shrunk / (1 + 2 * factor * squared_[j] * step);
  }
  double distance(int64_t j, double w, double v) const override {
    if (w == 0) return std::max({0.0, v - factor * above_[j], factor * below_[j] - v});
    return std::abs(v - derivatives(j, w).first);
  }
  Derivatives derivatives(int64_t j, double w) const override {
    return {factor * ((w > 0 ? above_[j] : below_[j]) + 2 * squared_[j] * w), 2 * factor * squared_[j]};
  }
  // Beyond the kink's slopes the supremum is at w = (v − slope)/(2b).
  double conjugate(int64_t j, double v) const override {
    const double beyond = std::max({0.0, v - factor * above_[j], factor * below_[j] - v});
    const double b = factor * squared_[j];
    return b > 0 ? beyond * beyond / (4 * b) : 0;
  }
  Interval conjugate_domain(int64_t j) const override {
    constexpr double everywhere = std::numeric_limits<double>::infinity();
    return squared_[j] > 0 ? Interval{-everywhere, everywhere} : kink(j);
  }
  Interval kink(int64_t j) const override { return {factor * below_[j], factor * above_[j]}; }
  std::unique_ptr<SeparablePenalty> in_units(std::span<const double> units) const override {
    auto scaled = std::make_unique<KinkAtZero>(*this);
    for (size_t j = 0; j < units.size(); ++j) {
      scaled->below_[j] *= units[j];
      scaled->above_[j] *= units[j];
      scaled->squared_[j] *= units[j] * units[j];
    }
    return scaled;
  }

 private:
  std::vector<double> below_, above_, squared_;
};

void add_constant(std::vector<double>& to, int64_t begin, int64_t end, Value weight, double sign = 1) {
  const std::optional<Tensor> constant = constant_value(weight);
  require(constant.has_value(), "a penalty's weight is no constant");
  for (int64_t j = begin; j < end; ++j) to[j] += sign * constant->at(constant->count() == 1 ? 0 : j - begin);
}

}  // namespace

double SeparablePenalty::total(std::span<const double> w) const {
  double sum = 0;
  for (size_t j = 0; j < w.size(); ++j) sum += w[j] == 0 ? 0 : value(static_cast<int64_t>(j), w[j]);
  return sum;
}

double SeparablePenalty::prox_residual(std::span<const double> w, std::span<const double> g) const {
  double largest = 0;
  for (size_t j = 0; j < w.size(); ++j)
    largest = std::max(largest, std::abs(w[j] - prox(static_cast<int64_t>(j), w[j] - g[j], 1)));
  return largest;
}

int64_t Coordinates::start_of(int32_t node) const {
  for (size_t i = 0; i < parameters.size(); ++i)
    if (parameters[i].node() == node) return starts[i];
  return -1;
}

Coordinates coordinates_of(const std::vector<Value>& parameters) {
  Coordinates result{parameters, {0}};
  for (Value parameter : parameters)
    result.starts.push_back(result.starts.back() + element_count(parameter.shape()).size());
  return result;
}

bool has_separable_form(const PenaltyTerm& term) {
  const auto elsewhere = [](const ScalarTerm::Kink& kink) {
    return kink.at && uniform_value(kink.at) != 0.0;
  };
  return term.scalar && !term.scalar->low && !term.scalar->high &&
         std::none_of(term.scalar->kinks.begin(), term.scalar->kinks.end(), elsewhere);
}

std::unique_ptr<SeparablePenalty> separable_penalty(const std::vector<PenaltyTerm>& terms,
                                                    const Coordinates& coordinates) {
  auto penalty = std::make_unique<KinkAtZero>(coordinates.count());
  for (const PenaltyTerm& term : terms) {
    require(has_separable_form(term), "a separable penalty is made of separable terms");
    for (size_t i = 0; i < coordinates.parameters.size(); ++i) {
      if (!term.is_of(coordinates.parameters[i].name())) continue;
      const int64_t begin = coordinates.starts[i], end = coordinates.starts[i + 1];
      if (term.scalar->quadratic) add_constant(penalty->squared(), begin, end, term.scalar->quadratic);
      for (const ScalarTerm::Kink& kink : term.scalar->kinks) {
        add_constant(penalty->above(), begin, end, kink.above);
        kink.below ? add_constant(penalty->below(), begin, end, kink.below)
                   : add_constant(penalty->below(), begin, end, kink.above, -1);
      }
    }
  }
  for (size_t i = 0; i < coordinates.parameters.size(); ++i)
    for (int64_t j = coordinates.starts[i]; j < coordinates.starts[i + 1]; ++j)
      for (const double sum : {penalty->below()[j], penalty->above()[j], penalty->squared()[j]})
        if (!std::isfinite(sum))
          throw UserError(
              fmt::format("L104: the coefficients on '{}' add up to {}; penalties need finite sums",
                          coordinates.parameters[i].name(), std::abs(sum)));
  return penalty;
}

}  // namespace lariat::convex
