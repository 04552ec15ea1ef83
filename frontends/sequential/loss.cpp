#include "frontends/sequential/loss.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "frontends/sequential/learning_records.hpp"
#include "graph/base/error.hpp"
#include "ops/ops.hpp"

namespace lariat {

const LearningTask& task_of(const Loss& loss, const DataShape& shape) {
  const LearningTask& task = task_named(loss.task ? loss.task(shape) : "classes");
  task.check_shape(shape, loss.name);
  return task;
}

void check_standardised(const Loss& loss) {
  if (loss.of_direction)
    throw UserError(
        fmt::format("{} learns the direction of its targets from 0, which standardised ones have lost; leave "
                    "standardize_targets out, or take mean_squared_error",
                    loss.name));
}

const std::vector<LossKind>& loss_kinds() {
  static const std::vector<LossKind> kinds = [] {
    std::vector<LossKind> list = {
#define LARIAT_LOSS(name) loss_records::name(),
#include "loss_records.inc"
#undef LARIAT_LOSS
    };
    std::stable_partition(list.begin(), list.end(), [](const LossKind& kind) {
      return kind.spec.name == Loss(SoftmaxCrossEntropy{}).name;
    });
    return list;
  }();
  return kinds;
}

const SpecKinds& loss_spec_kinds() {
  static const SpecKinds kinds = [] {
    SpecKinds result;
    for (const LossKind& kind : loss_kinds()) result.push_back(&kind.spec);
    return result;
  }();
  return kinds;
}

Loss make_loss(const Spec& spec) {
  const auto found = std::find_if(loss_kinds().begin(), loss_kinds().end(),
                                  [&](const LossKind& kind) { return kind.spec.name == spec.kind; });
  require(found != loss_kinds().end(), "a loss is of a listed kind");
  return found->make(spec);
}

Loss make_loss(std::string_view text) { return make_loss(spec_from_text(loss_spec_kinds(), text, "loss")); }

namespace loss_parts {

std::string classes(const DataShape&) { return "classes"; }
std::string binary_or_labels(const DataShape& shape) { return shape.targets.width > 1 ? "labels" : "binary"; }
std::string numbers(const DataShape&) { return "numbers"; }

Value shares(Value targets, Value like) {
  return targets.dtype() == i32 ? one_hot(targets, like.shape().back().size(), like.dtype()) : targets;
}

namespace {

// A number for each class, [classes].
Value class_weights(Graph& graph, int64_t classes, const std::vector<double>& weights) {
  if (static_cast<int64_t>(weights.size()) != classes)
    throw UserError(fmt::format("class_weights are {} numbers, but there are {} classes; give one for each",
                                weights.size(), classes));
  if (std::all_of(weights.begin(), weights.end(), [](double weight) { return weight == 0; }))
    throw UserError("class_weights are all 0, so that nothing is learned; give one above 0");
  const std::vector<float> numbers(weights.begin(), weights.end());
  return graph.constant(Tensor::of<float>({classes}, std::span<const float>(numbers)));
}

}  // namespace

Value weighted(Value loss, Value labels, int64_t classes, const std::vector<double>& weights) {
  return weights.empty() ? loss : loss * gather_rows(class_weights(loss.graph(), classes, weights), labels);
}

Value weighted_shares(Value targets, Value like, const std::vector<double>& weights) {
  const Value all = shares(targets, like);
  return weights.empty() ? all : all * class_weights(like.graph(), like.shape().back().size(), weights);
}

}  // namespace loss_parts

}  // namespace lariat
