// What a search tries: ranges of keys, and plans of trials.
#include <cmath>
#include <set>

#include "frontends/search/plan.hpp"
#include "graph/base/error.hpp"
#include "tests/support/testing.hpp"
#include "tests/support/toy_runs.hpp"

namespace lariat::search_ranges_test {

using namespace lariat::search;
using lariat::testing::contains;
using lariat::testing::image_recipe;
using lariat::testing::message_of;
using lariat::testing::recipe_of;
using Strings = std::vector<std::string>;

namespace {

SearchTable table_of(SearchMethod method, int64_t trials, bool warm_start = false) {
  SearchTable table;
  table.method = method;
  table.trials = trials;
  table.warm_start = warm_start;
  return table;
}
SearchTable random_trials(int64_t trials) { return table_of(SearchMethod::random, trials); }
SearchTable halving_trials(int64_t trials) { return table_of(SearchMethod::halving, trials); }
SearchTable warm(SearchMethod method) { return table_of(method, 0, true); }

}  // namespace

TEST_CASE("search ranges: lists, intervals, integers and terms of penalties") {
  const Recipe recipe = recipe_of(image_recipe);
  const auto grid = [&](const char* text) { return parse_range(text, recipe).grid(); };
  CHECK(grid("optimizer.learning_rate=0.1,1e-3") == Strings{"0.1", "1e-3"});
  CHECK(grid("optimizer.learning_rate=1e-4..1e-2:log:3") == Strings{"0.0001", "0.001", "0.01"});
  CHECK(grid("optimizer.learning_rate=0..1") == Strings{"0", "0.25", "0.5", "0.75", "1"});
  CHECK(grid("optimizer.learning_rate=0..1:linear:2") == Strings{"0", "1"});
  CHECK(grid("optimizer.learning_rate=0.5..1:1") == Strings{"0.5"});
  CHECK(grid("training.epochs=2..5") == Strings{"2", "3", "4", "5"});
  CHECK(grid("training.batch_size=16..128:log:4") == Strings{"16", "32", "64", "128"});
  CHECK(grid("layers.0.activation=relu,tanh") == Strings{"relu", "tanh"});
  CHECK(grid("optimizer.kind=sgd,adam") == Strings{"sgd", "adam"});
  CHECK(grid("training.bucket=true,false") == Strings{"true", "false"});
  const Range l1 = parse_range("layers.*.kernel_penalty=l1=1e-5..1e-2:log", recipe);
  CHECK(l1.term == "l1");
  CHECK(l1.name() == "layers.*.kernel_penalty.l1");
  CHECK(l1.keys == Strings{"layers.0.kernel_penalty", "layers.1.kernel_penalty"});
  CHECK(l1.grid().size() == 5);
  CHECK(parse_range("layers.0.kernel_penalty=l1:1e-5..1e-2:log", recipe).term == "l1");
  CHECK(parse_range("*.*_penalty=l2=0.1,1", recipe).keys.size() >= 4);
}

TEST_CASE("search ranges: a term is put into the penalty that is there") {
  Recipe recipe = recipe_of(image_recipe);
  recipe.set("layers.0.kernel_penalty", "l1=1e-3,l2=0.1");
  const auto both = [&](const char* first, const char* second) {
    return with_values(recipe, {parse_range(first, recipe), parse_range(second, recipe)}, {"0.25", "0.5"})
        .get("layers.0.kernel_penalty");
  };
  CHECK(both("layers.0.kernel_penalty=l1=0.1,1", "layers.0.kernel_penalty=group_rows=0.1,1") ==
        "l1=0.25,l2=0.1,group_rows=0.5");
  recipe.set("layers.0.kernel_penalty", "log_sum=1e-3:0.02");
  CHECK(with_values(recipe, {parse_range("layers.*.kernel_penalty=log_sum=0.1..1", recipe)}, {"0.5"})
            .get("layers.0.kernel_penalty") == "log_sum=0.5:0.02");
}

TEST_CASE("search ranges: drawn numbers are in the range, and integers reach both ends") {
  const Recipe recipe = recipe_of(image_recipe);
  const Range rate = parse_range("optimizer.learning_rate=1e-4..1e-2:log", recipe);
  const Range epochs = parse_range("training.epochs=2..4", recipe);
  std::set<std::string> seen;
  int below = 0;
  for (uint32_t i = 0; i < 400; ++i) {
    data::RandomStream random(1, data::RandomPurpose::search, i);
    const double value = std::stod(rate.draw(random));
    CHECK(value >= 1e-4);
    CHECK(value <= 1e-2);
    below += value < 1e-3 ? 1 : 0;
    seen.insert(epochs.draw(random));
  }
  // Half of 400, with a standard deviation of 10.
  CHECK(std::abs(below - 200) < 50);
  CHECK(seen == std::set<std::string>{"2", "3", "4"});
}

TEST_CASE("search ranges: what cannot be read is one line") {
  const Recipe recipe = recipe_of(image_recipe);
  const auto message = [&](const std::string& text) {
    return message_of<UserError>([&] { parse_range(text, recipe); });
  };
  CHECK(message("optimizer.learning_rat=1,2") ==
        "optimizer.learning_rat=1,2: [optimizer] has no key 'learning_rat'. Did you mean 'learning_rate'?");
  CHECK(message("optimiser.learning_rate=1,2") ==
        "optimiser.learning_rate=1,2: a recipe has no table 'optimiser'. Did you mean 'optimizer'?");
  CHECK(contains(message("layers.7.units=1,2"), "the recipe has no layers.7; it has layers.0 to layers.1"));
  CHECK(contains(message("layers.*.rate=1,2"), "no key of the recipe is 'layers.*.rate'"));
  CHECK(
      message("optimizer.learning_rate=1e-2..1e-4:log") ==
      "optimizer.learning_rate=1e-2..1e-4:log: the range is empty: 1e-2 is not below 1e-4; write LOW..HIGH, "
      "or one value");
  CHECK(contains(message("optimizer.learning_rate=1..1"), "the range is empty"));
  CHECK(
      contains(message("optimizer.learning_rate=0..1:log"), "a logarithmic range begins above 0, not at 0"));
  CHECK(contains(message("optimizer.learning_rate=a..1"), "'a' is no number"));
  CHECK(contains(message("optimizer.learning_rate=1:..2"), "'1:..2' has its .. behind a ':'"));
  CHECK(contains(message("optimizer.learning_rate=0..1:logg"),
                 "'logg' is neither log, linear nor how many values a grid takes"));
  CHECK(contains(message("optimizer.learning_rate="), "there is no value to try"));
  CHECK(contains(message("optimizer.learning_rate=1,1"), "the value 1 is there twice"));
  CHECK(contains(message("optimizer.learning_rate=-1..1"), "learning_rate = -1: must be"));
  CHECK(contains(message("layers.0.activation=relu,tanth"), "tanth"));
  CHECK(contains(message("training.epochs=1.5..3"), "the key takes integers, but the range is 1.5..3"));
  CHECK(contains(message("layers.0.kernel_penalty=l1=a,b"),
                 "the coefficient of l1 is 'a', which is no number"));
  CHECK(contains(message("layers.0.kernel_penalty=l3=1,2"), "l3"));
  CHECK(contains(message(std::string("\0=1", 3)), "a range has a byte of value 0"));
  CHECK(contains(message("optimizer.learning_rate"), "write KEY=A,B,C or KEY=LOW..HIGH"));
}

TEST_CASE("search plans: grids, draws and rungs") {
  const Recipe recipe = recipe_of(image_recipe);
  const std::vector<Range> ranges{parse_range("layers.0.kernel_penalty=l1=0.1,0.01", recipe),
                                  parse_range("optimizer.learning_rate=1,2", recipe)};
  using Values = std::vector<Strings>;
  CHECK(plan_of(ranges, {}, 10, 0).trials ==
        Values{{"0.1", "1"}, {"0.1", "2"}, {"0.01", "1"}, {"0.01", "2"}});
  const SearchPlan along = plan_of(ranges, warm(SearchMethod::grid), 10, 0);
  CHECK(along.trials == Values{{"0.01", "1"}, {"0.1", "1"}, {"0.01", "2"}, {"0.1", "2"}});
  CHECK(along.chain == 2);
  const std::vector<Range> wide{parse_range("optimizer.learning_rate=1e-4..1", recipe)};
  const SearchPlan random = plan_of(wide, random_trials(7), 10, 3);
  CHECK(random.trials.size() == 7);
  CHECK(random.trials == plan_of(wide, random_trials(7), 10, 3).trials);
  CHECK(random.trials != plan_of(wide, random_trials(7), 10, 4).trials);
  // Four combinations are all there are.
  CHECK(plan_of(ranges, random_trials(9), 10, 3).trials.size() == 4);
  // 9 trials of 1 epoch, 3 of 3, 1 of 9.
  const SearchPlan halving = plan_of(wide, halving_trials(9), 9, 3);
  REQUIRE(halving.rungs.size() == 3);
  CHECK(halving.rungs[0].trials == 9);
  CHECK(halving.rungs[0].epochs == 1);
  CHECK(halving.rungs[1].trials == 3);
  CHECK(halving.rungs[1].epochs == 3);
  CHECK(halving.rungs[2].trials == 1);
  CHECK(halving.rungs[2].epochs == 9);
  // There is no rung of less than an epoch.
  CHECK(plan_of(wide, halving_trials(81), 4, 3).rungs.size() == 2);
  CHECK(contains(message_of<UserError>([&] { plan_of(wide, warm(SearchMethod::grid), 9, 0); }),
                 "needs the coefficient of a penalty to go along"));
  CHECK(contains(message_of<UserError>([&] { plan_of(ranges, warm(SearchMethod::random), 9, 0); }),
                 "goes along the penalty of a grid"));
  CHECK(contains(message_of<UserError>([&] { plan_of(ranges, table_of(SearchMethod::grid, 5), 9, 0); }),
                 "trials = 5: has no effect with method = grid"));
  SearchTable shares = table_of(SearchMethod::random, 5);
  shares.factor = 4;
  CHECK(message_of<UserError>([&] { plan_of(ranges, shares, 9, 0); }) ==
        "factor = 4: has no effect without method = halving, of which it is the share that goes on; leave it "
        "out");
  std::vector<Range> many(5, parse_range("optimizer.learning_rate=0..1:10", recipe));
  CHECK(contains(message_of<UserError>([&] { plan_of(many, {}, 9, 0); }),
                 "the grid has more than 10000 trials"));
}

}  // namespace lariat::search_ranges_test
