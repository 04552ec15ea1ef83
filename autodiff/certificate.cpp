#include "autodiff/certificate.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <ostream>

#include "autodiff/gradient.hpp"
#include "autodiff/proximal.hpp"
#include "autodiff/stationarity.hpp"
#include "graph/error.hpp"
#include "graph/exec/program.hpp"
#include "graph/passes/to_inference.hpp"
#include "ops/ops.hpp"

namespace lariat {

namespace {

constexpr const char* zeros_kept_input = "certificate/zeros_kept";

std::string gradient_name(const std::string& parameter) { return "certificate/" + parameter; }

std::vector<Value> found(Graph& graph, const std::vector<std::string>& names) {
  std::vector<Value> values;
  for (const std::string& name : names) values.push_back(graph.find_source(name));
  return values;
}

// The loss and its terms, in a graph of their own.
struct Parts {
  std::unique_ptr<Graph> graph = std::make_unique<Graph>();
  Value loss;
  std::vector<Value> parameters, cut;
  PenaltySplit split;

  Parts(Graph& written, const std::vector<std::string>& names) {
    loss = canonicalize_penalties(written.find_output("loss"), *graph);
    parameters = found(*graph, names);
    split = split_penalties(loss, parameters);
    for (const PenaltyTerm& term : split.terms)
      if (std::find(cut.begin(), cut.end(), term.node) == cut.end()) cut.push_back(term.node);
  }
};

// Outputs the loss, its rewritten penalties, and the gradient of the rest by each parameter.
std::unique_ptr<Program> gradient_program(Graph& written, const std::vector<std::string>& names) {
  Parts parts(written, names);
  std::vector<Value> wanted = parts.parameters;
  wanted.insert(wanted.end(), parts.cut.begin(), parts.cut.end());
  const std::vector<Value> gradients = gradient(parts.loss, wanted, parts.cut);
  parts.graph->output("loss", parts.loss);
  Value penalty = parts.graph->constant(0.0, parts.loss.dtype());
  for (size_t i = 0; i < parts.cut.size(); ++i)
    penalty = penalty + sum(gradients[parts.parameters.size() + i] * parts.cut[i]);
  parts.graph->output("penalty", penalty);
  for (size_t i = 0; i < names.size(); ++i) parts.graph->output(names[i], gradients[i]);
  return std::make_unique<Program>(*parts.graph);
}

// From the gradients as inputs: prox residual, gradient size and, where known, distance of each parameter.
std::unique_ptr<Program> judging_program(Graph& written, const std::vector<std::string>& names) {
  Parts parts(written, names);
  Graph& graph = *parts.graph;
  std::map<std::string, Value> gradients;
  ProxPoints points;
  for (Value parameter : parts.parameters) {
    const Value gradient = graph.input(gradient_name(parameter.name()), parameter.shape(), parameter.dtype());
    gradients[parameter.name()] = gradient;
    points[parameter.name()] = {parameter - gradient, graph.constant(1.0, parameter.dtype())};
  }
  const Value kept = graph.input(zeros_kept_input, {}, f64);
  const auto moved = proximal_updates(points, parts.split.terms);
  const auto least = least_subgradients(gradients, parts.split.terms);
  for (Value parameter : parts.parameters) {
    const std::string& name = parameter.name();
    const auto counted = [&](Value value) {
      if (!parts.split.has_term_of(name)) return value;
      return where(cast(kept, value.dtype()) * equal(parameter, 0), 0, value);
    };
    graph.output(name + "/residual", reduce_max(abs(counted(parameter - moved.at(name)))));
    graph.output(name + "/gradient", reduce_max(abs(gradients.at(name))));
    if (least.contains(name)) graph.output(name + "/distance", norm2(counted(least.at(name))));
  }
  return std::make_unique<Program>(graph);
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
  std::unique_ptr<Program> gradients, judging;

  struct Sums {
    double loss = 0, penalty = 0;
    std::vector<Tensor> gradients;  // f64
  };
  Sums sums(const FeedsList& batches, Store& store, Executor& executor, std::span<const double> weights) {
    if (batches.size() == 0) throw UserError("a certificate needs data; give at least one batch");
    if (!weights.empty() && weights.size() != batches.size())
      throw UserError(fmt::format("a certificate was given {} batches and {} weights; it needs one for each",
                                  batches.size(), weights.size()));
    double examples = 0;
    Sums sums;
    for (size_t b = 0; b < batches.size(); ++b) {
      const Feeds feeds = batches[b];
      const double weight = weights.empty() ? examples_in(written, feeds) : weights[b];
      examples += weight;
      const std::vector<Tensor> results = gradients->run(feeds, store, executor);
      sums.loss += weight * results[0].item();
      sums.penalty += weight * results[1].item();
      for (size_t i = 0; i < names.size(); ++i) {
        const Tensor& part = results[2 + i];
        if (b == 0) sums.gradients.push_back(Tensor(f64, part.extents()));
        double* sum = sums.gradients[i].data<double>();
        with_type(part.dtype(), [&](auto zero) {
          for (const auto value : part.values<decltype(zero)>())
            *sum++ += weight * static_cast<double>(value);
        });
      }
    }
    if (!weights.empty()) return sums;
    sums.loss /= examples;
    sums.penalty /= examples;
    for (const Tensor& gradient : sums.gradients)
      for (double& value : gradient.values<double>()) value /= examples;
    return sums;
  }

  std::vector<Certificate::Entry> judge(const Sums& sums, const Feeds& feeds, Store& store,
                                        Executor& executor, bool zeros_kept = false) {
    Feeds all = feeds;
    all.emplace(zeros_kept_input, Tensor::scalar(zeros_kept, f64));
    for (size_t i = 0; i < names.size(); ++i) {
      const DType dtype = written.node(written.source_id(names[i])).outputs[0].dtype;
      all.emplace(gradient_name(names[i]), sums.gradients[i].cast(dtype));
    }
    const std::vector<Tensor> results = judging->run(all, store, executor);
    std::vector<Certificate::Entry> entries;
    for (size_t o = 0; o < results.size(); ++o) {
      const std::string& output = judging->graph().outputs()[o].name;
      const size_t slash = output.rfind('/');
      const std::string what = output.substr(slash + 1);
      if (what == "residual") entries.push_back({output.substr(0, slash), results[o].item(), {}, 0});
      if (what == "gradient") entries.back().gradient = results[o].item();
      if (what == "distance") entries.back().distance = results[o].item();
    }
    return entries;
  }
};

Certifier::Certifier(Value loss, const std::vector<Value>& parameters)
    : self_(std::make_unique<Implementation>()) {
  Graph copied;
  GraphCopy copy(loss.graph(), copied);
  for (int32_t id = 0; id <= loss.node(); ++id) copy.copy(id);
  copied.output("loss", copy(loss));
  to_inference(copied, self_->written);
  for (Value parameter : parameters) self_->names.push_back(parameter.name());
  self_->gradients = gradient_program(self_->written, self_->names);
  self_->judging = judging_program(self_->written, self_->names);
}

Certifier::~Certifier() = default;

Certificate Certifier::certify(const FeedsList& batches, Store& store, Executor& executor,
                               std::span<const double> weights, bool zeros_kept) {
  const auto sums = self_->sums(batches, store, executor, weights);
  return {self_->judge(sums, batches[0], store, executor, zeros_kept), sums.loss, sums.loss - sums.penalty,
          zeros_kept};
}

std::vector<std::string> Certifier::stationary_at_zero(const FeedsList& batches, Store& store,
                                                       Executor& executor) {
  std::vector<std::string> lines;
  const Parts parts(self_->written, self_->names);
  for (const std::string& name : self_->names) {
    if (!parts.split.has_term_of(name)) continue;
    Store without = store;
    without.set(name, Tensor(store.get(name).dtype(), store.get(name).extents()));
    for (const Certificate::Entry& entry :
         self_->judge(self_->sums(batches, without, executor, {}), batches[0], without, executor))
      if (entry.parameter == name && entry.gradient > 0 && entry.prox_residual == 0)
        lines.push_back(fmt::format(
            "L201: '{}' is stationary where all of it is zero: the penalty outweighs its gradient, "
            "at most {:.3g}; lower the coefficient if that is not meant",
            name, entry.gradient));
  }
  return lines;
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

std::string Certificate::text() const {
  const std::optional<double> far = distance();
  return fmt::format("stationary to {:.3g} (prox residual){}{}; not globally certified", prox_residual(),
                     far ? fmt::format(", {:.3g} from the subdifferential", *far) : "",
                     zeros_kept ? ", with its zeros kept" : "");
}

std::string Certificate::json() const {
  nlohmann::json all{
      {"loss", loss}, {"smooth", smooth}, {"prox_residual", prox_residual()}, {"zeros_kept", zeros_kept}};
  all["distance"] = distance() ? nlohmann::json(*distance()) : nlohmann::json();
  all["parameters"] = nlohmann::json::array();
  for (const Entry& entry : entries)
    all["parameters"].push_back(
        {{"parameter", entry.parameter},
         {"prox_residual", entry.prox_residual},
         {"distance", entry.distance ? nlohmann::json(*entry.distance) : nlohmann::json()},
         {"gradient", entry.gradient}});
  return all.dump();
}

std::ostream& operator<<(std::ostream& out, const Certificate& certificate) {
  return out << certificate.text();
}

}  // namespace lariat
