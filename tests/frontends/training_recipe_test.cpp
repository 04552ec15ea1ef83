// Schedules, callbacks and groups in recipes.
#include "frontends/recipe/recipe.hpp"
#include "frontends/sequential/callbacks/callbacks.hpp"
#include "graph/base/error.hpp"
#include "tests/support/testing.hpp"

namespace lariat::training_recipe_test {

using lariat::testing::message_of;

namespace {

Recipe parse(const std::string& more) {
  return Recipe::parse(
      "[data]\nkind = \"digits\"\n[[layers]]\nkind = \"lstm\"\nunits = 8\n[[layers]]\nkind = \"dense\"\n"
      "units = 10\n" +
          more,
      "recipe.toml");
}
std::string refused_more(const std::string& more) {
  return message_of<UserError>([&] { parse(more); });
}

}  // namespace

TEST_CASE("recipe: callbacks, groups and what goes with them") {
  Recipe recipe = parse(
      "[schedule]\nkind = 'plateau'\npatience = 3\n[proximal]\ntarget_zeros = 0.8\n[training]\naccumulate = "
      "4\n"
      "[[callbacks]]\nkind = 'early_stopping'\npatience = 5\nmonitor = 'loss'\n[[callbacks]]\nkind = "
      "'csv_log'\n"
      "[[groups]]\npattern = '*/bias'\nlearning_rate = 0.5\n[[groups]]\npattern = 'dense_1/*'\nweight_decay "
      "= 0\n");
  const FitOptions fit = recipe.fit();
  CHECK(fit.accumulate == 4);
  REQUIRE(fit.callbacks.size() == 4);
  CHECK(fit.callbacks[0].name == "plateau");
  CHECK(fit.callbacks[0].place == "[schedule] ");
  CHECK(fit.callbacks[1].spec == Callback(TargetZeros{.target = 0.8}).spec);
  CHECK(fit.callbacks[2].spec == Callback(EarlyStopping{.monitor = "loss", .patience = 5}).spec);
  CHECK(fit.callbacks[2].place == "[callbacks.0] early_stopping: ");
  CHECK(fit.callbacks[3].name == "csv_log");
  REQUIRE(fit.groups.size() == 2);
  CHECK(fit.groups[0].pattern == "*/bias");
  CHECK(fit.groups[0].learning_rate == 0.5);
  CHECK(!fit.groups[0].weight_decay);
  CHECK(fit.groups[1].weight_decay == 0.0);
  CHECK(Recipe::from_json(recipe.to_json()).to_json() == recipe.to_json());
  CHECK(recipe.get("callbacks.0.patience") == "5");
  Recipe other = recipe;
  other.set("callbacks.0.patience", "7");
  CHECK(other.first_difference(recipe) == "callbacks.0.patience is 5 there and 7 here");
  CHECK(parse("").first_difference(recipe) == "schedule.kind is plateau there and constant here");
  other.set("callbacks.1.kind", "swa");
  CHECK(other.callbacks()[3].name == "swa");
  CHECK(parse("").to_json().find("callbacks") == std::string::npos);
}

TEST_CASE("recipe: mistakes in schedules, callbacks and groups are told in a line") {
  CHECK(refused_more("[schedule]\nkind = 'one_cicle'")
            .ends_with(
                "kind = one_cicle: must be one of constant, cosine, cosine_restarts, exponential, linear, "
                "one_cycle, piecewise, plateau, polynomial, step. Did you mean 'one_cycle'?"));
  CHECK(refused_more("[[callbacks]]\nkind = 'early_stoping'").ends_with("Did you mean 'early_stopping'?"));
  CHECK(refused_more("[[callbacks]]\nkind = 'ReduceLROnPlateau'").ends_with(" It is called 'plateau' here."));
  CHECK(refused_more("[[callbacks]]\nkind = 'plateau'\nmin_delta = 3")
            .ends_with(" It is called 'least_change' here."));
  CHECK(refused_more("[training]\ngradient_accumulation_steps = 3")
            .ends_with(" It is called 'accumulate' here."));
  CHECK(refused_more("[[callbacks]]\npatience = 3") ==
        "recipe.toml:9: [callbacks.0] has no kind; write kind = \"best_checkpoint\" or another");
  CHECK(refused_more("[callbacks]\nkind = 'ema'") ==
        "recipe.toml:9: callbacks must be a list of tables; write [[callbacks]] before each callback");
  CHECK(refused_more("[[callbacks]]\nkind = 'early_stopping'\npatience = 0") ==
        "recipe.toml:11: [callbacks.0] patience = 0: must be an integer from 1 to 1000000");
  CHECK(refused_more("[[callbacks]]\nkind = 'ema'\ndecay = -0.5") ==
        "recipe.toml:11: [callbacks.0] decay = -0.5: must be a number from 0 to 0.9999999");
  CHECK(refused_more("[[callbacks]]\nkind = 'ema'\nrate = 0.5")
            .starts_with("recipe.toml:11: [callbacks.0] has no key 'rate'."));
  CHECK(refused_more("[callback]\nkind = 'ema'") ==
        "recipe.toml:9: a recipe has no table 'callback'. Did you mean 'callbacks'?");
  CHECK(refused_more("[schedule]\nkind = 'piecewise'\nat = [0.7, 0.5]")
            .ends_with("has at = 0.5 after 0.7; each must be larger than the one before it"));
  CHECK(refused_more("[schedule]\nkind = 'piecewise'\nfactors = [1]") ==
        "recipe.toml: [schedule] the schedule 'piecewise' has 2 steps and 1 factors; it needs one factor "
        "more than "
        "steps");
  CHECK(refused_more("[[groups]]\nlearning_rate = 0.1") ==
        "recipe.toml:9: [groups.0] needs pattern, a pattern, such as */bias");
  CHECK(refused_more("[[groups]]\npattern = 'a*'") ==
        "recipe.toml: [groups.0] pattern = a*: has no effect without a learning_rate or a weight_decay; set "
        "one");
  CHECK(refused_more("[training]\naccumulate = 0") ==
        "recipe.toml:10: [training] accumulate = 0: must be an integer from 1 to 1000000");
  CHECK(message_of<UserError>([] { parse("").set("callbacks.0.patience", "3"); }) ==
        "the recipe has no callbacks.0; write [[callbacks]] in it");
  CHECK(message_of<UserError>([] { parse("[schedule]\nwarmup = 300").fit().schedule(200); }) ==
        "[schedule] warmup = 300: the training has 200 steps; give fewer, or a share of them below 1");
}

TEST_CASE("recipe: what acts on penalties alone is refused where there is none") {
  constexpr const char* give = "; give a layer one, such as kernel_penalty = \"l1=1e-4\"";
  for (const auto& [key, value, what] :
       {std::tuple("proximal.settle_from", "0.5", "a penalty that makes zeros"),
        std::tuple("training.stop_when_settled", "3", "a penalty that makes zeros"),
        std::tuple("proximal.ramp", "0.25", "a penalty"),
        std::tuple("proximal.rewrite", "false", "a penalty")}) {
    const std::string option = std::string(key).substr(9);
    CHECK(message_of<UserError>([&, key = key, value = value] { parse("").set(key, value); }) ==
          "[" + std::string(key).substr(0, 8) + "] " + option + " = " + value +
              ": has no effect, for no weight has " + what + give);
  }
  Recipe smooth = parse("[penalty]\nkernels = 'l2=1e-3'");
  smooth.set("proximal.ramp", "0.25");
  CHECK(
      message_of<UserError>([&] {
        smooth.set("proximal.settle_from", "0.5");
      }).starts_with("[proximal] settle_from = 0.5: has no effect, for no weight has a penalty that makes"));
  const std::string units =
      "[[layers]]\nkind = 'lstm'\nunits = 4\ngroup_units = 0.1\n[[layers]]\nkind = 'dense'\n";
  CHECK_NOTHROW(Recipe::parse("[data]\nkind = 'digits'\n[proximal]\nsettle_from = 0.5\n" + units, "r"));
}

}  // namespace lariat::training_recipe_test
