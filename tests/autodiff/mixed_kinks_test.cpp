// Sums of functions of single elements of which some bend down, as ||w| - 1| does: one step of size 1 on
// ½(w - c)² + h(w) ends at the minimum of h as it is written wherever h is convex as a whole.
#include <algorithm>
#include <cmath>
#include <random>

#include "autodiff/training/trainer.hpp"
#include "ops/ops.hpp"
#include "tests/autodiff/loss_table.hpp"
#include "tests/support/testing.hpp"

namespace lariat::mixed_kinks_test {

using namespace lariat::testing;

namespace {

using Function = std::function<double(double)>;

// Slopes of -1, 0 and 1 between kinks at multiples of ¼, as a value and as a function.
struct Nested {
  Value value;
  Function at;
};

class Random {
 public:
  explicit Random(uint64_t seed) : random_(seed) {}
  int below(int limit) { return static_cast<int>(random_() % static_cast<uint64_t>(limit)); }
  double quarter() { return below(9) / 4.0; }

  Nested nested(Value w) {
    Nested f{abs(w), [](double x) { return std::abs(x); }};
    if (below(4) == 0) f = {w - 0.5, [](double x) { return x - 0.5; }};
    for (int depth = below(4); depth > 0; --depth) f = bent(f, quarter());
    return f;
  }

 private:
  Nested bent(const Nested& of, double c) {
    const Function at = of.at;
    switch (below(6)) {
      case 0:
        return {abs(of.value - c), [=](double x) { return std::abs(at(x) - c); }};
      case 1:
        return {maximum(of.value, c), [=](double x) { return std::max(at(x), c); }};
      case 2:
        return {minimum(c, of.value), [=](double x) { return std::min(at(x), c); }};
      case 3:
        return {relu(of.value - c), [=](double x) { return std::max(at(x) - c, 0.0); }};
      case 4:
        return {relu(c - of.value), [=](double x) { return std::max(c - at(x), 0.0); }};
      default:
        return {where(greater(of.value, c), of.value, c), [=](double x) { return std::max(at(x), c); }};
    }
  }
  std::mt19937_64 random_;
};

// All kinks lie on the grid.
bool is_convex(const Function& h) {
  for (double x = -12; x < 12; x += 0.25)
    if (h(x - 0.25) + h(x + 0.25) - 2 * h(x) < -1e-9) return false;
  return true;
}

double minimum_of(const Function& h, double c) {
  const auto value = [&](double x) { return (x - c) * (x - c) / 2 + h(x); };
  // Four terms of slope 4 move it by 16.
  double low = -24, high = 24;
  for (int i = 0; i < 200; ++i) {
    const double a = low + (high - low) / 3, b = high - (high - low) / 3;
    (value(a) < value(b) ? high : low) = value(a) < value(b) ? b : a;
  }
  return (low + high) / 2;
}

struct Tally {
  int rewritten = 0, helped = 0, refused = 0;
};

void check_sum(uint64_t seed, Tally& tally) {
  Random random(seed);
  Graph g;
  constexpr int64_t size = 6, part = 3;
  const Value w = g.parameter("w", {size}, init::uniform(3), f64);
  const std::vector<double> centres{-2.6, -0.9, -0.1, 0.3, 1.2, 3.7};
  const Value c = g.constant(Tensor::of<double>({size}, centres));
  Value h;
  // Of the first elements, and of the others.
  std::vector<std::pair<double, Function>> of_part, of_all;
  bool some_mixed = false;
  for (int count = 1 + random.below(4); count > 0; --count) {
    const bool is_part = random.below(4) == 0;
    const double factor = random.below(6) == 0 ? 1 : 0.5 * (1 + random.below(8));
    const Nested f = random.nested(is_part ? slice(w, 0, 0, part) : w);
    const Value term = random.below(3) == 0 ? factor * size * mean(is_part ? f.value * 0.5 : f.value)
                                            : factor * sum(f.value);
    h = h ? h + term : term;
    (is_part ? of_part : of_all).emplace_back(factor, f.at);
    some_mixed = some_mixed || !is_convex(f.at);
  }
  const auto whole = [&](bool with_part) {
    return [=, &of_part, &of_all](double x) {
      double total = 0;
      for (const auto& [factor, f] : of_all) total += factor * f(x);
      for (const auto& [factor, f] : of_part) total += with_part ? factor * f(x) : 0;
      return total;
    };
  };
  const bool convex = is_convex(whole(true)) && is_convex(whole(false));
  CAPTURE(seed);
  Trainer trainer(0.5 * sum(square(w - c)) + h, Sgd{.learning_rate = 1}, {.threads = 1});
  CAPTURE(trainer.report().text());
  tally.refused += !trainer.report().refused.empty();
  if (!convex) return;
  CHECK(trainer.report().refused.empty());
  tally.rewritten += !trainer.report().rewritten.empty();
  tally.helped += some_mixed;
  trainer.step({});
  const Tensor got = trainer.value(w);
  for (int64_t i = 0; i < size; ++i)
    CHECK(std::abs(got.at(i) - minimum_of(whole(i < part), centres[static_cast<size_t>(i)])) < 1e-6);
}

}  // namespace

TEST_CASE("sums that are convex as a whole have their exact prox, and the others are refused") {
  const auto [first, cases] = testing::seed_range(600, 100'000);
  Tally tally;
  for (int64_t i = 0; i < cases; ++i) check_sum(first + static_cast<uint64_t>(i), tally);
  if (cases < 100) return;
  CHECK(tally.rewritten > cases / 10);
  CHECK(tally.helped > cases / 50);
  CHECK(tally.refused > cases / 10);
}

TEST_CASE("what bends down more than others bend up is refused by one line") {
  const auto line_of = [](const std::function<Value(Value)>& term) {
    Graph g;
    const Value w = g.parameter("w", {4}, init::uniform(1));
    return Trainer(mean(square(w - 0.3)) + term(w), Sgd{}, {.threads = 1}).report().text();
  };
  const std::string refused =
      "keeps its subgradient: it bends down at some of its kinks, and no other terms of the same elements "
      "are "
      "known to bend up there by as much; add such terms, as 2 * sum(abs(w)) is beside sum(abs(abs(w) - 1)), "
      "or "
      "leave it out\n";
  const auto is_one_line = [&](const std::string& text, const std::string& op) {
    CAPTURE(text);
    CHECK(text.starts_with("L105: " + op + " ("));
    CHECK(text.ends_with(refused));
    CHECK(std::count(text.begin(), text.end(), '\n') == 1);
  };
  is_one_line(line_of([](Value w) { return sum(abs(abs(w) - 1)); }), "abs");
  is_one_line(line_of([](Value w) { return 0.1 * sum(abs(abs(abs(w) - 2) - 1)); }), "abs");
  is_one_line(line_of([](Value w) { return sum(minimum(abs(w), 1)); }), "minimum");
  is_one_line(line_of([](Value w) { return mean(relu(1 - abs(w))); }), "relu");
  // Of other functions than views of parameters.
  const std::string curved = line_of([](Value w) { return sum(abs(abs(tanh(w)) - 1)); });
  CHECK(curved.starts_with("L102: abs ("));
  CHECK(std::count(curved.begin(), curved.end(), '\n') == 1);
}

}  // namespace lariat::mixed_kinks_test
