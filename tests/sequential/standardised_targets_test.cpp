// Numbers of any size: learned as (number - mean)/deviation, told in the units of the data.
#include <fmt/format.h>

#include <cmath>
#include <limits>

#include "frontends/sequential/model_file.hpp"
#include "frontends/sequential/sequential.hpp"
#include "graph/base/error.hpp"
#include "ops/ops.hpp"
#include "tests/support/files.hpp"
#include "tests/support/rank_threads.hpp"
#include "tests/support/testing.hpp"
#include "tests/support/toy_data.hpp"

namespace lariat::standardised_targets_test {

using data::standardize_targets;
using data::target_scales_of;
using data::TargetScale;
using lariat::testing::message_of;
using lariat::testing::points;
using lariat::testing::sequences;
using lariat::testing::TemporaryFolder;

namespace {

// A price near 400,000, a slope near 0.001, and what is always 7.
data::Dataset houses(int count, uint64_t seed = 1) {
  data::Dataset dataset = points(count, 3, 6, seed);
  dataset.targets = {.width = 3, .names = {"price", "slope", "same"}};
  for (data::Example& e : dataset.examples)
    e.targets = {400000 + 90000 * e.values[0] - 30000 * e.values[1], 0.001F * e.values[2], 7};
  return dataset;
}

data::Dataset standardised(data::Dataset dataset) {
  standardize_targets(dataset);
  return dataset;
}

data::Dataset rows(const std::vector<float>& targets, int64_t width) {
  data::Dataset dataset{.sequences = false};
  dataset.targets.width = width;
  for (size_t i = 0; i < targets.size(); i += static_cast<size_t>(width)) {
    data::Example example{"", 0, 1, 1, {static_cast<float>(i)}};
    example.targets.assign(targets.begin() + static_cast<std::ptrdiff_t>(i),
                           targets.begin() + static_cast<std::ptrdiff_t>(i) + width);
    dataset.examples.push_back(std::move(example));
  }
  return dataset;
}

Sequential fitted(const data::Dataset& train, const Loss& loss = MeanSquaredError{},
                  const std::vector<LayerSpec>& layers = {Dense(16, tanh), Dense(0)}, int epochs = 20) {
  Sequential model{layers};
  model.compile(Adam{.learning_rate = 0.02}, loss);
  model.fit(train, {.epochs = epochs, .batch_size = 24});
  return model;
}

double metric(const Evaluation& evaluation, const std::string& wanted) {
  for (const auto& [name, value] : evaluation.metrics)
    if (name == wanted) return value;
  FAIL(wanted);
  return 0;
}

}  // namespace

TEST_CASE("standardised targets: means and deviations are of the examples by their weights") {
  using Scales = std::vector<TargetScale>;
  CHECK(target_scales_of(rows({1, 10, 3, 10}, 2)) == Scales{{2, 1}, {10, 1}});
  data::Dataset weighted = rows({100, 3, -5, 100}, 1);
  weighted.examples[0].weight = 0;
  weighted.examples[1].weight = 3;
  weighted.examples[3].weight = 0;
  CHECK(target_scales_of(weighted) == Scales{{1, static_cast<float>(std::sqrt(12.0))}});
  for (data::Example& example : weighted.examples) example.weight = 0;
  CHECK(target_scales_of(weighted) == Scales{{0, 1}});
  // One pass is as good as two where the mean is large.
  const TargetScale far = target_scales_of(rows({16000000, 16000002, 16000004, 16000006}, 1))[0];
  CHECK(far.mean == 16000003.0F);
  CHECK(far.deviation == doctest::Approx(std::sqrt(5.0)).epsilon(1e-6));
  // Numbers that are too small to be told apart are one number.
  CHECK(target_scales_of(rows({0, 1e-45F}, 1))[0].deviation == 1);
  // Every frame counts, and each of its numbers has its own.
  data::Dataset frames = sequences(2, 2, 3, 2, 2, 1);
  frames.targets = {.width = 2, .by_frame = true};
  frames.examples[0].targets = {0, 5, 2, 5};
  frames.examples[1].targets = {4, 5, 6, 5};
  CHECK(target_scales_of(frames) == Scales{{3, static_cast<float>(std::sqrt(5.0))}, {5, 1}});
  // Classes and symbols are no numbers.
  data::Dataset mixed = rows({1, 0, 3, 1}, 2);
  mixed.targets.classes = {{}, {"no", "yes"}};
  CHECK(target_scales_of(mixed) == Scales{{2, 1}, {0, 1}});
  mixed.targets.classes = {{"a", "b"}, {"no", "yes"}};
  CHECK(target_scales_of(mixed).empty());
  CHECK(target_scales_of(points(6, 2, 3, 1)).empty());
  data::Dataset labels = points(6, 2, 3, 1);
  CHECK(message_of<UserError>([&] { standardize_targets(labels); }) ==
        "the dataset has no targets that are numbers, to standardise them; leave standardize_targets out");
}

TEST_CASE("standardised targets: numbers of any size are learned, and told in their units") {
  const data::Dataset train = houses(240), test = houses(60, 2), scaled = standardised(train);
  Sequential plain = fitted(train), model = fitted(scaled);
  const Evaluation found = model.evaluate(test);
  CHECK(metric(plain.evaluate(test), "r2") < 0);
  // The mean of three: the one that never changes is told from nothing.
  const std::vector<Prediction> said = model.predict(test);
  double squares = 0, absolute = 0, loss = 0;
  std::vector<double> off(3), spread(3);
  for (size_t i = 0; i < said.size(); ++i)
    for (size_t j = 0; j < 3; ++j) {
      const auto [mean, deviation] = scaled.target_scales[j];
      const double truth = test.examples[i].targets[j], e = said[i].values[j] - truth;
      squares += e * e / 180;
      absolute += std::abs(e) / 180;
      loss += e * e / (double(deviation) * double(deviation)) / 180;
      off[j] += e * e;
      spread[j] += (truth - double(mean)) * (truth - double(mean));
    }
  CHECK(off[0] < 0.05 * spread[0]);
  CHECK(off[1] < 0.05 * spread[1]);
  CHECK(std::abs(said[3].values[2] - 7) < 0.3);
  CHECK(metric(found, "mean_squared_error") == doctest::Approx(squares));
  CHECK(metric(found, "mean_absolute_error") == doctest::Approx(absolute));
  CHECK(found.loss == doctest::Approx(loss).epsilon(1e-3));
  CHECK(found.comparisons[0].truth[7] == test.examples[7].targets[0]);
  CHECK(found.comparisons[0].given[7] == said[7].values[0]);

  // The weights are those that targets standardised by hand give.
  data::Dataset by_hand = train;
  for (data::Example& example : by_hand.examples)
    for (size_t j = 0; j < 3; ++j)
      example.targets[j] =
          (example.targets[j] - scaled.target_scales[j].mean) / scaled.target_scales[j].deviation;
  CHECK(fitted(by_hand).parameter_hash() == model.parameter_hash());

  // Saved and loaded it tells the same, and goes on.
  const TemporaryFolder folder;
  const std::string file = folder / "m.safetensors";
  model.save(file);
  Sequential loaded = Sequential::load(file);
  CHECK(loaded.shape() == model.shape());
  CHECK(loaded.shape().target_scales == scaled.target_scales);
  CHECK(loaded.evaluate(test).metrics == found.metrics);
  CHECK(loaded.predict(test)[5].values == said[5].values);
  loaded.compile(Adam{}, MeanAbsoluteError{});
  loaded.fit(test, {.epochs = 1});
  CHECK(loaded.shape().target_scales == scaled.target_scales);
  for (const auto& [text, what] : {std::pair("{}", "damaged"),
                                   {"[[1,2]]", "damaged"},
                                   {"[[1,0],[1,1],[1,1]]", "damaged"},
                                   {"[[1,1],[1,1],[1e99,1]]", "damaged"},
                                   {"[1,2,3]", "damaged"}}) {
    Store changed = Store::load(file);
    changed.metadata()["target_scales"] = text;
    seal(changed, model_format);
    changed.save(folder / "changed");
    CHECK(message_of<UserError>([&] { Sequential::load(folder / "changed"); }) ==
          fmt::format("'{}': its note 'target_scales' is {}; save it again", folder / "changed", what));
  }
}

TEST_CASE("standardised targets: one of several outputs, by frame, and on ranks") {
  data::Dataset train = houses(120);
  train.targets.names = {"price", "slope", "dear"};
  train.targets.classes = {{}, {}, {"no", "yes"}};
  for (data::Example& example : train.examples) example.targets[2] = example.targets[0] > 400000 ? 1 : 0;
  const data::Dataset scaled = standardised(train);
  const ModelValue x = input(), hidden = Dense(16, tanh)(x);
  Model model({x}, {Dense(2).named("dear")(hidden), Dense(1).named("slope")(hidden),
                    Dense(1).named("price")(hidden)});
  model.compile(Adam{.learning_rate = 0.02},
                {{"dear", SoftmaxCrossEntropy{}}, {"slope", Huber{}}, {"price", MeanSquaredError{}}});
  model.fit(scaled, {.epochs = 40, .batch_size = 24});
  const Evaluation found = model.evaluate(train);
  CHECK(found.outputs[0].accuracy > 0.95);
  CHECK(metric(found, "slope/r2") > 0.9);
  CHECK(metric(found, "price/r2") > 0.9);
  CHECK(metric(found, "price/mean_absolute_error") > 100);
  CHECK(model.predict(train)[3].outputs[2].values[0] > 10000);

  data::Dataset frames = sequences(60, 2, 3, 4, 9, 1);
  frames.targets = {.width = 1, .by_frame = true};
  for (data::Example& e : frames.examples)
    for (int64_t t = 0; t < e.frames; ++t)
      e.targets.push_back(5000 + 800 * e.values[static_cast<size_t>(3 * t)]);
  CHECK(metric(fitted(standardised(frames), MeanSquaredError{}, {Dense(0)}, 80).evaluate(frames), "r2") >
        0.9);

  const data::Dataset shared = standardised(houses(96));
  std::vector<uint64_t> hashes(2);
  const auto train_on = [&](int size, bool same) {
    return on_ranks(size, [&](const std::shared_ptr<Ranks>& ranks) {
      Sequential own{Dense(8, tanh), Dense(0)};
      own.compile(Adam{}, MeanSquaredError{});
      FitOptions options{.epochs = 2, .batch_size = 24};
      options.micro_shards = 4;
      options.ranks = ranks;
      own.fit(same || ranks->rank() == 0 ? shared : houses(96), options);
      hashes[static_cast<size_t>(ranks->rank())] = own.parameter_hash();
    });
  };
  CHECK(train_on(1, true)[0].empty());
  const uint64_t alone = hashes[0];
  for (const std::string& failure : train_on(2, true)) CHECK(failure.empty());
  CHECK(hashes == std::vector<uint64_t>{alone, alone});
  bool said = false;
  for (const std::string& failure : train_on(2, false))
    said = said || failure.find("other standardised targets than rank 0") != failure.npos;
  CHECK(said);
}

TEST_CASE("standardised targets: what does not go with them is one line") {
  data::Dataset train = standardised(houses(24));
  train.examples[4].source = "row 5";
  train.examples[4].targets[0] = 100000;
  const auto refused = [&](const Loss& loss, const std::vector<LayerSpec>& layers) {
    return message_of<UserError>([&] { fitted(train, loss, layers); });
  };
  const std::string positive = refused(MeanSquaredError{}, {Dense(3, relu)});
  CHECK(testing::contains(positive, ", standardised -"));
  CHECK(
      positive.ends_with(", but the model ends in 'dense' with the activation relu, which leaves values from "
                         "0: leave the activation out"));
  CHECK(refused(Cosine{}, {Dense(3)}) ==
        "cosine learns the direction of its targets from 0, which standardised ones have lost; leave "
        "standardize_targets out, or take mean_squared_error");
  Sequential model = fitted(houses(24), MeanSquaredError{}, {Dense(3)}, 1);
  CHECK(message_of<UserError>([&] { model.fit(train); }) ==
        "the model learns numbers as they are, as it was built, and these data have standardised ones; "
        "standardise those that it is first built for, or none");
  data::Dataset narrow = train;
  narrow.targets = {.width = 1};
  for (data::Example& example : narrow.examples) example.targets.resize(1);
  CHECK(message_of<UserError>([&] { fitted(narrow); }) ==
        "the dataset's targets are 1 wide, but 3 are standardised; call standardize_targets behind whatever "
        "changes them");
  // Targets that are none are told as such.
  data::Dataset none = houses(24);
  none.examples[3].source = "row 4";
  none.examples[3].targets[1] = std::numeric_limits<float>::quiet_NaN();
  CHECK(message_of<UserError>([&] { fitted(standardised(none)); }) ==
        "row 4: has the target nan; it must be a finite number, of a magnitude up to 3.4e38");
}

}  // namespace lariat::standardised_targets_test
