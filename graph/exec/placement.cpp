#include "graph/exec/placement.hpp"

#include <algorithm>
#include <set>

#include "graph/base/error.hpp"
#include "graph/exec/arena.hpp"

namespace lariat {

namespace {

// The address space of one process; sums of many such sizes still fit size_t.
constexpr int64_t largest_buffer = int64_t{1} << 47;

struct NoParallel final : ParallelFor {
  void run(int64_t, int64_t, const std::function<void(int64_t, int64_t)>&) const override {
    throw InternalError("internal fault: work is started while a plan is made");
  }
};

// roofline guess: 20 GFLOP/s of plain code, 10 GB/s of memory
double estimated_microseconds(const Cost& cost) {
  return 0.2 + std::max(cost.flops / 20e3, cost.bytes / 10e3);
}

Cost cost_of(const Node& node, const Step& step) {
  if (node.op->cost) return node.op->cost(step.inputs, step.outputs, node.attributes);
  Cost cost;
  for (const TensorView& view : step.inputs) cost.bytes += static_cast<double>(view.bytes());
  for (const TensorView& view : step.outputs) cost.bytes += static_cast<double>(view.bytes());
  return cost;
}

// The outputs' extents. Shapes with symbols were inferred when the node was built; what depends on their
// sizes is inferred again, so that a node refuses what it cannot take.
std::vector<TensorView> concrete_outputs(const Graph& graph, const Node& node,
                                         std::span<const TensorView> inputs, const Bindings& bindings) {
  const auto is_symbolic = [](const auto& attribute) {
    const auto* shape = std::get_if<Shape>(&attribute.second);
    return shape && !is_known(*shape);
  };
  const auto is_symbolic_type = [](const TensorType& type) { return !is_known(type.shape); };
  // A known shape may be made of a symbolic one, by reshape or slice.
  const bool symbolic = std::any_of(node.inputs.begin(), node.inputs.end(),
                                    [&](const Edge& edge) { return is_symbolic_type(graph.type(edge)); }) ||
                        std::any_of(node.attributes.begin(), node.attributes.end(), is_symbolic) ||
                        std::any_of(node.outputs.begin(), node.outputs.end(), is_symbolic_type);
  std::vector<TensorView> outputs;
  try {
    for (const TensorType& type : node.outputs)
      outputs.push_back({nullptr, type.dtype, evaluate(type.shape, bindings)});
    if (symbolic) {
      std::vector<TensorType> types;
      for (const TensorView& view : inputs) types.push_back({view.dtype, to_shape(view.extents)});
      Attributes attributes = node.attributes;
      for (const auto& attribute : node.attributes)
        if (is_symbolic(attribute))
          attributes.set(attribute.first, to_shape(evaluate(std::get<Shape>(attribute.second), bindings)));
      const std::vector<TensorType> inferred = node.op->infer(InferContext(types, attributes));
      for (size_t o = 0; o < outputs.size(); ++o)
        require(evaluate(inferred[o].shape, bindings) == outputs[o].extents,
                "an op infers other extents than its symbols say");
    }
    for (const TensorView& view : outputs)
      if (element_count(view.extents) > largest_buffer / static_cast<int64_t>(size_of(view.dtype)))
        throw UserError("a result of shape " + text(view.extents) +
                        " is larger than memory can be; use smaller dimensions");
  } catch (const UserError& error) {
    throw UserError(place_of(node) + error.what());
  }
  return outputs;
}

class Placer {
 public:
  Placer(const ExecutionOrder& order, const Bindings& bindings, const PackConstants& pack)
      : graph_(order.graph()), order_(order), bindings_(bindings), pack_(pack), values_(order.value_count()) {
    place_sources();
    const auto size = static_cast<int>(order.nodes().size());
    for (position_ = 0; position_ < size; ++position_) add(order.nodes()[position_]);
    placed_.arena_bytes = arena_.size();
    for (const Output& output : graph_.outputs()) {
      placed_.results.push_back(value(output.value).view);
      placed_.result_locations.push_back(value(output.value).location);
    }
  }

  Placement result() && { return std::move(placed_); }

 private:
  // An output of a node: where it is, which step made it, and the memory it has in the arena.
  struct PlacedValue {
    TensorView view;
    Location location;
    int producer = -1;
    ArenaLayout::Block block;
    std::vector<int> readers = {};  // steps
  };
  // Memory of the type of an output that the node at hand reads for the last time, in the order of its
  // inputs.
  struct Reusable {
    TensorType type;
    size_t output;
    std::vector<Edge> memory;
    size_t taken = 0;
  };

  PlacedValue& value(Edge edge) { return values_[order_.index_of(edge)]; }
  bool is_last_read(Edge memory) const { return order_.last_read(memory) == position_; }

  void place_sources() {
    for (int32_t id = 0; id < graph_.size(); ++id) {
      const Node& node = graph_.node(id);
      const SourceKind kind = node.op->traits.source;
      if (kind == SourceKind::none) continue;
      PlacedValue& source = value({id, 0});
      source.location = {kind == SourceKind::input      ? Location::Kind::feed
                         : kind == SourceKind::constant ? Location::Kind::constant
                                                        : Location::Kind::store,
                         static_cast<size_t>(id)};
      source.view = concrete_outputs(graph_, node, {}, bindings_)[0];
    }
  }

  void add(int32_t id) {
    const Node& node = graph_.node(id);
    Step step;
    step.node = id;
    for (const Edge& edge : node.inputs) step.inputs.push_back(value(edge).view);
    step.outputs = concrete_outputs(graph_, node, step.inputs, bindings_);
    for (size_t o = 0; o < node.outputs.size(); ++o)
      value({id, static_cast<int32_t>(o)}).view = step.outputs[o];
    if (node.op->traits.alias) {
      value({id, 0}).location = value(node.inputs[0]).location;
      return;
    }

    const int at = static_cast<int>(placed_.steps.size());
    if (node.op->traits.guard) guards_.push_back(at);
    std::vector<int> predecessors;
    for (const Edge& edge : node.inputs) {
      step.input_locations.push_back(value(edge).location);
      PlacedValue& read = value(order_.memory_of(edge));
      if (read.producer >= 0) predecessors.push_back(read.producer);
      read.readers.push_back(at);
      read.block.users.push_back(at);
    }
    std::vector<Reusable> reusable = reusable_by(node);
    for (size_t o = 0; o < node.outputs.size(); ++o) {
      const Edge output{id, static_cast<int32_t>(o)};
      place_output(node, output, at, reusable, predecessors);
      step.output_locations.push_back(value(output).location);
    }
    prepare(node, step, at, predecessors);
    for (const Edge& edge : node.inputs) release_if_dead(order_.memory_of(edge));
    for (size_t o = 0; o < node.outputs.size(); ++o) release_if_dead({id, static_cast<int32_t>(o)});
    placed_.steps.push_back(std::move(step));
    placed_.predecessors.push_back(std::move(predecessors));
  }

  bool is_reusable(Edge memory) {
    const PlacedValue& read = value(memory);
    return read.location.kind == Location::Kind::arena && read.block.size > 0 && is_last_read(memory);
  }

  // What an element-wise node may write over: memory that it reads in one type only.
  std::vector<Reusable> reusable_by(const Node& node) {
    std::vector<Reusable> result;
    if (!node.op->traits.elementwise) return result;
    const auto of_type = [&](const TensorType& type) {
      return std::find_if(result.begin(), result.end(),
                          [&](const Reusable& other) { return other.type == type; });
    };
    for (size_t o = 0; o < node.outputs.size(); ++o)
      if (of_type(node.outputs[o]) == result.end()) result.push_back({node.outputs[o], o, {}});
    const Reads reads(order_, node);
    std::set<size_t> seen;
    for (const Edge& edge : node.inputs) {
      const Edge memory = order_.memory_of(edge);
      if (!is_reusable(memory) || !seen.insert(order_.index_of(memory)).second) continue;
      const auto wanted = of_type(graph_.type(edge));
      if (wanted != result.end() && reads.may_overwrite(wanted->output, memory))
        wanted->memory.push_back(memory);
    }
    return result;
  }

  // Memory of its inputs that an output may have; no node for none.
  Edge reused_by(const Node& node, Edge output, std::vector<Reusable>& reusable) {
    for (Reusable& of_type : reusable)
      if (of_type.type == graph_.type(output) && of_type.taken < of_type.memory.size())
        return of_type.memory[of_type.taken++];
    if (node.op->traits.elementwise) return {};
    for (const Traits::InPlace& pair : node.op->traits.in_place) {
      if (pair.output != static_cast<size_t>(output.output)) continue;
      const Edge memory = order_.memory_of(node.inputs[pair.input]);
      if (is_reusable(memory) && Reads(order_, node).may_overwrite(pair.output, memory)) return memory;
    }
    return {};
  }

  void place_output(const Node& node, Edge edge, int at, std::vector<Reusable>& reusable,
                    std::vector<int>& predecessors) {
    PlacedValue& made = value(edge);
    made.producer = at;
    if (static_cast<size_t>(edge.output) >= node.op->traits.optional_outputs && order_.last_read(edge) < 0) {
      made.location = {Location::Kind::none, 0};
      return;
    }
    placed_.total_bytes += made.view.bytes();
    if (const int32_t overwritten = order_.overwrites(edge); overwritten >= 0) {
      made.location = {Location::Kind::store, static_cast<size_t>(overwritten)};
      for (int reader : value({overwritten, 0}).readers)
        if (reader != at) predecessors.push_back(reader);
      predecessors.insert(predecessors.end(), guards_.begin(), guards_.end());
      return;
    }
    if (const Edge memory = reused_by(node, edge, reusable); memory.node >= 0) {
      PlacedValue& read = value(memory);
      made.location = read.location;
      for (int user : read.block.users)
        if (user != at) predecessors.push_back(user);
      made.block = {read.block.offset, read.block.size, {at}};
      read.block = {};
      return;
    }
    made.block = arena_.allocate(made.view.bytes(), predecessors);
    made.block.users.push_back(at);
    made.location = {Location::Kind::arena, made.block.offset};
  }

  void prepare(const Node& node, Step& step, int at, std::vector<int>& predecessors) {
    const NoParallel no_parallel;
    KernelContext shapes_only{*node.op, step.inputs, step.outputs, node.attributes, no_parallel};
    if (node.op->prepare) step.prepared = node.op->prepare(shapes_only);
    if (node.op->pack && pack_) step.packed = pack_(node, step);
    step.cost = cost_of(node, step);
    step.microseconds = estimated_microseconds(step.cost);
    if (!node.op->workspace) return;
    shapes_only.prepared = step.prepared.get();
    shapes_only.packed = step.packed.get();
    step.workspace = node.op->workspace(shapes_only);
    constexpr size_t cache_line = 64;
    placed_.thread_bytes = std::max(placed_.thread_bytes,
                                    (step.workspace.per_thread + cache_line - 1) / cache_line * cache_line);
    if (step.workspace.shared == 0) return;
    ArenaLayout::Block block = arena_.allocate(step.workspace.shared, predecessors);
    step.workspace_offset = block.offset;
    block.users.push_back(at);
    arena_.release(std::move(block));
  }

  void release_if_dead(Edge memory) {
    PlacedValue& dead = value(memory);
    if (dead.location.kind != Location::Kind::arena || dead.block.size == 0 ||
        order_.last_read(memory) > position_)
      return;
    arena_.release(std::move(dead.block));
    dead.block = {};
  }

  const Graph& graph_;
  const ExecutionOrder& order_;
  const Bindings& bindings_;
  const PackConstants& pack_;
  std::vector<PlacedValue> values_;
  ArenaLayout arena_;
  std::vector<int> guards_;  // steps
  int position_ = 0;
  Placement placed_;
};

}  // namespace

Placement place(const ExecutionOrder& order, const Bindings& bindings, const PackConstants& pack) {
  return Placer(order, bindings, pack).result();
}

}  // namespace lariat
