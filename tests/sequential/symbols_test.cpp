// Sequences of symbols as a task: how they are found and measured, and a model of them from C++.
#include <algorithm>
#include <cmath>
#include <map>

#include "frontends/data/arrays.hpp"
#include "frontends/data/random.hpp"
#include "frontends/data/transform.hpp"
#include "frontends/sequential/callbacks/callbacks.hpp"
#include "frontends/sequential/sequential.hpp"
#include "graph/base/error.hpp"
#include "graph/program/evaluate.hpp"
#include "ops/ops.hpp"
#include "tests/support/files.hpp"
#include "tests/support/testing.hpp"
#include "tests/support/toy_data.hpp"

namespace lariat::symbols_test {

using namespace lariat::testing;

namespace {

using Symbols = std::vector<int32_t>;

// Sequences of 0 to 4 of three symbols, each some frames in which its channel is loud, some quiet ones
// behind.
data::Dataset bursts(int count, uint64_t seed) {
  data::Dataset dataset;
  dataset.classes = {"uno", "due", "tre"};
  dataset.targets.width = 1;
  dataset.targets.symbols = true;
  for (int i = 0; i < count; ++i) {
    data::RandomStream random(seed, data::RandomPurpose::noise, static_cast<uint32_t>(i));
    data::Example example{"burst " + std::to_string(i), 0, 0, 3, {}};
    const auto add = [&](int frames, int loud) {
      for (int t = 0; t < frames; ++t)
        for (int channel = 0; channel < 3; ++channel)
          example.values.push_back(static_cast<float>(0.1 * random.normal() + (channel == loud ? 1 : 0)));
      example.frames += frames;
    };
    add(2, -1);
    for (int symbol = 0; symbol < i % 5; ++symbol) {
      const auto which = static_cast<int>(random.below(3));
      add(4 + static_cast<int>(random.below(3)), which);
      add(3 + static_cast<int>(random.below(2)), -1);
      example.targets.push_back(static_cast<float>(which + 1));
    }
    dataset.examples.push_back(std::move(example));
  }
  return dataset;
}

Sequential small(double lambda = 0) {
  Sequential model{Conv1d(16, 5, relu, {.stride = 2, .kernel_penalty = l1(lambda)}), Dense(0)};
  model.compile(Adam{.learning_rate = 0.02}, Ctc{});
  return model;
}

const FitOptions epochs{.epochs = 30, .batch_size = 20};

// The smallest number of changes, by trying all: slow and plain.
int64_t changes(std::span<const int32_t> a, std::span<const int32_t> b) {
  if (a.empty() || b.empty()) return static_cast<int64_t>(a.size() + b.size());
  return std::min({changes(a.subspan(1), b.subspan(1)) + (a[0] != b[0]), changes(a.subspan(1), b) + 1,
                   changes(a, b.subspan(1)) + 1});
}

std::string refused(const data::Dataset& dataset, const std::vector<LayerSpec>& layers = {Dense(0)},
                    const std::vector<Metric>& metrics = {}) {
  Sequential model{layers};
  model.compile(Adam{}, Ctc{}, metrics);
  return message_of<UserError>([&] { model.fit(dataset); });
}

}  // namespace

TEST_CASE("symbols: the best path, and the sequence that is best over all of its paths") {
  const auto logs = [](std::vector<float> shares) {
    for (float& share : shares) share = std::log(share);
    return shares;
  };
  CHECK(best_path(
            logs({0.1F, 0.8F, 0.1F, 0.1F, 0.8F, 0.1F, 0.8F, 0.1F, 0.1F, 0.1F, 0.8F, 0.1F, 0.1F, 0.1F, 0.8F}),
            3) == Symbols{1, 1, 2});
  CHECK(best_path({}, 3).empty());
  // Blank twice has 0.36, but the three paths of "1" have 0.64.
  const std::vector<float> twice = logs({0.6F, 0.4F, 0.6F, 0.4F});
  CHECK(best_path(twice, 2).empty());
  for (const int64_t beam : {2, 8}) CHECK(prefix_beam_search(twice, 2, beam) == Symbols{1});
  CHECK(std::exp(log_probability(Symbols{1}, twice, 2)) == doctest::Approx(0.64));
  CHECK(std::exp(log_probability({}, twice, 2)) == doctest::Approx(0.36));
  CHECK(std::isinf(log_probability(Symbols{1, 1}, twice, 2)));
  CHECK(std::isinf(log_probability(Symbols{1, 1, 1}, twice, 2)));

  // A beam that holds every beginning finds what trying all sequences finds.
  data::RandomStream random(3, data::RandomPurpose::noise);
  for (int trial = 0; trial < 40; ++trial) {
    constexpr int64_t width = 3, frames = 4;
    std::vector<float> outputs(width * frames);
    for (float& output : outputs) output = static_cast<float>(2 * random.normal());
    std::vector<Symbols> all{{}};
    double sum = 0, best = -1;
    Symbols found;
    for (size_t i = 0; i < all.size(); ++i) {
      const double probability = std::exp(log_probability(all[i], outputs, width));
      sum += probability;
      if (probability > best) best = probability, found = all[i];
      if (all[i].size() == frames) continue;
      for (int32_t symbol = 1; symbol < width; ++symbol) {
        Symbols longer = all[i];
        longer.push_back(symbol);
        all.push_back(longer);
      }
    }
    CHECK(sum == doctest::Approx(1));
    CHECK(prefix_beam_search(outputs, width, 1000) == found);
    // It is what the loss says of the model's outputs.
    const Tensor logits = Tensor::of<float>({1, frames, width}, std::span<const float>(outputs));
    Graph graph;
    const auto count = static_cast<int64_t>(found.size());
    Symbols padded = found;
    if (count == 0) padded = {0};
    const Tensor loss =
        evaluate(ctc_loss(graph.constant(logits),
                          graph.constant(Tensor::of<int32_t>({1, std::max<int64_t>(1, count)},
                                                             std::span<const int32_t>(padded))),
                          graph.constant(Tensor::of<int32_t>({1}, {frames}))),
                 {});
    CHECK(loss.at(0) == doctest::Approx(-std::log(best)).epsilon(1e-5));
  }
}

TEST_CASE("symbols: a narrow beam among many symbols keeps what matters, and NaN ends nothing") {
  data::RandomStream random(4, data::RandomPurpose::noise);
  int same = 0;
  for (int trial = 0; trial < 20; ++trial) {
    std::vector<float> outputs(30 * 12);
    for (float& output : outputs) output = static_cast<float>(3 * random.normal());
    const Symbols wide = prefix_beam_search(outputs, 30, 300), narrow = prefix_beam_search(outputs, 30, 16);
    same += wide == narrow;
    CHECK(log_probability(narrow, outputs, 30) >=
          log_probability(best_path(outputs, 30), outputs, 30) - 1e-9);
  }
  CHECK(same >= 15);
  std::vector<float> broken(12, std::nanf(""));
  CHECK(prefix_beam_search(broken, 3, 4).empty());
  CHECK(best_path(broken, 3).empty());
}

TEST_CASE("symbols: errors are the fewest changes, and counted by kind") {
  data::RandomStream random(5, data::RandomPurpose::noise);
  for (int trial = 0; trial < 60; ++trial) {
    Symbols truth(random.below(6)), said(random.below(6));
    for (Symbols* symbols : {&truth, &said})
      for (int32_t& symbol : *symbols) symbol = static_cast<int32_t>(1 + random.below(3));
    const std::vector<AlignedSymbol> alignment = aligned(truth, said);
    const SymbolErrors errors = errors_in(alignment);
    CHECK(errors.errors() == changes(truth, said));
    CHECK(errors.symbols == static_cast<int64_t>(truth.size()));
    Symbols left, right;
    for (const auto& [is, says] : alignment) {
      if (is != 0) left.push_back(is);
      if (says != 0) right.push_back(says);
    }
    CHECK(left == truth);
    CHECK(right == said);
  }
  const SymbolErrors errors = errors_in(aligned(Symbols{1, 2, 3, 4}, Symbols{1, 3, 5, 6}));
  CHECK(errors.substitutions + errors.insertions + errors.deletions == 3);
  CHECK(errors_in(aligned(Symbols{1, 2}, Symbols{1, 2, 2})).insertions == 1);
  CHECK(errors_in(aligned(Symbols{1, 2}, Symbols{2})).deletions == 1);
  CHECK(errors_in(aligned(Symbols{1, 2}, Symbols{1, 1})).substitutions == 1);
  CHECK(frames_for(std::vector<float>{1, 1, 2, 2, 2}) == 8);
  CHECK(frames_for(std::vector<float>{}) == 1);
}

TEST_CASE("symbols: a model learns them to the last one, is saved, and says the same") {
  const data::Dataset train = bursts(120, 1), test = bursts(60, 2);
  Sequential model = small(1e-3);
  FitOptions options = epochs;
  options.validation = test;
  options.callbacks = {EarlyStopping{.monitor = "validation_symbol_error_rate", .patience = 12}};
  const FitResult result = model.fit(train, options);
  CHECK_FALSE(result.epochs.back().validation_accuracy);
  CHECK(result.epochs.back().validation_metrics.front().first == "symbol_error_rate");
  const Evaluation found = model.evaluate(test);
  CHECK(found.metrics == MetricValues{{"symbol_error_rate", 0}, {"sequence_accuracy", 1}});
  CHECK(std::isnan(found.accuracy));
  CHECK(found.loss < 1);
  CHECK(found.symbol_errors.symbols == 120);
  CHECK(found.symbol_errors.errors() == 0);
  CHECK(found.mistakes.empty());
  CHECK(found.confusion_names == std::vector<std::string>{"uno", "due", "tre", "(none)"});
  CHECK(total(model.zeros(), true).zeros > 0);

  const TemporaryFolder folder;
  model.save(folder / "m.safetensors");
  Sequential loaded = Sequential::load(folder / "m.safetensors");
  CHECK(loaded.shape() == model.shape());
  CHECK(loaded.evaluate(test).loss == found.loss);
  const std::vector<Prediction> predictions = loaded.predict(test),
                                searched = model.predict(test, {.beam = 8});
  for (size_t i = 0; i < predictions.size(); ++i) {
    const data::Example& example = test.examples[i];
    std::string words;
    for (const float symbol : example.targets)
      words += (words.empty() ? "" : " ") + test.classes[static_cast<size_t>(symbol) - 1];
    CHECK(predictions[i].label == words);
    CHECK(searched[i].label == words);
    CHECK(predictions[i].symbols.size() == example.targets.size());
    CHECK(predictions[i].index == -1);
    // The frames that are left by a stride of 2.
    CHECK(predictions[i].frames == (example.frames + 1) / 2);
    CHECK(predictions[i].values.size() == static_cast<size_t>(4 * predictions[i].frames));
    CHECK(predictions[i].probability > 0.3);
    CHECK(predictions[i].probability <= 1.0001);
  }
  // One example by itself, without what is learned.
  data::Dataset one{.classes = {}, .examples = {test.examples[9]}};
  one.examples.front().targets.clear();
  CHECK(loaded.predict(one).front().label == predictions[9].label);
  CHECK(loaded.predict(one).front().probability == doctest::Approx(predictions[9].probability).epsilon(1e-4));
}

TEST_CASE("symbols: what is measured is exact over all data, by the examples' weights") {
  const data::Dataset train = bursts(60, 3);
  data::Dataset test = bursts(40, 4);
  for (size_t i = 0; i < test.examples.size(); ++i) test.examples[i].weight = static_cast<float>(i % 3);
  Sequential model = small();
  // Too little to be right.
  model.fit(train, {.epochs = 4, .batch_size = 20});
  const Evaluation found = model.evaluate(test, {.batch_size = 7});
  const std::vector<Prediction> said = model.predict(test);
  double errors = 0, symbols = 0, right = 0, weights = 0;
  SymbolErrors plain;
  for (size_t i = 0; i < said.size(); ++i) {
    Symbols is, says;
    for (const float symbol : test.examples[i].targets) is.push_back(static_cast<int32_t>(symbol));
    for (const std::string& symbol : said[i].symbols)
      says.push_back(static_cast<int32_t>(std::find(test.classes.begin(), test.classes.end(), symbol) -
                                          test.classes.begin()) +
                     1);
    const auto weight = static_cast<double>(test.examples[i].weight);
    errors += weight * static_cast<double>(changes(is, says));
    symbols += weight * static_cast<double>(is.size());
    right += weight * (is == says ? 1 : 0);
    weights += weight;
    const SymbolErrors own = errors_in(aligned(is, says));
    plain.symbols += own.symbols;
    plain.deletions += own.deletions;
    plain.insertions += own.insertions;
    plain.substitutions += own.substitutions;
  }
  CHECK(errors > 0);
  CHECK(found.metrics[0].second == doctest::Approx(errors / symbols));
  CHECK(found.metrics[1].second == doctest::Approx(right / weights));
  CHECK(found.symbol_errors.errors() == plain.errors());
  CHECK(found.symbol_errors.symbols == plain.symbols);
  int64_t wrong = 0, of_all = 0;
  for (const SymbolMistake& mistake : found.mistakes) wrong += mistake.count;
  CHECK(wrong == plain.errors());
  for (size_t i = 0; i + 1 < found.mistakes.size(); ++i)
    CHECK(found.mistakes[i].count >= found.mistakes[i + 1].count);
  for (size_t i = 0; i < 3; ++i)
    for (size_t j = 0; j < 4; ++j) of_all += found.confusion[i][j];
  CHECK(of_all == plain.symbols);
  REQUIRE(found.by_class.size() == 3);
  CHECK(found.by_class[1].name == "due");
}

TEST_CASE("symbols: training goes on to the same bits, on any number of threads, in shards") {
  const data::Dataset train = bursts(50, 6);
  const auto trained = [&](FitOptions options) {
    options.epochs = 3;
    options.batch_size = 16;
    Sequential model = small(1e-3);
    model.fit(train, options);
    return model.parameter_hash();
  };
  const uint64_t one = trained({.threads = 1});
  for (const int threads : {2, 5}) CHECK(trained({.threads = threads}) == one);
  FitOptions shards;
  shards.micro_shards = 4;
  const uint64_t cut = trained(shards);
  shards.threads = 1;
  CHECK(trained(shards) == cut);
}

TEST_CASE("symbols: what cannot be learned or has no effect is said in one line") {
  const data::Dataset good = bursts(20, 7);
  CHECK(refused(good, {GlobalAveragePool(), Dense(0)}) ==
        "the model ends in 'dense' with [batch, 4], but symbols are found in the outputs of all frames; "
        "leave out "
        "layers that take frames together, and give lstm return_sequences = true");
  CHECK(refused(good, {Dense(3)}) ==
        "the model ends in 'dense' with [batch, time, 3], but the data have 3 symbols, and the blank is one "
        "more; "
        "end it with a dense layer of 4 units");

  CHECK(refused(good, {Dense(0)}, {Accuracy{}}) ==
        "the metric 'accuracy' is one of classes, binary, labels, but the model learns symbols; take "
        "sequence_accuracy, symbol_error_rate");
  CHECK(refused(sequences(10, 2, 3, 4, 9, 1)) ==
        "ctc learns a sequence of symbols, but the data have a label each; give each example its symbols, "
        "counted "
        "from 1, as targets (Targets{.width = 1, .symbols = true})");
  CHECK(contains(refused(points(10, 2, 3, 1)), "but the data have no time axis; give sequences, or take"));
  data::Dataset bad = good;
  bad.examples[3].targets = {1, 4};
  CHECK(refused(bad) ==
        "burst 3: has the symbol 4, but the data have 3 symbols, counted from 1; 0 is the blank, which is "
        "none");
  bad.examples[3].targets = {1, 0, 2};
  CHECK(contains(refused(bad), "burst 3: has the symbol 0, but"));
  bad.examples[3].targets = {1, 1.5F};
  CHECK(contains(refused(bad), "burst 3: has the symbol 1.5, but"));
  bad = good;
  bad.examples[0].targets = {1, 1};
  CHECK(refused(bad) ==
        "burst 0: is of 2 frames, but the model needs 3 for its 2 symbols and 1 blank between equal ones; "
        "leave it "
        "out, or use smaller strides");
  CHECK(refused(bad, {Conv1d(4, 3, relu, {.stride = 2}), Dense(0)}) ==
        "burst 0: is of 2 frames, but the model needs 5 for its 2 symbols and 1 blank between equal ones; "
        "leave it "
        "out, or use smaller strides");
  bad = good;
  bad.classes.clear();
  CHECK(contains(refused(bad), "but the data name none; name them as classes"));
  bad = good;
  bad.targets.by_frame = true;
  CHECK(contains(refused(bad), "symbols of width 1, by frame; set width = 1, by_frame = false"));
  bad = good;
  bad.sequences = false;
  CHECK(contains(refused(bad), "but its examples have no time axis; set sequences = true"));

  Sequential model = small();
  model.fit(good, {.epochs = 1});
  CHECK(message_of<UserError>([&] { model.predict(good, {.beam = -1}); }) ==
        "beam = -1: must be an integer from 0");
  data::Dataset other = good;
  other.classes = {"uno", "due"};
  for (data::Example& example : other.examples) example.targets = {};
  CHECK(contains(message_of<UserError>([&] { model.evaluate(other); }),
                 "the model knows the classes uno, due, tre"));
  Sequential classes{GlobalAveragePool(), Dense(0)};
  classes.compile(Adam{});
  const data::Dataset labelled = sequences(20, 2, 3, 4, 9, 1);
  classes.fit(labelled, {.epochs = 1});
  CHECK(message_of<UserError>([&] { classes.predict(labelled, {.beam = 8}); }) ==
        "beam = 8: has no effect, for the model learns classes, and no symbols; leave it out");
  CHECK(contains(message_of<UserError>([&] { model.evaluate(labelled); }), "the model knows the classes"));

  const ModelValue heard = Conv1d(8, 3, relu)(input("features"));
  Sequential two({input("features")}, {Dense(0).named("a")(heard), Dense(0).named("b")(heard)});
  two.compile(Adam{}, {{"a", Ctc{}}, {"b", Ctc{}}});
  CHECK(
      contains(message_of<UserError>([&] { two.fit(good); }), "output 'a' must say which targets it learns"));
  two.compile(Adam{}, {{"a", Ctc{}, {}, 1, {"0"}}, {"b", Ctc{}, {}, 1, {"0"}}});
  CHECK(
      contains(message_of<UserError>([&] { two.fit(good); }),
               "output a: ctc learns the one sequence of symbols that an example has, but the model has 2"));

  // A loss of one's own says which form it has.
  Loss own{"mine", [](Value outputs, Value) { return mean(outputs, {-1}); }};
  own.task = [](const DataShape&) -> std::string { return "symbols"; };
  Sequential mine{Dense(0)};
  mine.compile(Adam{}, own);
  CHECK(message_of<UserError>([&] { mine.fit(good); }) ==
        "the loss 'mine' is of the task symbols, whose losses are given as per_sequence; give that");
}

TEST_CASE("symbols: arrays of them, with lengths") {
  const Tensor x = Tensor::of<float>({2, 3, 1}, {1, 2, 3, 4, 5, 6}),
               lengths = Tensor::of<int32_t>({2}, {3, 2});
  const data::Dataset dataset =
      data::dataset_of_sequences(x, lengths, Tensor::of<int32_t>({2, 2}, {2, 1, 3, 0}));
  CHECK(dataset.classes == std::vector<std::string>{"1", "2", "3"});
  CHECK(dataset.targets.symbols);
  CHECK(dataset.examples[0].targets == std::vector<float>{2, 1});
  CHECK(dataset.examples[1].targets == std::vector<float>{3});
  CHECK(dataset.examples[1].values == std::vector<float>{4, 5});
  const auto refusal = [&](const Tensor& y, const Tensor& features) {
    return message_of<UserError>([&] { data::dataset_of_sequences(features, std::nullopt, y); });
  };
  CHECK(refusal(Tensor::of<int32_t>({2, 3}, {1, 0, 2, 1, 1, 1}), x) ==
        "the arrays: row 0 of y holds the symbol 2 behind a 0, the blank, which pads sequences at their end; "
        "leave "
        "blanks between symbols out");
  CHECK(
      refusal(Tensor::of<int32_t>({2, 1}, {1, -1}), x) ==
      "the arrays: row 1 of y holds -1; symbols are whole numbers from 1 to 65536, padded with 0 at the end");
  CHECK(refusal(Tensor::of<int32_t>({3, 1}, {1, 1, 1}), x) ==
        "the arrays: y is [3, 1], but there are 2 rows; sequences of symbols are [rows, most symbols], "
        "padded with "
        "0");
  CHECK(contains(refusal(Tensor::of<int32_t>({2, 1}, {0, 0}), x), "holds no symbol, only the 0 that pads"));
  CHECK(contains(refusal(Tensor::of<int32_t>({2, 1}, {1, 1}), Tensor(f32, {2, 3})), "but X has no time"));
}

}  // namespace lariat::symbols_test
