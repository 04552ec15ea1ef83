#pragma once

#include <cmath>

namespace lariat::convex {

/// A sum of doubles held as the unevaluated sum of two, so that about 106 bits of it count (Dekker 1971;
/// Ogita, Rump and Oishi 2005).
struct Twofold {
  double high = 0, low = 0;

  void add(double x) {
    const double sum = high + x, part = sum - high;
    low += (high - (sum - part)) + (x - part);
    high = sum;
  }
  void add_product(double a, double b) {
    const double product = a * b;
    low += std::fma(a, b, -product);
    add(product);
  }
  void add_product(double a, const Twofold& b) {
    add_product(a, b.high);
    low += a * b.low;
  }
  void add(const Twofold& x) {
    add(x.high);
    low += x.low;
  }
  double value() const { return high + low; }
};

}  // namespace lariat::convex
