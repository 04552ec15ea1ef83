// Chains that one block kernel computes have the bits of their nodes one by one, whatever the numbers.
#include <cstring>
#include <limits>

#include "graph/base/random.hpp"
#include "graph/program/program.hpp"
#include "ops/elementwise/joined.hpp"
#include "ops/ops.hpp"
#include "tests/support/testing.hpp"

namespace lariat::joined_test {

namespace {

struct Chain {
  const char* name;
  // How many nodes are joined with its last one, and that one.
  size_t before;
  Value (*build)(Value a, Value b, Value c, Value d);
};

const std::vector<Chain>& chains() {
  using V = Value;
  static const std::vector<Chain> all{
      {"plus a product", 1, [](V a, V b, V c, V d) { return multiply_add(a, b, c * d); }},
      {"plus a square", 2, [](V a, V b, V c, V d) { return multiply_add(a, b, c * square(d)); }},
      {"times a product", 1, [](V a, V b, V c, V d) { return multiply_add(a, b * c, d); }},
      {"over a root", 3, [](V a, V b, V c, V d) { return a / (sqrt(b * c) + d); }},
      // What others read too is not taken.
      {"a product read twice", 0,
       [](V a, V, V c, V d) {
         const V product = c * d;
         return multiply_add(a, product, product);
       }},
      {"a square as the first factor", 1,
       [](V a, V b, V c, V d) { return multiply_add(a, b, square(c) * d); }}};
  return all;
}

// Numbers of all sizes, and those that are none.
Tensor operand(DType dtype, const Extents& extents, uint64_t seed) {
  constexpr double special[] = {0.0,
                                -0.0,
                                1e38,
                                -1e38,
                                1e-40,
                                std::numeric_limits<double>::infinity(),
                                1e-200,
                                -1e-30,
                                3e300,
                                1e19,
                                std::numeric_limits<double>::quiet_NaN()};
  Tensor tensor(dtype, extents);
  for (int64_t i = 0; i < tensor.count(); ++i) {
    const auto bits = random_bits(seed, 1, static_cast<uint64_t>(i));
    const double value = bits[1] % 4 == 0 ? special[bits[2] % std::size(special)] : 4 * to_unit(bits[0]) - 2;
    if (dtype == f32)
      tensor.data<float>()[i] = static_cast<float>(value);
    else
      tensor.data<double>()[i] = value;
  }
  return tensor;
}

// The same bits, but for those of what is no number.
bool same_numbers(const Tensor& a, const Tensor& b) {
  return with_type(a.dtype(), [&](auto zero) {
    using T = decltype(zero);
    return std::equal(a.values<T>().begin(), a.values<T>().end(), b.values<T>().begin(), b.values<T>().end(),
                      [](T x, T y) { return x != x ? y != y : std::memcmp(&x, &y, sizeof(T)) == 0; });
  });
}

}  // namespace

TEST_CASE("chains that are joined have the bits of their nodes, in every dtype, with scalars and alone") {
  const std::unique_ptr<Executor> executor = make_tbb_executor(2);
  for (const Chain& chain : chains())
    for (const DType dtype : {f32, f64})
      for (const int64_t count : {1, 7, 64, 1000, 40000})
        for (const int scalars : {0, 1, 6}) {  // bit i: operand i is one element
          CAPTURE(chain.name);
          CAPTURE(count);
          CAPTURE(scalars);
          Graph graph;
          Feeds feeds;
          std::vector<Value> in;
          for (int i = 0; i < 4; ++i) {
            const std::string name(1, static_cast<char>('a' + i));
            const Extents extents = scalars >> i & 1 ? Extents{} : Extents{count};
            feeds.emplace(name, operand(dtype, extents, static_cast<uint64_t>(i + 1)));
            in.push_back(graph.input(name, to_shape(extents), dtype));
          }
          graph.output("result", chain.build(in[0], in[1], in[2], in[3]));
          Store store;
          Program whole(graph), apart(graph, {.without = {"fuse_elementwise"}});
          CHECK(same_numbers(whole.run(feeds, store, *executor)[0], apart.run(feeds, store, *executor)[0]));
        }
}

TEST_CASE("nodes are joined where nobody else reads what is between them") {
  for (const Chain& chain : chains()) {
    CAPTURE(chain.name);
    Graph graph;
    const auto in = [&](const char* name) { return graph.input(name, {8}); };
    const Value a = in("a"), b = in("b"), c = in("c"), d = in("d");
    const Value result = chain.build(a, b, c, d);
    graph.output("result", result);
    std::vector<int> readers(static_cast<size_t>(graph.size()));
    for (int32_t id = 0; id < graph.size(); ++id)
      for (const Edge& edge : graph.node(id).inputs) ++readers[static_cast<size_t>(edge.node)];
    ++readers[static_cast<size_t>(result.node())];
    const auto joined = join(graph, result.node(), readers);
    CHECK((joined ? joined->before.size() : 0) == chain.before);
    for (const int32_t before : joined ? joined->before : std::vector<int32_t>()) {
      std::vector<int> more = readers;
      ++more[static_cast<size_t>(before)];
      const auto fewer = join(graph, result.node(), more);
      CHECK((fewer ? fewer->before.size() : 0) < chain.before);
    }
  }
}

}  // namespace lariat::joined_test
