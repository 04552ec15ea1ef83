#include "graph/exec/placement.hpp"

#include <algorithm>
#include <map>

#include "graph/error.hpp"
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

// Whether `node` may write `output` over `memory`: it reads that only element by element in the output's
// shape, or its record says so and it reads it by no other way.
bool may_overwrite(const Graph& graph, const Node& node, size_t output, Edge memory) {
  const auto reads = [&](size_t input) { return memory_of(graph, node.inputs[input]) == memory; };
  const auto fits = [&](size_t input) { return graph.type(node.inputs[input]) == node.outputs[output]; };
  int readers = 0;
  bool all_fit = true;
  for (size_t i = 0; i < node.inputs.size(); ++i) {
    readers += reads(i);
    all_fit = all_fit && (!reads(i) || fits(i));
  }
  if (node.op->traits.elementwise) return readers > 0 && all_fit;
  const auto& pairs = node.op->traits.in_place;
  return readers == 1 && std::any_of(pairs.begin(), pairs.end(), [&](const Traits::InPlace& pair) {
           return pair.output == output && reads(pair.input) && fits(pair.input);
         });
}

// The outputs' extents. Shapes with symbols were inferred when the node was built; what depends on their
// sizes is inferred again, so that a node refuses what it cannot take.
std::vector<TensorView> concrete_outputs(const Node& node, std::span<const TensorView> inputs,
                                         const Bindings& bindings) {
  std::vector<TensorType> types;
  for (const TensorView& view : inputs) types.push_back({view.dtype, to_shape(view.extents)});
  Attributes attributes = node.attributes;
  bool symbolic = false;
  for (const auto& [name, value] : node.attributes)
    if (const auto* shape = std::get_if<Shape>(&value); shape && !is_known(*shape)) {
      attributes.set(name, to_shape(evaluate(*shape, bindings)));
      symbolic = true;
    }
  std::vector<TensorView> outputs;
  try {
    for (const TensorType& type : node.outputs) {
      outputs.push_back({nullptr, type.dtype, evaluate(type.shape, bindings)});
      symbolic |= !is_known(type.shape);
    }
    if (symbolic) {
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
  Placer(const Graph& graph, const std::vector<int32_t>& order, const Bindings& bindings)
      : graph_(graph), bindings_(bindings), first_value_(graph.size() + 1, 0) {
    for (int32_t id = 0; id < graph.size(); ++id)
      first_value_[id + 1] = first_value_[id] + static_cast<int>(graph.node(id).outputs.size());
    values_.resize(first_value_.back());
    find_last_reads(order);
    place_sources();
    find_overwrites(order);
    for (position_ = 0; position_ < static_cast<int>(order.size()); ++position_) add(order[position_]);
    placed_.arena_bytes = arena_.size();
    for (const Output& output : graph.outputs()) {
      placed_.results.push_back(value(output.value).view);
      placed_.result_locations.push_back(value(output.value).location);
    }
  }

  Placement result() && { return std::move(placed_); }

 private:
  static constexpr int never = 1 << 30;

  // An output of a node: where it is, which step made it, and the memory it has in the arena.
  struct PlacedValue {
    TensorView view;
    Location location;
    int producer = -1;
    int last_read = -1;  // position in the order; `never` where the caller reads it
    ArenaLayout::Block block;
    std::vector<int> readers = {};  // steps
    int32_t overwrites = -1;        // the source node whose old value it may replace
  };

  PlacedValue& value(Edge edge) { return values_[first_value_[edge.node] + edge.output]; }
  PlacedValue& memory(Edge edge) { return value(memory_of(graph_, edge)); }

  void find_last_reads(const std::vector<int32_t>& order) {
    for (size_t p = 0; p < order.size(); ++p)
      for (const Edge& edge : graph_.node(order[p]).inputs) memory(edge).last_read = static_cast<int>(p);
    for (const Output& output : graph_.outputs()) memory(output.value).last_read = never;
  }

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
      source.view = concrete_outputs(node, {}, bindings_)[0];
    }
  }

  // Updates that may be written straight over the old value by the node that makes them: nobody reads it
  // later.
  void find_overwrites(const std::vector<int32_t>& order) {
    std::vector<int> position(graph_.size(), -1);
    for (size_t p = 0; p < order.size(); ++p) position[order[p]] = static_cast<int>(p);
    std::vector<bool> is_read(values_.size());
    for (int32_t id = 0; id < graph_.size(); ++id)
      for (const Edge& edge : graph_.node(id).inputs) is_read[first_value_[edge.node] + edge.output] = true;
    for (const Output& output : graph_.outputs()) {
      const int32_t maker = output.value.node;
      if (!output.is_update || graph_.node(maker).op->traits.alias ||
          is_read[first_value_[maker] + output.value.output])
        continue;
      const Edge target{graph_.source_id(output.name), 0};
      PlacedValue& made = value(output.value);
      if (made.overwrites < 0 && value(target).last_read <= position[maker] &&
          may_overwrite(graph_, graph_.node(maker), output.value.output, target))
        made.overwrites = target.node;
    }
  }

  void add(int32_t id) {
    const Node& node = graph_.node(id);
    Step step;
    step.node = id;
    for (const Edge& edge : node.inputs) step.inputs.push_back(value(edge).view);
    step.outputs = concrete_outputs(node, step.inputs, bindings_);
    for (size_t o = 0; o < node.outputs.size(); ++o)
      value({id, static_cast<int32_t>(o)}).view = step.outputs[o];
    if (node.op->traits.alias) {
      value({id, 0}).location = value(node.inputs[0]).location;
      return;
    }

    const int at = static_cast<int>(placed_.steps.size());
    std::vector<int> predecessors;
    for (const Edge& edge : node.inputs) {
      step.input_locations.push_back(value(edge).location);
      PlacedValue& read = memory(edge);
      if (read.producer >= 0) predecessors.push_back(read.producer);
      read.readers.push_back(at);
      read.block.users.push_back(at);
    }
    std::vector<bool> taken(node.inputs.size());
    for (size_t o = 0; o < node.outputs.size(); ++o) {
      place_output(node, {id, static_cast<int32_t>(o)}, at, taken, predecessors);
      step.output_locations.push_back(value({id, static_cast<int32_t>(o)}).location);
    }
    prepare(node, step, at, predecessors);
    for (const Edge& edge : node.inputs) release_if_dead(memory(edge));
    for (size_t o = 0; o < node.outputs.size(); ++o) release_if_dead(value({id, static_cast<int32_t>(o)}));
    placed_.steps.push_back(std::move(step));
    placed_.predecessors.push_back(std::move(predecessors));
  }

  // `taken` marks the inputs whose memory another output of the same node has.
  void place_output(const Node& node, Edge edge, int at, std::vector<bool>& taken,
                    std::vector<int>& predecessors) {
    PlacedValue& made = value(edge);
    made.producer = at;
    placed_.total_bytes += made.view.bytes();
    if (made.overwrites >= 0) {
      made.location = {Location::Kind::store, static_cast<size_t>(made.overwrites)};
      for (int reader : value({made.overwrites, 0}).readers)
        if (reader != at) predecessors.push_back(reader);
      return;
    }
    for (size_t i = 0; i < node.inputs.size(); ++i) {
      const Edge root = memory_of(graph_, node.inputs[i]);
      PlacedValue& read = value(root);
      if (!may_overwrite(graph_, node, edge.output, root) || taken[i] ||
          read.location.kind != Location::Kind::arena || read.last_read != position_ ||
          value(node.inputs[i]).view.extents != made.view.extents || read.view.dtype != made.view.dtype ||
          read.block.size == 0)
        continue;
      for (size_t j = 0; j < node.inputs.size(); ++j)
        if (memory_of(graph_, node.inputs[j]) == root) taken[j] = true;
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
    if (node.op->workspace) {
      step.workspace_bytes = node.op->workspace(step.inputs, step.outputs, node.attributes);
      if (step.workspace_bytes > 0) {
        ArenaLayout::Block block = arena_.allocate(step.workspace_bytes, predecessors);
        step.workspace_offset = block.offset;
        block.users.push_back(at);
        arena_.release(std::move(block));
      }
    }
    const NoParallel no_parallel;
    const KernelContext shapes_only{*node.op, step.inputs, step.outputs, node.attributes, no_parallel};
    if (node.op->prepare) step.prepared = node.op->prepare(shapes_only);
    step.cost = cost_of(node, step);
    step.microseconds = estimated_microseconds(step.cost);
  }

  void release_if_dead(PlacedValue& dead) {
    if (dead.location.kind != Location::Kind::arena || dead.block.size == 0 || dead.last_read > position_)
      return;
    arena_.release(std::move(dead.block));
    dead.block = {};
  }

  const Graph& graph_;
  const Bindings& bindings_;
  std::vector<int> first_value_;  // of each node
  std::vector<PlacedValue> values_;
  ArenaLayout arena_;
  int position_ = 0;
  Placement placed_;
};

}  // namespace

Edge memory_of(const Graph& graph, Edge edge) {
  while (graph.node(edge.node).op->traits.alias) edge = graph.node(edge.node).inputs[0];
  return edge;
}

Placement place(const Graph& graph, const std::vector<int32_t>& order, const Bindings& bindings) {
  return Placer(graph, order, bindings).result();
}

}  // namespace lariat
