#include "graph/ir/print.hpp"

#include <bit>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <limits>
#include <random>

#include "graph/base/error.hpp"
#include "graph/ir/builder.hpp"
#include "graph/ir/parse.hpp"
#include "graph/ir/registry.hpp"
#include "graph/ir/sources.hpp"
#include "graph/ir/verify.hpp"
#include "tests/support/testing.hpp"

namespace lariat::print_test {

using lariat::testing::message_of;

namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();

const std::string small_model =
    R"(%0 = input() {dtype=f32, shape=shape[batch, 784]} : f32[batch, 784] "x"
%1 = parameter() {dtype=f32, initializer="glorot_uniform", scale=1.0, shape=shape[784, 10]} : f32[784, 10] "W"
%2 = matmul(%0, %1) : f32[batch, 10] "fc1"
%3 = constant() {value=f32[]{0.5}} : f32[]
%4 = multiply(%2, %3) : f32[batch, 10]
%5 = relu(%4) : f32[batch, 10]
%6 = matmul(%0, %5) {transpose_a=true} : f32[784, 10]
%7 = state() {dtype=i32, shape=shape[3]} : i32[3] "random"
output logits = %5
output "the same, again" = %5
update W = %6
)";

std::string reprinted(const std::string& text, const Registry& ops = registry()) {
  Graph graph;
  parse_graph(text, graph, ops);
  verify(graph);
  return to_text(graph);
}

std::vector<TensorType> two_outputs(const InferContext& c) {
  return {{f32, c.attribute<Shape>("shape")}, {i32, {2}}};
}
void compute_nothing(const KernelContext&) {}

// The sources and one op with an attribute of every kind, apart from the process's registry.
const Registry& private_ops() {
  static const Registry& filled = []() -> const Registry& {
    static Registry ops;
    for (OpDef& def : source_ops()) ops.add(std::move(def));
    OpDef def{.name = "every/kind", .doc = "Has an attribute of every kind.", .inputs = {{"values", ""}}};
    def.variadic = true;
    def.outputs = {{"first", ""}, {"second", ""}};
    def.attributes = {{"flag", AttributeKind::boolean, "", Attribute(false)},
                      {"count", AttributeKind::integer, "", Attribute(int64_t{3})},
                      {"rate", AttributeKind::real, "", Attribute(0.5), -infinity, infinity},
                      {"label", AttributeKind::string, "", Attribute(std::string("plain"))},
                      {"axes", AttributeKind::integers, "", Attribute(std::vector<int64_t>{})},
                      {"shape", AttributeKind::shape, "", Attribute(Shape{dim::batch})},
                      {"kind", AttributeKind::dtype, "", Attribute(f32)},
                      {"table", AttributeKind::tensor, "", Attribute(Tensor::of<float>({2}, {1, 2}))},
                      {"body", AttributeKind::graph, "", Attribute(std::make_shared<const Graph>())}};
    def.infer = two_outputs;
    def.kernel = {compute_nothing, compute_nothing, compute_nothing};
    ops.add(std::move(def));
    return ops;
  }();
  return filled;
}

std::string error_of(const std::string& text) {
  return message_of<UserError>([&] {
    Graph graph;
    parse_graph(text, graph, private_ops());
  });
}

// The tensor after a trip through text.
Tensor through_text(const Tensor& tensor) {
  Graph before, after;
  before.constant(tensor);
  parse_graph(to_text(before), after);
  return after.node(0).attributes.get<Tensor>("value");
}

}  // namespace

TEST_CASE("print: a graph is built from its text, and printed as the same text") {
  CHECK(reprinted(small_model) == small_model);
}

TEST_CASE("print: a graph that was built prints its source lines as comments") {
  Graph graph;
  const Value x = graph.input("x", {dim::batch, 2});
  const Value y = build("multiply", {x, 2.0}, {}, "twice");
  const int line = __LINE__ - 1;
  graph.output("y", y);
  const auto place = [&](int at) { return "  # print_test.cpp:" + std::to_string(at) + "\n"; };
  CHECK(to_text(graph) == "%0 = input() {dtype=f32, shape=shape[batch, 2]} : f32[batch, 2] \"x\"" +
                              place(line - 1) + "%1 = constant() {value=f32[]{2}} : f32[]" + place(line) +
                              "%2 = multiply(%0, %1) : f32[batch, 2] \"twice\"" + place(line) +
                              "output y = %2\n");
  Graph parsed;
  parse_graph(to_text(graph), parsed);
  CHECK(parsed.node(2).where.line() == 0);
  CHECK(to_text(parsed) == reprinted(to_text(graph)));
  CHECK(to_text(parsed).find('#') == std::string::npos);
}

TEST_CASE("print: every kind of attribute, both outputs, nested graphs") {
  const std::string text =
      R"(%0 = input() {dtype=f32, shape=shape[batch]} : f32[batch] "a \"quoted\" \\ name\x01\n"
%1 = every/kind(%0) : f32[batch], i32[2]
%2 = every/kind(%1, %1.1, %0) {axes=[1, -2], body=graph {
  %0 = input() {dtype=f64, shape=shape[]} : f64[] "0"
  %1 = every/kind(%0) {body=graph {
    %0 = constant() {value=i32[2]{-1, 2147483647}} : i32[2]
    output y = %0
  }} : f32[batch], i32[2]
  output y = %1.1
}, count=-9223372036854775808, flag=true, kind=i32, label="#} \"", rate=1.0, shape=shape[2*batch - 1, 0], table=f64[1, 2]{0.1, -inf}} : f32[2*batch - 1, 0], i32[2]
output "" = %2.1
)";
  CHECK(reprinted(text, private_ops()) == text);
  Graph graph;
  parse_graph(text, graph, private_ops());
  CHECK(graph.node(0).name == "a \"quoted\" \\ name\x01\n");
  const Attributes& attributes = graph.node(2).attributes;
  CHECK(graph.node(2).inputs == std::vector<Edge>{{1, 0}, {1, 1}, {0, 0}});
  CHECK(attributes.get<std::vector<int64_t>>("axes") == std::vector<int64_t>{1, -2});
  CHECK(attributes.get<int64_t>("count") == INT64_MIN);
  CHECK(attributes.get<bool>("flag"));
  CHECK(attributes.get<DType>("kind") == i32);
  CHECK(attributes.get<std::string>("label") == "#} \"");
  CHECK(attributes.get<double>("rate") == 1.0);
  CHECK(attributes.get<Shape>("shape") == Shape{dim::batch * 2 - 1, 0});
  CHECK(same_bits(attributes.get<Tensor>("table"), Tensor::of<double>({1, 2}, {0.1, -infinity})));
  CHECK(attributes.get<std::shared_ptr<const Graph>>("body")->size() == 2);
  CHECK(graph.outputs()[0].value == Edge{2, 1});
}

TEST_CASE("print: single attributes") {
  CHECK(to_text(Attribute(true)) == "true");
  CHECK(to_text(Attribute(int64_t{3})) == "3");
  CHECK(to_text(Attribute(std::string("a\tb\x7f\xc3\xa9"))) == "\"a\\x09b\\x7f\xc3\xa9\"");
  CHECK(to_text(Attribute(std::vector<int64_t>{})) == "[]");
  CHECK(to_text(Attribute(Shape{dim::batch, 3})) == "shape[batch, 3]");
  CHECK(to_text(Attribute(f64)) == "f64");
  CHECK(to_text(Attribute(Tensor(i32, {0, 2}))) == "i32[0, 2]{}");
  CHECK(to_text(Attribute(Tensor::of<float>({2}, {1, 0.1f}))) == "f32[2]{1, 0.1}");
  CHECK(to_text(Attribute(std::make_shared<const Graph>())) == "graph {\n}");
  CHECK(message_of<InternalError>([] { (void)to_text(Attribute(std::shared_ptr<const Graph>())); }) ==
        "internal fault: a graph attribute holds no graph");
}

TEST_CASE("print: a real stays a real, to the last bit") {
  for (const auto& [value, text] : std::vector<std::pair<double, std::string>>{{1, "1.0"},
                                                                               {-0.0, "-0.0"},
                                                                               {0.1, "0.1"},
                                                                               {1e20, "1e+20"},
                                                                               {5e-324, "5e-324"},
                                                                               {1.5e300, "1.5e+300"},
                                                                               {123456, "123456.0"},
                                                                               {infinity, "inf"},
                                                                               {-infinity, "-inf"}}) {
    CHECK(to_text(Attribute(value)) == text);
    Graph graph;
    parse_graph("%0 = constant() {value=i32[]{0}}\n%1 = every/kind(%0) {rate=" + text + "}", graph,
                private_ops());
    CHECK(std::bit_cast<uint64_t>(graph.node(1).attributes.get<double>("rate")) ==
          std::bit_cast<uint64_t>(value));
  }
  CHECK(to_text(Attribute(std::numeric_limits<double>::quiet_NaN())) == "nan");
}

TEST_CASE("print: tensors are exact to the bit, NaN payloads included") {
  std::mt19937_64 random(7);
  const Tensor singles(f32, {5000}), doubles(f64, {5000});
  for (uint32_t& bits : std::span(reinterpret_cast<uint32_t*>(singles.data<float>()), 5000))
    bits = static_cast<uint32_t>(random());
  for (uint64_t& bits : std::span(reinterpret_cast<uint64_t*>(doubles.data<double>()), 5000)) bits = random();
  auto* single = reinterpret_cast<uint32_t*>(singles.data<float>());
  auto* wide = reinterpret_cast<uint64_t*>(doubles.data<double>());
  const std::vector<uint32_t> special{0x7fc00000, 0xffc00000, 0x7f800001, 0x7f800000, 0xff800000, 1,
                                      0x80000001, 0x80000000, 0x7f7fffff, 0x00800000, 0x007fffff};
  for (size_t i = 0; i < special.size(); ++i) {
    single[i] = special[i];
    wide[i] = uint64_t{special[i]} << 32 | (special[i] & 1);
  }
  CHECK(same_bits(through_text(singles), singles));
  CHECK(same_bits(through_text(doubles), doubles));
  const Tensor nans(f32, {3});
  auto* bits = reinterpret_cast<uint32_t*>(nans.data<float>());
  bits[0] = 0x7fc00000, bits[1] = 0xffc00000, bits[2] = 0x7f800001;
  CHECK(to_text(Attribute(nans)) == "f32[3]{nan, nan(0xffc00000), nan(0x7f800001)}");
}

TEST_CASE("parse: layout, labels and comments are free where meaning allows") {
  CHECK(reprinted("\n  # a comment\r\n%17=input( ) { shape=shape[ batch,2 ],\n dtype = f64 }:f64[batch, "
                  "2]\"x\"# y\n\n"
                  "%4 = add( %17 ,%17.0 )\noutput sum=%4") ==
        "%0 = input() {dtype=f64, shape=shape[batch, 2]} : f64[batch, 2] \"x\"\n"
        "%1 = add(%0, %0) : f64[batch, 2]\n"
        "output sum = %1\n");
  CHECK(reprinted("") == "");
}

TEST_CASE("parse: into a graph that has nodes already") {
  Graph graph;
  graph.input("x", {2});
  parse_graph("%0 = input() {shape=shape[3], dtype=f32} \"y\"\noutput y = %0", graph);
  verify(graph);
  CHECK(graph.find_output("y").node() == 1);
}

TEST_CASE("parse: errors say the line, what was expected and what was found") {
  const std::string input = "%0 = input() {dtype=f32, shape=shape[2]} : f32[2] \"x\"\n";
  const std::vector<std::pair<std::string, std::string>> table{
      {"hello", "line 1: expected a node, an output or an update, found 'hello'"},
      {"\n\n}", "line 3: expected a node, an output or an update, found '}'"},
      {"%", "line 1: expected the digits of a label such as %3, found the end of the text"},
      {"%x = input()", "line 1: expected the digits of a label such as %3, found 'x'"},
      {"%99999999999999999999 = input()",
       "line 1: expected the digits of a label such as %3, found '99999999999999999999'"},
      {"%0 input()", "line 1: expected '=' after a label, found 'input'"},
      {"%0 = ()", "line 1: expected the name of an op, found '('"},
      {"%0 = constnat()", "line 1: there is no op 'constnat'. Did you mean 'constant'?"},
      {"%0 = input {}", "line 1: expected '(' after the name of an op, found '{'"},
      {input + "%1 = every/kind(%0",
       "line 2: expected ')' or ',' after an operand, found the end of the text"},
      {input + "%1 = every/kind(x)", "line 2: expected a value such as %3, found 'x'"},
      {input + "%1 = every/kind(%1)", "line 2: %1 is not defined on an earlier line"},
      {input + "%1 = every/kind(%0.1)", "line 2: %0.1 does not exist: %0 has 1 output"},
      {input + "%1 = every/kind(%0.)", "line 2: expected the number of an output after '.', found ')'"},
      {input + "%0 = every/kind(%0)", "line 2: %0 is defined twice"},
      {input + "%1 = every/kind()", "line 2: [every/kind]: takes at least 1 input, 0 given"},
      {input + "%1 = input(%0) {dtype=f32, shape=shape[]} \"y\"",
       "line 2: [input] 'y': takes 0 inputs, 1 given"},
      {input + input, "line 2: %0 is defined twice"},
      {input + "%1 = input() {dtype=f32, shape=shape[2]} \"x\"",
       "line 2: [input] 'x': the name is taken by another input, parameter or state; choose another"},
      {"%0 = input() {dtype=f32, shape=shape[2]}", "line 1: [input]: needs a name"},
      {"%0 = input() {dtype=f32} \"x\"", "line 1: [input] 'x': the attribute 'shape' is missing: its shape"},
      {"%0 = input() {dtype=f32, shape=shape[-2]} \"x\"",
       "line 1: [input] 'x': the shape [-2] has a negative dimension"},
      {"%0 = parameter() {dtype=f32, shape=shape[batch]} \"W\"",
       "line 1: [parameter] 'W': the shape [batch] must be numbers"},
      {"%0 = constant() {vlue=f32[]{1}}",
       "line 1: [constant]: there is no attribute 'vlue'. Did you mean 'value'?"},
      {input + "%1 = every/kind(%0) {count=1.0}", "line 2: [every/kind]: 'count' must be an integer"},
      {input + "%1 = every/kind(%0) {rate=1}", "line 2: [every/kind]: 'rate' must be a number"},
      {input + "%1 = every/kind(%0) {rate=nan}",
       "line 2: [every/kind]: 'rate' is nan; it must lie in [-inf, inf]"},
      {input + "%1 = every/kind(%0) {count=1, count=2}", "line 2: the attribute 'count' is given twice"},
      {input + "%1 = every/kind(%0) {=1}", "line 2: expected the name of an attribute, found '='"},
      {input + "%1 = every/kind(%0) {count}",
       "line 2: expected '=' after the attribute's name 'count', found '}'"},
      {input + "%1 = every/kind(%0) {count=}", "line 2: expected the value of an attribute, found '}'"},
      {input + "%1 = every/kind(%0) {count=yes}", "line 2: expected the value of an attribute, found 'yes'"},
      {input + "%1 = every/kind(%0) {count=9223372036854775808}",
       "line 2: expected a 64-bit integer, found '9223372036854775808'"},
      {input + "%1 = every/kind(%0) {rate=1e999}", "line 2: expected a number, found '1e999'"},
      {input + "%1 = every/kind(%0) {rate=1.2.3}", "line 2: expected a number, found '1.2.3'"},
      {input + "%1 = every/kind(%0) {count=1\n",
       "line 3: expected '}' or ',' after an attribute, found the end of the text"},
      {input + "%1 = every/kind(%0) {axes=[1.5]}", "line 2: expected a 64-bit integer, found '1.5'"},
      {input + "%1 = every/kind(%0) {axes=[1 2]}", "line 2: expected ']' or ',' after a number, found '2'"},
      {input + "%1 = every/kind(%0) {label=\"a}\n",
       "line 2: a string is not closed: expected '\"' on the same line"},
      {input + "%1 = every/kind(%0) {label=\"\\q\"}",
       "line 2: expected \\\", \\\\, \\n or \\xNN in a string, found 'q'"},
      {input + "%1 = every/kind(%0) {label=\"\\x1\"}",
       "line 2: expected two hexadecimal digits after \\x, found '1'"},
      {input + "%1 = every/kind(%0) {shape=shape}",
       "line 2: expected '[' before the dimensions of a shape, found '}'"},
      {input + "%1 = every/kind(%0) {shape=shape[2}\n",
       "line 2: a shape is not closed: expected ']' on the same line"},
      {input + "%1 = every/kind(%0) {shape=shape[2*]}",
       "line 2: '2*' is not a dimension; write a number or an expression such as 2*time + 1"},
      {"%0 = constant() {value=f32[batch]{1}}", "line 1: the shape [batch] of a tensor must be numbers"},
      {"%0 = constant() {value=f32[2]}", "line 1: expected '{' before a list of numbers, found '}'"},
      {"%0 = constant() {value=f32[1000000000000]{1}}",
       "line 1: a tensor of shape [1000000000000] takes 1000000000000 values, 1 given"},
      {"%0 = constant() {value=i32[1]{1.5}}", "line 1: expected a number of type i32, found '1.5'"},
      {"%0 = constant() {value=i32[1]{2147483648}}",
       "line 1: expected a number of type i32, found '2147483648'"},
      {"%0 = constant() {value=f32[1]{nan(0x1)}}", "line 1: expected a number of type f32, found 'nan'"},
      {"%0 = constant() {value=f32[1]{nan(1", "line 1: expected a number of type f32, found 'nan'"},
      {input + "%1 = every/kind(%0) {body=graph}", "line 2: expected '{' after 'graph', found '}'"},
      {input + "%1 = every/kind(%0) {body=graph {\n%0 = input() {dtype=f32, shape=shape[]} \"y\"\n%1 = "
               "add(%0)\n}}",
       "line 4: there is no op 'add'. `lariat ops list` names them all."},
      {input + "%1 = every/kind(%0) {body=graph {\nhello\n}}",
       "line 3: expected a node, an output or an update, found 'hello'"},
      {input + "%1 = every/kind(%0) : f16[2]", "line 2: expected a type such as f32[batch, 3], found 'f16'"},
      {input + "%1 = every/kind(%0) : f32[3], i32[2]",
       "line 2: %1 is given the type f32[3], i32[2], but every/kind makes f32[batch], i32[2] of its "
       "operands"},
      {input + "%1 = every/kind(%0) : f32[batch]",
       "line 2: %1 is given the type f32[batch], but every/kind makes f32[batch], i32[2] of its operands"},
      {input + "%1 = every/kind(%0) %2 = every/kind(%0)", "line 2: expected the end of the line, found '%'"},
      {input + "%1 = every/kind(%0) \x01", "line 2: expected the end of the line, found the byte 0x01"},
      {input + "output = %0", "line 2: expected the name of an output, found '='"},
      {input + "output x %0", "line 2: expected '=' after the name 'x', found '%'"},
      {input + "output x = 0", "line 2: expected a value such as %3, found '0'"},
      {input + "output x =\n", "line 2: expected a value such as %3, found the end of the line"},
      {input + "output x = \"y\"", "line 2: expected a value such as %3, found a string"},
      {input + "output y = %0\noutput y = %0",
       "line 3: the graph has an output 'y' already; choose another name"},
      {input + "update x = %0", "line 2: there is no parameter or state 'x' to update."},
      {"%0 = state() {dtype=f32, shape=shape[2]} \"count\"\nupdate coutn = %0",
       "line 2: there is no parameter or state 'coutn' to update. Did you mean 'count'?"},
      {input + "%1 = state() {dtype=f64, shape=shape[2]} \"s\"\nupdate s = %0",
       "line 3: 's' is f64[2], its update is f32[2]"},
      {"%0 = state() {dtype=f64, shape=shape[2]} \"s\"\nupdate s = %0\nupdate s = %0",
       "line 3: 's' is updated twice; join the two updates into one"},
  };
  for (const auto& [text, message] : table) {
    CAPTURE(text);
    CHECK(error_of(text) == "graph text " + message);
  }
}

TEST_CASE("parse: text cut short or damaged anywhere is refused or read, nothing else") {
  int refused = 0;
  const auto try_to_read = [&](const std::string& text) {
    Graph graph;
    try {
      parse_graph(text, graph);
      verify(graph);
    } catch (const UserError& error) {
      ++refused;
      CHECK(std::string(error.what()).starts_with("graph text line "));
    }
  };
  for (size_t i = 0; i < small_model.size(); ++i) {
    try_to_read(small_model.substr(0, i));
    for (const char c : {'\0', '"', '}', '{', '%', '9', '-', '\n', '[', '\xff'}) {
      std::string damaged = small_model;
      damaged[i] = c;
      try_to_read(damaged);
    }
  }
  CHECK(refused > 3000);
}

TEST_CASE("parse: graphs nest up to a limit") {
  const auto nested = [](int depth) {
    std::string text = "%0 = constant() {value=i32[]{0}}\n";
    for (int i = 0; i < depth; ++i)
      text += "%1 = every/kind(%0) {body=graph {\n%0 = constant() {value=i32[]{0}}\n";
    for (int i = 0; i < depth; ++i) text += "}}\n";
    return text;
  };
  const std::string deepest = reprinted(nested(max_graph_nesting), private_ops());
  CHECK(reprinted(deepest, private_ops()) == deepest);
  CHECK(error_of(nested(max_graph_nesting + 1)) ==
        "graph text line 130: graphs are nested more than 64 deep");
  CHECK(error_of(nested(100000)) == "graph text line 130: graphs are nested more than 64 deep");
}

TEST_CASE("print: a long chain takes no stack") {
  Graph graph;
  Value x = graph.input("x", {2}, f32, {});
  for (int i = 0; i < 100000; ++i) x = graph.add(registry().get("relu"), std::vector<Value>{x}, {}, {}, {});
  graph.output("y", x);
  const std::string text = to_text(graph);
  CHECK(reprinted(text) == text);
}

TEST_CASE("dot: sources, ops, outputs and updates") {
  Graph graph;
  parse_graph(small_model, graph);
  CHECK(to_dot(graph) ==
        R"(digraph lariat {
  node [style=filled, fontname="sans-serif"];
  edge [fontname="sans-serif", fontsize=10];
  n0 [label="input\nx", shape=ellipse, fillcolor="#cfe8ff"];
  n1 [label="parameter\nW", shape=box3d, fillcolor="#ffe3b3"];
  n2 [label="matmul\nfc1", shape=box, fillcolor="#ffffff"];
  n0 -> n2 [label="f32[batch, 784]"];
  n1 -> n2 [label="f32[784, 10]"];
  n3 [label="constant\n0.5", shape=note, fillcolor="#eeeeee"];
  n4 [label="multiply", shape=box, fillcolor="#ffffff"];
  n2 -> n4 [label="f32[batch, 10]"];
  n3 -> n4 [label="f32[]"];
  n5 [label="relu", shape=box, fillcolor="#ffffff"];
  n4 -> n5 [label="f32[batch, 10]"];
  n6 [label="matmul", shape=box, fillcolor="#ffffff"];
  n0 -> n6 [label="f32[batch, 784]"];
  n5 -> n6 [label="f32[batch, 10]"];
  n7 [label="state\nrandom", shape=cylinder, fillcolor="#e6d7f5"];
  o0 [label="logits", shape=doubleoctagon, fillcolor="#d5f5d5"];
  n5 -> o0 [label="f32[batch, 10]"];
  o1 [label="the same, again", shape=doubleoctagon, fillcolor="#d5f5d5"];
  n5 -> o1 [label="f32[batch, 10]"];
  n6 -> n1 [label="update", style=dashed, constraint=false];
}
)");
}

TEST_CASE("dot: labels are escaped, and outputs told apart") {
  Graph graph;
  parse_graph(
      "%0 = input() {dtype=f32, shape=shape[]} \"\\\"a\\\\N\\n<&>\\x01\"\n"
      "%1 = every/kind(%0)\n%2 = every/kind(%1.1) \"\\xff\xc3\xa9\"\n%3 = every/kind(%0) \"\xc3\xa9\"",
      graph, private_ops());
  const std::string dot = to_dot(graph);
  CAPTURE(dot);
  CHECK(dot.find(R"(n0 [label="input\n\"a\\N\n<&amp;>?")") != std::string::npos);
  CHECK(dot.find(R"(n1 -> n2 [label="output 1: i32[2]"])") != std::string::npos);
  CHECK(dot.find(R"(n2 [label="every/kind\n???")") != std::string::npos);
  CHECK(dot.find("n3 [label=\"every/kind\\n\xc3\xa9\"") != std::string::npos);
}

}  // namespace lariat::print_test
