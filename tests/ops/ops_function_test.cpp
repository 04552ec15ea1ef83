// The functions that build nodes: symbolic shapes, gradients over them, functions of several ops, messages.
#include <limits>

#include "autodiff/gradient.hpp"
#include "graph/program/program.hpp"
#include "ops/ops.hpp"
#include "tests/ops/kernel_runner.hpp"

namespace lariat::ops_function_test {

using namespace lariat::testing;

TEST_CASE("shapes with symbols are inferred") {
  Graph graph;
  const Value x = graph.input("x", {dim::batch, dim::time, 40});
  const auto shape_of = [](Value value) { return text(value.shape()); };
  CHECK(shape_of(reshape(x, {-1, 40})) == "[batch*time, 40]");
  CHECK(shape_of(reshape(x, {dim::batch, -1})) == "[batch, 40*time]");
  CHECK(shape_of(reshape(x, {dim::batch, dim::time, 2, -1})) == "[batch, time, 2, 20]");
  CHECK(shape_of(transpose(x)) == "[40, time, batch]");
  CHECK(shape_of(transpose(x, {0, -1, 1})) == "[batch, 40, time]");
  CHECK(shape_of(slice(x, 1, 1, dim::time)) == "[batch, time - 1, 40]");
  CHECK(shape_of(slice(x, 1, 0, -2)) == "[batch, time - 2, 40]");
  CHECK(shape_of(slice(x, 1, -1, dim::time)) == "[batch, 1, 40]");
  CHECK(shape_of(slice(x, -1, -3, 40)) == "[batch, time, 3]");
  CHECK(shape_of(slice(x, 1, 0, dim::time, 2)) == "[batch, floor((time + 1)/2), 40]");
  CHECK(shape_of(pad(x, 1, 2, 3)) == "[batch, time + 5, 40]");
  CHECK(shape_of(concat({x, x, slice(x, 1, 0, 3)}, 1)) == "[batch, 2*time + 3, 40]");
  CHECK(shape_of(sum(x, {1})) == "[batch, 40]");
  CHECK(shape_of(mean(x, {0, 1}, true)) == "[1, 1, 40]");
  CHECK(shape_of(broadcast_to(sum(x, {1}, true), x.shape())) == "[batch, time, 40]");
  CHECK(shape_of(sum_to(x, {dim::batch, 1, 40})) == "[batch, 1, 40]");
  CHECK(shape_of(max_pool1d(x, 2, 2)) == "[batch, floor((time)/2), 40]");
  const Value w = graph.parameter("w", {5, 40, 7});
  CHECK(shape_of(conv1d(x, w)) == "[batch, time, 7]");
  CHECK(shape_of(conv1d(x, w, 2)) == "[batch, floor((time + 1)/2), 7]");
  CHECK(shape_of(conv1d(x, w, 1, "valid")) == "[batch, time - 4, 7]");
  const Value images = graph.input("images", {dim::batch, dim::time, 40, 3});
  const Value kernel = graph.parameter("kernel", {5, 4, 3, 7});
  CHECK(shape_of(conv2d(images, kernel)) == "[batch, time, 40, 7]");
  CHECK(shape_of(conv2d(images, kernel, {2, 3})) == "[batch, floor((time + 1)/2), 14, 7]");
  CHECK(shape_of(conv2d(images, kernel, {1, 1}, "valid", {2, 1})) == "[batch, time - 8, 37, 7]");
  CHECK(shape_of(max_pool2d(images, {2, 3}, {2, 3})) == "[batch, floor((time)/2), 13, 3]");
  CHECK(shape_of(average_pool2d(images, {1, 2}, {1, 1})) == "[batch, time, 39, 3]");
  CHECK(shape_of(element_count(x, {0, 1})) == "[]");
  CHECK(shape_of(logsumexp(x, true)) == "[batch, time, 1]");
}

TEST_CASE("gradients over symbolic dimensions") {
  Graph graph;
  const Value x = graph.input("x", {dim::batch, dim::time, 2}, f64);
  const Value y = graph.input("y", {dim::batch, Dim::symbol("steps"), 2}, f64);
  const Value lengths = graph.input("lengths", {dim::batch}, i32);
  const Value joined = concat({x, y, x}, 1);
  // Pieces that start where time and steps say, every second step of the middle, and a mean over all of it.
  const Value picked = slice(joined, 1, dim::time, joined.shape()[1], 1);
  const Value loss = mean(square(slice(joined, 1, 1, -1, 2))) + sum(square(picked)) +
                     sum(square(max_pool1d(x, 2, 1))) + sum(square(last_step(x, lengths))) +
                     sum(square(masked_mean_time(x, lengths))) +
                     sum(reshape(x, {dim::batch, -1}) * reshape(transpose(x, {0, 2, 1}), {dim::batch, -1}));
  const std::vector<Value> gradients = gradient(loss, {x, y});
  graph.output("loss", loss);
  graph.output("dx", gradients[0]);
  graph.output("dy", gradients[1]);
  Program program(graph);
  Store store;
  const auto executor = make_serial_executor();
  for (const auto& [batch, time, steps] :
       std::vector<std::array<int64_t, 3>>{{2, 3, 4}, {1, 5, 2}, {3, 4, 1}}) {
    std::vector<int32_t> counts(static_cast<size_t>(batch), 2);
    counts[0] = static_cast<int32_t>(time);
    Feeds feeds{{"x", random_tensor<double>({batch, time, 2}, 50)},
                {"y", random_tensor<double>({batch, steps, 2}, 51)},
                {"lengths", integers(counts)}};
    const std::vector<Tensor> analytic = program.run(feeds, store, *executor);
    for (const char* name : {"x", "y"}) {
      const Tensor& gradient = analytic[name[0] == 'x' ? 1 : 2];
      REQUIRE(gradient.extents() == feeds.at(name).extents());
      for (int64_t i = 0; i < gradient.count(); ++i) {
        double& element = feeds.at(name).data<double>()[i];
        const double at = element, h = 1e-4;
        element = at + h;
        const double above = program.run(feeds, store, *executor)[0].item();
        element = at - h;
        const double below = program.run(feeds, store, *executor)[0].item();
        element = at;
        CHECK(gradient.at(i) == doctest::Approx((above - below) / (2 * h)).epsilon(1e-6));
      }
    }
  }
}

TEST_CASE("shapes that cannot be compared before the run are compared then") {
  Graph graph;
  const Value x = graph.input("x", {dim::batch, 3}), z = graph.input("z", {dim::time});
  graph.output("y", reshape(x, {dim::time, 2}));
  graph.output("z", z);
  Program program(graph);
  Store store;
  const auto run = [&](int64_t batch, int64_t time) {
    const Feeds feeds{{"x", Tensor(f32, {batch, 3})}, {"z", Tensor(f32, {time})}};
    return program.run(feeds, store, *make_serial_executor())[0].extents();
  };
  CHECK(run(2, 3) == Extents{3, 2});
  CHECK(run(0, 0) == Extents{0, 2});
  CHECK(message_of<UserError>([&] {
          run(2, 2);
        }).ends_with("[2, 3] has 6 elements and cannot take the shape [2, 2] of 4"));
}

TEST_CASE("functions made of several ops") {
  Graph graph;
  const Value x = graph.input("x", {2, 3, 2}, f64), lengths = graph.input("lengths", {2}, i32);
  graph.output("mean", masked_mean_time(x, lengths));
  graph.output("max", masked_max_time(x, lengths));
  graph.output("last", last_step(x, lengths));
  const Value p = graph.input("p", {3}, f64), t = graph.input("t", {3}, f64);
  graph.output("mse", mean_squared_error(p, t));
  graph.output("huber", huber(p, t, 1));
  graph.output("norm1", norm1(p));
  graph.output("norm2", norm2(p));
  Program program(graph);
  Store store;
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const std::vector<Tensor> y =
      program.run({{"x", Tensor::of<double>({2, 3, 2}, {1, 2, 3, 4, nan, 6, 7, 8, nan, nan, 11, nan})},
                   {"lengths", integers({2, 1})},
                   {"p", Tensor::of<double>({3}, {3, -4, 0})},
                   {"t", Tensor::of<double>({3}, {3, 0, 0.5})}},
                  store, *make_serial_executor());
  const auto equals = [](const Tensor& tensor, const std::vector<double>& wanted) {
    REQUIRE(tensor.count() == static_cast<int64_t>(wanted.size()));
    for (size_t i = 0; i < wanted.size(); ++i)
      CHECK(tensor.at(static_cast<int64_t>(i)) == doctest::Approx(wanted[i]).epsilon(1e-15));
  };
  equals(y[0], {2, 3, 7, 8});
  equals(y[1], {3, 4, 7, 8});
  equals(y[2], {3, 4, 7, 8});
  equals(y[3], {(16 + 0.25) / 3});
  equals(y[4], {(3.5 + 0.125) / 3});
  equals(y[5], {7});
  equals(y[6], {5});
}

TEST_CASE("equal maxima share the adjoint, or the first gets it") {
  Graph graph;
  const Value x = graph.input("x", {1, 4, 1}, f64);
  graph.output("shared", gradient(sum(reduce_max(x, {1})), {x})[0]);
  graph.output("first", gradient(sum(max_pool1d(x, 4, 1)), {x})[0]);
  Program program(graph);
  Store store;
  const std::vector<Tensor> y =
      program.run({{"x", Tensor::of<double>({1, 4, 1}, {2, 7, 1, 7})}}, store, *make_serial_executor());
  for (int64_t i = 0; i < 4; ++i) {
    CHECK(y[0].at(i) == (i % 2 ? 0.5 : 0));
    CHECK(y[1].at(i) == (i == 1 ? 1 : 0));
  }
}

TEST_CASE("functions refuse with the line they were called on") {
  Graph graph;
  const Value x = graph.input("x", {dim::batch, 5});
  const auto message = [](auto&& action) { return message_of<UserError>(action); };
  CHECK(message([&] { slice(x, 1, 2, 9); }).ends_with("[2, 9) does not lie within axis 1 of [batch, 5]"));
  CHECK(message([&] {
          slice(x, 2, 0, 1);
        }).ends_with("axis 2 does not exist: x is [batch, 5], so axes run from -2 to 1"));
  CHECK(message([&] { reshape(x, {-2, -3}); }).ends_with("the shape [-2, -3] has a negative dimension"));
  CHECK(message([&] {
          element_count(x, {3});
        }).ends_with("axis 3 does not exist: x is [batch, 5], so axes run from -2 to 1"));
  CHECK(message([&] { zeros_like(2); }).starts_with("[zeros_like] built at ops_function_test.cpp:"));
  CHECK(message([&] { dropout(x, 1); }).ends_with("'rate' is 1; it must lie in [0, 0.999999]"));
  CHECK(message([&] { last_step(x, x); }).ends_with(": takes x [batch, time, channels]; got [batch, 5]"));
  CHECK(message([&] {
          conv1d(x, x, 1, "full");
        }).ends_with(": the padding 'full' is unknown; it must be \"same\", \"causal\" or \"valid\""));
  CHECK(message([&] {
          conv2d(x, x, {}, "causal");
        }).ends_with(": the padding 'causal' is unknown; it must be \"same\" or \"valid\""));
  CHECK(
      message([&] { conv2d(x, x); }).ends_with(": takes x [batch, height, width, channels]; got [batch, 5]"));
  CHECK(message([&] {
          masked_mean_time(x, x);
        }).starts_with("[masked_mean_time] built at ops_function_test.cpp:"));
}

TEST_CASE("two dropouts of a graph differ, and inference passes x on") {
  Graph graph;
  const Value x = graph.input("x", {100});
  const Value a = dropout(x, 0.5), b = dropout(x, 0.5);
  CHECK(a.graph().node(a.node()).inputs[1] == b.graph().node(b.node()).inputs[1]);
  CHECK(graph.node(a.node()).attributes.get<int64_t>("stream") !=
        graph.node(b.node()).attributes.get<int64_t>("stream"));
  CHECK(graph.node(a.node()).op->traits.inference_input == 0);
}

}  // namespace lariat::ops_function_test
