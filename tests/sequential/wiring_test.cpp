// How layers name what they take, in C++ and in recipes, and what is said where that cannot be.
#include "frontends/sequential/wiring.hpp"

#include <fmt/format.h>

#include "frontends/recipe/recipe.hpp"
#include "frontends/sequential/sequential.hpp"
#include "graph/base/error.hpp"
#include "tests/support/testing.hpp"

namespace lariat::wiring_test {

using lariat::testing::contains;
using lariat::testing::message_of;

namespace {

std::string wiring_error(const std::vector<LayerSpec>& layers, const std::vector<std::string>& outputs = {}) {
  const std::vector<std::string> columns{"left", "right"};
  return message_of<UserError>([&] { wiring_of(layers, outputs, &columns); });
}

const char* const recipe_text = R"([data]
kind = "csv"
target = ["y"]
features = ["left", "right"]
[loss]
kind = "mean_squared_error"
[[layers]]
name = "code"
kind = "dense"
units = 3
input = ["left"]
[[layers]]
name = "other"
kind = "dense"
shares = "code"
input = ["right"]
[[layers]]
kind = "concat"
input = ["code", "other"]
[[layers]]
kind = "dense"
units = 0
)";

std::string recipe_error(const std::string& from, const std::string& to) {
  std::string text = recipe_text;
  text.replace(text.find(from), from.size(), to);
  return message_of<UserError>([&] { Recipe::parse(text, "r.toml"); });
}

}  // namespace

TEST_CASE("wiring: what is wrong with a wiring is one line") {
  CHECK(wiring_error({Dense(2).named("a").with("input", "rigth")}) ==
        "layer a: input = rigth: there is no layer and no column of that name. Did you mean 'right'?");
  CHECK(wiring_error({Dense(2).named("a"), Dense(2).named("a")}) ==
        "layer a: name = a: layers.0 has that name, too; give one of them another");
  CHECK(wiring_error({Dense(2).named("features")}) ==
        "layer features: name = features: is what the data are called; take another name");
  CHECK(wiring_error({Dense(2).named("a b")}) ==
        "layer a b: name = a b: must be of letters, digits, _, - and .");
  CHECK(wiring_error({Dense(2).named("a").with("input", "b"), Dense(2).named("b").with("input", "a")}) ==
        "layer a: layers feed each other in a circle: b to a to b; one of them must take another input");
  CHECK(wiring_error({Dense(2).named("a"), Dense(2).with("input", "left")}) ==
        "layer a: nothing takes what 'a' gives; name it as the input of another layer, make it an output, or "
        "leave "
        "it out");
  CHECK(
      wiring_error({Dense(2).with("input", "left, right")}) ==
      "layer dense_1: takes one input, but is given 2: left, right; put a concat, add or multiply before it");
  CHECK(wiring_error({Dense(2).named("a"), Dense(2).with("shares", "b")}) ==
        "layer dense_2: shares = b: there is no layer of that name. Known: a, dense_2.");
  CHECK(contains(wiring_error({Dense(2).named("a"), Lstm(2).with("shares", "a")}),
                 "layer lstm_1: shares = a: that is a layer of the kind dense, and this one is of lstm"));
  CHECK(wiring_error({Dense(2).named("a"), Dense(3).with("shares", "a")}) ==
        "layer dense_2: units = 3: has no effect, for 'a' has 2; a layer that shares has the options of that "
        "layer, "
        "so leave it out");
  CHECK(wiring_error({Dense(2).named("a").with("shares", "b"), Dense(2).named("b").with("shares", "a")}) ==
        "layer a: shares = b: layers share each other's weights in a circle; one must have its own");
  CHECK(wiring_error({Dense(2, {}, {.use_bias = false, .bias_penalty = l1(1)})}) ==
        "layer dense_1: bias_penalty = l1=1: has no effect with use_bias = false; leave it out");
  CHECK(wiring_error({Dense(2)}, {"last"}) == "there is no layer 'last' to be an output. Known: dense_1.");
  CHECK(message_of<UserError>([] {
          Model model({Dense(2).named("a").with("input", "features"), Dense(0).with("shares", "a")});
          model.compile(Sgd{});
          model.build({false, 3, {"x", "y"}});
        }) ==
        "layer dense_2: shares 'a/kernel', which is [3, 2], but needs [2, 2]: what goes into both must be of "
        "one "
        "width");
}

TEST_CASE("wiring: recipes name layers and what they take, and messages name lines") {
  const Recipe recipe = Recipe::parse(recipe_text, "r.toml");
  CHECK(recipe.layers()[1].at("shares") == "code");
  CHECK(recipe.get("layers.code.units") == "3");
  CHECK(Recipe::from_json(recipe.to_json()).to_json() == recipe.to_json());
  Recipe changed = recipe;
  changed.set({{"penalty.kernels", "l2=1e-3"}, {"penalty.except", "code"}, {"layers.code.units", "4"}});
  CHECK(changed.layers()[0].at("kernel_penalty") == "none");
  CHECK(changed.layers()[3].at("kernel_penalty") == "l2=0.001");
  CHECK(changed.get("layers.3.kernel_penalty") == "none");

  CHECK(recipe_error("input = [\"left\"]", "input = [\"lefd\"]") ==
        "r.toml:7: [layers.0] input = lefd: there is no layer and no column of that name. Did you mean "
        "'left'?");
  CHECK(recipe_error("input = [\"code\", \"other\"]", "input = [\"code\"]") ==
        "r.toml:12: [layers.1] nothing takes what 'other' gives; name it as the input of another layer, make "
        "it an "
        "output, or leave it out");
  CHECK(recipe_error("input = [\"left\"]", "input = [\"concat_1\"]")
            .starts_with("r.toml:7: [layers.0] layers feed each other in a circle: "));
  CHECK(recipe_error("[[layers]]\nname", "[penalty]\nkernels = \"l3=1\"\n[[layers]]\nname")
            .starts_with("r.toml:8: [penalty] kernels = l3=1: there is no penalty 'l3'."));
  CHECK(recipe_error("[[layers]]\nname", "[penalty]\nexcept = [\"cod\"]\n[[layers]]\nname") ==
        "r.toml: [penalty] except = cod: there is no layer of that name. Did you mean 'code'?");
  CHECK(recipe_error("[loss]\nkind", "[[outputs]]\nlayer = \"dense_3\"\n[loss]\nkind")
            .starts_with("r.toml: [loss] has no effect with [[outputs]]"));
  CHECK(recipe_error("[loss]\nkind = \"mean_squared_error\"",
                     "[[outputs]]\nlayer = \"codes\"\nloss = \"huber\"") ==
        "r.toml: [outputs.0] layer = codes: there is no layer of that name. Did you mean 'code'?");
  CHECK(recipe_error("[loss]\nkind = \"mean_squared_error\"",
                     "[[outputs]]\nlayer = \"dense_3\"\nloss = \"hubert\"")
            .starts_with("r.toml: [outputs.0] loss kind = hubert: must be one of "));
  CHECK(recipe_error("[loss]\nkind = \"mean_squared_error\"", "[[outputs]]\nlayers = \"dense_3\"") ==
        "r.toml:6: [outputs.0] has no key 'layers'. Did you mean 'layer'?");
}

TEST_CASE("wiring: blocks of a recipe are models as layers") {
  const char* const text = R"([data]
kind = "csv"
features = ["left", "right"]
[[blocks.encoder]]
kind = "dense"
units = 4
[[blocks.encoder]]
name = "code"
kind = "dense"
units = 2
[[layers]]
kind = "block"
block = "encoder"
name = "a"
input = ["left"]
[[layers]]
kind = "block"
block = "encoder"
name = "b"
shares = "a"
input = ["right"]
[[layers]]
kind = "add"
input = ["a", "b"]
)";
  const Recipe recipe = Recipe::parse(text, "r.toml");
  CHECK(names_of(recipe.layers()) ==
        std::vector<std::string>{"a/dense_1", "a/code", "b/dense_1", "b/code", "add_1"});
  CHECK(recipe.get("layers.b/code.shares") == "a/code");
  CHECK(recipe.get("layers.add_1.input") == "a/code, b/code");
  Model model(recipe.layers());
  model.compile(Sgd{}, MeanSquaredError{});
  model.build({false, 5, {}, {2, false, {}}, {{"left", 2}, {"right", 2}, {"rest", 1}}});
  CHECK(model.zeros().size() == 4);
  CHECK(message_of<UserError>([&] {
          std::string other = text;
          other.replace(other.find("\"encoder\""), 9, "\"encoded\"");
          Recipe::parse(other, "r.toml");
        }) ==
        "r.toml:11: [layers.0] block = encoded: there are no [[blocks.encoded]]. Did you mean 'encoder'?");
}

TEST_CASE("wiring: a layer that shares is saved with the options of its owner, and read again") {
  const std::vector<LayerSpec> layers{make_layer("lstm units=3 return_sequences=true name=first"),
                                      make_layer("lstm shares=first name=second"),
                                      make_layer("lstm shares=second input=first name=third")};
  const std::vector<LayerSpec> read = layers_from_json(to_json(layers));
  REQUIRE(read.size() == 3);
  for (const size_t i : {1, 2}) {
    CHECK(read[i].at("units") == "3");
    CHECK(read[i].at("return_sequences") == "true");
    for (const char* const own : {"name", "input", "shares"}) CHECK(read[i].at(own) == layers[i].at(own));
  }
  CHECK(to_json(read) == to_json(layers));
}

TEST_CASE("wiring: states that begin with something of another size are seen without any data") {
  // Of a layer `from`, a dropout behind it, and a layer whose size the data say.
  const auto layers = [](const LayerSpec& from, const std::string& what, const LayerSpec& to) {
    return std::vector<LayerSpec>{LastStep().named("last").with("input", "left"),
                                  from.named("from").with("input", "left"), Dropout(0.5).named("past"),
                                  to.named("to").with("input", "right").with("initial_state", what),
                                  Concat().with("input", "past, to, last")};
  };
  const auto refused = [&](const LayerSpec& from, const std::string& what, const LayerSpec& to) {
    return wiring_error(layers(from, what, to));
  };
  const auto other = [](const std::string& from, int values, const std::string& state) {
    return fmt::format(
        "layer to: initial_state = {}: has {} values, but its state {} has 4; give both layers as many "
        "units, or put a dense layer of 4 units between them",
        from, values, state);
  };
  CHECK(refused(Gru(3), "from.hidden", Gru(4)) == other("from.hidden", 3, "hidden"));
  CHECK(refused(Gru(3), "from", Gru(4)) == other("from", 3, "hidden"));
  CHECK(refused(Dense(3), "past", SimpleRnn(4)) == other("past", 3, "hidden"));
  CHECK(refused(Lstm(3), "from.hidden, from.cell", Lstm(4)) == other("from.hidden", 3, "hidden"));
  CHECK(refused(Lstm(4), "from.hidden, last, past, last", Bidirectional(Lstm(5)))
            .ends_with("but its state forward_hidden has 5; give both layers as many units, or put a dense "
                       "layer of 5 units between them"));
  CHECK(refused(Bidirectional(Gru(4)), "from", Gru(4)) == other("from", 8, "hidden"));
  CHECK(wiring_error({Gru(3).named("from").with("input", "left"),
                      Gru(3).named("like").with("shares", "from").with("input", "right"),
                      Gru(4).named("to").with("input", "right").with("initial_state", "like.hidden"),
                      Concat().with("input", "from, like, to")}) == other("like.hidden", 3, "hidden"));
  const std::vector<std::string> columns{"left", "right"};
  for (const auto& fine :
       {layers(Lstm(4), "from.hidden, past", Lstm(4)),
        layers(Bidirectional(Gru(4)), "from.forward_hidden", Gru(4)), layers(Dense(0), "past", Gru(4)),
        layers(Dense(3), "last", Gru(4)), layers(Dense(3), "left", Gru(4))})
    CHECK_NOTHROW(wiring_of(fine, {}, &columns));
}

TEST_CASE("wiring: what is wrong is said where the model is made, whatever the data") {
  const auto made = [](const std::vector<LayerSpec>& layers, const std::vector<std::string>& outputs = {}) {
    return message_of<UserError>([&] { Sequential(layers, outputs); });
  };
  CHECK(made({Dense(2).named("a").with("input", "b"), Dense(2).named("b"), Dense(2)}) ==
        "layer a: layers feed each other in a circle: b to a to b; one of them must take another input");
  CHECK(made({Dense(2).named("a").with("shares", "elsewhere"), Dense(2)}) ==
        "layer a: shares = elsewhere: there is no layer of that name. Known: a, dense_2.");
  CHECK(made({Dense(2).named("a"), Dense(2)}, {"elsewhere"}) ==
        "there is no layer 'elsewhere' to be an output. Known: a, dense_2.");
  CHECK(made({}) == "the model has no layers; it needs at least a dense layer");
  // Outputs may be named later, by compile().
  CHECK_NOTHROW(Sequential({Dense(2).named("a"), Dense(2).named("b").with("input", "features")}));
}

}  // namespace lariat::wiring_test
