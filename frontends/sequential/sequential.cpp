#include "frontends/sequential/sequential_state.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <utility>

#include "autodiff/training/kept_weights.hpp"
#include "frontends/data/utf8.hpp"
#include "frontends/sequential/fit_loop.hpp"
#include "frontends/sequential/fit_ranks.hpp"
#include "frontends/sequential/model_file.hpp"
#include "frontends/sequential/trainer_setup.hpp"
#include "graph/base/error.hpp"
#include "graph/ir/op_def.hpp"

namespace lariat {

Sequential::Sequential(std::initializer_list<LayerSpec> layers)
    : Sequential(std::vector<LayerSpec>(layers)) {}
Sequential::Sequential(std::vector<LayerSpec> layers, const std::vector<std::string>& outputs)
    : self_(std::make_unique<Implementation>()) {
  self_->layers = std::move(layers);
  // Outputs that are not named yet may be any.
  wiring_of(self_->layers, outputs.empty() ? names_of(self_->layers) : outputs);
  if (outputs.empty()) return;
  self_->outputs.clear();
  for (const std::string& name : outputs) self_->outputs.push_back({name});
}
Sequential::Sequential(const std::vector<ModelValue>& inputs, const std::vector<ModelValue>& outputs)
    : self_(std::make_unique<Implementation>()) {
  ModelParts parts = ModelParts::of(inputs, outputs);
  *this = Sequential(std::move(parts.layers), parts.outputs);
  self_->first_weights = std::move(parts.weights);
  self_->columns = ModelParts::columns_of(inputs);
}
Sequential::Sequential(Sequential&&) noexcept = default;
Sequential& Sequential::operator=(Sequential&&) noexcept = default;
Sequential::~Sequential() = default;

const std::vector<LayerSpec>& Sequential::layers() const { return self_->layers; }

void Sequential::compile(const Optimizer& optimizer, const Loss& loss, std::vector<Metric> metrics) {
  std::vector<ModelOutput> outputs = self_->outputs;
  if (outputs.size() > 1)
    throw UserError(fmt::format("the model has {} outputs; give compile a loss for each: {{\"{}\", …}}, …",
                                outputs.size(), outputs.front().layer));
  outputs.front() = {outputs.front().layer, loss, std::move(metrics)};
  compile(optimizer, std::move(outputs));
}

void Sequential::compile(const Optimizer& optimizer, std::vector<ModelOutput> outputs) {
  self_->need_no_fit("compile");
  if (outputs.empty()) throw UserError("the model must have an output; give compile one, and its loss");
  for (const ModelOutput& output : outputs) {
    if (output.layer.empty() && outputs.size() > 1)
      throw UserError("each of several outputs must name its layer; give compile {\"name\", loss}, …");
    if (!(output.weight >= 0 && std::isfinite(output.weight)))
      throw UserError(fmt::format("the output '{}' has the weight {}; weights are finite numbers from 0",
                                  output.layer, output.weight));
  }
  self_->optimizer = optimizer;
  std::vector<ModelOutput> before = std::exchange(self_->outputs, std::move(outputs));
  try {
    if (self_->network) self_->make_network();
  } catch (const UserError&) {
    self_->outputs = std::move(before);
    throw;
  }
}

void Sequential::penalise(const GeneralPenalty& penalty) {
  if (self_->network) throw UserError("the model has been built; penalise it before fit, build or load");
  self_->layers = penalised(std::move(self_->layers), penalty);
}

void Sequential::set_trainable(const std::string& layer, bool trainable) {
  self_->need_no_fit("set_trainable");
  const std::vector<std::string> names = names_of(self_->layers);
  const auto found = std::find(names.begin(), names.end(), layer);
  if (found == names.end())
    throw UserError(fmt::format("the model has no layer '{}'.{}", layer, did_you_mean(layer, names)));
  LayerSpec& changed = self_->layers[static_cast<size_t>(found - names.begin())];
  changed = changed.with("trainable", trainable ? "true" : "false");
  if (self_->network) self_->make_network();
}

std::vector<ModelValue> Sequential::applied(const std::vector<ModelValue>& inputs) {
  std::vector<std::string> outputs;
  for (const ModelOutput& output : self_->outputs)
    if (!output.layer.empty()) outputs.push_back(output.layer);
  std::map<std::string, Tensor> weights = self_->first_weights;
  if (self_->network)
    for (const auto& [name, tensor] : parameters_of(*self_->network, self_->store(), "the model"))
      weights.insert_or_assign(name, tensor);
  return ModelParts::applied(self_->layers, outputs, self_->columns, inputs, weights);
}

void Sequential::build(const DataShape& shape, uint64_t seed) {
  if (self_->network) {
    if (!shape.target_scales.empty() && self_->shape.target_scales.empty())
      throw UserError(
          "the model learns numbers as they are, as it was built, and these data have standardised ones; "
          "standardise those that it is first built for, or none");
    return check_shape(shape, self_->shape);
  }
  for (const std::string& name : shape.classes)
    if (!data::is_utf8(name))
      throw UserError(
          fmt::format("the class '{}' is not named in UTF-8, in which models are saved; rename it", name));
  self_->shape = shape;
  self_->make_network();
  Store initial;
  initialize_store(*self_->network->graph, initial, seed);
  for (const auto& [name, tensor] : self_->first_weights) {
    const Tensor* known = initial.find(name);
    if (known == nullptr || known->type() != tensor.type())
      throw UserError(
          fmt::format("the model has the weights of another for '{}', {}, but it is {} here; give it "
                      "inputs of the same width",
                      name, text(tensor.type()), known == nullptr ? "none" : text(known->type())));
    initial.set(name, tensor);
  }
  self_->loaded = parameters_of(*self_->network, initial, "the model");
}

void Sequential::Implementation::make_trainer(const FitOptions& options, const FitState& state,
                                              const std::shared_ptr<const FitCallbacks>& callbacks) {
  TrainerSetup setup = trainer_setup(*network, options, state, callbacks, *optimizer);
  strength = setup.strength;
  auto next = std::make_unique<Trainer>(setup.loss, *optimizer, std::move(setup.options));
  const bool resumed = options.from.total_steps > 0;
  for (const auto& [name, initial] : Store(next->store())) {
    const Tensor* known = store().find(name);
    if (known != nullptr && known->type() == initial.type()) {
      next->store().set(name, *known);
    } else if (resumed) {
      throw UserError(
          fmt::format("the state to go on from has no tensor '{}' of type {}; start the training again", name,
                      text(initial.type())));
    }
  }
  if (resumed)
    for (const auto& [name, kept] : store())
      if (name.starts_with(kept_by_callbacks) || name.starts_with(kept_places_prefix))
        next->store().set(name, kept);
  trainer = std::move(next);
  loaded = {};
}

// L201, as if all penalties were at full strength.
std::vector<std::string> Sequential::Implementation::warnings(const data::Batch& batch) {
  if (network->penalised().empty()) return {};
  Feeds feeds = feeds_of(batch, *network->graph);
  if (strength) feeds.emplace(network->strength.name(), Tensor::scalar(1, f32));
  return trainer->stationary_at_zero(feeds);
}

Sequential::FitBeginning Sequential::prepare_fit(TrainingData& data, FitOptions options) {
  Implementation& self = *self_;
  self.need_no_fit("fit");
  if (!self.optimizer) throw UserError("the model does not know how to train yet; call compile first");
  check_ranges(options);
  const data::Dataset& first = data.at(static_cast<uint32_t>(options.from.epoch));
  if (const bool weighted = data::is_weighted(first); std::exchange(self.weighted, weighted) != weighted)
    if (self.network) self.make_network();
  build(shape_of(first), options.seed);
  self.check(first, true);
  if (const std::string why = why_none_counts(first, *self.network); !why.empty())
    throw UserError(why + "; give one of their classes a weight above 0");
  check_reach(first, *self.network);
  check_rows(*self.network, first, options.batch_size);
  if (self.network->rows > 0) options.shuffle = options.bucket = false;
  if (options.validation)
    for (const std::string& warning : check(*options.validation, "the validation data"))
      (options.on_warning ? options.on_warning : print_warning)(warning);
  FitState state = options.from;
  if (state.total_steps == 0) {
    state.total_steps = options.epochs * static_cast<int64_t>(training_batches(first, options).size());
    const Tensor* steps = self.store().find("step");
    state.first_step = steps == nullptr ? 0 : static_cast<int64_t>(steps->item());
  }
  return begin_fit(std::move(options), std::move(state));
}

// What needs a model and options, and no data.
Sequential::FitBeginning Sequential::begin_fit(FitOptions options, FitState state) {
  Implementation& self = *self_;
  check_effects(*self.network, options, self.store());
  for (const std::string& warning : useless_without_rewrite(options))
    (options.on_warning ? options.on_warning : print_warning)(warning);
  check_shards(*self.network, options);
  auto callbacks = std::make_shared<FitCallbacks>(options.callbacks);
  if (options.from.total_steps > 0) callbacks->restore(options.from.callbacks);
  self.make_trainer(options, state, callbacks);
  return {std::move(options), std::move(state), std::move(callbacks)};
}

void Sequential::check_fit(TrainingData data, const FitOptions& options) {
  const FitBeginning begun = prepare_fit(data, options);
  begun.callbacks->check(view_of(begun, begun.options.earlier));
}

void Sequential::check_fit(const DataShape& shape, const FitOptions& options) {
  // More than any share of them, and no more than can be counted.
  constexpr int64_t many_steps = int64_t{1} << 40;
  if (!self_->optimizer) throw UserError("the model does not know how to train yet; call compile first");
  check_ranges(options);
  build(shape, options.seed);
  FitState state = options.from;
  state.total_steps = many_steps;
  const FitBeginning begun = begin_fit(options, std::move(state));
  begun.callbacks->check(view_of(begun, begun.options.earlier));
}

FitView Sequential::view_of(const FitBeginning& begun, const std::vector<EpochReport>& epochs) {
  const FitOptions& options = begun.options;
  FitView view = fit_view(options, *self_->network, self_->trainer->store(), epochs);
  for (const TensorZeros& tensor : zeros()) view.parameters.push_back(tensor.name);
  view.first_step = begun.state.first_step;
  view.total_steps = begun.state.total_steps;
  view.settle_step = options.settle_from < 1
                         ? std::llround(options.settle_from * static_cast<double>(view.total_steps))
                         : std::numeric_limits<int64_t>::max();
  return view;
}

FitResult Sequential::fit(TrainingData data, const FitOptions& given) {
  Implementation& self = *self_;
  const FitBeginning begun = prepare_fit(data, given);
  const FitOptions& options = begun.options;
  const FitState& state = begun.state;
  const std::shared_ptr<FitCallbacks>& callbacks = begun.callbacks;
  const data::Dataset& first = data.at(static_cast<uint32_t>(options.from.epoch));
  self.set_training(true);
  const auto end_training = [](Implementation* model) { model->set_training(false); };
  const std::unique_ptr<Implementation, decltype(end_training)> training(&self, end_training);
  if (options.ranks) agree_on_fit(*options.ranks, *self.network, self.trainer->store(), first, options);
  const std::vector<std::string> warnings = self.warnings(training_batches(first, options)[0]);
  if (options.on_start) {
    options.on_start(self.trainer->report(), warnings);
  } else {
    const auto warn = options.on_warning ? options.on_warning : print_warning;
    for (const std::string& warning : warnings) warn(warning);
  }

  FitModel model{.trainer = *self.trainer,
                 .metrics = {},
                 .weighted_metrics = {},
                 .graph = *self.network->graph,
                 .learning_rate = {},
                 .penalty_strength = {},
                 .check = {},
                 .begin_epoch = [this] { reset_states(); },
                 .support = {},
                 .certify = {},
                 .finish = {},
                 .callbacks = *callbacks,
                 .view = {}};
  for (const ExampleMetric& metric : self.network->example_metrics) {
    if (metric.weight) model.weighted_metrics.push_back(model.metrics.size());
    model.metrics.push_back(metric.name);
  }
  const Schedule factor = options.schedule ? options.schedule(state.total_steps) : schedule::constant();
  model.learning_rate = [&](int64_t step) {
    return self.optimizer->learning_rate * factor(step - state.first_step) * callbacks->rate_factor();
  };
  model.penalty_strength = [&](int64_t step) { return self.strength ? self.strength(step) : 1; };
  model.support = [&] { return support_of(self.store(), self.network->penalised()); };
  model.certify = [&](const data::Dataset& dataset) {
    return certify(dataset, {.batch_size = 256, .time_multiple = options.time_multiple});
  };
  model.check = [&](const data::Dataset& dataset) {
    if (data.is_fixed()) return;
    self.check(dataset, true);
    check_rows(*self.network, dataset);
    if (data::is_weighted(dataset) && !self.weighted)
      throw UserError(
          "the examples of the first epoch all have the weight 1, but later ones have not; give "
          "the same examples their weights in all epochs");
  };
  model.finish = [&](EpochReport& report) {
    if (options.ranks) agree_on_state(*options.ranks, self.store());
    const std::vector<TensorZeros> tensors = zeros();
    report.weights = total(tensors);
    report.penalised = total(tensors, true);
    if (!options.validation) return;
    const Evaluation evaluation = evaluate(*options.validation, {.time_multiple = options.time_multiple});
    report.validation_loss = evaluation.loss;
    if (!std::isnan(evaluation.accuracy)) report.validation_accuracy = evaluation.accuracy;
    report.validation_metrics = evaluation.metrics;
  };
  model.view = [&](const std::vector<EpochReport>& epochs, int64_t epoch_steps) {
    FitView view = view_of(begun, epochs);
    view.epoch_steps = epoch_steps;
    if (!view.save) view.save = [&](const std::string& file) { save(file); };
    return view;
  };
  FitResult result = run_fit(model, data, options, state);
  // What callbacks keep is for going on.
  if (!result.stopped) self.trainer->store().erase_all(kept_by_callbacks);
  return result;
}

void Sequential::save(const std::string& file, const std::map<std::string, std::string>& notes,
                      const std::map<std::string, Tensor>& tensors) {
  self_->need_network();
  Store out = parameters_of(*self_->network, self_->store(), "the model");
  out.metadata().insert(notes.begin(), notes.end());
  for (const auto& [name, tensor] : tensors) out.set(name, tensor);
  write_header(out, {self_->layers, self_->shape, self_->outputs});
  save_model(out, file);
}

void Sequential::round_weights(NumberForm form) {
  self_->need_network();
  lariat::round_weights(self_->store(), *self_->network, form, "the model");
  self_->forget_programs();
}

Sequential Sequential::load(const std::string& file) { return from_store(Store::load(file), file); }

Sequential Sequential::from_store(const Store& store, const std::string& file) {
  ModelHeader header = read_header(store, file);
  std::optional<Sequential> model;
  at_place(fmt::format("'{}': ", file), [&] {
    model.emplace(std::move(header.layers));
    model->self_->shape = std::move(header.shape);
    model->self_->outputs = std::move(header.outputs);
    model->self_->make_network();
  });
  model->self_->loaded = parameters_of(*model->self_->network, store, file);
  check_finite(store, file);
  return std::move(*model);
}

const DataShape& Sequential::shape() const { return self_->shape; }
Store& Sequential::store() {
  if (!std::exchange(self_->given_away, true)) self_->forget_programs();
  return self_->store();
}

LayerWeights Sequential::layer(const std::string& name) {
  self_->need_network();
  const std::vector<std::string> names = names_of(self_->layers);
  if (std::find(names.begin(), names.end(), name) == names.end())
    throw UserError(fmt::format("the model has no layer '{}'.{}", name, did_you_mean(name, names)));
  return {*this, name};
}
Tensor Sequential::weight(const std::string& name) const { return self_->store().get(name).clone(); }
void Sequential::set_weight(const std::string& name, const Tensor& value) {
  self_->store().set(name, value.clone());
  self_->forget_programs();
}

std::vector<TensorZeros> Sequential::zeros() {
  self_->need_network();
  const Network& network = *self_->network;
  std::vector<TensorZeros> result;
  for (const auto& [name, tensor] : parameters_of(network, self_->store(), "the model")) {
    // States are no weights.
    if (const Graph& graph = *network.graph;
        graph.node(graph.source_id(name)).op->traits.source == SourceKind::state)
      continue;
    const auto found = network.penalties.by_parameter.find(name);
    const WeightPenalty penalty =
        found == network.penalties.by_parameter.end() ? WeightPenalty{} : found->second;
    result.push_back({name, tensor.extents(), sparsity(tensor), to_text(penalty), penalty.makes_zeros(),
                      network.penalties.frozen.contains(name)});
    const auto shared = network.penalties.shared.find(name);
    if (shared == network.penalties.shared.end()) continue;
    result.back().penalty = penalty ? result.back().penalty + "," + shared->second : shared->second;
    result.back().penalised = true;
  }
  return result;
}

uint64_t Sequential::parameter_hash() {
  self_->need_network();
  return parameters_of(*self_->network, self_->store(), "the model").hash();
}

int64_t Sequential::parameter_count() { return total(zeros()).count; }

int Sequential::threads() { return self_->executor_for(0).threads(); }

const RewriteReport& Sequential::report() const {
  static const RewriteReport none;
  return self_->trainer ? self_->trainer->report() : none;
}

const Network& Sequential::network() const {
  self_->need_network();
  return *self_->network;
}

Sparsity total(const std::vector<TensorZeros>& zeros, bool penalised_only) {
  Sparsity sum;
  for (const TensorZeros& tensor : zeros) {
    if (penalised_only && !tensor.penalised) continue;
    sum.zeros += tensor.sparsity.zeros;
    sum.count += tensor.sparsity.count;
  }
  return sum;
}

}  // namespace lariat
