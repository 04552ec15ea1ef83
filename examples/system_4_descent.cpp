// Gradient descent from first principles: logistic regression of two clouds of points by variables W and b,
// 1000 plain steps, and the same with other ways down, side by side in a picture.
//   system_4_descent      # writes points.csv, which examples/system_4_descent.toml reads, and descent.svg
#include <fstream>
#include <iostream>
#include <lariat/lariat.hpp>
#include <lariat/report.hpp>
#include <random>

using namespace lariat;

constexpr int64_t points = 400;
constexpr int steps = 1000, every = 20;

int main() {
  std::mt19937 random(1);
  std::normal_distribution<float> noise;
  Tensor points_x(f32, {points, 2}), points_y(f32, {points, 1});
  std::ofstream csv("points.csv");
  csv << "first,second,cloud\n";
  for (int64_t i = 0; i < points; ++i) {
    float *const at = points_x.data<float>() + 2 * i, cloud = static_cast<float>(i % 2);
    at[0] = cloud + noise(random);
    at[1] = 8 * (cloud + noise(random));
    points_y.data<float>()[i] = cloud;
    csv << at[0] << "," << at[1] << "," << cloud << "\n";
  }

  Graph g;
  const Value x = g.input("x", {dim::batch, 2}), y = g.input("y", {dim::batch, 1});
  const Value W = g.parameter("W", {2, 1}), b = g.parameter("b", {1}, init::zeros());
  const Value loss = mean(sigmoid_cross_entropy(matmul(x, W) + b, y));
  Trainer trainer(loss, Sgd{.learning_rate = 0.02});
  for (int step = 0; step < steps; ++step) {
    const StepResult result = trainer.step({{x, points_x}, {y, points_y}});
    if (step % 100 == 0) std::cout << "step " << step << ": loss " << result.loss << "\n";
  }
  std::cout << "W " << trainer.value(W) << ", b " << trainer.value(b) << "\n";

  reports::LineChart chart{.label = "Loss by step", .unit = "loss", .logarithmic = true, .across = "step"};
  chart.every = every;
  const auto compare = [&](const std::string& name, const Optimizer& optimizer, TrainerOptions options = {}) {
    Trainer other(loss, optimizer, options);
    reports::Series series{name, {}, static_cast<int>(chart.series.size()) + 1};
    for (int step = 1; step <= steps; ++step)
      if (const double at = other.step({{x, points_x}, {y, points_y}}).loss; step % every == 0)
        series.values.push_back(at);
    std::cout << name << ": " << series.values.back() << "\n";
    chart.series.push_back(series);
  };
  compare("plain", Sgd{.learning_rate = 0.02});
  compare("clipped", Sgd{.learning_rate = 0.1}, {.clip_norm = 0.1});
  compare("cosine", Sgd{.learning_rate = 0.1}, {.schedule = schedule::cosine(steps)});
  compare("momentum", Momentum{.learning_rate = 0.02});
  compare("RMSProp", RmsProp{.learning_rate = 0.01});
  compare("Adam", Adam{.learning_rate = 0.02});
  std::ofstream("descent.svg") << reports::svg_file(reports::line_chart(chart));
}
