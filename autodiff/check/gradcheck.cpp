#include "autodiff/check/gradcheck.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "autodiff/check/size_check.hpp"
#include "autodiff/gradient.hpp"
#include "graph/base/error.hpp"
#include "graph/ir/builder.hpp"
#include "graph/program/program.hpp"
#include "ops/ops.hpp"

namespace lariat {

namespace {

constexpr double tolerance = 1e-8;
constexpr int64_t elements_per_input = 64;

// A scalar function of several tensors that can be run again and again.
class Probe {
 public:
  Probe(const Graph& graph, Feeds feeds)
      : program_(graph), feeds_(std::move(feeds)), executor_(make_serial_executor()) {
    initialize_store(graph, store_, 1);
  }
  std::vector<Tensor> run() { return program_.run(feeds_, store_, *executor_); }
  Tensor& feed(const std::string& name) { return feeds_.at(name); }

  // The numeric derivative of output `output` (a scalar) by one element of a feed.
  double derivative(size_t output, const std::string& name, int64_t element) {
    double& x = feeds_.at(name).data<double>()[element];
    const double at = x;
    const double result =
        numeric(output, 1e-3 * std::max(1.0, std::abs(at) / 1e3), [&](double offset) { x = at + offset; });
    x = at;
    return result;
  }
  struct Slope {
    double value, rounding;  // by which it may be off
  };
  // The same along a direction of a whole feed, by steps of each of these sizes; nothing where the two sides
  // have different ones, at a kink, or none.
  std::vector<Slope> slopes(size_t output, const std::string& name, std::span<const double> direction,
                            std::span<const double> steps) {
    const Tensor at = feeds_.at(name).clone();
    double* x = feeds_.at(name).data<double>();
    const auto move = [&](double offset) {
      for (size_t i = 0; i < direction.size(); ++i) x[i] = at.data<double>()[i] + offset * direction[i];
    };
    const auto value = [&](double offset) {
      move(offset);
      return run()[output].item();
    };
    const double h = steps.back(), here = value(0), above = (value(h) - here) / h,
                 below = (here - value(-h)) / h;
    const auto rounding = [&](double step) { return 1e-14 * std::abs(here) / step; };
    std::vector<Slope> result;
    for (const double step : steps) result.push_back({numeric(output, step, move), rounding(step)});
    move(0);
    const double jump = std::abs(above - below), size = std::max(std::abs(above), std::abs(below));
    if (!(jump <= 1e-3 * size + 2 * rounding(h))) result.clear();
    return result;
  }

 private:
  double numeric(size_t output, double h, const std::function<void(double offset)>& move) {
    const auto value = [&](double offset) {
      move(offset);
      return run()[output].item();
    };
    return ((value(-2 * h) - value(2 * h)) + 8 * (value(h) - value(-h))) / (12 * h);
  }

  Program program_;
  Feeds feeds_;
  Store store_;
  std::unique_ptr<Executor> executor_;
};

// Σ random·value over the float values.
Value weighted_sum(Graph& graph, std::span<const Value> values, const std::vector<Tensor>& weights) {
  Value total = graph.constant(0.0, f64);
  for (size_t i = 0; i < values.size(); ++i)
    if (is_float(values[i].dtype())) total = total + sum(values[i] * graph.constant(weights[i]));
  return total;
}

std::vector<Tensor> random_weights(std::span<const Value> values, uint64_t seed, uint64_t stream) {
  std::vector<Tensor> weights;
  for (size_t i = 0; i < values.size(); ++i)
    weights.push_back(sample_tensor({evaluate(values[i].shape(), {}), {}, 0.5, 1.5}, f64, seed, stream + i));
  return weights;
}

std::string input_name(size_t index) { return "x" + std::to_string(index); }

// Whether a finite difference around `value` would step over a kink that the sample declares.
bool beside_kink(const SampleInput& input, double value) {
  return input.gap > 0 && std::any_of(input.kinks.begin(), input.kinks.end(),
                                      [&](double kink) { return std::abs(value - kink) < 3e-3; });
}

// Where the whole gradient is zero the difference must be zero too.
double relative_error(double analytic, double numeric, double largest) {
  const double difference = std::abs(analytic - numeric), error = difference == 0 ? 0 : difference / largest;
  return std::isnan(error) ? INFINITY : error;
}

// Compares d(output)/d(inputs) with the gradients that follow it among the outputs of the graph.
void compare(Probe& probe, size_t output, size_t first_gradient, std::span<const SampleInput> samples,
             const std::vector<size_t>& inputs, uint64_t seed, const char* order, GradcheckResult& result) {
  const std::vector<Tensor> outputs = probe.run();
  struct Pair {
    double analytic, numeric;
    size_t input;
    int64_t element;
  };
  std::vector<Pair> pairs;
  double largest = 0;
  for (size_t i = 0; i < inputs.size(); ++i) {
    const Tensor& gradient = outputs[first_gradient + i];
    const int64_t count = gradient.count(), checked = std::min(count, elements_per_input);
    for (int64_t k = 0; k < checked; ++k) {
      const int64_t element = count <= elements_per_input
                                  ? k
                                  : std::min(count - 1, static_cast<int64_t>(uniform_number(seed, 77, k) *
                                                                             static_cast<double>(count)));
      const SampleInput& sample = samples[inputs[i]];
      const bool at_kink = beside_kink(sample, probe.feed(input_name(inputs[i])).at(element));
      // Values that a sample states may show a kink; drawn ones keep away from it.
      if (at_kink && !sample.values.empty()) continue;
      ++result.expected_checks;
      if (at_kink) continue;
      const double numeric = probe.derivative(output, input_name(inputs[i]), element);
      pairs.push_back({gradient.at(element), numeric, inputs[i], element});
      largest = std::max(largest, std::abs(numeric));
    }
  }
  for (const Pair& pair : pairs) {
    const double error = relative_error(pair.analytic, pair.numeric, largest);
    ++result.checks;
    result.worst_error = std::max(result.worst_error, error);
    if (!(error <= tolerance) && result.detail.empty())
      result.detail = fmt::format(
          "{} derivative by input {} element {}: {} against {} numerically, off by {:.2e} of the largest",
          order, pair.input, pair.element, pair.analytic, pair.numeric, error);
  }
}

// The same along one direction of each input, by which the derivatives of all elements are seen at once: what
// differs is measured by the sum of their magnitudes. Small steps meet fewer kinks between elements, such as
// that of a largest one.
void compare_along(Probe& probe, size_t output, size_t first_gradient, std::span<const SampleInput> samples,
                   const std::vector<size_t>& inputs, uint64_t seed, const char* order,
                   GradcheckResult& result) {
  constexpr double rough = 1e-5;
  constexpr std::array steps{1e-3, 1e-4, 1e-5, 1e-6};
  const std::vector<Tensor> outputs = probe.run();
  for (size_t i = 0; i < inputs.size(); ++i) {
    const Tensor& gradient = outputs[first_gradient + i];
    const Tensor& at = probe.feed(input_name(inputs[i]));
    std::vector<double> direction(static_cast<size_t>(at.count()));
    // As a whole it is as long as one element's.
    const double length = 1 / std::sqrt(std::max(1.0, static_cast<double>(at.count())));
    double analytic = 0, magnitudes = 0;
    for (int64_t k = 0; k < at.count(); ++k) {
      if (beside_kink(samples[inputs[i]], at.at(k))) continue;
      const double part =
          length * (0.25 + 0.75 * uniform_number(seed, 78 + inputs[i], static_cast<uint64_t>(k)));
      direction[static_cast<size_t>(k)] = part;
      analytic += part * gradient.at(k);
      magnitudes += std::abs(part * gradient.at(k));
    }
    double error = INFINITY, nearest = 0;
    bool told = false;
    for (const Probe::Slope& slope : probe.slopes(output, input_name(inputs[i]), direction, steps)) {
      const double size = std::max(magnitudes, std::abs(slope.value));
      if (slope.rounding > 1e-3 * size && size > 0) continue;  // it says nothing
      told = true;
      const double off = std::abs(analytic - slope.value), own = off <= slope.rounding ? 0 : off / size;
      if (own < error) error = own, nearest = slope.value;
    }
    if (!told) continue;
    ++result.checks;
    ++result.expected_checks;
    if (!(error <= rough) && result.detail.empty())
      result.detail =
          fmt::format("{} derivative along a direction of input {}: {} against {} numerically, off by {:.2e}",
                      order, inputs[i], analytic, nearest, error);
  }
}

using Comparison = decltype(compare);

GradcheckResult gradcheck_by(Comparison& comparison, const GraphFunction& function,
                             std::span<const SampleInput> inputs, bool second_order, uint64_t seed) {
  require_function(function, "what is to be checked");
  GradcheckResult result;
  Graph graph;
  Feeds feeds;
  std::vector<Value> arguments;
  std::vector<size_t> float_inputs;
  std::vector<Value> wrt;
  for (size_t i = 0; i < inputs.size(); ++i) {
    const Tensor data = sample_tensor(inputs[i], f64, seed, 1000 + i);
    arguments.push_back(graph.input(input_name(i), to_shape(data.extents()), data.dtype()));
    feeds.emplace(input_name(i), data);
    if (is_float(data.dtype())) {
      float_inputs.push_back(i);
      wrt.push_back(arguments.back());
    }
  }
  const std::vector<Value> outputs = function(graph, arguments);
  const bool differentiable = !wrt.empty() && std::any_of(outputs.begin(), outputs.end(),
                                                          [](Value v) { return is_float(v.dtype()); });
  if (differentiable) {
    const Value loss = weighted_sum(graph, outputs, random_weights(outputs, seed, 2000));
    const std::vector<Value> first = gradient(loss, wrt);
    graph.output("loss", loss);
    for (size_t i = 0; i < first.size(); ++i) graph.output("gradient" + std::to_string(i), first[i]);
    size_t second_at = graph.outputs().size();
    if (second_order) {
      const Value along = weighted_sum(graph, first, random_weights(first, seed, 3000));
      const std::vector<Value> second = gradient(along, wrt);
      graph.output("along", along);
      for (size_t i = 0; i < second.size(); ++i) graph.output("second" + std::to_string(i), second[i]);
    }
    Probe probe(graph, feeds);
    comparison(probe, 0, 1, inputs, float_inputs, seed, "first", result);
    if (second_order)
      comparison(probe, second_at, second_at + 1, inputs, float_inputs, seed, "second", result);
  }
  result.passed = result.detail.empty() && result.checks == result.expected_checks;
  return result;
}

}  // namespace

GradcheckResult gradcheck(const GraphFunction& function, std::span<const SampleInput> inputs,
                          bool second_order, uint64_t seed) {
  return gradcheck_by(compare, function, inputs, second_order, seed);
}

namespace {

std::vector<Value> outputs_of(Graph& graph, const OpDef& op, std::span<const Value> inputs,
                              const Attributes& attributes) {
  const Value first = graph.add(op, inputs, attributes);
  std::vector<Value> outputs;
  const size_t count = std::min(graph.node(first.node()).outputs.size(), op.traits.saved_outputs);
  for (size_t i = 0; i < count; ++i) outputs.push_back(output_of(first, static_cast<int32_t>(i)));
  return outputs;
}

void merge(GradcheckResult& into, const GradcheckResult& part, const std::string& sample) {
  into.checks += part.checks;
  into.expected_checks += part.expected_checks;
  into.worst_error = std::max(into.worst_error, part.worst_error);
  if (into.detail.empty() && !part.detail.empty()) into.detail = "sample '" + sample + "': " + part.detail;
}

// Output 0 of the op on the sample's data.
Tensor forward(const OpDef& op, const Sample& sample, DType dtype, uint64_t seed) {
  Graph graph;
  Feeds feeds;
  std::vector<Value> arguments;
  for (size_t i = 0; i < sample.inputs.size(); ++i) {
    const Tensor data = sample_tensor(sample.inputs[i], f64, seed, 1000 + i);
    const Tensor fed = data.dtype() == i32 ? data : data.cast(dtype);
    arguments.push_back(graph.input(input_name(i), to_shape(fed.extents()), fed.dtype()));
    feeds.emplace(input_name(i), fed);
  }
  graph.output("y", outputs_of(graph, op, arguments, sample.attributes)[0]);
  Program program(graph);
  Store store;
  return program.run(feeds, store, *make_serial_executor())[0];
}

bool has_float(const Sample& sample) {
  return std::any_of(sample.inputs.begin(), sample.inputs.end(),
                     [](const SampleInput& input) { return input.dtype != i32; });
}

void compare_values(const OpDef& op, const Sample& sample, uint64_t seed, GradcheckResult& result) {
  const Tensor exact = forward(op, sample, f64, seed);
  const auto note = [&](bool good, const std::string& what) {
    ++result.checks;
    ++result.expected_checks;
    if (!good && result.detail.empty()) result.detail = "sample '" + sample.name + "': " + what;
  };
  double largest = 0;
  for (int64_t i = 0; i < exact.count(); ++i) largest = std::max(largest, std::abs(exact.at(i)));
  if (!sample.expected.empty()) {
    bool good = static_cast<int64_t>(sample.expected.size()) == exact.count();
    for (int64_t i = 0; good && i < exact.count(); ++i) {
      const double wanted = sample.expected[i], error = exact.dtype() == f32 ? 1e-6 : 1e-12;
      good = std::isnan(wanted) ? std::isnan(exact.at(i))
                                : exact.at(i) == wanted || std::abs(exact.at(i) - wanted) <=
                                                               error * std::max(largest, std::abs(wanted));
    }
    note(good, "the values are not the expected ones");
  }
  if (!has_float(sample)) return;
  const Tensor single = forward(op, sample, f32, seed);
  bool close = single.count() == exact.count();
  for (int64_t i = 0; close && i < exact.count(); ++i)
    close = single.at(i) == exact.at(i) ||
            std::abs(single.at(i) - exact.at(i)) <= 2e-5 * std::max(largest, 1e-30) ||
            (std::isnan(single.at(i)) && std::isnan(exact.at(i)));
  note(close, "float and double differ");
}

// Sizes that the op refuses are left out.
void compare_larger(const OpDef& op, uint64_t seed, GradcheckResult& result) {
  if (!op.vjp || op.traits.stops_gradient) return;
  for (const Sample& sample : larger_samples(op)) {
    const auto outputs = [&](Graph& graph, std::span<const Value> inputs) {
      return outputs_of(graph, op, inputs, sample.attributes);
    };
    try {
      merge(result, gradcheck_by(compare_along, outputs, sample.inputs, op.traits.second_order, seed),
            sample.name);
    } catch (const UserError&) {
      continue;
    }
  }
}

// The first sample's inputs in random shapes that broadcast together.
Sample random_shapes(const OpDef& op, uint64_t seed, int number) {
  Sample sample = op.samples.at(0);
  sample.name = "random shapes " + std::to_string(number);
  sample.expected.clear();
  const auto draw = [&](int64_t below, uint64_t counter) {
    return static_cast<int64_t>(uniform_number(seed + 17, 500 + number, counter) *
                                static_cast<double>(below));
  };
  const int64_t rank = draw(6, 0);
  Extents full;
  for (int64_t d = 0; d < rank; ++d) full.push_back(1 + draw(3, 1 + d));
  for (size_t i = 0; i < sample.inputs.size(); ++i) {
    SampleInput& input = sample.inputs[i];
    // Values of the first sample are points of special interest; here the sample that has ranges is followed.
    for (const Sample& other : op.samples)
      if (i < other.inputs.size() && other.inputs[i].values.empty()) {
        input = other.inputs[i];
        break;
      }
    input.values.clear();
    input.extents = full;
    if (i > 0)
      for (int64_t& extent : input.extents)
        if (draw(3, 20 + 10 * i + (&extent - input.extents.data())) == 0) extent = 1;
    if (i > 0 && draw(3, 90 + i) == 0 && !input.extents.empty()) input.extents.erase(input.extents.begin());
  }
  return sample;
}

}  // namespace

GradcheckResult gradcheck(const OpDef& op, uint64_t seed) {
  GradcheckResult result{.op = op.name};
  if (op.samples.empty() && op.traits.source == SourceKind::none && !op.variadic_outputs)
    result.not_run = "the record has no samples; add one";
  std::vector<Sample> samples = op.samples;
  if (op.traits.elementwise && !op.samples.empty())
    for (int i = 0; i < 8; ++i) samples.push_back(random_shapes(op, seed, i));
  int64_t derivatives = 0;
  for (const Sample& sample : samples) {
    try {
      compare_values(op, sample, seed, result);
      if (!op.vjp || op.traits.stops_gradient) continue;
      const GradcheckResult part = gradcheck(
          [&](Graph& graph, std::span<const Value> inputs) {
            return outputs_of(graph, op, inputs, sample.attributes);
          },
          sample.inputs, op.traits.second_order, seed);
      derivatives += part.checks;
      merge(result, part, sample.name);
    } catch (const Error& error) {
      if (result.detail.empty()) result.detail = "sample '" + sample.name + "': " + error.what();
    }
  }
  compare_larger(op, seed, result);
  if (!op.samples.empty() && result.checks == 0)
    result.not_run = "nothing was compared; add a sample with expected values";
  if (op.vjp && !op.traits.stops_gradient && derivatives == 0 && result.not_run.empty())
    result.not_run = "no derivative was compared; add a sample of floats away from the kinks";
  result.passed = result.detail.empty() && result.not_run.empty() && result.checks == result.expected_checks;
  return result;
}

}  // namespace lariat
