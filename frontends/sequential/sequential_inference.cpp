#include <fmt/format.h>

#include <algorithm>

#include "frontends/sequential/sequential_state.hpp"
#include "graph/base/error.hpp"

namespace lariat {

void Sequential::Implementation::infer(
    Inference& program, const data::Dataset& dataset, const EvaluateOptions& options,
    const std::function<void(const data::Batch&, const std::vector<Tensor>&)>& take) {
  check_rows(*network, dataset);
  const auto end_at = [&](const std::map<std::string, Tensor>& states) {
    for (const auto& [name, state] : states) store().set(name, state);
  };
  std::map<std::string, Tensor> before, zeros;
  for (const std::string& name : network->carried) {
    const Tensor state = store().get(name);
    before.emplace(name, state.clone());
    zeros.emplace(name, Tensor(state.dtype(), state.extents()));
  }
  if (options.reset_states) end_at(zeros);
  try {
    program.each(dataset, store(), executor_for(options.threads), options.batch_size, options.time_multiple,
                 take);
  } catch (...) {
    end_at(before);
    throw;
  }
  if (options.reset_states) end_at(before);
}

Evaluation Sequential::evaluate(const data::Dataset& dataset, const EvaluateOptions& options) {
  Implementation& self = *self_;
  self.need_network();
  self.check(dataset, true);
  const Network& network = *self.network;
  if (!network.example_loss)
    throw UserError(
        fmt::format("the model was saved with a loss of its own, '{}'; call compile with it first",
                    self.outputs.front().loss.name));
  if (!self.evaluation) {
    std::vector<Value> values;
    for (const Head& head : network.heads) values.insert(values.end(), {head.outputs, head.example_loss});
    for (const auto& [name, value] : network.example_metrics) values.push_back(value);
    self.evaluation = self.inference(values);
  }
  const ExampleRows rows(dataset, self.shape.targets.by_frame), examples(dataset, false);
  std::vector<HeadValues> found(network.heads.size());
  self.infer(*self.evaluation, dataset, options,
             [&](const data::Batch& batch, const std::vector<Tensor>& values) {
               size_t metric = 2 * found.size();
               for (size_t h = 0; h < found.size(); ++h) {
                 rows.put(batch, values[2 * h], found[h].outputs);
                 examples.put(batch, values[2 * h + 1], found[h].losses);
                 found[h].metrics.resize(network.heads[h].example_metrics.size());
                 for (auto& place : found[h].metrics) examples.put(batch, values[metric++], place);
               }
             });
  return evaluation_of(network, dataset, std::move(found));
}

std::vector<Prediction> Sequential::predict(const data::Dataset& dataset, const EvaluateOptions& options) {
  Implementation& self = *self_;
  self.need_network();
  self.check(dataset, false);
  const Network& network = *self.network;
  if (!self.prediction) {
    std::vector<Value> values;
    for (const Head& head : network.heads) values.push_back(head.predictions);
    self.prediction = self.inference(values);
  }
  const ExampleRows rows(dataset, self.shape.targets.by_frame);
  std::vector<std::vector<float>> predicted(network.heads.size());
  self.infer(*self.prediction, dataset, options,
             [&](const data::Batch& batch, const std::vector<Tensor>& values) {
               for (size_t h = 0; h < predicted.size(); ++h) rows.put(batch, values[h], predicted[h]);
             });
  return predictions_of(network, rows, predicted);
}

Certificate Sequential::certify(const data::Dataset& dataset, const EvaluateOptions& options) {
  Implementation& self = *self_;
  if (!self.trainer)
    throw UserError("the model has not been trained here, so there is no loss to certify; call fit first");
  self.check(dataset, true);
  check_rows(*self.network, dataset);
  const int64_t rows = self.network->rows;
  const data::Batches batches = unordered_batches(
      dataset, rows > 0 ? static_cast<int>(rows) : options.batch_size, options.time_multiple);
  return self.trainer->certify(FeedsList(
      batches.size(), [&](size_t index) { return feeds_of(batches[index], *self.network->graph); }));
}

std::map<std::string, Tensor> Sequential::states() const {
  self_->need_network();
  std::map<std::string, Tensor> result;
  for (const std::string& name : self_->network->carried)
    result.emplace(name, self_->store().get(name).clone());
  return result;
}

void Sequential::set_states(const std::map<std::string, Tensor>& states) {
  self_->need_network();
  const std::vector<std::string>& known = self_->network->carried;
  for (const auto& [name, given] : states) {
    if (std::find(known.begin(), known.end(), name) == known.end())
      throw UserError(known.empty()
                          ? fmt::format("there is no state '{}': no layer of the model is stateful", name)
                          : fmt::format("there is no state '{}'.{}", name, did_you_mean(name, known)));
    if (const Tensor state = self_->store().get(name); state.type() != given.type())
      throw UserError(fmt::format("the state '{}' is {}, but {} was given; give [rows, units] of the layer",
                                  name, text(state.type()), text(given.type())));
  }
  for (const auto& [name, given] : states) self_->store().set(name, given.clone());
}

void Sequential::reset_states() {
  self_->need_network();
  for (const auto& [name, state] : states()) self_->store().set(name, Tensor(state.dtype(), state.extents()));
}

}  // namespace lariat
