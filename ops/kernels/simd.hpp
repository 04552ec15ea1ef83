#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <limits>
#include <type_traits>
#include <xsimd/xsimd.hpp>

#include "graph/ir/op_def.hpp"

namespace lariat {

// Element-wise functors are written once, for SIMD batches of float, double or int32_t: the batch's functions
// are found by name lookup. These helpers cover what xsimd 8.1 lacks or gets wrong.

/// 1 where the condition holds, else 0, in the type of `like`.
template <class Condition, class Batch>
Batch indicator(Condition condition, Batch /*like*/) {
  return select(condition, Batch(1), Batch(0));
}

/// Not x != x, which is false for NaN under AVX-512.
template <class Batch>
auto is_nan(Batch x) {
  return !(x == x);
}

/// -x with the sign of zero: xsimd's own is 0 - x under AVX-512.
template <class Batch>
Batch negative_of(Batch x) {
  return Batch(static_cast<typename Batch::value_type>(-0.0)) - x;
}

/// max(x, 0), +0 for x = -0, NaN for NaN.
template <class Batch>
Batch positive_part(Batch x) {
  return select(x <= Batch(0), Batch(0), x);
}
/// min(x, 0), +0 for x = -0, NaN for NaN.
template <class Batch>
Batch negative_part(Batch x) {
  return select(x >= Batch(0), Batch(0), x);
}

/// S(v, t) = v − max(min(v, t), −t) for t ≥ 0, exactly +0 where |v| ≤ t; NaN for NaN in v or t: of two
/// operands, the processor's max and min give the second where one is NaN or both are zeros.
template <class Batch>
Batch soft_threshold_of(Batch v, Batch t) {
  return v - max(min(v, t), t | Batch(-0.0));
}

/// x·y + z, rounded once. xsimd's own rounds twice under AVX-512, and takes twice the time.
template <class Batch>
Batch multiply_add(Batch x, Batch y, Batch z) {
#ifdef __AVX512F__
  using T = typename Batch::value_type;
  if constexpr (Batch::size * sizeof(T) == 64) {
    if constexpr (std::is_same_v<T, float>) return _mm512_fmadd_ps(x, y, z);
    if constexpr (std::is_same_v<T, double>) return _mm512_fmadd_pd(x, y, z);
  }
#endif
  return xsimd::fma(x, y, z);
}

/// The same of single numbers, for what must be the bits of products: rounded once where vectors are.
template <class T>
requires std::is_floating_point_v<T> T multiply_add(T x, T y, T z) {
#ifdef __FMA__
  return std::fma(x, y, z);
#else
  return x * y + z;
#endif
}

/// A vector of floats from as many bytes, whole numbers with signs.
inline xsimd::batch<float> from_bytes(const int8_t* bytes) {
#if defined(__AVX512F__)
  return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i_u*>(bytes))));
#elif defined(__AVX2__)
  return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i_u*>(bytes))));
#else
  alignas(64) float values[xsimd::batch<float>::size];
  for (size_t i = 0; i < xsimd::batch<float>::size; ++i) values[i] = static_cast<float>(bytes[i]);
  return xsimd::batch<float>::load_aligned(values);
#endif
}

/// Σ of the batch's elements, halves added to halves: xsimd's own has another name and order in each release.
template <class Batch>
typename Batch::value_type sum_of(Batch x) {
  alignas(64) typename Batch::value_type elements[Batch::size];
  x.store_aligned(elements);
  for (size_t half = Batch::size / 2; half > 0; half /= 2)
    for (size_t j = 0; j < half; ++j) elements[j] += elements[j + half];
  return elements[0];
}

/// f element by element, where the SIMD function is inaccurate or lets neighbours in the vector change an
/// element's bits.
template <class F, class... Batches>
auto scalar_apply(const F& f, const Batches&... arguments) {
  using Batch = std::common_type_t<Batches...>;
  using T = typename Batch::value_type;
  alignas(64) T in[sizeof...(Batches)][Batch::size], out[Batch::size];
  size_t row = 0;
  (arguments.store_aligned(in[row++]), ...);
  [&]<size_t... I>(std::index_sequence<I...>) {
    for (size_t j = 0; j < Batch::size; ++j) out[j] = f(in[I][j]...);
  }
  (std::index_sequence_for<Batches...>());
  return Batch::load_aligned(out);
}

/// f on batches of doubles, for formulas that cancel; `arguments` may be batches of floats.
template <class F, class... Batches>
auto double_apply(const F& f, const Batches&... arguments) {
  using Batch = std::common_type_t<Batches...>;
  using T = typename Batch::value_type;
  using Wide = xsimd::batch<double>;
  if constexpr (std::is_same_v<T, double>) {
    return f(arguments...);
  } else {
    alignas(64) T in[sizeof...(Batches)][Batch::size];
    alignas(64) double wide[sizeof...(Batches)][Batch::size];
    size_t row = 0;
    (arguments.store_aligned(in[row++]), ...);
    for (size_t k = 0; k < sizeof...(Batches); ++k) std::copy_n(in[k], size_t{Batch::size}, wide[k]);
    [&]<size_t... I>(std::index_sequence<I...>) {
      for (size_t j = 0; j < Batch::size; j += Wide::size)
        f(Wide::load_aligned(wide[I] + j)...).store_aligned(wide[0] + j);
    }
    (std::index_sequence_for<Batches...>());
    std::copy_n(wide[0], size_t{Batch::size}, in[0]);
    return Batch::load_aligned(in[0]);
  }
}

/// The next wider floating-point type, for formulas that cancel.
template <class T>
using Wider = std::conditional_t<std::is_same_v<T, float>, double, long double>;

template <class T>
struct ExpConstants;
template <>
struct ExpConstants<float> {
  using Bits = uint32_t;
  static constexpr int degree = 7, mantissa_bits = 23, exponent_bias = 127;
  static constexpr float ln2_high = 0x1.63p-1f, ln2_low = -2.12194440054690583e-4f;
  static constexpr float lowest = -110, highest = 89;  // e^lowest is 0, e^highest is infinite
  static constexpr float normal = 87;                  // e^normal and e^-normal are normal
};
template <>
struct ExpConstants<double> {
  using Bits = uint64_t;
  static constexpr int degree = 13, mantissa_bits = 52, exponent_bias = 1023;
  static constexpr double ln2_high = 0x1.62e42feep-1, ln2_low = 1.90821492927058770e-10;
  static constexpr double lowest = -760, highest = 710;
  static constexpr double normal = 708;
};

/// 2^k for a whole number k within the exponent's range.
template <class Batch>
Batch two_to(Batch k) {
  using T = typename Batch::value_type;
  using C = ExpConstants<T>;
  // Adding 1.5·2^mantissa_bits leaves k + bias in the lowest bits of the sum.
  const Batch shifted = k + Batch(T(3) * T(uint64_t{1} << (C::mantissa_bits - 1)) + T(C::exponent_bias));
  // xsimd::bitwise_cast takes a batch in one release and its element in another.
  return std::bit_cast<Batch>(std::bit_cast<xsimd::batch<typename C::Bits>>(shifted) << C::mantissa_bits);
}

/// e^x = 2^k·(1 + q): k the whole number nearest x / ln 2, r = x − k·ln 2 (Cody and Waite 1980), q = e^r − 1
/// by its Taylor series.
template <class Batch>
struct ExpParts {
  Batch k, q;
  explicit ExpParts(Batch x) {
    using T = typename Batch::value_type;
    using C = ExpConstants<T>;
    constexpr auto inverse_factorials = [] {
      std::array<double, C::degree + 1> result{1};
      for (int n = 1; n <= C::degree; ++n) result[n] = result[n - 1] / n;
      return result;
    }();
    k = nearbyint(x * Batch(T(1.44269504088896340736)));
    const Batch r = multiply_add(-k, Batch(C::ln2_low), multiply_add(-k, Batch(C::ln2_high), x));
    Batch sum = Batch(T(inverse_factorials[C::degree]));
    for (int n = C::degree - 1; n >= 2; --n) sum = multiply_add(sum, r, Batch(T(inverse_factorials[n])));
    q = multiply_add(r * r, sum, r);
  }
};

/// factor·e^x, rounded once where the result is subnormal or close to overflow. |factor| ≤ 1e4.
template <class Batch>
Batch times_exp_of(Batch factor, Batch x) {
  using C = ExpConstants<typename Batch::value_type>;
  // Scaling by 2^k in one step or in two gives the same bits where both are possible.
  if (all(abs(x) <= Batch(C::normal))) {
    const ExpParts<Batch> parts(x);
    return multiply_add(factor, parts.q, factor) * two_to(parts.k);
  }
  x = select(x < Batch(C::lowest), Batch(C::lowest), x);
  x = select(x > Batch(C::highest), Batch(C::highest), x);
  const ExpParts<Batch> parts(x);
  const Batch half = nearbyint(parts.k * Batch(0.5));
  return multiply_add(factor, parts.q, factor) * two_to(half) * two_to(parts.k - half);
}

/// e^x. xsimd's own gives 0 or infinity up to ln 2 too early.
template <class Batch>
Batch exp_of(Batch x) {
  return times_exp_of(Batch(1), x);
}

/// e^x − 1 = 2·(2^(k-1)·q + (2^(k-1) − 1/2)). xsimd's own overflows too early.
template <class Batch>
Batch expm1_of(Batch x) {
  using T = typename Batch::value_type;
  Batch clamped = select(x < Batch(-40), Batch(-40), x);  // e^-40 is below half an ulp of 1
  clamped = select(x > Batch(ExpConstants<T>::highest), Batch(ExpConstants<T>::highest), clamped);
  const ExpParts<Batch> parts(clamped);
  const Batch scale = two_to(parts.k - Batch(1));
  const Batch result = Batch(2) * multiply_add(scale, parts.q, scale - Batch(0.5));
  // e^x − 1 is x here; the formula loses the sign of zero and the last bit of a subnormal.
  return select(abs(x) < Batch(std::numeric_limits<T>::epsilon() / 4), x, result);
}

/// tanh x = q/(q + 2) with q = e^2|x| − 1, and the sign of x. Beyond 20 it is ±1.
template <class Batch>
Batch tanh_of(Batch x) {
  const Batch size = abs(x);
  const Batch q = expm1_of(Batch(2) * select(size > Batch(20), Batch(20), size));
  return xsimd::copysign(q / (q + Batch(2)), x);
}

/// 1/(1 + e^-x) = e^min(x, 0)/(1 + e^-|x|), which cannot overflow.
template <class Batch>
Batch sigmoid_of(Batch x) {
  const Batch e = exp_of(-abs(x));
  return select(x < Batch(0), e, Batch(1)) / (Batch(1) + e);
}

/// ln x. xsimd's own is wrong for subnormal doubles.
template <class Batch>
Batch log_of(Batch x) {
  using T = typename Batch::value_type;
  constexpr int digits = std::numeric_limits<T>::digits;
  const auto subnormal = x < Batch(std::numeric_limits<T>::min());
  const Batch logarithm = log(select(subnormal, x * Batch(T(uint64_t{1} << digits)), x));
  return select(subnormal, logarithm - Batch(T(digits * 0.693147180559945309417)), logarithm);
}

/// a·b + c, rounded once. Where the processor multiplies and adds in two steps, the product could overflow
/// between them.
template <class Batch>
Batch rounded_once(Batch a, Batch b, Batch c) {
#if defined(__x86_64__) && !defined(__FMA__)
  return scalar_apply([](auto x, auto y, auto z) { return std::fma(x, y, z); }, a, b, c);
#else
  return multiply_add(a, b, c);
#endif
}

/// Applies a functor to `count` elements. The last, partial vector is padded rather than done one by one, so
/// an element's bits do not depend on its place.
template <class T, size_t N, class F>
void map_block(const F& f, const void* const* inputs, const int64_t* strides, void* output, int64_t count) {
  using Batch = xsimd::batch<T>;
  constexpr int64_t width = Batch::size;
  T* out = static_cast<T*>(output);
  // One by one: they were written just before, and read as a vector they would have to reach the cache first.
  const auto pointer = [](const void* const volatile* from) { return static_cast<const T*>(*from); };
  const auto stride = [](const volatile int64_t* from) -> int64_t { return *from; };
  [&]<size_t... I>(std::index_sequence<I...>) {
    // Out of the loop, for the output may lie over an input.
    const bool single[N] = {(stride(strides + I) == 0)...};
    const T* const in[N] = {pointer(inputs + I)...};
    const Batch elements[N] = {Batch(*in[I])...};
    int64_t i = 0;
#pragma GCC unroll 2
    for (; i + width <= count; i += width)
      f((single[I] ? elements[I] : Batch::load_unaligned(in[I] + i))...).store_unaligned(out + i);
    if (i < count) {
      alignas(64) T padded[N][width];
      for (size_t k = 0; k < N; ++k)
        for (int64_t j = 0; j < width; ++j) padded[k][j] = in[k][strides[k] * std::min(i + j, count - 1)];
      alignas(64) T result[width];
      f((single[I] ? elements[I] : Batch::load_aligned(padded[I]))...).store_aligned(result);
      std::copy_n(result, count - i, out + i);
    }
  }
  (std::make_index_sequence<N>());
}

template <class F, size_t N, class T>
void block_kernel(const void* const* inputs, const int64_t* strides, void* output, int64_t count,
                  const Attributes&) {
  map_block<T, N>(F{}, inputs, strides, output, count);
}
template <class Factory, size_t N, class T>
void block_kernel_with(const void* const* inputs, const int64_t* strides, void* output, int64_t count,
                       const Attributes& attributes) {
  map_block<T, N>(Factory{}(attributes), inputs, strides, output, count);
}

/// Block kernels for f32 and f64 of a lambda without captures that takes N batches.
template <size_t N, class F>
PerDType<BlockKernel> float_blocks(F) {
  return {block_kernel<F, N, float>, block_kernel<F, N, double>, nullptr};
}
/// The same for f32, f64 and i32, which wraps around.
template <size_t N, class F>
PerDType<BlockKernel> number_blocks(F) {
  return {block_kernel<F, N, float>, block_kernel<F, N, double>, block_kernel<F, N, int32_t>};
}
/// Block kernels of a function with parameters: `factory` takes the node's attributes and returns the lambda.
template <size_t N, class Factory>
PerDType<BlockKernel> float_blocks_with(Factory) {
  return {block_kernel_with<Factory, N, float>, block_kernel_with<Factory, N, double>, nullptr};
}

}  // namespace lariat
