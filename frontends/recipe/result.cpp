#include "frontends/recipe/result.hpp"

#include <nlohmann/json.hpp>

namespace lariat {

using nlohmann::ordered_json;

namespace {

ordered_json json_of(const Evaluation& evaluation) {
  ordered_json object{
      {"examples", evaluation.examples}, {"accuracy", evaluation.accuracy}, {"loss", evaluation.loss}};
  for (const auto& [name, value] : evaluation.metrics)
    if (name != "accuracy") object[name] = value;
  object["confusion"] = evaluation.confusion;
  return object;
}

}  // namespace

std::string RunResult::json() const {
  ordered_json object;
  object["accuracy"] = test ? ordered_json(test->accuracy) : nullptr;
  object["loss"] = test ? ordered_json(test->loss) : nullptr;
  object["zero_fraction"] = penalised.fraction();
  object["zero_fraction_all"] = weights.fraction();
  object["parameters"] = parameters();
  object["nonzeros"] = nonzeros();
  object["seconds"] = seconds;
  object["seed"] = seed;
  object["threads"] = threads;
  object["state_hash"] = state_hash;
  object["training_state_hash"] = training_state_hash;
  object["stopped"] = stopped;
  object["ended"] = ended;
  object["model"] = model;
  object["checkpoint"] = checkpoint;
  object["train_examples"] = train_examples;
  object["classes"] = classes;
  if (test) object["test"] = json_of(*test);
  if (validation) object["validation"] = json_of(*validation);
  object["tensors"] = ordered_json::array();
  for (const TensorZeros& tensor : tensors)
    object["tensors"].push_back({{"name", tensor.name},
                                 {"shape", tensor.extents},
                                 {"zeros", tensor.sparsity.zeros},
                                 {"count", tensor.sparsity.count},
                                 {"penalised", tensor.penalised},
                                 {"penalty", tensor.penalty}});
  object["rewrite"] = ordered_json::parse(report.json());
  object["certificate"] = certificate ? ordered_json::parse(certificate->json()) : nullptr;
  object["history"] = ordered_json::array();
  for (const EpochReport& epoch : history) object["history"].push_back(ordered_json::parse(to_json(epoch)));
  object["skipped"] = skipped;
  object["notices"] = notices;
  object["recipe"] = ordered_json::parse(recipe);
  // File names may hold any bytes.
  return object.dump(2, ' ', false, ordered_json::error_handler_t::replace);
}

}  // namespace lariat
