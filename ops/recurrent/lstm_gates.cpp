#include "ops/recurrent/lstm_gates.hpp"

#include <algorithm>

#include "ops/kernels/product_kernel.hpp"
#include "ops/kernels/simd.hpp"

namespace lariat {

namespace {

// Runs body(load, store) over full vectors, then once over a padded remainder.
template <class T, class Body>
void over_units(int64_t begin, int64_t end, const Body& body) {
  using Batch = xsimd::batch<T>;
  constexpr int64_t width = Batch::size;
  int64_t j = begin;
  for (; j + width <= end; j += width)
    body([&](const T* from) { return Batch::load_unaligned(from + j); },
         [&](Batch value, T* to) { value.store_unaligned(to + j); });
  if (const int64_t rest = end - j; rest > 0)
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
void lstm_forward_row(const T* z, T* gates, const T* cell, T* next_cell, T* next_hidden, int64_t hidden,
                      int64_t begin, int64_t end, T forget_bias) {
  using Batch = xsimd::batch<T>;
  T *i = gates, *f = gates + hidden, *g = gates + 2 * hidden, *o = gates + 3 * hidden;
  over_units<T>(begin, end, [&](auto load, auto store) {
    const Batch input = sigmoid_of(load(z)), forget = sigmoid_of(load(z + hidden) + Batch(forget_bias));
    const Batch candidate = tanh_of(load(z + 2 * hidden)), output = sigmoid_of(load(z + 3 * hidden));
    Batch state = input * candidate;
    if (cell) state = forget * load(cell) + state;
    store(input, i);
    store(forget, f);
    store(candidate, g);
    store(output, o);
    store(state, next_cell);
    store(output * tanh_of(state), next_hidden);
  });
}

template <class T>
void lstm_backward_row(const T* gates, const T* cell, const T* next_cell, const T* d_hidden, T* d_cell,
                       T* d_gates, int64_t hidden, int64_t begin, int64_t end) {
  using Batch = xsimd::batch<T>;
  over_units<T>(begin, end, [&](auto load, auto store) {
    const Batch input = load(gates), forget = load(gates + hidden), candidate = load(gates + 2 * hidden),
                output = load(gates + 3 * hidden), one(1);
    const Batch squashed = tanh_of(load(next_cell)), d_h = load(d_hidden);
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

template <class T>
void copy_state(const TensorView& state, int64_t row, int64_t begin, int64_t end, T* to) {
  const int64_t units = state.rank() > 0 ? state.extent(-1) : 1;
  const T* from = state.as<T>() + (state.rank() == 2 && state.extents[0] > 1 ? row * units : 0);
  if (units == 1) {
    std::fill(to + begin, to + end, *from);
  } else {
    std::copy(from + begin, from + end, to + begin);
  }
}

// With fewer rows than this to a thread, the recurrent kernel is read more often than it is used.
constexpr int64_t fewest_rows = 4;

template <class T>
LstmPieces lstm_pieces(int64_t batch, int64_t hidden, int threads) {
  const int64_t panel = panel_columns<T>(), share = (batch + threads - 1) / threads;
  if (share >= fewest_rows || threads == 1 || hidden % panel != 0) return {std::max<int64_t>(share, 1), 0};
  return {0, std::max((hidden / threads + panel - 1) / panel, int64_t{1}) * panel};
}

#define LARIAT_LSTM_GATES(T)                                                                           \
  template void lstm_forward_row<T>(const T*, T*, const T*, T*, T*, int64_t, int64_t, int64_t, T);     \
  template void lstm_backward_row<T>(const T*, const T*, const T*, const T*, T*, T*, int64_t, int64_t, \
                                     int64_t);                                                         \
  template void copy_state<T>(const TensorView&, int64_t, int64_t, int64_t, T*);                       \
  template LstmPieces lstm_pieces<T>(int64_t, int64_t, int);
LARIAT_LSTM_GATES(float)
LARIAT_LSTM_GATES(double)
#undef LARIAT_LSTM_GATES

}  // namespace lariat
