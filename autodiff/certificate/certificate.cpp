#include "autodiff/certificate/certificate.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>
#include <ostream>

#include "autodiff/certificate/directions.hpp"
#include "autodiff/certificate/stationarity.hpp"
#include "autodiff/certificate/subgradient_search.hpp"
#include "autodiff/penalty/loss_parts.hpp"
#include "autodiff/penalty/proximal.hpp"
#include "autodiff/penalty/settling.hpp"
#include "graph/base/error.hpp"
#include "graph/base/json.hpp"
#include "graph/passes/to_inference.hpp"
#include "graph/program/program.hpp"
#include "ops/ops.hpp"

namespace lariat {

namespace {

using Outputs = std::vector<std::pair<std::string, Value>>;

// The loss, its penalties, and the gradient of the rest by each parameter.
Outputs gradient_outputs(const LossParts& parts) {
  const auto [gradients, penalty] = parts.gradients();
  Graph& graph = parts.loss.graph();
  Outputs outputs{{"loss", parts.loss},
                  {"penalty", penalty ? penalty : graph.constant(0.0, parts.loss.dtype())}};
  for (size_t i = 0; i < parts.parameters.size(); ++i)
    outputs.emplace_back(parts.parameters[i].name(), gradients[i]);
  return outputs;
}

constexpr const char* gradient_prefix = "certificate/";
constexpr const char* zeros_kept_input = "certificate/zeros_kept";

// From the gradients as inputs: the prox residual and the gradient's size of each parameter.
Outputs prox_outputs(const LossParts& parts) {
  Graph& graph = parts.loss.graph();
  ProxPoints points;
  std::map<std::string, Value> gradients;
  for (Value parameter : parts.parameters) {
    const Value gradient =
        graph.input(gradient_prefix + parameter.name(), parameter.shape(), parameter.dtype());
    gradients[parameter.name()] = gradient;
    points[parameter.name()] = {parameter - gradient, graph.constant(1.0, parameter.dtype())};
  }
  const auto zeros = kept_zeros(parts.parameters, parts.split.terms);
  const auto moved = proximal_updates(points, parts.split.terms);
  const Value kept = graph.input(zeros_kept_input, {}, f64);
  Outputs outputs;
  for (Value parameter : parts.parameters) {
    const std::string& name = parameter.name();
    Value change = parameter - moved.at(name);
    if (const auto own = zeros.find(name); own != zeros.end())
      change = where(cast(kept, change.dtype()) * own->second, 0, change);
    outputs.emplace_back(name + "/residual", norm_inf(change));
    outputs.emplace_back(name + "/gradient", norm_inf(gradients.at(name)));
  }
  return outputs;
}

// How many examples a batch holds: what its inputs say of the symbol `batch`.
double examples_in(const Graph& graph, const Feeds& feeds) {
  for (const auto& [name, tensor] : feeds) {
    const int32_t id = graph.source_id(name);
    if (id < 0) continue;
    const Shape& shape = graph.node(id).outputs[0].shape;
    for (size_t i = 0; i < shape.size() && i < tensor.extents().size(); ++i)
      if (shape[i] == dim::batch) return static_cast<double>(tensor.extents()[i]);
  }
  return 1;
}

}  // namespace

struct Certifier::Implementation {
  Graph written;
  std::vector<std::string> names;
  std::unique_ptr<Program> gradients, prox;
  // Of what is left without all terms whose subdifferential is known, where that are more than have a prox.
  std::unique_ptr<Program> gradients_without_all;
  std::optional<SubgradientSearch> search;

  struct Totals {
    double loss = 0, penalty = 0;
    std::vector<Tensor> gradients, without_all;  // f64
  };

  // Adds weight·(the results from the first gradient on) to the sums.
  static void add(std::vector<Tensor>& sums, double weight, std::span<const Tensor> parts) {
    for (size_t i = 0; i < parts.size(); ++i) {
      if (sums.size() == i) sums.push_back(Tensor(f64, parts[i].extents()));
      double* sum = sums[i].data<double>();
      with_type(parts[i].dtype(), [&](auto zero) {
        for (const auto value : parts[i].values<decltype(zero)>())
          *sum++ += weight * static_cast<double>(value);
      });
    }
  }

  Totals totals(const FeedsList& batches, Store& store, Executor& executor, std::span<const double> weights) {
    if (batches.size() == 0) throw UserError("a certificate needs data; give at least one batch");
    if (!weights.empty() && weights.size() != batches.size())
      throw UserError(fmt::format("a certificate was given {} batches and {} weights; it needs one for each",
                                  batches.size(), weights.size()));
    for (size_t b = 0; b < weights.size(); ++b)
      if (!(weights[b] >= 0 && std::isfinite(weights[b])))
        throw UserError(fmt::format("a certificate's weight of batch {} is {}; weights are numbers from 0 on",
                                    b, weights[b]));
    if (!weights.empty() && std::all_of(weights.begin(), weights.end(), [](double w) { return w == 0; }))
      throw UserError("the weights of a certificate's batches are all 0; give one of them some");
    Totals totals;
    double examples = 0;
    for (size_t b = 0; b < batches.size(); ++b) {
      const Feeds feeds = batches[b];
      const double weight = weights.empty() ? examples_in(written, feeds) : weights[b];
      if (weight == 0) continue;
      examples += weight;
      const std::vector<Tensor> results = gradients->run(feeds, store, executor);
      totals.loss += weight * results[0].item();
      totals.penalty += weight * results[1].item();
      add(totals.gradients, weight, std::span(results).subspan(2));
      if (!gradients_without_all) continue;
      const std::vector<Tensor> more = gradients_without_all->run(feeds, store, executor);
      add(totals.without_all, weight, std::span(more).subspan(2));
    }
    if (examples == 0) throw UserError("the batches of a certificate have no rows; give it some");
    if (weights.empty()) {
      totals.loss /= examples;
      totals.penalty /= examples;
      for (const auto* all : {&totals.gradients, &totals.without_all})
        for (const Tensor& gradient : *all)
          for (double& value : gradient.values<double>()) value /= examples;
    }
    if (!gradients_without_all) totals.without_all = totals.gradients;
    return totals;
  }

  struct Beside {
    // Weights at which the slope jumps, up or down.
    int64_t kinks = 0;
    // Where it jumps down, a slope in between is none of the loss's own: gradients on two sides, which are
    // then to be judged in place of what the gradient is there; empty where it jumps down nowhere.
    std::vector<Gradients> sides;
  };

  // The gradients of the loss without its known terms, as the weights are moved by ± their size times `by`.
  std::array<Gradients, 2> gradients_beside(const FeedsList& batches, const Store& store, Executor& executor,
                                            std::span<const double> weights, const Gradients& direction,
                                            double by) {
    const auto at = [&](double moved_by) {
      Store moved = moved_weights(store, names, direction, moved_by);
      return totals(batches, moved, executor, weights).without_all;
    };
    return {at(by), at(-by)};
  }

  // The slopes that jump along a direction: by how much, 0 where none does, and the gradients on the two
  // sides, which are the given one but where slopes jump.
  struct Jumps {
    int64_t count = 0;
    Gradients by;
    std::vector<Gradients> sides;
  };

  // A jump of slopes is as large however near it is looked at; `narrow` is how near. What is below a
  // thousandth of the slopes further off, `scale`, is rounding.
  Jumps jumps_along(const FeedsList& batches, const Store& store, Executor& executor,
                    std::span<const double> weights, const Gradients& gradients, const Gradients& direction,
                    double narrow, double scale) {
    constexpr double least_jump = 1e-3;
    const auto wide = gradients_beside(batches, store, executor, weights, direction, 16 * narrow);
    const auto near = gradients_beside(batches, store, executor, weights, direction, narrow);
    Jumps jumps{0, {}, std::vector<Gradients>(2)};
    for (size_t p = 0; p < gradients.size(); ++p) {
      jumps.by.emplace_back(f64, gradients[p].extents());
      for (Gradients& side : jumps.sides) side.push_back(gradients[p].clone());
      for (int64_t i = 0; i < gradients[p].count(); ++i) {
        const auto slope = [&](const Gradients& at) { return at[p].data<double>()[i]; };
        const double jump = slope(near[0]) - slope(near[1]), wider = slope(wide[0]) - slope(wide[1]);
        if (!(std::abs(jump) > least_jump * scale && jump / wider > 0.5)) continue;
        ++jumps.count;
        jumps.by[p].data<double>()[i] = jump;
        for (size_t side : {0, 1}) jumps.sides[side][p].data<double>()[i] = slope(near[side]);
      }
    }
    return jumps;
  }

  // A kink c·|a·w| makes slopes jump by c·a·sign(a·d) along d: one that bends up looks like one that bends
  // down at the weights that move against the others. Moved alone, they do not.
  Beside slopes_beside(const FeedsList& batches, const Store& store, Executor& executor,
                       std::span<const double> weights, const Gradients& gradients, double narrow) {
    constexpr double further_off = 0x1p-6;
    // Each round lets go of the weights that stop the fall; what does not settle then is left unjudged.
    constexpr int most_rounds = 8;
    Beside beside;
    const auto look = [&](Gradients& direction) -> std::vector<Gradients> {
      double scale = 0;
      for (const Gradients& side :
           gradients_beside(batches, store, executor, weights, direction, further_off))
        scale = std::max(scale, largest(side));
      const auto along = [&] {
        return jumps_along(batches, store, executor, weights, gradients, direction, narrow, scale);
      };
      Jumps jumps = along();
      beside.kinks = std::max(beside.kinks, jumps.count);
      for (int round = 0; round < most_rounds; ++round) {
        const auto [stopped, left] = keep_falling(direction, jumps.by);
        if (left == 0) break;
        if (stopped == 0) return std::move(jumps.sides);
        jumps = along();
      }
      return {};
    };
    for (const bool both_ways : {false, true}) {
      Gradients direction = direction_of(store, names, both_ways);
      std::vector<Gradients> sides = look(direction);
      if (sides.empty()) continue;
      Gradients steeper;
      for (const Tensor& move : direction) steeper.push_back(move.clone());
      const bool turned = turn_steeper(steeper, sides);
      for (Gradients& side : sides) beside.sides.push_back(std::move(side));
      if (turned)
        for (Gradients& side : look(steeper)) beside.sides.push_back(std::move(side));
    }
    return beside;
  }

  // Beside kinks of terms that have no known subdifferential, or, where there are none, of the model: where
  // its slopes jump on the first batch they are looked at on some more: a look takes some thirty gradients. A
  // model has the kinks of other examples all around, so that only what is as near as rounding counts.
  Beside slopes_beside(const FeedsList& batches, const Store& store, Executor& executor,
                       std::span<const double> weights, const Gradients& gradients) {
    if (search->other_kinks() > 0)
      return slopes_beside(batches, store, executor, weights, gradients, 0x1p-13);
    if (!search->has_model_kinks()) return {};
    const double narrow = coarsest_type(written, names) == f32 ? 0x1p-18 : 0x1p-40;
    const Feeds first = batches[0];
    const Beside of_first = slopes_beside(std::span(&first, 1), store, executor,
                                          weights.empty() ? weights : weights.first(1), gradients, narrow);
    if (of_first.kinks == 0 || batches.size() == 1) return of_first;
    constexpr size_t most_batches = 8;
    if (batches.size() <= most_batches)
      return slopes_beside(batches, store, executor, weights, gradients, narrow);
    const FeedsList some(most_batches, [&](size_t index) { return batches[index]; });
    const auto of_some = weights.empty() ? weights : weights.first(most_batches);
    const auto sum = [](auto of) { return std::accumulate(of.begin(), of.end(), 0.0); };
    if (!weights.empty() && sum(of_some) == 0) return of_first;
    // What slopes differ there, they differ everywhere.
    Store unmoved = store;
    const Gradients here = totals(some, unmoved, executor, of_some).without_all;
    Beside beside = slopes_beside(some, store, executor, of_some, here, narrow);
    const double scale = weights.empty() ? 1 : sum(weights) / sum(of_some);
    for (Gradients& side : beside.sides)
      for (size_t p = 0; p < side.size(); ++p)
        for (int64_t i = 0; i < side[p].count(); ++i) {
          double& slope = side[p].data<double>()[i];
          slope = gradients[p].data<double>()[i] + scale * (slope - here[p].data<double>()[i]);
        }
    return beside;
  }

  std::vector<Certificate::Entry> prox_residuals(const Totals& totals, const Feeds& feeds, Store& store,
                                                 Executor& executor, bool zeros_kept = false) {
    Feeds all = feeds;
    all.emplace(zeros_kept_input, Tensor::scalar(zeros_kept, f64));
    for (size_t i = 0; i < names.size(); ++i) {
      const DType dtype = written.node(written.source_id(names[i])).outputs[0].dtype;
      all.emplace(gradient_prefix + names[i], totals.gradients[i].cast(dtype));
    }
    const std::vector<Tensor> results = prox->run(all, store, executor);
    std::vector<Certificate::Entry> entries;
    for (size_t i = 0; i < names.size(); ++i)
      entries.push_back({names[i], results[2 * i].item(), {}, results[2 * i + 1].item()});
    return entries;
  }
};

Certifier::Certifier(Value loss, const std::vector<Value>& parameters)
    : self_(std::make_unique<Implementation>()) {
  self_->written.output("loss", to_inference(loss, self_->written));
  for (Value parameter : parameters) self_->names.push_back(parameter.name());
  self_->search.emplace(self_->written, self_->names);
  Graph graph;
  std::optional<LossParts> of_all;
  const LossParts parts(self_->written.find_output("loss"), graph, self_->names, of_all);
  self_->gradients = program_of(graph, gradient_outputs(parts));
  if (self_->search->has_more_terms())
    self_->gradients_without_all = program_of(graph, gradient_outputs(*of_all));
  self_->prox = program_of(graph, prox_outputs(parts));
}

Certifier::~Certifier() = default;

Certificate Certifier::certify(const FeedsList& batches, Store& store, Executor& executor,
                               std::span<const double> weights, bool zeros_kept) {
  const auto totals = self_->totals(batches, store, executor, weights);
  Certificate certificate{self_->prox_residuals(totals, batches[0], store, executor, zeros_kept), totals.loss,
                          totals.loss - totals.penalty, zeros_kept};
  SubgradientSearch::Result found =
      self_->search->least(totals.without_all, batches[0], store, executor, zeros_kept);
  const auto beside = self_->slopes_beside(batches, store, executor, weights, totals.without_all);
  for (const std::vector<Tensor>& side : beside.sides)
    for (const auto& [name, distance] :
         self_->search->least(side, batches[0], store, executor, zeros_kept).distances)
      found.distances[name] = std::max(found.distances[name], distance);
  for (Certificate::Entry& entry : certificate.entries)
    if (const auto distance = found.distances.find(entry.parameter); distance != found.distances.end())
      entry.distance = distance->second;
  certificate.at_least = found.at_least;
  certificate.other_kinks = self_->search->other_kinks();
  certificate.leaps = self_->search->leaps();
  if (certificate.other_kinks == 0) certificate.model_kinks = beside.kinks;
  return certificate;
}

double Certificate::prox_residual() const {
  double largest = 0;
  for (const Entry& entry : entries)
    largest = std::isnan(entry.prox_residual) ? entry.prox_residual : std::max(largest, entry.prox_residual);
  return largest;
}

std::optional<double> Certificate::distance() const {
  double squares = 0;
  for (const Entry& entry : entries) {
    if (!entry.distance) return std::nullopt;
    squares += *entry.distance * *entry.distance;
  }
  return std::sqrt(squares);
}

bool Certificate::is_contradicted() const {
  const std::optional<double> far = distance();
  double scale = 0;
  for (const Entry& entry : entries) scale = std::max(scale, entry.gradient);
  return far && at_least > *far * (1 + 1e-6) + 1e-9 * scale;
}

std::string Certificate::text() const {
  const std::optional<double> far = distance();
  std::string text;
  if (std::isnan(loss) || std::isnan(prox_residual()) || (far && std::isnan(*far))) {
    text = "nothing can be told: the loss or its gradient is NaN on these data";
  } else if (!far) {
    std::string names;
    for (const Entry& entry : entries)
      if (!entry.distance) names += (names.empty() ? "'" : ", '") + entry.parameter + "'";
    text = fmt::format(
        "prox residual {:.3g}, which rests on the prox that made the steps: no independent measure is "
        "known for {}",
        prox_residual(), names);
  } else if (is_contradicted()) {
    text = fmt::format(
        "not stationary: the loss falls by {:.3g} per unit along a line, where its penalties' records "
        "say that it is stationary to {:.3g}",
        at_least, *far);
  } else {
    text = fmt::format("stationary to {:.3g} (distance from the subdifferential), prox residual {:.3g}", *far,
                       prox_residual());
  }
  if (const int bent = other_kinks - leaps; bent > 0)
    text +=
        fmt::format(", with one subgradient for {} other non-smooth {}", bent, bent == 1 ? "term" : "terms");
  if (leaps > 0)
    text +=
        fmt::format(", blind to {} that {}, with a gradient of zero",
                    leaps == 1 ? "a term" : fmt::format("{} terms", leaps), leaps == 1 ? "leaps" : "leap");
  if (model_kinks > 0)
    text += fmt::format(", with one subgradient at {} {} where the model has a kink", model_kinks,
                        model_kinks == 1 ? "weight" : "weights");
  if (zeros_kept) text += ", with its zeros kept";
  return text + "; not globally certified";
}

std::string Certificate::json() const {
  Json all{{"loss", loss},
           {"smooth", smooth},
           {"prox_residual", prox_residual()},
           {"at_least", at_least},
           {"other_kinks", other_kinks},
           {"leaps", leaps},
           {"model_kinks", model_kinks},
           {"zeros_kept", zeros_kept}};
  all["distance"] = distance() ? Json(*distance()) : Json();
  all["parameters"] = Json::array();
  for (const Entry& entry : entries)
    all["parameters"].push_back({{"parameter", entry.parameter},
                                 {"prox_residual", entry.prox_residual},
                                 {"distance", entry.distance ? Json(*entry.distance) : Json()},
                                 {"gradient", entry.gradient}});
  return all.dump();
}

std::ostream& operator<<(std::ostream& out, const Certificate& certificate) {
  return out << certificate.text();
}

}  // namespace lariat
