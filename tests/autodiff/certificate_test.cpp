// Sums of terms whose proxes do not follow each other: what training reaches, and what the certificate says
// of it and of other points. Optima are from the conditions by hand.
#include "autodiff/convex/solver.hpp"
#include "autodiff/training/trainer.hpp"
#include "ops/ops.hpp"
#include "tests/support/testing.hpp"

namespace lariat::certificate_test {

namespace {

struct Problem {
  std::string name;
  int64_t size;
  std::function<Value(Graph&, Value w)> loss;
  std::vector<double> optimum;
};

Value row(Graph& g, std::vector<double> values) {
  return g.constant(
      Tensor::of<double>({static_cast<int64_t>(values.size())}, std::span<const double>(values)));
}

Value near(Graph& g, Value w, std::vector<double> target) {
  return 0.5 * sum(square(w - row(g, std::move(target))));
}

const std::vector<Problem> problems{
    {"|w| and a group around 1",
     1,
     [](Graph& g, Value w) { return near(g, w, {0.5}) + sum(abs(w)) + norm2(w - 1); },
     {0.5}},
    {"nested groups, one around 1",
     1,
     [](Graph& g, Value w) {
       return near(g, w, {0.5}) + sum(norm2(reshape(w, {1, 1}), {1})) + norm2(w - 1);
     },
     {0.5}},
    {"differences of a concatenation, and |·| of one part",
     2,
     [](Graph& g, Value w) {
       return near(g, w, {1, 1}) + 0.5 * sum(absolute_differences(w, 0)) + 0.5 * sum(abs(slice(w, 0, 0, 1)));
     },
     {0.75, 0.75}},
    // |(w₂ − 1) − w₁| joins them at (0, 1), where slopes −½ and ½ of the squares meet kinks of weight 1.
    {"shifted differences and |w|",
     2,
     [](Graph& g, Value w) {
       return near(g, w, {0.5, 0.5}) + sum(absolute_differences(w - row(g, {0, 1}), 0)) + sum(abs(w));
     },
     {0, 0.5}},
    {"signed differences and |w|",
     2,
     [](Graph& g, Value w) {
       return near(g, w, {3, 0.2}) + sum(absolute_differences(w * row(g, {1, -1}), 0)) + sum(abs(w));
     },
     {1, 0}},
    {"scaled differences and |w|",
     2,
     [](Graph& g, Value w) {
       return near(g, w, {1, 1}) + 0.5 * sum(absolute_differences(w * row(g, {1, 2}), 0)) + 0.5 * sum(abs(w));
     },
     // On 2w₂ = w₁ the slope (w₁ − 1) + (w₂ − 1)/2 + ¾ is 0 at 0.6.
     {0.6, 0.3}},
    {"differences, |w| and a weighted square",
     2,
     [](Graph& g, Value w) {
       return near(g, w, {1, 1}) + 0.3 * sum(absolute_differences(w, 0)) + 0.3 * sum(abs(w)) +
              sum(row(g, {0, 2}) * square(w));
     },
     // (w₁ − 1) + 0.6 = 0 and 5w₂ − 1 = 0.
     {0.4, 0.2}},
};

struct Run {
  Graph g;
  Value w;
  std::unique_ptr<Trainer> trainer;
  explicit Run(const Problem& problem, TrainerOptions options = {.threads = 1}) {
    w = g.parameter("w", {problem.size}, init::constant(0.3), f64);
    trainer = std::make_unique<Trainer>(problem.loss(g, w), Sgd{.learning_rate = 0.5}, options);
  }
  Certificate certify(const std::vector<double>& at) {
    trainer->store().set("w", Tensor::of<double>({static_cast<int64_t>(at.size())}, std::span(at)));
    return trainer->certify(Feeds{});
  }
};

}  // namespace

TEST_CASE(
    "sums of shifted, scaled and signed structured terms are solved or refused, and judged either way") {
  for (const Problem& problem : problems) {
    CAPTURE(problem.name);
    Run run(problem);
    for (int step = 0; step < 2000; ++step) run.trainer->step(Feeds{});
    const Tensor found = run.trainer->value(run.w);
    double off = 0;
    for (int64_t i = 0; i < problem.size; ++i)
      off = std::max(off, std::abs(found.at(i) - problem.optimum[i]));
    const RewriteReport& report = run.trainer->report();
    CAPTURE(report.text());
    if (report.refused.empty()) CHECK(off <= 1e-10);
    for (const auto& refused : report.refused) CHECK(refused.code == "L108");
    CHECK(*run.certify(problem.optimum).distance() <= 1e-9);
    std::vector<double> wrong = problem.optimum;
    for (double shift : {-0.3, 1e-3, 0.4}) {
      wrong[0] = problem.optimum[0] + shift;
      const Certificate certificate = run.certify(wrong);
      CAPTURE(certificate.text());
      CHECK(*certificate.distance() >= 0.9 * std::abs(shift));
      CHECK(certificate.at_least <= *certificate.distance() * (1 + 1e-6));
      CHECK_FALSE(certificate.is_contradicted());
    }
  }
}

TEST_CASE("a certificate needs no prox: overlapping groups, refused, are judged at any point") {
  const Problem overlapping{
      "overlapping groups",
      3,
      [](Graph& g, Value w) {
        return near(g, w, {3, 1, 3}) + norm2(slice(w, 0, 0, 2)) + norm2(slice(w, 0, 1, 3));
      },
      {}};
  Run run(overlapping);
  REQUIRE(run.trainer->report().refused.size() == 1);
  CHECK(run.trainer->report().refused[0].code == "L108");
  // Stationary by symmetry w = (a, b, a): a − 3 + a/r = 0 and b − 1 + 2b/r = 0 with r = √(a² + b²).
  double a = 2, b = 0.5;
  for (int step = 0; step < 500; ++step) {
    const double r = std::hypot(a, b);
    a = 3 / (1 + 1 / r), b = 1 / (1 + 2 / r);
  }
  CHECK(*run.certify({a, b, a}).distance() <= 1e-9);
  const Certificate off = run.certify({a, b + 0.1, a});
  CHECK(*off.distance() >= 0.1);
  CHECK(off.at_least >= 0.9 * *off.distance());
  // At 0 the gradient −(3, 1, 3) is met by (c, s, 0) and (0, s, c) on two unit circles, best where
  // 3s + sc = c.
  double s = 0.2, c = 1;
  for (int step = 0; step < 100; ++step) s = c / (3 + c), c = std::sqrt(1 - s * s);
  const double far = std::sqrt(2 * (3 - c) * (3 - c) + (1 - 2 * s) * (1 - 2 * s));
  CHECK(*run.certify({0, 0, 0}).distance() == doctest::Approx(far).epsilon(1e-6));
}

TEST_CASE("outside a bound nothing is stationary") {
  const Problem bounded{"bounded", 1, [](Graph& g, Value w) { return near(g, w, {0}) + box(w, 1, 2); }, {1}};
  Run run(bounded);
  CHECK(*run.certify({1}).distance() == 0);
  CHECK(std::isinf(*run.certify({0.5}).distance()));
}

TEST_CASE("rows of a difference that are 0 themselves are no term of any parameter") {
  Graph g;
  const Value w = g.parameter("w", {3}, init::constant(0.1)),
              v = g.parameter("v", {3, 3}, init::constant(0.1));
  const Trainer trainer(sum(square(w - 1)) + sum(square(v - 0.2)) + 0.1 * sum(abs(v - transpose(v))),
                        Sgd{.learning_rate = 0.1});
  CHECK(trainer.report().text().find("|w|") == std::string::npos);
  CHECK(trainer.report().text().find("0 * ") == std::string::npos);
}

TEST_CASE("terms that keep a subgradient are counted in the certificate") {
  const Problem mixed{"mixed",
                      2,
                      [](Graph& g, Value w) {
                        return near(g, w, {1, 1}) + square(sum(abs(w))) + sum(abs(w));
                      },
                      {}};
  Run run(mixed);
  const Certificate certificate = run.certify({0.1, 0.1});
  CHECK(certificate.other_kinks == 1);
  CHECK(certificate.text().find("with one subgradient for 1 other non-smooth term") != std::string::npos);
}

TEST_CASE("solve judges penalties that are not of single weights as the trainer's certificate does") {
  using Penalty = std::function<Value(Value)>;
  const std::vector<Penalty> penalties{
      [](Value w) {
        return sum(norm2(reshape(w, {2, 2}), {1}));
      },
      [](Value w) { return sum(absolute_differences(w, 0)) + 0.3 * sum(abs(w)); },
      [](Value w) {
        return nuclear_norm(reshape(w, {2, 2}));
      },
      [](Value w) { return norm_inf(w); },
      [](Value w) { return norm2(w - 0.5) + 0.1 * sum(square(w)); },
  };
  for (size_t i = 0; i < penalties.size(); ++i)
    for (const double factor : {1.0, 0.25, 40.0}) {
      CAPTURE(i);
      CAPTURE(factor);
      const auto loss = [&](Graph& g, double times) {
        const Value w = g.parameter("w", {4}, init::zeros(), f64);
        return near(g, w, {3, 0.2, -1, -1.1}) + sum(w) * 0.1 + times * penalties[i](w);
      };
      Graph g, whole;
      Solver solver(loss(g, 1));
      const Solution s = solver.solve(factor);
      CHECK(s.converged);
      CHECK(s.independent);
      CHECK(s.certificate().starts_with("stationary to "));
      Trainer trainer(loss(whole, factor), Sgd{}, {.threads = 1});
      trainer.store().set("w", s.store.get("w"));
      CHECK(s.stationarity ==
            doctest::Approx(*trainer.certify(Feeds{}).distance()).epsilon(1e-3).scale(1e-8));
      CHECK(s.stationarity <= 1e-7);
      // In f32 it is as good as f32 holds it.
      Graph single;
      const Value w = single.parameter("w", {4}, init::zeros(), f32);
      const Value target = single.constant(Tensor::of<float>({4}, {3, 0.2F, -1, -1.1F}));
      const Solution rounded = solve(0.5 * sum(square(w - target)) + sum(w) * 0.1 + factor * penalties[i](w));
      CHECK(rounded.converged);
      CHECK(rounded.objective == doctest::Approx(s.objective).epsilon(1e-6));
    }
}

TEST_CASE("a rank that only rounding to f32 adds to is none") {
  for (const DType dtype : {f32, f64}) {
    Graph g;
    const Value w = g.parameter("w", {4, 3}, init::constant(0.3), dtype);
    const Value target = g.constant(
        Tensor::of<double>({4, 3}, {3, 1, 0.5, 2, -1, 0.1, 0.7, 0.2, 1.1, -0.4, 0.9, 2}).cast(dtype));
    Trainer trainer(0.5 * sum(square(w - target)) + 2 * nuclear_norm(w), Sgd{.learning_rate = 0.5});
    for (int step = 0; step < 200; ++step) trainer.step(Feeds{});
    const Certificate certificate = trainer.certify(Feeds{});
    CAPTURE(certificate.text());
    CHECK(*certificate.distance() < (dtype == f32 ? 2e-5 : 1e-12));
    CHECK_FALSE(certificate.is_contradicted());
    Tensor moved = trainer.value(w).clone();
    for (int64_t i = 0; i < moved.count(); ++i)
      dtype == f32 ? moved.data<float>()[i] += 0.01F * static_cast<float>(i % 2)
                   : moved.data<double>()[i] += 0.01 * static_cast<double>(i % 2);
    trainer.store().set("w", moved);
    CHECK(*trainer.certify(Feeds{}).distance() > 0.01);
  }
}

TEST_CASE("certificate: what bends down at a kink is judged by its slopes on both sides") {
  // The loss is convex; at 0, where another term has its kink too, it still falls to the left.
  const auto falling = [](Graph& g, Value w, double slope) {
    return near(g, w, {-slope}) + 0.6 * sum(abs(w)) + 0.3 * sum(exp(-abs(w)));
  };
  const Problem inside{"exp(-|w|)", 1, [&](Graph& g, Value w) { return falling(g, w, 0.4); }, {}};
  Run run(inside);
  CHECK(*run.certify({0}).distance() == doctest::Approx(0.1).epsilon(1e-2));
  for (int step = 0; step < 2000; ++step) run.trainer->step(Feeds{});
  const double end = run.trainer->value(run.w).at(0);
  CHECK(end + 0.4 - 0.6 + 0.3 * std::exp(end) == doctest::Approx(0).scale(1));  // the slope left of 0
  CHECK(end < -0.05);
  CHECK(*run.certify({end}).distance() < 1e-6);
  // Where the kink holds, nothing is said against it.
  const Problem held{"held", 1, [&](Graph& g, Value w) { return falling(g, w, 0.2); }, {}};
  CHECK(*Run(held).certify({0}).distance() < 1e-9);

  // Data may bend it down as well.
  for (const double x : {-0.4, 0.4}) {
    Graph g;
    const Value w = g.parameter("w", {1}, init::zeros(), f64), rows = g.input("rows", {dim::batch}, f64);
    Trainer trainer(near(g, w, {-0.3}) + 0.5 * sum(abs(w)) + mean(rows) * sum(abs(w)),
                    Sgd{.learning_rate = 0.1});
    const Certificate certificate = trainer.certify(Feeds{{"rows", Tensor::filled(f64, {4}, x)}});
    CAPTURE(certificate.text());
    CHECK(*certificate.distance() == doctest::Approx(x < 0 ? 0.2 : 0).scale(1));
  }
}

TEST_CASE("certificate: where the model itself has a kink, the worse of the slopes on both sides counts") {
  struct Case {
    const char* what;
    std::function<Value(Value, Value)> loss;  // of a weight and numbers whose mean is 1.5
    double at, distance;
    int64_t kinks;
  };
  const std::vector<Case> cases{
      {"relu of a weight", [](Value w, Value x) { return mean(square(x * relu(w) - 1)); }, 0, 3, 1},
      {"and of its negative", [](Value w, Value x) { return mean(square(x * relu(-w) - 1)); }, 0, 3, 1},
      {"the same off the kink", [](Value w, Value x) { return mean(square(x * relu(w) - 1)); }, 1, 2, 0},
      {"where it is flat", [](Value w, Value x) { return mean(square(x * relu(w) - 1)); }, -1, 0, 0},
      {"maximum", [](Value w, Value x) { return mean(square(x * maximum(w, 0.5) - 2)); }, 0.5, 3.5, 1},
      {"a unit that gets 0 from all", [](Value w, Value x) { return mean(square(relu(x * w) - 1)); }, 0, 3,
       1},
      {"a product of units", [](Value w, Value x) { return mean(square(relu(x * w) * relu(1 - x * w) - 1)); },
       0, 3, 1},
      {"one that bends up", [](Value w, Value x) { return mean(square(relu(x * w) + 1)); }, 0, 0, 1},
      {"which bends up steeply and falls", [](Value w, Value x) { return mean(relu(x * w) - x * w / 2); }, 0,
       0.75, 1},
      {"a curve that is steep, but bends nowhere",
       [](Value w, Value x) { return mean(sqrt(square(x * w) + 1e-4)); }, 0, 0, 0}};
  const auto certified = [](const Case& of, DType dtype, int batches, double l1) {
    Graph g;
    const Value w = g.parameter("w", {1}, init::constant(of.at), dtype),
                x = g.input("x", {dim::batch, 1}, dtype);
    Trainer trainer(of.loss(w, x) + l1 * sum(abs(w)), Sgd{.learning_rate = 0.1});
    const auto rows = [&](const std::vector<double>& numbers) {
      return Feeds{{"x", Tensor::of<double>({static_cast<int64_t>(numbers.size()), 1}, numbers).cast(dtype)}};
    };
    if (batches == 1) return trainer.certify(std::vector<Feeds>{rows({1, 2})});
    std::vector<Feeds> list;
    for (int i = 0; i < batches; ++i) list.push_back(rows({1.0 + i % 2}));
    return trainer.certify(list);
  };
  for (const Case& of : cases)
    for (const DType dtype : {f32, f64})
      for (const int batches : {1, 2, 20}) {
        CAPTURE(std::string(of.what));
        CAPTURE(name_of(dtype));
        CAPTURE(batches);
        const Certificate certificate = certified(of, dtype, batches, 0);
        CAPTURE(certificate.text());
        CHECK(*certificate.distance() == doctest::Approx(of.distance).scale(1).epsilon(1e-3));
        CHECK(certificate.model_kinks == of.kinks);
        CHECK((certificate.text().find("with one subgradient at 1 weight where the model has a kink") !=
               std::string::npos) == (of.kinks == 1));
      }
  // A penalty that is rewritten holds against the slope, or does not.
  CHECK(*certified(cases[0], f32, 2, 1).distance() == doctest::Approx(2).epsilon(1e-3));
  CHECK(*certified(cases[0], f32, 2, 4).distance() == 0);
}

TEST_CASE("certificate: some units of rounding beside a kink at a shifted place are at it") {
  for (const double units : {-20.0, 0.0, 20.0, 1e6}) {
    CAPTURE(units);
    const double at = -0.5 + units * 0x1p-53;
    const Problem problem{
        "shifted", 1, [](Graph& g, Value w) { return near(g, w, {-0.2}) + 0.9 * sum(relu(w + 0.5)); }, {}};
    // On the right of it the slope is 0.6, on the left -0.3.
    CHECK(*Run(problem).certify({at}).distance() == doctest::Approx(units == 1e6 ? 0.6 : 0).scale(1));
  }
}

TEST_CASE("a fed coefficient is named only where it is a multiple") {
  const auto reported = [](const std::function<Value(Value, Value)>& penalty, double scale, double optimum) {
    Graph g;
    const Value w = g.parameter("w", {1}, init::constant(0.3), f64), scale_input = g.input("l", {}, f64);
    Trainer trainer(near(g, w, {1}) + penalty(scale_input, w), Sgd{.learning_rate = 0.5});
    const Feeds feeds{{"l", Tensor::scalar(scale, f64)}};
    for (int step = 0; step < 200; ++step) trainer.step(feeds);
    CHECK(trainer.value(w).at(0) == doctest::Approx(optimum));
    CHECK(*trainer.certify(feeds).distance() < 1e-9);
    return trainer.report().text();
  };
  const auto l1 = [](Value of) { return sum(abs(of)); };
  CHECK(reported([&](Value l, Value w) { return 2 * l * l1(w); }, 0.25, 0.5).find("2 * l * |w|") !=
        std::string::npos);
  // Elastic net, with a share that may not be negative at 2.
  reported([&](Value l, Value w) { return l * l1(w) + (1 - l) * 0.5 * sum(square(w)); }, 0.5, 1.0 / 3);
  for (const auto& [scale, factor] :
       {std::pair<std::function<Value(Value)>, double>{[](Value l) { return 1 - l; }, 0.75},
        {[](Value l) { return maximum(l, 0.2); }, 0.25},
        {[](Value l) { return minimum(l, 5); }, 0.25},
        {[](Value l) { return -log(l); }, -std::log(0.25)}})
    CHECK(reported([&, scale = scale](Value l, Value w) { return scale(l) * l1(w); }, 0.25,
                   std::max(0.0, 1 - factor))
              .find(" l * |w|") == std::string::npos);
}

TEST_CASE("certificate: what rounding inside a penalty adds along a line contradicts nothing") {
  // The numbers in between are larger than the penalty, as is what their rounding comes to.
  const std::vector<std::function<Value(Value)>> penalties{
      [](Value w) { return sum(abs((w - 1e3) + 1e3)); }, [](Value w) { return sum(abs((w + 1e6) - 1e6)); },
      [](Value w) { return sum(abs((w * 1e5 - 1e8) * 1e-5 + 1e3)); },
      [](Value w) { return norm2((w - 1e4) + 1e4); }, [](Value w) { return sum(abs(w) + 1e7) - 3e7; }};
  for (const DType dtype : {f32, f64})
    for (size_t i = 0; i < penalties.size(); ++i) {
      CAPTURE(i);
      Graph g;
      const Value w = g.parameter("w", {3}, init::constant(0.3), dtype);
      const Value target = g.constant(Tensor::of<double>({3}, {2, 0.1, -0.2}).cast(dtype));
      Trainer trainer(0.5 * sum(square(w - target)) + 0.5 * penalties[i](w), Sgd{.learning_rate = 0.5});
      const Tensor moved = trainer.value(w).clone();
      for (const double first : {0.0, 1.5, 1.6, 0.3}) {
        const double values[] = {first, 0, 0};
        for (int64_t k = 0; k < 3; ++k)
          dtype == f32 ? moved.data<float>()[k] = static_cast<float>(values[k])
                       : moved.data<double>()[k] = values[k];
        trainer.store().set("w", moved.clone());
        const Certificate certificate = trainer.certify(Feeds{});
        CAPTURE(certificate.text());
        CHECK_FALSE(certificate.is_contradicted());
      }
    }
}

TEST_CASE("a coefficient under stop_gradient stays what it is while a certificate looks along lines") {
  // Re-weighted |w|: stationary where w − 0.9 + 0.3/(w + 0.5) = 0, though the loss, its coefficient moving
  // along, falls.
  const Problem reweighted{"re-weighted",
                           1,
                           [](Graph& g, Value w) {
                             return near(g, w, {0.9}) + 0.3 * sum(abs(w) * stop_gradient(1 / (abs(w) + 0.5)));
                           },
                           {0.2 + std::sqrt(0.04 + 0.15)}};
  Run run(reweighted);
  const Certificate certificate = run.certify(reweighted.optimum);
  CHECK(*certificate.distance() < 1e-12);
  CHECK(certificate.at_least == 0);
  CHECK(certificate.text().starts_with("stationary to "));
}

TEST_CASE("certificate: of data that make the loss NaN nothing is told") {
  Graph g;
  const Value x = g.input("x", {dim::batch, 2}), w = g.parameter("w", {2}, init::constant(1));
  Trainer trainer(mean(square(x * w)) + 0.1 * sum(abs(w)), Sgd{}, {.threads = 1});
  CHECK(trainer.certify(Feeds{{"x", Tensor::filled(f32, {3, 2}, std::nan(""))}}).text() ==
        "nothing can be told: the loss or its gradient is NaN on these data; not globally certified");
}

TEST_CASE("certificate: parameters without elements") {
  using Penalty = std::function<Value(Value)>;
  const std::vector<Penalty> penalties{
      [](Value v) { return sum(abs(v)); },
      [](Value v) { return norm2(v); },
      [](Value v) { return norm_inf(v); },
      [](Value v) { return box(v, -1, 1); },
      [](Value v) { return sum(abs(v - 1)) + sum(square(v)); },
  };
  for (const Extents& extents : {Extents{0}, Extents{0, 3}})
    for (size_t i = 0; i < penalties.size(); ++i) {
      CAPTURE(i);
      Graph g;
      const Value w = g.parameter("w", {3}, init::constant(1), f64),
                  v = g.parameter("v", extents, init::zeros(), f64);
      const Value loss = 0.5 * sum(square(w - 2)) + 0.1 * sum(abs(w)) + 0.1 * penalties[i](v) + 0 * sum(v);
      Trainer trainer(loss, Sgd{.learning_rate = 0.5}, {.threads = 1, .settle_from = 0});
      for (int step = 0; step < 60; ++step) trainer.step(Feeds{});
      const Certificate certificate = trainer.certify(Feeds{});
      REQUIRE(certificate.distance());
      CHECK(*certificate.distance() < 1e-12);
      CHECK(trainer.value(w).at(0) == doctest::Approx(1.9));
      CHECK(solve(loss).converged);
    }
}

}  // namespace lariat::certificate_test
