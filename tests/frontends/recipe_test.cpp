#include "frontends/recipe/recipe.hpp"

#include <cmath>
#include <filesystem>

#include "frontends/sequential/layers.hpp"
#include "graph/base/error.hpp"
#include "tests/support/files.hpp"
#include "tests/support/testing.hpp"

namespace lariat::recipe_test {

namespace fs = std::filesystem;
using lariat::testing::message_of;

namespace {

const std::string minimal = R"([data]
kind = "digits"
[[layers]]
kind = "lstm"
units = 8
[[layers]]
kind = "dense"
units = 10
)";

Recipe parse(const std::string& more) { return Recipe::parse(minimal + more, "recipe.toml"); }
std::string refused(const std::string& text) {
  return message_of<UserError>([&] { Recipe::parse(text, "recipe.toml"); });
}
// `more` begins in line 9.
std::string refused_more(const std::string& more) { return refused(minimal + more); }
std::string refused_set(const char* key, const char* value) {
  return message_of<UserError>([&] { parse("").set(key, value); });
}

}  // namespace

TEST_CASE("recipe: what is left out has its default") {
  const Recipe recipe = parse("");
  CHECK(recipe.table("data").kind == "digits");
  CHECK(recipe.layers() == std::vector<LayerSpec>{Lstm(8), Dense(10)});
  CHECK(recipe.optimizer().name == "Adam");
  CHECK(recipe.optimizer().learning_rate == 1e-3);
  CHECK(recipe.loss().name == "softmax_cross_entropy");
  CHECK(recipe.schedule(100)(77) == 1);
  CHECK(recipe.training().epochs == 20);
  CHECK(recipe.proximal().rewrite);
  CHECK_FALSE(recipe.augments());
  CHECK(recipe.get("data.validation") == "0");
  CHECK(recipe.features().num_mel_bins == 0);
}

TEST_CASE("recipe: every table is read") {
  const Recipe recipe = Recipe::parse(R"(
[data]
kind = "folders"
path = "/somewhere"
validation = 12.5
labels = ["yes", "no"]
[features]
kind = "mfcc"
num_ceps = 20
cmvn = "global"
[augment]
speed_min = 0.9
time_masks = 2
[[layers]]
kind = "bidirectional_lstm"
units = 32
kernel_penalty = "l1=1e-4,l2=1e-5"
[[layers]]
kind = "dense"
units = 0
activation = "tanh"
use_bias = false
[loss]
label_smoothing = 0.1
[optimizer]
kind = "nesterov"
learning_rate = 1
momentum = 0.5
[schedule]
kind = "linear"
warmup = 10
last = 0.5
[training]
epochs = 7
clip_norm = 2
bucket = false
stop_when_stationary = 1e-4
stop_when_settled = 3
[proximal]
rewrite = false
settle_from = 0.5
ramp = 0.1
after_settling = 0.02
)",
                                      "recipe.toml");
  CHECK(recipe.data().path == "/somewhere");
  CHECK(recipe.get("data.validation") == "12.5");
  CHECK(recipe.get("data.testing") == "10");
  CHECK(recipe.data().labels == std::vector<std::string>{"yes", "no"});
  CHECK(recipe.features().kind == speech::FeatureKind::mfcc);
  CHECK(recipe.features().num_ceps == 20);
  CHECK(recipe.features().cmvn == speech::Cmvn::global);
  CHECK(recipe.augment().time_masks == 2);
  CHECK(recipe.augments());
  CHECK(recipe.layers() ==
        std::vector<LayerSpec>{Bidirectional(Lstm(32, {.kernel_penalty = elastic_net(1e-4, 1e-5)})),
                               Dense(0, "tanh", {.use_bias = false})});
  CHECK(recipe.optimizer().name == "Nesterov");
  CHECK(recipe.optimizer().learning_rate == 1);
  const Schedule schedule = recipe.schedule(110);
  CHECK(schedule(0) == doctest::Approx(0.1));
  CHECK(schedule(10) == 1);
  CHECK(schedule(60) == doctest::Approx(0.75));
  CHECK(schedule(110) == 0.5);
  CHECK(recipe.training().epochs == 7);
  CHECK(recipe.training().clip_norm == 2);
  CHECK_FALSE(recipe.training().bucket);
  CHECK(recipe.training().stop_when_stationary == 1e-4);
  CHECK(recipe.training().stop_when_settled == 3);
  CHECK_FALSE(recipe.proximal().rewrite);
  CHECK(recipe.proximal().settle_from == 0.5);
  CHECK(recipe.proximal().ramp == 0.1);
  CHECK(recipe.proximal().after_settling == 0.02);
}

TEST_CASE("recipe: all kinds can be chosen and made") {
  int kinds = 0;
  for (const RecipeTable& table : recipe_tables()) {
    CHECK(!table.doc.empty());
    for (const SpecKind* kind : table.kinds) {
      CAPTURE(table.name + "/" + kind->name);
      CHECK(!kind->doc.empty());
      Recipe recipe = parse("");
      if (!kind->name.empty()) recipe.set(table.name + ".kind", kind->name);
      CHECK(recipe.table(table.name).kind == kind->name);
      CHECK(recipe.optimizer().propose);
      CHECK((recipe.loss().per_example || recipe.loss().per_sequence));
      const double factor = recipe.schedule(1000)(500);
      CHECK(factor > 0);
      CHECK(factor <= 1);
      for (const SpecOption& option : kind->options) {
        CHECK(!option.doc.empty());
        // Every default is a legal value.
        CHECK(option.normalise(option.default_value) == option.default_value);
      }
      ++kinds;
    }
  }
  CHECK(kinds ==
        data_kinds().size() + loss_kinds().size() + optimizer_kinds().size() + schedule_kinds().size() + 8);
}

TEST_CASE("recipe: schedules run over all steps, less the warmup") {
  const auto at = [](const std::string& schedule, int64_t step) {
    return parse("[schedule]\n" + schedule).schedule(200)(step);
  };
  CHECK(at("kind = 'cosine'\nlast = 0.2", 100) == doctest::Approx(0.6));
  CHECK(at("kind = 'cosine'\nlast = 0.2", 200) == doctest::Approx(0.2));
  CHECK(at("kind = 'cosine'\nwarmup = 0.5", 49) == doctest::Approx(0.5));
  CHECK(at("kind = 'cosine'\nwarmup = 0.5", 150) == doctest::Approx(0.5));
  CHECK(at("kind = 'linear'\nwarmup = 20", 19) == doctest::Approx(1));
  CHECK(at("kind = 'linear'\nwarmup = 20", 110) == doctest::Approx(0.5));
  CHECK(at("kind = 'exponential'\nlast = 0.01", 100) == doctest::Approx(0.1));
  CHECK(at("kind = 'step'\nfactor = 0.1\nevery = 0.25", 99) == doctest::Approx(0.1));
  CHECK(at("kind = 'step'\nfactor = 0.1\nevery = 50", 100) == doctest::Approx(0.01));
  CHECK(at("kind = 'constant'\nwarmup = 4", 1) == doctest::Approx(0.5));
  CHECK(at("kind = 'constant'\nwarmup = 4", 150) == 1);
}

TEST_CASE("recipe: keys are set from text") {
  Recipe recipe = parse("");
  recipe.set("optimizer.learning_rate", "0.02");
  CHECK(recipe.optimizer().learning_rate == 0.02);
  recipe.set("layers.0.units", "64");
  recipe.set("layers.0.kernel_penalty", "l1=0.5");
  CHECK(recipe.layers()[0] == Lstm(64, {.kernel_penalty = l1(0.5)}));
  recipe.set("proximal.rewrite", "false");
  CHECK_FALSE(recipe.proximal().rewrite);
  recipe.set("data.held_out", "ann, bob");
  CHECK(recipe.get("data.held_out") == "ann, bob");
  CHECK(recipe.get("data.held_out") == "ann, bob");
  recipe.set("data.path", "/a/b c");
  CHECK(recipe.data().path == "/a/b c");
  CHECK(recipe.get("layers.0.units") == "64");
  CHECK(recipe.get("layers.1.kind") == "dense");
  // The same kind again changes nothing, another one keeps what was set of keys that it has too.
  recipe.set("optimizer.kind", "adam");
  CHECK(recipe.get("optimizer.learning_rate") == "0.02");
  recipe.set("optimizer.kind", "sgd");
  CHECK(recipe.get("optimizer.kind") == "sgd");
  CHECK(recipe.get("optimizer.learning_rate") == "0.02");
  // In whatever order they stand: a kind is set first.
  recipe.set({{"optimizer.momentum", "0.5"}, {"optimizer.kind", "momentum"}});
  CHECK(recipe.get("optimizer.momentum") == "0.5");
  CHECK(recipe.get("optimizer.learning_rate") == "0.02");
  recipe.set("layers.0.kind", "gru");
  CHECK(recipe.get("layers.0.units") == "64");
  recipe.set("layers.1.kind", "dropout");
  CHECK(recipe.get("layers.1.rate") == "0.5");
  recipe.set("features.kind", "mfcc");
  CHECK(recipe.get("features.kind") == "mfcc");
}

TEST_CASE("recipe: several keys are checked together") {
  Recipe recipe = parse("");
  recipe.set({{"augment.speed_min", "1.1"}, {"augment.speed_max", "1.2"}});
  CHECK(recipe.augment().speed_min == 1.1);
  recipe.set({{"layers.0.kind", "conv1d"}, {"layers.0.kernel", "3"}, {"layers.0.filters", "4"}});
  CHECK(recipe.layers()[0] == Conv1d(4, 3));
  recipe.set({{"layers.0.kind", "conv2d"},
              {"layers.0.kernel_height", "8"},
              {"layers.0.kernel_width", "20"},
              {"layers.0.kernel_penalty", "l1=1e-3"},
              {"layers.0.filters", "4"}});
  CHECK(recipe.layers()[0] == Conv2d(4, 8, 20, {}, {.kernel_penalty = l1(1e-3)}));
}

TEST_CASE("recipe: as JSON and back, and differences") {
  Recipe recipe =
      parse("[features]\ncmvn = 'global'\n[augment]\nspeed_min = 0.87654321\n[schedule]\nkind = 'step'");
  recipe.set("data.held_out", "ann, bob");
  const Recipe copy = Recipe::from_json(recipe.to_json());
  CHECK(copy.to_json() == recipe.to_json());
  CHECK(copy.first_difference(recipe).empty());
  Recipe other = recipe;
  other.set("data.path", "/elsewhere");
  CHECK(recipe.first_difference(other).empty());
  other.set("optimizer.learning_rate", "0.5");
  CHECK(recipe.first_difference(other) == "optimizer.learning_rate is 0.5 there and 0.001 here");
  other = recipe;
  other.set("data.held_out", "");
  CHECK(recipe.first_difference(other) == "data.held_out is empty there and ann, bob here");
  other = recipe;
  other.set("layers.1.kind", "dropout");
  CHECK(recipe.first_difference(other) == "layers.1.kind is dropout there and dense here");
  CHECK(recipe.first_difference(parse(
            "[features]\ncmvn = 'global'\n[augment]\nspeed_min = 0.87654321\n[schedule]\nkind = "
            "'step'\n[[layers]]\nkind = 'flatten'")) == "data.held_out is empty there and ann, bob here");
  CHECK(message_of<UserError>([] { Recipe::from_json("3"); }) ==
        "the recipe is not a JSON object; it is damaged");
  CHECK(message_of<UserError>([] { Recipe::from_json(R"({"optimiser": {}})"); }) ==
        "a recipe has no table 'optimiser'. Did you mean 'optimizer'?");
}

TEST_CASE("recipe: unknown names") {
  CHECK(refused_more("[optimizer]\nlearing_rate = 0.1") ==
        "recipe.toml:10: [optimizer] has no key 'learing_rate'. Did you mean 'learning_rate'?");
  CHECK(refused_more("[optimiser]\nkind = 'sgd'") ==
        "recipe.toml:9: a recipe has no table 'optimiser'. Did you mean 'optimizer'?");
  CHECK(refused_more("[optimizer]\nkind = 'adm'") ==
        "recipe.toml:10: [optimizer] kind = adm: must be one of adam, adagrad, adamw, amsgrad, lamb, "
        "lbfgs, lion, momentum, nadam, nesterov, rmsprop, sgd. Did you mean 'adam'?");
  CHECK(refused_more("[optimizer]\nkind = 'sgd'\nmomentum = 0.9") ==
        "recipe.toml:11: [optimizer] has no key 'momentum'. Elsewhere: write [optimizer] kind = "
        "\"momentum\", which has it.");
  CHECK(refused_more("[[layers]]\nkind = 'dense'\nunit = 3") ==
        "recipe.toml:11: [layers.2] has no key 'unit'. Did you mean 'units'?");
  CHECK(
      refused_more("[[layers]]\nkind = 'flatten'\nunits = 3") ==
      "recipe.toml:11: [layers.2] has no key 'units'. Known: name, input, initial_state, shares, trainable, "
      "learning_rate_factor, weight_decay, kernel_initializer, input_groups.");
  CHECK(refused_more("[features]\nnum_mel_bin = 3") ==
        "recipe.toml:10: [features] has no key 'num_mel_bin'. Did you mean 'num_mel_bins'?");
  CHECK(refused_more("[proximal]\nrewrit = true") ==
        "recipe.toml:10: [proximal] has no key 'rewrit'. Did you mean 'rewrite'?");
}

TEST_CASE("recipe: wrong types and ranges name key, value, range, file and line") {
  CHECK(refused_more("[training]\n\nepochs = 0") ==
        "recipe.toml:11: [training] epochs = 0: must be an integer from 1 to 1000000");
  CHECK(refused_more("[training]\nepochs = 2.0") ==
        "recipe.toml:10: [training] epochs = 2.0: must be an integer from 1 to 1000000");
  CHECK(refused_more("[training]\nepochs = '3'") ==
        "recipe.toml:10: [training] epochs = \"3\": must be an integer from 1 to 1000000");
  CHECK(refused_more("[training]\nbucket = 1") ==
        "recipe.toml:10: [training] bucket = 1: must be true or false");
  CHECK(refused_more("[optimizer]\nlearning_rate = -1") ==
        "recipe.toml:10: [optimizer] learning_rate = -1: must be a number from 0 to 1000000");
  CHECK(refused_more("[optimizer]\nlearning_rate = nan") ==
        "recipe.toml:10: [optimizer] learning_rate = nan: must be a number from 0 to 1000000");
  CHECK(refused_more("[optimizer]\nlearning_rate = true") ==
        "recipe.toml:10: [optimizer] learning_rate = true: must be a number from 0 to 1000000");
  CHECK(refused_more("[optimizer]\nlearning_rate = [1]") ==
        "recipe.toml:10: [optimizer] learning_rate = an array: must be a number from 0 to 1000000");
  CHECK(refused_more("[optimizer]\nkind = 3") == "recipe.toml:10: [optimizer] kind = 3: must be a string");
  CHECK(refused_more("[features]\nkind = 'fbnk'") ==
        "recipe.toml:10: [features] kind = fbnk: must be one of fbank, mfcc, spectrogram, melspectrogram. "
        "Did you mean 'fbank'?");
  CHECK(refused_more("[[layers]]\nkind = 'dense'\nunits = 3\nkernel_penalty = 1e-4") ==
        "recipe.toml:12: [layers.2] kernel_penalty = 0.0001: must be " + std::string(weight_penalty_range));
  CHECK(refused_more("[[layers]]\nkind = 'dense'\nunits = 3\nkernel_penalty = '1e-4'") ==
        "recipe.toml:12: [layers.2] kernel_penalty = 1e-4: must be " + std::string(weight_penalty_range));
  CHECK(refused_more("[proximal]\nsettle_from = 1.5") ==
        "recipe.toml:10: [proximal] settle_from = 1.5: must be a number from 0 to 1");
  CHECK(refused_more("[proximal]\nsetle_from = 0.5") ==
        "recipe.toml:10: [proximal] has no key 'setle_from'. Did you mean 'settle_from'?");
  CHECK(refused_more("[proximal]\nafter_settling = 0.02") ==
        "recipe.toml: [proximal] after_settling = 0.02: has no effect with settle_from = 1; set settle_from "
        "too, such as 0.5");
  CHECK(refused_more("[training]\nstop_when_settled = -1") ==
        "recipe.toml:10: [training] stop_when_settled = -1: must be an integer from 0 to 1000000");
  CHECK(refused("[data]\nkind = 'digits'\nheld_out = [1]\n") ==
        "recipe.toml:3: [data] held_out = an array: must be words, separated by commas");
  CHECK(refused("[data]\nkind = 'digits'\npath = 3\n") == "recipe.toml:3: [data] path = 3: must be text");
  CHECK(refused_more("[training]\nseed = 2024-01-01") ==
        "recipe.toml:10: [training] seed = a date or time: must be an integer from 0");
}

TEST_CASE("recipe: broken structure") {
  CHECK(refused("[data\nkind = 3").starts_with("recipe.toml:1: is not valid TOML: "));
  CHECK(refused("x = 3") ==
        "recipe.toml:1: a recipe has no table 'x'. Known: layers, blocks, callbacks, groups, outputs, data, "
        "features, augment, "
        "loss, metrics, penalty, optimizer, schedule, training, proximal, prediction, search.");
  CHECK(refused("training = 3") == "recipe.toml:1: training = 3: must be a table; write [training]");
  CHECK(refused("[data]\nkind = 'digits'\n[layers]\nkind = 'dense'") ==
        "recipe.toml:3: layers must be a list of tables; write [[layers]] before each layer");
  CHECK(refused("[data]\nkind = 'digits'") ==
        "recipe.toml: a recipe needs layers; write at least one [[layers]]");
  CHECK(refused("[[layers]]\nkind = 'dense'") ==
        "recipe.toml: a recipe needs a table [data] that says where examples come from");
  CHECK(refused("[data]\npath = 'x'") ==
        "recipe.toml:1: [data] has no kind; write kind = \"csv\" or another");
  CHECK(refused_more("[[layers]]\nunits = 3") ==
        "recipe.toml:9: [layers.2] has no kind; write kind = \"activation\" or another");
  CHECK(refused_more("[augment]\nspeed_min = 2") ==
        "recipe.toml: [augment] speed_min = 2: must be at most speed_max = 1");
  const std::string idx = "[data]\nkind = 'idx'\n[[layers]]\nkind = 'dense'\n";
  CHECK(refused(idx + "[features]\nnum_mel_bins = 3") ==
        "recipe.toml: [features] num_mel_bins = 3: has no effect with [data] kind = idx; leave it out");
  CHECK(refused(idx + "[augment]\ntime_masks = 3") ==
        "recipe.toml: [augment] time_masks = 3: has no effect with [data] kind = idx; leave it out");
  CHECK(refused(idx + "[prediction]\nspeeds = [0.9]") ==
        "recipe.toml: [prediction] speeds = 0.9: has no effect with [data] kind = idx; leave it out");
  CHECK(refused("[data]\nkind = 'digits'\n[[layers]]\nkind = 'conv1d'\nkernel = 3") ==
        "recipe.toml:3: [layers.0] conv1d needs filters, an integer from 1 to 65536");
  std::string deep = "a";
  for (int i = 0; i < 50000; ++i) deep += " . a";
  for (const std::string& text :
       {"[" + deep + "]", "[[" + deep + "]]", deep + " = 1", "x = {" + deep + " = 1}"})
    CHECK(refused("# a comment ........................\n" + text) ==
          "recipe.toml:2: is a key of more than 16 parts; write [table] and key = value");
  CHECK(parse("[training]\nepochs = 3 # ........................").training().epochs == 3);
  const std::string dots = "....\\\"........................";
  CHECK(Recipe::parse("[data]\nkind = 'digits'\npath = \"" + dots + "\"\n[[layers]]\nkind = 'flatten'", "r")
            .data()
            .path.size() == 29);
  CHECK(message_of<UserError>([] { Recipe::load("/"); }) == "'/': is a folder; name a recipe in it");
  CHECK(message_of<UserError>([] { Recipe::load("/nowhere/recipe.toml"); }) ==
        "'/nowhere/recipe.toml': there is no such recipe; check the path");
}

TEST_CASE("recipe: bad settings leave the recipe as it was") {
  CHECK(refused_set("optimizer.learing_rate", "1") ==
        "[optimizer] has no key 'learing_rate'. Did you mean 'learning_rate'?");
  CHECK(refused_set("optimizer.learning_rate", "fast") ==
        "[optimizer] learning_rate = fast: must be a number from 0 to 1000000");
  CHECK(refused_set("optimizer.learning_rate", "0,1") ==
        "[optimizer] learning_rate = 0,1: must be a number from 0 to 1000000");
  CHECK(refused_set("optimiser.kind", "sgd") ==
        "a recipe has no table 'optimiser'. Did you mean 'optimizer'?");
  CHECK(refused_set("units", "3") ==
        "'units' is no key of a recipe; write table.key, such as optimizer.learning_rate or layers.0.units");
  CHECK(refused_set("layers.units", "3") ==
        "'layers.units' is no key of a recipe; write table.key, such as optimizer.learning_rate or "
        "layers.0.units");
  CHECK(refused_set("layers.x.units", "3") == "the recipe has no layers.x; it has layers.0 to layers.1");
  CHECK(refused_set("layers.2.units", "3") == "the recipe has no layers.2; it has layers.0 to layers.1");
  CHECK(refused_set("layers.0.units", "0") == "[layers.0] units = 0: must be an integer from 1 to 65536");
  CHECK(refused_set("layers.0.kind", "grue")
            .starts_with("[layers.0] kind = grue: must be one of activation, "));
  CHECK(refused_set("data.path", "\xff") ==
        "data.path: the value is not valid UTF-8, in which recipes are saved; rename what it names");
  CHECK(refused_set("layers.0.kind", "conv1d") ==
        "[layers.0] conv1d needs filters, an integer from 1 to 65536");
  CHECK(refused_set("training.epochs", std::string(300, 'x').c_str()) ==
        "[training] epochs = " + std::string(200, 'x') + "…: must be an integer from 1 to 1000000");
  CHECK(refused_more("[schedule]\nkind = 'step'\nevery = 1e300") ==
        "recipe.toml:11: [schedule] every = 1e+300: must be a number from 1e-09 to 1000000000000");
  CHECK(refused_more("[schedule]\nkind = 'step'\nwarmup = 1e300") ==
        "recipe.toml:11: [schedule] warmup = 1e+300: must be a number from 0 to 1000000000000");
  Recipe recipe = parse("");
  const std::string before = recipe.to_json();
  CHECK_THROWS_AS(recipe.set("augment.speed_min", "3"), UserError);
  CHECK(recipe.to_json() == before);
}

TEST_CASE("recipe: the examples are recipes") {
  const fs::path folder = fs::path(LARIAT_SOURCE_ROOT) / "examples";
  int recipes = 0;
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (entry.path().extension() != ".toml") continue;
    CAPTURE(entry.path().string());
    CHECK(!Recipe::load(entry.path().string()).layers().empty());
    ++recipes;
  }
  CHECK(recipes >= 4);
}

TEST_CASE("recipe: a file is read") {
  const testing::TemporaryFolder folder;
  const std::string file = folder / "recipe.toml";
  testing::write_file(file, minimal);
  CHECK(Recipe::load(file).layers().size() == 2);
  testing::write_file(file, minimal + "[training]\nepochs = -1\n");
  CHECK(message_of<UserError>([&] { Recipe::load(file); }) ==
        file + ":10: [training] epochs = -1: must be an integer from 1 to 1000000");
}

TEST_CASE("recipe: losses and metrics of every kind") {
  for (const LossKind& kind : loss_kinds()) {
    const Recipe recipe = parse("[loss]\nkind = '" + kind.spec.name + "'\n");
    CHECK(recipe.loss().name == kind.spec.name);
    CHECK(Recipe::from_json(recipe.to_json()).to_json() == recipe.to_json());
  }
  const Recipe recipe = parse(
      "[loss]\nclass_weights = [1, 2.5]\nlabel_smoothing = 0.1\n[metrics]\nkinds = ['accuracy', 'f1 "
      "average=none', "
      "'top_k k=3']\n");
  CHECK(recipe.loss().spec == Loss(SoftmaxCrossEntropy{0.1, {1, 2.5}}).spec);
  REQUIRE(recipe.metrics().size() == 3);
  CHECK(recipe.metrics()[1].spec == Metric(F1{Average::none}).spec);
  CHECK(recipe.metrics()[2].spec == Metric(TopK{3}).spec);
  CHECK(Recipe::from_json(recipe.to_json()).to_json() == recipe.to_json());
  CHECK(parse("").metrics().empty());
  CHECK(refused_more("[loss]\nkind = 'huber'\ndelta = 0")
            .starts_with("recipe.toml:11: [loss] delta = 0: must be "));
  CHECK(refused_more("[loss]\nclass_weights = ['a']") ==
        "recipe.toml:10: [loss] class_weights = an array: must be numbers, separated by commas");
  CHECK(refused_more("[loss]\nclass_weights = [1, -1]") ==
        "recipe.toml:10: [loss] class_weights = -1: must be a number from 0 each");
  CHECK(refused_more("[metrics]\nkinds = ['f2']")
            .starts_with("recipe.toml: [metrics] kind = f2: must be one of accuracy, "));
  CHECK(refused_more("[metrics]\nkinds = ['f1 micro']") ==
        "recipe.toml: [metrics] f1: 'micro' is no option; write name=value, without spaces");
  CHECK(refused_more("[metrics]\nkinds = ['f1 average=all']") ==
        "recipe.toml: [metrics] f1: average = all: must be one of macro, micro, weighted, none");
  CHECK(refused_more("[metrics]\nkinds = ['f1 mean=all']") ==
        "recipe.toml: [metrics] f1 has no key 'mean'. Known: average.");
}

}  // namespace lariat::recipe_test
