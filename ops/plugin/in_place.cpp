#include "ops/plugin/in_place.hpp"

#include <fmt/format.h>

#include <cstring>

#include "graph/base/error.hpp"
#include "graph/ir/graph.hpp"
#include "graph/ir/sample.hpp"
#include "ops/kernels/gemm.hpp"

namespace lariat::plugin {

namespace {

struct Serial final : ParallelFor {
  void run(int64_t count, int64_t grain, const std::function<void(int64_t, int64_t)>& body) const override {
    for (int64_t begin = 0; begin < count; begin += grain) body(begin, std::min(begin + grain, count));
  }
};

// The outputs of the node, with output 0 over a copy of input 0 where that is asked for.
std::vector<Tensor> run(const Node& node, const std::vector<Tensor>& data, bool in_place) {
  const OpDef& op = *node.op;
  const Serial serial;
  std::vector<TensorView> inputs, outputs;
  for (const Tensor& tensor : data) inputs.push_back(tensor.view());
  std::vector<Tensor> results;
  for (const TensorType& type : node.outputs) results.emplace_back(type.dtype, evaluate(type.shape, {}));
  if (in_place) {
    results[0] = data[0].clone();
    inputs[0] = results[0].view();
  }
  for (const Tensor& result : results) outputs.push_back(result.view());
  KernelContext context{op, inputs, outputs, node.attributes, serial};
  const std::shared_ptr<const void> prepared = op.prepare ? op.prepare(context) : nullptr;
  context.prepared = prepared.get();
  const OwnScratch scratch(op.workspace ? op.workspace(context) : Workspace{}, 1);
  context.scratch = scratch;
  op.kernel.get(outputs[0].dtype)(context);
  return results;
}

bool same_bits(const std::vector<Tensor>& a, const std::vector<Tensor>& b) {
  for (size_t i = 0; i < a.size(); ++i)
    if (std::memcmp(a[i].view().data, b[i].view().data, a[i].bytes()) != 0) return false;
  return true;
}

}  // namespace

bool is_in_place(const OpDef& op) {
  bool shown = false;
  for (const Sample& sample : op.samples)
    for (const DType dtype : {f32, f64}) {
      Graph graph;
      std::vector<Tensor> data;
      std::vector<Value> inputs;
      for (size_t i = 0; i < sample.inputs.size(); ++i) {
        data.push_back(sample_tensor(sample.inputs[i], dtype, 0, i));
        inputs.push_back(graph.input(fmt::format("x{}", i), to_shape(data[i].extents()), data[i].dtype()));
      }
      const Node& node = graph.node(graph.add(op, inputs, sample.attributes, {}, {}).node());
      if (node.outputs[0] != data[0].type() || !op.kernel.get(data[0].dtype())) continue;
      if (!same_bits(run(node, data, false), run(node, data, true))) return false;
      shown |= data[0].count() > 1;
    }
  return shown;
}

}  // namespace lariat::plugin
