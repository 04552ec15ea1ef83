#include <fmt/format.h>

#include <algorithm>
#include <tuple>

#include "frontends/sequential/sequential_state.hpp"
#include "graph/base/error.hpp"
#include "graph/program/evaluate.hpp"

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

namespace {

// Throws UserError where a view is of other examples, or of other frames where each of these has its outputs.
void check_view(const data::Dataset& view, const data::Dataset& dataset, bool by_frame) {
  if (view.examples.size() != dataset.examples.size())
    throw UserError(fmt::format("a view has {} examples, but there are {}; give the same in every view",
                                view.examples.size(), dataset.examples.size()));
  for (size_t i = 0; by_frame && i < view.examples.size(); ++i)
    if (view.examples[i].frames != dataset.examples[i].frames)
      throw UserError(fmt::format(
          "{}: has {} frames in a view and {} without, but the model answers for each frame; take "
          "views that keep them, so no speeds",
          dataset.examples[i].source, view.examples[i].frames, dataset.examples[i].frames));
}

void add_to(std::vector<float>& sum, const std::vector<float>& values) {
  require(sum.size() == values.size(), "a view has the outputs of the examples themselves");
  for (size_t i = 0; i < sum.size(); ++i) sum[i] += values[i];
}

void divide(std::vector<float>& values, size_t count) {
  for (float& value : values) value /= static_cast<float>(count);
}

}  // namespace

std::vector<HeadValues> Sequential::Implementation::measured(const data::Dataset& dataset,
                                                             const EvaluateOptions& options) {
  const ExampleRows rows(dataset, shape.targets.by_frame), examples(dataset, false);
  std::vector<HeadValues> found(network->heads.size());
  SequenceOutputs sequence(dataset.examples.size());
  infer(*evaluation, dataset, options, [&](const data::Batch& batch, const std::vector<Tensor>& values) {
    size_t metric = 2 * found.size();
    for (size_t h = 0; h < found.size(); ++h) {
      if (network->heads[h].lengths)
        sequence.put(batch, values[2 * h], values.back());
      else
        rows.put(batch, values[2 * h], found[h].outputs);
      examples.put(batch, values[2 * h + 1], found[h].losses);
      found[h].metrics.resize(network->heads[h].example_metrics.size());
      for (auto& place : found[h].metrics) examples.put(batch, values[metric++], place);
    }
  });
  if (network->heads.front().lengths)
    std::tie(found.front().outputs, found.front().frames) = std::move(sequence).joined();
  return found;
}

std::vector<std::string> Sequential::check(const data::Dataset& dataset, const std::string& what) {
  Implementation& self = *self_;
  self.need_network();
  std::string why;
  at_place(what.empty() ? "" : what + ": ", [&] {
    self.check(dataset, true);
    check_rows(*self.network, dataset);
    for (const data::Dataset& view : dataset.views) {
      check_view(view, dataset, self.is_by_frame());
      self.check(view, true);
    }
    why = why_none_counts(dataset, *self.network);
  });
  if (why.empty()) return {};
  return {fmt::format("{}{}: it will be 0 whatever the model answers", what.empty() ? "" : what + ": ", why)};
}

Evaluation Sequential::evaluate(const data::Dataset& dataset, const EvaluateOptions& options) {
  Implementation& self = *self_;
  self.need_network();
  self.check_beam(options);
  self.check(dataset, true);
  const Network& network = *self.network;
  if (!network.example_loss)
    throw UserError(
        fmt::format("the model was saved with a loss of its own, '{}'; call compile with it first",
                    self.outputs.front().loss.name));
  if (!self.evaluation) {
    std::vector<Value> values;
    for (const Head& head : network.heads) values.insert(values.end(), {head.outputs, head.example_loss});
    for (const ExampleMetric& metric : network.example_metrics) values.push_back(metric.value);
    // Whoever learns sequences is the only output.
    if (network.heads.front().lengths) values.push_back(network.heads.front().lengths);
    self.evaluation = self.inference(values);
  }
  std::vector<HeadValues> found = self.measured(dataset, options);
  for (const data::Dataset& view : dataset.views) {
    check_view(view, dataset, self.is_by_frame());
    self.check(view, true);
    const std::vector<HeadValues> seen = self.measured(view, options);
    for (size_t h = 0; h < found.size(); ++h) {
      add_to(found[h].outputs, seen[h].outputs);
      add_to(found[h].losses, seen[h].losses);
      for (size_t m = 0; m < found[h].metrics.size(); ++m) add_to(found[h].metrics[m], seen[h].metrics[m]);
    }
  }
  for (HeadValues& head : found) {
    if (dataset.views.empty()) break;
    divide(head.outputs, 1 + dataset.views.size());
    divide(head.losses, 1 + dataset.views.size());
    for (auto& metric : head.metrics) divide(metric, 1 + dataset.views.size());
  }
  return evaluation_of(network, dataset, std::move(found), options.beam);
}

std::vector<HeadValues> Sequential::Implementation::outputs_for(const data::Dataset& dataset,
                                                                const EvaluateOptions& options) {
  const bool linked = dataset.views.empty();
  std::unique_ptr<Inference>& program = linked ? prediction : outputs_alone;
  if (!program) {
    std::vector<Value> values;
    for (const Head& head : network->heads) values.push_back(linked ? head.predictions : head.outputs);
    if (network->heads.front().lengths) values.push_back(network->heads.front().lengths);
    program = inference(values);
  }
  std::vector<HeadValues> given(network->heads.size());
  const auto add = [&](const data::Dataset& view, bool first) {
    const ExampleRows rows(view, shape.targets.by_frame);
    std::vector<HeadValues> seen(given.size());
    SequenceOutputs sequence(view.examples.size());
    infer(*program, view, options, [&](const data::Batch& batch, const std::vector<Tensor>& values) {
      for (size_t h = 0; h < seen.size(); ++h) {
        if (network->heads[h].lengths)
          sequence.put(batch, values[h], values.back());
        else
          rows.put(batch, values[h], seen[h].outputs);
      }
    });
    if (network->heads.front().lengths)
      std::tie(seen.front().outputs, seen.front().frames) = std::move(sequence).joined();
    if (first) return given.swap(seen);
    for (size_t h = 0; h < given.size(); ++h) add_to(given[h].outputs, seen[h].outputs);
  };
  add(dataset, true);
  if (linked) return given;
  for (const data::Dataset& view : dataset.views) {
    check_view(view, dataset, is_by_frame());
    check(view, false);
    add(view, false);
  }
  for (size_t h = 0; h < given.size(); ++h) {
    const Head& head = network->heads[h];
    std::vector<float>& sums = given[h].outputs;
    divide(sums, 1 + dataset.views.size());
    if (head.loss.plain_outputs) continue;
    const int64_t width = head.task->outputs(head.shape);
    const Extents extents{static_cast<int64_t>(sums.size()) / width, width};
    Graph graph;
    const Value outputs = graph.input("outputs", Shape(extents.begin(), extents.end()));
    const Tensor said = lariat::evaluate(
        head.task->link(outputs), {{outputs, Tensor::of<float>(extents, std::span<const float>(sums))}});
    const auto values = said.values<float>();
    sums.assign(values.begin(), values.end());
  }
  return given;
}

std::vector<Prediction> Sequential::predict(const data::Dataset& dataset, const EvaluateOptions& options) {
  Implementation& self = *self_;
  self.need_network();
  self.check_beam(options);
  self.check(dataset, false);
  return predictions_of(*self.network, dataset, self.outputs_for(dataset, options), options.beam);
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
