#include "ops/convolution/pooling.hpp"

#include "ops/kernels/axes.hpp"
#include "ops/kernels/reduction.hpp"
#include "ops/kernels/simd.hpp"

namespace lariat {

namespace pooling_detail {

using Pair = std::vector<int64_t>;

// Runs body(image, row, column, place) for every place of [batch, height, width].
template <class Body>
void for_each_place(const ParallelFor& parallel, int64_t batch, int64_t height, int64_t width, int64_t work,
                    const Body& body) {
  parallel.run(batch * height * width, rows_per_task(work), [&](int64_t begin, int64_t end) {
    for (int64_t place = begin; place < end; ++place)
      body(place / (height * width), place / width % height, place % width, place);
  });
}

}  // namespace pooling_detail

Pooling pooling_of(const Extents& x, const Extents& y, const Window2d& window) {
  return {x[0], x[1], x[2], x[3], y[1], y[2], window};
}

std::vector<AttributeSpec> pool_attributes() {
  return {{"size", AttributeKind::integer, "time steps of one window", std::nullopt, 1, 1e9},
          {"stride", AttributeKind::integer, "time steps from one window to the next", std::nullopt, 1, 1e9}};
}

std::vector<AttributeSpec> pool2d_attributes() {
  return {{"size", AttributeKind::integers, "rows and columns of one window", std::nullopt, 1, 1e9},
          {"stride", AttributeKind::integers, "rows and columns from one window to the next", std::nullopt, 1,
           1e9}};
}

Window pool_of(const Attributes& a) { return {a.get<int64_t>("size"), a.get<int64_t>("stride")}; }

Window2d pool2d_of(const Attributes& a) {
  using namespace pooling_detail;
  const Pair &size = a.get<Pair>("size"), &stride = a.get<Pair>("stride");
  return {{size[0], stride[0]}, {size[1], stride[1]}};
}

Attributes pool_attributes_of(Size2d size, Size2d stride) {
  using namespace pooling_detail;
  return {{"size", Pair{size.height, size.width}}, {"stride", Pair{stride.height, stride.width}}};
}

Shape pooled(const InferContext& c) {
  check_sequence(c, "x");
  const Window window{c.attribute<int64_t>("size"), c.attribute<int64_t>("stride")};
  const Shape& x = c.shape(0);
  return {x[0], checked_steps(window, x[1]), x[2]};
}

Shape pooled2d(const InferContext& c) {
  using namespace pooling_detail;
  check_images(c, 0, "x");
  const Pair &size = checked_pair(c, "size"), &stride = checked_pair(c, "stride");
  const Shape& x = c.shape(0);
  const Shape steps = checked_steps(Window2d{{size[0], stride[0]}, {size[1], stride[1]}}, {x[1], x[2]});
  return {x[0], steps[0], steps[1], x[3]};
}

namespace pooling_detail {

// NaN is larger than any number; of equals the first one stays.
template <class T>
auto is_larger(const T& x, const T& than) {
  return (x > than) | (is_nan(x) & (than == than));
}

// Where nobody asks for the places: channels one vector after the other, each written once.
template <class T>
void largest_of_window(const Pooling& p, const T* corner, T* largest) {
  const Window &down = p.window.down, &across = p.window.across;
  const int64_t n = p.channels;
  const auto over_taps = [&](const auto& at, const auto& larger) {
    auto value = at(0);
    for (int64_t row = 0; row < down.kernel; ++row)
      for (int64_t column = row == 0 ? 1 : 0; column < across.kernel; ++column)
        value = larger(at((row * p.width + column) * n), value);
    return value;
  };
  int64_t j = 0;
  if constexpr (std::is_floating_point_v<T>) {
    using Batch = xsimd::batch<T>;
    for (; j + static_cast<int64_t>(Batch::size) <= n; j += Batch::size)
      over_taps([&](int64_t offset) { return Batch::load_unaligned(corner + offset + j); },
                [](const Batch& x, const Batch& than) { return select(is_larger(x, than), x, than); })
          .store_unaligned(largest + j);
  }
  for (; j < n; ++j)
    largest[j] = over_taps([&](int64_t offset) { return corner[offset + j]; },
                           [](T x, T than) { return is_larger(x, than) ? x : than; });
}

}  // namespace pooling_detail

template <class T>
void max_pool(const ParallelFor& parallel, const Pooling& p, const T* x, T* y, int32_t* places) {
  using namespace pooling_detail;
  const Window &down = p.window.down, &across = p.window.across;
  const int64_t n = p.channels;
  for_each_place(parallel, p.batch, p.rows, p.columns, down.kernel * across.kernel * n,
                 [&](int64_t image, int64_t row, int64_t column, int64_t place) {
                   T* largest = y + place * n;
                   const int64_t corner = row * down.stride * p.width + column * across.stride;
                   const T* pixels = x + image * p.height * p.width * n;
                   if (!places) return largest_of_window(p, pixels + corner * n, largest);
                   int32_t* at = places + place * n;
                   std::copy_n(pixels + corner * n, n, largest);
                   std::fill_n(at, n, static_cast<int32_t>(corner));
                   for (int64_t tap = 1; tap < down.kernel * across.kernel; ++tap) {
                     const int64_t other = corner + tap / across.kernel * p.width + tap % across.kernel;
                     const T* pixel = pixels + other * n;
                     for (int64_t j = 0; j < n; ++j) {
                       const bool larger = is_larger(pixel[j], largest[j]);
                       at[j] = larger ? static_cast<int32_t>(other) : at[j];
                       largest[j] = larger ? pixel[j] : largest[j];
                     }
                   }
                 });
}

template <class T>
void average_pool(const ParallelFor& parallel, const Pooling& p, const T* x, T* y) {
  using namespace pooling_detail;
  const Window &down = p.window.down, &across = p.window.across;
  const int64_t n = p.channels, taps = down.kernel * across.kernel;
  const T scale = T(1) / static_cast<T>(taps);
  for_each_place(parallel, p.batch, p.rows, p.columns, taps * n,
                 [&](int64_t image, int64_t row, int64_t column, int64_t place) {
                   T* mean = y + place * n;
                   const T* corner =
                       x + ((image * p.height + row * down.stride) * p.width + column * across.stride) * n;
                   sum_in_tiles(taps, n, mean, [&](int64_t tap) {
                     return Addends<T>{corner + (tap / across.kernel * p.width + tap % across.kernel) * n};
                   });
                   for (int64_t j = 0; j < n; ++j) mean[j] *= scale;
                 });
}

// dx[t] = (1/size) Σ of dy over the steps s with s·stride ≤ t < s·stride + size, along both axes.
template <class T>
void average_unpool(const ParallelFor& parallel, const Pooling& p, const T* d_y, T* d_x) {
  using namespace pooling_detail;
  struct Steps {
    int64_t first, last;
  };
  const auto seen_by = [](const Window& window, int64_t at, int64_t steps) -> Steps {
    return {at < window.kernel ? 0 : (at - window.kernel) / window.stride + 1,
            std::min(at / window.stride, steps - 1)};
  };
  const Window &down = p.window.down, &across = p.window.across;
  const int64_t n = p.channels;
  const T scale = T(1) / static_cast<T>(down.kernel * across.kernel);
  const int64_t overlap = (down.kernel / down.stride + 1) * (across.kernel / across.stride + 1);
  for_each_place(parallel, p.batch, p.height, p.width, overlap * n,
                 [&](int64_t image, int64_t row, int64_t column, int64_t place) {
                   T* sum = d_x + place * n;
                   const Steps above = seen_by(down, row, p.rows),
                               beside = seen_by(across, column, p.columns);
                   const int64_t wide = std::max<int64_t>(0, beside.last - beside.first + 1);
                   sum_in_tiles(wide * (above.last - above.first + 1), n, sum, [&](int64_t i) {
                     const int64_t r = above.first + i / wide, s = beside.first + i % wide;
                     return Addends<T>{d_y + ((image * p.rows + r) * p.columns + s) * n};
                   });
                   for (int64_t j = 0; j < n; ++j) sum[j] *= scale;
                 });
}

#define LARIAT_AVERAGE(T)                                                          \
  template void average_pool<T>(const ParallelFor&, const Pooling&, const T*, T*); \
  template void average_unpool<T>(const ParallelFor&, const Pooling&, const T*, T*);
#define LARIAT_MAXIMUM(T) \
  template void max_pool<T>(const ParallelFor&, const Pooling&, const T*, T*, int32_t*);
LARIAT_AVERAGE(float)
LARIAT_AVERAGE(double)
LARIAT_MAXIMUM(float)
LARIAT_MAXIMUM(double)
LARIAT_MAXIMUM(int32_t)
#undef LARIAT_AVERAGE
#undef LARIAT_MAXIMUM

}  // namespace lariat
