#include "frontends/recipe/tables.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "frontends/speech/analysis/feature_options.hpp"
#include "frontends/speech/augment.hpp"
#include "graph/base/error.hpp"

namespace lariat {

namespace {

constexpr double any = std::numeric_limits<double>::max();
constexpr int64_t any_integer = std::numeric_limits<int64_t>::max();

// The kind of options of an optimizer.
SpecKind spec_kind_of(const OptimizerKind& optimizer) {
  SpecKind kind{optimizer.name, optimizer.doc, {}};
  for (const OptimizerOption& option : optimizer.options) {
    const auto lowest = static_cast<int64_t>(option.lowest), highest = static_cast<int64_t>(option.highest);
    SpecOption own{{option.name, option.doc, "number", data::range_of(option.lowest, option.highest),
                    data::text_of(option.default_value)},
                   {}};
    if (option.integer) {
      own.type = "integer";
      own.range = data::range_of(lowest, highest);
      own.default_value = data::text_of(static_cast<int64_t>(option.default_value));
    }
    const data::OptionDescription described = own;
    own.normalise = [=](std::string_view text) {
      if (option.integer) return data::text_of(data::parse_integer(described, text, lowest, highest));
      return data::text_of(data::parse_number(described, text, option.lowest, option.highest));
    };
    kind.options.push_back(std::move(own));
  }
  return kind;
}

}  // namespace

const SpecKinds& optimizer_spec_kinds() {
  static const std::vector<SpecKind> owned = [] {
    std::vector<SpecKind> list;
    for (const OptimizerKind& kind : optimizer_kinds()) list.push_back(spec_kind_of(kind));
    return list;
  }();
  static const SpecKinds kinds = [] {
    SpecKinds list;
    for (const SpecKind& kind : owned) list.push_back(&kind);
    return list;
  }();
  return kinds;
}

Optimizer make_optimizer(const Spec& spec) {
  std::vector<std::pair<std::string, double>> options;
  for (const auto& [name, text] : spec.options)
    options.emplace_back(name, data::parse_number({name, {}, {}, {}, {}}, text, -any, any));
  return make_optimizer(spec.kind, options);
}

const Fields<TrainingOptions>& training_fields() {
  using T = TrainingOptions;
  static const Fields<T> fields =
      Fields<T>()
          .integer("epochs", &T::epochs, 1, 1000000, "times that all examples are seen")
          .integer("batch_size", &T::batch_size, 1, 1000000, "examples in one step")
          .integer("accumulate", &T::accumulate, 1, 1000000,
                   "a step is of so many times batch_size examples, computed batch_size at a time")
          .integer("micro_shards", &T::micro_shards, 0, 1000000,
                   "batch_size is cut into so many, whose gradients are added in one tree: by any number of "
                   "ranks; 0: not")
          .number("clip_norm", &T::clip_norm, 0, any, "largest Euclidean norm of the smooth gradient; 0: any")
          .number("clip_value", &T::clip_value, 0, any, "largest element of the smooth gradient; 0: any")
          .integer("seed", &T::seed, 0, any_integer, "of initial weights, order, dropout and augmentation")
          .boolean("bucket", &T::bucket, "put examples of similar length into one batch")
          .integer("bucket_batches", &T::bucket_batches, 1, 1000000,
                   "batches' worth of examples sorted by length at a time")
          .integer("time_multiple", &T::time_multiple, 1, 10000, "time is padded to a multiple of this")
          .number("stop_when_stationary", &T::stop_when_stationary, 0, any,
                  "end after an epoch with a prox residual of at most this; 0: not")
          .integer("stop_when_settled", &T::stop_when_settled, 0, 1000000,
                   "end after so many epochs in which the zeros stayed where they were; 0: not")
          .integer(
              "checkpoint_epochs", &T::checkpoint_epochs, 0, any_integer,
              "write a checkpoint after every so many epochs, and after the last one; 0: after each, unless "
              "checkpoints would take more than a twentieth of the time then")
          .integer("checkpoint_steps", &T::checkpoint_steps, 0, any_integer,
                   "write a checkpoint after so many steps too; 0: after epochs only")
          .number("checkpoint_minutes", &T::checkpoint_minutes, 0, any,
                  "write a checkpoint after so many minutes too; 0: after epochs only")
          .integer("checkpoint_keep", &T::checkpoint_keep, 1, 1000,
                   "the last so many checkpoints stay: MODEL.checkpoint, before it MODEL.checkpoint-1, …");
  return fields;
}

const Fields<MetricsOptions>& metrics_fields() {
  static const Fields<MetricsOptions> fields =
      Fields<MetricsOptions>().list("kinds", &MetricsOptions::kinds,
                                    "such as accuracy or f1 average=micro; empty: those of what is learned");
  return fields;
}

const Fields<GeneralPenalty>& penalty_fields() {
  using P = GeneralPenalty;
  static const Fields<P> fields =
      Fields<P>()
          .parsed("kernels", &P::kernels, weight_penalty_range,
                  "penalties of all kernels and tables that have none of their own", to_text,
                  parse_weight_penalty)
          .parsed("biases", &P::biases, weight_penalty_range,
                  "penalties of all biases that have none of their own", to_text, parse_weight_penalty)
          .list("except", &P::except, "the names of layers that are left out");
  return fields;
}

const Fields<BlockOptions>& block_fields() {
  using B = BlockOptions;
  static const Fields<B> fields =
      Fields<B>()
          .text("block", &B::block, "the NAME of [[blocks.NAME]], the layers that it stands for")
          .text("name", &B::name, "what other layers call it, and its layers NAME/dense_1, ...")
          .list("input", &B::input, "what its first layer takes; empty: the layer before")
          .text("shares", &B::shares, "another block of the same layers, whose weights it has as well");
  return fields;
}

const SpecKinds& block_spec_kinds() {
  static const SpecKind kind = block_fields().kind("block", "the layers of [[blocks.NAME]], in place of one");
  static const SpecKinds kinds{&kind};
  return kinds;
}

const Fields<OutputOptions>& output_fields() {
  using O = OutputOptions;
  static const Fields<O> fields =
      Fields<O>()
          .text("layer", &O::layer, "the name of the layer that is an output")
          .list("target", &O::target, "columns of the data that it learns; empty: that of the layer's name")
          .text("loss", &O::loss, "its loss with options, such as huber delta=2")
          .list("metrics", &O::metrics,
                "such as accuracy or f1 average=micro; empty: those of what is learned")
          .number("weight", &O::weight, 0, any, "what its loss is multiplied by");
  return fields;
}

const SpecKinds& output_spec_kinds() {
  static const SpecKind kind = output_fields().kind("", "what one of several outputs learns");
  static const SpecKinds kinds{&kind};
  return kinds;
}

const Fields<PredictionOptions>& prediction_fields() {
  using P = PredictionOptions;
  static const Fields<P> fields =
      Fields<P>()
          .numbers(
              "vtln_warps", &P::vtln_warps, 0.5, 2,
              "outputs are averaged over each recording as it is and, besides, with its formants seen at so "
              "many times their frequency, as by vtln_min")
          .numbers("speeds", &P::speeds, 0.25, 4,
                   "and so many times as fast; with vtln_warps, in every combination of both")
          .integer("beam", &P::beam, 0, 10000,
                   "with the loss ctc: how many beginnings a prefix beam search keeps at each frame; 0: the "
                   "best path, by which epochs are validated in any case");
  return fields;
}

const Fields<ProximalOptions>& proximal_fields() {
  using P = ProximalOptions;
  static const Fields<P> fields =
      Fields<P>()
          .boolean("rewrite", &P::rewrite, "turn penalties into proximal updates")
          .number("settle_from", &P::settle_from, 0, 1,
                  "share of the training after which zeros stay zero; 1: never")
          .boolean("freeze_zeros", &P::freeze_zeros,
                   "zeros that the model begins with stay zero: see lariat train --start")
          .number("ramp", &P::ramp, 0, 1, "share of the training over which penalties grow to full strength")
          .number("after_settling", &P::after_settling, 0, 1, "factor on all penalties where zeros stay zero")
          .number("target_zeros", &P::target_zeros, 0, 1,
                  "share of the penalised weights that should be zero, by the callback of that name; 0: not");
  return fields;
}

void check_effects(const ProximalOptions& proximal, const TrainingOptions& training,
                   const PenaltiesThere& penalties) {
  const auto need = [](bool given, const std::string& key, bool there, const char* what) {
    if (given && !there)
      throw UserError(key + ": has no effect, for no weight has a penalty" + what +
                      "; give a layer one, such as kernel_penalty = \"l1=1e-4\"");
  };
  constexpr const char* zeros = " that makes zeros";
  need(proximal.settle_from < 1, "[proximal] settle_from = " + data::text_of(proximal.settle_from),
       penalties.makes_zeros, zeros);
  need(training.stop_when_settled > 0,
       "[training] stop_when_settled = " + data::text_of(training.stop_when_settled), penalties.makes_zeros,
       zeros);
  need(proximal.ramp > 0, "[proximal] ramp = " + data::text_of(proximal.ramp), penalties.any, "");
  need(!proximal.rewrite, "[proximal] rewrite = false", penalties.any, "");
  if (!proximal.rewrite && proximal.target_zeros > 0)
    throw UserError(fmt::format(
        "[proximal] target_zeros = {}: no weight becomes zero with rewrite = false; leave one of the two out",
        proximal.target_zeros));
}

namespace {

struct GroupOptions {
  std::string pattern;
  double learning_rate = -1, weight_decay = -1;
};

std::string pattern_text(const std::string& pattern) { return pattern; }
std::string parse_pattern(std::string_view name, std::string_view text) {
  if (text.empty()) throw UserError(std::string(name) + " = '': must be a pattern, such as */bias");
  return std::string(text);
}

const Fields<GroupOptions>& group_fields() {
  using G = GroupOptions;
  static const Fields<G> fields =
      Fields<G>()
          .parsed("pattern", &G::pattern, "a pattern, such as */bias",
                  "names of parameters; * stands for any text, ? for any character", pattern_text,
                  parse_pattern)
          .number("learning_rate", &G::learning_rate, -1, 1e6, "their step size η; -1: the optimizer's")
          .number("weight_decay", &G::weight_decay, -1, 1e6, "their weight decay; -1: the optimizer's");
  return fields;
}

}  // namespace

ParameterGroup parameter_group(const Spec& spec) {
  const GroupOptions options = group_fields().read(spec);
  ParameterGroup group{options.pattern};
  if (options.learning_rate >= 0) group.learning_rate = options.learning_rate;
  if (options.weight_decay >= 0) group.weight_decay = options.weight_decay;
  return group;
}

const std::vector<RecipeTable>& recipe_lists() {
  static const SpecKind output = output_fields().kind("", "[[outputs]], what each of several layers learns");
  static const SpecKind group =
      group_fields().kind("", "[[groups]], parameters with a step size of their own");
  static const std::vector<RecipeTable> lists{
      {"callbacks", "[[callbacks]], what is done while training, besides", callback_spec_kinds()},
      {"groups", group.doc, {&group}},
      {"outputs", output.doc, {&output}}};
  return lists;
}

const std::vector<RecipeTable>& recipe_tables() {
  static const SpecKind features =
      Fields(speech::feature_option_table()).kind("", "how audio becomes features");
  static const SpecKind augment =
      Fields(speech::augment_option_table()).kind("", "random changes to training examples");
  static const SpecKind training = training_fields().kind("", "the training loop");
  static const SpecKind metrics = metrics_fields().kind("", "what is measured beside the loss");
  static const SpecKind penalty =
      penalty_fields().kind("", "penalties of all weights that have none of their own");
  static const SpecKind proximal = proximal_fields().kind("", "the rewrite of penalties");
  static const SpecKind prediction = prediction_fields().kind(
      "", "how recordings are heard, and symbols found, where a trained model answers");
  static const SpecKind search = search_fields().kind("", "what lariat search tries");
  static const std::vector<RecipeTable> tables = [] {
    SpecKinds data;
    for (const DataKind& kind : data_kinds()) data.push_back(&kind.spec);
    return std::vector<RecipeTable>{{"data", "where examples come from", data},
                                    {"features", features.doc, {&features}},
                                    {"augment", augment.doc, {&augment}},
                                    {"loss", "what is made small", loss_spec_kinds()},
                                    {"metrics", metrics.doc, {&metrics}},
                                    {"penalty", penalty.doc, {&penalty}},
                                    {"optimizer", "how weights move", optimizer_spec_kinds()},
                                    {"schedule", "how the learning rate changes", schedule_spec_kinds()},
                                    {"training", training.doc, {&training}},
                                    {"proximal", proximal.doc, {&proximal}},
                                    {"prediction", prediction.doc, {&prediction}},
                                    {"search", search.doc, {&search}}};
  }();
  return tables;
}

}  // namespace lariat
