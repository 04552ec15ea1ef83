// Random terms of parameters alone, of every op with a kink: each is rewritten, refused or listed as smooth.
// What is left as smooth has no kink, and what the rewrite reads in place of the loss has its values and
// gradients.
#include <algorithm>
#include <cstdlib>
#include <map>
#include <random>
#include <tuple>

#include "autodiff/gradient.hpp"
#include "autodiff/penalty/penalty.hpp"
#include "autodiff/training/trainer.hpp"
#include "graph/base/error.hpp"
#include "graph/ir/print.hpp"
#include "graph/ir/registry.hpp"
#include "graph/program/program.hpp"
#include "tests/autodiff/loss_table.hpp"
#include "tests/support/testing.hpp"

namespace lariat::loss_completeness_test {

using namespace lariat::testing;

namespace {

// Ops of one number each, and everything that has a kink.
const std::vector<const OpDef*>& ops_to_try() {
  static const std::vector<const OpDef*> all = [] {
    std::vector<const OpDef*> result;
    for (const OpDef* op : registry().all()) {
      const bool smooth_of_one =
          op->traits.elementwise && op->inputs.size() == 1 && !op->traits.stops_gradient;
      // Proxes take steps and weights of 0 or more; guards throw.
      const bool is_prox = op->name.find("prox") != std::string::npos ||
                           op->name.find("threshold") != std::string::npos ||
                           op->name == "require_nonnegative" || op->name == "require_finite";
      if (!op->plugin && !is_prox && !op->samples.empty() && (!op->kinks.empty() || smooth_of_one))
        result.push_back(op);
    }
    return result;
  }();
  return all;
}

class RandomTerm {
 public:
  RandomTerm(LossSetting& setting, uint64_t seed) : s_(setting), random_(seed) {
    pool_ = {s_.w, s_.w, s_.v, s_.c * s_.w, s_.signs * s_.w};
  }

  Value build_one() {
    const int count = 1 + below(5);
    for (int i = 0; i < count; ++i) {
      try {
        const Value next = fitted(step());
        if (next) pool_.push_back(next);
      } catch (const UserError&) {
        // The op does not take such inputs.
      }
    }
    const Value last = pool_.back();
    return below(4) == 0 ? mean(last) : number() * sum(last);
  }

 private:
  int below(int limit) { return static_cast<int>(random_() % static_cast<uint64_t>(limit)); }
  double number() {
    const double numbers[] = {0.1, 0.5, 1, 2, 3, 0.25};
    return numbers[below(6)];
  }
  Value any() {
    return pool_[pool_.size() - 1 -
                 static_cast<size_t>(below(std::min<int>(3, static_cast<int>(pool_.size()))))];
  }

  Value step() {
    switch (below(9)) {
      case 0:
        return any() + any();
      case 1:
        return any() - any();
      case 2:
        return below(2) == 0 ? number() * any() : any() / -number();
      case 3:
        return below(2) == 0 ? any() - number() : number() - any();
      case 4:
        return below(3) == 0 ? any() * any() : below(2) == 0 ? s_.c * any() : s_.signs * any();
      case 5: {
        const Value a = any();
        const Value condition = below(2) == 0 ? greater(a, number() - 1) : less_equal(a, number() - 1);
        return where(condition, below(2) == 0 ? a : any(), below(2) == 0 ? -a : number() * any());
      }
      default: {
        const OpDef& op = *ops_to_try()[static_cast<size_t>(below(static_cast<int>(ops_to_try().size())))];
        const Sample& sample = op.samples[static_cast<size_t>(below(static_cast<int>(op.samples.size())))];
        std::vector<Operand> inputs;
        for (size_t i = 0; i < op.inputs.size(); ++i)
          inputs.push_back(i > 0 && below(2) == 0 ? Operand(number()) : Operand(any()));
        if (op.name == "sqrt") inputs[0] = nonnegative_one();
        return build(op.name, inputs, sample.attributes);
      }
    }
  }

  // What has a root: sizes, squares and sums of them, also along an axis and of all.
  Value nonnegative_one() {
    switch (below(7)) {
      case 0:
        return abs(any());
      case 1:
        return number() * square(any());
      case 2:
        return relu(any());
      case 3:
        return square(any()) + (below(2) == 0 ? square(any()) : abs(any()));
      case 4:
        return square(any()) + number();
      case 5: {
        const Value squares = below(2) == 0 ? square(any()) : s_.c * square(any());
        return below(2) == 0 ? sum(squares, {below(2)}, true) : mean(squares);
      }
      default:
        return reduce_max(square(any()), {below(2)}, true) / number();
    }
  }

  // Values of the parameters' shape go on; others are summed to the terms' end.
  Value fitted(Value value) {
    if (!is_float(value.dtype())) return {};
    if (value.shape() == s_.w.shape()) return value;
    if (broadcast(value.shape(), s_.w.shape()) == s_.w.shape()) return value * one_;
    return sum(value) * one_;
  }

  LossSetting& s_;
  std::mt19937_64 random_;
  Value one_ = s_.g.constant(Tensor::filled(s_.dtype, {4, 3}, 1));
  std::vector<Value> pool_;
};

// The loss without the penalties that are taken out of it, and those of them that are continuous.
std::pair<Value, Value> parts_of(Value loss) {
  Graph& graph = loss.graph();
  std::vector<Value> parameters, cut;
  for (int32_t id = 0; id <= loss.node(); ++id)
    if (graph.node(id).op->traits.source == SourceKind::parameter) parameters.push_back({&graph, id});
  const PenaltySplit split = split_penalties(loss, parameters);
  for (const PenaltyTerm& term : split.terms)
    if (!is_among(cut, term.node)) cut.push_back(term.node);
  const std::vector<Value> weights = gradient(loss, cut, cut);
  Value rest = loss, continuous = graph.constant(0.0, loss.dtype());
  for (size_t i = 0; i < cut.size(); ++i) {
    const Value penalty = sum(weights[i] * cut[i]);
    rest = rest - penalty;
    const std::string& op = graph.node(cut[i].node()).op->name;
    if (op != "count_nonzero" && op != "within") continuous = continuous + penalty;
  }
  return {rest, continuous};
}

// A function of w and v along a random line: its value and its derivative.
class Line {
 public:
  Line(Value loss, uint64_t seed) {
    Graph& graph = loss.graph();
    std::mt19937_64 random(seed);
    std::normal_distribution<double> normal;
    std::vector<Value> wanted;
    for (int32_t id = 0; id <= loss.node(); ++id) {
      const Node& node = graph.node(id);
      if (node.op->traits.source == SourceKind::parameter) wanted.push_back({&graph, id});
      if (node.op->traits.source == SourceKind::input)
        feeds_.emplace(node.name,
                       Tensor(node.outputs[0].dtype, evaluate(node.outputs[0].shape, {{"batch", 2}})));
    }
    initialize_store(graph, store_, 1);
    for (Value parameter : wanted) {
      Tensor at(f64, evaluate(parameter.shape(), {})), along = at.clone();
      for (double& value : at.values<double>()) value = normal(random);
      for (double& value : along.values<double>()) value = normal(random);
      points_[parameter.name()] = {at, along};
      names_.push_back(parameter.name());
    }
    std::vector<Value> values = gradient(loss, wanted);
    values.insert(values.begin(), loss);
    for (int32_t id : nodes_behind(loss))
      if (const Value within(&graph, id); is_float(within.dtype()) && is_known(within.shape()))
        values.push_back(norm_inf(within));
    program_ = inference_program(graph, values);
  }

  std::pair<double, double> operator()(double t) {
    for (const auto& [name, point] : points_) {
      Tensor at = point.first.clone();
      for (int64_t i = 0; i < at.count(); ++i) at.data<double>()[i] += t * point.second.at(i);
      store_.set(name, at);
    }
    const std::vector<Tensor> results = program_->run(feeds_, store_, *executor_);
    for (size_t i = names_.size() + 1; i < results.size(); ++i)
      largest_within_ = std::max(largest_within_, results[i].item());
    double slope = 0;
    for (size_t p = 0; p < names_.size(); ++p)
      for (int64_t i = 0; i < results[p + 1].count(); ++i)
        slope += results[p + 1].at(i) * points_.at(names_[p]).second.at(i);
    return {results[0].item(), slope};
  }

  // The size of the largest sudden change of value, or of slope too, on [-2, 2], relative to their sizes.
  double largest_leap(bool slopes) {
    double largest = 0;
    for (bool of_slope : {false, true}) {
      if (of_slope && !slopes) continue;
      const auto value = [&](double t) {
        const auto [height, slope] = (*this)(t);
        return of_slope ? slope : height;
      };
      constexpr int steps = 24;
      double scale = 1;
      std::vector<double> at;
      for (int i = 0; i <= steps; ++i) at.push_back(value(-2 + 4.0 * i / steps));
      for (double v : at) scale = std::max(scale, std::abs(v));
      // The difference of two large numbers leaps from rounding to rounding.
      if (!std::isfinite(scale) || scale > 1e6 || largest_within_ > 1e9) return NAN;
      for (int i = 0; i < steps; ++i) {
        double low = -2 + 4.0 * i / steps, high = low + 4.0 / steps, below = at[i], above = at[i + 1];
        for (int halving = 0; halving < 34; ++halving) {
          const double middle = (low + high) / 2, between = value(middle);
          if (std::abs(between - below) >= std::abs(above - between)) {
            high = middle, above = between;
          } else {
            low = middle, below = between;
          }
          if (std::abs(above - below) < 1e-5 * scale) break;
        }
        // A pole is no kink.
        if (!(std::max(std::abs(above), std::abs(below)) < 1e3 * scale)) return NAN;
        largest = std::max(largest, std::abs(above - below) / scale);
      }
    }
    return largest;
  }

 private:
  std::map<std::string, std::pair<Tensor, Tensor>> points_;
  std::vector<std::string> names_;
  double largest_within_ = 0;
  Store store_;
  Feeds feeds_;
  std::unique_ptr<Program> program_;
  std::unique_ptr<Executor> executor_ = make_serial_executor();
};

struct Counts {
  int rewritten = 0, refused = 0, smooth = 0, negative = 0, checked = 0;
};

void check_term(uint64_t seed, Counts& counts) {
  LossSetting setting(f64);
  Value loss;
  try {
    loss = 0 * sum(setting.w) + 0 * sum(setting.v) + RandomTerm(setting, seed).build_one();
  } catch (const UserError&) {
    return;
  }
  CAPTURE(seed);
  CAPTURE(to_text(setting.g));
  RewriteReport report;
  Graph canonical;
  Value rest, penalties;
  try {
    report = Trainer(loss, Sgd{}, {.threads = 1}).report();
    std::tie(rest, penalties) = parts_of(canonicalize_penalties(loss, canonical));
  } catch (const UserError& error) {
    CAPTURE(error.what());
    CHECK(std::string(error.what()).starts_with("L104"));
    ++counts.negative;
    return;
  }
  CAPTURE(report.text());
  counts.rewritten += !report.rewritten.empty();
  counts.refused += !report.refused.empty();
  counts.smooth += !report.smooth.empty();
  CHECK(canonical_difference(loss, seed) < 1e-7);
  // What has a prox is a function of its parameters alone: nothing switches it on and off.
  const double leap_of_penalties = Line(penalties, seed).largest_leap(false);
  if (std::isfinite(leap_of_penalties)) CHECK(leap_of_penalties < 1e-4);
  if (!report.refused.empty()) return;
  const double leap = Line(rest, seed).largest_leap(true);
  if (!std::isfinite(leap)) return;
  ++counts.checked;
  CHECK(leap < 1e-4);
}

}  // namespace

TEST_CASE("no term of parameters alone with a kink goes unsaid") {
  const auto [first, cases] = testing::seed_range(1'000, 100'000);
  Counts counts;
  for (int64_t i = 0; i < cases; ++i) check_term(first + static_cast<uint64_t>(i), counts);
  if (cases < 100) return;
  // Each kind of answer is there.
  CHECK(counts.rewritten > cases / 20);
  CHECK(counts.refused > cases / 10);
  CHECK(counts.checked > cases / 10);
}

}  // namespace lariat::loss_completeness_test
