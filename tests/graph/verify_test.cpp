#include "graph/ir/verify.hpp"

#include <cmath>
#include <functional>

#include "graph/base/error.hpp"
#include "graph/ir/builder.hpp"
#include "graph/ir/parse.hpp"
#include "graph/ir/print.hpp"
#include "graph/ir/registry.hpp"
#include "graph/ir/sources.hpp"
#include "tests/support/testing.hpp"

namespace lariat::verify_test {

using lariat::testing::message_of;

namespace {

std::vector<TensorType> one_scalar(const InferContext&) { return {{f32, {}}}; }
void compute_nothing(const KernelContext&) {}

const OpDef& holder_op() {
  static const OpDef def = [] {
    OpDef holder{.name = "holder", .doc = "Holds a graph and a number.", .inputs = {}};
    holder.attributes = {{"body", AttributeKind::graph, "", Attribute(std::make_shared<const Graph>())},
                         {"rate", AttributeKind::real, "", Attribute(0.5), 0, 1},
                         {"count", AttributeKind::integer, "", Attribute(int64_t{1}), 1, 9}};
    holder.infer = one_scalar;
    holder.kernel = {compute_nothing, compute_nothing, compute_nothing};
    return holder;
  }();
  return def;
}

// A model whose every part can be spoilt: the graph's own functions let no fault in.
struct Model {
  Graph graph;
  Model() {
    parse_graph(R"(%0 = input() {dtype=f32, shape=shape[batch, 4]} "x"
%1 = parameter() {dtype=f32, shape=shape[4, 3]} "W"
%2 = matmul(%0, %1) "fc1"
%3 = relu(%2)
%4 = multiply(%1, %1)
output y = %3
update W = %4)",
                graph);
    graph.add(holder_op(), {}, {}, "", std::source_location());
  }
  Node& node(int32_t id) { return const_cast<Node&>(graph.node(id)); }
  void set_shape(int32_t id, Shape shape) {
    node(id).outputs = std::vector{TensorType{graph.type({id, 0}).dtype, shape}};
  }
  void set_dtype(int32_t id, DType dtype) {
    node(id).outputs = std::vector{TensorType{dtype, graph.type({id, 0}).shape}};
  }
  Output& output(size_t index) { return const_cast<Output&>(graph.outputs()[index]); }
};

std::string fault(const std::function<void(Model&)>& spoil) {
  Model model;
  verify(model.graph);
  spoil(model);
  return message_of<InternalError>([&] { verify(model.graph); });
}

}  // namespace

TEST_CASE("verify: sound graphs pass") {
  verify(Graph());
  verify(Model().graph);
}

TEST_CASE("verify: inputs") {
  CHECK(fault([](Model& m) { m.node(2).inputs[0].node = 2; }) ==
        "internal fault: %2 [matmul] 'fc1': input 0 is %2, which does not come before it");
  CHECK(fault([](Model& m) { m.node(2).inputs[1].node = 3; }) ==
        "internal fault: %2 [matmul] 'fc1': input 1 is %3, which does not come before it");
  CHECK(fault([](Model& m) { m.node(3).inputs[0].node = -1; }) ==
        "internal fault: %3 [relu]: input 0 is %-1, which does not come before it");
  CHECK(fault([](Model& m) { m.node(3).inputs[0].output = 1; }) ==
        "internal fault: %3 [relu]: input 0 is %2.1, which has 1 outputs");
  CHECK(fault([](Model& m) { m.node(3).inputs[0].output = -1; }) ==
        "internal fault: %3 [relu]: input 0 is %2.-1, which has 1 outputs");
  CHECK(fault([](Model& m) { m.node(3).inputs.clear(); }) ==
        "internal fault: %3 [relu]: has 0 inputs, the op takes 1");
  CHECK(fault([](Model& m) { m.node(3).op = nullptr; }) == "internal fault: %3 [no op]: has no op");
}

TEST_CASE("verify: the fault's source line is named") {
  Model model;
  const Value built = build("relu", {model.graph.value({2, 0})}, {}, "late");
  const int line = __LINE__ - 1;
  model.node(built.node()).inputs.clear();
  CHECK(message_of<InternalError>([&] { verify(model.graph); }) ==
        "internal fault: %6 [relu] 'late' built at verify_test.cpp:" + std::to_string(line) +
            ": has 0 inputs, the op takes 1");
}

TEST_CASE("verify: attributes") {
  CHECK(fault([](Model& m) { m.node(2).attributes.set("colour", true); }) ==
        "internal fault: %2 [matmul] 'fc1': the record names no attribute 'colour'");
  CHECK(fault([](Model& m) { m.node(2).attributes.set("transpose_a", int64_t{1}); }) ==
        "internal fault: %2 [matmul] 'fc1': attribute 'transpose_a' is not a boolean");
  CHECK(fault([](Model& m) {
          m.node(2).attributes = {};
        }).starts_with("internal fault: %2 [matmul] 'fc1': attribute 'transpose_"));
  CHECK(fault([](Model& m) { m.node(5).attributes.set("rate", 1.5); }) ==
        "internal fault: %5 [holder]: attribute 'rate' is 1.5, outside [0, 1]");
  CHECK(fault([](Model& m) { m.node(5).attributes.set("rate", std::nan("")); }) ==
        "internal fault: %5 [holder]: attribute 'rate' is nan, outside [0, 1]");
  CHECK(fault([](Model& m) { m.node(5).attributes.set("count", int64_t{0}); }) ==
        "internal fault: %5 [holder]: attribute 'count' is 0, outside [1, 9]");
}

TEST_CASE("verify: types") {
  CHECK(fault([](Model& m) { m.set_shape(3, {5}); }) ==
        "internal fault: %3 [relu]: output 0 is f32[5], the op infers f32[batch, 3]");
  CHECK(fault([](Model& m) { m.set_dtype(3, f64); }) ==
        "internal fault: %3 [relu]: output 0 is f64[batch, 3], the op infers f32[batch, 3]");
  CHECK(fault([](Model& m) {
          m.node(3).outputs = std::vector<TensorType>(2, m.graph.type({3, 0}));
        }) == "internal fault: %3 [relu]: has 2 outputs, the op makes 1");
  CHECK(fault([](Model& m) {
          m.node(2).inputs[0].node = 1;
        }).starts_with("internal fault: %2 [matmul] 'fc1': the op refuses its inputs: "));
  // A source's type is its attributes'.
  CHECK(fault([](Model& m) { m.set_shape(0, {7}); }) ==
        "internal fault: %0 [input] 'x': output 0 is f32[7], the op infers f32[batch, 4]");
}

TEST_CASE("verify: sources") {
  CHECK(fault([](Model& m) { m.node(1).name = "x"; }) ==
        "internal fault: %1 [parameter] 'x': its name is also that of %0");
  CHECK(fault([](Model& m) { m.node(1).name = ""; }) ==
        "internal fault: %1 [parameter]: a source has no name");
  CHECK(fault([](Model& m) { m.node(1).name = "V"; }) ==
        "internal fault: %1 [parameter] 'V': the graph does not find it by its name");
  CHECK(fault([](Model& m) { std::swap(m.node(0).name, m.node(1).name); }) ==
        "internal fault: %0 [input] 'W': the graph finds %1 by its name");
  CHECK(fault([](Model& m) {
          m.graph.add(registry().get("input"), {}, {{"dtype", f32}, {"shape", Shape{}}}, "z", {});
        }) == "internal fault: %6 [input] 'z': the graph does not find it by its name");
  CHECK(fault([](Model& m) {
          m.node(1).attributes.set("shape", Shape{dim::batch});
          m.set_shape(1, {dim::batch});
        }) == "internal fault: %1 [parameter] 'W': the shape [batch] of stored data is not known");
}

TEST_CASE("verify: outputs and updates") {
  CHECK(fault([](Model& m) { m.output(0).value.node = 6; }) ==
        "internal fault: output 'y' is %6, which does not exist");
  CHECK(fault([](Model& m) { m.output(0).value.node = -1; }) ==
        "internal fault: output 'y' is %-1, which does not exist");
  CHECK(fault([](Model& m) { m.output(0).value.output = 1; }) ==
        "internal fault: output 'y' is %3.1, which has 1 outputs");
  CHECK(fault([](Model& m) {
          m.output(1).value = {3, 0};
        }) == "internal fault: update 'W' is f32[batch, 3], its target is f32[4, 3]");
  CHECK(fault([](Model& m) { m.output(1).name = "x"; }) ==
        "internal fault: update 'x' names no parameter or state");
  CHECK(fault([](Model& m) { m.output(1).name = "V"; }) ==
        "internal fault: update 'V' names no parameter or state");
  CHECK(fault([](Model& m) {
          m.graph.output("z", m.graph.value({3, 0}));
          m.output(2).name = "y";
        }) == "internal fault: output 'y' exists twice");
  CHECK(fault([](Model& m) {
          m.graph.state("s", {4, 3});
          m.graph.update("s", m.graph.value({4, 0}));
          m.output(2).name = "W";
        }) == "internal fault: update 'W' exists twice");
}

TEST_CASE("verify: graphs within attributes") {
  const auto body = std::make_shared<Graph>();
  const Value x = body->input("x", {2}, f32, {});
  body->add(registry().get("relu"), std::vector<Value>{x}, {}, {}, {});
  Model model;
  model.node(5).attributes.set("body", std::shared_ptr<const Graph>(body));
  verify(model.graph);
  const_cast<Node&>(body->node(1)).inputs[0].node = 1;
  CHECK(message_of<InternalError>([&] { verify(model.graph); }) ==
        "internal fault: %1 [relu]: input 0 is %1, which does not come before it");
  CHECK(fault([](Model& m) { m.node(5).attributes.set("body", std::shared_ptr<const Graph>()); }) ==
        "internal fault: %5 [holder]: attribute 'body' holds no graph");
  CHECK(fault([](Model& m) {
          auto inner = std::make_shared<const Graph>();
          for (int i = 0; i <= max_graph_nesting; ++i) {
            const auto outer = std::make_shared<Graph>();
            outer->add(holder_op(), {}, {{"body", inner}}, {}, {});
            inner = outer;
          }
          m.node(5).attributes.set("body", inner);
        }) == "internal fault: %0 [holder]: attribute 'body' nests graphs too deeply");
}

TEST_CASE("verify: shared bodies are visited once") {
  // 40 levels of two nodes that share one body: 2^40 visits if each were followed.
  auto inner = std::make_shared<const Graph>();
  for (int i = 0; i < 40; ++i) {
    const auto outer = std::make_shared<Graph>();
    for (int k = 0; k < 2; ++k) outer->add(holder_op(), {}, {{"body", inner}});
    inner = outer;
  }
  verify(*inner);
}

TEST_CASE("graph: a source keeps its name, other nodes take one") {
  Graph graph;
  const Value x = graph.input("x", {2}, f32, {}), w = graph.parameter("W", {2}, init::zeros(), f32, {});
  const Value s = graph.state("s", {2}, init::zeros(), f32, {});
  const std::string reason = "feeds and the store know it by its name; give the name where it is made";
  CHECK(message_of<UserError>([&] { (void)x.named("y"); }) ==
        "[input] 'x': cannot be renamed to 'y': " + reason);
  CHECK(message_of<UserError>([&] { (void)w.named("V"); }) ==
        "[parameter] 'W': cannot be renamed to 'V': " + reason);
  CHECK(message_of<UserError>([&] { (void)s.named("r"); }) ==
        "[state] 's': cannot be renamed to 'r': " + reason);
  CHECK(is_same(x.named("x"), x));
  CHECK(build("relu", {x}).named("h").name() == "h");
  CHECK(graph.constant(1).named("one").name() == "one");
  CHECK(message_of<UserError>([] { (void)Value().named("h"); }) == "an empty Value cannot be named 'h'");
  verify(graph);
}

TEST_CASE("graph: names and shapes that cannot work are refused where they are written") {
  Graph graph;
  const Value x = graph.input("x", {dim::batch, 2}, f32, {});
  CHECK(message_of<UserError>([&] {
          graph.input("y", {-1, 2}, f32, {});
        }) == "[input] 'y': the shape [-1, 2] has a negative dimension");
  CHECK(message_of<UserError>([&] {
          graph.parameter("W", {1L << 32, 1L << 32}, init::zeros(), f32, {});
        }) ==
        "[parameter] 'W': the size 4294967296 * 4294967296 exceeds what 64 bits can count; use smaller "
        "dimensions");
  CHECK(message_of<UserError>([&] { graph.constant(0.5, i32, {}); }) ==
        "[constant]: the number 0.5 does not fit i32; use a whole number from -2147483648 to 2147483647, or "
        "another dtype");
  graph.output("y", x);
  CHECK(message_of<UserError>([&] { graph.output("y", x); }) ==
        "the graph has an output 'y' already; choose another name");
  const Value s = graph.state("s", {2});
  graph.update("s", s);
  CHECK(message_of<UserError>([&] { graph.update("s", s); }) ==
        "'s' is updated twice; join the two updates into one");
  graph.output("s", s);  // an output and an update may share a name
  Graph other;
  const Value foreign = other.state("s", {2});
  CHECK(message_of<UserError>([&] { graph.update("s", foreign); }) ==
        "the update of 's' is a value of another graph; build it in its own");
  CHECK(message_of<UserError>([&] { graph.output("f", foreign); }) ==
        "the output 'f' is a value of another graph; name it in its own");
  CHECK(message_of<UserError>([&] { graph.update("s", Value()); }) == "the update of 's' is an empty Value");
  CHECK(message_of<UserError>([&] { graph.output("e", Value()); }) == "the output 'e' is an empty Value");
  CHECK(message_of<UserError>([&] { graph.update("st", s); }) ==
        "there is no parameter or state 'st' to update. Did you mean 's'?");
  graph.state("long", {3});
  CHECK(message_of<UserError>([&] { graph.update("long", s); }) ==
        "'long' is f32[3], but its update is f32[2]; an update keeps the type");
  const std::vector<Value> two{s, foreign};
  CHECK(message_of<UserError>([&] { graph.add(registry().get("add"), two, {}, {}, {}); }) ==
        "[add]: input 1 belongs to another graph; build both in one");
  CHECK(message_of<UserError>([] { (void)Value().type(); }) ==
        "the type of an empty Value was asked for; build the value first");
  CHECK(message_of<UserError>([] { (void)Value().name(); }) ==
        "the name of an empty Value was asked for; build the value first");
  CHECK(message_of<UserError>([&] { graph.update("x", x); }) ==
        "'x' is an input, which cannot be updated; make it a state");
}

TEST_CASE("graph: the random state is one, and its name is kept for it") {
  Graph graph, taken;
  CHECK(is_same(graph.random_state(), graph.random_state()));
  CHECK(message_of<UserError>([&] { taken.input("random", {3}, i32, {}); }) ==
        "[input] 'random': the name is kept for the state of random ops; choose another");
}

}  // namespace lariat::verify_test
