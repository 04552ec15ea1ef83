#include "frontends/recipe/tables.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "frontends/speech/analysis/feature_options.hpp"
#include "frontends/speech/augment.hpp"

namespace lariat {

namespace {

constexpr double any = std::numeric_limits<double>::max();
constexpr double most = 1e6;
// Steps fit an integer, and a share of them is above 0.
constexpr double most_steps = 1e12, least_share = 1e-9;
constexpr double below_one = 0.999999;
constexpr int64_t any_integer = std::numeric_limits<int64_t>::max();

template <class Made, class... Context>
SpecKinds kinds_of(const std::vector<Choice<Made, Context...>>& choices) {
  SpecKinds kinds;
  for (const auto& choice : choices) kinds.push_back(&choice.spec);
  return kinds;
}

// An optimizer of the struct O, with the learning rate and what else `fields` has.
template <class O>
Choice<Optimizer> optimizer_choice(std::string name, std::string doc, void (*add)(Fields<O>&)) {
  Fields<O> fields;
  fields.number("learning_rate", &O::learning_rate, 0, most, "step size η");
  add(fields);
  return {fields.kind(std::move(name), std::move(doc)),
          [fields](const Spec& spec) -> Optimizer { return fields.read(spec); }};
}

template <class O>
void add_momentum(Fields<O>& fields) {
  fields.number("momentum", &O::momentum, 0, below_one, "share of the velocity that stays, β");
}

template <class O>
void add_adam(Fields<O>& fields) {
  fields.number("beta1", &O::beta1, 0, below_one, "decay of the mean gradient")
      .number("beta2", &O::beta2, 0, below_one, "decay of the mean squared gradient")
      .number("epsilon", &O::epsilon, 0, most, "added to its root");
}

void add_adamw(Fields<AdamW>& fields) {
  add_adam(fields);
  fields.number("weight_decay", &AdamW::weight_decay, 0, most,
                "η times this share of the weights is taken off at each step");
}

void add_rmsprop(Fields<RmsProp>& fields) {
  fields.number("decay", &RmsProp::decay, 0, below_one, "decay of the mean squared gradient")
      .number("epsilon", &RmsProp::epsilon, 0, most, "added to its root");
}

struct ScheduleOptions {
  double warmup = 0, last = 0, last_of_exponential = 0.01, factor = 0.5, every = 0.25;
};

// Steps as they are written: a number of them, or a share of all below 1.
int64_t steps_of(double written, int64_t all) {
  return std::llround(written < 1 ? written * static_cast<double>(all) : written);
}

Choice<Schedule, int64_t> schedule_choice(std::string name, std::string doc,
                                          void (*add)(Fields<ScheduleOptions>&),
                                          Schedule (*rest)(const ScheduleOptions&, int64_t steps)) {
  Fields<ScheduleOptions> fields;
  if (add != nullptr) add(fields);
  fields.number("warmup", &ScheduleOptions::warmup, 0, most_steps,
                "steps to rise from 0 first; below 1: as a share of all steps");
  return {fields.kind(std::move(name), std::move(doc)),
          [fields, rest](const Spec& spec, int64_t steps) -> Schedule {
            const ScheduleOptions options = fields.read(spec);
            const int64_t warmup = steps_of(options.warmup, steps);
            const Schedule after = rest(options, std::max<int64_t>(1, steps - warmup));
            return warmup > 0 ? schedule::warmup(warmup, after) : after;
          }};
}

void add_last(Fields<ScheduleOptions>& fields) {
  fields.number("last", &ScheduleOptions::last, 0, 1, "factor on the learning rate at the end");
}

void add_exponential(Fields<ScheduleOptions>& fields) {
  fields.number("last", &ScheduleOptions::last_of_exponential, 1e-9, 1,
                "factor on the learning rate at the end");
}

void add_step(Fields<ScheduleOptions>& fields) {
  fields.number("factor", &ScheduleOptions::factor, 0, 1, "what each time multiplies the learning rate by")
      .number("every", &ScheduleOptions::every, least_share, most_steps,
              "steps from one time to the next; below 1: as a share of all steps");
}

}  // namespace

const std::vector<Choice<Optimizer>>& optimizer_choices() {
  static const std::vector<Choice<Optimizer>> choices = {
      optimizer_choice<Adam>("adam", "Kingma and Ba (2015)", add_adam<Adam>),
      optimizer_choice<AdamW>("adamw", "Adam with decoupled weight decay; Loshchilov and Hutter (2019)",
                              add_adamw),
      optimizer_choice<Sgd>(
          "sgd", "gradient descent", +[](Fields<Sgd>&) {}),
      optimizer_choice<Momentum>("momentum", "gradient descent with a velocity", add_momentum<Momentum>),
      optimizer_choice<Nesterov>("nesterov", "the same, looking ahead; Sutskever et al. (2013)",
                                 add_momentum<Nesterov>),
      optimizer_choice<RmsProp>("rmsprop", "Tieleman and Hinton (2012)", add_rmsprop)};
  return choices;
}

const std::vector<Choice<Schedule, int64_t>>& schedule_choices() {
  static const std::vector<Choice<Schedule, int64_t>> choices = {
      schedule_choice("constant", "the learning rate as it is", nullptr,
                      [](const ScheduleOptions&, int64_t) { return schedule::constant(); }),
      schedule_choice(
          "cosine", "half a cosine down to `last`", add_last,
          [](const ScheduleOptions& o, int64_t steps) { return schedule::cosine(steps, o.last); }),
      schedule_choice(
          "linear", "a straight line down to `last`", add_last,
          [](const ScheduleOptions& o, int64_t steps) { return schedule::linear(steps, o.last); }),
      schedule_choice("exponential", "the same factor at each step, down to `last`", add_exponential,
                      [](const ScheduleOptions& o, int64_t steps) {
                        return schedule::exponential(o.last_of_exponential, steps);
                      }),
      schedule_choice("step", "a factor now and then", add_step, [](const ScheduleOptions& o, int64_t steps) {
        return schedule::step_decay(o.factor, std::max<int64_t>(1, steps_of(o.every, steps)));
      })};
  return choices;
}

namespace {

using D = DataOptions;

Fields<D> with_positive(Fields<D> fields) {
  return fields.text("positive", &D::positive,
                     "the one class that is told from all others, a yes or no; empty: all are");
}

Fields<D> data_fields() {
  return with_positive(Fields<D>().text("path", &D::path, "folder that holds the data"));
}

Fields<D> counted_fields(const std::string& validation) {
  return data_fields().integer("validation", &D::validation_count, 0, 1000000, validation);
}

struct DataKind {
  Fields<DataOptions> fields;
  SpecKind spec;
  bool audio = true;
};

const std::vector<DataKind>& data_kinds() {
  static const std::vector<DataKind> kinds = [] {
    std::vector<DataKind> list;
    const auto add = [&](std::string name, std::string doc, const Fields<D>& fields, bool audio = true) {
      list.push_back({fields, fields.kind(std::move(name), std::move(doc)), audio});
    };
    const std::string indices = "clips of each speaker and digit to validate on, and not to train on";
    add("digits", "digit_speaker_index.wav; index 0 to 4 is the test",
        counted_fields(indices).list("held_out", &D::held_out, "speakers who are the test instead"));
    add("demo", "the corpus that lariat demo generates; its test has voices of its own",
        counted_fields(indices));
    const std::string listed = ", where the folder holds no lists";
    add("folders", "one folder of recordings per label",
        data_fields()
            .number("validation", &D::validation_percentage, 0, 90,
                    "percent of the clips to validate on, and not to train on" + listed)
            .number("testing", &D::testing, 1, 90, "percent of the clips to test on" + listed)
            .list("labels", &D::labels, "only these folders; empty: all"));
    add("idx", "the four files of MNIST or a relative",
        counted_fields("training images to validate on, and not to train on"), false);
    const auto rows = [](const char* path) {
      return Fields<D>()
          .text("path", &D::path, path)
          .number("validation", &D::validation_percentage, 0, 90,
                  "percent of the rows to validate on, and not to train on, where there is one file")
          .number("testing", &D::testing, 0, 90, "percent of the rows to test on, where there is one file");
    };
    add("csv", "rows of numbers and categories under a line of names; what is learned follows from the loss",
        rows("a file, or a folder that holds train.csv, test.csv and perhaps validation.csv (or .tsv)")
            .list("target", &D::target, "columns to learn")
            .list("features", &D::features, "columns to learn from; empty: all others")
            .list("categories", &D::categories, "columns that are categories though they hold numbers")
            .text("weight", &D::weight, "column that says how much a row counts")
            .text("positive", &D::positive,
                  "of a target that is a class, the one that is told from all others; empty: all are")
            .boolean("standardize", &D::standardize, "bring numbers to mean 0 and standard deviation 1"),
        false);
    add("numpy",
        "arrays X and y that numpy.savez wrote: [rows, …] to learn from, and what is learned of each row",
        with_positive(rows("a file, or a folder that holds train.npz, test.npz and perhaps validation.npz")),
        false);
    return list;
  }();
  return kinds;
}

}  // namespace

bool is_audio(const Spec& spec) {
  return std::any_of(data_kinds().begin(), data_kinds().end(),
                     [&](const DataKind& kind) { return kind.spec.name == spec.kind && kind.audio; });
}

DataOptions data_options(const Spec& spec) {
  for (const DataKind& kind : data_kinds())
    if (kind.spec.name == spec.kind) return kind.fields.read(spec);
  return {};
}

const Fields<TrainingOptions>& training_fields() {
  using T = TrainingOptions;
  static const Fields<T> fields =
      Fields<T>()
          .integer("epochs", &T::epochs, 1, 1000000, "times that all examples are seen")
          .integer("batch_size", &T::batch_size, 1, 1000000, "examples in one step")
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

const Fields<ProximalOptions>& proximal_fields() {
  using P = ProximalOptions;
  static const Fields<P> fields =
      Fields<P>()
          .boolean("rewrite", &P::rewrite, "turn penalties into proximal updates")
          .number("settle_from", &P::settle_from, 0, 1,
                  "share of the training after which zeros stay zero; 1: never")
          .number("ramp", &P::ramp, 0, 1, "share of the training over which penalties grow to full strength")
          .number("after_settling", &P::after_settling, 0, 1,
                  "factor on all penalties where zeros stay zero");
  return fields;
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
  static const std::vector<RecipeTable> tables = [] {
    SpecKinds data;
    for (const DataKind& kind : data_kinds()) data.push_back(&kind.spec);
    return std::vector<RecipeTable>{
        {"data", "where examples come from", data},
        {"features", features.doc, {&features}},
        {"augment", augment.doc, {&augment}},
        {"loss", "what is made small", loss_spec_kinds()},
        {"metrics", metrics.doc, {&metrics}},
        {"penalty", penalty.doc, {&penalty}},
        {"optimizer", "how weights move", kinds_of(optimizer_choices())},
        {"schedule", "how the learning rate changes", kinds_of(schedule_choices())},
        {"training", training.doc, {&training}},
        {"proximal", proximal.doc, {&proximal}}};
  }();
  return tables;
}

}  // namespace lariat
