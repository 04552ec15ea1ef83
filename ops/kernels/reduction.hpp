#pragma once

#include <limits>
#include <memory>
#include <type_traits>

#include "ops/kernels/axes.hpp"

namespace lariat {

// Reductions over any axes. The tree is fixed by the shapes: runs of axes are reduced one after the other,
// innermost first; each is cut into chunks whose partial results are combined in order, whoever computed
// them.

/// Sums in double (int64 for integers), so that 1e8 floats of 1 give 1e8.
struct Summing {
  template <class T>
  using Accumulator = std::conditional_t<std::is_integral_v<T>, int64_t, double>;
  template <class A>
  static A start() {
    return A(0);
  }
  template <class A>
  static A combine(A a, A b) {
    return a + b;
  }
};

/// The maximum; NaN counts as the largest.
struct Maximizing {
  template <class T>
  using Accumulator = T;
  template <class A>
  static A start() {
    return std::is_integral_v<A> ? std::numeric_limits<A>::lowest() : -std::numeric_limits<A>::infinity();
  }
  template <class A>
  static A combine(A a, A b) {
    return b > a || b != b ? b : a;
  }
};

class ReductionPlan {
 public:
  /// One run of axes: [outer, reduced, inner] -> [outer, inner].
  struct Pass {
    int64_t outer, reduced, inner;
    int64_t rows, chunks;    // rows of one chunk of `reduced`
    int64_t columns, tiles;  // columns of one tile of `inner`
  };
  ReductionPlan(const Extents& extents, const std::vector<bool>& reduced);
  const std::vector<Pass>& passes() const { return passes_; }
  size_t workspace_bytes() const;

 private:
  std::vector<Pass> passes_;
};

/// Which axes of the input a node reduces.
using ReducedAxes = std::vector<bool> (*)(const TensorView& x, const TensorView& result, const Attributes&);

template <ReducedAxes axes>
std::shared_ptr<const void> prepare_reduction(const KernelContext& k) {
  return std::make_shared<ReductionPlan>(k.inputs[0].extents, axes(k.inputs[0], k.outputs[0], k.attributes));
}
Workspace reduction_workspace(const KernelContext& shapes_only);

std::vector<bool> all_axes(const TensorView& x, const TensorView& result, const Attributes& attributes);
/// A scalar of x's dtype, which must be f32 or f64.
std::vector<TensorType> infer_to_scalar(const InferContext& c);
/// The axes that the attribute `axes` names.
std::vector<bool> axes_attribute(const TensorView& x, const TensorView& result, const Attributes& attributes);
/// The attributes `axes` and `keep_dims`.
std::vector<AttributeSpec> reduction_attributes();
/// One result of x's dtype with the shape that those attributes give.
std::vector<TensorType> infer_reduction(const InferContext& c);
/// The shape of x with the axes of the attribute `axes` of size 1: the result so shaped broadcasts to x.
Shape kept_shape(const GradContext& g);

namespace reduction_detail {

constexpr int64_t widest_tile = 512;
constexpr int64_t narrowest_lanes = 64;
constexpr int64_t rows_per_block = 128;
constexpr int64_t few_rows = 16;
// Rows may be far apart in memory, so that the processor does not foresee them.
constexpr int64_t rows_ahead = 4, elements_per_cache_line = 16;

// What reduce_rows() gives for a row of one line of lanes and a rest, in half of its time: loops of fixed
// lengths become vectors.
template <class Reducer, class Accumulator, class In, class Map>
Accumulator reduce_short_row(const In* in, int64_t count, const Map& map) {
  Accumulator lanes[narrowest_lanes];
  const Accumulator start = Reducer::template start<Accumulator>();
  for (int64_t j = 0; j < narrowest_lanes; ++j) lanes[j] = Reducer::combine(start, map(in[j]));
  for (int64_t j = narrowest_lanes; j < count; ++j)
    lanes[j - narrowest_lanes] = Reducer::combine(lanes[j - narrowest_lanes], map(in[j]));
#pragma GCC unroll 6
  for (int64_t half = narrowest_lanes / 2; half > 0; half /= 2)
    for (int64_t j = 0; j < half; ++j) lanes[j] = Reducer::combine(lanes[j], lanes[j + half]);
  return lanes[0];
}

// Lanes of consecutive elements are accumulated side by side, so that the loop vectorises whatever `width`
// is: narrow rows lie several to one line of lanes, which are then folded in halves.
template <class Reducer, class Accumulator, class In, class Map>
void reduce_rows(const In* in, int64_t rows, int64_t stride, int64_t width, Accumulator* total,
                 const Map& map) {
  if (width == 1 && stride == 1 && rows >= narrowest_lanes && rows < 2 * narrowest_lanes) {
    total[0] = Reducer::combine(Reducer::template start<Accumulator>(),
                                reduce_short_row<Reducer, Accumulator>(in, rows, map));
    return;
  }
  if (width == 1 && rows <= few_rows) {
    total[0] = Reducer::template start<Accumulator>();
    for (int64_t r = 0; r < rows; ++r) total[0] = Reducer::combine(total[0], map(in[r * stride]));
    return;
  }
  Accumulator lanes[widest_tile];
  const int64_t side_by_side =
      width == stride ? std::max<int64_t>(1, std::min(rows, narrowest_lanes / width)) : 1;
  const int64_t line = side_by_side * width, step = side_by_side == 1 ? stride : line;
  const int64_t lines = rows / side_by_side;
  std::fill_n(total, width, Reducer::template start<Accumulator>());
  for (int64_t begin = 0; begin < lines; begin += rows_per_block) {
    std::fill_n(lanes, line, Reducer::template start<Accumulator>());
    const int64_t end = std::min(begin + rows_per_block, lines);
    for (int64_t r = begin; r < end; ++r) {
      const In* row = in + r * step;
      for (int64_t j = 0; j < line; j += elements_per_cache_line)
        __builtin_prefetch(row + rows_ahead * step + j);
      for (int64_t j = 0; j < line; ++j) lanes[j] = Reducer::combine(lanes[j], map(row[j]));
    }
    if (end == lines) {
      const int64_t done = lines * side_by_side;
      const In* rest = in + done * width;
      for (int64_t j = 0; j < (rows - done) * width; ++j) lanes[j] = Reducer::combine(lanes[j], map(rest[j]));
    }
    for (int64_t count = side_by_side; count > 1;) {
      const int64_t half = (count + 1) / 2;
      for (int64_t j = 0; j < (count - half) * width; ++j)
        lanes[j] = Reducer::combine(lanes[j], lanes[j + half * width]);
      count = half;
    }
    for (int64_t j = 0; j < width; ++j) total[j] = Reducer::combine(total[j], lanes[j]);
  }
}

template <class Reducer, class Accumulator, class In, class Out, class Map, class Finish>
void run_pass(const ParallelFor& parallel, const ReductionPlan::Pass& p, const In* in, Out* out,
              Accumulator* partials, const Map& map, const Finish& finish) {
  const int64_t per_chunk = p.outer * p.tiles;
  parallel.run(per_chunk * p.chunks, rows_per_task(p.rows * p.columns), [&](int64_t begin, int64_t end) {
    Accumulator total[widest_tile];
    int64_t tile = begin % p.tiles, chunk = begin / p.tiles % p.chunks, outer = begin / (p.tiles * p.chunks);
    for (int64_t task = begin; task < end; ++task) {
      const int64_t column = tile * p.columns, width = std::min(p.columns, p.inner - column);
      const int64_t row = chunk * p.rows, rows = std::min(p.rows, p.reduced - row);
      reduce_rows<Reducer>(in + (outer * p.reduced + row) * p.inner + column, rows, p.inner, width, total,
                           map);
      if (p.chunks == 1) {
        for (int64_t j = 0; j < width; ++j) out[outer * p.inner + column + j] = finish(total[j]);
      } else {
        std::copy_n(total, width, partials + (outer * p.chunks + chunk) * p.inner + column);
      }
      if (++tile < p.tiles) continue;
      tile = 0;
      if (++chunk < p.chunks) continue;
      chunk = 0;
      ++outer;
    }
  });
  if (p.chunks == 1) return;
  parallel.run(per_chunk, rows_per_task(p.chunks * p.columns), [&](int64_t begin, int64_t end) {
    for (int64_t task = begin; task < end; ++task) {
      const int64_t column = task % p.tiles * p.columns, outer = task / p.tiles;
      const int64_t width = std::min(p.columns, p.inner - column);
      Accumulator* total = partials + outer * p.chunks * p.inner + column;
      for (int64_t chunk = 1; chunk < p.chunks; ++chunk)
        for (int64_t j = 0; j < width; ++j) total[j] = Reducer::combine(total[j], total[chunk * p.inner + j]);
      for (int64_t j = 0; j < width; ++j) out[outer * p.inner + column + j] = finish(total[j]);
    }
  });
}

}  // namespace reduction_detail

/// result = finish(reduction of map(x)), with the plan that `prepare_reduction` made. `map` takes a T and
/// `finish` an accumulator.
template <class Reducer, class T, class Map, class Finish>
void reduce(const KernelContext& k, const Map& map, const Finish& finish) {
  using Accumulator = typename Reducer::template Accumulator<T>;
  const auto& passes = static_cast<const ReductionPlan*>(k.prepared)->passes();
  auto* scratch = reinterpret_cast<Accumulator*>(k.scratch.shared);
  const auto take = [&](int64_t count) {
    Accumulator* taken = scratch;
    scratch += count;
    return taken;
  };
  const auto mapped = [&](T x) { return static_cast<Accumulator>(map(x)); };
  const auto finished = [&](Accumulator a) { return static_cast<T>(finish(a)); };
  const auto same = [](Accumulator a) { return a; };
  const Accumulator* between = nullptr;
  for (size_t i = 0; i < passes.size(); ++i) {
    const ReductionPlan::Pass& p = passes[i];
    Accumulator* partials = p.chunks > 1 ? take(p.outer * p.chunks * p.inner) : nullptr;
    const bool last = i + 1 == passes.size();
    Accumulator* next = last ? nullptr : take(p.outer * p.inner);
    using namespace reduction_detail;
    if (i == 0 && last) {
      run_pass<Reducer>(k.parallel, p, k.in<T>(0), k.out<T>(0), partials, mapped, finished);
    } else if (i == 0) {
      run_pass<Reducer>(k.parallel, p, k.in<T>(0), next, partials, mapped, same);
    } else if (last) {
      run_pass<Reducer>(k.parallel, p, between, k.out<T>(0), partials, same, finished);
    } else {
      run_pass<Reducer>(k.parallel, p, between, next, partials, same, same);
    }
    between = next;
  }
}

namespace reduction_detail {

// Lanes of doubles; where the map gives floats, four of them are added before they are widened, which is
// exact enough for what has one sign, and halves the time.
template <class Map, class T>
double sum_block(const void* input, int64_t count) {
  constexpr int64_t width = 32;
  const T* x = static_cast<const T*>(input);
  double lanes[width] = {};
  const Map map;
  int64_t i = 0;
  for (; i + 4 * width <= count; i += 4 * width)
    for (int64_t j = 0; j < width; ++j) {
      const T* at = x + i + j;
      lanes[j] +=
          static_cast<double>((map(at[0]) + map(at[width])) + (map(at[2 * width]) + map(at[3 * width])));
    }
  for (; i < count; i += width)
    for (int64_t j = 0; j < std::min(width, count - i); ++j) lanes[j] += static_cast<double>(map(x[i + j]));
#pragma GCC unroll 5
  for (int64_t half = width / 2; half > 0; half /= 2)
#pragma GCC unroll 16
    for (int64_t j = 0; j < half; ++j) lanes[j] += lanes[j + half];
  return lanes[0];
}

template <class Map, class Finish, class T>
void sum_kernel(const KernelContext& k) {
  const double count = static_cast<double>(k.inputs[0].count()) / static_cast<double>(k.outputs[0].count());
  reduce<Summing, T>(k, Map{}, [count](auto total) { return Finish{}(total, count); });
}

}  // namespace reduction_detail

/// Makes `def` the sum finish(Σ map(x), n) over the n elements along the axes that `axes` gives, for f32 and
/// f64. Both functions are lambdas without captures.
template <ReducedAxes axes, class Map, class Finish>
void sum_over(OpDef& def, Map, Finish finish) {
  using namespace reduction_detail;
  def.kernel = {sum_kernel<Map, Finish, float>, sum_kernel<Map, Finish, double>, nullptr};
  def.prepare = prepare_reduction<axes>;
  def.workspace = reduction_workspace;
  def.summation = Summation{{sum_block<Map, float>, sum_block<Map, double>, nullptr}, finish};
}

/// `factor` times the elements from `data` on.
template <class T>
struct Addends {
  const T* data;
  T factor = T(1);
};

/// to[j] = Σ_i of element j of addends(i), over i in [0, count), for each j in [0, width).
template <class T, class AddendsAt>
void sum_in_tiles(int64_t count, int64_t width, T* to, const AddendsAt& addends) {
  using Accumulator = Summing::Accumulator<T>;
  constexpr int64_t tile = 64;
  Accumulator total[tile];
  for (int64_t first = 0; first < width; first += tile) {
    const int64_t wide = std::min(tile, width - first);
    std::fill_n(total, wide, Accumulator(0));
    for (int64_t i = 0; i < count; ++i) {
      const Addends<T> some = addends(i);
      const auto factor = static_cast<Accumulator>(some.factor);
      for (int64_t j = 0; j < wide; ++j) total[j] += factor * static_cast<Accumulator>(some.data[first + j]);
    }
    for (int64_t j = 0; j < wide; ++j) to[first + j] = static_cast<T>(total[j]);
  }
}

/// The finish of a sum that is left as it is.
constexpr auto as_it_is = [](auto total, double) { return total; };

/// Makes `def` the sum along the axes that `axes` gives, for i32 too.
template <ReducedAxes axes>
void plain_sum(OpDef& def) {
  sum_over<axes>(
      def, [](double x) { return x; }, as_it_is);
  constexpr auto integer = [](int32_t x) { return x; };
  def.kernel.int32 = reduction_detail::sum_kernel<std::remove_const_t<decltype(integer)>,
                                                  std::remove_const_t<decltype(as_it_is)>, int32_t>;
}

}  // namespace lariat
