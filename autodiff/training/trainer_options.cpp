#include <fmt/format.h>

#include <cmath>
#include <set>

#include "autodiff/training/training_step.hpp"
#include "graph/base/error.hpp"
#include "graph/ir/graph.hpp"
#include "graph/ir/op_def.hpp"

namespace lariat {

namespace trainer_options_detail {

// Sources of two graphs may have the same name.
void check_graph(Value value, Value loss, const std::string& what) {
  if (!value) throw UserError(fmt::format("{} is an empty Value; build the value first", what));
  if (&value.graph() != &loss.graph())
    throw UserError(
        fmt::format("{} is {}, which belongs to another graph than the loss; take it from the loss's", what,
                    text(value)));
}

std::string check_scalar_input(Value value, Value loss, const std::string& what) {
  check_graph(value, loss, what);
  const Node& node = loss.graph().node(value.node());
  if (node.op->traits.source != SourceKind::input || value.rank() != 0)
    throw UserError(
        fmt::format("{} is {}, {}; it must be a scalar input, as Graph::input(\"name\", {{}}) makes", what,
                    text(value), text(value.type())));
  return node.name;
}

}  // namespace trainer_options_detail

void check_given(Value loss, const Optimizer& optimizer, const TrainerOptions& options) {
  using namespace trainer_options_detail;
  if (!optimizer.propose && !optimizer.joint)
    throw UserError(
        fmt::format("the optimizer '{}' has no function `propose`; give it one, or take one such as Adam{{}}",
                    optimizer.name));
  if (!options.schedule)
    throw UserError(
        "the trainer's schedule is an empty function; give it one, such as schedule::constant(), or leave it "
        "out");
  for (const Value parameter : options.parameters) check_graph(parameter, loss, "a parameter to train");
  std::set<std::string> names;
  for (const auto& [input, schedule] : options.scheduled) {
    const std::string name = check_scalar_input(input, loss, "what is scheduled");
    if (!schedule)
      throw UserError(fmt::format(
          "the schedule of '{}' is an empty function; give it one, such as schedule::constant()", name));
    if (!names.insert(name).second)
      throw UserError(fmt::format("'{}' is scheduled twice; give it one schedule", name));
  }
  for (const auto& [input, value] : options.full_strength) {
    const std::string name = check_scalar_input(input, loss, "what has a full strength");
    if (!std::isfinite(value))
      throw UserError(fmt::format("the full strength of '{}' is {}; it must be a number", name, value));
  }
  if (options.micro_shards < 0)
    throw UserError(
        fmt::format("micro_shards is {}; it must be 1 or more, or 0 for none", options.micro_shards));
  for (const StepRewrite& rewrite : options.step_rewrites)
    if (!rewrite.run)
      throw UserError(fmt::format("the step rewrite '{}' is an empty function; give it one, or leave it out",
                                  rewrite.name));
}

void feed_once(Feeds& feeds, const std::string& input, const Tensor& tensor) {
  if (!feeds.emplace(input, tensor).second)
    throw UserError(fmt::format("'{}' is fed twice; feed each input once", input));
}

void refuse_own_feeds(const Feeds& feeds, const TrainerOptions& options) {
  for (const auto& [name, tensor] : feeds)
    if (name.starts_with("trainer/"))
      throw UserError(
          fmt::format("'{}' was fed to a trainer's step, which feeds it itself; leave it out", name));
  for (const auto& [input, schedule] : options.scheduled)
    if (const std::string name = input.name(); feeds.contains(name))
      throw UserError(fmt::format(
          "'{}' is scheduled, and was fed to a step as well; leave it out of one of the two", name));
}

}  // namespace lariat
