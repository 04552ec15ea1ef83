#include "frontends/data/folds.hpp"

#include <algorithm>
#include <map>
#include <numeric>
#include <set>

#include "frontends/data/transform.hpp"
#include "graph/base/error.hpp"
#include "tests/support/testing.hpp"
#include "tests/support/toy_data.hpp"

namespace lariat::folds_test {

using namespace data;
using lariat::testing::message_of;

namespace {

// Examples whose one value is their number, of the given labels.
Dataset numbered(const std::vector<int>& labels) {
  Dataset dataset{{"a", "b", "c"}, {}, false, {}, {}, {}};
  for (const int label : labels)
    dataset.examples.push_back({"", label, 1, 1, {static_cast<float>(dataset.examples.size())}});
  return dataset;
}

std::vector<int> numbers_of(const Dataset& dataset) {
  std::vector<int> numbers;
  for (const Example& example : dataset.examples) numbers.push_back(static_cast<int>(example.values[0]));
  return numbers;
}

}  // namespace

TEST_CASE("folds: each example is held out once, and folds are of one size") {
  for (const int64_t folds : {2, 3, 7, 10}) {
    const std::vector<int64_t> numbers = fold_numbers(10, folds, 5);
    std::vector<int64_t> sizes(static_cast<size_t>(folds));
    for (const int64_t number : numbers) ++sizes.at(static_cast<size_t>(number));
    CHECK(*std::max_element(sizes.begin(), sizes.end()) - *std::min_element(sizes.begin(), sizes.end()) <= 1);
  }
  CHECK(fold_numbers(100, 5, 1) == fold_numbers(100, 5, 1));
  CHECK(fold_numbers(100, 5, 1) != fold_numbers(100, 5, 2));
}

TEST_CASE("folds: classes are spread evenly") {
  std::vector<int> labels;
  for (int i = 0; i < 60; ++i) labels.push_back(i < 35 ? 0 : i < 53 ? 1 : 2);
  const Dataset dataset = numbered(labels);
  std::set<int> seen;
  for (int64_t fold = 0; fold < 5; ++fold) {
    const auto [fitted, held_out] = fold_of(dataset, {fold, 5, 3});
    CHECK(held_out.examples.size() == 12);
    CHECK(fitted.examples.size() == 48);
    CHECK(held_out.classes == dataset.classes);
    std::vector<int> counts(3);
    for (const Example& example : held_out.examples) ++counts[static_cast<size_t>(example.label)];
    CHECK(counts[0] == 7);
    CHECK((counts[1] == 3 || counts[1] == 4));
    for (const int number : numbers_of(held_out)) CHECK(seen.insert(number).second);
  }
  CHECK(seen.size() == 60);
}

TEST_CASE("folds: targets of classes are strata, numbers are none") {
  Dataset dataset = numbered({0, 0, 0, 0});
  dataset.targets = {2, false, {"left", "right"}};
  for (size_t i = 0; i < 4; ++i) dataset.examples[i].targets = {i < 2 ? 1.0f : 0.0f, i < 2 ? 0.0f : 1.0f};
  CHECK(strata_of(dataset).of_example == std::vector<int64_t>{0, 0, 1, 1});
  CHECK(strata_of(dataset).names == std::vector<std::string>{"left", "right"});
  dataset.examples[0].targets = {1, 1};
  CHECK(strata_of(dataset).of_example.empty());
  dataset.targets = {1, false, {}};
  for (size_t i = 0; i < 4; ++i) dataset.examples[i].targets = {i == 1 ? 1.0f : 0.0f};
  CHECK(strata_of(dataset).of_example == std::vector<int64_t>{0, 1, 0, 0});
  dataset.examples[3].targets = {0.5f};
  CHECK(strata_of(dataset).of_example.empty());
  CHECK(fold_of(dataset, {0, 2, 0}).held_out.examples.size() == 2);
}

TEST_CASE("split: the share of each class is held out") {
  std::vector<int> labels;
  for (int i = 0; i < 100; ++i) labels.push_back(i < 80 ? 0 : 1);
  const auto [fitted, held_out] = split(numbered(labels), 0.25, 1);
  CHECK(fitted.examples.size() == 75);
  CHECK(std::count_if(held_out.examples.begin(), held_out.examples.end(),
                      [](const Example& example) { return example.label == 1; }) == 5);
  CHECK(message_of<UserError>([&] {
          split(numbered({0, 1}), 1, 1);
        }) == "share = 1: must be a number above 0 and below 1");
  CHECK(message_of<UserError>([&] {
          split(numbered({0, 1}), 0.1, 1);
        }) == "share = 0.1: of 2 examples it holds out 0; both sets need some");
}

TEST_CASE("folds: what cannot be is refused") {
  CHECK(message_of<UserError>([] { fold_numbers(3, 1, 0); }) == "folds = 1: must be an integer from 2");
  CHECK(message_of<UserError>([] { fold_numbers(3, 4, 0); }) ==
        "folds = 4: there are only 3 examples; take fewer folds");
  CHECK(message_of<UserError>([] {
          fold_numbers(numbered({0, 0, 0, 0, 0, 2, 2}), 3, 0);
        }) == "folds = 3: the class 'c' has only 2 examples; take at most 2 folds, or give it more");
  CHECK(message_of<UserError>([] {
          fold_numbers(numbered({0, 0, 1}), 2, 0);
        }) == "folds = 2: the class 'b' has only 1 example; give it more, or leave it out");
  CHECK(message_of<UserError>([] {
          fold_of(numbered({0, 0, 0}), {3, 3, 0});
        }) == "fold 3: there are the folds 0 to 2 of 3");
}

TEST_CASE("transform: map, filter and chosen leave the rest as it is") {
  const Dataset dataset = numbered({0, 1, 2, 1});
  CHECK(numbers_of(map(dataset, [](Example& example) { example.values[0] *= 2; })) ==
        std::vector<int>{0, 2, 4, 6});
  CHECK(numbers_of(filter(dataset, [](const Example& example) { return example.label == 1; })) ==
        std::vector<int>{1, 3});
  CHECK(numbers_of(chosen(dataset, {3, 0, 0})) == std::vector<int>{3, 0, 0});
  CHECK(chosen(dataset, {}).classes == dataset.classes);
  CHECK(message_of<UserError>([&] { filter(dataset, [](const Example&) { return false; }); }) ==
        "the filter leaves none of 4 examples; it must keep some");
  CHECK(message_of<UserError>([&] { chosen(dataset, {4}); }) == "there is no example 4; there are 4, from 0");
}

TEST_CASE("transform: a window's shuffle holds no more than the window") {
  CHECK(window_order(5, 1, 1) == std::vector<int64_t>{0, 1, 2, 3, 4});
  const std::vector<int64_t> order = window_order(1000, 10, 7);
  std::vector<int64_t> sorted = order;
  std::sort(sorted.begin(), sorted.end());
  std::vector<int64_t> all(1000);
  std::iota(all.begin(), all.end(), int64_t{0});
  CHECK(sorted == all);
  CHECK(order != all);
  for (size_t place = 0; place < order.size(); ++place)
    CHECK(order[place] < static_cast<int64_t>(place) + 10);
  CHECK(window_order(50, 100, 7, 0) != window_order(50, 100, 7, 1));
  CHECK(window_order(0, 4, 7).empty());
  CHECK(numbers_of(shuffled(numbered({0, 0, 0}), 1, 0)) == std::vector<int>{0, 1, 2});
  CHECK(message_of<UserError>([] { window_order(3, 0, 0); }) == "window = 0: must be an integer from 1");
}

TEST_CASE("transform: every order of a whole window is as likely") {
  // 6 orders of 3, each a sixth of 6000 draws: a standard deviation is 29.
  std::map<std::vector<int64_t>, int> counts;
  for (uint32_t epoch = 0; epoch < 6000; ++epoch) ++counts[window_order(3, 3, 11, epoch)];
  CHECK(counts.size() == 6);
  for (const auto& [order, count] : counts) CHECK(std::abs(count - 1000) < 150);
}

}  // namespace lariat::folds_test
