#include "frontends/export/c_unit.hpp"

namespace lariat::to_c {

// Exponential and logarithm are Cephes' (Moshier 1989) in single precision, good to 2 units of the last
// place: the C libraries of microcontrollers compute them in double, which has no hardware there.
const std::vector<CHelper>& c_helpers() {
  static const std::vector<CHelper> list{
      {"exponential", {}, R"(static float exponential(float x) {
  union { uint32_t bits; float value; } half, rest;
  float y, r;
  int32_t n;
  if (x > 88.72284F) return INFINITY;
  if (x < -103.97F) return 0.0F;
  if (x != x) return x;
  n = (int32_t)(x * 1.44269504F + (x < 0.0F ? -0.5F : 0.5F));
  r = x - (float)n * 0.693359375F + (float)n * 2.12194440e-4F;
  y = 1.9875691500e-4F;
  y = y * r + 1.3981999507e-3F;
  y = y * r + 8.3334519073e-3F;
  y = y * r + 4.1665795894e-2F;
  y = y * r + 1.6666665459e-1F;
  y = y * r + 5.0000001201e-1F;
  y = y * r * r + r + 1.0F;
  /* 2 to the n in two factors: n is from -150 to 128 */
  half.bits = (uint32_t)(127 + n / 2) << 23;
  rest.bits = (uint32_t)(127 + n - n / 2) << 23;
  return y * half.value * rest.value;
}
)"},
      {"logarithm", {}, R"(static float logarithm(float x) {
  union { float value; uint32_t bits; } u;
  float y, z;
  int32_t exponent = -127;
  if (x != x || x == INFINITY) return x;
  if (x <= 0.0F) return x == 0.0F ? -INFINITY : NAN;
  if (x < 1.17549435e-38F) {
    x *= 8388608.0F;
    exponent -= 23;
  }
  u.value = x;
  exponent += (int32_t)(u.bits >> 23) + 1;
  u.bits = (u.bits & 0x007fffffU) | 0x3f000000U;
  x = u.value;
  if (x < 0.707106781F) {
    --exponent;
    x += x;
  }
  x -= 1.0F;
  z = x * x;
  y = 7.0376836292e-2F;
  y = y * x - 1.1514610310e-1F;
  y = y * x + 1.1676998740e-1F;
  y = y * x - 1.2420140846e-1F;
  y = y * x + 1.4249322787e-1F;
  y = y * x - 1.6668057665e-1F;
  y = y * x + 2.0000714765e-1F;
  y = y * x - 2.4999993993e-1F;
  y = y * x + 3.3333331174e-1F;
  y = y * x * z - 2.12194440e-4F * (float)exponent - 0.5F * z;
  return x + y + 0.693359375F * (float)exponent;
}
)"},
      {"sigmoid", {"exponential"}, R"(static float sigmoid(float x) {
  const float e = exponential(x < 0.0F ? x : -x);
  return (x < 0.0F ? e : 1.0F) / (1.0F + e);
}
)"},
      {"hyperbolic_tangent", {"exponential"}, R"(static float hyperbolic_tangent(float x) {
  const float size = x < 0.0F ? -x : x;
  float z;
  if (size >= 0.625F) {
    z = 1.0F - 2.0F / (exponential(2.0F * size) + 1.0F);
    return x < 0.0F ? -z : z;
  }
  z = x * x;
  return ((((-5.70498872745e-3F * z + 2.06390887954e-2F) * z - 5.37397155531e-2F) * z + 1.33314422036e-1F) * z -
          3.33332819422e-1F) * z * x + x;
}
)"},
      {"clear", {}, R"(static void clear(float *y, int32_t count) {
  int32_t i;
  for (i = 0; i < count; ++i) y[i] = 0.0F;
}
)"},
      {"copy", {}, R"(static void copy(float *y, const float *x, int32_t count) {
  int32_t i;
  for (i = 0; i < count; ++i) y[i] = x[i];
}
)"},
      {"copy_integers", {}, R"(static void copy_integers(int32_t *y, const int32_t *x, int32_t count) {
  int32_t i;
  for (i = 0; i < count; ++i) y[i] = x[i];
}
)"},
      {"copy_levels", {}, R"(/* 16-bit numbers, in steps */
static void copy_levels(float *y, const int16_t *x, float step, int32_t count) {
  int32_t i;
  for (i = 0; i < count; ++i) y[i] = (float)x[i] * step;
}
)"},
      {"channel_scale",
       {},
       R"(/* a scale of 8 bits: the exponent and 3 bits of the mantissa of a float, less `base` */
static float channel_scale(uint8_t code, int32_t base) {
  union { uint32_t bits; float value; } u;
  u.bits = (uint32_t)(base + (int32_t)code) << 20;
  return u.value;
}
)"},
      {"dense_product", {}, R"(/* y += W x, W by rows */
static void dense_product(const float *x, const float *w, float *y, int32_t rows, int32_t columns) {
  int32_t i, j;
  for (j = 0; j < rows; ++j) {
    float sum = y[j];
    for (i = 0; i < columns; ++i) sum += x[i] * *w++;
    y[j] = sum;
  }
}
)"},
      {"dense_product_int8", {"channel_scale"}, R"(/* y += S W x, W by rows, with a scale for each */
static void dense_product_int8(const float *x, const int8_t *w, const uint8_t *scales, int32_t base, float *y,
                               int32_t rows, int32_t columns) {
  int32_t i, j;
  for (j = 0; j < rows; ++j) {
    float sum = 0.0F;
    for (i = 0; i < columns; ++i) sum += x[i] * (float)*w++;
    y[j] += sum * channel_scale(scales[j], base);
  }
}
)"},
      {"sparse_product",
       {},
       R"(/* y += W x; of each row of W the number of its weights, and to each the columns since the one before */
static void sparse_product(const float *x, const uint8_t *counts, const uint8_t *gaps, const float *w, float *y,
                           int32_t rows) {
  int32_t j;
  for (j = 0; j < rows; ++j) {
    const float *at = x;
    float sum = y[j];
    uint8_t left;
    for (left = counts[j]; left > 0; --left) {
      at += *gaps++;
      sum += *at * *w++;
    }
    y[j] = sum;
  }
}
)"},
      {"sparse_product_long", {}, R"(/* the same with more than 255 weights in a row */
static void sparse_product_long(const float *x, const uint16_t *counts, const uint8_t *gaps, const float *w, float *y,
                                int32_t rows) {
  int32_t j;
  for (j = 0; j < rows; ++j) {
    const float *at = x;
    float sum = y[j];
    uint16_t left;
    for (left = counts[j]; left > 0; --left) {
      at += *gaps++;
      sum += *at * *w++;
    }
    y[j] = sum;
  }
}
)"},
      {"sparse_product_int8",
       {"channel_scale"},
       R"(/* y += S W x; of each row of W the number of its weights, and to each the columns since the one before */
static void sparse_product_int8(const float *x, const uint8_t *counts, const uint8_t *gaps, const int8_t *w,
                                const uint8_t *scales, int32_t base, float *y, int32_t rows) {
  int32_t j;
  for (j = 0; j < rows; ++j) {
    const float *at = x;
    float sum = 0.0F;
    uint8_t left;
    for (left = counts[j]; left > 0; --left) {
      at += *gaps++;
      sum += *at * (float)*w++;
    }
    y[j] += sum * channel_scale(scales[j], base);
  }
}
)"},
      {"sparse_product_int8_long", {"channel_scale"}, R"(/* the same with more than 255 weights in a row */
static void sparse_product_int8_long(const float *x, const uint16_t *counts, const uint8_t *gaps, const int8_t *w,
                                     const uint8_t *scales, int32_t base, float *y, int32_t rows) {
  int32_t j;
  for (j = 0; j < rows; ++j) {
    const float *at = x;
    float sum = 0.0F;
    uint16_t left;
    for (left = counts[j]; left > 0; --left) {
      at += *gaps++;
      sum += *at * (float)*w++;
    }
    y[j] += sum * channel_scale(scales[j], base);
  }
}
)"},
      {"any_product",
       {},
       R"(/* y = A B of [m, k] and [k, n], with strides from row to row and column to column of both */
static void any_product(const float *a, int32_t a_row, int32_t a_column, const float *b, int32_t b_row,
                        int32_t b_column, float *y, int32_t m, int32_t k, int32_t n) {
  int32_t i, j, l;
  for (i = 0; i < m; ++i)
    for (j = 0; j < n; ++j) {
      float sum = 0.0F;
      for (l = 0; l < k; ++l) sum += a[i * a_row + l * a_column] * b[l * b_row + j * b_column];
      *y++ = sum;
    }
}
)"},
      {"gather_window",
       {},
       R"(/* the taps of one window over [size, width] elements as [taps, width]; outside are zeros */
static void gather_window(float *taps, const float *x, int32_t size, int32_t width, int32_t first, int32_t count,
                          int32_t dilation) {
  int32_t i, k;
  for (k = 0; k < count; ++k, first += dilation)
    for (i = 0; i < width; ++i) *taps++ = first >= 0 && first < size ? x[first * width + i] : 0.0F;
}
)"},
      {"lstm_step",
       {"sigmoid", "hyperbolic_tangent"},
       R"(/* gates before their activations: input, forget, candidate, output */
static void lstm_step(const float *gates, float forget_bias, float *cell, float *hidden, int32_t units) {
  int32_t i;
  for (i = 0; i < units; ++i) {
    const float in = sigmoid(gates[i]), keep = sigmoid(gates[units + i] + forget_bias);
    cell[i] = keep * cell[i] + in * hyperbolic_tangent(gates[2 * units + i]);
    hidden[i] = sigmoid(gates[3 * units + i]) * hyperbolic_tangent(cell[i]);
  }
}
)"},
      {"gru_step",
       {"sigmoid", "hyperbolic_tangent"},
       R"(/* gates before their activations: update, reset, candidate, of which `recurrent` are the state's share */
static void gru_step(const float *gates, const float *recurrent, float *hidden, int32_t units) {
  int32_t i;
  for (i = 0; i < units; ++i) {
    const float update = sigmoid(gates[i] + recurrent[i]);
    const float reset = sigmoid(gates[units + i] + recurrent[units + i]);
    const float next = hyperbolic_tangent(gates[2 * units + i] + reset * recurrent[2 * units + i]);
    hidden[i] = update * hidden[i] + (1.0F - update) * next;
  }
}
)"},
      {"gru_gates",
       {"sigmoid"},
       R"(/* the update gate, and the state times the reset gate */
static void gru_gates(float *gates, const float *recurrent, const float *hidden, float *kept, int32_t units) {
  int32_t i;
  for (i = 0; i < units; ++i) {
    gates[i] = sigmoid(gates[i] + recurrent[i]);
    kept[i] = sigmoid(gates[units + i] + recurrent[units + i]) * hidden[i];
  }
}
)"},
      {"gru_candidate",
       {"hyperbolic_tangent"},
       R"(/* the step that follows from both */
static void gru_candidate(const float *gates, const float *recurrent, float *hidden, int32_t units) {
  int32_t i;
  for (i = 0; i < units; ++i)
    hidden[i] = gates[i] * hidden[i] +
                (1.0F - gates[i]) * hyperbolic_tangent(gates[2 * units + i] + recurrent[2 * units + i]);
}
)"},
      {"simple_step",
       {"hyperbolic_tangent"},
       R"(static void simple_step(const float *z, float *hidden, int32_t units) {
  int32_t i;
  for (i = 0; i < units; ++i) hidden[i] = hyperbolic_tangent(z[i]);
}
)"},
      {"rectified_step", {}, R"(static void rectified_step(const float *z, float *hidden, int32_t units) {
  int32_t i;
  for (i = 0; i < units; ++i) hidden[i] = z[i] <= 0.0F ? 0.0F : z[i];
}
)"},
      {"softmax", {"exponential"}, R"(static void softmax(float *y, const float *x, int32_t count) {
  float largest = x[0], sum = 0.0F;
  int32_t i;
  for (i = 1; i < count; ++i)
    if (x[i] > largest) largest = x[i];
  for (i = 0; i < count; ++i) {
    y[i] = exponential(x[i] - largest);
    sum += y[i];
  }
  for (i = 0; i < count; ++i) y[i] /= sum;
}
)"},
      {"log_sum_exp",
       {"exponential", "logarithm"},
       R"(static float log_sum_exp(const float *x, int32_t count) {
  float largest = x[0], sum = 0.0F;
  int32_t i;
  for (i = 1; i < count; ++i)
    if (x[i] > largest) largest = x[i];
  if (largest == INFINITY || largest == -INFINITY) return largest;
  for (i = 0; i < count; ++i) sum += exponential(x[i] - largest);
  return largest + logarithm(sum);
}
)"},
      {"argmax", {}, R"(static int32_t argmax(const float *x, int32_t count) {
  int32_t i, best = 0;
  for (i = 1; i < count; ++i)
    if (x[i] > x[best] || (x[i] != x[i] && x[best] == x[best])) best = i;
  return best;
}
)"},
      {"push_frame", {}, R"(/* drops the first of `frames` and appends one; none: zeros */
static void push_frame(float *window, int32_t frames, int32_t width, const float *frame) {
  int32_t i;
  for (i = 0; i < (frames - 1) * width; ++i) window[i] = window[i + width];
  for (i = 0; i < width; ++i) window[(frames - 1) * width + i] = frame ? frame[i] : 0.0F;
}
)"},
  };
  return list;
}

}  // namespace lariat::to_c
