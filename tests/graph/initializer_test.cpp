#include "graph/ir/initializer.hpp"

#include <algorithm>
#include <cmath>

#include "graph/base/error.hpp"
#include "graph/base/random.hpp"
#include "tests/support/testing.hpp"

namespace lariat::initializer_test {

using lariat::testing::message_of;

namespace {

struct Moments {
  double mean = 0, variance = 0, kurtosis = 0, largest = 0;
};

Moments moments_of(const Tensor& tensor) {
  Moments m;
  const auto count = static_cast<double>(tensor.count());
  for (int64_t i = 0; i < tensor.count(); ++i) m.mean += tensor.at(i) / count;
  for (int64_t i = 0; i < tensor.count(); ++i) {
    const double centred = tensor.at(i) - m.mean;
    m.variance += centred * centred / count;
    m.kurtosis += centred * centred * centred * centred / count;
    m.largest = std::max(m.largest, std::abs(tensor.at(i)));
  }
  m.kurtosis /= m.variance * m.variance;
  return m;
}

// The largest entry of |AᵀA - s·1| (columns) or |AAᵀ - s·1| (rows) for A = [rows, columns].
double distance_to_orthogonal(const Tensor& a, int64_t rows, int64_t columns, double square) {
  const bool tall = rows >= columns;
  const int64_t count = std::min(rows, columns), length = std::max(rows, columns);
  const auto element = [&](int64_t vector, int64_t k) {
    return tall ? a.at(k * columns + vector) : a.at(vector * columns + k);
  };
  double worst = 0;
  for (int64_t i = 0; i < count; ++i)
    for (int64_t j = 0; j <= i; ++j) {
      double product = 0;
      for (int64_t k = 0; k < length; ++k) product += element(i, k) * element(j, k);
      worst = std::max(worst, std::abs(product - (i == j ? square : 0)));
    }
  return worst;
}

}  // namespace

TEST_CASE("initializer: constants of every dtype") {
  CHECK(same_bits(initialize(init::zeros(), "b", {3}, f32, 1), Tensor(f32, {3})));
  CHECK(same_bits(initialize(init::constant(0.1), "b", {2}, f64, 1), Tensor::of<double>({2}, {0.1, 0.1})));
  CHECK(same_bits(initialize(init::constant(-7), "n", {2}, i32, 1), Tensor::of<int32_t>({2}, {-7, -7})));
}

TEST_CASE("initializer: the same seed, name and extents give the same bits, another gives others") {
  for (const Initializer& kind :
       {init::uniform(1), init::normal(1), init::glorot_uniform(), init::he_normal(), init::orthogonal()}) {
    CAPTURE(kind.kind);
    const Tensor base = initialize(kind, "W", {5, 3}, f32, 7);
    CHECK(same_bits(base, initialize(kind, "W", {5, 3}, f32, 7)));
    CHECK_FALSE(same_bits(base, initialize(kind, "V", {5, 3}, f32, 7)));
    CHECK_FALSE(same_bits(base, initialize(kind, "W", {5, 3}, f32, 8)));
    CHECK_FALSE(same_bits(base, initialize(kind, "W", {5, 3}, f32, 7 + (1ull << 32))));
    // Both dtypes draw the same numbers.
    CHECK(same_bits(base, initialize(kind, "W", {5, 3}, f64, 7).cast(f32)));
    for (int64_t i = 0; i < base.count(); ++i) CHECK(std::isfinite(base.at(i)));
  }
}

TEST_CASE("initializer: what a seed draws never changes") {
  // From an independent Philox4x32-10 and FNV-1a in Python. Other numbers would make every published seed
  // mean another model.
  const Tensor drawn = initialize(init::uniform(1), "W", {3}, f64, 42);
  CHECK(drawn.at(0) == -0.7367711850600749);
  CHECK(drawn.at(1) == 0.8316332308743164);
  CHECK(drawn.at(2) == -0.4977345034114944);
}

TEST_CASE("initializer: uniform has its range and moments") {
  const Moments m = moments_of(initialize(init::uniform(0.5), "W", {300, 333}, f64, 1));
  CHECK(std::abs(m.mean) < 4 * 0.5 / std::sqrt(3 * 99900.0));
  CHECK(m.variance == doctest::Approx(0.25 / 3).epsilon(0.01));
  CHECK(m.kurtosis == doctest::Approx(1.8).epsilon(0.01));
  CHECK(m.largest <= 0.5);
  CHECK(m.largest > 0.4999);
}

TEST_CASE("initializer: normal has its moments and tails") {
  const Tensor drawn = initialize(init::normal(2), "W", {99999}, f64, 1);
  const Moments m = moments_of(drawn);
  CHECK(std::abs(m.mean) < 4 * 2 / std::sqrt(99999.0));
  CHECK(m.variance == doctest::Approx(4).epsilon(0.02));
  CHECK(m.kurtosis == doctest::Approx(3).epsilon(0.03));
  int64_t within = 0;
  for (int64_t i = 0; i < drawn.count(); ++i) within += std::abs(drawn.at(i)) < 2;
  CHECK(static_cast<double>(within) / 99999 == doctest::Approx(0.6827).epsilon(0.01));
  // Neighbours, which share a radius in Box and Muller's method, are uncorrelated, and so are their squares.
  double product = 0, squares = 0;
  for (int64_t i = 0; i + 1 < drawn.count(); i += 2) {
    const double a = drawn.at(i) / 2, b = drawn.at(i + 1) / 2;
    product += a * b;
    squares += (a * a - 1) * (b * b - 1);
  }
  CHECK(std::abs(product / 49999) < 4 / std::sqrt(49999.0));
  CHECK(std::abs(squares / 49999) < 4 * 2 / std::sqrt(49999.0));
}

TEST_CASE("initializer: two names draw independently") {
  const Tensor a = initialize(init::normal(1), "a", {50000}, f64, 1);
  const Tensor b = initialize(init::normal(1), "b", {50000}, f64, 1);
  double product = 0;
  for (int64_t i = 0; i < a.count(); ++i) product += a.at(i) * b.at(i);
  CHECK(std::abs(product / 50000) < 4 / std::sqrt(50000.0));
}

TEST_CASE("initializer: fans") {
  const auto limit = [](const Extents& extents) {
    return moments_of(initialize(init::glorot_uniform(2), "W", extents, f64, 1)).largest;
  };
  const auto check_limit = [&](const Extents& extents, double fan_in, double fan_out) {
    const double bound = 2 * std::sqrt(6 / (fan_in + fan_out)), largest = limit(extents);
    CHECK(largest <= bound);
    CHECK(largest > 0.99 * bound);
  };
  check_limit({200, 50}, 200, 50);
  check_limit({50, 200}, 50, 200);
  check_limit({1000}, 1000, 1000);
  check_limit({3, 5, 20, 30}, 300, 450);
  const auto deviation = [](const Extents& extents) {
    return std::sqrt(moments_of(initialize(init::he_normal(3), "W", extents, f64, 1)).variance);
  };
  CHECK(deviation({200, 100}) == doctest::Approx(3 * std::sqrt(2 / 200.0)).epsilon(0.03));
  CHECK(deviation({100, 200}) == doctest::Approx(3 * std::sqrt(2 / 100.0)).epsilon(0.03));
  CHECK(deviation({3, 5, 20, 100}) == doctest::Approx(3 * std::sqrt(2 / 300.0)).epsilon(0.03));
}

TEST_CASE("initializer: orthogonal rows or columns, whichever are fewer") {
  for (const auto& [rows, columns] : std::vector<std::pair<int64_t, int64_t>>{
           {1, 1}, {5, 5}, {64, 64}, {7, 3}, {3, 7}, {200, 50}, {50, 201}, {1, 9}, {9, 1}}) {
    CAPTURE(rows);
    CAPTURE(columns);
    CHECK(distance_to_orthogonal(initialize(init::orthogonal(3), "W", {rows, columns}, f64, 1), rows, columns,
                                 9) < 1e-13);
    CHECK(distance_to_orthogonal(initialize(init::orthogonal(), "W", {rows, columns}, f32, 1), rows, columns,
                                 1) < 1e-6);
  }
  CHECK(distance_to_orthogonal(initialize(init::orthogonal(), "W", {2, 3, 4}, f64, 1), 6, 4, 1) < 1e-13);
  CHECK(distance_to_orthogonal(initialize(init::orthogonal(), "W", {6}, f64, 1), 1, 6, 1) < 1e-13);
}

TEST_CASE("initializer: near-parallel draws are made orthogonal as well") {
  // Among 300 square matrices some are ill-conditioned: one Gram-Schmidt sweep reaches 1e-12 only.
  for (uint64_t seed = 0; seed < 300; ++seed)
    CHECK(distance_to_orthogonal(initialize(init::orthogonal(), "W", {40, 40}, f64, seed), 40, 40, 1) <
          1e-14);
}

TEST_CASE("initializer: orthogonal matrices are not the same few") {
  // Uniform among orthogonal matrices (Haar): an entry of a 3 × 3 one has mean 0 and variance 1/3.
  double mean = 0, square = 0;
  for (uint64_t seed = 0; seed < 2000; ++seed) {
    const double entry = initialize(init::orthogonal(), "W", {3, 3}, f64, seed).at(0);
    mean += entry / 2000;
    square += entry * entry / 2000;
  }
  CHECK(std::abs(mean) < 4 / std::sqrt(3 * 2000.0));
  CHECK(square == doctest::Approx(1 / 3.0).epsilon(0.06));
}

TEST_CASE("initializer: empty and scalar parameters") {
  for (const Initializer& kind :
       {init::uniform(1), init::normal(1), init::glorot_uniform(), init::he_normal(), init::orthogonal()}) {
    CHECK(initialize(kind, "W", {0, 3}, f32, 1).count() == 0);
    CHECK(initialize(kind, "W", {3, 0}, f32, 1).count() == 0);
    CHECK(std::isfinite(initialize(kind, "W", {}, f32, 1).item()));
  }
}

TEST_CASE("initializer: mistakes are named") {
  const auto refusal = [](const Initializer& initializer, DType dtype) {
    return message_of<UserError>([&] { initialize(initializer, "W", {2, 2}, dtype, 1); });
  };
  CHECK(refusal({"glorot_unifrom", 1}, f32) ==
        "cannot initialize 'W': there is no initializer 'glorot_unifrom'. Did you mean 'glorot_uniform'?");
  CHECK(refusal({"magic", 1}, f32) ==
        "cannot initialize 'W': there is no initializer 'magic'. Known: constant, uniform, normal, "
        "glorot_uniform, "
        "he_normal, orthogonal.");
  CHECK(refusal(init::normal(1), i32) ==
        "cannot initialize 'W': 'normal' draws real numbers, the tensor is i32; use init::constant");
  CHECK(refusal(init::constant(0.5), i32) ==
        "cannot initialize 'W': the number 0.5 does not fit i32; use a whole number from -2147483648 to "
        "2147483647, "
        "or another dtype");
  CHECK(refusal(init::normal(-1), f32) ==
        "cannot initialize 'W': the scale of 'normal' is -1; it must be finite and not negative");
  CHECK(refusal(init::uniform(std::nan("")), f32) ==
        "cannot initialize 'W': the scale of 'uniform' is nan; it must be finite and not negative");
}

}  // namespace lariat::initializer_test
