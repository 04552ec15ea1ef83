#include "autodiff/training/divergence.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>

#include "graph/base/error.hpp"
#include "graph/exec/plan.hpp"
#include "graph/ir/op_def.hpp"
#include "graph/program/program.hpp"

namespace lariat {

namespace {

// The output whose memory an output shows: behind aliases.
Edge memory_of(const Graph& graph, Edge edge) {
  while (graph.node(edge.node).op->traits.alias) edge = graph.node(edge.node).inputs[0];
  return edge;
}

// The first element that is NaN, or else infinite, of a value that has one.
struct Flaw {
  double value = 0;
  int64_t element = 0;
};

std::optional<Flaw> flaw_of(const TensorView& view) {
  std::optional<Flaw> found;
  with_type(view.dtype, [&](auto zero) {
    const auto* x = view.as<decltype(zero)>();
    for (int64_t i = 0; i < view.count(); ++i) {
      const auto value = static_cast<double>(x[i]);
      if (std::isfinite(value) || (found && !std::isnan(value))) continue;
      // NaN has a sign, which says nothing.
      found = Flaw{std::isnan(value) ? std::abs(value) : value, i};
      if (std::isnan(value)) return;
    }
  });
  return found;
}

// The element of an operand that an element-wise op reads for element `index` of its result.
double operand_at(const Tensor& operand, const Extents& result, int64_t index) {
  int64_t offset = 0, stride = 1;
  for (size_t i = 0; i < operand.extents().size(); ++i) {
    const int64_t extent = result[result.size() - 1 - i];
    const int64_t own = operand.extents()[operand.extents().size() - 1 - i];
    offset += (own == 1 ? 0 : index % extent) * stride;
    index /= extent;
    stride *= own;
  }
  return operand.at(offset);
}

// Runs a plan step by step, and keeps which values have a flaw and what made the first ones.
class Watch final : public Executor {
 public:
  struct Origin {
    Flaw flaw;
    std::vector<double> operands;  // of the element, where the op is element-wise
    int of_nothing = -1;           // the input that has no elements, and its extents
    Extents extents = {};
  };

  void run_plan(const Plan& plan) override {
    graph = &plan.graph();
    const auto steps = static_cast<int>(plan.steps().size());
    for (int i = 0; i < steps; ++i) {
      const Step& step = plan.steps()[i];
      const Node& node = graph->node(step.node);
      std::vector<Tensor> inputs;
      bool clean = true;
      for (size_t k = 0; k < step.inputs.size(); ++k) {
        const Edge edge = memory_of(*graph, node.inputs[k]);
        if (graph->node(edge.node).op->traits.source != SourceKind::none) note(edge, step.inputs[k]);
        clean = clean && !flaw(edge);
        inputs.emplace_back(step.inputs[k].dtype, step.inputs[k].extents);
        std::copy_n(static_cast<const std::byte*>(step.inputs[k].data), step.inputs[k].bytes(),
                    static_cast<std::byte*>(inputs.back().view().data));
      }
      failed = step.node;
      run_task(plan, Task{.first_step = i, .last_step = i});
      failed = -1;
      for (size_t o = 0; o < step.outputs.size(); ++o) {
        const Edge edge{step.node, static_cast<int32_t>(o)};
        note(edge, step.outputs[o]);
        if (!clean || !flaw(edge)) continue;
        Origin origin{*flaw(edge), {}, -1, {}};
        for (size_t k = 0; k < inputs.size(); ++k)
          if (inputs[k].count() == 0) {
            origin.of_nothing = static_cast<int>(k);
            origin.extents = inputs[k].extents();
          }
        if (node.op->traits.elementwise)
          for (const Tensor& input : inputs)
            origin.operands.push_back(operand_at(input, step.outputs[o].extents, origin.flaw.element));
        origins.emplace(step.node, origin);
      }
    }
  }
  void run(int64_t count, int64_t grain, const std::function<void(int64_t, int64_t)>& body) const override {
    for (int64_t begin = 0; begin < count; begin += grain) body(begin, std::min(begin + grain, count));
  }

  const Flaw* flaw(Edge edge) const {
    const auto found = flaws.find({edge.node, edge.output});
    return found == flaws.end() ? nullptr : &found->second;
  }
  // The input of a node that has a flaw, NaN before infinity, from `first` on; -1 for none.
  int flawed_input(int32_t id, size_t first = 0) const {
    const std::vector<Edge>& inputs = graph->node(id).inputs;
    int result = -1;
    for (size_t i = first; i < inputs.size(); ++i) {
      const Flaw* found = flaw(memory_of(*graph, inputs[i]));
      if (!found || (result >= 0 && !std::isnan(found->value))) continue;
      result = static_cast<int>(i);
      if (std::isnan(found->value)) break;
    }
    return result;
  }

  const Graph* graph = nullptr;
  int32_t failed = -1;
  std::map<int32_t, Origin> origins;

 private:
  void note(Edge edge, const TensorView& view) {
    if (const auto found = flaw_of(view)) flaws.emplace(std::pair(edge.node, edge.output), *found);
  }
  std::map<std::pair<int32_t, int32_t>, Flaw> flaws;
};

std::string without_colon(std::string place) { return place.substr(0, place.rfind(": ")); }

// "[log] 'z' built at train.cpp:31", or the node that the gradient is of.
std::string culprit(const Graph& graph, const StepParts& parts, int32_t id) {
  if (id < parts.forward_end) return without_colon(place_of(graph.node(id)));
  const int32_t of = id < static_cast<int32_t>(parts.gradient_of.size()) ? parts.gradient_of[id] : -1;
  if (of >= 0) return "the gradient of " + without_colon(place_of(graph.node(of)));
  return fmt::format("[{}]", graph.node(id).op->name);
}

// Of what is fed, or of what no data fill.
std::string advice_for_nothing(const Shape& shape, const Extents& extents) {
  for (size_t i = 0; i < shape.size(); ++i)
    if (!shape[i].known() && extents[i] == 0)
      return shape[i] == dim::batch ? "feed at least one row"
                                    : fmt::format("feed data for which '{}' is at least 1", shape[i].text());
  return "give it elements, or leave the term out";
}

std::string advice(bool in_update, const Watch::Origin& origin) {
  // Larger numbers overflow by themselves, in exp and in products; smaller ones are near a pole.
  constexpr double large = 80;
  const auto any = [&](auto&& holds) {
    return std::any_of(origin.operands.begin(), origin.operands.end(), holds);
  };
  const bool has_zero = any([](double x) { return x == 0; });
  const bool overflows = origin.operands.empty() || (!std::isnan(origin.flaw.value) && !has_zero &&
                                                     any([](double x) { return std::abs(x) > large; }));
  if (in_update)
    return overflows ? "lower the learning rate or clip the gradient" : "raise the optimizer's epsilon";
  if (overflows) return "lower the learning rate, clip the gradient or scale the data";
  return has_zero ? "keep its argument away from 0, as by adding a small number"
                  : "keep its argument where it is defined, as by maximum or clip before it";
}

}  // namespace

namespace {

// What a step is found wanting by: a value, and what it is.
struct Finding {
  Edge at;
  std::string what;
};

std::optional<Finding> found_by_check(const Watch& watch, const StepParts& parts) {
  const Graph& graph = *watch.graph;
  const Node& check = graph.node(watch.failed);
  const bool is_guard = check.op->traits.guard;
  const int input = watch.flawed_input(watch.failed, is_guard ? 1 : 0);
  if (input < 0) return std::nullopt;
  std::string what = fmt::format("the next value of '{}'", check.name);
  if (is_guard) {
    const size_t part = static_cast<size_t>(input) - 1;
    what = part < parts.loss_parts
               ? "the loss"
               : fmt::format("the gradient of '{}'", parts.guarded_gradients.at(part - parts.loss_parts));
  }
  return Finding{memory_of(graph, check.inputs[input]), what};
}

std::optional<Finding> found_in_loss(const Watch& watch) {
  for (const Output& output : watch.graph->outputs())
    if (const Edge at = memory_of(*watch.graph, output.value);
        !output.is_update && output.name == "loss" && watch.flaw(at))
      return Finding{at, "the loss"};
  return std::nullopt;
}

}  // namespace

std::string explain_divergence(const Graph& step, const StepParts& parts, const Feeds& feeds,
                               const Store& store, bool whole_loss) {
  // As it was written: every node has its own name and line.
  Program program(step, {.last = "none"});
  Watch watch;
  Store copy;
  for (const auto& [name, tensor] : store) copy.set(name, tensor.clone());
  try {
    program.run(feeds, copy, watch);
  } catch (const JobError&) {
  }
  const auto found = watch.failed >= 0 ? found_by_check(watch, parts)
                     : whole_loss      ? found_in_loss(watch)
                                       : std::nullopt;
  if (!found) return "";
  const Graph& graph = *watch.graph;
  auto [at, what] = *found;
  what += fmt::format(" is {}: ", watch.flaw(at)->value);
  for (int next = watch.flawed_input(at.node); next >= 0; next = watch.flawed_input(at.node))
    at = memory_of(graph, graph.node(at.node).inputs[next]);

  const Node& node = graph.node(at.node);
  const Flaw& flaw = *watch.flaw(at);
  if (node.op->traits.source == SourceKind::input)
    return what + fmt::format("{} is fed {} at element {}; leave such data out, or mend them",
                              without_colon(place_of(node)), flaw.value, flaw.element);
  if (node.op->traits.source != SourceKind::none)
    return what + fmt::format("{} holds {} at element {}; go on from a state that is finite",
                              without_colon(place_of(node)), flaw.value, flaw.element);
  const Watch::Origin& origin = watch.origins.at(at.node);
  std::string of = "finite values";
  if (origin.of_nothing >= 0)
    return what +
           fmt::format("{} makes {} of no elements; {}", culprit(graph, parts, at.node), flaw.value,
                       advice_for_nothing(graph.type(node.inputs[origin.of_nothing]).shape, origin.extents));
  for (size_t i = 0; i < origin.operands.size(); ++i)
    of =
        i == 0 ? fmt::format("{:g}", origin.operands[i]) : fmt::format("{} and {:g}", of, origin.operands[i]);
  return what + fmt::format("{} makes {} of {} at element {}; {}", culprit(graph, parts, at.node), flaw.value,
                            of, flaw.element, advice(at.node >= parts.backward_end, origin));
}

std::string undefined_through(double loss, const RewriteReport& report) {
  if (std::isnan(loss))
    return "the loss is nan, through its terms of parameters alone; keep their logarithms, roots and "
           "quotients "
           "where they are defined";
  return fmt::format("the loss is {}, through {}", loss, infinite_through(report));
}

std::string infinite_through(const RewriteReport& report) {
  for (const Refusal& refusal : report.refused)
    if (refusal.term == "within")
      return fmt::format(
          "the bound built at {}, which the weights have left, and no gradient leads back: {} "
          "({}); {}",
          text(refusal.where), refusal.reason, refusal.code, refusal.advice);
  return "its terms of parameters alone; lower the learning rate or the coefficients";
}

}  // namespace lariat
