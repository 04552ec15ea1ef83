#include "graph/exec/plan.hpp"

#include <algorithm>
#include <map>

#include "graph/error.hpp"
#include "graph/exec/arena.hpp"

namespace lariat {

namespace {

// Steps below this are run together: a task of its own would cost more than the work.
constexpr double grain_microseconds = 10;

// The address space of one process; sums of many such sizes still fit size_t.
constexpr int64_t largest_buffer = int64_t{1} << 47;

struct NoParallel final : ParallelFor {
  void run(int64_t, int64_t, const std::function<void(int64_t, int64_t)>&) const override {
    throw InternalError("internal fault: work is started while a plan is made");
  }
};

bool is_source(const Node& node) { return node.op->traits.source != SourceKind::none; }

// roofline guess: 20 GFLOP/s of plain code, 10 GB/s of memory
double estimate(const Cost& cost) { return 0.2 + std::max(cost.flops / 20e3, cost.bytes / 10e3); }

// Follows alias nodes to the output whose memory they show.
Edge root_of(const Graph& graph, Edge edge) {
  while (graph.node(edge.node).op->traits.alias) edge = graph.node(edge.node).inputs[0];
  return edge;
}

// Whether `node` reads the memory of `root` only element by element in its outputs' shape, so that an output
// may overwrite it.
bool may_overwrite(const Graph& graph, const Node& node, Edge root) {
  if (!node.op->traits.elementwise) return false;
  bool reads = false;
  for (const Edge& edge : node.inputs) {
    if (root_of(graph, edge) != root) continue;
    if (graph.type(edge) != node.outputs[0]) return false;
    reads = true;
  }
  return reads;
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
    if (const auto* shape = std::get_if<Shape>(&value)) {
      const Shape known = to_shape(evaluate(*shape, bindings));
      symbolic |= known != *shape;
      attributes.set(name, known);
    }
  std::vector<TensorView> outputs;
  try {
    for (const TensorType& type : node.outputs) {
      outputs.push_back({nullptr, type.dtype, evaluate(type.shape, bindings)});
      symbolic |= to_shape(outputs.back().extents) != type.shape;
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

}  // namespace

Plan::Plan(const Graph& graph, const Bindings& bindings) : graph_(graph) {
  std::vector<int32_t> nodes;
  order(nodes);
  place(nodes, bindings);
  group();
}

void Plan::order(std::vector<int32_t>& nodes) {
  std::vector<Edge> roots;
  for (const Output& output : graph_.outputs()) roots.push_back(output.value);
  const std::vector<bool> live = ancestors(graph_, roots);
  const auto readers = users(graph_);

  // A node that only makes updates runs as soon as its inputs are there and everyone else has read the old
  // values, perhaps through views: gradients then die early and updates are done in place.
  std::vector<bool> only_updates(graph_.size());
  for (const Output& output : graph_.outputs())
    if (output.is_update && readers[output.value.node].empty()) only_updates[output.value.node] = true;
  std::vector<int32_t> last_reader(graph_.size(), 0);
  for (int32_t id = 0; id < graph_.size(); ++id)
    if (live[id] && !only_updates[id])
      for (const Edge& edge : graph_.node(id).inputs) last_reader[root_of(graph_, edge).node] = id;
  std::vector<int32_t> key(graph_.size());
  for (int32_t id = 0; id < graph_.size(); ++id) {
    key[id] = id;
    if (!only_updates[id]) continue;
    int32_t earliest = 0;
    for (const Edge& edge : graph_.node(id).inputs) {
      earliest = std::max(earliest, edge.node);
      const Edge root = root_of(graph_, edge);
      if (is_source(graph_.node(root.node))) earliest = std::max(earliest, last_reader[root.node]);
    }
    key[id] = earliest;
  }
  for (int32_t id = 0; id < graph_.size(); ++id)
    if (live[id] && !is_source(graph_.node(id))) nodes.push_back(id);
  std::stable_sort(nodes.begin(), nodes.end(), [&](int32_t a, int32_t b) {
    return key[a] != key[b] ? key[a] < key[b] : (key[a] == a) > (key[b] == b);
  });
}

void Plan::place(const std::vector<int32_t>& nodes, const Bindings& bindings) {
  // Per output of a node: where it is, which step made it, and how long its memory must stay.
  std::vector<int> first_value(graph_.size() + 1, 0);
  for (int32_t id = 0; id < graph_.size(); ++id)
    first_value[id + 1] = first_value[id] + static_cast<int>(graph_.node(id).outputs.size());
  const auto value_of = [&](Edge edge) { return first_value[edge.node] + edge.output; };
  const int values = first_value.back();
  std::vector<TensorView> views(values);
  std::vector<Location> locations(values);
  std::vector<int> producer(values, -1), last_read(values, -1);
  std::vector<bool> kept(values, false);
  std::vector<ArenaLayout::Block> blocks(values);
  std::vector<std::vector<int>> source_readers(graph_.size());

  constexpr int never = 1 << 30;
  for (const Output& output : graph_.outputs()) kept[value_of(root_of(graph_, output.value))] = true;
  std::vector<int> position(graph_.size(), -1);
  for (size_t p = 0; p < nodes.size(); ++p) {
    position[nodes[p]] = static_cast<int>(p);
    for (const Edge& edge : graph_.node(nodes[p]).inputs)
      last_read[value_of(root_of(graph_, edge))] = static_cast<int>(p);
  }
  for (int v = 0; v < values; ++v)
    if (kept[v]) last_read[v] = never;

  for (int32_t id = 0; id < graph_.size(); ++id) {
    const Node& node = graph_.node(id);
    if (!is_source(node)) continue;
    const SourceKind kind = node.op->traits.source;
    locations[first_value[id]] = {kind == SourceKind::input      ? Location::Kind::feed
                                  : kind == SourceKind::constant ? Location::Kind::constant
                                                                 : Location::Kind::store,
                                  static_cast<size_t>(id)};
    views[first_value[id]] = concrete_outputs(node, {}, bindings)[0];
  }

  // Updates that may be written straight over the old value, by the producing output: nobody reads it later.
  std::map<int, int32_t> overwrites;
  const auto readers = users(graph_);
  std::map<std::string, int32_t, std::less<>> store_nodes;
  for (int32_t id = 0; id < graph_.size(); ++id) {
    const SourceKind kind = graph_.node(id).op->traits.source;
    if (kind == SourceKind::parameter || kind == SourceKind::state) store_nodes[graph_.node(id).name] = id;
  }
  for (const Output& output : graph_.outputs()) {
    if (!output.is_update || graph_.node(output.value.node).op->traits.alias) continue;
    const int32_t target = store_nodes.at(output.name);
    if (readers[output.value.node].empty() && last_read[first_value[target]] <= position[output.value.node] &&
        !overwrites.contains(value_of(output.value)) &&
        may_overwrite(graph_, graph_.node(output.value.node), {target, 0}))
      overwrites[value_of(output.value)] = target;
  }

  ArenaLayout arena;
  NoParallel no_parallel;
  const auto count_reader = [&](Edge edge, int step) {
    const Edge root = root_of(graph_, edge);
    blocks[value_of(root)].users.push_back(step);
    if (is_source(graph_.node(root.node))) source_readers[root.node].push_back(step);
  };
  for (size_t p = 0; p < nodes.size(); ++p) {
    const int32_t id = nodes[p];
    const Node& node = graph_.node(id);
    std::vector<TensorView> inputs;
    for (const Edge& edge : node.inputs) inputs.push_back(views[value_of(edge)]);
    const std::vector<TensorView> outputs = concrete_outputs(node, inputs, bindings);
    std::copy(outputs.begin(), outputs.end(), views.begin() + first_value[id]);
    if (node.op->traits.alias) {
      const int v = first_value[id];
      locations[v] = locations[value_of(node.inputs[0])];
      producer[v] = producer[value_of(root_of(graph_, node.inputs[0]))];
      continue;
    }
    Step step{.node = id, .inputs = std::move(inputs), .outputs = outputs};
    const int at = static_cast<int>(steps_.size());
    std::vector<int> predecessors;
    for (const Edge& edge : node.inputs) {
      step.input_locations.push_back(locations[value_of(edge)]);
      const int made_by = producer[value_of(root_of(graph_, edge))];
      if (made_by >= 0) predecessors.push_back(made_by);
      count_reader(edge, at);
    }
    std::vector<bool> taken(node.inputs.size());
    for (size_t o = 0; o < node.outputs.size(); ++o) {
      const int v = first_value[id] + static_cast<int>(o);
      total_bytes_ += views[v].bytes();
      producer[v] = at;
      if (const auto target = overwrites.find(v); target != overwrites.end()) {
        locations[v] = {Location::Kind::store, static_cast<size_t>(target->second)};
        for (int reader : source_readers[target->second])
          if (reader != at) predecessors.push_back(reader);
        continue;
      }
      int reused = -1;
      for (size_t i = 0; i < node.inputs.size() && reused < 0; ++i) {
        const Edge root = root_of(graph_, node.inputs[i]);
        const int r = value_of(root);
        const bool allowed = may_overwrite(graph_, node, root) ||
                             (o == 0 && node.op->traits.in_place_input == static_cast<int>(i));
        if (allowed && !taken[i] && locations[r].kind == Location::Kind::arena &&
            last_read[r] == static_cast<int>(p) &&
            views[value_of(node.inputs[i])].extents == views[v].extents && views[r].dtype == views[v].dtype &&
            blocks[r].size > 0) {
          reused = r;
          for (size_t j = 0; j < node.inputs.size(); ++j)
            if (root_of(graph_, node.inputs[j]) == root) taken[j] = true;
        }
      }
      if (reused >= 0) {
        locations[v] = locations[reused];
        for (int user : blocks[reused].users)
          if (user != at) predecessors.push_back(user);
        blocks[v] = {blocks[reused].offset, blocks[reused].size, {at}};
        blocks[reused] = {};
      } else {
        blocks[v] = arena.allocate(views[v].bytes(), predecessors);
        blocks[v].users.push_back(at);
        locations[v] = {Location::Kind::arena, blocks[v].offset};
      }
    }
    for (size_t o = 0; o < node.outputs.size(); ++o)
      step.output_locations.push_back(locations[first_value[id] + o]);
    if (node.op->workspace) {
      step.workspace_bytes = node.op->workspace(step.inputs, step.outputs, node.attributes);
      if (step.workspace_bytes > 0) {
        ArenaLayout::Block block = arena.allocate(step.workspace_bytes, predecessors);
        step.workspace_offset = block.offset;
        block.users.push_back(at);
        arena.release(std::move(block));
      }
    }
    const KernelContext shapes_only{*node.op, step.inputs, step.outputs, node.attributes, no_parallel};
    if (node.op->prepare) step.prepared = node.op->prepare(shapes_only);
    Cost cost;
    if (node.op->cost) {
      cost = node.op->cost(step.inputs, step.outputs, node.attributes);
    } else {
      for (const TensorView& view : step.inputs) cost.bytes += static_cast<double>(view.bytes());
      for (const TensorView& view : step.outputs) cost.bytes += static_cast<double>(view.bytes());
    }
    step.microseconds = estimate(cost);

    const auto release_if_dead = [&](int v) {
      if (locations[v].kind == Location::Kind::arena && blocks[v].size > 0 &&
          last_read[v] <= static_cast<int>(p)) {
        arena.release(std::move(blocks[v]));
        blocks[v] = {};
      }
    };
    for (const Edge& edge : node.inputs) release_if_dead(value_of(root_of(graph_, edge)));
    for (size_t o = 0; o < node.outputs.size(); ++o) release_if_dead(first_value[id] + static_cast<int>(o));
    steps_.push_back(std::move(step));
    predecessors_.push_back(std::move(predecessors));
  }
  arena_bytes_ = arena.size();
  for (const Output& output : graph_.outputs()) {
    results_.push_back(views[value_of(output.value)]);
    result_locations_.push_back(locations[value_of(output.value)]);
  }
}

void Plan::group() {
  std::vector<int> task_of(steps_.size());
  double collected = grain_microseconds;
  for (size_t i = 0; i < steps_.size(); ++i) {
    const bool large = steps_[i].microseconds >= grain_microseconds;
    if (large || collected >= grain_microseconds) {
      tasks_.push_back({static_cast<int>(i), 0, {}, 0});
      collected = 0;
    }
    collected += steps_[i].microseconds;
    tasks_.back().last_step = static_cast<int>(i);
    task_of[i] = static_cast<int>(tasks_.size()) - 1;
  }
  for (size_t i = 0; i < steps_.size(); ++i)
    for (int before : predecessors_[i])
      if (task_of[before] != task_of[i]) tasks_[task_of[before]].successors.push_back(task_of[i]);
  for (Task& task : tasks_) {
    std::sort(task.successors.begin(), task.successors.end());
    task.successors.erase(std::unique(task.successors.begin(), task.successors.end()), task.successors.end());
    for (int next : task.successors) ++tasks_[next].predecessors;
  }
  predecessors_.clear();
}

void Plan::bind(std::byte* arena, const std::vector<void*>& source_data) {
  const auto resolve = [&](const Location& location) -> void* {
    return location.kind == Location::Kind::arena ? static_cast<void*>(arena + location.index)
                                                  : source_data[location.index];
  };
  for (Step& step : steps_) {
    for (size_t i = 0; i < step.inputs.size(); ++i) step.inputs[i].data = resolve(step.input_locations[i]);
    for (size_t o = 0; o < step.outputs.size(); ++o) step.outputs[o].data = resolve(step.output_locations[o]);
    step.workspace = arena + step.workspace_offset;
  }
  for (size_t i = 0; i < results_.size(); ++i) results_[i].data = resolve(result_locations_[i]);
}

}  // namespace lariat
