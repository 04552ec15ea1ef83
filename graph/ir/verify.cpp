#include "graph/ir/verify.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <unordered_map>
#include <unordered_set>

#include "graph/base/error.hpp"
#include "graph/ir/graph.hpp"
#include "graph/ir/op_def.hpp"
#include "graph/ir/print.hpp"

namespace lariat {

namespace {

struct Nested {
  const Graph* graph;
  int depth;
};

bool is_stored(const Node& node) {
  return node.op->traits.source == SourceKind::parameter || node.op->traits.source == SourceKind::state;
}

class Verifier {
 public:
  explicit Verifier(const Graph& graph) : graph_(graph) {}

  /// Checks the graph; the graphs in its attributes are left in `nested`.
  void run(std::vector<Nested>& nested, int depth) {
    for (int32_t id = 0; id < graph_.size(); ++id) {
      check_inputs(id);
      check_attributes(id);
      check_types(id);
      check_source(id);
      for (const auto& [name, value] : graph_.node(id).attributes)
        if (const auto* inner = std::get_if<std::shared_ptr<const Graph>>(&value)) {
          if (!*inner) fail(id, fmt::format("attribute '{}' holds no graph", name));
          if (depth >= max_graph_nesting)
            fail(id, fmt::format("attribute '{}' nests graphs too deeply", name));
          nested.push_back({inner->get(), depth + 1});
        }
    }
    check_outputs();
  }

 private:
  [[noreturn]] void fail(int32_t id, std::string_view what) const {
    const Node& node = graph_.node(id);
    std::string place = fmt::format("%{} [{}]", id, node.op ? node.op->name : "no op");
    if (!node.name.empty()) place += fmt::format(" '{}'", node.name);
    if (node.where.line() != 0) place += " built at " + text(node.where);
    throw InternalError(fmt::format("internal fault: {}: {}", place, what));
  }

  [[noreturn]] static void fail(const Output& output, std::string_view what) {
    throw InternalError(
        fmt::format("internal fault: {} '{}' {}", output.is_update ? "update" : "output", output.name, what));
  }

  void check_inputs(int32_t id) const {
    const Node& node = graph_.node(id);
    if (!node.op) fail(id, "has no op");
    const size_t expected = node.op->inputs.size();
    if (node.op->variadic ? node.inputs.size() < expected : node.inputs.size() != expected)
      fail(id, fmt::format("has {} inputs, the op takes {}{}", node.inputs.size(),
                           node.op->variadic ? "at least " : "", expected));
    for (size_t i = 0; i < node.inputs.size(); ++i) {
      const Edge edge = node.inputs[i];
      if (edge.node < 0 || edge.node >= id)
        fail(id, fmt::format("input {} is %{}, which does not come before it", i, edge.node));
      const size_t outputs = graph_.node(edge.node).outputs.size();
      if (edge.output < 0 || static_cast<size_t>(edge.output) >= outputs)
        fail(id, fmt::format("input {} is %{}.{}, which has {} outputs", i, edge.node, edge.output, outputs));
    }
  }

  void check_attributes(int32_t id) const {
    const Node& node = graph_.node(id);
    const std::vector<AttributeSpec>& specs = node.op->attributes;
    for (const auto& [name, value] : node.attributes) {
      const auto spec =
          std::find_if(specs.begin(), specs.end(), [&](const auto& s) { return s.name == name; });
      if (spec == specs.end()) fail(id, fmt::format("the record names no attribute '{}'", name));
      if (value.index() != static_cast<size_t>(spec->kind))
        fail(id, fmt::format("attribute '{}' is not {}", name, name_of(spec->kind)));
      const auto* real = std::get_if<double>(&value);
      const auto* integer = std::get_if<int64_t>(&value);
      if (!real && !integer) continue;
      const double number = real ? *real : static_cast<double>(*integer);
      if (!(number >= spec->minimum && number <= spec->maximum))
        fail(id, fmt::format("attribute '{}' is {}, outside [{}, {}]", name, number, spec->minimum,
                             spec->maximum));
    }
    for (const AttributeSpec& spec : specs)
      if (!node.attributes.find(spec.name)) fail(id, fmt::format("attribute '{}' is missing", spec.name));
  }

  void check_types(int32_t id) {
    const Node& node = graph_.node(id);
    if (!node.op->variadic_outputs && node.outputs.size() != node.op->outputs.size())
      fail(id, fmt::format("has {} outputs, the op makes {}", node.outputs.size(), node.op->outputs.size()));
    // The types of other nodes are written over, so that their shapes keep their memory.
    if (inputs_.size() < node.inputs.size()) inputs_.resize(node.inputs.size());
    for (size_t i = 0; i < node.inputs.size(); ++i) inputs_[i] = graph_.type(node.inputs[i]);
    std::vector<TensorType> inferred;
    try {
      inferred = node.op->infer(InferContext({inputs_.data(), node.inputs.size()}, node.attributes));
    } catch (const UserError& error) {
      fail(id, fmt::format("the op refuses its inputs: {}", error.what()));
    }
    if (inferred.size() != node.outputs.size())
      fail(id, fmt::format("{} types are inferred for {} outputs", inferred.size(), node.outputs.size()));
    for (size_t i = 0; i < inferred.size(); ++i)
      if (inferred[i] != node.outputs[i])
        fail(id,
             fmt::format("output {} is {}, the op infers {}", i, text(node.outputs[i]), text(inferred[i])));
  }

  void check_source(int32_t id) {
    const Node& node = graph_.node(id);
    if (node.op->traits.source != SourceKind::input && !is_stored(node)) return;
    if (node.name.empty()) fail(id, "a source has no name");
    const auto [other, is_new] = sources_.emplace(node.name, id);
    if (!is_new) fail(id, fmt::format("its name is also that of %{}", other->second));
    if (is_stored(node) && !is_known(node.outputs[0].shape))
      fail(id, fmt::format("the shape {} of stored data is not known", text(node.outputs[0].shape)));
    const int32_t found = graph_.source_id(node.name);
    if (found < 0) fail(id, "the graph does not find it by its name");
    if (found != id) fail(id, fmt::format("the graph finds %{} by its name", found));
  }

  void check_outputs() const {
    std::unordered_set<std::string_view> names, updated;
    for (const Output& output : graph_.outputs()) {
      const Edge edge = output.value;
      if (edge.node < 0 || edge.node >= graph_.size())
        fail(output, fmt::format("is %{}, which does not exist", edge.node));
      const size_t count = graph_.node(edge.node).outputs.size();
      if (edge.output < 0 || static_cast<size_t>(edge.output) >= count)
        fail(output, fmt::format("is %{}.{}, which has {} outputs", edge.node, edge.output, count));
      if (!(output.is_update ? updated : names).insert(output.name).second) fail(output, "exists twice");
      if (!output.is_update) continue;
      const auto target = sources_.find(output.name);
      if (target == sources_.end() || !is_stored(graph_.node(target->second)))
        fail(output, "names no parameter or state");
      const TensorType& type = graph_.node(target->second).outputs[0];
      if (graph_.type(edge) != type)
        fail(output, fmt::format("is {}, its target is {}", text(graph_.type(edge)), text(type)));
    }
  }

  const Graph& graph_;
  std::vector<TensorType> inputs_;
  std::unordered_map<std::string_view, int32_t> sources_;
};

}  // namespace

void verify(const Graph& graph) {
  std::vector<Nested> pending{{&graph, 0}};
  std::unordered_set<const Graph*> seen{&graph};
  while (!pending.empty()) {
    const Nested next = pending.back();
    pending.pop_back();
    std::vector<Nested> found;
    Verifier(*next.graph).run(found, next.depth);
    for (const Nested& nested : found)
      if (seen.insert(nested.graph).second) pending.push_back(nested);
  }
}

}  // namespace lariat
