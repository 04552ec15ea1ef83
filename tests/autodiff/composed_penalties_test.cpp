// Random sums of penalties on random views, against a solver that knows nothing of Lariat's proxes: the
// alternating direction method of multipliers (Boyd et al. 2011), with one splitting variable for each term
// and only textbook proxes of plain vectors.
#include <algorithm>
#include <cmath>

#include "autodiff/certificate/certificate.hpp"
#include "autodiff/penalty/combination.hpp"
#include "autodiff/penalty/penalty.hpp"
#include "autodiff/penalty/proximal.hpp"
#include "autodiff/trained_parameters.hpp"
#include "graph/program/program.hpp"
#include "ops/ops.hpp"
#include "tests/autodiff/prox_cases.hpp"

namespace lariat::composed_penalties_test {

using namespace lariat::testing;

namespace {

using Numbers = std::vector<double>;
using Matrix = std::vector<Numbers>;

// ---- a textbook prox of weight·φ on one vector, in place

enum class Kind { abs, relu, box, group, largest, variation };

void soft(Numbers& z, double t) {
  for (double& x : z) x = x > t ? x - t : x < -t ? x + t : 0;
}

// z less its projection on the L1 ball of radius t, whose threshold is found by bisection.
void clip_largest(Numbers& z, double t) {
  double low = 0, high = 0;
  for (double x : z) high = std::max(high, std::abs(x));
  for (int step = 0; step < 100; ++step) {
    const double middle = (low + high) / 2;
    double above = 0;
    for (double x : z) above += std::max(std::abs(x) - middle, 0.0);
    (above > t ? low : high) = middle;
  }
  for (double& x : z) x = std::clamp(x, -high, high);
}

struct Function {
  Kind shape;
  double low = 0, high = 0;  // of a box

  double value(const Numbers& x) const {
    double result = 0;
    for (double e : x) {
      if (shape == Kind::abs || shape == Kind::variation) result += std::abs(e);
      if (shape == Kind::relu) result += std::max(e, 0.0);
      if (shape == Kind::group) result = std::hypot(result, e);
      if (shape == Kind::largest) result = std::max(result, std::abs(e));
      if (shape == Kind::box && (e < low - 1e-9 || e > high + 1e-9)) return INFINITY;
    }
    return result;
  }
  void prox(Numbers& x, double t) const {
    if (shape == Kind::abs || shape == Kind::variation) soft(x, t);
    if (shape == Kind::relu)
      for (double& e : x) e = e > t ? e - t : std::min(e, 0.0);
    if (shape == Kind::box)
      for (double& e : x) e = std::clamp(e, low, high);
    if (shape == Kind::largest) clip_largest(x, t);
    if (shape != Kind::group) return;
    double norm = 0;
    for (double e : x) norm = std::hypot(norm, e);
    for (double& e : x) e *= norm > t ? 1 - t / norm : 0;
  }
};

// weight·φ(A·u + b) of the variables u of one problem; differences are in A where φ is a total variation.
struct Row {
  Function function;
  Matrix a;
  Numbers b, weights;  // one weight for each element of a sum, or one

  Numbers at(const Numbers& u) const {
    Numbers x = b;
    for (size_t i = 0; i < x.size(); ++i)
      for (size_t j = 0; j < u.size(); ++j) x[i] += a[i][j] * u[j];
    return x;
  }
};

struct Small {
  Numbers point, curvature, ridge;
  std::vector<Row> rows;

  double value(const Numbers& u) const {
    double total = 0;
    for (size_t i = 0; i < u.size(); ++i)
      total += curvature[i] * (u[i] - point[i]) * (u[i] - point[i]) / 2 + ridge[i] * u[i] * u[i];
    for (const Row& row : rows) {
      const Numbers x = row.at(u);
      if (row.weights.size() == 1) {
        total += row.weights[0] * row.function.value(x);
      } else {
        for (size_t i = 0; i < x.size(); ++i) total += row.weights[i] * row.function.value({x[i]});
      }
    }
    return total;
  }
};

Numbers solve_by_admm(const Small& problem) {
  const size_t n = problem.point.size();
  double rho = 0;
  for (double c : problem.curvature) rho += c / static_cast<double>(n);
  Matrix m(n, Numbers(n));
  for (size_t i = 0; i < n; ++i) m[i][i] = problem.curvature[i] + 2 * problem.ridge[i];
  for (const Row& row : problem.rows)
    for (const Numbers& line : row.a)
      for (size_t i = 0; i < n; ++i)
        for (size_t j = 0; j < n; ++j) m[i][j] += rho * line[i] * line[j];
  const Cholesky factored(m);
  std::vector<Numbers> z, dual;
  for (const Row& row : problem.rows) z.push_back(row.b), dual.push_back(Numbers(row.b.size()));
  Numbers u = problem.point;
  for (int step = 0; step < 4000; ++step) {
    Numbers next(n);
    for (size_t i = 0; i < n; ++i) next[i] = problem.curvature[i] * problem.point[i];
    for (size_t k = 0; k < z.size(); ++k)
      for (size_t r = 0; r < z[k].size(); ++r)
        for (size_t i = 0; i < n; ++i)
          next[i] += rho * problem.rows[k].a[r][i] * (z[k][r] - problem.rows[k].b[r] - dual[k][r]);
    factored.solve(next);
    double change = 0;
    for (size_t i = 0; i < n; ++i) change = std::max(change, std::abs(next[i] - u[i]));
    u = next;
    double gap = 0;
    for (size_t k = 0; k < z.size(); ++k) {
      const Row& row = problem.rows[k];
      Numbers x = row.at(u), pulled = x;
      for (size_t r = 0; r < x.size(); ++r) pulled[r] += dual[k][r];
      z[k] = pulled;
      if (row.weights.size() == 1) {
        row.function.prox(z[k], row.weights[0] / rho);
      } else {
        for (size_t r = 0; r < x.size(); ++r) {
          Numbers one{pulled[r]};
          row.function.prox(one, row.weights[r] / rho);
          z[k][r] = one[0];
        }
      }
      for (size_t r = 0; r < x.size(); ++r) {
        dual[k][r] = pulled[r] - z[k][r];
        gap = std::max(gap, std::abs(x[r] - z[k][r]));
      }
    }
    if (change < 1e-12 && gap < 1e-12) break;
  }
  return u;
}

// ---- many small problems in one graph: row i of the parameters w and v [problems, size] is problem i

constexpr int64_t problems = 50, size = 3;

struct Sum {
  Graph g;
  Draw& draw;
  std::vector<Small> small{static_cast<size_t>(problems)};
  Value w, v, loss;
  /// The rows of each problem by the node of their term: those of refused ones are not solved.
  std::map<int32_t, std::vector<Row>> rows_of;
  std::string text;

  Sum(Draw& draw, Kind structured, bool one_step) : draw(draw) {
    w = g.parameter("w", {problems, size}, init::zeros(), f64);
    v = g.parameter("v", {problems, size}, init::zeros(), f64);
    for (Small& s : small) s.ridge = Numbers(2 * size);
    const Value point_w = numbers(size, -2, 2), point_v = numbers(size, -2, 2);
    const Value curve_w = one_step ? uniform(draw.uniform(0.5, 2)) : numbers(size, 0.3, 3),
                curve_v = one_step ? uniform(draw.uniform(0.5, 2)) : numbers(size, 0.3, 3);
    for (int64_t i = 0; i < problems; ++i)
      for (int64_t j = 0; j < 2 * size; ++j) {
        small[i].point.push_back(element(j < size ? point_w : point_v, i, j % size));
        small[i].curvature.push_back(element(j < size ? curve_w : curve_v, i, j % size));
      }
    points = {{"w", {point_w, reciprocal(curve_w)}}, {"v", {point_v, reciprocal(curve_v)}}};
    loss = 0.5 * sum(curve_w * square(w - point_w)) + 0.5 * sum(curve_v * square(v - point_v));
    const int64_t scalars = draw.below(3), more = draw.below(2);
    add(structured);
    for (int64_t i = 0; i < more; ++i) {
      const Kind kinds[] = {Kind::group, Kind::largest, Kind::variation};
      add(draw.one_in(2) ? structured : kinds[draw.below(3)]);
    }
    for (int64_t i = 0; i < scalars; ++i) {
      const Kind kinds[] = {Kind::abs, Kind::relu, Kind::box, Kind::abs};
      add(kinds[draw.below(4)]);
    }
    if (draw.one_in(3)) add_ridge();
  }

  ProxPoints points;

 private:
  double element(Value constant, int64_t row, int64_t column) const {
    const Tensor tensor = g.node(constant.node()).attributes.get<Tensor>("value");
    return tensor.count() == 1 ? tensor.at(0)
                               : tensor.at(row % tensor.extents()[0] * tensor.extents()[1] + column);
  }
  Value uniform(double value) { return g.constant(value, f64); }
  Value numbers(int64_t columns, double low, double high, int64_t count = problems) {
    return g.constant(tensor_of<double>({count, columns}, [&](int64_t) { return draw.uniform(low, high); }));
  }

  // A view of w, v or both, and the same as a matrix and a shift.
  struct View {
    Value value;
    Matrix a;
    Numbers b;
  };
  View view() {
    const int64_t from = draw.below(4);
    View view;
    view.value = from == 0 ? v : from == 1 ? concat({w, v}, 1) : w;
    for (int64_t j = 0; j < (from == 1 ? 2 * size : size); ++j) {
      view.a.push_back(Numbers(2 * size));
      view.a.back()[from == 0 ? size + j : j] = 1;
    }
    text += from == 0 ? "v" : from == 1 ? "concat(w, v)" : "w";
    if (from != 1 && draw.one_in(6)) {
      const double other = draw.one_in(2) ? -1 : draw.uniform(0.5, 2);
      view.value = view.value + other * (from == 0 ? w : v);
      for (int64_t j = 0; j < size; ++j) view.a[j][from == 0 ? j : size + j] = other;
      text += "[with the other]";
    }
    if (draw.one_in(4)) {
      const auto end = static_cast<int64_t>(view.a.size()), begin = draw.below(2);
      view.value = slice(view.value, 1, begin, end - 1 + begin);
      view.a = Matrix(view.a.begin() + begin, view.a.begin() + end - 1 + begin);
      text += "[slice]";
    }
    const auto columns = static_cast<int64_t>(view.a.size());
    if (draw.one_in(5)) {
      std::vector<int32_t> order;
      Matrix in_order;
      for (int64_t j = 0; j < columns; ++j) order.push_back(static_cast<int32_t>(j));
      for (int64_t j = columns - 1; j > 0; --j) std::swap(order[j], order[draw.below(j + 1)]);
      for (int32_t j : order) in_order.push_back(view.a[j]);
      const Value indices = g.constant(Tensor::of<int32_t>({columns}, std::span<const int32_t>(order)));
      view.value = transpose(gather_rows(transpose(view.value), indices));
      view.a = in_order;
      text += "[reordered]";
    }
    view.b = Numbers(view.a.size());
    const int64_t scale = draw.below(6);
    if (scale < 3) {
      const Value factor = scale == 0 ? numbers(columns, 0.5, 2, 1)
                           : scale == 1
                               ? g.constant(tensor_of<double>(
                                     {1, columns}, [&](int64_t) { return draw.one_in(2) ? 1.0 : -1.0; }))
                               : uniform(draw.one_in(2) ? -1.5 : 0.5);
      view.value = factor * view.value;
      for (int64_t j = 0; j < columns; ++j)
        for (double& a : view.a[j]) a *= element(factor, 0, j);
      text += scale == 0 ? "·scales" : scale == 1 ? "·signs" : "·number";
    }
    if (draw.one_in(3)) {
      const Value shift = draw.one_in(2) ? numbers(columns, -1, 1, 1) : uniform(0.5);
      view.value = view.value - shift;
      for (int64_t j = 0; j < columns; ++j) view.b[j] -= element(shift, 0, j);
      text += "-shift";
    }
    return view;
  }

  void note(Value term, int64_t problem, Row row) {
    rows_of[term.node()].resize(problems), rows_of[term.node()][problem] = std::move(row);
  }

  void add(Kind shape) {
    text += " + ";
    View x = view();
    if (shape == Kind::box) {
      const double low = draw.one_in(3) ? 0 : draw.uniform(-1, 0.5), high = low + draw.uniform(0.2, 2);
      const Value term = within(x.value, low, high);
      loss = loss + sum(term);
      for (int64_t i = 0; i < problems; ++i) note(term, i, {{shape, low, high}, x.a, x.b, {1}});
      text += " within";
      return;
    }
    if (shape == Kind::abs || shape == Kind::relu) {
      const Value term = shape == Kind::abs ? abs(x.value) : relu(x.value);
      const Value weights =
          draw.one_in(2) ? uniform(draw.uniform(0, 1)) : numbers(static_cast<int64_t>(x.a.size()), 0, 1);
      loss = loss + sum(weights * term);
      for (int64_t i = 0; i < problems; ++i) {
        Numbers own;
        for (size_t j = 0; j < x.a.size(); ++j) own.push_back(element(weights, i, static_cast<int64_t>(j)));
        note(term, i, {{shape}, x.a, x.b, own});
      }
      text += shape == Kind::abs ? " abs" : " relu";
      return;
    }
    if (shape == Kind::variation) {
      const Value term = absolute_differences(x.value, 1), weights = uniform(draw.uniform(0.1, 1.5));
      loss = loss + weights * sum(term);
      Matrix differences;
      Numbers shifts;
      for (size_t j = 0; j + 1 < x.a.size(); ++j) {
        differences.push_back(x.a[j + 1]);
        for (size_t k = 0; k < x.a[j].size(); ++k) differences.back()[k] -= x.a[j][k];
        shifts.push_back(x.b[j + 1] - x.b[j]);
      }
      for (int64_t i = 0; i < problems; ++i)
        note(term, i, {{shape}, differences, shifts, {element(weights, i, 0)}});
      text += " variation";
      return;
    }
    const Value term = shape == Kind::group ? norm2(x.value, {1}, true) : norm_inf(x.value, {1}, true);
    const Value weights = draw.one_in(2) ? uniform(draw.uniform(0.1, 2)) : numbers(1, 0.1, 2);
    loss = loss + sum(weights * term);
    for (int64_t i = 0; i < problems; ++i) note(term, i, {{shape}, x.a, x.b, {element(weights, i, 0)}});
    text += shape == Kind::group ? " group" : " largest";
  }

  void add_ridge() {
    const bool same = draw.one_in(2);
    const Value weights = same ? uniform(draw.uniform(0, 1)) : numbers(size, 0, 1, 1);
    loss = loss + sum(weights * square(w));
    for (int64_t i = 0; i < problems; ++i)
      for (int64_t j = 0; j < size; ++j) small[i].ridge[j] = element(weights, 0, j);
    text += same ? " + ridge" : " + weighted ridge";
  }
};

struct Outcomes {
  int64_t cases = 0, refused = 0, kept = 0, certified = 0;
  double worst = 0, farthest = 0;
  std::string worst_case, farthest_case;
};

// The minimum by Lariat's prox: the loss is the distance from a point in a diagonal metric and penalties.
void solve_and_compare(Draw& draw, Kind structured, Outcomes& outcomes) {
  const Draw before = draw;
  auto sum_of = std::make_unique<Sum>(draw, structured, false);
  std::vector<Value> parameters{sum_of->w, sum_of->v};
  PenaltySplit split = split_penalties(sum_of->loss, parameters, SmoothTerms::all);
  if (!parameters_of_one_step(split.terms).empty()) {
    draw = before;
    sum_of = std::make_unique<Sum>(draw, structured, true);
    parameters = {sum_of->w, sum_of->v};
    split = split_penalties(sum_of->loss, parameters, SmoothTerms::all);
  }
  Sum& sum = *sum_of;
  CAPTURE(sum.text);
  REQUIRE(split.refusals.size() <= sum.rows_of.size());
  // The squares around the point are not among the terms: they are the metric.
  for (const PenaltyTerm& term : split.terms)
    if (const auto found = sum.rows_of.find(term.node.node()); found != sum.rows_of.end()) {
      for (int64_t i = 0; i < problems; ++i) sum.small[i].rows.push_back(found->second[i]);
      sum.rows_of.erase(found);
      ++outcomes.kept;
    }
  const bool whole = sum.rows_of.empty();
  outcomes.refused += static_cast<int64_t>(sum.rows_of.size());

  for (const auto& [name, next] : proximal_updates(sum.points, split.terms)) sum.g.output(name, next);
  Graph alone;
  copy_graph(sum.g, alone);
  Store store;
  initialize_store(alone, store, 0);
  Program program(alone);
  const auto executor = make_serial_executor();
  const std::vector<Tensor> results = program.run({}, store, *executor);
  const auto& outputs = alone.outputs();
  const Tensor &w = results[outputs[0].name == "w" ? 0 : 1], &v = results[outputs[0].name == "w" ? 1 : 0];
  if (whole) {
    store.set("w", w);
    store.set("v", v);
    Certifier certifier(sum.loss, parameters);
    const Certificate there = certifier.certify(std::vector<Feeds>{{}}, store, *executor);
    // Bounds that exclude each other leave no minimum.
    const double off = std::isinf(there.loss) ? 0 : *there.distance();
    ++outcomes.certified;
    if (!(off <= outcomes.farthest)) outcomes.farthest = off, outcomes.farthest_case = sum.text;
    CHECK_FALSE(there.is_contradicted());
    // Elsewhere values of the loss cannot fall faster than the distance allows.
    const Tensor moved = w.clone();
    for (double& e : moved.values<double>()) e += draw.uniform(-0.1, 0.1);
    store.set("w", moved);
    const Certificate away = certifier.certify(std::vector<Feeds>{{}}, store, *executor);
    CHECK_FALSE(away.is_contradicted());
    CHECK(*away.distance() > 0.01);
  }
  for (int64_t i = 0; i < problems; ++i) {
    Numbers u;
    for (int64_t j = 0; j < 2 * size; ++j) u.push_back((j < size ? w : v).at(i * size + j % size));
    const Small& small = sum.small[i];
    const double found = small.value(u), least = small.value(solve_by_admm(small));
    const double above = std::isinf(least) ? 0 : (found - least) / (1 + std::abs(least));
    ++outcomes.cases;
    if (above <= outcomes.worst && !std::isnan(above)) continue;
    outcomes.worst = std::isnan(above) ? INFINITY : above;
    outcomes.worst_case = sum.text + ", problem " + std::to_string(i);
  }
}

void compare(Kind structured, uint64_t seed) {
  Outcomes outcomes;
  Draw draw(seed);
  while (outcomes.cases < random_cases()) solve_and_compare(draw, structured, outcomes);
  CAPTURE(outcomes.worst_case);
  CAPTURE(outcomes.refused);
  CHECK(outcomes.worst <= 1e-8);
  CAPTURE(outcomes.farthest_case);
  CHECK(outcomes.farthest <= 1e-8);
  CHECK(outcomes.certified > 10);
  // Most terms are solved, not refused.
  CHECK(outcomes.kept > outcomes.refused);
}

}  // namespace

TEST_CASE("sums with groups, in any view: the minimum of an independent solver") { compare(Kind::group, 1); }
TEST_CASE("sums with largest magnitudes, in any view: the minimum of an independent solver") {
  compare(Kind::largest, 2);
}
TEST_CASE("sums with total variation, in any view: the minimum of an independent solver") {
  compare(Kind::variation, 3);
}
TEST_CASE("sums of functions of single elements, in any view: the minimum of an independent solver") {
  compare(Kind::abs, 4);
}

}  // namespace lariat::composed_penalties_test
