// What is done while a model is fitted, besides; that a fit goes on with all of it after every step, to the
// same bits; and penalties that change over time.
#include "frontends/sequential/callbacks/callbacks.hpp"

#include <cmath>
#include <filesystem>
#include <functional>
#include <limits>
#include <sstream>

#include "frontends/sequential/callbacks/event_file.hpp"
#include "frontends/sequential/sequential.hpp"
#include "graph/base/error.hpp"
#include "ops/ops.hpp"
#include "tests/support/event_reader.hpp"
#include "tests/support/files.hpp"
#include "tests/support/testing.hpp"
#include "tests/support/toy_fits.hpp"

namespace lariat::callbacks_test {

using testing::Event;
using testing::fit_with;
using testing::message_of;
using testing::other_points;
using testing::read_events;
using testing::read_file;
using testing::small_model;
using testing::TemporaryFolder;
using testing::train_points;

namespace {

std::string refused(const Callback& callback, const std::function<void(FitOptions&)>& change = {},
                    double lambda = 2e-3) {
  Sequential model = small_model(lambda);
  FitOptions fit = fit_with({callback});
  if (change) change(fit);
  return message_of<UserError>([&] { model.fit(train_points(), fit); });
}

void without_validation(FitOptions& fit) { fit.validation.reset(); }

}  // namespace

TEST_CASE("callbacks: early stopping brings the best weights back") {
  Sequential model = small_model(2e-3, 0.5);
  FitOptions fit = fit_with({EarlyStopping{.patience = 2}}, 60);
  const FitResult result = model.fit(train_points(), fit);
  REQUIRE(result.epochs.size() < 60);
  size_t best = 0;
  for (size_t i = 0; i < result.epochs.size(); ++i)
    if (*result.epochs[i].validation_loss < *result.epochs[best].validation_loss) best = i;
  CHECK(result.epochs.size() == best + 3);
  CHECK(model.evaluate(other_points()).loss == *result.epochs[best].validation_loss);
  CHECK(result.ended.starts_with("validation_loss was best in epoch " + std::to_string(best + 1) + ", "));
  CHECK(result.ended.ends_with(", and not in 2 epochs since; its weights are back"));
  // Nothing that it kept is left, and another fit trains on.
  for (const auto& [name, tensor] : model.store()) CHECK(!name.starts_with("callback/"));

  Sequential kept = small_model(2e-3, 0.5);
  fit.callbacks = {EarlyStopping{.patience = 2, .restore = false}};
  CHECK(kept.fit(train_points(), fit).epochs.size() == result.epochs.size());
  CHECK(kept.evaluate(other_points()).loss == *result.epochs.back().validation_loss);
}

TEST_CASE("callbacks: the best epoch may have to be sparse, and figures grow or shrink") {
  Sequential model = small_model();
  const FitResult result = model.fit(
      train_points(), fit_with({EarlyStopping{.monitor = "loss", .patience = 2, .zeros = 0.999}}, 20));
  CHECK(result.epochs.size() == 2);
  CHECK(result.ended == "in 2 epochs loss was never a number that counts");
  // zeros grow, so the first epoch is not the best for long.
  Sequential other = small_model(2e-2);
  const FitResult grown =
      other.fit(train_points(), fit_with({EarlyStopping{.monitor = "zeros", .patience = 3}}, 8));
  CHECK(grown.epochs.size() >= 4);
  CHECK(grown.epochs.back().penalised.zeros >= grown.epochs.front().penalised.zeros);
}

TEST_CASE("callbacks: the best model is written") {
  const TemporaryFolder folder;
  Sequential model = small_model(2e-3, 0.3);
  FitOptions fit = fit_with({BestCheckpoint{.monitor = "validation_loss"}}, 10);
  fit.out = folder / "m";
  const FitResult result = model.fit(train_points(), fit);
  double best = INFINITY;
  for (const EpochReport& epoch : result.epochs) best = std::min(best, *epoch.validation_loss);
  CHECK(Sequential::load(folder / "m.best").evaluate(other_points()).loss == best);
}

TEST_CASE("callbacks: the learning rate falls on a plateau") {
  // A figure that never changes is best once.
  Sequential model = small_model();
  const FitResult result = model.fit(
      train_points(),
      fit_with(
          {Plateau{.monitor = "penalty_strength", .factor = 0.5, .patience = 2, .cooldown = 1, .least = 0.2}},
          11));
  std::vector<double> factors;
  for (const EpochReport& epoch : result.epochs) factors.push_back(epoch.learning_rate / 0.02);
  const std::vector<double> wanted{1, 1, 1, 0.5, 0.5, 0.5, 0.25, 0.25, 0.25, 0.2, 0.2};
  for (size_t i = 0; i < wanted.size(); ++i) CHECK(factors[i] == doctest::Approx(wanted[i]));
}

TEST_CASE("callbacks: a table and lines of JSON, of the epochs before a stop too") {
  const TemporaryFolder folder;
  const std::string csv = folder / "log.csv", json = folder / "log.jsonl";
  Sequential model = small_model();
  FitOptions fit = fit_with({CsvLog{csv}, JsonLines{json}}, 4);
  std::atomic<bool> stop{false};
  fit.stop = &stop;
  fit.on_epoch_end = [&](const EpochReport& epoch) { stop = epoch.epoch == 2; };
  fit.on_step = [&](const StepReport& step) { stop = step.epoch == 2 && step.step == 6; };
  FitResult part = model.fit(train_points(), fit);
  CHECK(part.stopped);
  CHECK(part.epochs.size() == 2);
  testing::write_file(csv, read_file(csv) + "half a ro");
  testing::write_file(json, read_file(json) + "{");
  stop = false;
  fit.on_step = {};
  fit.on_epoch_end = {};
  fit.from = part.state;
  fit.earlier = part.epochs;
  const FitResult result = model.fit(train_points(), fit);
  REQUIRE(result.epochs.size() == 4);
  std::istringstream rows(read_file(csv)), lines(read_file(json));
  std::string row;
  std::getline(rows, row);
  CHECK(row ==
        "epoch,loss,smooth,penalty,accuracy,validation_loss,validation_accuracy,zeros,support_changes,"
        "learning_rate,penalty_strength,seconds");
  for (const EpochReport& epoch : result.epochs) {
    std::getline(rows, row);
    double number = 0, loss = 0;
    char comma = 0;
    std::istringstream(row) >> number >> comma >> loss;
    CHECK(number == static_cast<double>(epoch.epoch));
    CHECK(loss == doctest::Approx(epoch.loss).epsilon(1e-12));
    std::getline(lines, row);
    CHECK(row == to_json(epoch));
  }
  CHECK(!std::getline(rows, row));
  CHECK(!std::getline(lines, row));
}

TEST_CASE("callbacks: event files of TensorBoard, read by another reader") {
  CHECK(crc32c("123456789") == 0xe3069283);
  CHECK(crc32c("") == 0);
  CHECK(crc32c(std::string(32, '\0')) == 0x8a9136aa);
  const TemporaryFolder folder;
  Sequential model = small_model();
  const FitResult result = model.fit(train_points(), fit_with({TensorBoard{folder / "tb/run", 2}}, 3));
  const std::vector<Event> events = read_events(folder / "tb/run/events.out.tfevents.0.lariat");
  REQUIRE(!events.empty());
  CHECK(events[0].version == "brain.Event:2");
  CHECK(events[0].wall_time > 1.6e9);
  int64_t steps = 0, losses = 0, accuracies = 0;
  for (const Event& event : events) {
    if (event.tag == "step/loss") CHECK(event.step == 2 * ++steps);
    if (event.tag == "epoch/validation_accuracy") ++accuracies;
    if (event.tag != "epoch/loss") continue;
    CHECK(event.step == ++losses);
    CHECK(event.value == static_cast<float>(result.epochs[static_cast<size_t>(losses - 1)].loss));
  }
  CHECK(steps == 9);
  CHECK(losses == 3);
  CHECK(accuracies == 3);
}

TEST_CASE("callbacks: averages are what their formulas say, and take the weights' place at the end") {
  const auto weights_of = [](const Store& store) { return store.get("dense_1/kernel").clone(); };
  Tensor ema, mean;
  int64_t steps = 0, epochs = 0;
  const auto follow = [](Tensor& average, const Tensor& now, double share) {
    if (share == 1) average = now.clone();
    for (int64_t i = 0; i < now.count(); ++i) {
      float& a = average.data<float>()[i];
      a = static_cast<float>(a + share * (double(now.data<float>()[i]) - double(a)));
    }
  };
  for (const bool swa : {false, true}) {
    Sequential model = small_model();
    FitOptions fit = fit_with({swa ? Callback(Swa{.start = 0.5}) : Callback(Ema{.decay = 0.9})}, 4);
    std::vector<std::string> warnings;
    fit.on_warning = [&](const std::string& warning) { warnings.push_back(warning); };
    const data::Dataset& data = train_points();
    fit.on_step = [&](const StepReport&) {
      if (!swa) follow(ema, weights_of(model.store()), ++steps == 1 ? 1 : 1 - 0.9);
    };
    fit.on_epoch_end = [&](const EpochReport& epoch) {
      if (swa && epoch.epoch >= 2) follow(mean, weights_of(model.store()), 1.0 / double(++epochs));
    };
    model.fit(data, fit);
    CHECK(testing::largest_difference(weights_of(model.store()), swa ? mean : ema) == 0);
    REQUIRE(warnings.size() == 1);
    CHECK(warnings[0].starts_with(swa ? "swa: averages of weights are not sparse: "
                                      : "ema: averages of weights are not sparse: "));
  }
  CHECK(epochs == 3);
}

TEST_CASE("callbacks: averages with zeros") {
  const auto run = [](const Callback& callback, double settle_from) {
    Sequential model = small_model(2e-2);
    FitOptions fit = fit_with({callback}, 10);
    fit.settle_from = settle_from;
    int warnings = 0;
    fit.on_warning = [&](const std::string&) { ++warnings; };
    const FitResult result = model.fit(train_points(), fit);
    return std::tuple(warnings, result.epochs.back().penalised.zeros, total(model.zeros(), true).zeros,
                      result.epochs[4].penalised.zeros);
  };
  const auto [warned, last, averaged, middle] = run(Ema{.decay = 0.99}, 1);
  CHECK(warned == 1);
  CHECK(averaged < last);
  for (const Callback& callback :
       {Callback(Ema{.decay = 0.99, .keep_zeros = true}), Callback(Swa{.keep_zeros = true})}) {
    const auto [warnings, zeros, kept, first] = run(callback, 1);
    CHECK(warnings == 0);
    CHECK(zeros > 0);
    CHECK(kept == zeros);
  }
  // What has settled is zero at every step that is averaged.
  const auto [warnings, zeros, kept, first] = run(Swa{.start = 0.5}, 0.3);
  CHECK(warnings == 0);
  CHECK(first > 0);
  CHECK(kept == first);
}

TEST_CASE("callbacks: large batches in parts are the same training") {
  Sequential whole = small_model(), parts = small_model();
  FitOptions fit = fit_with({}, 5);
  fit.batch_size = 25;
  const FitResult one = whole.fit(train_points(), fit);
  fit.batch_size = 5;
  fit.accumulate = 5;
  const FitResult other = parts.fit(train_points(), fit);
  CHECK(testing::largest_difference(whole.store().get("dense_1/kernel"),
                                    parts.store().get("dense_1/kernel")) < 1e-5);
  CHECK(other.epochs.back().loss == doctest::Approx(one.epochs.back().loss).epsilon(1e-5));
  CHECK(whole.store().get("step").item() == parts.store().get("step").item());
  // Weights of examples are those of the whole batch.
  data::Dataset weighted = train_points();
  for (size_t i = 0; i < weighted.examples.size(); ++i)
    weighted.examples[i].weight = static_cast<float>(i % 4) / 2;
  Sequential one_weighted = small_model(), parts_weighted = small_model();
  fit.batch_size = 25;
  fit.accumulate = 1;
  one_weighted.fit(weighted, fit);
  fit.batch_size = 4;
  fit.accumulate = 7;
  parts_weighted.fit(weighted, fit);
  fit.batch_size = 28;
  fit.accumulate = 1;
  Sequential same = small_model();
  same.fit(weighted, fit);
  CHECK(testing::largest_difference(same.store().get("dense_1/kernel"),
                                    parts_weighted.store().get("dense_1/kernel")) < 1e-5);
  CHECK(testing::largest_difference(same.store().get("dense_1/kernel"),
                                    one_weighted.store().get("dense_1/kernel")) > 1e-4);
  fit.batch_size = 5;
  const auto refused_parts = [&](int accumulate) {
    fit.accumulate = accumulate;
    return message_of<UserError>([&] { small_model().fit(train_points(), fit); });
  };
  CHECK(refused_parts(0) == "accumulate = 0: must be an integer from 1");
  CHECK(refused_parts(13) ==
        "accumulate = 13: an epoch has 12 batches of batch_size = 5, fewer than a step would take; give at "
        "most 12");
}

TEST_CASE("callbacks: a fit goes on after every step to the same bits, with all of them") {
  const TemporaryFolder folder;
  const auto options = [&](const std::string& name) {
    FitOptions fit =
        fit_with({EarlyStopping{.monitor = "accuracy", .patience = 2}, Plateau{.patience = 1},
                  TargetZeros{.target = 0.5, .every = 2}, Ema{.decay = 0.8, .start = 0.2}, Swa{.start = 0.4},
                  Reweight{.every = 1, .times = 2}, PenaltyByValidation{}, CsvLog{folder / (name + ".csv")},
                  TensorBoard{folder / name, 1}, BestCheckpoint{folder / (name + ".best")}},
                 4);
    fit.batch_size = 6;
    fit.accumulate = 2;
    fit.schedule = [](int64_t steps) { return schedule::one_cycle(steps); };
    fit.penalty_ramp = 0.3;
    fit.groups = {{"*/bias", 0.05, 0.1}};
    return fit;
  };
  const auto make = [] {
    Sequential model{Dense(8, relu, {.kernel_penalty = elastic_net(2e-3, 1e-3)}), Dropout(0.2), Dense(3)};
    model.compile(NAdam{.learning_rate = 0.05});
    return model;
  };
  struct Saved {
    Store store;
    std::string state;
    std::vector<EpochReport> epochs;
  };
  std::vector<Saved> saved;
  Sequential whole = make();
  FitOptions fit = options("whole");
  fit.checkpoint_steps = 1;
  fit.on_checkpoint = [&](const FitState& state, const std::vector<EpochReport>& epochs) {
    saved.push_back({whole.store(), to_json(state), epochs});
  };
  const FitResult result = whole.fit(train_points(), fit);
  const size_t events = read_events(folder / "whole/events.out.tfevents.0.lariat").size();
  REQUIRE(saved.size() == 5 * result.epochs.size());
  for (const Saved& at : saved) {
    // What the run left in its files is there.
    std::filesystem::copy(
        folder / "whole", folder / "again",
        std::filesystem::copy_options::overwrite_existing | std::filesystem::copy_options::recursive);
    Sequential again = make();
    again.build(shape_of(train_points()));
    for (const auto& [name, tensor] : at.store) again.store().set(name, tensor.clone());
    FitOptions rest = options("again");
    rest.from = fit_state_from_json(at.state);
    rest.earlier = at.epochs;
    const FitResult end = again.fit(train_points(), rest);
    CAPTURE(at.state);
    CHECK(again.store().hash() == whole.store().hash());
    REQUIRE(end.epochs.size() == result.epochs.size());
    CHECK(end.epochs.back().validation_loss == result.epochs.back().validation_loss);
    CHECK(end.ended == result.ended);
    CHECK(read_events(folder / "again/events.out.tfevents.0.lariat").size() == events);
  }
  Sequential other = make();
  FitOptions fewer = options("fewer");
  fewer.from = fit_state_from_json(saved[2].state);
  fewer.callbacks.pop_back();
  CHECK(message_of<UserError>([&] { other.fit(train_points(), fewer); }) ==
        "the state to go on from has 10 callbacks, but the fit 9; give the same callbacks, or start the "
        "training "
        "again");
  fewer = options("fewer");
  fewer.from = fit_state_from_json(saved[2].state);
  std::swap(fewer.callbacks[0], fewer.callbacks[3]);
  CHECK(message_of<UserError>([&] { other.fit(train_points(), fewer); }) ==
        "ema: the state to go on from is of another callback, or damaged; start the training again");
}

TEST_CASE("callbacks: bad input is told in a line") {
  CHECK(
      refused(EarlyStopping{.monitor = "validation_loss"}, without_validation) ==
      "early_stopping: monitor = validation_loss, but there are no validation data; give some (validation of "
      "[data], or of FitOptions), or monitor loss");
  CHECK(refused(Plateau{.monitor = "validation_acuracy"}) ==
        "plateau: monitor = validation_acuracy: an epoch has no such figure. Did you mean "
        "'validation_accuracy'?");
  CHECK(refused(EarlyStopping{.monitor = "f1"})
            .starts_with("early_stopping: monitor = f1: an epoch has no such figure. Known: "));
  CHECK(refused(EarlyStopping{.monitor = "validation_accuracy/class 0"})
            .starts_with(
                "early_stopping: monitor = validation_accuracy/class 0: an epoch has no such figure."));
  CHECK(refused(TargetZeros{}, {}, 0) ==
        "target_zeros: no weight has a penalty that makes zeros; give a layer one, such as kernel_penalty = "
        "\"l1=1e-4\"");
  CHECK(refused(Reweight{}, {}, 0) ==
        "reweight: no weight has an L1 penalty; give a layer one, such as kernel_penalty = \"l1=1e-4\"");
  CHECK(refused(CsvLog{}) ==
        "csv_log: file is empty, and the model is not saved, after whose file it would be named; set file");
  CHECK(refused(CsvLog{"/nowhere/x.csv"}).starts_with("cannot write '/nowhere/x.csv': "));
  CHECK(refused(TensorBoard{"/proc/x"}).starts_with("tensorboard: cannot make the folder '/proc/x': "));
  CHECK(message_of<UserError>([] { static_cast<void>(Callback(EarlyStopping{.patience = 0})); }) ==
        "early_stopping: patience = 0: must be an integer from 1 to 1000000");
  CHECK(message_of<UserError>([] { static_cast<void>(Callback(Ema{.decay = -1})); }) ==
        "ema: decay = -1: must be a number from 0 to 0.9999999");
  CHECK(message_of<UserError>([] { static_cast<void>(Callback(TargetZeros{.target = 1.5})); }) ==
        "target_zeros: target = 1.5: must be a number from 0 to 1");
  CHECK(message_of<UserError>([] {
          small_model().fit(train_points(), fit_with({{"mine", {}}}));
        }) == "the callback 'mine' has no function that starts it; give it one");
}

TEST_CASE("callbacks: one's own") {
  struct Counting final : CallbackRun {
    int64_t steps = 0, epochs = 0, *ended;
    explicit Counting(int64_t* ended) : ended(ended) {}
    void after_step(FitView&, const StepReport&) override { ++steps; }
    void after_epoch(FitView& view, const EpochReport&) override {
      ++epochs;
      CHECK(view.parameters.size() == 4);
      CHECK(view.penalised == std::vector<std::string>{"dense_1/kernel"});
      CHECK(view.total_steps == 18);
    }
    void end(FitView&) override { *ended = steps * 100 + epochs; }
    double rate_factor() const override { return steps < 6 ? 1 : 0; }
    std::string why_end() const override { return epochs == 2 ? "enough" : ""; }
  };
  int64_t ended = 0;
  Sequential model = small_model();
  const FitResult result = model.fit(
      train_points(), fit_with({{"counting", [&] { return std::make_unique<Counting>(&ended); }}}, 3));
  CHECK(ended == 1202);
  CHECK(result.ended == "enough");
  CHECK(result.epochs[1].learning_rate == 0);
}

TEST_CASE("callbacks: every kind has a record that is complete") {
  CHECK(callback_kinds().size() == 11);
  for (const CallbackKind& kind : callback_kinds()) {
    CAPTURE(kind.spec.name);
    CHECK(!kind.spec.doc.empty());
    const Callback made = make_callback(kind.spec.defaults());
    CHECK(made.name == kind.spec.name);
    CHECK(made.spec == kind.spec.defaults());
    CHECK(made.start() != nullptr);
    for (const SpecOption& option : kind.spec.options) CHECK(!option.doc.empty());
  }
}

}  // namespace lariat::callbacks_test
