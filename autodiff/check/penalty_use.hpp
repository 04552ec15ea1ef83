#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "autodiff/check/minimum.hpp"
#include "autodiff/check/op_claims.hpp"
#include "autodiff/gradient.hpp"
#include "graph/base/error.hpp"
#include "graph/exec/constants.hpp"
#include "graph/ir/builder.hpp"
#include "graph/program/program.hpp"
#include "ops/ops.hpp"

// What the checks of a penalty's claims look at: its values and gradients at points of one sample, and the
// points, directions, steps and weights that they try.
namespace lariat::penalty_check_detail {

inline constexpr int64_t most_elements = 32;
inline constexpr size_t most_samples = 4;
inline constexpr double infinite = std::numeric_limits<double>::infinity();

double norm(const Point& a);
Point moved(Point x, double length, const Point& direction);
bool is_finite(const Point& x);
/// One number for all elements, or one for each.
double of_element(const Point& numbers, size_t index);
double largest(const Point& x);
std::string point_text(const Point& x);
Tensor tensor_of(const Point& x, Extents extents);
Point point_of(const Tensor& tensor);

/// A function of one element that is added to the penalty: slopes on both sides of a kink, within bounds.
struct Kinked {
  double at = 0, below = 0, above = 0, low = -infinite, high = infinite;

  double value(double x) const {
    if (x < low || x > high) return infinite;
    return (x < at ? below : above) * (x - at);
  }
  double prox(double v, double step) const {
    const double left = v - step * below, right = v - step * above;
    return std::clamp(left < at ? left : right > at ? right : at, low, high);
  }
};

/// The penalty in one sample's shape, with its attributes.
class Use {
 public:
  explicit Use(const OpCase& c)
      : name(c.name),
        op(*c.node->op),
        penalty(*op.penalty),
        attributes_(c.node->attributes),
        shape_(c.inputs[0].extents()),
        result_(evaluate(c.node->outputs[0].shape, {})),
        elements(static_cast<size_t>(c.inputs[0].count())),
        results(static_cast<size_t>(element_count(result_))),
        is_separable(op.traits.elementwise),
        points_(points_of(c)) {
    if (!op.vjp) return;
    Graph graph;
    const Value x = graph.input("x", to_shape(shape_), f64),
                weight = graph.input("weight", to_shape(result_), f64);
    graph.output("slope", gradient(sum(weight * phi(graph, x)), {x})[0]);
    slope_.emplace(graph);
  }

  const std::vector<Point>& points() const { return points_; }

  Point phi(const Point& x) const {
    return point_of(run_op_kernel(op, attributes_, {tensor_of(x, shape_)})[0]);
  }
  double value(const Point& x, const Point& weight) const {
    const Point all = phi(x);
    double sum = 0;
    for (size_t i = 0; i < all.size(); ++i)
      if (of_element(weight, i) != 0) sum += of_element(weight, i) * all[i];
    return sum;
  }
  // Σ weight·φ and a subgradient, unknown where the op has no gradient.
  double value(const Point& x, const Point& weight, Point* slope) {
    if (slope && slope_) {
      Point each(results);
      for (size_t i = 0; i < results; ++i) each[i] = of_element(weight, i);
      *slope = point_of(slope_->run({{"x", tensor_of(x, shape_)}, {"weight", tensor_of(each, result_)}},
                                    store_, *executor_)[0]);
    } else if (slope) {
      slope->assign(x.size(), std::nan(""));
    }
    return value(x, weight);
  }
  // φ of one number, of an op of single elements.
  double phi(double x) const { return run_op_kernel(op, attributes_, {tensor_of({x}, {1})})[0].at(0); }

  Point prox(const Point& v, const Point& step, const Point& weight, DType dtype = f64) const {
    return computed([&](Graph& graph) {
      return penalty.prox({constant(graph, v, shape_of(v), dtype), constant(graph, step, shape_, dtype)},
                          constant(graph, weight, result_, dtype), attributes_);
    });
  }
  Point prox_beside_kinks(const Point& v, const Point& step, const Point& weight, const Kinked& kink) const {
    return computed([&](Graph& graph) {
      std::vector<Value> kinks;
      for (const double number : {kink.low, kink.high, kink.at, kink.below, kink.above})
        kinks.push_back(graph.constant(number, f64));
      return penalty.prox_beside_kinks({constant(graph, v, shape_, f64), constant(graph, step, shape_, f64)},
                                       constant(graph, weight, result_, f64), kinks, attributes_);
    });
  }
  Point residual(const Point& x, const Point& gradient, const Point& weight, DType dtype = f64) const {
    return computed([&](Graph& graph) {
      return penalty.residual(constant(graph, x, shape_of(x), dtype),
                              constant(graph, gradient, shape_of(x), dtype),
                              constant(graph, weight, result_, dtype), attributes_);
    });
  }

  const std::string name;
  const OpDef& op;
  const Penalty& penalty;

 private:
  const Attributes& attributes_;
  const Extents shape_, result_;

 public:
  const size_t elements, results;
  const bool is_separable;

 private:
  Value phi(Graph& graph, Value x) const {
    Attributes own;
    for (const auto& [name, value] : attributes_) own.set(name, value);
    return graph.add(op, std::vector{x}, own, {}, {});
  }
  // Of single elements there may be more than the sample has.
  Extents shape_of(const Point& x) const {
    return x.size() == elements ? shape_ : Extents{static_cast<int64_t>(x.size())};
  }
  static Value constant(Graph& graph, const Point& numbers, const Extents& extents, DType dtype) {
    return numbers.size() == 1 ? graph.constant(numbers[0], dtype)
                               : graph.constant(tensor_of(numbers, extents).cast(dtype));
  }
  Point computed(const std::function<Value(Graph&)>& build) const {
    Graph graph;
    graph.output("result", build(graph));
    return point_of(evaluate_constant(graph)[0]);
  }

  // Of all sizes; at, beside and between kinks; with elements that are equal but for their signs.
  static std::vector<Point> points_of(const OpCase& c) {
    const auto n = static_cast<size_t>(c.inputs[0].count());
    Point kinks = c.sample->inputs[0].kinks;
    if (kinks.empty()) kinks = {0};
    std::vector<Point> points(9, Point(n));
    for (size_t i = 0; i < n; ++i) {
      const double kink = kinks[i % kinks.size()], side = i % 2 == 0 ? 1 : -1;
      const auto drawn = [&](uint64_t stream) { return 2 * uniform_number(99, stream, i) - 1; };
      points[0][i] = c.inputs[0].at(static_cast<int64_t>(i));
      points[1][i] = 3 * drawn(1);
      points[2][i] = 0;
      points[3][i] = 0.75;
      points[4][i] = kink;
      points[5][i] = i % 3 == 2 ? 0 : side;
      points[6][i] = 1000 * drawn(6);
      points[7][i] = 0.01 * drawn(7);
      points[8][i] = kink + 1e-7 * side;
    }
    return points;
  }

  std::vector<Point> points_;
  std::optional<Program> slope_;
  Store store_;
  std::unique_ptr<Executor> executor_ = make_serial_executor();
};

/// Points that lie beside a kink have two slopes within a step of a difference.
inline constexpr size_t points_away_from_kinks = 8;

std::string check_step_of_none(const Use& use);
/// A penalty of single elements takes as many as a tensor has, each as it does among the sample's: a loop
/// over vectors has an end of its own.
using OfElements = std::function<Point(const Point& x, const Point& gradient)>;
std::string check_many(const Use& use, const OfElements& of_elements);

std::vector<Point> directions_of(const Use& use);
std::vector<Point> steps_of(const Use& use);
std::vector<Point> weights_of(const Use& use);

}  // namespace lariat::penalty_check_detail
