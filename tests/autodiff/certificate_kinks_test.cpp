// Certificates at places where slopes of several weights jump together.
#include <fmt/format.h>

#include <cmath>

#include "frontends/lariat.hpp"
#include "graph/base/random.hpp"
#include "tests/support/testing.hpp"

namespace lariat::certificate_kinks_test {

using namespace testing;

namespace {

// Σ cⱼ·mean|x|·|aⱼ·(w − w₀)| at w₀, of terms that share no weight.
struct Kinks {
  struct Term {
    double factor;
    std::vector<double> a;  // of each weight
  };
  std::vector<Term> terms;

  // Down where the factor is negative, each by the slope along its own a.
  double fall() const {
    double squares = 0;
    for (const Term& term : terms)
      for (const double a : term.a)
        if (term.factor < 0) squares += term.factor * a * term.factor * a;
    return std::sqrt(squares);
  }
};

constexpr int64_t weights = 8;

Kinks random_kinks(uint64_t seed) {
  Kinks kinks;
  uint64_t drawn = 0;
  const auto draw = [&] { return to_unit(random_bits(seed, 1, drawn++)[0]); };
  for (int64_t first = 0; first < weights;) {
    const int64_t count = std::min<int64_t>(weights - first, 1 + static_cast<int64_t>(3 * draw()));
    Kinks::Term term{draw() < 0.5 ? -1.5 : 1.5, std::vector<double>(weights)};
    for (int64_t i = first; i < first + count; ++i)
      term.a[static_cast<size_t>(i)] = (0.5 + draw()) * (draw() < 0.5 ? -1 : 1);
    kinks.terms.push_back(std::move(term));
    first += count;
  }
  return kinks;
}

// With the weights in one parameter, or each in one of its own.
Certificate certified(const Kinks& kinks, DType dtype, bool apart) {
  Graph g;
  const Value x = g.input("x", {dim::batch}, dtype);
  Value w;
  std::vector<Value> parts;
  for (int64_t i = 0; i < weights && apart; ++i)
    parts.push_back(g.parameter(fmt::format("w{}", i), {1}, init::constant(0.5), dtype));
  w = apart ? concat({parts.begin(), parts.end()}, 0)
            : g.parameter("w", {weights}, init::constant(0.5), dtype);
  Value loss = 0.05 * sum(square(w - 0.5));
  for (const Kinks::Term& term : kinks.terms) {
    const Value a = g.constant(Tensor::of<double>({weights}, term.a).cast(dtype));
    loss = loss + term.factor * mean(abs(x * sum(a * (w - 0.5))));
  }
  Trainer trainer(loss, Sgd{.learning_rate = 0.1});
  return trainer.certify({{"x", Tensor::of<double>({3}, {1, -1, 1}).cast(dtype)}});
}

}  // namespace

TEST_CASE(
    "certificate: of kinks that join weights, those that bend down count and those that bend up do not") {
  int down = 0, up = 0;
  for (uint64_t seed = 0; seed < 60; ++seed)
    for (const DType dtype : {f32, f64})
      for (const bool apart : {false, true}) {
        CAPTURE(seed);
        CAPTURE(apart);
        const Kinks kinks = random_kinks(seed);
        const std::optional<double> distance = certified(kinks, dtype, apart).distance();
        REQUIRE(distance);
        // The squares move on by what the weights are moved.
        CHECK(*distance == doctest::Approx(kinks.fall()).epsilon(1e-3));
        (kinks.fall() > 0 ? down : up) += 1;
      }
  CHECK(down > 50);
  CHECK(up > 0);
}

TEST_CASE("certificate: a difference of weights far apart, and of two parameters, bends down") {
  const Feeds feeds{{"x", Tensor::of<double>({3}, {1, -1, 2})}};
  const double fall = std::sqrt(2.0) * 4 / 3;
  {
    Graph g;
    const Value x = g.input("x", {dim::batch}, f64), w = g.parameter("w", {}, init::constant(1), f64),
                v = g.parameter("v", {}, init::constant(1), f64);
    Trainer trainer(0.5 * square(w - 1) + 0.5 * square(v - 1) - mean(abs(x * (w - v))),
                    Sgd{.learning_rate = 0.1});
    CHECK(trainer.certify(feeds).distance().value() == doctest::Approx(fall).epsilon(1e-3));
  }
  Graph g;
  const Value x = g.input("x", {dim::batch}, f64), w = g.parameter("w", {6}, init::constant(1), f64);
  Trainer trainer(0.5 * sum(square(w - 1)) - mean(abs(x * (slice(w, 0, 0, 1) - slice(w, 0, 5, 6)))),
                  Sgd{.learning_rate = 0.1});
  CHECK(trainer.certify(feeds).distance().value() == doctest::Approx(fall).epsilon(1e-3));
}

}  // namespace lariat::certificate_kinks_test
