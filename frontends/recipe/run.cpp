#include "frontends/recipe/run.hpp"

#include <fmt/format.h>

#include <filesystem>

#include "frontends/recipe/checkpoint.hpp"
#include "frontends/recipe/notices.hpp"
#include "frontends/recipe/saved_model.hpp"
#include "frontends/recipe/start_scales.hpp"
#include "frontends/sequential/model_file.hpp"
#include "graph/base/error.hpp"
#include "graph/io/atomic_file.hpp"
#include "graph/io/input_file.hpp"
#include "graph/ranks/ranks.hpp"

namespace lariat {

using data::Split;

struct TrainingRun::Implementation {
  Recipe recipe;
  RunOptions options;
  Corpus corpus;
  Sequential model;
  std::optional<FrontEnd> front_end;
  // Where each epoch has its own examples.
  speech::ClipSet train_clips;
  speech::StoredClips stored_clips;
  data::Dataset train;
  std::optional<data::Dataset> validation, test;
  std::vector<std::string> skipped, notices;
  std::string identity;
  FitState from;
  std::vector<EpochReport> history;
  // Of the model that the weights are from.
  std::optional<StartScales> scales;

  Implementation(Recipe with, RunOptions given)
      : recipe(std::move(with)),
        options(std::move(given)),
        corpus(recipe, options.data, options.fold),
        model(recipe.layers()) {}

  uint64_t seed() const { return static_cast<uint64_t>(recipe.training().seed); }
  // Of what load() read, hashed once: checkpoints may follow each other within milliseconds.
  const std::string& data_identity() {
    if (identity.empty()) identity = identity_of(train, corpus.reader().columns());
    return identity;
  }
  void load();
  void load_audio();
  void prepare();
  void reload(const StartScales& with);
  void leave_short_out(data::Dataset& dataset) const;
  void note(data::Dataset& dataset);
  void say_kept(const char* what) {
    notices.push_back(
        fmt::format("means and deviations of {} are those of '{}', which its weights are of, not of these "
                    "data",
                    what, scales->model));
  }
  data::Dataset augmented(uint32_t epoch) const;
  FitOptions fit_options();
  TrainingData training_data() {
    return recipe.augments() ? TrainingData([this](uint32_t epoch) { return augmented(epoch); })
                             : TrainingData(train);
  }
  // What the training could not be measured by is to be said before it.
  void check_test() {
    if (!test) return;
    for (const std::string& warning : model.check(*test, "the test data")) warn(warning);
  }
  void warn(const std::string& warning) {
    notices.push_back(warning);
    (options.on_warning ? options.on_warning : print_warning)(warning);
  }
  void start_from(const Store& start, const std::string& what);
  void save_checkpoint(const FitState& state, const std::vector<EpochReport>& epochs);
  void save_model(const std::string& file, const RunResult* result = nullptr);
};

namespace {

// Moves FILE-1 to FILE-2 and so on, and gives what FILE is a second name, FILE-1: FILE itself is there at any
// time.
void keep_earlier(const std::string& file, int64_t keep) {
  namespace fs = std::filesystem;
  std::error_code none;
  if (keep < 2 || !fs::exists(file, none)) return;
  const auto earlier = [&](int64_t number) { return fmt::format("{}-{}", file, number); };
  for (int64_t number = keep - 1; number > 1; --number)
    fs::rename(earlier(number - 1), earlier(number), none);
  fs::remove(earlier(1), none);
  // Of a symbolic link it is the file behind it that is replaced, and must be kept.
  fs::create_hard_link(fs::canonical(file, none), earlier(1), none);
  if (!none) return;
  // Some file systems have no such links.
  AtomicFile copy(earlier(1), file);
  copy.write(InputFile(file).rest());
  copy.commit();
}

Recipe adjusted(Recipe recipe, const RunOptions& options) {
  if (options.seed) recipe.set("training.seed", fmt::format("{}", *options.seed));
  if (!options.held_out.empty()) recipe.hold_out(options.held_out);
  if (options.validation) recipe.set("data.validation", fmt::format("{}", *options.validation));
  return options.ranks ? of_ranks(std::move(recipe)) : recipe;
}

}  // namespace

Recipe of_ranks(Recipe recipe) {
  constexpr int usual = 8;
  if (recipe.training().micro_shards == 0) recipe.set("training.micro_shards", fmt::format("{}", usual));
  return recipe;
}

void agree_on_recipe(Ranks& ranks, const Recipe& recipe) {
  ranks.agree({{"another recipe", recipe.to_json(), [](const auto& here, const auto& there) {
                  return Recipe::from_json(here).first_difference(Recipe::from_json(there));
                }}});
}

// Keeps what happened while the dataset was read.
void TrainingRun::Implementation::note(data::Dataset& dataset) {
  skipped.insert(skipped.end(), dataset.skipped.begin(), dataset.skipped.end());
  notices.insert(notices.end(), dataset.notices.begin(), dataset.notices.end());
}

void TrainingRun::Implementation::leave_short_out(data::Dataset& dataset) const {
  skip_short(dataset, recipe.layers(), recipe.outputs().front().layer);
}

void TrainingRun::Implementation::load_audio() {
  const speech::FeatureOptions features = recipe.features();
  const speech::ClipList list = corpus.list(Split::train);
  const bool streamed = corpus.options().stream;
  if (streamed) {
    const int rate =
        features.sample_frequency != 0 ? features.sample_frequency : speech::first_sample_rate(list);
    front_end = FrontEnd{speech::FeatureExtractor(features, rate)};
    train = speech::stream_dataset(list, front_end->extractor, nullptr,
                                   recipe.augments() ? &stored_clips : nullptr);
  } else {
    train_clips = speech::load_clips(list, features.sample_frequency);
    front_end = FrontEnd{speech::FeatureExtractor(features, train_clips.sample_rate)};
    train = front_end->examples(train_clips);
    if (!recipe.augments()) train_clips = {};
  }
  front_end->views = recipe.views();
  check_warps(*front_end, recipe.augment());
  leave_short_out(train);
  const speech::FeatureOptions& resolved = front_end->extractor.options();
  if (resolved.cmvn == speech::Cmvn::global) {
    front_end->statistics = data::compute_cmvn(train, resolved.norm_means, resolved.norm_vars);
    if (scales && scales->keep(resolved, *front_end->statistics)) say_kept("features");
    data::apply_cmvn(*front_end->statistics, train);
  }
  const auto other = [&](Split split) {
    data::Dataset dataset = front_end->examples(corpus.list(split), streamed);
    leave_short_out(dataset);
    return dataset;
  };
  if (corpus.validates()) validation = other(Split::validation);
  if (options.test) test = other(Split::test);
}

void TrainingRun::Implementation::load() {
  if (corpus.is_audio()) {
    load_audio();
  } else {
    train = corpus.load(Split::train);
    const auto& columns = corpus.reader().columns();
    if (const auto kept = scales && columns && !options.fold ? scales->kept(*columns) : std::nullopt) {
      corpus.reader().set_columns(kept);
      train = corpus.load(Split::train);
      say_kept("columns");
    }
    if (columns) check_symbol_columns(recipe.layers(), train, *columns);
    if (corpus.validates()) validation = corpus.load(Split::validation);
    if (options.test && corpus.tests()) test = corpus.load(Split::test);
    corpus.reader().forget();
    recipe.set(corpus.reader().found());
  }
  const std::vector<std::string> of_recipe = notices_of(recipe);
  notices.insert(notices.end(), of_recipe.begin(), of_recipe.end());
  const std::string in_percent = said_of_shares(recipe);
  const auto need_examples = [&](const data::Dataset& dataset, const char* what, const char* key) {
    if (!dataset.examples.empty()) return;
    throw UserError(dataset.skipped.empty()
                        ? fmt::format("no example is left to {}, of as few as there are; {}", what,
                                      in_percent.empty() ? fmt::format("change data.{}", key) : in_percent)
                        : fmt::format("no example is left to {}; the first that was skipped: {}", what,
                                      dataset.skipped.front()));
  };
  need_examples(train, "train on", "testing and data.validation");
  if (validation) need_examples(*validation, "validate on", "validation");
  if (test && test->examples.empty()) {
    notices.push_back("no example is left for the test, of as few as there are; change data.testing");
    test.reset();
  }
  if (!train.sequences) {
    const auto need_time = [&](const char* key, int64_t value, int64_t usual) {
      if (value != usual)
        throw UserError(fmt::format(
            "[training] {} = {}: has no effect on examples without a time axis; leave it out", key, value));
    };
    const TrainingOptions training = recipe.training(), usual;
    need_time("time_multiple", training.time_multiple, usual.time_multiple);
    need_time("bucket_batches", training.bucket_batches, usual.bucket_batches);
  }
  prepare_targets(recipe, train);
  if (scales && scales->keep(recipe, train)) say_kept("targets");
  note(train);
  if (validation) note(*validation);
  if (test) note(*test);
}

data::Dataset TrainingRun::Implementation::augmented(uint32_t epoch) const {
  data::Dataset dataset;
  with_threads(options.threads, [&] {
    const speech::Augmentation augmentation{recipe.augment(), seed(), epoch};
    dataset =
        corpus.options().stream
            ? speech::stream_dataset(stored_clips, front_end->extractor,
                                     front_end->statistics ? &*front_end->statistics : nullptr, augmentation)
            : front_end->examples(train_clips, &augmentation);
    leave_short_out(dataset);
  });
  return dataset;
}

void TrainingRun::Implementation::start_from(const Store& start, const std::string& what) {
  Store& weights = model.store();
  for (const TensorZeros& tensor : model.zeros()) {
    const std::string& name = tensor.name;
    const Tensor* found = start.find(name);
    const TensorType wanted = weights.get(name).type();
    if (found == nullptr || found->type() != wanted)
      throw UserError(fmt::format(
          "{} has no tensor '{}' of type {}{}; give the recipe that it was trained by, or the model "
          "itself in its place",
          what, name, text(wanted), found == nullptr ? "" : ", but " + text(found->type())));
  }
  for (const TensorZeros& tensor : model.zeros()) weights.set(tensor.name, start.get(tensor.name).clone());
}

FitOptions TrainingRun::Implementation::fit_options() {
  FitOptions fit = recipe.fit();
  if (!options.write_logs)
    std::erase_if(fit.callbacks, [](const Callback& callback) { return callback.writes_files(); });
  fit.threads = options.threads;
  if (!is_written_in_place(options.out)) fit.out = options.out;
  fit.save = [this](const std::string& file) { save_model(file); };
  if (validation) fit.validation = *validation;
  fit.check_finite = options.check_finite;
  fit.ranks = options.ranks;
  if (options.certificate || fit.stop_when_stationary > 0) fit.certificate = train;
  fit.on_start = [this](const RewriteReport& report, const std::vector<std::string>& warnings) {
    check_test();
    notices.insert(notices.end(), warnings.begin(), warnings.end());
    if (options.on_start) options.on_start(report, warnings);
  };
  fit.on_warning = [this](const std::string& warning) { warn(warning); };
  fit.on_note = options.on_note;
  fit.on_step = options.on_step;
  fit.on_epoch_end = options.on_epoch_end;
  fit.on_checkpoint = [this](const FitState& state, const std::vector<EpochReport>& epochs) {
    save_checkpoint(state, epochs);
  };
  fit.stop = options.stop;
  fit.from = from;
  fit.earlier = history;
  return fit;
}

void TrainingRun::Implementation::save_checkpoint(const FitState& state,
                                                  const std::vector<EpochReport>& epochs) {
  from = state;
  history = epochs;
  const std::string file = checkpoint_of(options.out);
  if (file.empty() || (options.ranks && options.ranks->rank() != 0)) return;
  keep_earlier(file, recipe.training().checkpoint_keep);
  Checkpoint{model.store(),       recipe,          state, epochs, train.examples.size(),
             train.target_scales, data_identity(), scales}
      .save(file, options.out);
}

void TrainingRun::Implementation::save_model(const std::string& file, const RunResult* result) {
  std::map<std::string, std::string> notes{{"recipe", recipe.to_json()}};
  if (result != nullptr) notes["measured"] = result->measured_json();
  std::map<std::string, Tensor> tensors;
  if (front_end) write_front_end(*front_end, notes, tensors);
  if (const auto& columns = corpus.reader().columns()) notes["columns"] = data::to_json(*columns);
  model.save(file, notes, tensors);
}

std::string checkpoint_of(const std::string& out) {
  return out.empty() || is_written_in_place(out) ? "" : out + ".checkpoint";
}

// Data, and a model that is built for these.
void TrainingRun::Implementation::prepare() {
  with_threads(options.threads, [&] { load(); });
  model.compile(recipe.optimizer(), recipe.outputs());
  model.build(shape_of(train), seed());
}

// The same again, as a run with that start has them.
void TrainingRun::Implementation::reload(const StartScales& with) {
  scales = with;
  skipped.clear();
  notices.clear();
  stored_clips = {};
  validation.reset();
  test.reset();
  model = Sequential(recipe.layers());
  prepare();
}

TrainingRun::TrainingRun(Recipe recipe, RunOptions options) {
  recipe = adjusted(std::move(recipe), options);
  self_ = std::make_unique<Implementation>(std::move(recipe), std::move(options));
  if (self_->options.ranks) agree_on_recipe(*self_->options.ranks, self_->recipe);
  std::optional<Store> start;
  if (const std::string& file = self_->options.start; !file.empty()) {
    start = Store::load(file);
    check_format(*start, model_format, file);
    self_->scales = StartScales::of(*start, file);
  }
  self_->prepare();
  if (start) self_->start_from(*start, fmt::format("'{}'", self_->options.start));
  if (self_->options.start_weights != nullptr)
    self_->start_from(*self_->options.start_weights, "what is to begin with");
}

TrainingRun::TrainingRun(TrainingRun&&) noexcept = default;
TrainingRun::~TrainingRun() = default;

void TrainingRun::resume(const std::string& file) {
  Checkpoint checkpoint = Checkpoint::load(file);
  if (const std::string difference = self_->recipe.first_difference(checkpoint.recipe); !difference.empty())
    throw UserError(fmt::format("'{}' was written by another recipe: {}; give the same recipe and settings",
                                file, difference));
  if (checkpoint.train_examples != self_->train.examples.size())
    throw UserError(fmt::format("'{}' was trained on {} examples, but these data have {}; give the same data",
                                file, checkpoint.train_examples, self_->train.examples.size()));
  if (checkpoint.start_scales) self_->reload(*checkpoint.start_scales);
  if (checkpoint.target_scales != self_->train.target_scales)
    throw UserError(
        fmt::format("'{}' was trained on targets of another mean or deviation; give the same data", file));
  const std::string& identity = self_->data_identity();
  if (const std::string difference =
          checkpoint.data.empty() ? "" : identity_difference(checkpoint.data, identity);
      !difference.empty())
    throw UserError(fmt::format("'{}' was trained on other data: {}; give the same data", file, difference));
  for (const auto& [name, tensor] : self_->model.store())
    if (const Tensor* found = checkpoint.store.find(name); found == nullptr || found->type() != tensor.type())
      throw UserError(fmt::format("'{}' has no tensor '{}' of type {}; start the training again", file, name,
                                  text(tensor.type())));
  for (const auto& [name, tensor] : checkpoint.store) self_->model.store().set(name, tensor);
  self_->from = checkpoint.state;
  self_->history = std::move(checkpoint.history);
}

void TrainingRun::check() {
  const FitOptions fit = self_->fit_options();
  self_->model.check_fit(self_->training_data(), fit);
  self_->check_test();
}

RunResult TrainingRun::run() {
  Implementation& self = *self_;
  const FitOptions fit = self.fit_options();
  const TrainingData data = self.training_data();
  FitResult fitted;
  try {
    fitted = self.model.fit(data, fit);
  } catch (const JobError& error) {
    const std::string checkpoint = checkpoint_of(self.options.out);
    if (self.history.empty() || checkpoint.empty()) throw;
    throw JobError(fmt::format("{}; '{}' holds the state after epoch {}", error.what(), checkpoint,
                               self.history.size()));
  }
  RunResult result;
  result.history = fitted.epochs;
  result.stopped = fitted.stopped;
  result.ended = fitted.ended;
  result.checkpoint = checkpoint_of(self.options.out);
  if (!fitted.stopped) {
    self.model.round_weights(self.options.weights);
    if (self.validation) result.validation = evaluate(Split::validation);
    if (self.test) result.test = evaluate(Split::test);
    const auto time_multiple = static_cast<int>(self.recipe.training().time_multiple);
    if (self.options.certify)
      result.certificate =
          self.model.certify(self.train, {.batch_size = 256, .time_multiple = time_multiple});
    if (!self.options.out.empty()) self.save_model(self.options.out, &result);
    result.model = self.options.out;
  }
  result.task = self.model.network().task->name;
  result.classes = self.model.shape().classes;
  result.train_examples = self.train.examples.size();
  result.tensors = self.model.zeros();
  result.weights = total(result.tensors);
  result.penalised = total(result.tensors, true);
  result.report = self.model.report();
  for (const EpochReport& epoch : result.history) result.seconds += epoch.seconds;
  result.seconds += fitted.state.seconds;
  result.seed = self.seed();
  result.threads = self.model.threads();
  if (self.options.ranks) {
    result.ranks = self.options.ranks->size();
    result.traffic = self.options.ranks->traffic();
  }
  result.state_hash = fmt::format("{:016x}", self.model.parameter_hash());
  result.training_state_hash = fmt::format("{:016x}", self.model.store().hash());
  result.skipped = self.skipped;
  result.notices = self.notices;
  result.recipe = self.recipe.to_json();
  return result;
}

const data::Dataset* TrainingRun::examples(Split split) const {
  if (split == Split::validation) return self_->validation ? &*self_->validation : nullptr;
  if (split == Split::test) return self_->test ? &*self_->test : nullptr;
  return &self_->train;
}

Evaluation TrainingRun::evaluate(Split split) {
  const data::Dataset* dataset = examples(split);
  if (dataset == nullptr)
    throw UserError("the run has not loaded that split; set data.validation, or do not leave the test out");
  return self_->model.evaluate(*dataset,
                               {.time_multiple = static_cast<int>(self_->recipe.training().time_multiple),
                                .beam = self_->recipe.beam()});
}

const Recipe& TrainingRun::recipe() const { return self_->recipe; }
Sequential& TrainingRun::model() { return self_->model; }
size_t TrainingRun::train_examples() const { return self_->train.examples.size(); }
size_t TrainingRun::validation_examples() const {
  return self_->validation ? self_->validation->examples.size() : 0;
}
const std::vector<std::string>& TrainingRun::skipped() const { return self_->skipped; }
const std::vector<std::string>& TrainingRun::notices() const { return self_->notices; }

}  // namespace lariat
