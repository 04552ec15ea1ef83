#include "autodiff/convex/subdifferential_check.hpp"

#include <algorithm>
#include <cmath>

#include "autodiff/penalty/penalty_view.hpp"
#include "graph/exec/executor.hpp"
#include "ops/ops.hpp"

namespace lariat::convex {

namespace {

constexpr const char* factor_name = "factor of the penalties";

// Without slopes nothing else than 0 is near.
double relative_to(double slope, double distance) { return distance == 0 ? 0 : distance / slope; }

}  // namespace

SubdifferentialCheck::SubdifferentialCheck(Value loss, std::span<const Value> cut,
                                           const Coordinates& coordinates)
    : starts_(coordinates.starts) {
  Graph& graph = loss.graph();
  Graph scaled;
  const Value factor = scaled.input(factor_name, {}, f64);
  const Edge root{loss.node(), loss.output()};
  const std::vector<bool> used = ancestors(graph, {&root, 1});
  GraphCopy copy(graph, scaled);
  for (int32_t id = 0; id <= loss.node(); ++id) {
    if (!used[id]) continue;
    copy.copy(id);
    if (is_among(cut, {&graph, id})) copy.replace(id, {factor * copy(Value(&graph, id))});
  }
  std::vector<Value> parameters;
  const Value whole = copy(loss);
  for (Value parameter : coordinates.parameters) {
    parameters.push_back(copy(parameter));
    names_.push_back(parameter.name());
    extents_.push_back(evaluate(parameter.shape(), {}));
  }
  certifier_ = std::make_unique<Certifier>(whole, parameters);
}

std::optional<SubdifferentialCheck::Measure> SubdifferentialCheck::at(std::span<const double> w,
                                                                      double factor,
                                                                      std::span<const double> slopes,
                                                                      Executor& executor) {
  Store store;
  for (size_t i = 0; i < names_.size(); ++i) {
    Tensor tensor(f64, extents_[i]);
    std::copy(w.begin() + starts_[i], w.begin() + starts_[i + 1], tensor.data<double>());
    store.set(names_[i], tensor);
  }
  const std::vector<Feeds> feeds{{{factor_name, Tensor::scalar(factor, f64)}}};
  constexpr double once[] = {1};
  const Certificate found = certifier_->certify(feeds, store, executor, once);
  const std::optional<double> distance = found.distance();
  if (!distance) return std::nullopt;
  Measure measure{.distance = *distance};
  double all_squares = 0;
  for (size_t i = 0; i < names_.size(); ++i) {
    double squares = 0;
    for (int64_t j = starts_[i]; j < starts_[i + 1]; ++j)
      squares += slopes[static_cast<size_t>(j)] * slopes[static_cast<size_t>(j)];
    all_squares += squares;
    for (const Certificate::Entry& entry : found.entries)
      if (entry.parameter == names_[i])
        measure.relative = std::max(measure.relative, relative_to(std::sqrt(squares), *entry.distance));
  }
  if (found.is_contradicted()) {
    measure.distance = std::max(measure.distance, found.at_least);
    measure.relative = std::max(measure.relative, relative_to(std::sqrt(all_squares), measure.distance));
  }
  const double least = slopes.empty() ? 0 : *std::min_element(slopes.begin(), slopes.end());
  measure.relative_to_least = relative_to(least, measure.distance);
  return measure;
}

}  // namespace lariat::convex
