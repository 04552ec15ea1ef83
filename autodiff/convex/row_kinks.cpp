#include "autodiff/convex/row_kinks.hpp"

#include <cmath>

#include "autodiff/double_graph.hpp"
#include "autodiff/gradient.hpp"
#include "graph/ir/op_def.hpp"
#include "ops/ops.hpp"

namespace lariat::convex {

namespace {

// What is zero where the op has a kink.
std::vector<Value> crossings_of(Graph& graph, const Node& node) {
  const Value first = graph.value(node.inputs[0]);
  if (node.op->name == "clip")
    return {first - node.attributes.get<double>("low"), first - node.attributes.get<double>("high")};
  if (node.inputs.size() == 1) return {first};
  if (node.inputs.size() == 2) return {first - graph.value(node.inputs[1])};
  return {};
}

class KinkSearch {
 public:
  KinkSearch(Value loss, Value prediction, std::span<const Value> zeroed, Executor& executor)
      : executor_(executor), extents_(evaluate(prediction.shape(), {})) {
    const Value value = copy_without(loss, zeroed, prediction, graph_);
    const Value z = graph_.find_source("z");
    const int32_t source = z.node();
    const std::vector<bool> depends = dependents(graph_, {&source, 1});
    const int32_t size = graph_.size();
    for (int32_t id = 0; id < size; ++id) {
      const Node node = graph_.node(id);
      if (!depends[id] || !node.op->traits.elementwise || node.op->kinks.empty()) continue;
      for (const Value crossing : crossings_of(graph_, node))
        if (element_count(crossing.shape()) == element_count(prediction.shape()) && crossing.dtype() == f64) {
          nodes_.push_back(id);
          graph_.output("crossing" + std::to_string(nodes_.size()), crossing);
        }
    }
    if (nodes_.empty()) return;
    graph_.output("slope", gradient(value, {z})[0]);
    program_ = std::make_unique<Program>(graph_);
  }

  std::optional<RowKink> find() {
    for (size_t k = 0; k < nodes_.size(); ++k)
      // From between the places where it crosses, and from beyond them on either side.
      for (const auto& [from, to] : {std::pair{0.0, 1.0}, std::pair{-1e12, -5e11}, std::pair{1e12, 5e11}})
        if (const std::optional<double> at = jump_at(crossing(k, from, to))) {
          const Node& node = graph_.node(nodes_[k]);
          return RowKink{node.op->name, node.where, *at};
        }
    return std::nullopt;
  }

 private:
  std::vector<Tensor> run(const Tensor& z) {
    Store none;
    return program_->run({{"z", z}}, none, executor_);
  }
  Tensor filled(double value) const {
    Tensor z(f64, extents_);
    for (double& x : z.values<double>()) x = value;
    return z;
  }

  // Each row's root of crossing k by the secant rule, NaN where it finds none.
  Tensor crossing(size_t k, double from, double to) {
    constexpr int most_steps = 80;  // a double root is halved at each step
    Tensor before = filled(from), now = filled(to);
    Tensor at_before = run(before)[k].clone();
    bool moves = true;
    for (int step = 0; step < most_steps && moves; ++step) {
      const Tensor at_now = run(now)[k].clone();
      moves = false;
      for (int64_t i = 0; i < now.count(); ++i) {
        double &x = now.data<double>()[i], &last = before.data<double>()[i];
        const double y = at_now.at(i), slope = (y - at_before.at(i)) / (x - last);
        last = x;
        if (y == 0 || std::isnan(x)) continue;
        const double next = x - y / slope;
        if (std::abs(next - x) <= 4e-16 * std::abs(x)) continue;
        x = std::isfinite(next) ? next : std::numeric_limits<double>::quiet_NaN();
        moves = true;
      }
      at_before = at_now;
    }
    return now;
  }

  // A place among `roots` where the slope jumps by as much however near it is looked at. Of predictions that
  // are large beside what the loss tells apart, only the last look is near enough; it is no nearer than roots
  // are known.
  std::optional<double> jump_at(Tensor roots) {
    constexpr double least = 1e-6;
    struct Look {
      double width, smallest;
    };
    std::vector<Tensor> jumps, slopes;
    for (const Look& look : {Look{0x1p-24, 1e-3}, Look{0x1p-32, 1e-3}, Look{0x1p-46, 1}}) {
      Tensor below(f64, extents_), above(f64, extents_);
      for (int64_t i = 0; i < roots.count(); ++i) {
        const double root = std::isnan(roots.at(i)) ? 0 : roots.at(i);
        const double aside = look.width * std::max(std::abs(root), look.smallest);
        below.data<double>()[i] = root - aside;
        above.data<double>()[i] = root + aside;
      }
      const Tensor low = run(below).back().clone(), high = run(above).back().clone();
      Tensor jump(f64, extents_), slope(f64, extents_);
      for (int64_t i = 0; i < roots.count(); ++i) {
        jump.data<double>()[i] = std::abs(high.at(i) - low.at(i));
        slope.data<double>()[i] = std::abs(high.at(i)) + std::abs(low.at(i));
      }
      jumps.push_back(jump);
      slopes.push_back(slope);
    }
    for (int64_t i = 0; i < roots.count(); ++i)
      if (!std::isnan(roots.at(i)) && jumps[1].at(i) > 0.5 * jumps[0].at(i) &&
          jumps[2].at(i) > 0.5 * jumps[1].at(i) && jumps[2].at(i) > least * slopes[2].at(i))
        return roots.at(i);
    return std::nullopt;
  }

  Graph graph_;
  std::unique_ptr<Program> program_;
  Executor& executor_;
  Extents extents_;
  std::vector<int32_t> nodes_;
};

}  // namespace

std::optional<RowKink> find_row_kink(Value loss, Value prediction, std::span<const Value> zeroed,
                                     Executor& executor) {
  return KinkSearch(loss, prediction, zeroed, executor).find();
}

}  // namespace lariat::convex
