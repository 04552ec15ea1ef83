#include "ops/axes.hpp"
#include "ops/ops.hpp"
#include "ops/records.hpp"
#include "ops/window.hpp"

namespace lariat {

namespace {

Window pool_of(const Attributes& a) { return {a.get<int64_t>("size"), a.get<int64_t>("stride")}; }

std::vector<TensorType> infer(const InferContext& c) {
  check_sequence(c, "x");
  const Window window{c.attribute<int64_t>("size"), c.attribute<int64_t>("stride")};
  const Shape& x = c.shape(0);
  const Shape shape{x[0], checked_steps(window, x[1]), x[2]};
  return {{c.in(0).dtype, shape}, {i32, shape}};
}

template <class T>
void forward(const KernelContext& k) {
  const Window window = pool_of(k.attributes);
  const int64_t time = k.inputs[0].extents[1], steps = k.outputs[0].extents[1],
                channels = k.outputs[0].extents[2];
  k.parallel.run(k.outputs[0].extents[0] * steps, rows_per_task(window.kernel * channels),
                 [&](int64_t begin, int64_t end) {
                   for (int64_t row = begin; row < end; ++row) {
                     const int64_t first = row % steps * window.stride;
                     const T* x = k.in<T>(0) + (row / steps * time + first) * channels;
                     T* y = k.out<T>(0) + row * channels;
                     int32_t* index = k.out<int32_t>(1) + row * channels;
                     std::copy_n(x, channels, y);
                     std::fill_n(index, channels, static_cast<int32_t>(first));
                     for (int64_t tap = 1; tap < window.kernel; ++tap) {
                       const T* other = x + tap * channels;
                       for (int64_t j = 0; j < channels; ++j) {
                         // NaN is larger than any number; of equals the first one stays.
                         const bool larger = other[j] > y[j] || (other[j] != other[j] && y[j] == y[j]);
                         index[j] = larger ? static_cast<int32_t>(first + tap) : index[j];
                         y[j] = larger ? other[j] : y[j];
                       }
                     }
                   }
                 });
}

}  // namespace

OpDef records::max_pool1d() {
  OpDef def{.name = "max_pool1d",
            .doc = "The maximum over sliding windows of the time axis; NaN counts as the largest.",
            .inputs = {{"x", "[batch, time, channels]"}},
            .outputs = {{"result", "[batch, steps, channels]"},
                        {"indices", "i32, like result: the time step of each maximum, the first of equals"}}};
  def.attributes = {
      {"size", AttributeKind::integer, "time steps of one window", std::nullopt, 1, 1e9},
      {"stride", AttributeKind::integer, "time steps from one window to the next", std::nullopt, 1, 1e9}};
  def.infer = infer;
  def.kernel = {forward<float>, forward<double>, forward<int32_t>};
  def.vjp = [](const GradContext& g) -> Adjoints {
    return {scatter_add_steps(g.adjoint(0), g.out(1), g.in(0).shape()[1])};
  };
  def.cost = streaming_cost<2>;
  def.kinks = "Where several elements of a window are the maximum, the first one gets the whole adjoint.";
  const auto pool = [](int64_t size, int64_t stride) -> Attributes {
    return {{"size", size}, {"stride", stride}};
  };
  const std::vector<double> ramp{0.1, 0.9, 0.4, -0.3, 0.7, 0.2, -0.8, 0.6, -0.5, 0.3, -0.1, 0.5};
  def.samples = {
      {"pairs", {{{1, 4, 1}, {1, 3, 2, -1}}}, pool(2, 2), {3, 2}},
      {"first of equals", {{.extents = {1, 3, 1}, .values = {2, 2, 1}, .dtype = i32}}, pool(3, 1), {2}},
      {"overlapping", {{{2, 3, 2}, ramp}}, pool(2, 1)},
      {"with gaps", {{{1, 6, 2}, ramp}}, pool(2, 3)},
      {"windows of one", {{{1, 2, 2}}}, pool(1, 1)},
      {"no rows", {{{0, 4, 2}}}, pool(2, 2)}};
  def.rejects = {
      {{{f32, {1, 2, 1}}}, pool(3, 1), "the window spans 3 time steps, but there are 2 with padding"},
      {{{f32, {2, 3}}}, pool(2, 2), "takes x [batch, time, channels]; got [2, 3]"}};
  return def;
}

Value max_pool1d(Operand x, int64_t size, int64_t stride) {
  return build("max_pool1d", {x}, {{"size", size}, {"stride", stride}});
}

}  // namespace lariat
