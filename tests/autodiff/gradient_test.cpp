#include <cmath>

#include "autodiff/gradient.hpp"
#include "graph/base/error.hpp"
#include "graph/program/program.hpp"
#include "ops/ops.hpp"
#include "tests/support/testing.hpp"

namespace lariat::gradient_test {

namespace {

// Runs the graph's outputs on one thread.
std::vector<Tensor> run(const Graph& graph, const Feeds& feeds = {}) {
  Program program(graph);
  Store store;
  initialize_store(graph, store, 1);
  return program.run(feeds, store, *make_serial_executor());
}

}  // namespace

TEST_CASE("gradients of a product, used twice, and through a broadcast") {
  Graph g;
  const Value x = g.input("x", {2}, f64), s = g.input("s", {}, f64);
  const Value loss = sum(x * x * s);
  const auto d = gradient(loss, {x, s});
  g.output("dx", d[0]);
  g.output("ds", d[1]);
  const auto values = run(g, {{"x", Tensor::of<double>({2}, {3, -1})}, {"s", Tensor::scalar(2, f64)}});
  CHECK(values[0].at(0) == 12);
  CHECK(values[0].at(1) == -4);
  CHECK(values[1].item() == 10);
}

TEST_CASE("a gradient can be differentiated again and again") {
  Graph g;
  const Value x = g.input("x", {}, f64);
  Value y = exp(2 * x);
  for (int order = 1; order <= 4; ++order) y = gradient(y, {x})[0];
  g.output("y", y);
  CHECK(run(g, {{"x", Tensor::scalar(0.5, f64)}})[0].item() ==
        doctest::Approx(16 * std::exp(1.0)).epsilon(1e-14));
}

TEST_CASE("values the loss does not depend on get zeros, as do those behind stop_gradient") {
  Graph g;
  const Value x = g.input("x", {3}, f64), y = g.input("y", {2}, f64);
  const auto d = gradient(sum(x * stop_gradient(x)), {x, y});
  g.output("dx", d[0]);
  g.output("dy", d[1]);
  const auto values = run(g, {{"x", Tensor::of<double>({3}, {1, 2, 3})}, {"y", Tensor(f64, {2})}});
  CHECK(values[0].at(2) == 3);
  CHECK(values[1].at(0) == 0);
}

TEST_CASE("with respect to a value in between") {
  Graph g;
  const Value x = g.input("x", {}, f64), h = square(x), y = h * h;
  g.output("dh", gradient(y, {h})[0]);
  CHECK(run(g, {{"x", Tensor::scalar(3, f64)}})[0].item() == 18);
}

TEST_CASE("what cannot be differentiated is named") {
  Graph g;
  const Value x = g.input("x", {3});
  CHECK(testing::message_of<UserError>([&] { gradient(x, {x}); }) ==
        "the gradient of a value of shape [3] was asked for; reduce it to a scalar with sum or mean");
  const Value n = g.input("n", {}, i32);
  CHECK(testing::message_of<UserError>([&] { gradient(n, {x}); }) ==
        "the gradient of an i32 value was asked for; cast it to f32");
}

TEST_CASE("a gradient that cannot be differentiated again is refused, by the name of its op") {
  Graph g;
  const Value x = g.input("x", {1, 3, 2}, f64), labels = g.constant(Tensor::of<int32_t>({1, 1}, {1})),
              lengths = g.constant(Tensor::of<int32_t>({1}, {3}));
  const Value slope = gradient(sum(ctc_loss(x, labels, lengths)), {x})[0];
  const std::string of_loss = testing::message_of<UserError>([&] { gradient(sum(square(slope)), {x}); });
  CHECK(of_loss.starts_with("[ctc_loss] "));
  CHECK(of_loss.ends_with(
      "has no gradient of its output 'gradient', of which its first derivative is made, so that it cannot be "
      "differentiated twice; put stop_gradient around that or choose another op"));
  const Value m = g.input("m", {2, 2}, f64), turned = gradient(nuclear_norm(m), {m})[0];
  CHECK(testing::contains(testing::message_of<UserError>([&] { gradient(sum(square(turned)), {m}); }),
                          "has no gradient of its output 'directions'"));
  // As constants they are as good as any.
  const Value still = gradient(sum(m * stop_gradient(turned)), {m})[0];
  g.output("slope", slope);
  g.output("same", sum(abs(still - turned)));
  const auto values =
      run(g, {{"x", Tensor::filled(f64, {1, 3, 2}, 0.5)}, {"m", Tensor::of<double>({2, 2}, {3, 1, 0, -4})}});
  CHECK(values[1].item() == 0);
}

TEST_CASE("a chain of a hundred thousand nodes is built, differentiated and run without recursion") {
  Graph g;
  const Value x = g.input("x", {}, f64);
  Value y = x;
  for (int i = 0; i < 100000; ++i) y = tanh(y);
  g.output("dx", gradient(y, {x})[0]);
  const double d = run(g, {{"x", Tensor::scalar(0.5, f64)}})[0].item();
  CHECK(d > 0);
  CHECK(d < 1);
}

}  // namespace lariat::gradient_test
