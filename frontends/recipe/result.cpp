#include "frontends/recipe/result.hpp"

#include "graph/base/json.hpp"

namespace lariat {

namespace {

Json json_of(const SymbolErrors& errors, const std::vector<SymbolMistake>& mistakes) {
  Json object{{"symbols", errors.symbols},
              {"substitutions", errors.substitutions},
              {"insertions", errors.insertions},
              {"deletions", errors.deletions}};
  object["mistakes"] = Json::array();
  for (const SymbolMistake& mistake : mistakes)
    object["mistakes"].push_back(
        {{"truth", mistake.truth}, {"said", mistake.said}, {"count", mistake.count}});
  return object;
}

Json json_of(const Evaluation& evaluation) {
  Json object{{"examples", evaluation.examples},
              {"accuracy", finite_or_null(evaluation.accuracy)},
              {"loss", evaluation.loss}};
  for (const auto& [name, value] : evaluation.metrics)
    if (name != "accuracy") object[name] = finite_or_null(value);
  object["by_class"] = Json::array();
  for (const ClassScores& scores : evaluation.by_class)
    object["by_class"].push_back({{"class", scores.name},
                                  {"precision", scores.precision},
                                  {"recall", scores.recall},
                                  {"f1", scores.f1},
                                  {"weight", scores.weight}});
  object["confusion"] = evaluation.confusion;
  if (const SymbolErrors& errors = evaluation.symbol_errors; errors.symbols + errors.insertions > 0)
    object["symbol_errors"] = json_of(errors, evaluation.mistakes);
  return object;
}

}  // namespace

std::string RunResult::measured_json() const {
  Json object = Json::object();
  for (const auto& [name, evaluation] : {std::pair{"test", &test}, std::pair{"validation", &validation}})
    if (*evaluation) {
      object[name] = json_of(**evaluation);
      object[name].erase("confusion");
      object[name].erase("by_class");
      object[name].erase("symbol_errors");
    }
  return object.dump();
}

std::string RunResult::json() const {
  Json object;
  object["accuracy"] = test ? finite_or_null(test->accuracy) : nullptr;
  object["loss"] = test ? Json(test->loss) : nullptr;
  object["zero_fraction"] = penalised.fraction();
  object["zero_fraction_all"] = weights.fraction();
  object["parameters"] = parameters();
  object["nonzeros"] = nonzeros();
  object["seconds"] = seconds;
  object["seed"] = seed;
  object["threads"] = threads;
  object["ranks"] = nullptr;
  if (ranks > 0)
    object["ranks"] = {{"count", ranks},
                       {"messages", traffic.messages},
                       {"sum_bytes", traffic.sum_bytes},
                       {"dense_bytes", traffic.dense_bytes},
                       {"seconds_waited", traffic.seconds_waited}};
  object["state_hash"] = state_hash;
  object["training_state_hash"] = training_state_hash;
  object["stopped"] = stopped;
  object["ended"] = ended;
  object["model"] = model;
  object["checkpoint"] = checkpoint;
  object["train_examples"] = train_examples;
  object["task"] = task;
  object["classes"] = classes;
  if (test) object["test"] = json_of(*test);
  if (validation) object["validation"] = json_of(*validation);
  object["tensors"] = Json::array();
  for (const TensorZeros& tensor : tensors)
    object["tensors"].push_back({{"name", tensor.name},
                                 {"shape", tensor.extents},
                                 {"zeros", tensor.sparsity.zeros},
                                 {"count", tensor.sparsity.count},
                                 {"penalised", tensor.penalised},
                                 {"penalty", tensor.penalty}});
  object["rewrite"] = parse_json(report.json());
  object["certificate"] = certificate ? parse_json(certificate->json()) : nullptr;
  object["history"] = Json::array();
  for (const EpochReport& epoch : history) object["history"].push_back(parse_json(to_json(epoch)));
  object["skipped"] = skipped;
  object["notices"] = notices;
  object["recipe"] = parse_json(recipe);
  // File names may hold any bytes.
  return to_text(object, 2);
}

}  // namespace lariat
