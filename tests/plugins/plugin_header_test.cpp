// What lariat_op.hpp gives to authors of plugins beside the boundary.
#include <cmath>
#include <limits>

#include "graph/ir/sample.hpp"
#include "ops/plugin/lariat_op_math.hpp"
#include "tests/support/testing.hpp"

namespace lariat::plugin_header_test {

namespace fast = lariat::op::fast;

namespace {

// The largest error of `function` on [low, high], in units in the last place of T.
template <class T, class F, class Exact>
double worst_error(const F& function, const Exact& exact, double low, double high, bool by_exponent) {
  double worst = 0;
  for (uint64_t i = 0; i < 200'000; ++i) {
    const double drawn = low + (high - low) * lariat::uniform_number(3, 1, i);
    const T x = static_cast<T>(by_exponent ? std::exp2(drawn) : drawn);
    const long double right = exact(static_cast<long double>(x));
    const T rounded = static_cast<T>(right), size = std::abs(rounded);
    // Below the smallest normal number units are those of subnormal ones.
    const T unit = std::nextafter(size, std::numeric_limits<T>::infinity()) - size;
    if (std::isinf(rounded) || std::isinf(unit)) continue;
    worst =
        std::max(worst, static_cast<double>(std::abs(static_cast<long double>(function(x)) - right) / unit));
  }
  return worst;
}

template <class T>
void check_functions() {
  const double range = sizeof(T) == 4 ? 87 : 708, exponents = sizeof(T) == 4 ? 126 : 1022;
  const auto exact_sigmoid = [](long double x) { return 1 / (1 + std::exp(-x)); };
  const auto exact_exp = [](long double x) { return std::exp(x); };
  const auto exact_expm1 = [](long double x) { return std::expm1(x); };
  const auto exact_log = [](long double x) { return std::log(x); };
  const auto exact_tanh = [](long double x) { return std::tanh(x); };
  CHECK(worst_error<T>([](T x) { return fast::exp(x); }, exact_exp, -range, range, false) < 1.1);
  CHECK(worst_error<T>([](T x) { return fast::expm1(x); }, exact_expm1, -50, range, false) < 2);
  CHECK(worst_error<T>([](T x) { return fast::expm1(x); }, exact_expm1, -60, 4, true) < 2);
  CHECK(worst_error<T>([](T x) { return fast::log(x); }, exact_log, -exponents, exponents, true) < 0.9);
  CHECK(worst_error<T>([](T x) { return fast::log(x); }, exact_log, 0.5, 2, false) < 0.9);
  CHECK(worst_error<T>([](T x) { return fast::tanh(x); }, exact_tanh, -60, 4, true) < 2.7);
  CHECK(worst_error<T>([](T x) { return fast::tanh(x); }, exact_tanh, -10, 10, false) < 2.7);
  CHECK(worst_error<T>([](T x) { return fast::sigmoid(x); }, exact_sigmoid, -range, range, false) < 2.5);

  const T infinity = std::numeric_limits<T>::infinity(), nan = std::numeric_limits<T>::quiet_NaN();
  CHECK(fast::exp(infinity) == infinity);
  CHECK(fast::exp(-infinity) == 0);
  CHECK(fast::exp(T(0)) == 1);
  CHECK(fast::expm1(-infinity) == -1);
  CHECK(std::signbit(fast::expm1(T(-0.0))));
  CHECK(fast::log(T(0)) == -infinity);
  CHECK(fast::log(infinity) == infinity);
  CHECK(std::isnan(fast::log(T(-1))));
  CHECK(fast::log(T(1)) == 0);
  CHECK(fast::log(std::numeric_limits<T>::denorm_min()) ==
        doctest::Approx(std::log(static_cast<double>(std::numeric_limits<T>::denorm_min()))));
  CHECK(fast::tanh(infinity) == 1);
  CHECK(fast::tanh(-infinity) == -1);
  CHECK(std::signbit(fast::tanh(T(-0.0))));
  CHECK(fast::sigmoid(-infinity) == 0);
  CHECK(fast::sigmoid(infinity) == 1);
  for (const T value :
       {fast::exp(nan), fast::expm1(nan), fast::log(nan), fast::tanh(nan), fast::sigmoid(nan)})
    CHECK(std::isnan(value));
}

}  // namespace

TEST_CASE("plugin header: fast functions are as near as they say, for floats") { check_functions<float>(); }
TEST_CASE("plugin header: fast functions are as near as they say, for doubles") { check_functions<double>(); }

}  // namespace lariat::plugin_header_test
