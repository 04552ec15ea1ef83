#include <cstring>

#include "graph/ranks/sum/tree_sum.hpp"
#include "ops/records.hpp"

namespace lariat {

namespace all_reduce_detail {

std::vector<TensorType> infer(const InferContext& c) { return {c.in(0)}; }

void forward(const KernelContext& k) {
  TreeSum* sum = TreeSum::find(k.attributes.get<int64_t>("sum"));
  if (sum != nullptr && sum->adds()) {
    sum->take(k.attributes.get<int64_t>("bucket"), k.attributes.get<int64_t>("index"), k.outputs[0]);
  } else if (k.outputs[0].data != k.inputs[0].data) {
    std::memcpy(k.outputs[0].data, k.inputs[0].data, k.outputs[0].bytes());
  }
}

}  // namespace all_reduce_detail

// The trainer's: it takes what every give_gradients of the step has made, so that all are on their way before
// one waits.
OpDef records::all_reduce() {
  using namespace all_reduce_detail;
  OpDef def{
      .name = "all_reduce",
      .doc =
          "The gradient's sum over all micro-shards of a step, whichever rank computed them; x itself "
          "outside "
          "of such a step.",
      .inputs = {{"x", "the gradient that was given, of any type"}, {"given", "results of give_gradients"}},
      .variadic = true};
  def.attributes = {{"sum", AttributeKind::integer, "which sum it is; 0: none", int64_t{0}, 0},
                    {"bucket", AttributeKind::integer, "which of the sum's buckets", int64_t{0}, 0},
                    {"index", AttributeKind::integer, "which gradient of the bucket", int64_t{0}, 0}};
  def.traits.linear = {true, false};
  def.traits.in_place = {{0, 0}};
  def.infer = infer;
  def.kernel = {forward, forward, nullptr};
  def.vjp = [](const GradContext& g) -> Adjoints {
    Adjoints adjoints(g.input_count());
    adjoints[0] = g.adjoint(0);
    return adjoints;
  };
  def.samples = {{"alone", {{{3}, {-1.5, 0, 2}}, {{}, {0}}}, {}, {-1.5, 0, 2}}};
  return def;
}

}  // namespace lariat
