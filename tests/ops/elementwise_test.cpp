// Element-wise ops against their references in extended precision.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>
#include <map>
#include <random>

#include "graph/ir/registry.hpp"
#include "tests/support/testing.hpp"

namespace lariat::elementwise_test {

namespace {

using Reference = std::function<long double(std::span<const long double>)>;

class Random {
 public:
  explicit Random(uint64_t seed) : engine_(seed) {}
  double uniform(double low, double high) {
    return low + (high - low) * static_cast<double>(engine_() >> 11) * 0x1p-53;
  }
  int64_t below(int64_t n) { return static_cast<int64_t>(engine_() % static_cast<uint64_t>(n)); }

 private:
  std::mt19937_64 engine_;
};

// The distance in units of the last place of the exact result rounded to T; infinity stands for the power of
// two that overflows.
template <class T>
double ulps(T got, long double exact) {
  if (std::isnan(exact) || std::isnan(got)) return std::isnan(exact) && std::isnan(got) ? 0 : INFINITY;
  const long double limit = std::ldexp(1.0L, std::numeric_limits<T>::max_exponent);
  const T rounded = static_cast<T>(exact);
  if (rounded == got) return std::signbit(rounded) == std::signbit(got) ? 0 : INFINITY;
  const auto bounded = [&](long double x) { return std::clamp(x, -limit, limit); };
  int exponent = std::numeric_limits<T>::min_exponent;
  if (exact != 0) std::frexp(bounded(exact), &exponent);
  exponent = std::clamp(exponent, std::numeric_limits<T>::min_exponent, std::numeric_limits<T>::max_exponent);
  const long double unit = std::ldexp(1.0L, exponent - std::numeric_limits<T>::digits);
  return static_cast<double>(std::fabs(bounded(got) - bounded(exact)) / unit);
}

template <class T>
std::vector<T> extremes() {
  using Limits = std::numeric_limits<T>;
  std::vector<T> result{
      Limits::denorm_min(),      Limits::min() / 3,        Limits::min(),     1 + Limits::epsilon(),
      1 - Limits::epsilon() / 2, std::sqrt(Limits::max()), Limits::max() / 2, Limits::max(),
      Limits::infinity()};
  // Where float or double exponentials overflow, become subnormal, or vanish, among others.
  for (double x : {0.0,  1e-20, 1e-8,  0.1,   0.5,   0.9,   1.0,   1.5,    2.0,    2.5,   3.0,   20.0, 38.0,
                   87.5, 88.5,  88.72, 88.73, 103.9, 104.0, 709.0, 709.78, 709.79, 745.0, 745.2, 1e4,  1e10})
    result.push_back(static_cast<T>(x));
  if constexpr (std::is_same_v<T, double>) result.insert(result.end(), {1e-300, 1e-160, 1e160, 1e300});
  const size_t positive = result.size();
  for (size_t i = 0; i < positive; ++i) result.push_back(-result[i]);
  result.push_back(Limits::quiet_NaN());
  return result;
}

// Numbers of the sizes at which functions change: near 0, near 1, moderate, and any magnitude at all.
template <class T>
T random_number(Random& random) {
  const int64_t kind = random.below(8);
  if (kind == 0) return static_cast<T>(random.uniform(-1, 1));
  if (kind == 1) return static_cast<T>(random.uniform(-10, 10));
  if (kind == 2) return static_cast<T>(random.uniform(-110, 110));
  if (kind == 3) return static_cast<T>(random.uniform(-800, 800));
  if (kind == 4) return static_cast<T>(random.uniform(0.5, 2));
  if (kind == 5)
    return static_cast<T>(std::ldexp(random.uniform(-1, 1), static_cast<int>(random.below(60)) - 50));
  // Nearest to multiples of π/2, where sin and cos are small.
  if (kind == 6) return static_cast<T>(static_cast<double>(random.below(100000)) * 1.57079632679489661923);
  constexpr int lowest = std::numeric_limits<T>::min_exponent - std::numeric_limits<T>::digits;
  const int exponent = lowest + static_cast<int>(random.below(std::numeric_limits<T>::max_exponent - lowest));
  return static_cast<T>(std::ldexp(random.uniform(-1, 1), exponent));
}

// Arguments of `arity` inputs: every combination of up to two extremes, then random ones.
template <class T>
std::vector<std::vector<T>> table(size_t arity, size_t random_rows) {
  const std::vector<T> points = extremes<T>();
  Random random(arity);
  std::vector<std::vector<T>> columns(arity);
  const size_t count = points.size();
  const size_t combinations = arity == 1 ? count : count * count;
  for (size_t i = 0; i < combinations; ++i) {
    columns[0].push_back(points[i % count]);
    if (arity > 1) columns[1].push_back(points[i / count]);
    for (size_t k = 2; k < arity; ++k)
      columns[k].push_back(points[random.below(static_cast<int64_t>(count))]);
  }
  for (size_t i = 0; i < random_rows; ++i)
    for (auto& column : columns) column.push_back(random_number<T>(random));
  return columns;
}

template <class T>
std::vector<T> apply(const OpDef& op, const Attributes& attributes,
                     const std::vector<std::vector<T>>& columns) {
  std::vector<const void*> inputs;
  for (const auto& column : columns) inputs.push_back(column.data());
  std::vector<T> result(columns[0].size());
  const std::vector<int64_t> strides(columns.size(), 1);
  op.block.get(dtype_of<T>)(inputs.data(), strides.data(), result.data(), static_cast<int64_t>(result.size()),
                            attributes);
  return result;
}

Attributes defaults(const OpDef& op) {
  Attributes result;
  for (const AttributeSpec& spec : op.attributes) result.set(spec.name, *spec.otherwise);
  return result;
}

// Where the terms of a stable formula would cancel: negative thresholds, and targets that are no probability.
bool outside_domain(const OpDef& op, const std::vector<long double>& arguments) {
  if (op.name == "soft_threshold") return arguments[1] < 0;
  if (op.name == "sigmoid_cross_entropy") return arguments[1] < 0 || arguments[1] > 1;
  return false;
}

// Checks that op is within 4 ulp of `reference` on the whole table; returns the number of comparisons.
template <class T>
int64_t check_accuracy(const OpDef& op, const Attributes& attributes, const Reference& reference) {
  const auto columns = table<T>(op.inputs.size(), 20000);
  const std::vector<T> got = apply(op, attributes, columns);
  double worst = 0;
  int64_t checks = 0;
  std::string where;
  std::vector<long double> arguments(columns.size());
  for (size_t i = 0; i < got.size(); ++i) {
    for (size_t k = 0; k < columns.size(); ++k) arguments[k] = columns[k][i];
    if (outside_domain(op, arguments)) continue;
    ++checks;
    const long double exact = reference(arguments);
    const double distance = ulps(got[i], exact);
    if (distance <= worst) continue;
    worst = distance;
    where = fmt::format("{} of", op.name);
    for (const auto& column : columns) where += fmt::format(" {}", column[i]);
    where += fmt::format(" is {}, exact {}", got[i], static_cast<double>(exact));
  }
  CAPTURE(where);
  CAPTURE(worst);
  CHECK(worst <= 4);
  if (std::getenv("VERBOSE")) fmt::print("{} {:.3f} ulp: {}\n", name_of(dtype_of<T>), worst, where);
  return checks;
}

// All but the one that ends the run where its input is not finite.
std::vector<const OpDef*> elementwise_ops() {
  std::vector<const OpDef*> result;
  for (const OpDef* op : registry().all())
    if (op->traits.elementwise && op->block && op->name != "require_finite") result.push_back(op);
  return result;
}

}  // namespace

TEST_CASE("element-wise ops are within 4 ulp of their references, at extremes too") {
  int ops = 0;
  int64_t checks = 0;
  for (const OpDef* op : elementwise_ops()) {
    if (!op->reference || !op->block.float32) continue;
    checks += check_accuracy<float>(*op, {}, op->reference);
    checks += check_accuracy<double>(*op, {}, op->reference);
    ++ops;
  }
  CHECK(ops >= 35);
  CHECK(checks > 39000 * ops);
}

TEST_CASE("element-wise ops with attributes are within 4 ulp") {
  // Attributes are exact in float, so that one reference serves both dtypes.
  const auto check = [](const char* name, const Attributes& attributes, const Reference& reference) {
    const OpDef& op = registry().get(name);
    return check_accuracy<float>(op, attributes, reference) +
           check_accuracy<double>(op, attributes, reference);
  };
  int64_t checks = 0;
  checks += check("clip", {{"low", -1.5}, {"high", 88.5}}, [](auto x) {
    return std::isnan(x[0]) ? x[0] : std::clamp<long double>(x[0], -1.5L, 88.5L);
  });
  checks += check("clip", defaults(registry().get("clip")), [](auto x) { return x[0]; });
  checks += check("leaky_relu", {{"slope", 0.25}}, [](auto x) { return x[0] > 0 ? x[0] : x[0] / 4; });
  checks += check("elu", {{"alpha", 1.5}}, [](auto x) { return x[0] > 0 ? x[0] : 1.5L * std::expm1(x[0]); });
  CHECK(checks > 160000);
}

TEST_CASE(
    "power is what std::pow says at every pair of special numbers, but for NaN, and within 1 ulp as float") {
  std::vector<float> special{0,
                             -0.0f,
                             1,
                             -1,
                             0.5f,
                             -0.5f,
                             2,
                             -2,
                             3,
                             -3,
                             1e-45f,
                             -1e-45f,
                             3.4e38f,
                             -3.4e38f,
                             8388609,
                             -8388609,
                             16777216,
                             -16777216,
                             std::numeric_limits<float>::infinity(),
                             -std::numeric_limits<float>::infinity(),
                             std::numeric_limits<float>::quiet_NaN()};
  std::vector<float> x, p;
  for (const float a : special)
    for (const float b : special) {
      x.push_back(a);
      p.push_back(b);
    }
  Random random(11);
  for (int i = 0; i < 50000; ++i) {
    x.push_back(static_cast<float>(random.uniform(0, i % 2 ? 2 : 1000)));
    p.push_back(static_cast<float>(random.uniform(-12, 12)));
    if (i % 3 == 0) p.back() = std::nearbyint(p.back());
    if (i % 5 == 0) x.back() = -x.back();
  }
  const std::vector<float> got = apply(registry().get("power"), {}, std::vector<std::vector<float>>{x, p});
  double worst = 0;
  for (size_t i = 0; i < got.size(); ++i) {
    const bool is_nan = std::isnan(x[i]) || std::isnan(p[i]);
    const long double exact = is_nan ? std::numeric_limits<long double>::quiet_NaN()
                                     : std::pow(static_cast<long double>(x[i]), p[i]);
    worst = std::max(worst, ulps(got[i], exact));
  }
  CHECK(worst <= 1);
}

TEST_CASE("i32 ops are exact and wrap around") {
  int ops = 0;
  for (const OpDef* op : elementwise_ops()) {
    if (!op->reference || !op->block.int32) continue;
    std::vector<std::vector<int32_t>> columns(op->inputs.size());
    Random random(5);
    for (int i = 0; i < 999; ++i)
      for (auto& column : columns)
        column.push_back(static_cast<int32_t>(random.below(i % 2 ? 7 : 60000)) - (i % 2 ? 3 : 30000));
    const std::vector<int32_t> got = apply(*op, {}, columns);
    int wrong = 0;
    for (size_t i = 0; i < got.size(); ++i) {
      std::vector<long double> arguments;
      for (const auto& column : columns) arguments.push_back(column[i]);
      wrong += got[i] != static_cast<int32_t>(op->reference(arguments));
    }
    CAPTURE(op->name);
    CHECK(wrong == 0);
    ++ops;
  }
  CHECK(ops >= 14);
  const auto of = [](const char* name, std::vector<std::vector<int32_t>> columns) {
    return apply(registry().get(name), {}, columns)[0];
  };
  CHECK(of("add", {{INT32_MAX}, {1}}) == INT32_MIN);
  CHECK(of("subtract", {{INT32_MIN}, {1}}) == INT32_MAX);
  CHECK(of("multiply", {{1 << 16}, {1 << 16}}) == 0);
  CHECK(of("negate", {{INT32_MIN}}) == INT32_MIN);
  CHECK(of("abs", {{INT32_MIN}}) == INT32_MIN);
  CHECK(of("maximum", {{INT32_MIN}, {INT32_MAX}}) == INT32_MAX);
}

TEST_CASE("NaN in any input of an element-wise op reaches the output") {
  // Inputs whose NaN does not, and what comes instead.
  const std::map<std::string, std::vector<bool>> hides{
      {"greater", {true, true}},      {"greater_equal", {true, true}}, {"less", {true, true}},
      {"less_equal", {true, true}},   {"equal", {true, true}},  // IEEE comparisons are false
      {"select", {false, true, true}}};                         // only the chosen side counts
  int checks = 0;
  size_t seen = 0;
  const auto check = [&]<class T>(const OpDef& op, T) {
    const auto exception = hides.find(op.name);
    seen += exception != hides.end();
    for (size_t i = 0; i < op.inputs.size(); ++i) {
      if (exception != hides.end() && exception->second[i]) continue;
      std::vector<std::vector<T>> columns(op.inputs.size());
      for (T other : {T(0), T(-0.0), T(1), T(-2.5), T(1e30), std::numeric_limits<T>::infinity()})
        for (size_t k = 0; k < columns.size(); ++k)
          columns[k].push_back(k == i ? std::numeric_limits<T>::quiet_NaN() : other);
      const std::vector<T> got = apply(op, defaults(op), columns);
      CAPTURE(op.name);
      CAPTURE(i);
      CHECK(std::all_of(got.begin(), got.end(), [](T value) { return std::isnan(value); }));
      ++checks;
    }
  };
  for (const OpDef* op : elementwise_ops()) {
    if (op->block.float32) check(*op, 0.0f);
    if (op->block.float64) check(*op, 0.0);
  }
  CHECK(seen == 2 * hides.size());
  CHECK(checks >= 80);
}

TEST_CASE("NaN in the chosen branch of select reaches the output, in the other it does not") {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const std::vector<double> got = apply<double>(
      registry().get("select"), {}, {{1, 1, 0, 0, -0.0}, {nan, 2, nan, 2, 2}, {3, nan, 3, nan, 3}});
  CHECK(std::isnan(got[0]));
  CHECK(got[1] == 2);
  CHECK(got[2] == 3);
  CHECK(std::isnan(got[3]));
  CHECK(got[4] == 3);
}

TEST_CASE("an element's bits depend neither on its place nor on its neighbours") {
  int64_t checks = 0;
  const auto check = [&]<class T>(const OpDef& op, T) {
    const auto columns = table<T>(op.inputs.size(), 300);
    const Attributes attributes = defaults(op);
    const std::vector<T> together = apply(op, attributes, columns);
    int64_t different = 0;
    for (size_t i = 0; i < together.size(); ++i) {
      std::vector<std::vector<T>> single;
      for (const auto& column : columns) single.push_back({column[i]});
      const T alone = apply(op, attributes, single)[0];
      different += std::memcmp(&alone, &together[i], sizeof(T)) != 0 &&
                   !(std::isnan(alone) && std::isnan(together[i]));
      ++checks;
    }
    CAPTURE(op.name);
    CHECK(different == 0);
  };
  for (const OpDef* op : elementwise_ops()) {
    if (op->block.float32) check(*op, 0.0f);
    if (op->block.float64) check(*op, 0.0);
  }
  CHECK(checks > 20000);
}

TEST_CASE("maximum and minimum do not depend on the order of their inputs, zeros included") {
  for (const char* name : {"maximum", "minimum"}) {
    const std::vector<double> zeros = apply<double>(registry().get(name), {}, {{0.0, -0.0}, {-0.0, 0.0}});
    CHECK(std::signbit(zeros[0]) == (std::string(name) == "minimum"));
    CHECK(std::signbit(zeros[0]) == std::signbit(zeros[1]));
  }
}

TEST_CASE("soft_threshold gives +0 only") {
  const auto columns = table<float>(2, 2000);
  const std::vector<float> got = apply(registry().get("soft_threshold"), {}, columns);
  int zeros = 0;
  for (float value : got) {
    zeros += value == 0;
    CHECK_FALSE((value == 0 && std::signbit(value)));
  }
  CHECK(zeros > 500);
}

}  // namespace lariat::elementwise_test
