#include "ops/lstm_gates.hpp"

#include <algorithm>

#include "ops/simd.hpp"

namespace lariat {

namespace {

template <class Batch>
Batch sigmoid_of(Batch x) {
  const Batch e = exp(-abs(x));
  return select(x < Batch(0), e, Batch(1)) / (Batch(1) + e);
}

// Runs body(load, store) over full vectors, then once over a padded remainder.
template <class T, class Body>
void over_units(int64_t hidden, const Body& body) {
  using Batch = xsimd::batch<T>;
  constexpr int64_t width = Batch::size;
  int64_t j = 0;
  for (; j + width <= hidden; j += width)
    body([&](const T* from) { return Batch::load_unaligned(from + j); },
         [&](Batch value, T* to) { value.store_unaligned(to + j); });
  if (const int64_t rest = hidden - j; rest > 0)
    body(
        [&](const T* from) {
          alignas(64) T padded[width] = {};
          std::copy_n(from + j, rest, padded);
          return Batch::load_aligned(padded);
        },
        [&](Batch value, T* to) {
          alignas(64) T padded[width];
          value.store_aligned(padded);
          std::copy_n(padded, rest, to + j);
        });
}

}  // namespace

template <class T>
void lstm_forward_row(T* gates, const T* cell, T* next_cell, T* next_hidden, int64_t hidden, T forget_bias) {
  using Batch = xsimd::batch<T>;
  T *i = gates, *f = gates + hidden, *g = gates + 2 * hidden, *o = gates + 3 * hidden;
  over_units<T>(hidden, [&](auto load, auto store) {
    const Batch input = sigmoid_of(load(i)), forget = sigmoid_of(load(f) + Batch(forget_bias));
    const Batch candidate = tanh(load(g)), output = sigmoid_of(load(o));
    Batch state = input * candidate;
    if (cell) state = forget * load(cell) + state;
    store(input, i);
    store(forget, f);
    store(candidate, g);
    store(output, o);
    store(state, next_cell);
    store(output * tanh(state), next_hidden);
  });
}

template <class T>
void lstm_backward_row(const T* gates, const T* cell, const T* next_cell, const T* d_hidden, T* d_cell,
                       T* d_gates, int64_t hidden) {
  using Batch = xsimd::batch<T>;
  over_units<T>(hidden, [&](auto load, auto store) {
    const Batch input = load(gates), forget = load(gates + hidden), candidate = load(gates + 2 * hidden),
                output = load(gates + 3 * hidden), one(1);
    const Batch squashed = tanh(load(next_cell)), d_h = load(d_hidden);
    // dc' = dc'(later) + dh'·o·(1 - tanh²c')
    const Batch d_c = load(d_cell) + d_h * output * (one - squashed * squashed);
    const Batch before = cell ? load(cell) : Batch(0);
    store(d_c * candidate * input * (one - input), d_gates);
    store(d_c * before * forget * (one - forget), d_gates + hidden);
    store(d_c * input * (one - candidate * candidate), d_gates + 2 * hidden);
    store(d_h * squashed * output * (one - output), d_gates + 3 * hidden);
    store(d_c * forget, d_cell);
  });
}

template void lstm_forward_row<float>(float*, const float*, float*, float*, int64_t, float);
template void lstm_forward_row<double>(double*, const double*, double*, double*, int64_t, double);
template void lstm_backward_row<float>(const float*, const float*, const float*, const float*, float*, float*,
                                       int64_t);
template void lstm_backward_row<double>(const double*, const double*, const double*, const double*, double*,
                                        double*, int64_t);

}  // namespace lariat
