// Tables of rows from the shell: a recipe from nothing, training, evaluation and prediction, for each task.
#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <sstream>

#include "tests/support/files.hpp"
#include "tests/support/npy.hpp"
#include "tests/support/program.hpp"
#include "tests/support/testing.hpp"

namespace lariat::cli_tables_test {

using namespace lariat::testing;
using nlohmann::json;

namespace {

json read_json(const std::string& file) { return json::parse(read_file(file)); }

// y = 3·a - b + (5 where the colour is red), z = whether y is above 0, kind = its third.
std::string table_text() {
  std::string text = "a,b,colour,y,z,kind\n";
  for (int i = 0; i < 300; ++i) {
    const int a = i * 7 % 11 - 5, b = i * 5 % 13 - 6;
    const bool red = i % 3 == 0;
    const int y = 3 * a - b + (red ? 5 : 0);
    text += std::to_string(a) + "," + std::to_string(b) + "," + (red ? "red" : "green") + "," +
            std::to_string(y) + "," + (y > 0 ? "yes" : "no") + "," +
            (y < -5  ? "low"
             : y < 8 ? "middle"
                     : "high") +
            "\n";
  }
  return text;
}

std::string recipe_of(const std::string& loss, const std::string& target, const std::string& more = "") {
  return "[data]\nkind = \"csv\"\ntarget = [" + target +
         "]\nfeatures = [\"a\", \"b\", \"colour\"]\ntesting = 20\n" + "validation = 10\n[loss]\nkind = \"" +
         loss + "\"\n" + more +
         "[[layers]]\nkind = \"dense\"\nunits = 0\n[optimizer]\nkind = \"adam\"\nlearning_rate = "
         "0.1\n[training]\n"
         "epochs = 60\n";
}

struct Made {
  ProgramRun train, evaluate, predict;
  json trained, evaluated, predicted;
  std::string report;
};

// Trains on the table, evaluates, and predicts two rows without targets.
Made make(const std::string& recipe) {
  const TemporaryFolder folder;
  write_file(folder / "t.csv", table_text());
  write_file(folder / "r.toml", recipe);
  write_file(folder / "new.csv", "colour,b,a\nred,-3,4\ngreen,6,-5\n");
  Made made;
  const std::string model = folder / "m", data = folder / "t.csv";
  made.train = run_lariat({"train", folder / "r.toml", "--data", data, "--out", model, "--json", folder / "j",
                           "--report", folder / "r.html"});
  INFO(made.train.err);
  REQUIRE(made.train.status == 0);
  made.trained = read_json(folder / "j");
  made.report = read_file(folder / "r.html");
  made.evaluate = run_lariat({"evaluate", model, "--data", data, "--json", folder / "e"});
  INFO(made.evaluate.err);
  REQUIRE(made.evaluate.status == 0);
  made.evaluated = read_json(folder / "e");
  CHECK(made.evaluated["loss"] == made.trained["loss"]);
  made.predict = run_lariat({"predict", model, folder / "new.csv", "--json", folder / "p"});
  INFO(made.predict.err);
  REQUIRE(made.predict.status == 0);
  made.predicted = read_json(folder / "p");
  REQUIRE(made.predicted["predictions"].size() == 2);
  return made;
}

}  // namespace

TEST_CASE("cli: numbers are learned from a table, and predicted") {
  if (!have_lariat()) return;
  const Made made = make(recipe_of("mean_squared_error", "\"y\""));
  CHECK(made.trained["task"] == "numbers");
  CHECK(made.trained["accuracy"].is_null());
  CHECK(made.trained["test"]["r2"] > 0.99);
  CHECK(made.evaluated["metrics"]["r2"] == made.trained["test"]["r2"]);
  CHECK(contains(made.train.out, "\nmean_squared_error"));
  CHECK(contains(made.train.err, "  validation r2 "));
  CHECK(made.evaluate.out.starts_with("mean_squared_error "));
  CHECK(made.predict.out.starts_with("row,y\n0,"));
  CHECK(std::abs(made.predicted["predictions"][0]["values"][0].get<double>() - 20) < 2);
  CHECK(std::abs(made.predicted["predictions"][1]["values"][0].get<double>() + 21) < 2);
  CHECK(contains(made.report, "y: what was found against what it is"));
  CHECK_FALSE(contains(made.report, "What was confused with what"));
}

TEST_CASE("cli: two classes, and one of three, are learned from a table") {
  if (!have_lariat()) return;
  const Made two = make(
      recipe_of("sigmoid_cross_entropy", "\"z\"", "[metrics]\nkinds = [\"accuracy\", \"f1\", \"auc\"]\n"));
  CHECK(two.trained["task"] == "binary");
  CHECK(two.trained["accuracy"] > 0.9);
  CHECK(two.trained["test"]["auc"] > 0.97);
  CHECK(two.trained["classes"] == json({"no", "yes"}));
  CHECK(two.predict.out.starts_with("row,prediction,yes\n0,yes,"));
  CHECK(two.predicted["predictions"][1]["label"] == "no");
  CHECK(contains(two.report, "What was confused with what"));
  const Made three = make(recipe_of("softmax_cross_entropy", "\"kind\"", "class_weights = [1, 2, 1]\n"));
  CHECK(three.trained["task"] == "classes");
  CHECK(three.trained["accuracy"] > 0.8);
  CHECK(three.predict.out.starts_with("row,prediction,high,low,middle\n0,high,"));
}

TEST_CASE("cli: a recipe for a table is made by what the program says alone") {
  if (!have_lariat()) return;
  const TemporaryFolder folder;
  write_file(folder / "t.csv", table_text());
  const ProgramRun help = run_lariat({"--help"});
  CHECK(contains(help.out, "\n  recipe "));
  const ProgramRun list = run_lariat({"recipe", "list"});
  for (const char* name : {"csv", "dense", "huber", "adamw", "top_k", "[schedule]"})
    CHECK(contains(list.out, name));
  const ProgramRun made = run_lariat({"recipe", "new", "csv"});
  REQUIRE(made.status == 0);
  const std::string file = folder / "r.toml";
  write_file(file, made.out);
  CHECK(run_lariat({"recipe", "check", file}).out ==
        file + ": is in order: csv of 2 layers, mean_squared_error\n");
  const ProgramRun first = run_lariat({"train", file, "--data", folder / "t.csv"});
  CHECK(first.status == 2);
  CHECK(contains(first.err,
                 "t.csv: which column is to be learned? Name it as target: a, b, colour, y, z, kind"));
  const ProgramRun trained = run_lariat({"train", file, "--data", folder / "t.csv", "--set", "data.target=y",
                                         "--set", "data.features=a,b,colour", "--set", "training.epochs=2"});
  INFO(trained.err);
  CHECK(trained.status == 0);
  for (const std::string kind : {"digits", "demo", "folders", "idx", "numpy"}) {
    write_file(file, run_lariat({"recipe", "new", kind}).out);
    CAPTURE(kind);
    CHECK(run_lariat({"recipe", "check", file}).status == 0);
  }
  const ProgramRun shown = run_lariat({"recipe", "show", "dense"});
  CHECK(shown.out.starts_with("[layers] kind = dense: "));
  CHECK(contains(shown.out, "kernel_penalty"));
  CHECK(contains(run_lariat({"recipe", "show", "training"}).out, "batch_size"));
  CHECK(contains(run_lariat({"recipe", "show", "optimizer"}).out, "nesterov"));
  CHECK(contains(run_lariat({"recipe", "show", "f1"}).out, "average"));
  // A key leads to where it belongs, a penalty to the keys that take it.
  CHECK(contains(run_lariat({"recipe", "show", "epochs"}).out, "epochs is a key of\n  [training]"));
  CHECK(contains(run_lariat({"recipe", "show", "units"}).out, "[layers] lstm"));
  CHECK(contains(run_lariat({"recipe", "show", "l1"}).out, "kernel_penalty = \"l1=1e-4\""));
  CHECK(contains(run_lariat({"--help"}).out, "lariat recipe new csv > r.toml"));
  const auto refused = [](const std::vector<std::string>& words) {
    const ProgramRun run = run_lariat(words);
    CHECK(run.status == 2);
    return run.err;
  };
  CHECK(contains(refused({"recipe", "show", "denze"}),
                 "there is no table, kind, key or penalty 'denze' in a recipe. Did you mean "
                 "'dense'?"));
  CHECK(contains(refused({"recipe", "show", "group_row"}), "Did you mean 'group_rows'?"));
  CHECK(contains(refused({"recipe", "show", "epoch"}), "Did you mean 'epochs'?"));
  CHECK(contains(refused({"recipe", "show", "mse"}), "It is called 'mean_squared_error' here."));
  CHECK(contains(refused({"recipe", "new", "tsv"}), "It is called 'csv' here."));
  CHECK(contains(refused({"recipe", "make"}), "lariat recipe: there is no command 'make'."));
  write_file(file,
             "[data]\nkind = \"csv\"\n\n[optimizer]\nlr = 0.1\n[[layers]]\nkind = \"dense\"\nunits = 0\n");
  CHECK(contains(refused({"recipe", "check", file}),
                 file + ":5: [optimizer] has no key 'lr'. It is called 'learning_rate' here."));
  write_file(
      file,
      "[data]\nkind = \"csv\"\n[metrics]\nkinds = [\"f1 averag=micro\"]\n[[layers]]\nkind = \"dense\"\n");
  CHECK(contains(refused({"recipe", "check", file}),
                 "[metrics] f1 has no key 'averag'. Did you mean 'average'?"));
}

TEST_CASE("cli: what is learned badly, or by another loss, is said with the way out") {
  if (!have_lariat()) return;
  const TemporaryFolder folder;
  const std::string recipe = folder / "r.toml", table = folder / "houses.csv";
  write_file(recipe, run_lariat({"recipe", "new", "csv"}).out);
  std::string rows = "area,price,sold\n";
  for (int i = 0; i < 40; ++i)
    rows += fmt::format("{},{},{}\n", 50 + i, 100000 + 2000 * i, i % 2 == 0 ? "yes" : "no");
  write_file(table, rows);
  const auto train = [&](const std::string& target) {
    return run_lariat({"train", recipe, "--data", table, "--set", "data.target=" + target, "--set",
                       "training.epochs=1", "--set", "data.standardize_targets=false"});
  };
  const ProgramRun numbers = train("price");
  CHECK(numbers.status == 0);
  CHECK(contains(numbers.err, "the target 'price' has a mean of 1"));
  CHECK(contains(numbers.err,
                 ": a network learns numbers near 1 best; set standardize_targets = true in [data]"));
  const ProgramRun classes = train("sold");
  CHECK(classes.status == 2);
  CHECK(contains(classes.err,
                 "which is no finite number; classes are learned by a loss of theirs, such as "
                 "softmax_cross_entropy"));
  CHECK(contains(run_lariat({"train", recipe, "--data", table, "--set", "layers.1.activation=softmax"}).err,
                 "silu, softplus, tanh. Losses of classes have their own softmax: leave it linear"));
  const std::string page = folder / "r.html";
  CHECK(run_lariat({"train", recipe, "--data", table, "--quiet", "--out", folder / "m.safetensors",
                    "--report", page, "--set", "data.target=sold", "--set", "loss.kind=softmax_cross_entropy",
                    "--set", "layers.0.kernel_penalty=l1=0.3"})
            .status == 0);
  const std::string shown = read_file(page);
  for (const char* part :
       {"What the zeros are worth", "multiply-adds", "not by zero", "coded", "What it gets wrong"})
    CHECK_MESSAGE(contains(shown, part), part);
  write_file(recipe, "[data]\nkind = csv\n");
  CHECK(contains(run_lariat({"recipe", "check", recipe}).err, "put text in quotes, such as kind = \"adam\""));
}

TEST_CASE("cli: folders of tables, and rows that a model cannot read") {
  if (!have_lariat()) return;
  const TemporaryFolder folder;
  const std::string text = table_text();
  write_file(folder / "train.csv", text);
  write_file(folder / "r.toml", recipe_of("huber", "\"y\""));
  const auto train = [&] {
    return run_lariat({"train", folder / "r.toml", "--data", folder.text(), "--out", folder / "m", "--set",
                       "data.validation=0", "--set", "training.epochs=1"});
  };
  const ProgramRun lacking = train();
  CHECK(lacking.status == 2);
  CHECK(
      contains(lacking.err, "holds no test.csv; name a file, or a folder that holds train.csv and test.csv"));
  write_file(folder / "test.csv", text.substr(0, text.find('\n') + 1) + "1,2,red,4,yes,low\n");
  CHECK(train().status == 0);
  write_file(folder / "validation.csv", text);
  const ProgramRun validated = train();
  INFO(validated.err);
  REQUIRE(validated.status == 0);
  CHECK(contains(validated.out, "\nvalidation"));
  CHECK(contains(validated.out, " on 300 validation examples"));
  const ProgramRun whole =
      run_lariat({"train", folder / "r.toml", "--data", folder / "train.csv", "--set", "data.validation=0",
                  "--set", "data.testing=0", "--set", "training.epochs=1"});
  CHECK(whole.status == 0);
  CHECK_FALSE(contains(whole.out, "test examples"));
  CHECK(contains(whole.out, "300 training examples"));
  const auto predict = [&](const std::string& rows) {
    write_file(folder / "p.csv", rows);
    const ProgramRun run = run_lariat({"predict", folder / "m", folder / "p.csv", "--out", folder / "o.csv"});
    CHECK(run.status == 2);
    return run.err;
  };
  CHECK(contains(predict("a,b\n1,2\n"), "p.csv: has no column 'colour'. Known: a, b."));
  CHECK(contains(predict("a,b,colour\n1,2,blue\n"),
                 "p.csv: line 2: column 'colour' is 'blue', which training never saw. Known: green, red."));
  CHECK(contains(predict("a,b,colour\n1,2\n"),
                 "p.csv: line 2: has 2 fields, but the first line names 3 columns"));
  // An array says neither which columns it holds nor whether they are standardised.
  CHECK(contains(predict(npy_of<double>("<f8", "(1, 3)", {1, 2, 3})),
                 "m' was trained on a table, of which it standardises numbers or knows categories: an array "
                 "does not say which numbers are which; give it a table with the columns a, b, colour"));
  const ProgramRun graph = run_lariat({"graph", folder / "r.toml", "--dot", folder / "g.dot"});
  CHECK(graph.status == 2);
  CHECK(contains(graph.err, "[data] kind = csv: what the rows are is known by them alone; give --data"));
}

TEST_CASE("cli: names from elsewhere lead to a recipe's own, wherever they stand") {
  if (!have_lariat()) return;
  const TemporaryFolder folder;
  const std::string file = folder / "r.toml";
  const std::string text =
      "[data]\nkind = \"csv\"\n[training]\nepochs = 1\n[[layers]]\nname = \"a\"\nkind = \"dense\"\nunits = "
      "4\n"
      "activation = \"relu\"\nkernel_penalty = \"l1=1e-3\"\n[[layers]]\nkind = \"dense\"\nunits = 0\n";
  const auto refused = [&](const std::string& before, const std::string& after) {
    std::string changed = text;
    changed.replace(changed.find(before), before.size(), after);
    write_file(file, changed);
    const ProgramRun run = run_lariat({"recipe", "check", file});
    CHECK(run.status == 2);
    return run.err;
  };
  CHECK(contains(refused("\"dense\"", "\"torch.nn.Linear\""), ". It is called 'dense' here."));
  CHECK(contains(refused("\"dense\"", "\"ReLU\""), ". It is called 'activation' here."));
  CHECK(contains(refused("\"relu\"", "\"ReLU\""), "softplus, tanh. It is called 'relu' here."));
  CHECK(contains(refused("\"relu\"", "\"swish\""), "It is called 'silu' here."));
  CHECK(contains(refused("\"relu\"", "\"softmax\""), "Losses of classes have their own softmax"));
  CHECK(contains(refused("l1=1e-3", "lasso=1e-3"), "there is no penalty 'lasso'. It is called 'l1' here."));
  const std::string unknown = refused("l1=1e-3", "zzz=1e-3");
  CHECK(unknown.find("log_sum") == unknown.rfind("log_sum"));
  CHECK(contains(refused("epochs = 1", "validation_split = 0.1"),
                 ":4: [training] has no key 'validation_split'. Elsewhere: write [data] validation."));
  CHECK(contains(refused("units = 4", "input_shape = 4"),
                 "has no key 'input_shape'. Elsewhere: it follows from what comes in; leave it out."));
  CHECK(contains(refused("[training]", "[train]"), "has no table 'train'. It is called 'training' here."));
  CHECK(contains(refused("[[layers]]\nkind = \"dense\"\nunits = 0\n", "[[layers]]\nshares = \"a\"\n"),
                 "[layers.1] has no kind; write that of \"a\", which it shares"));
  CHECK(contains(refused("[data]\n", "lr = 0.1\n[data]\n"),
                 ":1: lr = 0.1: stands in no table; write learning_rate below [optimizer]"));
  CHECK(contains(refused("[data]\n", "zzz = 1\n[data]\n"), "a recipe has no table 'zzz'. Known: "));
  CHECK(contains(refused("\"dense\"", "\"softmax\""),
                 "Losses of classes have their own softmax: leave it out"));
  CHECK(contains(run_lariat({"fit", file}).err, "there is no command 'fit'. It is called 'train' here."));
}

TEST_CASE("cli: a column from 0 to 1 is learned as how probable something is") {
  if (!have_lariat()) return;
  const TemporaryFolder folder;
  const std::string recipe = folder / "r.toml", table = folder / "t.csv", model = folder / "m.safetensors";
  write_file(recipe, run_lariat({"recipe", "new", "csv"}).out);
  std::string rows = "x,noise,rain\n", fresh = "x,noise\n0,1\n1,1\n";
  for (int i = 0; i < 200; ++i)
    rows += fmt::format("{},{},{}\n", i % 20 / 20.0, i * 7 % 11, 0.1 + 0.8 * (i % 20) / 20.0);
  write_file(table, rows);
  write_file(folder / "fresh.csv", fresh);
  std::vector<std::string> train{"train", recipe, "--data", table,
                                 "--out", model,  "--set",  "data.target=rain"};
  for (const char* set : {"loss.kind=sigmoid_cross_entropy", "optimizer.learning_rate=0.02"})
    train.insert(train.end(), {"--set", set});
  const ProgramRun run = run_lariat(train);
  CAPTURE(run.err);
  REQUIRE(run.status == 0);
  const ProgramRun said = run_lariat({"predict", model, folder / "fresh.csv", "--json", folder / "p.json"});
  CAPTURE(said.err);
  CHECK(said.status == 0);
  const auto predictions = read_json(folder / "p.json")["predictions"];
  CHECK(predictions[0]["label"] == "not rain");
  CHECK(predictions[1]["label"] == "rain");
  CHECK(double(predictions[1]["values"][0]) == doctest::Approx(0.9).epsilon(0.1));
  std::vector<std::string> sides = train;
  sides.insert(sides.end(), {"--set", "loss.kind=hinge"});
  CHECK(contains(run_lariat(sides).err,
                 "t.csv: line 2: the target 'rain' is 0.1, but hinge learns which side"));
  // A number that is told from others is a class.
  std::vector<std::string> told = train;
  told.insert(told.end(), {"--set", "data.positive=0.55"});
  const ProgramRun refused = run_lariat(told);
  CHECK(refused.status == 2);
  CHECK(contains(refused.err, "positive = 0.55: must be one of 0.1, 0.14, "));
  // In a stream the same bits.
  const ProgramRun measured = run_lariat({"evaluate", model, "--data", table});
  CHECK(measured.status == 0);
  train.insert(train.end(), {"--set", "data.stream=true"});
  const ProgramRun streamed = run_lariat(train);
  const auto hash = [](const std::string& out) { return out.substr(out.find("state hash")); };
  CHECK(hash(streamed.out) == hash(run.out));
}

TEST_CASE("cli: outputs by name: the only one, one that is not read, figures, and data of another model") {
  if (!have_lariat()) return;
  const TemporaryFolder folder;
  std::string table = "a,b,sort,size\n";
  for (int i = 0; i < 120; ++i)
    table += fmt::format("{},{},{},{}\n", i * 37 % 120 - 60, i * 3 % 11 - 5,
                         i * 37 % 120 > 60 ? "big" : "small", i % 9);
  write_file(folder / "t.csv", table);
  const std::string recipe = folder / "r.toml", model = folder / "m.safetensors";
  const std::string data = "[data]\nkind = \"csv\"\npath = \"" + (folder / "t.csv") +
                           "\"\nfeatures = [\"a\", \"b\"]\n",
                    one = "[[layers]]\nkind = \"dense\"\nname = \"sorts\"\nunits = 2\n",
                    learns = "[[outputs]]\nlayer = \"sorts\"\nloss = \"softmax_cross_entropy\"\ntarget = ";
  const auto train = [&](const std::string& text, const std::vector<std::string>& more = {}) {
    write_file(recipe, text);
    std::vector<std::string> words{"train",       recipe,    "--out", model,
                                   "--no-report", "--quiet", "--set", "training.epochs=2"};
    words.insert(words.end(), more.begin(), more.end());
    return run_lariat(words);
  };
  CHECK(train(data + one + learns + "\"sort\"\n").status == 0);
  const ProgramRun measured = run_lariat({"evaluate", model, "--data", folder / "t.csv", "--split", "all"});
  CHECK(contains(measured.out, "examples     120\n"));
  write_file(folder / "start", read_file(model));
  write_file(folder / "one.csv", "a,b,sort,size\n1,2,big,3\n");
  const ProgramRun none = run_lariat({"evaluate", model, "--data", folder / "one.csv"});
  CHECK(none.status == 2);
  CHECK(contains(
      none.err, "none of its examples is of the split test; take --split train, or all of a file of rows\n"));
  CHECK(
      contains(train(data + "target = \"size\"\n" + one + learns + "\"sort\"\n").err,
               "[outputs.0] target = sort: is not among data.target = size, which says what is read; add it "
               "there, or leave data.target out."));
  const std::string learned =
      data + "target = \"sort\"\n" + one + "[loss]\nkind = \"softmax_cross_entropy\"\n";
  CHECK(contains(
      train(learned + "[[callbacks]]\nkind = \"early_stopping\"\nmonitor = \"validation_f1\"\n",
            {"--set", "data.validation=20"})
          .err,
      "monitor = validation_f1: an epoch has no such figure. The model does not measure f1: add it to its "
      "metrics ([metrics] kinds).\n"));
  CHECK(contains(train(data + "target = \"sort\"\n[[layers]]\nkind = \"dense\"\nname = \"other\"\nunits = 2\n"
                              "[loss]\nkind = \"softmax_cross_entropy\"\n",
                       {"--start", folder / "start"})
                     .err,
                 "has no tensor 'other/bias' of type f32[2]; give the recipe"));
  const auto of_share = [&](const std::string& share) {
    return train(learned, {"--set", "data.validation=" + share}).err;
  };
  CHECK(contains(of_share("0.2"),
                 "lariat: no example is left to validate on, of as few as there are; "
                 "data.validation = 0.2 is in percent; for a share of 0.2 write 20\n"));
  CHECK(contains(of_share("0.99"), "data.validation = 0.99 is in percent; for a share of 0.99 write 99\n"));
  CHECK_FALSE(contains(of_share("20"), "percent"));
  CHECK(train(learned + "[schedule]\nkind = \"piecewise\"\nat = [0.3, 6]\n").status == 0);
  CHECK(contains(train(learned + "[schedule]\nkind = \"piecewise\"\nat = [0.7, 1]\n").err,
                 "has at = 1 after 0.7, steps 1 and "));
  // What has no effect in an evaluation stays readable: models that earlier versions wrote have it.
  const ProgramRun vain =
      train(data +
            "target = \"sort\"\n[penalty]\nkernels = \"l2=1e-3\"\n[[layers]]\nkind = \"dense\"\nunits = 1\n"
            "kernel_penalty = \"l1=1e-3\"\n[loss]\nkind = \"sigmoid_cross_entropy\"\n[metrics]\nkinds = "
            "[\"f1 average=micro\"]\n");
  CHECK(vain.status == 0);
  CHECK(contains(vain.err,
                 "[metrics] kinds = f1 average=micro: average has no effect where one thing is learned"));
  CHECK(run_lariat({"evaluate", model, "--data", folder / "t.csv", "--split", "all"}).status == 0);
  write_file(
      recipe,
      data + one + "[[layers]]\nkind = \"dense\"\nname = \"sizes\"\ninput = \"features\"\nunits = 1\n" +
          learns +
          "\"sort\"\n[[outputs]]\nlayer = \"sizes\"\nloss = \"mean_squared_error\"\ntarget = \"size\"\n");
  const ProgramRun search =
      run_lariat({"search", recipe, "--score", "accuracy", "--over", "optimizer.learning_rate=0.1,0.2"});
  CHECK(search.status == 2);
  CHECK(contains(search.err,
                 "score = accuracy: of several outputs each has its own figures. Known: sorts/accuracy, "
                 "sizes/mean_squared_error, "));
}

}  // namespace lariat::cli_tables_test
