#include "frontends/cli/training_step.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "frontends/cli/console.hpp"
#include "frontends/cli/table.hpp"
#include "frontends/recipe/corpus.hpp"
#include "frontends/sequential/fit_loop.hpp"
#include "frontends/sequential/trainer_setup.hpp"
#include "graph/base/error.hpp"
#include "graph/exec/trace.hpp"

namespace lariat::cli {

using data::Split;

namespace {

constexpr int assumed_rate = 8000, assumed_classes = 10;
constexpr int profiled_steps = 5;

std::vector<std::string> numbered_classes(int count) {
  std::vector<std::string> classes;
  for (int i = 0; i < count; ++i) classes.push_back(fmt::format("{}", i));
  return classes;
}

// The first recording that can be read decides the rate, as it does in training.
int rate_of(const Recipe& recipe, const speech::ClipList& list) {
  if (const int fixed = recipe.features().sample_frequency; fixed != 0) return fixed;
  for (const speech::ClipList::Entry& entry : list.entries) {
    try {
      return speech::sample_rate_of(entry.file);
    } catch (const UserError&) {
      continue;
    }
  }
  return assumed_rate;
}

// Where the time of a step goes: shares are of the time that all nodes took, wherever they ran.
std::string time_by_op(const Trace& trace, double steps) {
  const std::vector<Trace::OpTotal> totals = trace.totals();
  double all = 0;
  for (const Trace::OpTotal& total : totals) all += total.microseconds;
  std::vector<std::vector<std::string>> rows{{"op", "runs", "us a step", "share", "GFLOP/s", "GB/s"}};
  for (const Trace::OpTotal& t : totals)
    rows.push_back({t.op, fmt::format("{:.0f}", static_cast<double>(t.runs) / steps),
                    fmt::format("{:.0f}", t.microseconds / steps),
                    fmt::format("{:.1f}%", 100 * t.microseconds / all),
                    fmt::format("{:.1f}", t.flops / t.microseconds / 1e3),
                    fmt::format("{:.1f}", t.bytes / t.microseconds / 1e3)});
  return columns(rows);
}

}  // namespace

DataShape recipe_shape(const Recipe& recipe, const std::string& folder, std::string& notice) {
  const DataKind& kind = data_kind_of(recipe.table("data"));
  const bool audio = kind.form == DataForm::recordings;
  if (folder.empty() && recipe.data().path.empty()) {
    const auto& labels = recipe.data().labels;
    auto classes = labels.empty() ? numbered_classes(assumed_classes) : labels;
    if (const std::string& positive = recipe.data().positive; !positive.empty())
      classes = {"not " + positive, positive};
    if (!audio && kind.usual_dimensions == 0)
      throw UserError(fmt::format("[data] kind = {}: what the {} are is known by them alone; give --data",
                                  kind.spec.name, kind.form == DataForm::images ? "images" : "rows"));
    if (!audio) {
      notice = fmt::format("no data are given: taking {} pixels and {} classes", kind.usual_dimensions,
                           classes.size());
      return {false, kind.usual_dimensions, classes};
    }
    const speech::FeatureExtractor extractor(recipe.features(), assumed_rate);
    notice = fmt::format("no data are given: taking {} Hz and {} classes",
                         extractor.options().sample_frequency, classes.size());
    return {true, extractor.dimensions(), classes};
  }
  Corpus corpus(recipe, folder);
  if (!audio) {
    data::Dataset train = corpus.load(Split::train);
    prepare_targets(recipe, train);
    return shape_of(train);
  }
  const speech::ClipList list = corpus.list(Split::train);
  return {true, speech::FeatureExtractor(recipe.features(), rate_of(recipe, list)).dimensions(),
          list.classes};
}

TrainingStep make_training_step(const Recipe& recipe, const DataShape& shape, int threads,
                                const std::shared_ptr<Ranks>& ranks) {
  TrainingStep step{shape, build_network(recipe.layers(), shape, recipe.outputs()), nullptr, nullptr};
  FitOptions options = recipe.fit();
  options.threads = threads;
  options.ranks = ranks;
  // How many steps an epoch has changes nothing in the graph.
  constexpr int64_t assumed_steps = 1000000000;
  Optimizer optimizer = recipe.optimizer();
  TrainerSetup setup = trainer_setup(step.network, options, {.total_steps = assumed_steps * options.epochs},
                                     std::make_shared<FitCallbacks>(options.callbacks), optimizer);
  // The trainer shows its graph as it runs, after all passes; an optimizer sees the one that they begin with.
  const Graph* written = nullptr;
  optimizer.propose = [propose = optimizer.propose, &written](UpdateContext& context) {
    written = &context.parameter.graph();
    return propose(context);
  };
  step.trainer = std::make_unique<Trainer>(setup.loss, optimizer, std::move(setup.options));
  step.written = written;
  return step;
}

std::string profile_training(Recipe recipe, const std::string& folder, int threads, const std::string& file,
                             const std::shared_ptr<Ranks>& ranks) {
  if (ranks) {
    recipe = of_ranks(std::move(recipe));
    agree_on_recipe(*ranks, recipe);
  }
  Corpus corpus(recipe, folder);
  const auto wanted = static_cast<size_t>(recipe.training().batch_size * profiled_steps);
  data::Dataset dataset;
  if (corpus.is_audio()) {
    speech::ClipList list = corpus.list(Split::train);
    // Taken from everywhere, for the list is sorted by class.
    std::vector<speech::ClipList::Entry> chosen;
    const size_t stride = std::max<size_t>(1, list.entries.size() / wanted);
    for (size_t i = 0; i < list.entries.size() && chosen.size() < wanted; i += stride)
      chosen.push_back(list.entries[i]);
    list.entries = std::move(chosen);
    const speech::ClipSet clips = speech::load_clips(list, recipe.features().sample_frequency);
    dataset = FrontEnd{speech::FeatureExtractor(recipe.features(), clips.sample_rate)}.examples(clips);
    skip_short(dataset, recipe.layers(), recipe.outputs().front().layer);
    if (recipe.features().cmvn == speech::Cmvn::global)
      data::apply_cmvn(data::compute_cmvn(dataset), dataset);
  } else {
    dataset = corpus.load(Split::train);
    prepare_targets(recipe, dataset);
  }
  const DataShape shape = shape_of(dataset);
  TrainingStep step = make_training_step(recipe, shape, threads, ranks);
  const FitOptions options = recipe.fit();
  const data::Batches batches = training_batches(dataset, options);

  Trace trace;
  size_t arena = 0, total = 0;
  const size_t steps = std::min<size_t>(batches.size(), profiled_steps);
  for (size_t i = 0; i < steps; ++i) {
    const Feeds feeds = feeds_of(batches[i], *step.network.graph);
    const Plan& plan = step.trainer->plan(feeds);
    arena = std::max(arena, plan.arena_bytes());
    total = std::max(total, plan.total_bytes());
    step.trainer->executor().record(&trace);
    size_t examples = 0;
    step_on(*step.trainer, *step.network.graph, batches, i, options, examples);
    step.trainer->executor().record(nullptr);
  }
  if (!ranks || ranks->rank() == 0) trace.save(file);
  return fmt::format(
      "{}: {} events of {} steps; temporaries take {} ({} without reuse); open it at ui.perfetto.dev\n{}",
      file, trace.size(), steps, bytes_text(static_cast<double>(arena)),
      bytes_text(static_cast<double>(total)), time_by_op(trace, static_cast<double>(steps)));
}

}  // namespace lariat::cli
