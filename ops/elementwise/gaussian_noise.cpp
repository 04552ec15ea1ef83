#include <cmath>
#include <numbers>

#include "graph/base/random.hpp"
#include "ops/elementwise/random_draws.hpp"
#include "ops/kernels/axes.hpp"
#include "ops/ops.hpp"
#include "ops/records.hpp"

namespace lariat {

namespace gaussian_noise_detail {

std::vector<TensorType> infer(const InferContext& c) {
  check_float(c, 0, "x");
  check_integers(c, 1, "random_state", {3});
  return {c.in(0)};
}

// y = x + deviation·r·cos t and x + deviation·r·sin t for neighbours, r = √(-2 ln(1 - u)), t = 2π·v (Box and
// Muller 1958).
template <class T>
void forward(const KernelContext& k) {
  const RandomDraws draws(k);
  const double deviation = k.attributes.get<double>("deviation");
  const int64_t count = k.outputs[0].count();
  const T* x = k.in<T>(0);
  T* y = k.out<T>(0);
  k.parallel.run((count + 1) / 2, elements_per_task / 8, [=](int64_t begin, int64_t end) {
    for (int64_t pair = begin; pair < end; ++pair) {
      const auto bits = random_bits(draws.key, draws.stream, draws.first + static_cast<uint64_t>(pair));
      const double radius = deviation * std::sqrt(-2 * std::log1p(-static_cast<double>(to_unit(bits[0]))));
      const double angle = 2 * std::numbers::pi * static_cast<double>(to_unit(bits[1]));
      y[2 * pair] = static_cast<T>(static_cast<double>(x[2 * pair]) + radius * std::cos(angle));
      if (2 * pair + 1 < count)
        y[2 * pair + 1] = static_cast<T>(static_cast<double>(x[2 * pair + 1]) + radius * std::sin(angle));
    }
  });
}

}  // namespace gaussian_noise_detail

OpDef records::gaussian_noise() {
  using namespace gaussian_noise_detail;
  OpDef def{.name = "gaussian_noise",
            .doc = "x plus normal noise of mean 0; the identity at inference.",
            .inputs = {{"x", "f32 or f64 of any shape"}, {"random_state", "i32 [seed low, seed high, step]"}},
            .outputs = {{"result", "like x"}}};
  def.attributes = {
      {"deviation", AttributeKind::real, "the noise's standard deviation", std::nullopt, 0, 1e6},
      {"stream", AttributeKind::integer, "which of the seed's random streams this node draws from",
       std::nullopt, 0}};
  def.traits.inference_input = 0;
  def.infer = infer;
  def.kernel = {forward<float>, forward<double>, nullptr};
  def.vjp = [](const GradContext& g) -> Adjoints { return {g.adjoint(0), Value()}; };
  def.cost = streaming_cost<40>;
  const SampleInput state{.extents = {3}, .values = {1, 2, 3}, .dtype = i32};
  const auto deviation = [](double value) -> Attributes {
    return {{"deviation", value}, {"stream", int64_t{7}}};
  };
  def.samples = {{"no noise", {{{3}, {1, 2, 3}}, state}, deviation(0), {1, 2, 3}},
                 {"some", {{{5}, {1, 2, -3, 4, 1.5}}, state}, deviation(0.1)},
                 {"no elements", {{{0, 3}}, state}, deviation(1)}};
  def.rejects = {{{{f32, {2}}, {i32, {2}}}, deviation(1), "random_state is i32[2]; it must be i32[3]"}};
  return def;
}

Value gaussian_noise(Operand x, double deviation) {
  if (!x.value) refuse("gaussian_noise", x, "takes a value of a graph; an empty Value or a number was given");
  Graph& graph = x.value.graph();
  const Value state = graph.random_state();
  return build("gaussian_noise", {x, Operand(state, x.where)},
               {{"deviation", deviation}, {"stream", int64_t{graph.size()}}});
}

}  // namespace lariat
