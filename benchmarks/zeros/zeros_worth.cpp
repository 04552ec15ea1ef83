// What zeros are worth: one recipe trained for several coefficients of its penalties, or models that there
// are, and of each its accuracy on the test, the bytes of its file, and the microseconds of a prediction on
// one thread, beside the same model without zeros.

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <filesystem>
#include <functional>
#include <iostream>

#include "benchmarks/machine.hpp"
#include "benchmarks/picture.hpp"
#include "benchmarks/status.hpp"
#include "benchmarks/zeros/with_lambda.hpp"
#include "frontends/compact/compact_model.hpp"
#include "frontends/recipe/run.hpp"
#include "frontends/recipe/saved_model.hpp"
#include "frontends/report/chart.hpp"
#include "graph/base/clock.hpp"
#include "graph/base/error.hpp"
#include "graph/base/instruction_set.hpp"
#include "graph/base/json.hpp"
#include "graph/base/random.hpp"
#include "graph/io/atomic_file.hpp"
#include "graph/program/program.hpp"

namespace lariat::benchmarks {

namespace {

struct WorthOptions {
  std::string recipe, data, json, svg, markdown;
  std::vector<std::string> settings, models;
  std::vector<double> lambdas{1e-5, 5e-5, 2e-4, 6e-4, 2e-3};
  int rounds = 51;
};

constexpr std::array<int64_t, 2> batches{1, 64};

struct Worth {
  double lambda = 0;
  Sparsity zeros = {};
  double accuracy = 0, accuracy_int8 = 0;
  uint64_t plain_bytes = 0, bytes = 0, bytes_int8 = 0;
  std::array<double, batches.size()> microseconds = {}, dense_microseconds = {};
};

// A model's predictions on examples of frames or numbers.
class Predictor {
 public:
  explicit Predictor(const Stack& stack) : store_(stack.weights), sequences_(stack.shape.sequences) {
    const StackGraph graph = graph_of(stack);
    const Value output = graph.signals.back().value;
    program_ = inference_program(*graph.graph, {&output, 1}, &store_);
    dimensions_ = stack.shape.dimensions;
  }

  double seconds(int64_t batch, int repetitions) {
    constexpr int64_t frames = 100;
    Extents extents{batch, dimensions_};
    if (sequences_) extents = {batch, frames, dimensions_};
    Tensor features(f32, extents);
    for (int64_t i = 0; i < features.count(); ++i)
      features.data<float>()[i] = static_cast<float>(to_unit(random_bits(1, 2, static_cast<uint64_t>(i))[0]));
    Feeds feeds{{"features", features}};
    if (sequences_) feeds.emplace("lengths", Tensor::filled(i32, {batch}, frames));
    const auto start = Clock::now();
    for (int i = 0; i < repetitions; ++i) program_->run(feeds, none_, *executor_);
    return seconds_since(start) / repetitions;
  }

 private:
  Store store_, none_;
  bool sequences_;
  int64_t dimensions_ = 0;
  std::unique_ptr<Program> program_;
  std::unique_ptr<Executor> executor_ = make_serial_executor();
};

Stack without_zeros(const Stack& stack) {
  Stack dense = stack;
  for (const auto& [name, tensor] : Store(dense.weights)) {
    if (tensor.dtype() != f32) continue;
    const Tensor filled = tensor.clone();
    for (float& value : filled.values<float>())
      if (value == 0) value = 1e-3F;
    dense.weights.set(name, filled);
  }
  return dense;
}

double median(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + static_cast<int64_t>(values.size() / 2), values.end());
  return values[values.size() / 2];
}

// Runs of both take turns.
void measure(Worth& worth, const Stack& stack, int rounds) {
  Predictor sparse(stack), dense(without_zeros(stack));
  for (size_t b = 0; b < batches.size(); ++b) {
    const int repetitions = std::max(1, static_cast<int>(2e-3 / dense.seconds(batches[b], 3)));
    std::vector<double> with, without;
    for (int i = 0; i < rounds; ++i) {
      with.push_back(sparse.seconds(batches[b], repetitions));
      without.push_back(dense.seconds(batches[b], repetitions));
    }
    worth.microseconds[b] = 1e6 * median(with);
    worth.dense_microseconds[b] = 1e6 * median(without);
  }
}

// A folder of its own for files that are measured.
class Scratch {
 public:
  Scratch() {
    std::string pattern = std::filesystem::temp_directory_path() / "lariat_zeros_XXXXXX";
    if (mkdtemp(pattern.data()) == nullptr) throw UserError("no folder for files can be made; set TMPDIR");
    folder_ = pattern;
  }
  ~Scratch() { std::filesystem::remove_all(folder_); }
  std::string file() const { return folder_ / "model.safetensors"; }

 private:
  std::filesystem::path folder_;
};

// What is measured of a model; `accuracy` says how good it is as it is then.
Worth worth_of(Sequential& model, const WorthOptions& options, const std::function<double()>& accuracy) {
  const Scratch scratch;
  const std::string file = scratch.file();
  Worth worth;
  worth.zeros = total(model.zeros(), true);
  worth.accuracy = accuracy();
  model.save(file);
  worth.bytes = std::filesystem::file_size(file);
  const Store store = Store::load(file);
  store.save(file);
  worth.plain_bytes = std::filesystem::file_size(file);
  measure(worth, stack_of(store, file), options.rounds);
  model.round_weights(NumberForm::int8);
  worth.accuracy_int8 = accuracy();
  model.save(file);
  worth.bytes_int8 = std::filesystem::file_size(file);
  return worth;
}

Worth worth_of(const Recipe& recipe, double lambda, const WorthOptions& options) {
  RunOptions run;
  run.data = options.data;
  run.certify = false;
  TrainingRun training(with_lambda(recipe, lambda), run);
  training.run();
  Worth worth =
      worth_of(training.model(), options, [&] { return training.evaluate(data::Split::test).accuracy; });
  worth.lambda = lambda;
  return worth;
}

Worth worth_of(const std::string& file, const WorthOptions& options) {
  SavedModel model = SavedModel::load(file);
  const data::Dataset test = model.load_data(options.data);
  return worth_of(model.model(), options, [&] { return model.evaluate(test).accuracy; });
}

std::string table_row(const Worth& w) {
  return fmt::format(
      "| {:g} | {:.1f}% | {:.2f}% | {:.1f} kB | {:.1f} kB ({:.2f}%) | {:.1f} | {:.1f}× | {:.0f} | {:.1f}× "
      "|\n",
      w.lambda, 100 * w.zeros.fraction(), 100 * w.accuracy, static_cast<double>(w.bytes) / 1000,
      static_cast<double>(w.bytes_int8) / 1000, 100 * w.accuracy_int8, w.microseconds[0],
      w.dense_microseconds[0] / w.microseconds[0], w.microseconds[1],
      w.dense_microseconds[1] / w.microseconds[1]);
}

constexpr const char* table_head =
    "| λ | exact zeros | accuracy | file | file, int8 | one example, µs | × dense | 64, µs | × dense |\n"
    "| --- | --- | --- | --- | --- | --- | --- | --- | --- |\n";

Json json_of(const Worth& w) {
  Json times = Json::array();
  for (size_t b = 0; b < batches.size(); ++b)
    times.push_back({{"batch", batches[b]},
                     {"microseconds", w.microseconds[b]},
                     {"dense_microseconds", w.dense_microseconds[b]}});
  return {{"lambda", w.lambda},     {"zeros", w.zeros.zeros},           {"penalised", w.zeros.count},
          {"accuracy", w.accuracy}, {"accuracy_int8", w.accuracy_int8}, {"plain_bytes", w.plain_bytes},
          {"bytes", w.bytes},       {"bytes_int8", w.bytes_int8},       {"times", times}};
}

// Three pictures over the same axis, one below the other.
std::string picture(std::vector<Worth> all) {
  const auto kept = [](const Worth& w) { return 100 * (1 - w.zeros.fraction()); };
  std::sort(all.begin(), all.end(), [&](const Worth& a, const Worth& b) { return kept(a) < kept(b); });
  const auto chart = [&](const std::string& up,
                         const std::vector<std::pair<std::string, double (*)(const Worth&)>>& of) {
    PointChart result{.label = up, .across = "weights that are not zero, %", .up = up, .series = {}};
    for (const auto& [name, value] : of) {
      PointChart::Series series{name, {}};
      for (const Worth& w : all)
        if (kept(w) > 0)
          series.points.push_back(
              {kept(w), value(w), fmt::format("{:.2f}% of weights: {:.4g}", kept(w), value(w))});
      result.series.push_back(series);
    }
    return point_chart(result);
  };
  const std::vector<std::string> charts{
      chart("accuracy on the test, %", {{"float32", [](const Worth& w) { return 100 * w.accuracy; }},
                                        {"int8", [](const Worth& w) { return 100 * w.accuracy_int8; }}}),
      chart("kB of the file",
            {{"float32", [](const Worth& w) { return static_cast<double>(w.bytes) / 1000; }},
             {"int8", [](const Worth& w) { return static_cast<double>(w.bytes_int8) / 1000; }}}),
      chart("µs of 64 examples", {{"zeros left out", [](const Worth& w) { return w.microseconds[1]; }},
                                  {"dense", [](const Worth& w) { return w.dense_microseconds[1]; }}})};
  return reports::svg_file(stacked(charts));
}

void write_file(const std::string& path, const std::string& text) {
  AtomicFile file(path);
  file.write(text);
  file.commit();
}

void run(const WorthOptions& options) {
  if (options.recipe.empty() == options.models.empty())
    throw UserError("give a recipe to train, or --model FILE for each model that is to be measured");
  Recipe recipe = options.models.empty() ? Recipe::load(options.recipe)
                                         : SavedModel::load(options.models.front()).recipe();
  std::vector<std::pair<std::string, std::string>> settings;
  for (const std::string& setting : options.settings) {
    const size_t equals = std::min(setting.find('='), setting.size());
    settings.emplace_back(setting.substr(0, equals), setting.substr(std::min(equals + 1, setting.size())));
  }
  recipe.set(settings);
  const Machine machine = measure_machine(1);
  const std::string where =
      fmt::format("{}, kernels for {}, one thread", machine.processor, name_of(instruction_set()));
  fmt::print("{}\n\n{}", where, table_head);
  std::vector<Worth> all;
  std::string table = table_head;
  Json json{{"recipe", parse_json(recipe.to_json())},
            {"processor", machine.processor},
            {"instruction_set", std::string(name_of(instruction_set()))},
            {"threads", 1},
            {"rows", Json::array()}};
  const auto add = [&](const Worth& worth) {
    all.push_back(worth);
    table += table_row(worth);
    fmt::print("{}", table_row(worth));
    std::cout << std::flush;
    json["rows"].push_back(json_of(worth));
  };
  for (const std::string& file : options.models) add(worth_of(file, options));
  for (const double lambda : options.lambdas)
    if (options.models.empty()) add(worth_of(recipe, lambda, options));
  if (!options.json.empty()) write_file(options.json, json.dump(2) + "\n");
  if (!options.svg.empty()) write_file(options.svg, picture(all));
  if (!options.markdown.empty()) write_file(options.markdown, fmt::format("{}\n{}\n", table, where));
}

}  // namespace

}  // namespace lariat::benchmarks

int main(int count, char** arguments) {
  lariat::benchmarks::WorthOptions options;
  CLI::App app("What zeros are worth: accuracy, bytes and microseconds for several coefficients");
  app.add_option("recipe", options.recipe, "RECIPE.toml");
  app.add_option("--model", options.models, "a trained model, in place of a recipe")
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
      ->expected(1);
  app.add_option("--data", options.data, "the folder of the data, instead of the recipe's");
  app.add_option("--set", options.settings, "KEY=VALUE: change a key of the recipe")
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
      ->expected(1);
  app.add_option("--lambdas", options.lambdas, "coefficients, separated by commas")->delimiter(',');
  app.add_option("--rounds", options.rounds, "how many times each is timed")->check(CLI::Range(1, 10000));
  app.add_option("--json", options.json, "write the figures to this file");
  app.add_option("--svg", options.svg, "write a picture to this file");
  app.add_option("--markdown", options.markdown, "write the table to this file");
  CLI11_PARSE(app, count, arguments);
  return lariat::benchmarks::status_of("zeros_worth", [&] { return lariat::benchmarks::run(options); });
}
