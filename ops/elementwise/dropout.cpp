#include <cmath>
#include <cstring>

#include "graph/base/error.hpp"
#include "ops/elementwise/random_draws.hpp"
#include "ops/kernels/axes.hpp"
#include "ops/ops.hpp"
#include "ops/records.hpp"

namespace lariat {

namespace dropout_detail {

// Eight 32-bit words, each in 64 bits so that a product keeps its upper half.
using Words = uint64_t __attribute__((vector_size(64)));
constexpr int64_t lanes = 8, groups = 4, block = 4 * lanes * groups;

// random_bits(key, stream, counter) for consecutive counters, side by side in vectors.
// Philox4x32-10, Salmon et al. (2011), section 3.4.
void random_block(uint64_t key, uint64_t stream, uint64_t counter, uint32_t* out) {
  constexpr uint64_t low = 0xffffffff;
  Words a[groups], b[groups], c[groups], d[groups];
  for (int64_t g = 0; g < groups; ++g) {
    const Words position = counter + static_cast<uint64_t>(lanes * g) + Words{0, 1, 2, 3, 4, 5, 6, 7};
    a[g] = position & low;
    b[g] = position >> 32;
    c[g] = Words{} + (stream & low);
    d[g] = Words{} + (stream >> 32);
  }
  uint64_t key_low = key & low, key_high = key >> 32;
  for (int round = 0; round < 10; ++round) {
    for (int64_t g = 0; g < groups; ++g) {
      const Words left = a[g] * 0xD2511F53, right = c[g] * 0xCD9E8D57;
      a[g] = (right >> 32) ^ b[g] ^ key_low;
      b[g] = right & low;
      c[g] = (left >> 32) ^ d[g] ^ key_high;
      d[g] = left & low;
    }
    key_low = (key_low + 0x9E3779B9) & low;
    key_high = (key_high + 0xBB67AE85) & low;
  }
  for (int64_t g = 0; g < groups; ++g) {
    const Words first = a[g] | (b[g] << 32), second = c[g] | (d[g] << 32);
    for (int64_t i = 0; i < lanes; ++i, out += 4) {
      const uint64_t words[2] = {first[i], second[i]};
      std::memcpy(out, words, sizeof words);
    }
  }
}

std::vector<TensorType> infer(const InferContext& c) {
  check_float(c, 0, "x");
  check_integers(c, 1, "random_state", {3});
  return {c.in(0), c.in(0)};
}

template <class T>
void draw_mask(const uint32_t* bits, uint32_t threshold, T scale, T* mask) {
  for (int64_t i = 0; i < block; ++i) mask[i] = bits[i] >= threshold ? scale : T(0);
}

// mask = 1/(1 - rate) with probability 1 - rate, else 0;  y = x·mask.
template <class T>
void forward(const KernelContext& k) {
  const RandomDraws draws(k);
  const int64_t count = k.outputs[0].count();
  if (count > int64_t{1} << 34)
    throw UserError("takes at most 2^34 elements, x has " + std::to_string(count) + "; use a smaller batch");
  const double rate = k.attributes.get<double>("rate");
  const auto threshold = static_cast<uint32_t>(std::ldexp(rate, 32));
  const T scale = static_cast<T>(1 / (1 - rate));
  const T* x = k.in<T>(0);
  T *y = k.out<T>(0), *mask = k.out<T>(1);
  k.parallel.run((count + block - 1) / block, elements_per_task / block, [=](int64_t begin, int64_t end) {
    uint32_t bits[block];
    T kept[block];
    for (int64_t at = begin * block; at < std::min(end * block, count); at += block) {
      random_block(draws.key, draws.stream, draws.first + static_cast<uint64_t>(at / 4), bits);
      draw_mask(bits, threshold, scale, kept);
      const int64_t length = std::min(block, count - at);
      for (int64_t i = 0; i < length; ++i) y[at + i] = x[at + i] * kept[i];
      std::copy_n(kept, length, mask + at);
    }
  });
}

}  // namespace dropout_detail

OpDef records::dropout() {
  using namespace dropout_detail;
  OpDef def{
      .name = "dropout",
      .doc =
          "Sets elements to 0 at random and scales the others up, so that the mean stays; the identity at "
          "inference. Srivastava et al. (2014).",
      .inputs = {{"x", "f32 or f64 of any shape"}, {"random_state", "i32 [seed low, seed high, step]"}},
      .outputs = {{"result", "like x"}, {"mask", "like x: what each element was multiplied by"}}};
  def.attributes = {{"rate", AttributeKind::real, "the probability of 0, below 1", std::nullopt, 0, 0.999999},
                    {"stream", AttributeKind::integer,
                     "which of the seed's random streams this node draws from", std::nullopt, 0}};
  def.traits.linear = {true, false};
  def.traits.inference_input = 0;
  def.infer = infer;
  def.kernel = {forward<float>, forward<double>, nullptr};
  def.vjp = [](const GradContext& g) -> Adjoints { return {g.adjoint(0) * g.out(1), Value()}; };
  def.cost = streaming_cost<10>;
  const auto state = [](std::vector<double> values) {
    return SampleInput{.extents = {3}, .values = std::move(values), .dtype = i32};
  };
  const auto rate = [](double value) -> Attributes { return {{"rate", value}, {"stream", int64_t{7}}}; };
  def.samples = {{"no loss", {{{3}, {1, 2, 3}}, state({1, 2, 3})}, rate(0), {1, 2, 3}},
                 {"half", {{{4, 5}}, state({1, 2, 3})}, rate(0.5)},
                 {"scalar", {{{}}, state({5, 0, 1})}, rate(0.1)},
                 {"no elements", {{{0, 3}}, state({1, 2, 3})}, rate(0.5)}};
  def.rejects = {{{{f32, {2}}, {i32, {3}}}, rate(1), "'rate' is 1; it must lie in [0, 0.999999]"},
                 {{{f32, {2}}, {i32, {2}}}, rate(0.5), "random_state is i32[2]; it must be i32[3]"}};
  return def;
}

Value dropout(Operand x, double rate) {
  if (!x.value) refuse("dropout", x, "takes a value of a graph; an empty Value or a number was given");
  Graph& graph = x.value.graph();
  const Value state = graph.random_state();
  return build("dropout", {x, Operand(state, x.where)}, {{"rate", rate}, {"stream", int64_t{graph.size()}}});
}

}  // namespace lariat
