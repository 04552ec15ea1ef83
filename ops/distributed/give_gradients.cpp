#include <vector>

#include "graph/ranks/sum/tree_sum.hpp"
#include "ops/records.hpp"

namespace lariat {

namespace give_gradients_detail {

std::vector<TensorType> infer(const InferContext& c) {
  const auto count = static_cast<size_t>(c.attribute<int64_t>("count"));
  const size_t given = c.size() - 1;
  if (given != count && given != 2 * count)
    InferContext::fail("there are " + std::to_string(given) + " values, but count = " +
                       std::to_string(count) + "; give so many, or as many again that say what to leave out");
  for (size_t i = count + 1; i < c.size(); ++i)
    if (c.shape(i) != c.shape(i - count))
      InferContext::fail("what to leave out has another shape than its gradient; give it " +
                         text(c.shape(i - count)));
  return {{f32, {}}};
}

void forward(const KernelContext& k) {
  if (TreeSum* sum = TreeSum::find(k.attributes.get<int64_t>("sum"))) {
    const auto count = static_cast<size_t>(k.attributes.get<int64_t>("count"));
    sum->give(k.attributes.get<int64_t>("bucket"), k.inputs.subspan(1, count), k.inputs.subspan(1 + count));
  }
  *k.out<float>(0) = 0;
}

}  // namespace give_gradients_detail

// The trainer's: what a micro-shard has of some gradients goes into the sum over all of them, and on its way
// to other ranks, while the backward pass goes on. It takes no time of its own: the plan runs it as soon as
// it can.
OpDef records::give_gradients() {
  using namespace give_gradients_detail;
  OpDef def{
      .name = "give_gradients",
      .doc = "Gives gradients to the sum over micro-shards and ranks, which all_reduce waits for; result 0.",
      .inputs = {{"share", "the micro-shard's, a scalar that is fed: nothing is given before there is one"},
                 {"gradients", "of any type; as many again: not 0 where an element is left out"}},
      .variadic = true};
  def.attributes = {{"sum", AttributeKind::integer, "which sum it is; 0: none", int64_t{0}, 0},
                    {"bucket", AttributeKind::integer, "which of the sum's buckets", int64_t{0}, 0},
                    {"count", AttributeKind::integer, "how many gradients there are", int64_t{1}, 1}};
  def.traits.stops_gradient = true;
  def.infer = infer;
  def.kernel = {forward, nullptr, nullptr};
  def.cost = [](std::span<const TensorView>, std::span<const TensorView>, const Attributes&) {
    return Cost{};
  };
  def.samples = {{"one", {{{}, {1}}, {{3}, {-1.5, 0, 2}}}, {}, {0}},
                 {"with elements to leave out", {{{}, {1}}, {{2}, {1, 2}}, {{2}, {0, 1}}}, {}, {0}}};
  def.rejects = {
      {{{f32, {}}, {f32, {3}}, {f32, {3}}, {f32, {3}}},
       {},
       "there are 3 values, but count = 1; give so many, or as many again that say what to leave out"},
      {{{f32, {}}, {f32, {3}}, {f32, {2}}},
       {},
       "what to leave out has another shape than its gradient; give it [3]"}};
  return def;
}

}  // namespace lariat
