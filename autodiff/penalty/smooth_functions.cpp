#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <numeric>
#include <set>
#include <unordered_map>

#include "autodiff/double_graph.hpp"
#include "autodiff/penalty/element_functions.hpp"
#include "autodiff/penalty/loss_terms.hpp"
#include "autodiff/penalty/penalty_view.hpp"
#include "graph/ir/op_def.hpp"
#include "graph/program/program.hpp"

namespace lariat {

namespace {

// A node's inputs where nothing is known but constants.
class UnknownInputs : public BendContext {
 public:
  UnknownInputs(Graph& graph, const Node& node) : BendContext(node.attributes), graph_(graph), node_(node) {}
  bool moves(size_t input) const override { return !graph_.is_constant(node_.inputs[input].node); }
  bool is_positive(size_t) const override { return false; }
  std::optional<double> number(size_t input) const override {
    return uniform_value(graph_.value(node_.inputs[input]));
  }

 private:
  Graph& graph_;
  const Node& node_;
};

// Poles, whose places functions that are piecewise linear do not tell.
bool has_poles(Graph& graph, const Node& node, ElementFunctions& functions) {
  if (node.op->traits.of_finite == Traits::OfFinite::finite || functions.scales(node)) return false;
  return !node.op->bend || node.op->bend(UnknownInputs(graph, node)) != Bend::none;
}

// The function that tells where a node bends: its own, or that of the condition which selects.
const ElementFunction* bend_of(Graph& graph, int32_t id, ElementFunctions& functions) {
  const ElementFunction& own = functions({&graph, id});
  if (own.of && own.of.node() != id) return &own;
  if (graph.node(id).op->name != "select") return nullptr;
  const ElementFunction& condition = functions(graph.value(graph.node(id).inputs[0]));
  const bool told = condition.of && condition.of.node() != graph.node(id).inputs[0].node;
  return told ? &condition : nullptr;
}

ComputedValue value_of(Edge edge, ElementFunctions& functions) {
  return {functions.equal().first(edge.node), edge.output};
}

// What a node is, element by element, a function of, all of whose kinks and leaps are told by places of that
// value.
class Arguments {
 public:
  struct Argument {
    ComputedValue of;
    bool bends;  // with a kink between
  };

  Arguments(Graph& graph, const std::vector<bool>& wanted, ElementFunctions& functions)
      : graph_(graph), functions_(functions), of_node_(wanted.size()) {
    std::vector<bool> used = wanted;
    for (size_t id = used.size(); id-- > 0;)
      for (const Edge& edge : graph_.node(static_cast<int32_t>(id)).inputs)
        if (used[id]) used[edge.node] = true;
    for (int32_t id = 0; id < static_cast<int32_t>(used.size()); ++id)
      if (const ElementFunction* bend = used[id] ? bend_at(id) : nullptr)
        bent_.insert(value_of({bend->of.node(), bend->of.output()}, functions_));
    for (int32_t id = 0; id < static_cast<int32_t>(used.size()); ++id)
      if (used[id]) of_node_[id] = found(id);
  }

  /// Where the node bends by places of one value: that value.
  std::optional<ComputedValue> bent_function_of(int32_t id) const {
    for (const Argument& argument : of_node_[id])
      if (argument.bends) return argument.of;
    return std::nullopt;
  }
  /// Whether it adds a function with known kinks to what has none, so that nothing takes them up.
  bool keeps_kinks(int32_t id) const {
    const Node& node = graph_.node(id);
    const auto bends = [&](const Edge& edge) {
      return !graph_.is_constant(edge.node) &&
             std::any_of(of_node_[edge.node].begin(), of_node_[edge.node].end(),
                         [](const Argument& argument) { return argument.bends; });
    };
    if (!node.op->traits.additive || std::count_if(node.inputs.begin(), node.inputs.end(), bends) != 1)
      return false;
    const Edge bent = *std::find_if(node.inputs.begin(), node.inputs.end(), bends);
    const ElementFunction& function = functions_(graph_.value(bent));
    return function.of && function.of.node() != bent.node && !function.all([](const PiecewiseLinear& f) {
      const std::optional<Kinks> found = kinks_of(f, 1e-6);
      return found && found->kinks.empty() && found->gaps.empty();
    });
  }

 private:
  // The function whose breaks tell where the node bends.
  const ElementFunction* bend_at(int32_t id) {
    const Node& node = graph_.node(id);
    return has_kinks(node) && !graph_.is_constant(id) && node.outputs.size() == 1
               ? bend_of(graph_, id, functions_)
               : nullptr;
  }

  std::vector<Argument> found(int32_t id) {
    if (graph_.is_constant(id)) return {};
    const Node& node = graph_.node(id);
    const ComputedValue itself = value_of({id, 0}, functions_);
    if (!node.op->traits.elementwise || node.outputs.size() != 1 || has_poles(graph_, node, functions_))
      return {{itself, false}};
    std::vector<Argument> result;
    bool first = true;
    for (const Edge& edge : node.inputs) {
      if (graph_.is_constant(edge.node)) continue;
      const std::vector<Argument>& of_input = of_node_[edge.node];
      const bool several = graph_.node(edge.node).outputs.size() > 1;
      const std::vector<Argument> input =
          several ? std::vector<Argument>{{value_of(edge, functions_), false}} : of_input;
      if (first) {
        result = input;
      } else {
        std::erase_if(result, [&](Argument& argument) {
          const auto same = std::find_if(input.begin(), input.end(),
                                         [&](const Argument& other) { return other.of == argument.of; });
          if (same != input.end()) argument.bends = argument.bends || same->bends;
          return same == input.end();
        });
      }
      first = false;
    }
    if (has_kinks(node)) {
      const ElementFunction* bend = bend_at(id);
      const auto of =
          bend ? std::optional(value_of({bend->of.node(), bend->of.output()}, functions_)) : std::nullopt;
      std::erase_if(result, [&](Argument& argument) {
        argument.bends = true;
        return argument.of != of;
      });
    }
    // Kinks further on may be told by places of this value.
    if (bent_.contains(itself)) result.push_back({itself, false});
    constexpr size_t most = 4;  // of long chains the first and the last ones
    if (result.size() > most) result.erase(result.begin() + 1);
    return result;
  }

  Graph& graph_;
  ElementFunctions& functions_;
  std::set<ComputedValue> bent_;
  std::vector<std::vector<Argument>> of_node_;
};

// The nodes that some values are computed of, down to `of`, from the last on.
using NodeSet = std::set<int32_t, std::greater<>>;
NodeSet nodes_down_to(const Graph& graph, const std::vector<int32_t>& from, ComputedValue of,
                      ElementFunctions& functions) {
  NodeSet nodes(from.begin(), from.end());
  for (auto id = nodes.begin(); id != nodes.end(); ++id)
    if (functions.equal().first(*id) != of.first)
      for (const Edge& edge : graph.node(*id).inputs) nodes.insert(edge.node);
  return nodes;
}

// Where something may bend in each element, and what distances there are compared with.
struct BendPlace {
  std::vector<double> at, size;
};

// Some functions of one value, and the places at which they may bend.
class BentFunctions {
 public:
  BentFunctions(Graph& graph, const std::vector<int32_t>& values, ComputedValue of,
                ElementFunctions& functions)
      : graph_(graph),
        values_(values),
        of_(&graph, of.first, of.second),
        functions_(functions),
        nodes_(nodes_down_to(graph, values, of, functions)) {
    bool same_for_all = true;
    for (const int32_t id : nodes_)
      if (const ElementFunction* bend = bend_at(id))
        same_for_all = same_for_all && bend->functions.size() == 1;
    const Extents extents = evaluate(of_.shape(), {});
    extents_ = same_for_all ? Extents(extents.size(), 1) : extents;
    if (!build()) {
      extents_ = extents;  // constants have more elements
      build();
    }
    find_bends();
  }

  /// Of each of the values, whether neither it nor its slope jumps at the places that are its own.
  std::vector<bool> join() {
    std::vector<bool> result(values_.size(), true);
    // Most kinks show at the first places.
    size_t together = 4;
    for (size_t from = 0; from < bends_.size(); from += together, together = 2 * together) {
      together = std::min({together, most_together(), bends_.size() - from});
      std::vector<size_t> chunk(together);
      std::iota(chunk.begin(), chunk.end(), from);
      bool any = false;
      for (size_t v = 0; v < values_.size(); ++v)
        for (const size_t place : chunk) any = any || (result[v] && is_own(values_[v], place));
      if (any) look(chunk, result);
    }
    return result;
  }

 private:
  // What values are at places moved by so much of their sizes: by value, place and element.
  using Samples = std::vector<Tensor>;
  struct Sides {
    std::array<Samples, 3> below, above;
    double width;
  };

  const ElementFunction* bend_at(int32_t id) {
    const Node& node = graph_.node(id);
    return has_kinks(node) && !graph_.is_constant(id) && functions_.equal().first(id) != of_.node()
               ? bend_of(graph_, id, functions_)
               : nullptr;
  }
  int64_t count() const { return element_count(extents_); }
  size_t most_together() const {
    constexpr int64_t elements = 1 << 14;
    return static_cast<size_t>(std::max(elements / count(), int64_t{1}));
  }

  // The values as functions of the input "z", which stands for `of` at several places. Returns whether each
  // has one element for each of z.
  bool build() {
    Graph cut;
    Shape shape = to_shape(extents_);
    shape.insert(shape.begin(), dim::batch);
    const Value z = cut.input("z", shape, of_.dtype());
    std::unordered_map<int32_t, int32_t> copies;
    for (auto id = nodes_.rbegin(); id != nodes_.rend(); ++id) {
      if (functions_.equal().first(*id) == of_.node()) {
        copies[*id] = z.node();
        continue;
      }
      const Node& node = graph_.node(*id);
      std::vector<Value> inputs;
      for (const Edge& edge : node.inputs) inputs.push_back({&cut, copies.at(edge.node), edge.output});
      copies[*id] = cut.add(*node.op, inputs, node.attributes, node.name, node.where).node();
    }
    for (size_t v = 0; v < values_.size(); ++v) {
      const Value value(&cut, copies.at(values_[v]));
      if (value.shape() != shape) return false;
      cut.output(std::to_string(v), value);
    }
    Graph wide;
    convex::copy_in_double(cut, wide);
    program_ = std::make_unique<Program>(wide);
    return true;
  }

  void find_bends() {
    std::map<std::vector<double>, size_t> known;
    std::vector<std::vector<double>> all(static_cast<size_t>(count()));  // breaks of each element
    for (auto id = nodes_.rbegin(); id != nodes_.rend(); ++id) {
      std::vector<uint64_t>& own = own_[*id];
      if (functions_.equal().first(*id) == of_.node()) continue;
      for (const Edge& edge : graph_.node(*id).inputs) {
        const std::vector<uint64_t>& of_input = own_.at(edge.node);
        own.resize(std::max(own.size(), of_input.size()));
        for (size_t word = 0; word < of_input.size(); ++word) own[word] |= of_input[word];
      }
      const ElementFunction* bend = bend_at(*id);
      if (!bend) continue;
      size_t most = 0;
      for (const PiecewiseLinear& f : bend->functions) most = std::max(most, f.breaks.size());
      for (size_t k = 0; k < most; ++k) {
        std::vector<double> at;
        for (int64_t i = 0; i < count(); ++i) {
          const std::vector<double>& breaks = bend->at(i, extents_).breaks;
          at.push_back(breaks.empty() ? 0 : breaks[std::min(k, breaks.size() - 1)]);
          if (k < breaks.size()) all[static_cast<size_t>(i)].push_back(breaks[k]);
        }
        const size_t place = known.try_emplace(std::move(at), known.size()).first->second;
        own.resize(std::max(own.size(), place / 64 + 1));
        own[place / 64] |= uint64_t{1} << (place % 64);
      }
    }
    for (std::vector<double>& breaks : all) std::sort(breaks.begin(), breaks.end());
    bends_.resize(known.size());
    for (const auto& [at, place] : known) {
      bends_[place].at = at;
      for (size_t i = 0; i < at.size(); ++i) bends_[place].size.push_back(size_at(at[i], all[i]));
    }
  }

  // Other places that are nearer than a thousandth, beside 0, are told apart.
  static double size_at(double at, const std::vector<double>& breaks) {
    double size = std::max(std::abs(at), 1e-3);
    const auto first = std::lower_bound(breaks.begin(), breaks.end(), at),
               behind = std::upper_bound(breaks.begin(), breaks.end(), at);
    if (first != breaks.begin()) size = std::min(size, at - *std::prev(first));
    if (behind != breaks.end()) size = std::min(size, *behind - at);
    return std::max(size, std::abs(at));
  }

  bool is_own(int32_t value, size_t place) const {
    const std::vector<uint64_t>& own = own_.at(value);
    return place / 64 < own.size() && (own[place / 64] >> (place % 64) & 1) != 0;
  }

  Samples at(const std::vector<size_t>& places, double by) {
    Extents extents = extents_;
    extents.insert(extents.begin(), static_cast<int64_t>(places.size()));
    Tensor z(f64, extents);
    double* next = z.data<double>();
    for (const size_t place : places)
      for (size_t i = 0; i < bends_[place].at.size(); ++i)
        *next++ = bends_[place].at[i] + by * bends_[place].size[i];
    Store none;
    return program_->run({{"z", z}}, none, *executor_);
  }
  Sides beside(const std::vector<size_t>& places, double width) {
    Sides sides{{}, {}, width};
    for (int k = 0; k < 3; ++k) {
      sides.below[k] = at(places, -width * (k + 1));
      sides.above[k] = at(places, width * (k + 1));
    }
    return sides;
  }

  // By how much value and slope differ across a place, and the size of the slopes.
  struct Jump {
    double value, slope, slopes;
  };
  static Jump jump_across(double here, const Sides& sides, size_t v, int64_t i, double size) {
    // What it tends to on one side, and with which slope, by a parabola through three points there.
    const auto limit = [&](const std::array<Samples, 3>& side, double width) {
      const double one = side[0][v].data<double>()[i], two = side[1][v].data<double>()[i],
                   three = side[2][v].data<double>()[i];
      return std::pair(3 * one - 3 * two + three, (-2.5 * one + 4 * two - 1.5 * three) / (width * size));
    };
    const auto [below, slope_below] = limit(sides.below, -sides.width);
    const auto [above, slope_above] = limit(sides.above, sides.width);
    return {std::max(std::abs(here - below), std::abs(here - above)), std::abs(slope_above - slope_below),
            std::abs(slope_above) + std::abs(slope_below) + 1e-3 * std::abs(here) / size};
  }

  // Whether no value or slope jumps, by as much however near it is looked at.
  void look(const std::vector<size_t>& places, std::vector<bool>& joins) {
    constexpr double tolerance = 1e-5;  // constants may be rounded to float
    const Samples here = at(places, 0);
    const Sides far = beside(places, 0x1p-18), near = beside(places, 0x1p-23);
    const auto jumps = [](double by, double from_far, double rounding) {
      return !(by <= rounding || by < 0.5 * from_far);
    };
    for (size_t v = 0; v < values_.size(); ++v)
      for (size_t k = 0; k < places.size() && joins[v]; ++k) {
        if (!is_own(values_[v], places[k])) continue;
        for (int64_t i = 0; i < count(); ++i) {
          const int64_t index = static_cast<int64_t>(k) * count() + i;
          const double size = bends_[places[k]].size[static_cast<size_t>(i)],
                       value = here[v].data<double>()[index];
          const Jump from_far = jump_across(value, far, v, index, size),
                     from_near = jump_across(value, near, v, index, size);
          if (jumps(from_near.value, from_far.value, tolerance * from_near.slopes * size) ||
              jumps(from_near.slope, from_far.slope, tolerance * from_near.slopes))
            joins[v] = false;
        }
      }
  }

  Graph& graph_;
  const std::vector<int32_t> values_;
  const Value of_;
  ElementFunctions& functions_;
  const NodeSet nodes_;
  Extents extents_;
  std::unique_ptr<Program> program_;
  std::unique_ptr<Executor> executor_ = make_serial_executor();
  std::vector<BendPlace> bends_;
  std::unordered_map<int32_t, std::vector<uint64_t>> own_;  // a bit for each place
};

}  // namespace

std::map<int32_t, ComputedValue> smooth_functions(Graph& graph, const std::vector<bool>& wanted,
                                                  ElementFunctions& functions) {
  const Arguments arguments(graph, wanted, functions);
  std::map<ComputedValue, std::vector<int32_t>> by_argument;
  for (int32_t id = 0; id < static_cast<int32_t>(wanted.size()); ++id) {
    const Value value(&graph, id);
    if (!wanted[id] || !is_known(value.shape()) || !is_float(value.dtype()) ||
        element_count(value.shape()) == Dim(0))
      continue;
    const std::optional<ComputedValue> of = arguments.bent_function_of(id);
    if (of && of->second == 0 && Value(&graph, of->first).shape() == value.shape() &&
        !arguments.keeps_kinks(id))
      by_argument[*of].push_back(id);
  }
  std::map<int32_t, ComputedValue> result;
  for (const auto& [of, values] : by_argument) {
    const std::vector<bool> smooth = BentFunctions(graph, values, of, functions).join();
    for (size_t v = 0; v < values.size(); ++v)
      if (smooth[v]) result.emplace(values[v], of);
  }
  return result;
}

}  // namespace lariat
