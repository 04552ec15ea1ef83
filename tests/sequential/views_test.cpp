// Examples that are seen in several ways, over which outputs are averaged.
#include <cmath>

#include "frontends/sequential/sequential.hpp"
#include "graph/base/error.hpp"
#include "tests/support/testing.hpp"

namespace lariat::views_test {

using lariat::testing::message_of;

namespace {

const FitOptions thirty{.epochs = 30, .batch_size = 24};

}  // namespace

TEST_CASE("views: outputs are averaged over the views of an example") {
  data::Dataset train, seen, other;
  for (int i = 0; i < 60; ++i) {
    const float x = static_cast<float>(i % 20) / 10 - 1;
    for (data::Dataset* dataset : {&train, &seen, &other}) {
      dataset->classes = {"low", "middle", "high"};
      dataset->sequences = false;
    }
    const int label = x < -0.3F ? 0 : x < 0.3F ? 1 : 2;
    train.examples.push_back({"t", label, 1, 2, {x, x * x}});
    seen.examples.push_back({"s", label, 1, 2, {x + 0.3F, x * x}});
    other.examples.push_back({"o", label, 1, 2, {x - 0.2F, x * x - 0.1F}});
  }
  Sequential model{Dense(3)};
  model.compile(Adam{.learning_rate = 0.05});
  model.fit(train, thirty);
  const std::vector<Prediction> first = model.predict(seen), second = model.predict(other);
  const double loss = (model.evaluate(seen).loss + model.evaluate(other).loss) / 2;
  data::Dataset both = seen;
  both.views = {other};
  const std::vector<Prediction> averaged = model.predict(both);
  const Evaluation evaluation = model.evaluate(both);
  int64_t right = 0;
  for (size_t i = 0; i < averaged.size(); ++i) {
    // softmax((a + b)/2) is √(softmax a · softmax b), made to sum to 1.
    std::vector<double> wanted;
    double sum = 0;
    for (size_t k = 0; k < 3; ++k)
      wanted.push_back(std::sqrt(double(first[i].values[k]) * double(second[i].values[k])));
    for (const double value : wanted) sum += value;
    for (size_t k = 0; k < 3; ++k)
      CHECK(averaged[i].values[k] == doctest::Approx(wanted[k] / sum).epsilon(1e-4));
    right += averaged[i].index == both.examples[i].label;
  }
  CHECK(evaluation.accuracy == doctest::Approx(double(right) / 60));
  CHECK(evaluation.loss == doctest::Approx(loss));
  CHECK(evaluation.accuracy != model.evaluate(seen).accuracy);
  // Numbers are averaged as they are, and a view that is the examples again changes nothing.
  data::Dataset numbers;
  numbers.sequences = false;
  numbers.targets.width = 1;
  for (int i = 0; i < 40; ++i) {
    const float x = static_cast<float>(i) / 20 - 1;
    numbers.examples.push_back({"row " + std::to_string(i), 0, 1, 1, {x}, {3 * x + 1}});
  }
  Sequential second_model{Dense(0)};
  second_model.compile(Adam{.learning_rate = 0.05}, MeanSquaredError{});
  second_model.fit(numbers, thirty);
  data::Dataset twice = numbers;
  twice.views = {numbers};
  CHECK(second_model.predict(twice)[7].values == second_model.predict(numbers)[7].values);
  CHECK(second_model.evaluate(twice).loss == second_model.evaluate(numbers).loss);

  both.views.front().examples.pop_back();
  CHECK(message_of<UserError>([&] { model.evaluate(both); }) ==
        "a view has 59 examples, but there are 60; give the same in every view");
  CHECK(message_of<UserError>([&] { model.predict(both); }) ==
        "a view has 59 examples, but there are 60; give the same in every view");
}

TEST_CASE("views: what is learned for each frame keeps its frames") {
  data::Dataset train;
  train.targets = {.width = 1, .by_frame = true};
  for (int i = 0; i < 8; ++i)
    train.examples.push_back({"clip " + std::to_string(i), 0, 3, 1, {0, 1, 2}, {1, 2, 3}});
  Sequential model{Dense(1)};
  model.compile(Adam{.learning_rate = 0.05}, MeanSquaredError{});
  model.fit(train, thirty);
  data::Dataset test = train;
  test.views = {train};
  CHECK(model.predict(test)[2].values == model.predict(train)[2].values);
  test.views[0].examples[2] = {"clip 2", 0, 2, 1, {0, 1}, {1, 2}};
  const std::string message =
      "clip 2: has 2 frames in a view and 3 without, but the model answers for each frame; take views that "
      "keep "
      "them, so no speeds";
  CHECK(message_of<UserError>([&] { model.predict(test); }) == message);
  CHECK(message_of<UserError>([&] { model.evaluate(test); }) == message);
}

}  // namespace lariat::views_test
