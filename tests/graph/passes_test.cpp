#include "graph/base/error.hpp"
#include "graph/ir/op_def.hpp"
#include "graph/ir/parse.hpp"
#include "graph/ir/print.hpp"
#include "graph/ir/verify.hpp"
#include "graph/passes/fold_constants.hpp"
#include "graph/passes/fuse_addends.hpp"
#include "graph/passes/fuse_elementwise.hpp"
#include "graph/passes/merge_common.hpp"
#include "graph/passes/pass_list.hpp"
#include "graph/passes/remove_dead.hpp"
#include "graph/passes/rewrite.hpp"
#include "graph/passes/simplify.hpp"
#include "graph/passes/to_inference.hpp"
#include "graph/program/program.hpp"
#include "ops/ops.hpp"
#include "tests/support/testing.hpp"

namespace lariat::passes_test {

namespace {

// Text before -> text after.
template <class PassFunction>
std::string after(PassFunction pass, const char* text) {
  Graph from, to;
  parse_graph(text, from);
  verify(from);
  pass(from, to);
  verify(to);
  return "\n" + to_text(to);
}

// The graph without what nothing reads, as the pass list leaves it.
template <class PassFunction>
std::string swept(PassFunction pass, const char* text) {
  return after(
      [&](const Graph& from, Graph& to) {
        Graph middle;
        pass(from, middle);
        remove_dead(middle, to);
      },
      text);
}

constexpr const char* x34 = R"(%0 = input() {dtype=f32, shape=shape[3, 4]} : f32[3, 4] "x")";

}  // namespace

TEST_CASE("remove_dead drops what no output needs and keeps updated parameters") {
  CHECK(after(remove_dead, R"(
%0 = input() {dtype=f32, shape=shape[2]} : f32[2] "x"
%1 = input() {dtype=f32, shape=shape[2]} : f32[2] "unused"
%2 = parameter() {dtype=f32, initializer="constant", scale=0.0, shape=shape[2]} : f32[2] "w"
%3 = negate(%0) : f32[2]
%4 = exp(%0) : f32[2]
update w = %3
)") == R"(
%0 = input() {dtype=f32, shape=shape[2]} : f32[2] "x"
%1 = parameter() {dtype=f32, shape=shape[2]} : f32[2] "w"
%2 = negate(%0) : f32[2]
update w = %2
)");
}

TEST_CASE("fold_constants computes what depends on constants only") {
  CHECK(swept(fold_constants, R"(
%0 = input() {dtype=f32, shape=shape[batch]} : f32[batch] "x"
%1 = constant() {value=f32[]{2}} : f32[]
%2 = constant() {value=f32[]{3}} : f32[]
%3 = multiply(%1, %2) : f32[]
%4 = add(%0, %3) : f32[batch]
output y = %4
)") == R"(
%0 = input() {dtype=f32, shape=shape[batch]} : f32[batch] "x"
%1 = constant() {value=f32[]{6}} : f32[]
%2 = add(%0, %1) : f32[batch]
output y = %2
)");
}

TEST_CASE("fold_constants takes no more memory than the constants that were there") {
  const auto nodes_left = [](const auto& build) {
    Graph graph, folded, swept;
    const Value w = graph.constant(Tensor::filled(f32, {1000}, 2));
    build(graph, w);
    fold_constants(graph, folded);
    remove_dead(folded, swept);
    int left = 0;
    for (int32_t id = 0; id < swept.size(); ++id)
      left += swept.node(id).op->traits.source == SourceKind::none;
    return left;
  };
  CHECK(nodes_left([](Graph& graph, Value w) {
          graph.output("a", exp(w));
          graph.output("b", sqrt(w));
          graph.output("c", sin(w));
          graph.output("sum", sum(cos(w)));
        }) == 4);
  // What only folded nodes read is gone afterwards.
  CHECK(nodes_left([](Graph& graph, Value w) {
          Value y = w / sqrt(sum(square(w)));
          for (int i = 0; i < 10; ++i) y = sin(y * y);
          graph.output("y", y);
        }) == 0);
  // Broadcasts are left to their readers.
  CHECK(nodes_left([](Graph& graph, Value w) { graph.output("y", broadcast_to(w, {3, 1000})); }) == 1);
}

TEST_CASE("merge_common computes equal nodes once") {
  CHECK(swept(merge_common, R"(
%0 = input() {dtype=f32, shape=shape[2]} : f32[2] "x"
%1 = exp(%0) : f32[2]
%2 = exp(%0) : f32[2]
%3 = add(%1, %2) : f32[2]
output y = %3
)") == R"(
%0 = input() {dtype=f32, shape=shape[2]} : f32[2] "x"
%1 = exp(%0) : f32[2]
%2 = add(%1, %1) : f32[2]
output y = %2
)");
}

TEST_CASE("merge_common keeps nodes with other attributes apart") {
  const char* text = R"(
%0 = input() {dtype=f32, shape=shape[2, 3]} : f32[2, 3] "x"
%1 = sum(%0) {axes=[0]} : f32[3]
%2 = sum(%0) {axes=[1]} : f32[2]
output a = %1
output b = %2
)";
  CHECK(swept(merge_common, text) == text);
}

TEST_CASE("simplify applies its rules") {
  const auto simplified = [](const std::string& lines) {
    return swept(simplify, (std::string(x34) + "\n" + lines).c_str());
  };
  const std::string unchanged = std::string("\n") + x34 + "\noutput y = %0\n";
  CHECK(simplified(
            "%1 = constant() {value=f32[]{1}} : f32[]\n%2 = multiply(%1, %0) : f32[3, 4]\noutput y = %2\n") ==
        unchanged);
  CHECK(simplified(
            "%1 = constant() {value=f32[]{1}} : f32[]\n%2 = divide(%0, %1) : f32[3, 4]\noutput y = %2\n") ==
        unchanged);
  CHECK(simplified(
            "%1 = constant() {value=f32[]{0}} : f32[]\n%2 = subtract(%0, %1) : f32[3, 4]\noutput y = %2\n") ==
        unchanged);
  CHECK(simplified("%1 = negate(%0) : f32[3, 4]\n%2 = negate(%1) : f32[3, 4]\noutput y = %2\n") == unchanged);
  CHECK(simplified("%1 = transpose(%0) {permutation=[1, 0]} : f32[4, 3]\n%2 = transpose(%1) {permutation=[1, "
                   "0]} : f32[3, 4]\noutput y = %2\n") == unchanged);
  CHECK(simplified("%1 = reshape(%0) {shape=shape[12]} : f32[12]\n%2 = reshape(%1) {shape=shape[3, 4]} : "
                   "f32[3, 4]\noutput y = %2\n") == unchanged);
}

TEST_CASE("simplify keeps a broadcasting product with ones") {
  const char* text = R"(
%0 = input() {dtype=f32, shape=shape[4]} : f32[4] "x"
%1 = constant() {value=f32[2, 1]{1, 1}} : f32[2, 1]
%2 = multiply(%0, %1) : f32[2, 4]
output y = %2
)";
  CHECK(swept(simplify, text) == text);
}

TEST_CASE("what a run refuses as it is written it refuses behind the passes, and what it takes it takes") {
  const auto runs = [](int64_t batch, const std::function<Value(Graph&, Value)>& build) {
    Graph graph;
    const Value x = graph.input("x", {dim::batch, 2});
    graph.output("y", build(graph, x));
    Store store;
    const auto executor = make_serial_executor();
    try {
      Program(graph).run({{"x", Tensor(f32, {batch, 2})}}, store, *executor);
    } catch (const Error&) {
      return false;
    }
    return true;
  };
  const auto twice = [](Graph& g, Value x) {
    return reshape(reshape(g.constant(2.0), {dim::batch, 1}), {1}) + x;
  };
  CHECK(runs(1, twice));
  CHECK_FALSE(runs(3, twice));
  const auto reshaped = [](Graph& g, Value x) {
    return reshape(broadcast_to(g.constant(2.0), {3, 2}), {dim::batch, 2}) + x;
  };
  CHECK(runs(3, reshaped));
  CHECK_FALSE(runs(1, reshaped));
  const auto sliced = [](Graph& g, Value x) {
    return sum(slice(broadcast_to(g.constant(2.0), x.shape()), 0, 0, 2)) + x;
  };
  CHECK(runs(2, sliced));
  CHECK_FALSE(runs(1, sliced));
  // Without elements there is none that is not finite.
  const auto checked = [](Graph& g, Value x) {
    return build("require_finite", {g.constant(1.0) / broadcast_to(g.constant(0.0), x.shape())}) + x;
  };
  CHECK(runs(0, checked));
  CHECK_FALSE(runs(2, checked));
  const auto constant = [](Graph& g, Value x) {
    return build("require_finite", {g.constant(1.0) / g.constant(0.0)}) + x;
  };
  CHECK_FALSE(runs(2, constant));
}

TEST_CASE("sums of magnitudes and squares keep their values, in every dtype and times anything") {
  const auto executor = make_serial_executor();
  const auto run = [&](const Value& y, const Feeds& feeds) {
    y.graph().output("y", y);
    Store none;
    return Program(y.graph()).run(feeds, none, *executor)[0].item();
  };
  for (const DType dtype : {f32, f64, i32}) {
    const Tensor x = Tensor::of<double>({4}, {1, -2, 3, -4}).cast(dtype);
    const std::pair<Value (*)(Value), double> sums[] = {
        {[](Value v) { return sum(abs(v)); }, 10},
        {[](Value v) { return sum(square(v)); }, 30},
        {[](Value v) { return sum(2 * abs(v)); }, 20},
        {[](Value v) { return sum(v * v * 3); }, 90},
        {[](Value v) { return sum(abs(v), {0}, true) * 2; }, 20}};
    for (const auto& [build, expected] : sums) {
      Graph g;
      CHECK(run(build(g.input("x", {4}, dtype)), {{"x", x}}) == expected);
    }
  }
  const double infinity = std::numeric_limits<double>::infinity(), nan = std::nan("");
  using Build = Value (*)(Value s, Value x);
  for (const Build build : {Build([](Value s, Value x) { return sum(s * abs(x)); }),
                            Build([](Value s, Value x) { return sum(abs(x) * s); }),
                            Build([](Value s, Value x) { return sum(abs(x) / (1 / s)); }),
                            Build([](Value s, Value x) { return sum(-s * -abs(x)); })}) {
    const auto at = [&](double s, const Tensor& x) {
      Graph g;
      return run(build(g.input("s", {}), g.input("x", {dim::batch, 3})),
                 {{"s", Tensor::scalar(s, f32)}, {"x", x}});
    };
    for (const double s : {1.0, infinity, nan}) CHECK(at(s, Tensor(f32, {0, 3})) == 0);
    CHECK(at(1e-3, Tensor::filled(f32, {2, 3}, 1e38)) == doctest::Approx(6e35));
    CHECK(std::isnan(at(infinity, Tensor(f32, {1, 3}))));
    CHECK(at(infinity, Tensor::filled(f32, {1, 3}, 1)) == infinity);
  }
}

TEST_CASE("simplify moves transposes into products") {
  CHECK(swept(simplify, R"(
%0 = input() {dtype=f32, shape=shape[3, 4]} : f32[3, 4] "x"
%1 = input() {dtype=f32, shape=shape[5, 3]} : f32[5, 3] "y"
%2 = transpose(%0) {permutation=[1, 0]} : f32[4, 3]
%3 = transpose(%1) {permutation=[1, 0]} : f32[3, 5]
%4 = matmul(%2, %3) : f32[4, 5]
output z = %4
)") == R"(
%0 = input() {dtype=f32, shape=shape[3, 4]} : f32[3, 4] "x"
%1 = input() {dtype=f32, shape=shape[5, 3]} : f32[5, 3] "y"
%2 = matmul(%0, %1) {transpose_a=true, transpose_b=true} : f32[4, 5]
output z = %2
)");
}

TEST_CASE("fuse_elementwise joins chains, keeps what others read, and does not close cycles") {
  const std::string fused = after(fuse_elementwise, R"(
%0 = input() {dtype=f32, shape=shape[3, 4]} : f32[3, 4] "x"
%1 = exp(%0) : f32[3, 4]
%2 = sum(%1) {axes=[1], keep_dims=true} : f32[3, 1]
%3 = divide(%1, %2) : f32[3, 4]
%4 = negate(%3) : f32[3, 4]
output y = %4
)");
  // exp cannot join the division: the sum between them needs it finished.
  CHECK(fused.find("%1 = exp(%0)") != std::string::npos);
  CHECK(fused.find("%3 = fused(%1, %2)") != std::string::npos);
}

TEST_CASE("to_inference drops dropout") {
  Graph from, to;
  const Value x = from.input("x", {dim::batch, 4});
  from.output("y", dropout(relu(x), 0.5));
  to_inference(from, to);
  Graph clean;
  remove_dead(to, clean);
  CHECK("\n" + to_text(clean).substr(0, to_text(clean).find("#")) != "");
  CHECK(to_text(clean).find("dropout") == std::string::npos);
}

TEST_CASE("by_phase is the one value in training and the other at inference, and so is an update by it") {
  const char* both = R"(
%0 = input() {dtype=f32, shape=shape[2]} : f32[2] "x"
%1 = state() {dtype=f32, initializer="constant", scale=0.0, shape=shape[2]} : f32[2] "kept"
%2 = state() {dtype=f32, initializer="constant", scale=0.0, shape=shape[2]} : f32[2] "carried"
%3 = exp(%0) : f32[2]
%4 = by_phase(%3, %1) : f32[2]
update kept = %4
update carried = %3
output y = %4
)";
  CHECK(swept(simplify, both) == R"(
%0 = input() {dtype=f32, shape=shape[2]} : f32[2] "x"
%1 = state() {dtype=f32, shape=shape[2]} : f32[2] "kept"
%2 = state() {dtype=f32, shape=shape[2]} : f32[2] "carried"
%3 = exp(%0) : f32[2]
update kept = %3
update carried = %3
output y = %3
)");
  CHECK(swept(static_cast<void (*)(const Graph&, Graph&)>(to_inference), both) == R"(
%0 = input() {dtype=f32, shape=shape[2]} : f32[2] "x"
%1 = state() {dtype=f32, shape=shape[2]} : f32[2] "kept"
%2 = state() {dtype=f32, shape=shape[2]} : f32[2] "carried"
%3 = exp(%0) : f32[2]
update carried = %3
output y = %1
)");
}

TEST_CASE("optimize stops after the named pass and knows its passes") {
  Graph graph;
  graph.output("y", exp(graph.input("x", {3})));
  CHECK(optimize(graph, {.last = "none"})->size() == 2);
  CHECK(optimize(graph, {.last = "remove_dead"})->size() == 2);
  CHECK(testing::message_of<UserError>([&] { optimize(graph, {.last = "simplfy"}); }) ==
        "there is no pass 'simplfy'. Did you mean 'simplify'?");
}

TEST_CASE("a rule that runs in circles is named") {
  const Pattern x = Pattern::variable(0), y = Pattern::variable(1);
  Graph from, to;
  const Value a = from.input("a", {2}), b = from.input("b", {2});
  from.output("y", a + b);
  const std::vector<Rule> rules{{"a + b → b + a", x + y, y + x}};
  CHECK(testing::message_of<InternalError>([&] { rewrite(from, to, rules); }) ==
        "internal fault: the rewrite rule 'a + b → b + a' runs in circles");
}

TEST_CASE("fuse_addends lets a product take along what is added to it alone") {
  const auto run = [](const char* text) { return after(fuse_addends, text); };
  CHECK(run(R"(
%0 = input() {dtype=f32, shape=shape[batch, 4]} : f32[batch, 4] "x"
%1 = parameter() {dtype=f32, initializer="constant", scale=0.0, shape=shape[4, 3]} : f32[4, 3] "w"
%2 = parameter() {dtype=f32, initializer="constant", scale=0.0, shape=shape[3]} : f32[3] "b"
%3 = matmul(%0, %1) : f32[batch, 3]
%4 = add(%3, %2) : f32[batch, 3]
output y = %4
)")
            .find("matmul_add(%0, %1, %2)") != std::string::npos);
  SUBCASE("of two products, the later one is added to the earlier") {
    const std::string text = run(R"(
%0 = input() {dtype=f32, shape=shape[2, 2]} : f32[2, 2] "x"
%1 = input() {dtype=f32, shape=shape[2, 2]} : f32[2, 2] "y"
%2 = matmul(%0, %1) : f32[2, 2]
%3 = matmul(%1, %0) : f32[2, 2]
%4 = add(%2, %3) : f32[2, 2]
output z = %4
)");
    CHECK(text.find("matmul_add(%1, %0, %2)") != std::string::npos);
  }
  for (const char* text : {// read twice
                           R"(
%0 = input() {dtype=f32, shape=shape[2, 2]} : f32[2, 2] "x"
%1 = matmul(%0, %0) : f32[2, 2]
%2 = add(%1, %0) : f32[2, 2]
%3 = multiply(%1, %2) : f32[2, 2]
output z = %3
)",
                           // added to itself
                           R"(
%0 = input() {dtype=f32, shape=shape[2, 2]} : f32[2, 2] "x"
%1 = matmul(%0, %0) : f32[2, 2]
%2 = add(%1, %1) : f32[2, 2]
output z = %2
)",
                           // a column
                           R"(
%0 = input() {dtype=f32, shape=shape[2, 2]} : f32[2, 2] "x"
%1 = input() {dtype=f32, shape=shape[2, 1]} : f32[2, 1] "c"
%2 = matmul(%0, %0) : f32[2, 2]
%3 = add(%2, %1) : f32[2, 2]
output z = %3
)",
                           // an output
                           R"(
%0 = input() {dtype=f32, shape=shape[2, 2]} : f32[2, 2] "x"
%1 = matmul(%0, %0) : f32[2, 2]
%2 = add(%1, %0) : f32[2, 2]
output y = %1
output z = %2
)"})
    CHECK(run(text).find("matmul_add") == std::string::npos);
}

}  // namespace lariat::passes_test
