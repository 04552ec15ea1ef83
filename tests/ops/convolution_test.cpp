// Convolutions and poolings of random shapes against plain loops.
#include <cmath>
#include <limits>

#include "graph/program/program.hpp"
#include "ops/kernels/window.hpp"
#include "ops/ops.hpp"
#include "tests/ops/kernel_runner.hpp"

namespace lariat::convolution_test {

using namespace lariat::testing;

TEST_CASE("conv1d is its definition, in tiles and for every padding") {
  Dice dice(40);
  for (int round = 0; round < 60; ++round) {
    const int64_t batch = 1 + dice(3), time = 8 + dice(300), in = 1 + dice(5), out = 1 + dice(5),
                  taps = 1 + dice(3);
    const int64_t stride = 1 + dice(3), dilation = 1 + dice(3);
    const std::string padding = std::vector<std::string>{"same", "causal", "valid"}[dice(3)];
    Graph graph;
    const Value x = graph.input("x", {batch, time, in}, f64), w = graph.input("w", {taps, in, out}, f64);
    const Value y = conv1d(x, w, stride, padding, dilation);
    graph.output("y", y);
    const Feeds feeds{{"x", random_tensor<double>({batch, time, in}, round)},
                      {"w", random_tensor<double>({taps, in, out}, round + 1)}};
    Program program(graph);
    Store store;
    const Tensor result = program.run(feeds, store, *make_serial_executor())[0];
    const int64_t reach = dilation * (taps - 1);
    const int64_t before = padding == "same" ? reach / 2 : padding == "causal" ? reach : 0;
    const int64_t steps = padding == "valid" ? (time - reach - 1) / stride + 1 : (time + stride - 1) / stride;
    REQUIRE(result.extents() == Extents{batch, steps, out});
    const double *xs = feeds.at("x").data<double>(), *ws = feeds.at("w").data<double>();
    double worst = 0;
    for_each_index(result.extents(), [&](const Extents& i) {
      double sum = 0;
      for (int64_t k = 0; k < taps; ++k) {
        const int64_t t = i[1] * stride - before + k * dilation;
        for (int64_t c = 0; t >= 0 && t < time && c < in; ++c)
          sum += xs[(i[0] * time + t) * in + c] * ws[(k * in + c) * out + i[2]];
      }
      worst = std::max(worst, std::abs(sum - result.at(offset_of(i, result.extents()))));
    });
    CHECK(worst < 1e-12);
  }
}

namespace {

// By loops over the definition, all in double: y, and the two gradients for the adjoint d.
struct Convolved {
  Tensor y, dx, dw;
};
Convolved convolve_by_loops(const Tensor& x, const Tensor& w, const Tensor& d,
                            const std::vector<Window>& window) {
  Convolved result{Tensor::filled(f64, d.extents(), 0), Tensor::filled(f64, x.extents(), 0),
                   Tensor::filled(f64, w.extents(), 0)};
  for_each_index(d.extents(), [&](const Extents& i) {
    const int64_t at = offset_of(i, d.extents());
    Extents taps = w.extents();
    taps.pop_back();
    for_each_index(taps, [&](const Extents& k) {
      const int64_t row = i[1] * window[0].stride - window[0].before + k[0] * window[0].dilation,
                    column = i[2] * window[1].stride - window[1].before + k[1] * window[1].dilation;
      if (row < 0 || row >= x.extents()[1] || column < 0 || column >= x.extents()[2]) return;
      const int64_t from = offset_of({i[0], row, column, k[2]}, x.extents()),
                    by = offset_of({k[0], k[1], k[2], i[3]}, w.extents());
      result.y.data<double>()[at] += x.at(from) * w.at(by);
      result.dx.data<double>()[from] += d.at(at) * w.at(by);
      result.dw.data<double>()[by] += d.at(at) * x.at(from);
    });
  });
  return result;
}

}  // namespace

TEST_CASE("conv2d and its gradients are their definitions, however they are cut") {
  Dice dice(41);
  int slid = 0, banded = 0;
  for (int round = 0; round < 150; ++round) {
    CAPTURE(round);
    const auto window = [&](int64_t taps) {
      return Window{1 + dice(taps), 1 + dice(3), round % 2 ? 1 : 1 + dice(3), dice(4), dice(4)};
    };
    const std::vector<Window> windows{window(3), window(5)};
    const auto size = [&](const Window& along, int64_t more) {
      return std::max<int64_t>(1, along.reach() - along.before - along.after) + dice(more);
    };
    const bool tall = round % 3 == 0;
    const int64_t batch = tall ? 1 : 1 + dice(12), height = size(windows[0], tall ? 130 : 20),
                  width = size(windows[1], 14), in = 1 + dice(3), out = 1 + dice(3);
    const Tensor x = random_tensor<double>({batch, height, width, in}, round),
                 w = random_tensor<double>({windows[0].kernel, windows[1].kernel, in, out}, round + 1);
    const Attributes attributes = attributes_of(Window2d{windows[0], windows[1]});
    const Tensor y = run_op("conv2d", {x, w}, attributes)[0];
    const Tensor d = random_tensor<double>(y.extents(), round + 2);
    Attributes of_input = attributes, of_weight = attributes;
    of_input.set("image", Shape{height, width});
    of_weight.set("kernel", std::vector<int64_t>{windows[0].kernel, windows[1].kernel});
    const Convolved wanted = convolve_by_loops(x, w, d, windows);
    CHECK(largest_difference(y, wanted.y) < 1e-12);
    CHECK(largest_difference(run_op("conv2d_input_gradient", {d, w}, of_input)[0], wanted.dx) < 1e-12);
    CHECK(largest_difference(run_op("conv2d_weight_gradient", {x, d}, of_weight)[0], wanted.dw) < 1e-11);
    slid += windows[1].dilation == 1 && windows[1].stride < windows[1].kernel && batch * y.extents()[1] >= 64;
    banded += batch == 1 && y.extents()[1] * y.extents()[2] >= 128 && height >= 8 * windows[0].reach();
  }
  CHECK(slid >= 10);
  CHECK(banded >= 10);
}

// Sums over all images and places, of numbers of one sign too, where rounding errors pile up.
TEST_CASE("gradients of kernels in float are those in double but for rounding, in any order of chunks") {
  struct Shape {
    Extents x, kernel;
    int64_t filters;
  };
  const std::vector<Shape> shapes{
      {{256, 500, 1, 2}, {5, 1}, 3},                                  // conv1d: batch and time
      {{32, 28, 28, 1}, {3, 3}, 4},   {{2, 40, 2000, 1}, {1, 5}, 2},  // long rows
      {{1, 4, 60000, 1}, {4, 20}, 2},                                 // few of them
      {{64, 9, 9, 40}, {3, 3}, 70},
  };
  for (const Shape& shape : shapes)
    for (const double low : {-1.0, 0.0, 0.1}) {
      CAPTURE(shape.x[1]);
      CAPTURE(low);
      const Extents d{shape.x[0], shape.x[1] - shape.kernel[0] + 1, shape.x[2] - shape.kernel[1] + 1,
                      shape.filters};
      const double high = low == 0.1 ? 0.1 : 1;
      const Tensor x = random_tensor<float>(shape.x, 1, low, high),
                   d_y = random_tensor<float>(d, 2, low, high);
      Attributes attributes = attributes_of(Window2d{});
      attributes.set("kernel", std::vector<int64_t>{shape.kernel[0], shape.kernel[1]});
      const Tensor found = run_op("conv2d_weight_gradient", {x, d_y}, attributes)[0],
                   exact = run_op("conv2d_weight_gradient", {x.cast(f64), d_y.cast(f64)}, attributes)[0];
      double largest = 0;
      for (int64_t i = 0; i < exact.count(); ++i) largest = std::max(largest, std::abs(exact.at(i)));
      // Equal numbers round the same way within a block of an inner loop.
      CHECK(largest_difference(found, exact) <= (low == high ? 1e-5 : 1e-6) * largest);
      const Tensor again = run_op("conv2d_weight_gradient", {x, d_y}, attributes, Reversed())[0];
      CHECK(same_bits(found, again));
    }
}

TEST_CASE("an image gives the same bits alone as in a batch, near what doubles give") {
  Dice dice(42);
  int one_by_one = 0;
  for (int round = 0; round < 60; ++round) {
    CAPTURE(round);
    const Window down{1 + dice(4), 1 + dice(2), 1, dice(3), dice(3)},
        across{1 + dice(6), 1 + dice(2), 1, dice(4), dice(4)};
    const int64_t batch = 9, height = 8 + dice(20), width = 8 + dice(40), in = 1 + dice(round % 2 ? 40 : 3),
                  out = 2 + dice(40);
    const Tensor x = random_tensor<float>({batch, height, width, in}, round),
                 w = random_tensor<float>({down.kernel, across.kernel, in, out}, round + 1);
    const Attributes attributes = attributes_of(Window2d{down, across});
    const Tensor together = run_op("conv2d", {x, w}, attributes)[0];
    CHECK(largest_difference(together, run_op("conv2d", {x.cast(f64), w.cast(f64)}, attributes)[0]) < 1e-4);
    for (int64_t image : {int64_t{0}, batch - 1}) {
      TensorView view = x.view();
      view.extents[0] = 1;
      view.data = x.data<float>() + image * height * width * in;
      const Tensor alone = run_views("conv2d", {view, w.view()}, attributes, Reversed())[0];
      CHECK(std::equal(alone.data<float>(), alone.data<float>() + alone.count(),
                       together.data<float>() + image * alone.count()));
    }
    one_by_one += across.stride < across.kernel && together.extents()[1] < 64 &&
                  batch * together.extents()[1] >= 64 && together.extents()[2] >= 16;
  }
  CHECK(one_by_one >= 10);
}

TEST_CASE_TEMPLATE("pooling in two dimensions is its definition", T, float, double) {
  Dice dice(42);
  for (int round = 0; round < 60; ++round) {
    const Extents size{1 + dice(4), 1 + dice(4)}, stride{1 + dice(4), 1 + dice(4)};
    const Tensor x =
        random_tensor<T>({1 + dice(3), size[0] + dice(9), size[1] + dice(9), 1 + dice(20)}, round);
    const Attributes attributes{{"size", size}, {"stride", stride}};
    const std::vector<Tensor> largest = run_op("max_pool2d", {x}, attributes);
    const Tensor mean = run_op("average_pool2d", {x}, attributes)[0];
    bool equal = true, placed = true;
    double worst = 0;
    for_each_index(mean.extents(), [&](const Extents& i) {
      double maximum = -1e30, sum = 0;
      for_each_index(size, [&](const Extents& k) {
        const double value =
            x.at(offset_of({i[0], i[1] * stride[0] + k[0], i[2] * stride[1] + k[1], i[3]}, x.extents()));
        maximum = std::max(maximum, value);
        sum += value;
      });
      const int64_t at = offset_of(i, mean.extents());
      equal &= largest[0].at(at) == maximum;
      const auto place = static_cast<int64_t>(largest[1].at(at));
      placed &= x.at(offset_of({i[0], place / x.extents()[2], place % x.extents()[2], i[3]}, x.extents())) ==
                maximum;
      worst = std::max(worst, std::abs(mean.at(at) - sum / static_cast<double>(size[0] * size[1])));
    });
    CHECK(equal);
    CHECK(placed);
    CHECK(worst < 16 * std::numeric_limits<T>::epsilon());
  }
}

TEST_CASE_TEMPLATE("maxima are the same where nobody reads their places, NaN too", T, float, double) {
  Dice dice(43);
  const auto executor = make_tbb_executor(2);
  for (int round = 0; round < 60; ++round) {
    const int64_t size = 1 + dice(4), stride = 1 + dice(3);
    const bool flat = round % 2 == 0;
    Extents extents{1 + dice(3), size + dice(9), 1 + dice(70)};
    if (!flat) extents.insert(extents.begin() + 2, size + dice(9));
    const Tensor fed = random_tensor<T>(extents, round);
    for (T& value : fed.values<T>())
      if (dice(4) == 0) value = dice(2) ? std::numeric_limits<T>::quiet_NaN() : T(0);
    Graph graph, with_places;
    const auto pooled = [&](Graph& in) {
      const Value x = in.input("x", to_shape(extents), dtype_of<T>);
      return flat ? max_pool1d(x, size, stride) : max_pool2d(x, {size, size}, {stride, stride});
    };
    graph.output("y", pooled(graph));
    const Value y = pooled(with_places);
    with_places.output("y", y);
    with_places.output("places", output_of(y, 1));
    Store store;
    const Feeds feeds{{"x", fed}};
    CHECK(same_bits(Program(graph).run(feeds, store, *executor)[0],
                    Program(with_places).run(feeds, store, *executor)[0]));
  }
}

}  // namespace lariat::convolution_test
