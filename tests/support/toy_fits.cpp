#include "tests/support/toy_fits.hpp"

#include "ops/ops.hpp"
#include "tests/support/toy_data.hpp"

namespace lariat::testing {

const data::Dataset& train_points() {
  static const data::Dataset data = points(60, 3, 6, 1);
  return data;
}
const data::Dataset& other_points() {
  static const data::Dataset data = points(30, 3, 6, 2);
  return data;
}

Sequential small_model(double lambda, double rate) {
  Sequential model{Dense(8, relu, {.kernel_penalty = l1(lambda)}), Dense(3)};
  model.compile(Adam{.learning_rate = rate});
  return model;
}

FitOptions fit_with(std::vector<Callback> callbacks, int epochs) {
  FitOptions fit{.epochs = epochs, .batch_size = 10};
  fit.validation = other_points();
  fit.callbacks = std::move(callbacks);
  fit.on_warning = [](const std::string&) {};
  fit.on_start = [](const RewriteReport&, const std::vector<std::string>&) {};
  return fit;
}

FitResult go_on(Sequential& other, Sequential& model, const FitResult& stopped, const data::Dataset& data,
                FitOptions options) {
  other.build(shape_of(data), options.seed);
  for (const auto& [name, tensor] : model.store()) other.store().set(name, tensor.clone());
  options.from = fit_state_from_json(to_json(stopped.state));
  for (const EpochReport& epoch : stopped.epochs)
    options.earlier.push_back(epoch_report_from_json(to_json(epoch)));
  return other.fit(data, options);
}

}  // namespace lariat::testing
