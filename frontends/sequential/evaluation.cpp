#include "frontends/sequential/evaluation.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <tbb/parallel_for.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "frontends/sequential/wiring.hpp"
#include "frontends/spec/activation.hpp"
#include "graph/base/error.hpp"

namespace lariat {

ExampleRows::ExampleRows(const std::vector<int64_t>& counts) : first_{0} {
  for (const int64_t count : counts) first_.push_back(first_.back() + count);
}

ExampleRows::ExampleRows(const data::Dataset& dataset, bool by_frame) : first_{0} {
  for (const data::Example& example : dataset.examples)
    first_.push_back(first_.back() + (by_frame ? example.frames : 1));
}

void ExampleRows::put(const data::Batch& batch, const Tensor& values, std::vector<float>& rows) const {
  const int64_t width = values.extents().size() < 2 ? 1 : values.extents().back();
  const int64_t stride = values.count() / values.extents().front();
  rows.resize(static_cast<size_t>(count() * width));
  for (size_t i = 0; i < batch.indices.size(); ++i) {
    const auto example = static_cast<size_t>(batch.indices[i]);
    std::copy_n(values.data<float>() + static_cast<int64_t>(i) * stride, count_of(example) * width,
                rows.begin() + first(example) * width);
  }
}

namespace {

// The outputs [rows, width] of an example.
std::span<const float> rows_of(const std::vector<float>& outputs, const ExampleRows& rows, size_t example,
                               int64_t width) {
  return {outputs.data() + rows.first(example) * width, static_cast<size_t>(rows.count_of(example) * width)};
}

}  // namespace

void SequenceOutputs::put(const data::Batch& batch, const Tensor& values, const Tensor& lengths) {
  width_ = values.extents().back();
  const int64_t stride = values.extents()[1] * width_;
  for (size_t i = 0; i < batch.indices.size(); ++i) {
    const float* first = values.data<float>() + static_cast<int64_t>(i) * stride;
    outputs_[static_cast<size_t>(batch.indices[i])].assign(first,
                                                           first + lengths.data<int32_t>()[i] * width_);
  }
}

std::pair<std::vector<float>, std::vector<int64_t>> SequenceOutputs::joined() && {
  std::pair<std::vector<float>, std::vector<int64_t>> all;
  for (std::vector<float>& outputs : outputs_) {
    all.first.insert(all.first.end(), outputs.begin(), outputs.end());
    all.second.push_back(static_cast<int64_t>(outputs.size()) / width_);
    outputs = {};
  }
  return all;
}

namespace {

// A sequence for each example, which has a row each.
void add_sequences(const LearningTask& task, const data::Dataset& dataset, const HeadValues& values,
                   int64_t beam, Outcome& outcome) {
  const ExampleRows rows(values.frames);
  outcome.sequences.resize(dataset.examples.size());
  tbb::parallel_for(size_t{0}, dataset.examples.size(), [&](size_t i) {
    SymbolSequences& of = outcome.sequences[i];
    const std::vector<float>& targets = dataset.examples[i].targets;
    of.truth.assign(targets.begin(), targets.end());
    of.said = task.decode(rows_of(values.outputs, rows, i, outcome.width), outcome.width, beam);
  });
  outcome.rows = static_cast<int64_t>(dataset.examples.size());
  for (const data::Example& example : dataset.examples)
    outcome.weights.push_back(static_cast<double>(example.weight));
}

}  // namespace

Outcome outcome_of(const LearningTask& task, const DataShape& shape, const data::Dataset& dataset,
                   HeadValues values, int64_t beam) {
  Outcome outcome;
  outcome.width = task.outputs(shape);
  outcome.names = task.names(shape);
  if (task.decode != nullptr) {
    add_sequences(task, dataset, values, beam, outcome);
    return outcome;
  }
  outcome.outputs = std::move(values.outputs);
  outcome.rows = static_cast<int64_t>(outcome.outputs.size()) / outcome.width;
  outcome.truth.resize(outcome.outputs.size());
  if (task.answers != nullptr) outcome.answers = task.answers(shape);
  outcome.exclusive = task.exclusive;
  const ExampleRows rows(dataset, shape.targets.by_frame);
  for (size_t i = 0; i < dataset.examples.size(); ++i)
    for (int64_t frame = 0; frame < rows.count_of(i); ++frame) {
      task.truth(dataset.examples[i], shape, frame, &outcome.truth[outcome.weights.size() * outcome.width]);
      outcome.weights.push_back(static_cast<double>(dataset.examples[i].weight));
    }
  return outcome;
}

namespace {

double weighted_sum(const std::vector<float>& values, const data::Dataset& dataset) {
  double sum = 0;
  for (size_t i = 0; i < values.size(); ++i)
    sum += static_cast<double>(dataset.examples[i].weight) * static_cast<double>(values[i]);
  return sum;
}

std::vector<ClassScores> scores_by_class(const Outcome& outcome) {
  const auto ratio = [](double part, double all) { return all > 0 ? part / all : 0; };
  std::vector<ClassScores> scores;
  const std::vector<Counts> counts = counts_by_column(outcome);
  for (size_t i = 0; i < counts.size(); ++i)
    scores.push_back(
        {outcome.names[i], ratio(counts[i].right, counts[i].right + counts[i].false_alarms),
         ratio(counts[i].right, counts[i].truly()),
         ratio(2 * counts[i].right, counts[i].truly() + counts[i].right + counts[i].false_alarms),
         counts[i].truly()});
  return scores;
}

Evaluation evaluation_of_head(const Head& head, const data::Dataset& dataset, HeadValues values,
                              int64_t beam) {
  Evaluation evaluation;
  evaluation.examples = static_cast<int64_t>(dataset.examples.size());
  evaluation.weighted = data::is_weighted(dataset);
  // As training makes it small: a mean over examples, each times its weight. Metrics are means over weights.
  evaluation.loss = weighted_sum(values.losses, dataset) / static_cast<double>(evaluation.examples);
  const std::vector<std::vector<float>> by_example = std::move(values.metrics);
  const Outcome outcome = outcome_of(*head.task, head.shape, dataset, std::move(values), beam);
  size_t next = 0;
  for (const Metric& metric : head.metrics) {
    if (metric.over_data) {
      const MetricValues found = metric.over_data(outcome);
      evaluation.metrics.insert(evaluation.metrics.end(), found.begin(), found.end());
    } else if (metric.per_example) {
      const std::vector<float> ones(dataset.examples.size(), 1);
      evaluation.metrics.emplace_back(metric.name,
                                      weighted_sum(by_example[next], dataset) / weighted_sum(ones, dataset));
    }
    if (metric.per_example) ++next;
  }
  if (head.task->name != "numbers" && head.task->decode == nullptr)
    evaluation.by_class = scores_by_class(outcome);
  head.task->show(outcome, evaluation);
  return evaluation;
}

// The data as one of several outputs has them, without features.
data::Dataset seen_by(const Head& head, const data::Dataset& dataset) {
  data::Dataset seen;
  seen.sequences = dataset.sequences;
  for (const data::Example& example : dataset.examples) seen.examples.push_back(head.targets_of(example));
  return seen;
}

void describe_symbols(const Head& head, int64_t beam, Prediction& prediction) {
  const DataShape& shape = head.shape;
  const int64_t width = head.task->outputs(shape);
  std::vector<float> logarithms(prediction.values.size());
  std::transform(prediction.values.begin(), prediction.values.end(), logarithms.begin(),
                 [](float share) { return std::log(share); });
  const std::vector<int32_t> symbols = head.task->decode(logarithms, width, beam);
  const std::vector<std::string> names = head.task->names(shape);
  for (const int32_t symbol : symbols) prediction.symbols.push_back(names[static_cast<size_t>(symbol)]);
  prediction.label = symbols_text(symbols, shape.classes, shape.targets);
  prediction.index = -1;
  prediction.probability = std::exp(log_probability(symbols, logarithms, width));
}

// Of margins: what is on the side above 0, or the largest; how probable it is nobody knows.
void describe_margins(const LearningTask& task, const DataShape& shape, Prediction& prediction) {
  const std::vector<float> margins = prediction.values;
  if (!task.exclusive)
    for (float& value : prediction.values) value = value > 0 ? 1 : 0;
  task.describe(shape, prediction);
  prediction.values = margins;
  prediction.probabilities.clear();
  prediction.probability = std::numeric_limits<double>::quiet_NaN();
}

std::vector<Prediction> predictions_of_head(const Head& head, const data::Dataset& dataset,
                                            const HeadValues& given, int64_t beam) {
  const DataShape& shape = head.shape;
  const bool sequences = head.task->decode != nullptr;
  const ExampleRows rows =
      sequences ? ExampleRows(given.frames) : ExampleRows(dataset, shape.targets.by_frame);
  const std::vector<float>& values = given.outputs;
  const int64_t width = head.task->outputs(shape);
  std::vector<Prediction> predictions;
  for (size_t i = 0; i < rows.examples(); ++i) {
    Prediction prediction;
    const auto begin = values.begin() + rows.first(i) * width;
    prediction.values.assign(begin, begin + rows.count_of(i) * width);
    if (shape.targets.by_frame || sequences) prediction.frames = rows.count_of(i);
    if (sequences) {
      describe_symbols(head, beam, prediction);
    } else if (shape.targets.by_frame) {
      prediction.index = -1;
      prediction.probability = std::numeric_limits<double>::quiet_NaN();
    } else if (head.loss.plain_outputs) {
      describe_margins(*head.task, shape, prediction);
    } else {
      head.task->describe(shape, prediction);
    }
    predictions.push_back(std::move(prediction));
  }
  return predictions;
}

}  // namespace

Evaluation evaluation_of(const Network& network, const data::Dataset& dataset, std::vector<HeadValues> values,
                         int64_t beam) {
  if (network.heads.size() == 1 && network.heads.front().shape.targets.columns.empty())
    return evaluation_of_head(network.heads.front(), dataset, std::move(values.front()), beam);
  std::vector<Evaluation> each;
  for (size_t h = 0; h < values.size(); ++h)
    each.push_back(
        evaluation_of_head(network.heads[h], seen_by(network.heads[h], dataset), std::move(values[h]), beam));
  Evaluation all = each.front();
  if (each.size() == 1) return all;
  all.loss = 0;
  all.metrics.clear();
  for (size_t h = 0; h < each.size(); ++h) {
    const Head& head = network.heads[h];
    all.loss += head.weight * each[h].loss;
    for (const auto& [name, value] : each[h].metrics) all.metrics.emplace_back(head.name + "/" + name, value);
    all.output_names.push_back(head.name);
  }
  all.outputs = std::move(each);
  return all;
}

std::vector<Prediction> predictions_of(const Network& network, const data::Dataset& dataset,
                                       const std::vector<HeadValues>& values, int64_t beam) {
  std::vector<Prediction> predictions =
      predictions_of_head(network.heads.front(), dataset, values.front(), beam);
  if (values.size() == 1) return predictions;
  for (size_t h = 0; h < values.size(); ++h) {
    const std::vector<Prediction> more = predictions_of_head(network.heads[h], dataset, values[h], beam);
    for (size_t i = 0; i < more.size(); ++i) predictions[i].outputs.push_back(more[i]);
  }
  return predictions;
}

namespace {

std::string text_of(const data::Targets& targets) {
  if (targets.width == 0) return "labels";
  if (targets.symbols) return targets.between.empty() ? "sequences of characters" : "sequences of symbols";
  return fmt::format("{} target{}{} for each {}", targets.width, targets.width == 1 ? "" : "s",
                     targets.names.empty() ? "" : fmt::format(" ({})", fmt::join(targets.names, ", ")),
                     targets.by_frame ? "frame" : "example");
}

std::string text_of(const std::vector<data::Column>& columns) {
  std::vector<std::string> texts;
  for (const data::Column& column : columns)
    texts.push_back(fmt::format("{} ({})", column.name, column.width));
  return texts.empty() ? "none" : join_words(texts);
}

// Whether a layer takes one column alone.
bool takes_columns(const std::vector<LayerSpec>& layers, const DataShape& shape) {
  return std::any_of(shape.columns.begin(), shape.columns.end(), [&](const data::Column& column) {
    return std::any_of(layers.begin(), layers.end(), [&](const LayerSpec& layer) {
      const LayerPlace place = place_of(layer);
      std::vector<std::string> taken = place.input;
      taken.insert(taken.end(), place.initial_state.begin(), place.initial_state.end());
      return std::find(taken.begin(), taken.end(), column.name) != taken.end();
    });
  });
}

}  // namespace

void check_shape(const DataShape& given, const DataShape& shape) {
  const auto kind = [](bool sequences) { return sequences ? "sequences" : "data without a time axis"; };
  if (given.sequences != shape.sequences)
    throw UserError(fmt::format("the model takes {}, but these are {}; give data of the same kind",
                                kind(shape.sequences), kind(given.sequences)));
  if (given.dimensions != shape.dimensions)
    throw UserError(fmt::format(
        "the model takes {} values {}, but the data have {}; compute them with the model's options",
        shape.dimensions, shape.sequences ? "per frame" : "per example", given.dimensions));
}

std::vector<SymbolInput> symbol_inputs(const std::vector<LayerSpec>& layers, const DataShape& shape) {
  const auto takes_symbols = [](const LayerSpec& layer) { return bool(layer_kind_of(layer).symbols); };
  if (std::none_of(layers.begin(), layers.end(), takes_symbols)) return {};
  std::vector<std::string> names;
  std::vector<data::Column> columns = shape.columns;
  for (const data::Column& column : columns) names.push_back(column.name);
  if (columns.empty()) columns.push_back({"", shape.dimensions});
  const Wiring wiring = wiring_of(layers, names_of(layers), &names);
  std::vector<SymbolInput> inputs;
  for (size_t i = 0; i < layers.size(); ++i) {
    const LayerSpec& layer = layers[wiring.owners[i]];
    if (!takes_symbols(layer)) continue;
    for (const Wiring::Source& source : wiring.inputs[i]) {
      if (source.layer >= 0) continue;
      int64_t first = 0;
      for (const data::Column& column : columns) {
        if (source.column == all_columns || source.column == column.name)
          inputs.push_back(
              {wiring.names[i], layer_kind_of(layer).symbols(layer), column.name, first, column.width});
        first += column.width;
      }
    }
  }
  return inputs;
}

void check_symbols(const data::Example& example, const std::vector<SymbolInput>& inputs) {
  const auto dimensions = static_cast<size_t>(example.dimensions);
  for (const SymbolInput& input : inputs)
    for (size_t frame = 0; (frame + 1) * dimensions <= example.values.size(); ++frame)
      for (int64_t i = 0; i < input.width; ++i) {
        const float value = example.values[frame * dimensions + static_cast<size_t>(input.first + i)];
        const bool whole = value == std::floor(value);
        if (whole && value >= 0 && value < static_cast<float>(input.symbols)) continue;
        throw UserError(fmt::format(
            "{}has {}{} for the layer '{}', which takes symbols, whole numbers from 0 to {}{}",
            task_parts::place_of(example), value,
            input.column.empty() ? "" : fmt::format(" in '{}'", input.column), input.layer, input.symbols - 1,
            whole || input.column.empty()
                ? ""
                : "; what is missing in a table is the mean of its column: give it a symbol of its own"));
      }
}

void check_data(const data::Dataset& dataset, const Network& network, const std::vector<LayerSpec>& layers,
                const DataShape& shape, bool labelled) {
  const DataShape given = shape_of(dataset);
  check_shape(given, shape);
  if (labelled && given.classes != shape.classes)
    throw UserError(
        fmt::format("the model knows the classes {}, but the data have {}; give data of the same classes",
                    fmt::join(shape.classes, ", "), fmt::join(given.classes, ", ")));
  if (labelled && !(given.targets == shape.targets))
    throw UserError(fmt::format("the model learns {}, but the data have {}; give data with the same targets",
                                text_of(shape.targets), text_of(given.targets)));
  if (!(given.columns == shape.columns) && takes_columns(layers, shape))
    throw UserError(
        fmt::format("the model takes the columns {}, but the data have {}; give the same, in that order",
                    text_of(shape.columns), text_of(given.columns)));
  for (const data::Example& example : dataset.examples) {
    data::check_size(example, dataset);
    if (!labelled) continue;
    for (const Head& head : network.heads) {
      const bool all = head.shape.targets.columns.empty();
      const data::Example chosen = all ? data::Example{} : head.targets_of(example);
      const data::Example& own = all ? example : chosen;
      head.task->check_targets(own, head.shape);
      if (!head.loss.takes_shares) task_parts::check_no_shares(own, head.shape, head.loss.name);
    }
  }
  if (labelled && std::all_of(dataset.examples.begin(), dataset.examples.end(),
                              [](const data::Example& example) { return example.weight == 0; }))
    throw UserError("every example has the weight 0, so that none counts; give one a weight above 0");
  const std::vector<SymbolInput> symbols = symbol_inputs(layers, shape);
  for (const data::Example& example : dataset.examples) {
    data::check_finite(example);
    if (!symbols.empty()) check_symbols(example.stored ? data::loaded(example) : example, symbols);
  }
  if (!shape.sequences) return;
  NeededFrames needed(layers, network.heads.front().layer);
  const data::Targets targets = labelled ? shape.targets : data::Targets{};
  for (const data::Example& example : dataset.examples)
    if (example.frames < needed.of(example, targets))
      throw UserError(fmt::format("{}: is of {} frames, but {}; leave it out, or use {}", example.source,
                                  example.frames, needed.text_of(example, targets),
                                  targets.symbols ? "smaller strides" : "padding = same"));
}

std::string why_none_counts(const data::Dataset& dataset, const Network& network) {
  for (const Head& head : network.heads) {
    const std::vector<double>& weights = head.loss.class_weights;
    if (weights.empty()) continue;
    std::vector<float> row(weights.size());
    const ExampleRows rows(dataset, head.shape.targets.by_frame);
    const auto counts = [&](size_t i) {
      const data::Example& example = dataset.examples[i];
      const data::Example chosen =
          head.shape.targets.columns.empty() ? data::Example{} : head.targets_of(example);
      for (int64_t frame = 0; example.weight != 0 && frame < rows.count_of(i); ++frame) {
        head.task->truth(head.shape.targets.columns.empty() ? example : chosen, head.shape, frame,
                         row.data());
        for (size_t c = 0; c < row.size(); ++c)
          if (row[c] != 0 && weights[c] != 0) return true;
      }
      return false;
    };
    bool any = false;
    for (size_t i = 0; i < dataset.examples.size() && !any; ++i) any = counts(i);
    if (!any)
      return fmt::format(
          "{}every example that counts is of a class whose class_weights are 0, so that none is in "
          "the loss",
          head.name.empty() ? "" : fmt::format("output {}: ", head.name));
  }
  return {};
}

void check_reach(const data::Dataset& dataset, const Network& network) {
  for (const Head& head : network.heads) {
    const ValueRange range = range_of_activation(head.activation);
    if (head.task->name != "numbers" || !std::isfinite(range.lowest)) continue;
    for (const data::Example& example : dataset.examples) {
      const std::vector<float> targets =
          head.shape.targets.columns.empty() ? example.targets : head.targets_of(example).targets;
      for (size_t i = 0; i < targets.size(); ++i) {
        const bool standardised = head.is_standardised();
        const data::TargetScale scale = standardised
                                            ? head.shape.target_scales[i % head.shape.target_scales.size()]
                                            : data::TargetScale{};
        const float learned = (targets[i] - scale.mean) / scale.deviation;
        if (learned >= range.lowest && learned <= range.highest) continue;
        throw UserError(
            fmt::format("{}has the target {}{}, but the model ends in '{}' with the activation {}, which "
                        "leaves values {}: leave the activation out",
                        task_parts::place_of(example), targets[i],
                        standardised ? fmt::format(", standardised {:.4g}", learned) : "", head.last_layer,
                        head.activation, range.text()));
      }
    }
  }
}

}  // namespace lariat
