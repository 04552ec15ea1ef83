#include <fmt/format.h>

#include <chrono>
#include <tuple>

#include "frontends/cli/arguments.hpp"
#include "frontends/cli/command_records.hpp"
#include "frontends/cli/console.hpp"
#include "frontends/cli/linear_commands.hpp"
#include "frontends/cli/outputs.hpp"
#include "frontends/cli/summary.hpp"
#include "frontends/cli/table.hpp"
#include "frontends/recipe/saved_model.hpp"
#include "graph/base/error.hpp"
#include "graph/base/json.hpp"

namespace lariat::cli {

namespace {

data::Split split_named(const std::string& name) {
  Strings known;
  for (const data::Split split : {data::Split::train, data::Split::validation, data::Split::test}) {
    if (data::name_of(split) == name) return split;
    known.emplace_back(data::name_of(split));
  }
  known.emplace_back("all");
  throw UserError(
      fmt::format("--split {}: must be train, validation, test or all.{}", name, did_you_mean(name, known)));
}

std::string confusion_table(const Strings& classes, const std::vector<std::vector<int64_t>>& confusion) {
  std::vector<Strings> rows{{"said"}};
  for (const std::string& name : classes) rows[0].push_back(name);
  for (size_t i = 0; i < confusion.size(); ++i) {
    rows.push_back({classes[i]});
    for (const int64_t count : confusion[i])
      rows.back().push_back(count == 0 ? "." : fmt::format("{}", count));
  }
  return columns(rows, 0);
}

// Of symbols: how many are wrong in which way, and which are wrong most often.
void print_symbol_errors(const Evaluation& evaluation) {
  constexpr size_t most = 10;
  const SymbolErrors& errors = evaluation.symbol_errors;
  print(fmt::format("\n{} of {} symbols: {} substituted, {} inserted, {} deleted\n", grouped(errors.errors()),
                    grouped(errors.symbols), grouped(errors.substitutions), grouped(errors.insertions),
                    grouped(errors.deletions)));
  std::vector<Strings> rows;
  for (const SymbolMistake& mistake : evaluation.mistakes) {
    if (rows.size() == most) break;
    rows.push_back({mistake.truth.empty()  ? "inserted"
                    : mistake.said.empty() ? "deleted"
                                           : "substituted",
                    mistake.truth, mistake.said, grouped(mistake.count)});
  }
  if (rows.empty()) return;
  rows.insert(rows.begin(), {"most frequent", "is", "said", "times"});
  print(columns(rows, 0));
}

}  // namespace

static void evaluate(const Strings& words) {
  Arguments arguments("lariat evaluate", "Measures a saved model on a split of a data set.",
                      "lariat evaluate digits.safetensors --data recordings --split test");
  std::string file, data_folder, labels, weights, offset, split_name, json_name;
  Strings held_out;
  std::optional<int64_t> threads;
  data::Split split = data::Split::test;
  arguments.input_word("MODEL", file, "what lariat train, search, solve or path wrote");
  arguments.option("--data", "DIR", data_folder,
                   "the folder of the data; of a linear model the file of rows");
  arguments.input("--labels", "FILE.npy", labels, "of a linear model: the labels of a matrix X.npy");
  arguments.input("--weights", "FILE", weights, "of a linear model: how much each row counts");
  arguments.input("--offset", "FILE", offset,
                  "of a linear model that was fitted with one: what is added to each row's prediction");
  arguments.option(
      "--split", "NAME",
      [&](const std::string& name) {
        if ((split_name = name) != "all") split = split_named(name);
      },
      "train, validation, test (the default), or all of a file of rows");
  arguments.repeated("--held-out", "SPEAKER", held_out, "take this speaker's recordings as the test");
  arguments.threads(threads);
  arguments.plugins();
  arguments.json(json_name);
  if (!arguments.read(words)) return;
  check_outputs({json_name}, {file});
  const JsonFile json(json_name);
  const ThreadLimit limit(threads);

  const Store store = Store::load(file);
  if (SavedLinear::is_one(store)) {
    if (!split_name.empty() || !held_out.empty())
      throw UserError(fmt::format(
          "'{}' is a linear model, measured on all rows of --data; leave --split and --held-out out", file));
    check_outputs({json_name}, {data_folder, labels, weights, offset});
    Json figures = evaluate_linear(SavedLinear::of(store, file), {data_folder, labels, weights, offset});
    figures["threads"] = limit.threads();
    return json.write(figures);
  }
  for (const auto& [flag, given, what] : {std::tuple("--labels", labels, "labels"),
                                          {"--weights", weights, "rows' weights"},
                                          {"--offset", offset, "offsets"}})
    if (!given.empty())
      throw UserError(
          fmt::format("'{}' is no linear model, whose {} {} names; leave it out", file, what, flag));
  SavedModel model = SavedModel::of(store, file);
  const Recipe& recipe = model.recipe();
  check_outputs({json_name}, recipe, data_folder);
  const data::Dataset dataset =
      split_name == "all" ? model.load_file(data_folder) : model.load_data(data_folder, split, held_out);
  if (dataset.examples.empty() && split_name != "all")
    throw UserError(fmt::format("'{}': none of its examples is of the split {}; take --split train{}",
                                data_folder, data::name_of(split),
                                dataset.skipped.empty()
                                    ? ", or all of a file of rows"
                                    : ", or see what was skipped, first: " + dataset.skipped[0]));
  for (const std::string& notice : dataset.notices) report(notice);
  const auto start = std::chrono::steady_clock::now();
  const Evaluation evaluation = model.evaluate(dataset, limit.threads());
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  list_skipped(dataset.skipped);

  const std::vector<TensorZeros> tensors = model.model().zeros();
  const Sparsity penalised = total(tensors, true), all = total(tensors);
  const std::string hash = fmt::format("{:016x}", model.model().parameter_hash());
  std::vector<Strings> rows = measures(evaluation);
  rows.insert(rows.end(), {{"loss", fmt::format("{:.4g}", evaluation.loss)},
                           {"examples", grouped(evaluation.examples)},
                           {"exact zeros", percent(penalised.fraction())},
                           {"time", duration(seconds)}});
  print(columns(rows, 0));
  const auto print_confusion = [](const std::string& title, const Evaluation& of) {
    if (!of.confusion.empty() && of.confusion.size() <= 20)
      print("\n" + title + confusion_table(of.confusion_names, of.confusion));
  };
  const bool symbols = model.model().network().task->decode != nullptr;
  if (symbols) print_symbol_errors(evaluation);
  if (evaluation.outputs.empty()) print_confusion("", evaluation);
  for (size_t i = 0; i < evaluation.outputs.size(); ++i)
    print_confusion(evaluation.output_names[i] + "\n", evaluation.outputs[i]);
  Json figures{{"accuracy", finite_or_null(evaluation.accuracy)},
               {"loss", evaluation.loss},
               {"task", model.model().network().task->name},
               {"metrics", parse_json(to_json(evaluation.metrics))},
               {"examples", evaluation.examples},
               {"split", data::name_of(split)},
               {"zero_fraction", penalised.fraction()},
               {"zero_fraction_all", all.fraction()},
               {"parameters", all.count},
               {"nonzeros", all.count - all.zeros},
               {"seconds", seconds},
               {"seed", recipe.training().seed},
               {"threads", limit.threads()},
               {"state_hash", hash},
               {"classes", model.classes()},
               {"confusion", evaluation.confusion},
               {"skipped", dataset.skipped},
               {"notices", dataset.notices}};
  if (symbols) {
    const SymbolErrors& errors = evaluation.symbol_errors;
    figures["confusion_names"] = evaluation.confusion_names;
    figures["symbol_errors"] = {{"symbols", errors.symbols},
                                {"substitutions", errors.substitutions},
                                {"insertions", errors.insertions},
                                {"deletions", errors.deletions}};
  }
  // What stands above is the first output's where there are several.
  for (size_t i = 0; i < evaluation.outputs.size(); ++i) {
    const Evaluation& of = evaluation.outputs[i];
    figures["outputs"][evaluation.output_names[i]] = {{"accuracy", finite_or_null(of.accuracy)},
                                                      {"loss", of.loss},
                                                      {"metrics", parse_json(to_json(of.metrics))},
                                                      {"classes", of.confusion_names},
                                                      {"confusion", of.confusion}};
  }
  json.write(figures);
}

Command command_records::evaluate() {
  return {"evaluate", "measure a saved model on a data set", cli::evaluate, CommandGroup::uses};
}

}  // namespace lariat::cli
