#include <algorithm>

#include "graph/ir/graph.hpp"
#include "ops/elementwise/joined.hpp"
#include "ops/kernels/elementwise_program.hpp"
#include "ops/records.hpp"

namespace lariat {

namespace fused_detail {

const Graph& body_of(const Attributes& attributes) {
  return *attributes.get<std::shared_ptr<const Graph>>("body");
}

std::vector<TensorType> infer(const InferContext& c) {
  const Graph& body = *c.attribute<std::shared_ptr<const Graph>>("body");
  std::vector<TensorType> types;
  for (const Output& output : body.outputs()) types.push_back(body.type(output.value));
  return types;
}

// What the inputs broadcast to: every node of the body takes some of them, and has this shape.
Extents space_of(std::span<const TensorView> inputs) {
  Extents space;
  for (const TensorView& view : inputs) {
    const size_t rank = view.extents.size();
    if (rank > space.size()) space.insert(space.begin(), rank - space.size(), 1);
    for (size_t i = 0; i < rank; ++i) {
      int64_t& extent = space[space.size() - rank + i];
      if (extent == 1) extent = view.extents[i];
    }
  }
  return space;
}

std::shared_ptr<const void> prepare(const KernelContext& k) {
  const Graph& body = body_of(k.attributes);
  const int inputs = static_cast<int>(k.inputs.size());
  std::vector<int> registers(body.size(), -1), readers(body.size());
  for (int32_t id = 0; id < body.size(); ++id)
    for (const Edge& edge : body.node(id).inputs) ++readers[edge.node];
  for (const Output& output : body.outputs()) ++readers[output.value.node];
  // From the end: a node is joined with what is before it.
  std::vector<std::optional<JoinedNodes>> joined(body.size());
  std::vector<bool> within(body.size());
  for (int32_t id = body.size(); id-- > 0;) {
    if (within[id]) continue;
    joined[id] = join(body, id, readers);
    if (joined[id])
      for (int32_t before : joined[id]->before) within[before] = true;
  }
  std::vector<ElementwiseProgram::Instruction> program;
  int next_input = 0;
  for (int32_t id = 0; id < body.size(); ++id) {
    const Node& node = body.node(id);
    if (node.op->traits.source == SourceKind::input) {
      registers[id] = next_input++;
      continue;
    }
    if (within[id]) continue;
    ElementwiseProgram::Instruction instruction{node.op->block.get(node.outputs[0].dtype), &node.attributes};
    if (!instruction.block) instruction.summation = &*node.op->summation;
    if (joined[id]) instruction.block = joined[id]->block;
    for (const Edge& edge : joined[id] ? joined[id]->arguments : node.inputs)
      instruction.arguments.push_back(registers[edge.node]);
    registers[id] = inputs + static_cast<int>(program.size());
    program.push_back(std::move(instruction));
  }
  std::vector<int> results;
  for (const Output& output : body.outputs()) results.push_back(registers[output.value.node]);
  return std::make_shared<ElementwiseProgram>(space_of(k.inputs), k.outputs[0].dtype, k.inputs,
                                              std::move(program), std::move(results));
}

Cost cost(std::span<const TensorView> inputs, std::span<const TensorView> outputs,
          const Attributes& attributes) {
  Cost total;
  for (const TensorView& view : inputs) total.bytes += static_cast<double>(view.bytes());
  for (const TensorView& view : outputs) total.bytes += static_cast<double>(view.bytes());
  total.flops =
      static_cast<double>(body_of(attributes).size()) * static_cast<double>(element_count(space_of(inputs)));
  return total;
}

}  // namespace fused_detail

// The body's nodes, run block by block: one pass over memory for the whole chain. Made by the pass
// fuse_elementwise after differentiation, so it has no gradient of its own.
OpDef records::fused() {
  using namespace fused_detail;
  OpDef def{
      .name = "fused",
      .doc = "A graph of element-wise nodes, and of sums over all they compute, run as one loop over memory.",
      .inputs = {{"values", "what the body reads"}},
      .variadic = true,
      .outputs = {{"results", "the body's outputs: all of one shape, or of one element"}}};
  def.variadic_outputs = true;
  def.attributes = {{"body", AttributeKind::graph, "the element-wise nodes"}};
  def.traits.elementwise = true;
  def.infer = infer;
  def.kernel = {run_elementwise_program, run_elementwise_program, run_elementwise_program};
  def.prepare = prepare;
  def.workspace = elementwise_workspace;
  def.cost = cost;
  return def;
}

}  // namespace lariat
