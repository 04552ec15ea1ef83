// Random graphs of all dtypes over empty tensors and extreme numbers: with and without the passes, and on
// several threads, they give the same bits. Only sums may be added in another order: those that end a fused
// loop, and products of transposed matrices. So half of the graphs add up numbers whose sums are exact in any
// order, and go through all passes; the others add up anything, and go through all passes but
// fuse_elementwise. A graph that gives other bits is made as small as it can be, and printed.
#include <fmt/format.h>

#include <array>
#include <cstring>
#include <functional>
#include <limits>
#include <optional>
#include <random>

#include "autodiff/gradient.hpp"
#include "graph/base/error.hpp"
#include "graph/ir/print.hpp"
#include "graph/ir/registry.hpp"
#include "graph/passes/rewrite.hpp"
#include "graph/program/program.hpp"
#include "ops/ops.hpp"
#include "tests/autodiff/prox_cases.hpp"
#include "tests/support/as_built.hpp"

namespace lariat::graph_fuzz_test {

using namespace lariat::testing;

namespace {

// One node to be added: a maker, and which values it takes. What does not fit adds nothing, so that a case
// stays a case without some of its moves.
struct Move {
  uint32_t maker = 0, a = 0, b = 0, c = 0, detail = 0;
};

struct Case {
  uint64_t seed = 0;
  std::vector<Move> moves;
};

using Maker = std::function<Value(Graph&, Value, Value, Value, uint32_t detail)>;

std::vector<int64_t> axes_from(Value x, uint32_t bits) {
  std::vector<int64_t> axes;
  for (int i = 0; i < x.rank(); ++i)
    if (bits >> i & 1) axes.push_back(i);
  return axes;
}

double number_from(uint32_t detail) {
  constexpr double infinity = std::numeric_limits<double>::infinity();
  constexpr std::array numbers{
      0.0,  -0.0,  1.0,  -1.0,  0.5,   2.0,      -3.0,      1e-3,
      1e30, 1e-30, 1e38, -1e38, 1e-45, infinity, -infinity, std::numeric_limits<double>::quiet_NaN()};
  return numbers[detail % numbers.size()];
}

Value constant_like(Graph& graph, Value x, uint32_t detail) {
  const double number = number_from(detail);
  if (x.dtype() != i32) return graph.constant(number, x.dtype());
  return graph.constant(std::isfinite(number) && std::abs(number) < 100 ? std::trunc(number) : 7, i32);
}

// -1, 0 or 1 times one number, or x where that is not finite: every sum of such is exact, or none in any
// order.
Value tame(Value x, uint32_t detail) {
  if (x.dtype() == i32) return x;
  const double large = x.dtype() == f32 ? 0x1p63 : 0x1p511;  // four of its squares overflow
  const double scale = std::array{1.0, large, 0x1p100, 0x1p-120}[detail % 4];
  return where(equal(x - x, 0), sign(x), x) * scale;
}

// With `exact`, sums and products are of tame numbers; without, there are no products.
std::vector<Maker> all_makers(bool exact) {
  const auto raw = [exact](Value x, uint32_t detail) { return exact ? tame(x, detail >> 12) : x; };
  std::vector<Maker> list;
  // Every element-wise op, the common ones more often.
  for (const OpDef* op : registry().all()) {
    if (!op->traits.elementwise || op->name == "fused" || op->plugin || op->variadic) continue;
    list.push_back([op](Graph& graph, Value a, Value b, Value c, uint32_t) {
      const std::vector<Value> given{a, b, c};
      Attributes attributes;
      for (const AttributeSpec& spec : op->attributes)
        if (!spec.otherwise)
          attributes.set(spec.name, Attribute(spec.kind == AttributeKind::real ? 1.5 : 0.0));
      return graph.add(*op, std::span(given).first(std::min<size_t>(3, op->inputs.size())), attributes);
    });
  }
  const auto add = [&](int times, const Maker& maker) {
    for (int i = 0; i < times; ++i) list.push_back(maker);
  };
  add(4, [](Graph&, Value a, Value b, Value, uint32_t) { return a + b; });
  add(3, [](Graph&, Value a, Value b, Value, uint32_t) { return a - b; });
  add(4, [](Graph&, Value a, Value b, Value, uint32_t) { return a * b; });
  add(2, [](Graph&, Value a, Value b, Value, uint32_t) { return a / b; });
  add(3, [](Graph&, Value a, Value, Value, uint32_t) { return -a; });
  add(3, [](Graph& g, Value a, Value, Value, uint32_t d) { return a * constant_like(g, a, d); });
  add(2, [](Graph& g, Value a, Value, Value, uint32_t d) { return a - constant_like(g, a, d); });
  add(2, [](Graph& g, Value a, Value, Value, uint32_t d) { return a / constant_like(g, a, d); });
  add(2, [](Graph& g, Value a, Value, Value, uint32_t d) { return constant_like(g, a, d) + a; });
  add(4, [raw](Graph&, Value a, Value, Value, uint32_t d) {
    return sum(raw(a, d), axes_from(a, d), d >> 8 & 1);
  });
  add(2, [raw](Graph&, Value a, Value, Value, uint32_t d) { return sum(abs(raw(a, d))); });
  add(2, [raw](Graph&, Value a, Value, Value, uint32_t d) { return sum(square(raw(a, d))); });
  add(2, [raw](Graph&, Value a, Value b, Value, uint32_t d) {
    // Of both signs: infinite in some orders alone, were there large ones among them.
    if (b.rank() > 0) d &= ~4096u;
    return sum((b.rank() == 0 ? raw(b, d + 4096) : sign(b)) * (d & 1 ? abs(raw(a, d)) : square(raw(a, d))));
  });
  add(1, [raw](Graph&, Value a, Value, Value, uint32_t d) { return mean(raw(a, d), axes_from(a, d)); });
  add(1, [](Graph&, Value a, Value, Value, uint32_t d) { return reduce_max(a, axes_from(a, d)); });
  add(1, [raw](Graph&, Value a, Value, Value, uint32_t d) { return norm2(raw(a, d), axes_from(a, d)); });
  add(1, [](Graph&, Value a, Value, Value, uint32_t d) { return norm_inf(a, axes_from(a, d)); });
  add(1, [raw](Graph&, Value a, Value, Value, uint32_t d) { return abs_penalty(raw(a, d)); });
  add(1, [raw](Graph&, Value a, Value, Value, uint32_t d) { return square_penalty(raw(a, d)); });
  add(1, [](Graph&, Value a, Value, Value, uint32_t) { return softmax(a); });
  add(1, [](Graph&, Value a, Value, Value, uint32_t) { return logsumexp(a); });
  add(1, [](Graph&, Value a, Value, Value, uint32_t) { return argmax(a); });
  add(3, [](Graph&, Value a, Value, Value, uint32_t d) { return cast(a, std::array{f32, f64, i32}[d % 3]); });
  add(2, [](Graph&, Value a, Value b, Value, uint32_t) { return broadcast_to(a, b.shape()); });
  add(2, [raw](Graph&, Value a, Value b, Value, uint32_t d) { return sum_to(raw(a, d), b.shape()); });
  add(2, [](Graph&, Value a, Value b, Value, uint32_t) { return reshape(a, b.shape()); });
  add(1, [](Graph&, Value a, Value, Value, uint32_t) { return reshape(a, {-1}); });
  add(3, [](Graph&, Value a, Value, Value, uint32_t) { return transpose(a); });
  if (exact) {
    // One side is of -1, 0 and 1: a product that overflows is infinite in a fused multiply-add or before it.
    add(2, [](Graph&, Value a, Value b, Value, uint32_t d) { return matmul(tame(a, d), tame(b, 0)); });
    add(1, [](Graph&, Value a, Value b, Value, uint32_t d) {
      return matmul(transpose(tame(a, 0)), tame(b, d));
    });
    add(1, [](Graph&, Value a, Value b, Value, uint32_t d) {
      return matmul(tame(a, d), transpose(tame(b, 0)));
    });
    add(1, [](Graph&, Value a, Value b, Value c, uint32_t) {
      return matmul(tame(a, 0), tame(b, 0)) + tame(c, 0);
    });
  } else {
    add(2, [](Graph& g, Value a, Value b, Value, uint32_t) {
      return gradient(sum(a), std::vector<Value>{b.rank() > 0 ? b : g.value({0, 0})})[0];
    });
  }
  add(1, [](Graph&, Value a, Value b, Value, uint32_t d) { return concat({a, b}, d % 2); });
  add(1, [](Graph&, Value a, Value, Value, uint32_t d) { return slice(a, d % 2, 0, 1 + d / 2 % 3); });
  add(1, [](Graph&, Value a, Value, Value, uint32_t) { return stop_gradient(a); });
  return list;
}

const std::vector<Maker>& makers(bool exact) {
  static const std::vector<Maker> of_exact = all_makers(true), of_any = all_makers(false);
  return exact ? of_exact : of_any;
}

bool is_exact(const Case& given) { return given.seed % 2 == 0; }

// The inputs: all dtypes, of shapes that broadcast together and are now and then without elements.
void add_inputs(Graph& graph, uint64_t seed, std::vector<Value>& values, Feeds& feeds, Bindings& bindings) {
  Draw draw(seed);
  const int64_t batch = std::array{0, 1, 2, 7}[draw.below(4)],
                width = std::array{0, 1, 3, 3, 5, 17}[draw.below(6)];
  bindings = {{"batch", batch}};
  const std::vector<Shape> shapes{{dim::batch, width}, {width}, {dim::batch, 1}, {}, {width, width}};
  const int64_t extreme = draw.below(4);  // of four inputs, how many hold extremes
  for (int i = 0; i < 5; ++i) {
    const DType dtype = std::array{f32, f32, f64, i32}[draw.below(4)];
    const Shape shape = shapes[i < 4 ? static_cast<size_t>(i) : static_cast<size_t>(draw.below(5))];
    const std::string name = fmt::format("x{}", i);
    values.push_back(graph.input(name, shape, dtype));
    Tensor tensor(dtype, evaluate(shape, bindings));
    with_type(dtype, [&](auto zero) {
      using T = decltype(zero);
      for (T& value : tensor.values<T>()) {
        double drawn = draw.one_in(3) ? std::trunc(draw.uniform(-4, 4)) : draw.uniform(-2, 2);
        if (i < extreme && draw.one_in(3)) drawn = number_from(static_cast<uint32_t>(draw.below(1 << 20)));
        value = converted<T>(drawn);
        if (dtype == i32 && i < extreme && draw.one_in(5))
          value = converted<T>(draw.one_in(2) ? -1e30 : 1e30);
      }
    });
    feeds.emplace(name, std::move(tensor));
  }
}

constexpr size_t most_values = 60;

void build_graph(const Case& given, Graph& graph, Feeds& feeds, Bindings& bindings) {
  std::vector<Value> inputs;
  add_inputs(graph, given.seed, inputs, feeds, bindings);
  // A value is named by its move, whether that is still there or not.
  std::vector<Value> made(most_values);
  const auto pick = [&](uint32_t index) {
    const Value value = made[index % most_values];
    return value ? value : inputs[index % inputs.size()];
  };
  const std::vector<Maker>& kinds = makers(is_exact(given));
  for (const Move& move : given.moves) {
    Value& target = made[move.detail % most_values];
    try {
      const Value value = kinds[move.maker % kinds.size()](graph, pick(move.a), pick(move.b), pick(move.c),
                                                           move.detail / most_values);
      target = value;
    } catch (const UserError&) {
    }
  }
  int outputs = 0;
  std::vector<bool> read(graph.size());
  for (int32_t id = 0; id < graph.size(); ++id)
    for (const Edge& edge : graph.node(id).inputs) read[edge.node] = true;
  for (int32_t id = 0; id < graph.size(); ++id)
    if (!read[id] || id % 3 == 0) graph.output(fmt::format("y{}", outputs++), graph.value({id, 0}));
}

// What kernels take a number for: one that is kept as it is and one that was multiplied by 1 are the same.
template <class T>
T without_subnormals(T x) {
  if constexpr (std::is_floating_point_v<T>)
    if (std::fpclassify(x) == FP_SUBNORMAL) return std::copysign(T(0), x);
  return x;
}

bool same_values(const Tensor& a, const Tensor& b) {
  if (a.type() != b.type()) return false;
  return with_type(a.dtype(), [&](auto zero) {
    using T = decltype(zero);
    for (int64_t i = 0; i < a.count(); ++i) {
      const T x = without_subnormals(a.data<T>()[i]), y = without_subnormals(b.data<T>()[i]);
      if (x != x && y != y) continue;
      if (std::memcmp(&x, &y, sizeof(T)) != 0) return false;
    }
    return true;
  });
}

std::string refusal(const std::function<void()>& action) {
  try {
    action();
    return "";
  } catch (const UserError& error) {
    return error.what();
  } catch (const JobError& error) {
    return error.what();
  }
}

// How cases are run, and what stands for the graph with its passes.
struct Setting {
  std::unique_ptr<Executor> serial = make_serial_executor(), parallel = make_tbb_executor(3);
  void (*before_passes)(const Graph& from, Graph& to) = copy_graph;
};

// What is wrong with a case, or "". Only a UserError or JobError at the run of a graph may be thrown.
std::string fault_of(const Case& given, const Setting& setting) {
  try {
    Graph graph;
    Feeds feeds;
    Bindings bindings;
    build_graph(given, graph, feeds, bindings);
    std::vector<Tensor> built, run;
    const std::string refused = refusal([&] { built = run_as_built(graph, feeds, bindings); });
    Store store;
    Graph changed;
    setting.before_passes(graph, changed);
    PassOptions passes;
    if (!is_exact(given)) passes.without = {"fuse_elementwise"};
    Program program(changed, passes), fused(changed);
    for (Executor* executor : {setting.serial.get(), setting.parallel.get()}) {
      const std::string also = refusal([&] { run = program.run(feeds, store, *executor); });
      if (refused.empty() != also.empty())
        return fmt::format("as built: {}; with the passes: {}", refused.empty() ? "runs" : refused,
                           also.empty() ? "runs" : also);
      if (!refused.empty()) continue;
      const std::vector<Tensor> serial = fused.run(feeds, store, *setting.serial);
      const std::vector<Tensor> parallel = fused.run(feeds, store, *setting.parallel);
      for (size_t i = 0; i < serial.size(); ++i)
        if (!same_values(serial[i], parallel[i]))
          return fmt::format("{}: on one thread {}, on three {}", graph.outputs()[i].name, text(serial[i]),
                             text(parallel[i]));
      for (size_t i = 0; i < run.size(); ++i)
        if (!same_values(built[i], run[i]))
          return fmt::format("{}: as built {}, with the passes {}{}", graph.outputs()[i].name, text(built[i]),
                             text(run[i]), executor == setting.serial.get() ? "" : ", on three threads");
    }
    return "";
  } catch (const std::exception& error) {
    return fmt::format("throws: {}", error.what());
  }
}

Case random_case(uint64_t seed) {
  std::mt19937_64 engine(seed * 0x9e3779b97f4a7c15ull + 1);
  Case result{seed, {}};
  const size_t count = 1 + engine() % 14;
  for (size_t i = 0; i < count; ++i) {
    Move move;
    move.maker = static_cast<uint32_t>(engine());
    move.a = static_cast<uint32_t>(engine());
    move.b = static_cast<uint32_t>(engine());
    move.c = static_cast<uint32_t>(engine());
    // The value's name in the low part: the next one, so that later moves may take it.
    move.detail = static_cast<uint32_t>(engine() % 65536 * most_values + i);
    if (i > 0)
      for (uint32_t* index : {&move.a, &move.b, &move.c})
        if (engine() % 3 != 0) *index = static_cast<uint32_t>(engine() % i);
    result.moves.push_back(move);
  }
  return result;
}

// Leaves moves out for as long as the case still fails.
Case smallest(Case given, const Setting& setting) {
  for (bool again = true; again;) {
    again = false;
    for (size_t i = given.moves.size(); i-- > 0;) {
      Case fewer = given;
      fewer.moves.erase(fewer.moves.begin() + static_cast<std::ptrdiff_t>(i));
      if (fault_of(fewer, setting).empty()) continue;
      given = fewer;
      again = true;
    }
  }
  return given;
}

std::string description(const Case& given, const std::string& fault) {
  Graph graph;
  Feeds feeds;
  Bindings bindings;
  build_graph(given, graph, feeds, bindings);
  std::string result = fmt::format("seed {}: {}\n{}", given.seed, fault, to_text(graph));
  for (const auto& [name, tensor] : feeds) result += fmt::format("{} = {}\n", name, text(tensor));
  return result;
}

}  // namespace

TEST_CASE("random graphs of all dtypes and extremes give the same bits with the passes and without") {
  const Setting setting;
  const auto [first, count] = seed_range(2'000, 1'000'000);
  int64_t failed = 0;
  for (int64_t i = 0; i < count && failed < 3; ++i) {
    const Case given = random_case(first + static_cast<uint64_t>(i));
    if (fault_of(given, setting).empty()) continue;
    ++failed;
    const Case small = smallest(given, setting);
    const std::string fault = fault_of(small, setting);
    FAIL_CHECK(description(small, fault));
  }
  CHECK(failed == 0);
}

TEST_CASE("the fuzzer of passes sees a rule that changes values, and makes its case small") {
  Setting setting;
  setting.before_passes = [](const Graph& from, Graph& to) {
    const Pattern x = Pattern::variable(0);
    rewrite(from, to, {{"x - x → x · 0, which -1 turns into -0", x - x, x * 0}}).copy_outputs();
  };
  // The smallest of some: which seed meets the rule first depends on the order in which a compiler builds
  // operands.
  std::optional<Case> least;
  int found = 0;
  for (uint64_t seed = 0; seed < 20000 && found < 3; ++seed) {
    if (fault_of(random_case(seed), setting).empty()) continue;
    ++found;
    const Case small = smallest(random_case(seed), setting);
    if (!least || small.moves.size() < least->moves.size()) least = small;
  }
  REQUIRE(found == 3);
  const Case& small = *least;
  const std::string said = description(small, fault_of(small, setting));
  CAPTURE(said);
  CHECK(small.moves.size() <= 3);
  CHECK(said.find("subtract") != std::string::npos);
  CHECK(said.starts_with(fmt::format("seed {}: ", small.seed)));
}

}  // namespace lariat::graph_fuzz_test
