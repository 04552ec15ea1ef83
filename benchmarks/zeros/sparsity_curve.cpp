// Accuracy against exact zeros: one recipe trained for several coefficients of its penalties, each time with
// the rewrite, and without it and then with as many of the smallest weights set to zero as the rewrite made.
// The coefficient is chosen on the validation examples; the test is looked at once, at the end.

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <iostream>
#include <tuple>

#include "benchmarks/picture.hpp"
#include "benchmarks/status.hpp"
#include "benchmarks/zeros/with_lambda.hpp"
#include "frontends/recipe/run.hpp"
#include "frontends/report/style.hpp"
#include "graph/base/error.hpp"
#include "graph/base/json.hpp"
#include "graph/io/atomic_file.hpp"

namespace lariat::benchmarks {

namespace {

struct Options {
  std::string recipe, data, json, svg;
  std::vector<std::string> settings;
  std::vector<double> lambdas{3e-4, 5e-4, 1e-3, 2e-3, 3e-3};
  double validation = 5000, within = 0.2;
  int threads = 0;
};

/// One coefficient: what came out on the examples that are looked at.
struct Outcome {
  double lambda = 0;
  Sparsity zeros = {};
  double accuracy = 0;
  /// Without the rewrite: as trained, with its own exact zeros, and with as many zeros as above.
  Sparsity zeros_without = {};
  double accuracy_without = 0, accuracy_pruned = 0;
  double seconds = 0, seconds_without = 0;

  double kept() const { return 100 * (1 - zeros.fraction()); }
};

// Sets the `count` penalised weights that are nearest to zero to zero, over all tensors together.
void prune(Sequential& model, int64_t count) {
  struct Weight {
    float size;
    size_t tensor;
    int64_t place;
  };
  std::vector<Tensor> tensors;
  std::vector<Weight> weights;
  for (const std::string& name : model.network().penalised()) {
    tensors.push_back(model.store().get(name));
    for (int64_t i = 0; i < tensors.back().count(); ++i)
      weights.push_back({std::abs(tensors.back().data<float>()[i]), tensors.size() - 1, i});
  }
  const auto smaller = [](const Weight& a, const Weight& b) {
    return std::tie(a.size, a.tensor, a.place) < std::tie(b.size, b.tensor, b.place);
  };
  std::nth_element(weights.begin(), weights.begin() + count, weights.end(), smaller);
  for (int64_t i = 0; i < count; ++i) {
    const Weight& weight = weights[static_cast<size_t>(i)];
    tensors[weight.tensor].data<float>()[weight.place] = 0;
  }
}

Outcome outcome(const Recipe& recipe, double lambda, const Options& options, double validation) {
  const bool final = validation == 0;
  const data::Split split = final ? data::Split::test : data::Split::validation;
  const RunOptions run{
      .data = options.data, .validation = validation, .threads = options.threads, .test = final};
  Outcome result{.lambda = lambda};
  Recipe with = with_lambda(recipe, lambda);
  with.set("proximal.rewrite", "true");
  TrainingRun sparse(with, run);
  const RunResult trained = sparse.run();
  result.zeros = trained.penalised;
  result.accuracy = sparse.evaluate(split).accuracy;
  result.seconds = trained.seconds;
  with.set("proximal.rewrite", "false");
  TrainingRun without(with, run);
  const RunResult kept = without.run();
  result.zeros_without = kept.penalised;
  result.accuracy_without = without.evaluate(split).accuracy;
  result.seconds_without = kept.seconds;
  prune(without.model(), result.zeros.zeros);
  result.accuracy_pruned = without.evaluate(split).accuracy;
  return result;
}

constexpr const char* row_format = "{:>10}  {:>11}  {:>8}  {:>17}  {:>11}  {:>20}\n";

void print_row(const Outcome& o) {
  fmt::print(row_format, fmt::format("{:g}", o.lambda), fmt::format("{:.2f}%", 100 * o.zeros.fraction()),
             fmt::format("{:.2f}%", 100 * o.accuracy), fmt::format("{:.2f}%", 100 * o.accuracy_pruned),
             fmt::format("{:.2f}%", 100 * o.accuracy_without),
             fmt::format("{} of {}", o.zeros_without.zeros, o.zeros_without.count));
  std::cout << std::flush;
}

void print_heading() {
  fmt::print(row_format, "lambda", "exact zeros", "accuracy", "rewrite off, cut", "rewrite off",
             "zeros of rewrite off");
}

// The most zeros among those whose accuracy is at most `within` percent below the best.
const Outcome& chosen(const std::vector<Outcome>& outcomes, double within) {
  double best = 0;
  for (const Outcome& o : outcomes) best = std::max(best, o.accuracy);
  const Outcome* found = nullptr;
  for (const Outcome& o : outcomes)
    if (o.accuracy >= best - within / 100 && (found == nullptr || o.zeros.zeros > found->zeros.zeros))
      found = &o;
  return *found;
}

Json json_of(const Outcome& o) {
  return {{"lambda", o.lambda},
          {"zeros", o.zeros.zeros},
          {"penalised", o.zeros.count},
          {"zero_fraction", o.zeros.fraction()},
          {"accuracy", o.accuracy},
          {"seconds", o.seconds},
          {"without_rewrite",
           {{"zeros", o.zeros_without.zeros},
            {"accuracy", o.accuracy_without},
            {"accuracy_cut_to_the_same_zeros", o.accuracy_pruned},
            {"seconds", o.seconds_without}}}};
}

std::string picture(std::vector<Outcome> outcomes) {
  std::sort(outcomes.begin(), outcomes.end(),
            [](const Outcome& a, const Outcome& b) { return a.kept() < b.kept(); });
  PointChart chart{.label = "Accuracy against the share of weights that are not zero",
                   .across = "weights that are not zero, %",
                   .up = "accuracy on the validation examples, %",
                   .series = {{"with the rewrite", {}}, {"without, smallest cut", {}}}};
  for (const Outcome& o : outcomes) {
    if (o.kept() == 0) continue;
    const auto words = [&](double accuracy) {
      return fmt::format("lambda {:g}: {:.2f}% of weights kept, accuracy {:.2f}%", o.lambda, o.kept(),
                         100 * accuracy);
    };
    chart.series[0].points.push_back({o.kept(), 100 * o.accuracy, words(o.accuracy)});
    chart.series[1].points.push_back({o.kept(), 100 * o.accuracy_pruned, words(o.accuracy_pruned)});
  }
  // A picture by itself brings the style that pages have.
  std::string svg = point_chart(chart);
  svg.insert(svg.find('>') + 1, fmt::format("<style>{} svg {{ font: 13px system-ui, sans-serif; }}</style>",
                                            reports::report_style));
  return svg.insert(4, " xmlns=\"http://www.w3.org/2000/svg\"");
}

void write_file(const std::string& path, const std::string& text) {
  AtomicFile file(path);
  file.write(text);
  file.commit();
}

void run(const Options& options) {
  Recipe recipe = Recipe::load(options.recipe);
  std::vector<std::pair<std::string, std::string>> settings;
  for (const std::string& setting : options.settings) {
    const size_t equals = std::min(setting.find('='), setting.size());
    settings.emplace_back(setting.substr(0, equals), setting.substr(std::min(equals + 1, setting.size())));
  }
  recipe.set(settings);
  print_heading();
  std::vector<Outcome> outcomes;
  for (const double lambda : options.lambdas) {
    outcomes.push_back(outcome(recipe, lambda, options, options.validation));
    print_row(outcomes.back());
  }
  const Outcome& best = chosen(outcomes, options.within);
  fmt::print(
      "\nOn the test, trained on all training examples with lambda = {:g}, the most zeros within {:g}% of "
      "the best:\n",
      best.lambda, options.within);
  const Outcome final = outcome(recipe, best.lambda, options, 0);
  print_row(final);
  Json json{{"recipe", parse_json(recipe.to_json())}, {"validation_examples", options.validation},
            {"within_percent", options.within},       {"validation", Json::array()},
            {"chosen_lambda", best.lambda},           {"test", json_of(final)}};
  for (const Outcome& o : outcomes) json["validation"].push_back(json_of(o));
  if (!options.json.empty()) write_file(options.json, json.dump(2) + "\n");
  if (!options.svg.empty()) write_file(options.svg, picture(outcomes));
}

}  // namespace

}  // namespace lariat::benchmarks

int main(int count, char** arguments) {
  lariat::benchmarks::Options options;
  CLI::App app("Accuracy against exact zeros for several coefficients of a recipe's penalties");
  app.add_option("recipe", options.recipe, "RECIPE.toml")->required();
  app.add_option("--data", options.data, "the folder of the data, instead of the recipe's");
  app.add_option("--set", options.settings, "KEY=VALUE: change a key of the recipe")
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
      ->expected(1);
  app.add_option("--lambdas", options.lambdas, "coefficients, separated by commas")->delimiter(',');
  app.add_option("--validation", options.validation, "data.validation while the coefficient is chosen")
      ->check(CLI::PositiveNumber);
  app.add_option("--within", options.within, "percent of accuracy that zeros may cost")
      ->check(CLI::NonNegativeNumber);
  app.add_option("--json", options.json, "write the figures to this file");
  app.add_option("--svg", options.svg, "write a picture to this file");
  app.add_option("--threads", options.threads, "at most so many threads; 0: what the machine allows");
  CLI11_PARSE(app, count, arguments);
  return lariat::benchmarks::status_of("sparsity_curve", [&] { return lariat::benchmarks::run(options); });
}
