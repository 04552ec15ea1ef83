#include "frontends/cli/commands/plugin_templates.hpp"

namespace lariat::cli {

namespace {

constexpr const char* op = R"(// The op NAME. docs/write_an_op.md of Lariat explains every line.
#include <lariat/lariat_op.hpp>

using namespace lariat::op;

// y = x / (1 + |x|):  dx = dy / (1 + |x|)²
static Op make_op() {
  Op op = elementwise<1>("NAME", "x / (1 + |x|).", {{"x"}}, [](auto x) { return x / (1 + std::abs(x)); });
  op.gradient = [](const Gradient& g) -> Adjoints {
    return {g.adjoint(0) / square(1 + abs(g.in(0)))};
  };
  op.kinks = "At 0 the second derivative is 0.";
  op.samples = {{"values", {{{3}, {-1, 0.5, 4}}}, {}, {-0.5, 1.0 / 3, 0.8}},
                {"matrix", {{{2, 3}, {}, -2, 2, 0.1}}}};
  return op;
}

LARIAT_PLUGIN(.name = "NAME", .version = "0.1.0", .doc = "One op.", .ops = {make_op()})
)";

constexpr const char* kernel = R"(// The op NAME, with kernels for its value and its gradient.
#include <algorithm>
#include <lariat/lariat_op.hpp>

using namespace lariat::op;

namespace {

// result = x − mean(x), by rows of n elements.
template <class T, class Call>
void centre(const Call& k, Tensor<const T> x, Tensor<T> result) {
  const int64_t n = x.extent(-1), rows = n == 0 ? 0 : x.count() / n;
  k.parallel_for(rows, std::max<int64_t>(1, 16384 / std::max<int64_t>(n, 1)), [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      double sum = 0;
      for (int64_t i = row * n; i < (row + 1) * n; ++i) sum += static_cast<double>(x[i]);
      const T mean = static_cast<T>(sum / static_cast<double>(n));
      for (int64_t i = row * n; i < (row + 1) * n; ++i) result[i] = x[i] - mean;
    }
  });
}

}  // namespace

// y = x − mean(x) along the last axis:  dx = dy − mean(dy)
static Op make_op() {
  Op op{"NAME", "x - mean(x) along the last axis.", {{"x", "f32 or f64 [.., n]"}}};
  op.infer = [](const Infer& c) {
    c.need_float(0);
    if (c.in(0).shape.empty()) c.fail("x is a scalar; it needs an axis");
    c.out(0, c.in(0));
  };
  op.linear_inputs = 1;
  op.forward = [](const auto& k) { centre(k, k.in(0), k.out(0)); };
  op.gradient_inputs = 0;
  op.backward = [](const auto& k) { centre(k, k.adjoint(0), k.gradient(0)); };
  op.samples = {{"values", {{{2, 3}, {1, 2, 6, -1, 0, 1}}}, {}, {-2, -1, 3, -1, 0, 1}},
                {"sequence", {{{2, 3, 4}, {}, -2, 2}}}};
  op.rejects = {{{{{}}}, {}, "x is a scalar; it needs an axis"},
                {{{{2}, {}, -1, 1, 0, {}, LARIAT_I32}}, {}, "takes f32 or f64; got i32. Use cast to convert it"}};
  return op;
}

LARIAT_PLUGIN(.name = "NAME", .version = "0.1.0", .doc = "One op with kernels.", .ops = {make_op()})
)";

constexpr const char* penalty =
    R"(// The penalty NAME, which the rewrite turns into its prox: it makes weights exactly zero.
#include <algorithm>
#include <lariat/lariat_op.hpp>

using namespace lariat::op;

namespace {

// max(|x| − t, 0) with the sign of x; NaN for NaN.
template <class T>
T shrunk(T x, T t) {
  return x > t ? x - t : x < -t ? x + t : x == x ? T(0) : x;
}

// argmin over w of t·(|w| + w²/2) + (w − v)²/2, t = weight·step: it is shrunk(v, t)/(1 + t).
struct NearestPoint {
  template <class T>
  void operator()(const Prox<T>& p) const {
    for (int64_t i = 0; i < p.point().count(); ++i) {
      const T t = p.weight(i) * p.step(i);
      p.result()[i] = shrunk(p.point()[i], t) / (1 + t);
    }
  }
};

// The subdifferential is weight·(sign x + x), and at 0 all from −weight to weight.
struct LeastSubgradient {
  template <class T>
  void operator()(const Residual<T>& r) const {
    for (int64_t i = 0; i < r.x().count(); ++i) {
      const T x = r.x()[i], gradient = r.gradient()[i], weight = r.weight(i);
      r.result()[i] = x == 0 ? shrunk(gradient, weight) : gradient + weight * ((x < 0 ? T(-1) : T(1)) + x);
    }
  }
};

}  // namespace

// φ(x) = |x| + x²/2:  dx = dy·(sign x + x)
static Op make_op() {
  Op op = elementwise<1>("NAME", "|x| + x²/2.", {{"x"}}, [](auto x) { return std::abs(x) + x * x / 2; });
  op.gradient = [](const Gradient& g) -> Adjoints {
    return {g.adjoint(0) * (sign(g.in(0)) + g.in(0))};
  };
  op.penalty = Penalty{.formula = "|x| + x²/2",
                       .operator_name = "shrinkage",
                       .combination = Combination::alone,
                       .prox = NearestPoint{},
                       .residual = LeastSubgradient{}};
  op.kinks = "At 0 the derivative is 0.";
  op.samples = {{"values", {{{3}, {-1, 0.5, 4}}}, {}, {1.5, 0.625, 12}},
                {"matrix", {{{2, 3}, {}, -2, 2, 0.1}}}};
  return op;
}

LARIAT_PLUGIN(.name = "NAME", .version = "0.1.0", .doc = "One penalty.", .ops = {make_op()})
)";

constexpr const char* c = R"(/* The op NAME in C99: lariat_op.h is all that it needs. */
#include <lariat/lariat_op.h>
#include <math.h>
#include <stddef.h>

static const lariat_host *host;

/* y = x / (1 + |x|), for each dtype. An input's stride is 1, or 0 where one element stands for all. */
#define ELEMENTWISE(function, type, size_of)                                                                    \
  static lariat_status function(void *user, const void *const *inputs, const int64_t *strides, void *output, \
                                int64_t count, const lariat_attributes *attributes) {                        \
    const type *x = (const type *)inputs[0];                                                                  \
    type *y = (type *)output;                                                                                 \
    (void)user;                                                                                               \
    (void)attributes;                                                                                         \
    for (int64_t i = 0; i < count; ++i) {                                                                     \
      const type value = x[i * strides[0]];                                                                   \
      y[i] = value / (1 + size_of(value));                                                                    \
    }                                                                                                         \
    return LARIAT_OK;                                                                                         \
  }
ELEMENTWISE(of_floats, float, fabsf)
ELEMENTWISE(of_doubles, double, fabs)

/* dx = dy / (1 + |x|)^2, as nodes of other ops. */
static lariat_status gradient(const lariat_gradient *g) {
  lariat_value one = 0, size = 0, sum[2] = {0, 0}, quotient[2] = {0, 0};
  lariat_status status = host->constant(g->graph, 1, g->inputs[0], &one);
  if (status == LARIAT_OK) status = host->build(g->graph, "abs", g->inputs, 1, NULL, 0, &size);
  sum[0] = one;
  sum[1] = size;
  if (status == LARIAT_OK) status = host->build(g->graph, "add", sum, 2, NULL, 0, &sum[0]);
  if (status == LARIAT_OK) status = host->build(g->graph, "square", sum, 1, NULL, 0, &quotient[1]);
  quotient[0] = g->adjoints[0];
  if (status == LARIAT_OK) status = host->build(g->graph, "divide", quotient, 2, NULL, 0, &g->gradients[0]);
  return status;
}

static const int64_t three[] = {3}, two_by_three[] = {2, 3};
static const double values[] = {-1, 0.5, 4}, expected[] = {-0.5, 1.0 / 3, 0.8}, kinks[] = {0};
static const lariat_sample_input given = {
    .size = sizeof(lariat_sample_input), .shape = three, .rank = 1, .values = values};
static const lariat_sample_input drawn = {.size = sizeof(lariat_sample_input),
                                          .shape = two_by_three,
                                          .rank = 2,
                                          .low = -2,
                                          .high = 2,
                                          .gap = 0.1,
                                          .kinks = kinks,
                                          .kink_count = 1};
static const lariat_sample samples[] = {{.size = sizeof(lariat_sample),
                                         .name = "values",
                                         .inputs = &given,
                                         .input_count = 1,
                                         .expected = expected,
                                         .expected_count = 3},
                                        {.size = sizeof(lariat_sample),
                                         .name = "matrix",
                                         .inputs = &drawn,
                                         .input_count = 1}};
static const lariat_argument_spec x = {.size = sizeof(lariat_argument_spec), .name = "x"};
static const lariat_argument_spec result = {.size = sizeof(lariat_argument_spec), .name = "result"};
static const lariat_op op = {.size = sizeof(lariat_op),
                             .name = "NAME",
                             .doc = "x / (1 + |x|).",
                             .kinks = "At 0 the second derivative is 0.",
                             .version = 1,
                             .flags = LARIAT_THREAD_SAFE | LARIAT_DETERMINISTIC,
                             .inputs = &x,
                             .outputs = &result,
                             .input_count = 1,
                             .output_count = 1,
                             .elementwise = {of_floats, of_doubles, NULL},
                             .gradient = gradient,
                             .samples = samples,
                             .sample_count = 2};
static const lariat_plugin plugin = {.size = sizeof(lariat_plugin),
                                     .magic = LARIAT_OP_MAGIC,
                                     .major = LARIAT_OP_MAJOR,
                                     .minor = LARIAT_OP_MINOR,
                                     .name = "NAME",
                                     .version = "0.1.0",
                                     .doc = "One op in C.",
                                     .ops = &op,
                                     .op_count = 1};

const lariat_plugin *lariat_plugin_entry(const lariat_host *given_host) {
  host = given_host;
  if (host->magic == LARIAT_OP_MAGIC && host->major == LARIAT_OP_MAJOR) return &plugin;
  host->fail("it was compiled against another version of lariat_op.h");
  return NULL;
}
)";

constexpr const char* makefile =
    R"(# Needs lariat-op.pc: where Lariat is not installed under /usr, PKG_CONFIG_PATH must name its folder. The plugin
# runs on any machine of this kind; CXXFLAGS='-O3 -march=native' makes one for this machine alone.
CXX ?= g++
CXXFLAGS ?= -O3

NAME.so: NAME.cpp
	$(CXX) -std=c++20 -Wall -Wextra $(CXXFLAGS) -fPIC -fvisibility=hidden $$(pkg-config --cflags lariat-op) -shared -o $@ $< $$(pkg-config --libs lariat-op)

clean:
	rm -f NAME.so

.PHONY: clean
)";

constexpr const char* meson =
    R"(project('NAME', 'cpp', version: '0.1.0', default_options: ['cpp_std=c++20', 'buildtype=release'])

shared_module('NAME', 'NAME.cpp', name_prefix: '', dependencies: dependency('lariat-op'),
              gnu_symbol_visibility: 'hidden')
)";

constexpr const char* makefile_of_c =
    R"(# Needs lariat-op.pc: where Lariat is not installed under /usr, PKG_CONFIG_PATH must name its folder.
CC ?= cc
CFLAGS ?= -O3

NAME.so: NAME.c
	$(CC) -std=c99 -Wall -Wextra $(CFLAGS) -fPIC $$(pkg-config --cflags lariat-op) -shared -o $@ $< $$(pkg-config --libs lariat-op) -lm

clean:
	rm -f NAME.so

.PHONY: clean
)";

constexpr const char* meson_of_c =
    R"(project('NAME', 'c', version: '0.1.0', default_options: ['c_std=c99', 'buildtype=release'])

shared_module('NAME', 'NAME.c', name_prefix: '',
              dependencies: [dependency('lariat-op'), meson.get_compiler('c').find_library('m', required: false)])
)";

}  // namespace

const std::vector<PluginTemplate>& plugin_templates() {
  const auto of_cpp = [](const char* source) {
    return std::vector<std::pair<std::string, std::string>>{
        {"NAME.cpp", source}, {"Makefile", makefile}, {"meson.build", meson}};
  };
  static const std::vector<PluginTemplate> templates{
      {"op", "an op of single elements, its gradient as nodes", of_cpp(op)},
      {"kernel", "an op along an axis, with kernels for its value and its gradient", of_cpp(kernel)},
      {"penalty", "a penalty with its prox, which makes weights exactly zero", of_cpp(penalty)},
      {"c", "an op in C99", {{"NAME.c", c}, {"Makefile", makefile_of_c}, {"meson.build", meson_of_c}}}};
  return templates;
}

}  // namespace lariat::cli
