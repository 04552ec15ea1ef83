#include "frontends/export/c_graph.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "graph/base/error.hpp"
#include "graph/exec/arena.hpp"
#include "graph/exec/execution_order.hpp"

namespace lariat::to_c {

namespace {

// The layout's unit is 64 bytes, which stand for one number here.
constexpr size_t layout_unit = 64;

class GraphWriter {
 public:
  GraphWriter(CBlock& block, const Graph& graph, const std::map<std::string, std::string>& inputs,
              const std::vector<std::string>& results)
      : block_(block), graph_(graph), order_(graph), values_(order_.value_count()) {
    place_sources(inputs);
    reserve_results(results);
    const auto size = static_cast<int>(order_.nodes().size());
    for (position_ = 0; position_ < size; ++position_) add(order_.nodes()[position_]);
    finish(results);
  }

  CResult result() && { return std::move(result_); }

 private:
  struct Placed {
    CValue value;
    ArenaLayout::Block memory;  // of size 0 where it is not the arena's
    std::string reserved;       // the caller's memory that it is written to
  };

  Placed& placed(Edge edge) { return values_[order_.index_of(edge)]; }

  void place_sources(const std::map<std::string, std::string>& inputs) {
    for (int32_t id = 0; id < graph_.size(); ++id) {
      const Node& node = graph_.node(id);
      if (node.op->traits.source == SourceKind::none) continue;
      CValue& value = placed({id, 0}).value;
      value.dtype = node.outputs[0].dtype;
      value.extents = evaluate(node.outputs[0].shape, {});
      if (node.op->traits.source == SourceKind::constant) {
        value.constant = &node.attributes.get<Tensor>("value");
      } else {
        value.pointer = inputs.at(node.name);
      }
    }
  }

  // What is computed for the caller alone is computed where he wants it.
  void reserve_results(const std::vector<std::string>& results) {
    for (size_t i = 0; i < results.size(); ++i) {
      const Edge memory = order_.memory_of(graph_.outputs()[i].value);
      if (graph_.node(memory.node).op->traits.source == SourceKind::none && !results[i].empty())
        placed(memory).reserved = results[i];
    }
  }

  std::string allocate(Placed& made) {
    if (!made.reserved.empty()) return made.reserved;
    ArenaLayout& arena = made.value.dtype == i32 ? integers_ : floats_;
    std::vector<int> none;
    made.memory =
        arena.allocate(static_cast<size_t>(std::max<int64_t>(1, made.value.count())) * layout_unit, none);
    return pointer_to(made.value.dtype, made.memory);
  }

  static std::string pointer_to(DType dtype, const ArenaLayout::Block& memory) {
    const char* base = dtype == i32 ? integer_memory : float_memory;
    return memory.offset == 0 ? base : fmt::format("{} + {}", base, memory.offset / layout_unit);
  }

  void release(Placed& dead) {
    if (dead.memory.size == 0) return;
    (dead.value.dtype == i32 ? integers_ : floats_).release(std::move(dead.memory));
    dead.memory = {};
  }

  // Memory that an output may take over from an input that is read here for the last time.
  bool take_over(const Node& node, Edge output) {
    if (!placed(output).reserved.empty()) return false;
    const bool addend = node.op->name == "matmul_add";
    if (!node.op->traits.elementwise && !addend) return false;
    const Reads reads(order_, node);
    for (const Edge& edge : node.inputs) {
      const Edge memory = order_.memory_of(edge);
      Placed& read = placed(memory);
      if (read.memory.size == 0 || order_.last_read(memory) != position_ ||
          read.value.dtype != placed(output).value.dtype ||
          !reads.may_overwrite(static_cast<size_t>(output.output), memory))
        continue;
      placed(output).memory = std::move(read.memory);
      read.memory = {};
      placed(output).value.pointer = pointer_to(read.value.dtype, placed(output).memory);
      return true;
    }
    return false;
  }

  void add(int32_t id) {
    const Node& node = graph_.node(id);
    for (size_t o = 0; o < node.outputs.size(); ++o) {
      CValue& value = placed({id, static_cast<int32_t>(o)}).value;
      value.dtype = node.outputs[o].dtype;
      value.extents = evaluate(node.outputs[o].shape, {});
    }
    if (node.op->traits.alias) {
      const CValue& from = placed(node.inputs[0]).value;
      CValue& value = placed({id, 0}).value;
      value.pointer = from.pointer;
      value.constant = from.constant;
      return;
    }
    const COp* op = find_c_op(node.op->name);
    require(op != nullptr, "ops are looked at before C is written");
    CNode written{node, {}, {}, ""};
    for (const Edge& edge : node.inputs) written.inputs.push_back(placed(edge).value);
    for (size_t o = 0; o < node.outputs.size(); ++o) {
      const Edge edge{id, static_cast<int32_t>(o)};
      Placed& made = placed(edge);
      const bool is_read = order_.last_read(edge) >= 0;
      if ((is_read || o == 0) && !take_over(node, edge)) made.value.pointer = allocate(made);
      written.outputs.push_back(made.value);
    }
    Placed scratch;
    if (op->scratch) {
      scratch.value.extents = {op->scratch(written)};
      scratch.value.pointer = allocate(scratch);
      written.scratch = scratch.value.pointer;
    }
    op->emit(block_, written);
    release(scratch);
    for (const Edge& edge : node.inputs)
      if (order_.last_read(order_.memory_of(edge)) <= position_) release(placed(order_.memory_of(edge)));
    for (size_t o = 0; o < node.outputs.size(); ++o)
      if (const Edge edge{id, static_cast<int32_t>(o)}; order_.last_read(edge) < 0) release(placed(edge));
  }

  void finish(const std::vector<std::string>& results) {
    for (size_t i = 0; i < graph_.outputs().size(); ++i) {
      CValue value = placed(graph_.outputs()[i].value).value;
      if (i < results.size() && !results[i].empty() && value.pointer != results[i]) {
        block_.copy(results[i], value, "", value.count());
        value.pointer = results[i];
        value.constant = nullptr;
      }
      result_.outputs.push_back(value);
    }
    result_.workspace = {static_cast<int64_t>(floats_.size() / layout_unit),
                         static_cast<int64_t>(integers_.size() / layout_unit)};
  }

  CBlock& block_;
  const Graph& graph_;
  const ExecutionOrder order_;
  std::vector<Placed> values_;
  ArenaLayout floats_, integers_;
  int position_ = 0;
  CResult result_;
};

}  // namespace

CResult emit_graph(CBlock& block, const Graph& graph, const std::map<std::string, std::string>& inputs,
                   const std::vector<std::string>& results) {
  return GraphWriter(block, graph, inputs, results).result();
}

}  // namespace lariat::to_c
