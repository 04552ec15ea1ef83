// What a user writes without thinking: operands of any number type, printing, evaluating, comparing; and
// every block of C++ in the documentation, which must compile as it is printed.
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <sstream>
#include <type_traits>

#include "frontends/lariat.hpp"
#include "graph/ir/op_def.hpp"
#include "graph/passes/pass_list.hpp"
#include "graph/program/program.hpp"
#include "tests/support/files.hpp"
#include "tests/support/testing.hpp"

namespace lariat::api_test {

using testing::message_of;

namespace {

template <class A, class B>
concept comparable = requires(A a, B b) {
  a == b;
};
template <class A, class B>
concept different = requires(A a, B b) {
  a != b;
};

template <class T>
std::string printed(const T& value) {
  std::ostringstream out;
  out << value;
  return out.str();
}

}  // namespace

TEST_CASE("values are not compared by ==, which would not compare their elements") {
  static_assert(!comparable<Value, Value> && !different<Value, Value>);
  static_assert(!comparable<Value, double> && !comparable<Value, int>);
  Graph g;
  const Value x = g.input("x", {3}), y = g.input("y", {3});
  CHECK(is_same(x, g.find_source("x")));
  CHECK_FALSE(is_same(x, y));
  CHECK(is_among(std::vector<Value>{y, x}, x));
  CHECK_FALSE(is_among(std::vector<Value>{y}, x));
  const Tensor equal = evaluate(lariat::equal(x, y), {{"x", Tensor::of<float>({3}, {1, 2, 3})},
                                                      {"y", Tensor::of<float>({3}, {1, 0, 3})}});
  CHECK(text(equal) == "f32[3] {1, 0, 1}");
}

TEST_CASE_TEMPLATE("numbers of every type are operands", T, int8_t, uint8_t, int16_t, uint16_t, int32_t,
                   uint32_t, int64_t, uint64_t, long long, unsigned long long, size_t, float, double,
                   long double) {
  Graph g;
  const Value x = g.constant(Tensor::of<float>({2}, {1, 2}));
  const T n = 2;
  for (const Value value :
       {x + n, n + x, x - n, n - x, x * n, n * x, x / n, n / x, maximum(x, n), minimum(n, x)})
    CHECK(value.type() == x.type());
  CHECK(evaluate(n * x).at(1) == 4);
  CHECK(evaluate(x / n).at(0) == 0.5);
}

TEST_CASE("a bool is 1 or 0, the size of a vector divides, and i32 takes whole numbers only") {
  Graph g;
  const Value x = g.constant(Tensor::of<float>({2}, {1, 2}));
  CHECK(evaluate(x * true).at(1) == 2);
  CHECK(evaluate(x * false).at(1) == 0);
  CHECK(evaluate(sum(x) / std::vector<int>(3).size()).item() == 1);
  const Value n = g.constant(Tensor::of<int32_t>({2}, {1, 2}));
  CHECK(evaluate(n * int64_t{3}).at(1) == 6);
  CHECK(
      message_of<UserError>([&] {
        (void)(n * (int64_t{1} << 40));
      }).ends_with("does not fit i32; use a whole number from -2147483648 to 2147483647, or another dtype"));
}

TEST_CASE("values and tensors print what they are in one line") {
  Graph g;
  const Value x = g.input("x", {dim::batch, 3});
  const std::string place = " built at api_test.cpp:";
  CHECK(printed(x).starts_with("[input] 'x' f32[batch, 3]" + place));
  CHECK(printed(relu(x)).starts_with("[relu] f32[batch, 3]" + place));
  CHECK(printed(relu(x).named("h")).starts_with("[relu] 'h' f32[batch, 3]" + place));
  CHECK(printed(Value()) == "an empty Value");
  CHECK(printed(Tensor::scalar(0.5)) == "f32[] 0.5");
  CHECK(printed(Tensor::of<int32_t>({2, 2}, {1, -2, 3, 4})) == "i32[2, 2] {{1, -2}, {3, 4}}");
  CHECK(printed(Tensor::of<double>({3}, {0.1, INFINITY, -0.0})) == "f64[3] {0.1, inf, -0}");
  CHECK(printed(Tensor::filled(f32, {9}, 0.1)) == "f32[9] {0.1, 0.1, 0.1, 0.1, 0.1, ..., 0.1}");
  CHECK(printed(Tensor(f32, {0, 3})) == "f32[0, 3] {}");
  CHECK(printed(Tensor(f32, {2, 0})) == "f32[2, 0] {{}, {}}");
  for (const Extents& extents : std::vector<Extents>{{1000000},
                                                     {1000, 1000},
                                                     {100, 100, 100},
                                                     {10, 10, 10, 10, 10, 10},
                                                     {2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2}})
    CHECK(printed(Tensor(f32, extents)).size() < 6000);
}

TEST_CASE("evaluate computes a value from feeds, and from a store where it has parameters") {
  Graph g;
  const Value x = g.input("x", {dim::batch, 2}), w = g.parameter("W", {2, 1}, init::constant(3));
  const Value h = dropout(x, 0.5), y = matmul(h, w);
  const Tensor data = Tensor::filled(f32, {1, 2}, 1);
  CHECK(evaluate(sum(x), {{"x", data}}).item() == 2);
  CHECK(evaluate(sum(x), {{x, data}}).item() == 2);
  CHECK(evaluate(g.constant(4.0)).item() == 4);
  Trainer trainer(mean(square(y)), Sgd{.learning_rate = 0}, {.threads = 1});
  CHECK(evaluate(y, {{x, data}}, trainer.store()).item() == 6);  // dropout is off
  CHECK(trainer.evaluate({y}, {{"x", data}})[0].item() == 6);
  const std::vector<Tensor> both = evaluate(std::vector<Value>{sum(x), x + 1}, {{"x", data}});
  CHECK(both[0].item() == 2);
  CHECK(both[1].at(1) == 2);
  const std::string missing = message_of<UserError>([&] { evaluate(y, {{x, data}}); });
  CHECK(missing.starts_with("[parameter] 'W' built at api_test.cpp:"));
  CHECK(missing.ends_with(
      "is needed, but the store has no tensor of that name; give evaluate a store that has it, such as "
      "Trainer::store()"));
  CHECK(message_of<UserError>([&] { evaluate(sum(x)); }) == "the input 'x' f32[batch, 2] was not fed");
  CHECK(message_of<UserError>([] { evaluate(Value()); }) ==
        "an empty Value is to be evaluated; build the value first");
  Graph other;
  CHECK(message_of<UserError>([&] {
          evaluate(std::vector<Value>{x, other.constant(1)});
        }) == "values to evaluate belong to two graphs; evaluate each by itself");
}

TEST_CASE("empty values, and outputs that there are not, are refused by name") {
  Graph g;
  const Value x = g.input("x", {2, 3});
  CHECK(message_of<UserError>([&] { (void)output_of(x, 1); }).ends_with(" has no output 1; it has 1"));
  CHECK(message_of<UserError>([&] { (void)output_of(x, -1); }).starts_with("[input] 'x' f32[2, 3] built at"));
  const std::string advice = "build the value first";
  CHECK(message_of<UserError>([&] { (void)output_of(Value(), 0); }).ends_with(advice));
  CHECK(message_of<UserError>([&] { (void)gradient(Value(), {x}); }).ends_with(advice));
  CHECK(message_of<UserError>([&] { (void)gradient(sum(x), {Value()}); }) ==
        "a gradient was asked for by a value of another graph than the loss's");
  CHECK_THROWS_AS((void)solve(Value()), UserError);
  CHECK_THROWS_AS((void)relu(Value()), UserError);
  CHECK(message_of<UserError>([&] {
          Trainer(sum(x), Sgd{}, {.metrics = {{"m", Value()}}});
        }) == "the metric 'm' is an empty Value; build the value first");
  // An empty Value is no number 0, wherever it stands.
  const auto refused = [&](const char* op, size_t input, const auto& build_it) {
    const std::string message = message_of<UserError>(build_it);
    CAPTURE(message);
    CHECK(message.starts_with(std::string("[") + op + "]"));
    CHECK(message.ends_with(" input " + std::to_string(input) + " is an empty Value; build the value first"));
  };
  const Value none;
  refused("add", 0, [&] { (void)(none + x); });
  refused("add", 1, [&] { (void)(x + none); });
  refused("subtract", 1, [&] { (void)(1 - none); });
  refused("multiply", 1, [&] { (void)(2.0 * none); });
  refused("negate", 0, [&] { (void)-none; });
  refused("select", 0, [&] { (void)where(none, x, x); });
  refused("select", 1, [&] { (void)where(greater(x, 0), none, x); });
  refused("select", 2, [&] { (void)where(greater(x, 0), x, none); });
  refused("concat", 1, [&] { (void)concat({x, none}, 0); });
  refused("stack", 0, [&] { (void)stack({none, x}, 0); });
  refused("stack", 1, [&] { (void)stack({x, none}, 0); });
  refused("matmul", 1, [&] { (void)matmul(x, none); });
  refused("add", 1, [&] { (void)build("add", {x, none}); });
  CHECK(message_of<UserError>([&] { (void)none.graph(); }).ends_with(advice));
  CHECK_THROWS_AS(Trainer(sum(x), Sgd{}, {.scheduled = {{Value(), schedule::constant()}}}), UserError);
}

TEST_CASE("a graph that the passes have run over may be run again") {
  Graph g;
  const Value x = g.input("x", {dim::batch, 16});
  Value h = x, penalty = g.constant(0.0);
  for (int i = 0; i < 3; ++i) {
    const Value w = g.parameter("W" + std::to_string(i), {16, 16}),
                b = g.parameter("b" + std::to_string(i), {16});
    h = tanh(matmul(h, w) + b);
    penalty = penalty + 1e-3 * sum(square(w)) + 1e-4 * sum(abs(w));
  }
  for (const Optimizer& optimizer : {Optimizer(Sgd{}), Optimizer(Adam{}), Optimizer(Nesterov{})}) {
    Trainer trainer(mean(square(h)) + penalty, optimizer, {.threads = 1});
    Program once(trainer.graph()), twice(once.graph());
    const Feeds feeds{{"x", Tensor::filled(f32, {4, 16}, 0.3)},
                      {"trainer/learning_rate", Tensor::scalar(0.01, f64)}};
    Store first = trainer.store(), second = first;
    const auto executor = make_serial_executor();
    const auto a = once.run(feeds, first, *executor), b = twice.run(feeds, second, *executor);
    for (size_t i = 0; i < a.size(); ++i) CHECK(same_bits(a[i], b[i]));
    CHECK(first.hash() == second.hash());
  }
}

TEST_CASE("a pass can be left out by its name") {
  Graph g;
  const Value x = g.input("x", {4});
  g.output("y", exp(x) * 2 + 1);
  const auto has_fused = [](const Graph& graph) {
    for (int32_t id = 0; id < graph.size(); ++id)
      if (graph.node(id).op->name == "fused") return true;
    return false;
  };
  CHECK(has_fused(*optimize(g)));
  CHECK_FALSE(has_fused(*optimize(g, {.last = {}, .without = {"fuse_elementwise"}})));
  for (const Pass& pass : passes()) {
    const auto result =
        Program(g, {.last = {}, .without = {pass.name}})
            .run({{"x", Tensor(f32, {4})}}, *std::make_unique<Store>(), *make_serial_executor());
    CHECK(result[0].at(0) == 3);
  }
  CHECK(message_of<UserError>([&] { optimize(g, {.last = {}, .without = {"simplfy"}}); }) ==
        "there is no pass 'simplfy'. Did you mean 'simplify'?");
  setenv("LARIAT_WITHOUT_PASSES", "sweep,fuse_elementwise", 1);
  CHECK_FALSE(has_fused(*optimize(g)));
  setenv("LARIAT_WITHOUT_PASSES", "fuse_elementwize", 1);
  CHECK(message_of<UserError>([&] { optimize(g); }) ==
        "LARIAT_WITHOUT_PASSES: there is no pass 'fuse_elementwize'. Did you mean 'fuse_elementwise'?");
  unsetenv("LARIAT_WITHOUT_PASSES");
  Graph h;
  const Value w = h.parameter("W", {4}, init::constant(1));
  Trainer trainer(sum(square(w)), Sgd{}, {.threads = 1, .without_passes = {"fuse_elementwise"}});
  CHECK_FALSE(has_fused(trainer.graph()));
  CHECK(message_of<UserError>([&] {
          Trainer(sum(square(w)), Sgd{}, {.without_passes = {"fuse"}});
        }).starts_with("there is no pass 'fuse'. "));
}

}  // namespace lariat::api_test
