// The plugins of examples/plugins as equal citizens of this process.
#include "ops/plugin/loader.hpp"

#include <filesystem>

#include "autodiff/check/gradcheck.hpp"
#include "autodiff/check/op_check.hpp"
#include "autodiff/training/trainer.hpp"
#include "frontends/sequential/model_file.hpp"
#include "frontends/sequential/sequential.hpp"
#include "graph/base/error.hpp"
#include "graph/exec/executor.hpp"
#include "graph/ir/parse.hpp"
#include "graph/ir/print.hpp"
#include "graph/ir/registry.hpp"
#include "graph/passes/pass_list.hpp"
#include "graph/program/program.hpp"
#include "ops/ops.hpp"
#include "tests/ops/kernel_runner.hpp"
#include "tests/support/files.hpp"
#include "tests/support/testing.hpp"
#include "tests/support/toy_data.hpp"

namespace lariat::plugin_test {

using testing::message_of;

namespace {

std::string example(const std::string& name) { return LARIAT_BUILD_ROOT "/examples/" + name + ".so"; }

void load_examples() {
  for (const char* name : {"swish", "rms_norm", "ordered_l1"}) load_plugin(example(name));
}

Tensor evaluate_one(Graph& graph, Value value, const Feeds& feeds) {
  graph.output("y", value);
  Program program(graph);
  Store store;
  return program.run(feeds, store, *make_serial_executor())[0];
}

}  // namespace

TEST_CASE("plugin: loading gives its name and ops, and the second time does nothing") {
  const std::string file = example("swish");
  const Plugin& plugin = load_plugin(file);
  CHECK(plugin.name == "swish");
  CHECK(plugin.version == "1.0.0");
  CHECK(plugin.ops.size() == 1);
  const size_t before = loaded_plugins().size();
  CHECK(&load_plugin(example("../examples/swish")) == &plugin);
  CHECK(loaded_plugins().size() == before);
  const OpDef& op = registry().get("swish");
  CHECK(origin_of(op) == "the plugin 'swish' version 1.0.0 ('" + plugin.file + "')");
  CHECK(origin_of(registry().get("tanh")).empty());
}

TEST_CASE("plugin: a file that is none") {
  const testing::TemporaryFolder folder;
  testing::write_file(folder / "text.so", "no library");
  const auto message = [&](const std::string& file) {
    return message_of<UserError>([&] { load_plugin(file); });
  };
  CHECK(message(folder / "none.so") ==
        "plugin '" + folder / "none.so" + "': there is no such file; give the path of a shared object");
  CHECK(message(folder.text()) ==
        "plugin '" + folder.text() + "': there is no such file; give the path of a shared object");
  CHECK(
      message(folder / "text.so").starts_with("plugin '" + folder / "text.so" + "': it cannot be loaded: "));
}

TEST_CASE("plugin: ops of the examples pass every check that their authors can run") {
  load_examples();
  for (const char* name : {"swish", "rms_norm", "ordered_l1", "ordered_l1_prox", "ordered_l1_residual"}) {
    CAPTURE(name);
    const OpDef& op = registry().get(name);
    const GradcheckResult result = gradcheck(op);
    CAPTURE(result.detail);
    CHECK(result.passed);
    CHECK(result.checks > 0);
    int checks = 0;
    for (const OpFinding& finding : check_op(op)) {
      CAPTURE(finding.check);
      CHECK(finding.fault == "");
      CHECK(finding.not_run == "");
      ++checks;
    }
    CHECK(checks >= 7);
  }
  // Nodes can be differentiated again, a kernel cannot.
  CHECK(registry().get("swish").traits.second_order);
  CHECK_FALSE(registry().get("rms_norm").traits.second_order);
}

TEST_CASE("plugin: an element-wise op is fused with built-in ones") {
  load_examples();
  Graph graph;
  const Value x = graph.input("x", {dim::batch, 100});
  graph.output("y", exp(build("swish", {x * 2}, {{"beta", 3.0}})) + 1);
  const auto optimized = optimize(graph);
  int fused = 0, others = 0;
  for (int32_t id = 0; id < optimized->size(); ++id) {
    fused += optimized->node(id).op->name == "fused";
    others += optimized->node(id).op->name == "swish";
  }
  CHECK(fused == 1);
  CHECK(others == 0);
  Program program(graph);
  Store store;
  const Tensor data = testing::random_tensor<float>({7, 100}, 1);
  const Tensor serial = program.run({{"x", data}}, store, *make_serial_executor())[0];
  for (int64_t i = 0; i < data.count(); ++i) {
    const double v = 2 * data.at(i);
    CHECK(serial.at(i) == doctest::Approx(std::exp(v / (1 + std::exp(-3 * v))) + 1).epsilon(1e-5));
  }
  CHECK(same_bits(serial, program.run({{"x", data}}, store, *make_tbb_executor(4))[0]));
}

TEST_CASE("plugin: a graph with its ops is printed and read again") {
  load_examples();
  Graph graph, again;
  const Value x = graph.input("x", {dim::batch, 4});
  graph.output("y", build("rms_norm", {build("swish", {x}, {{"beta", 2.0}}, "s")}));
  parse_graph(to_text(graph), again);
  CHECK(to_text(again) ==
        "%0 = input() {dtype=f32, shape=shape[batch, 4]} : f32[batch, 4] \"x\"\n"
        "%1 = swish(%0) {beta=2.0} : f32[batch, 4] \"s\"\n"
        "%2 = rms_norm(%1) : f32[batch, 4], f32[batch]\n"
        "output y = %2\n");
}

TEST_CASE("plugin: mistakes in their use are told like those with built-in ops") {
  load_examples();
  Graph graph;
  const Value x = graph.input("x", {2, 3}), scalar = graph.input("s", {});
  CHECK(message_of<UserError>([&] {
          build("swish", {x}, {{"beta", -1.0}}, "a");
        }).ends_with(": 'beta' is -1; it must lie in [0, 100]"));
  CHECK(message_of<UserError>([&] {
          build("swish", {x}, {{"bta", 1.0}});
        }).ends_with(": there is no attribute 'bta'. Did you mean 'beta'?"));
  CHECK(message_of<UserError>([&] {
          build("rms_norm", {scalar}, {}, "n");
        }).ends_with(": x is a scalar; it needs an axis to be normalised along"));
  CHECK(message_of<UserError>([&] { build("swisch", {x}); }) ==
        "there is no op 'swisch'. Did you mean 'swish'?");
}

TEST_CASE("plugin: a gradient by kernel has the inputs that are needed") {
  load_examples();
  Graph graph;
  const Value x = graph.input("x", {2, 3}, f64);
  const Value y = build("rms_norm", {x});
  CHECK(output_of(y, 1).shape() == Shape{2});
  const Tensor data = Tensor::of<double>({2, 3}, {1, 2, 3, -1, 0.5, 2});
  const Tensor value = evaluate_one(graph, y, {{"x", data}});
  const double scale = 1 / std::sqrt(14.0 / 3 + 1e-6);
  for (int i = 0; i < 3; ++i) CHECK(value.at(i) == doctest::Approx((i + 1) * scale));
}

TEST_CASE("plugin: a penalty is rewritten by the pass that knows L1") {
  load_examples();
  const auto train = [](bool rewrite) {
    Graph g;
    const Value x = g.input("x", {dim::batch, 8}), y = g.input("y", {dim::batch, 1});
    const Value w = g.parameter("w", {8, 1});
    const Value loss = mean(square(matmul(x, w) - y)) + 0.02 * build("ordered_l1", {w}, {{"spread", 10.0}});
    Trainer trainer(loss, Sgd{.learning_rate = 0.5}, {.threads = 1, .rewrite = rewrite});
    const Tensor features = testing::random_tensor<float>({2048, 8}, 3);
    Tensor labels(f32, {2048, 1});
    for (int i = 0; i < 2048; ++i)
      labels.data<float>()[i] = features.data<float>()[8 * i] + 0.99f * features.data<float>()[8 * i + 1];
    for (int i = 0; i < 100; ++i) trainer.step({{x, features}, {y, labels}});
    return std::tuple{trainer.report().text(), trainer.value(w),
                      trainer.certify({{"x", features}, {"y", labels}})};
  };
  const auto [report, weights, certificate] = train(true);
  CHECK(report.starts_with("w: 0.02 * ordered |w| -> ordered soft threshold, metric SGD"));
  CHECK(report.find("one step for all") != std::string::npos);
  CHECK(sparsity(weights).zeros == 6);
  CHECK(weights.at(0) == weights.at(1));  // pooled
  CHECK(certificate.prox_residual() < 1e-5);
  REQUIRE(certificate.distance().has_value());
  CHECK(*certificate.distance() < 1e-5);
  CHECK(sparsity(std::get<1>(train(false))).zeros == 0);
}

TEST_CASE("plugin: a saved model needs it, and says so") {
  load_examples();
  const testing::TemporaryFolder folder;
  Sequential model{Dense(6), OpLayer("swish", "beta = 2"), OpLayer("rms_norm"), Dense(0)};
  CHECK(message_of<UserError>([] { OpLayer(""); }) == "op: op = '': must be the name of an op");
  model.compile(Adam{.learning_rate = 1e-2});
  const data::Dataset dataset = testing::points(60, 3, 4, 1);
  model.fit(dataset, {.epochs = 2, .batch_size = 20});
  model.save(folder / "model.safetensors");
  Sequential again = Sequential::load(folder / "model.safetensors");
  CHECK(again.parameter_hash() == model.parameter_hash());
  CHECK(again.predict(dataset)[0].probabilities == model.predict(dataset)[0].probabilities);
  // A file that names another plugin: nothing is loaded for it.
  std::string bytes = testing::read_file(folder / "model.safetensors");
  const auto replace = [&](const std::string& from, const std::string& to) {
    REQUIRE(from.size() == to.size());
    const size_t at = bytes.find(from);
    REQUIRE(at != std::string::npos);
    bytes.replace(at, from.size(), to);
  };
  replace(R"(\"op\":\"swish\",\"op_version\")", R"(\"op\":\"twist\",\"op_version\")");
  testing::write_file(folder / "other.safetensors", bytes);
  Store other = Store::load(folder / "other.safetensors");
  seal(other, model_format);
  other.save(folder / "other.safetensors");
  CHECK(message_of<UserError>([&] { Sequential::load(folder / "other.safetensors"); }) ==
        "'" + folder / "other.safetensors" +
            "' needs the op 'twist' of the plugin 'swish' version 1.0.0, which is not loaded; load its "
            "plugin with "
            "--plugin FILE, by load_plugin(path), or from a folder that LARIAT_PLUGIN_PATH names");
}

TEST_CASE("plugin: a penalty of a layer's weights") {
  load_examples();
  const testing::TemporaryFolder folder;
  Sequential model{Dense(6, relu, {.kernel_penalty = {.by_op = {{"ordered_l1", 0.1}}}}), Dense(0)};
  model.compile(Adam{.learning_rate = 1e-2});
  const data::Dataset dataset = testing::points(60, 3, 4, 1);
  model.fit(dataset, {.epochs = 40, .batch_size = 20});
  CHECK(model.report().text().find("dense_1/kernel: 0.1 * ordered |dense_1/kernel|") != std::string::npos);
  CHECK(model.zeros()[1].penalty == "ordered_l1=0.1");
  CHECK(model.zeros()[1].sparsity.zeros > 0);
  model.save(folder / "model.safetensors");
  CHECK(Sequential::load(folder / "model.safetensors").parameter_hash() == model.parameter_hash());
  CHECK(testing::read_file(folder / "model.safetensors").find("\\\"op\\\":\\\"ordered_l1\\\"") !=
        std::string::npos);
}

TEST_CASE("plugin: the layer 'op' refuses what it cannot take") {
  load_examples();
  const auto message = [](const OpLayer& layer) {
    return message_of<UserError>([&] {
      Sequential model{layer, Dense(2)};
      model.compile(Sgd{});
      model.build({.sequences = false, .dimensions = 3, .classes = {"a", "b"}});
    });
  };
  CHECK(message(OpLayer("swisch")) ==
        "layer op_1: there is no op 'swisch' (nearest: 'swish'); if it is a plugin's, load its plugin with "
        "--plugin "
        "FILE, by load_plugin(path), or from a folder that LARIAT_PLUGIN_PATH names");
  CHECK(message(OpLayer("add")) ==
        "layer op_1: 'add' takes 2 inputs, the layer's and weights; say once what 'b' is: weights = b = "
        "channels");
  CHECK(message(OpLayer("concat")) ==
        "layer op_1: 'concat' is no op of a layer; name one of a known number of inputs");
  const auto with_weights = [&](const std::string& weights) {
    return message(OpLayer("add", "", {.weights = weights}));
  };
  CHECK(with_weights("c = channels") ==
        "layer op_1: weights = c = channels: 'c' is no input of 'add' behind its first. Known: b.");
  CHECK(with_weights("b = -1") ==
        "layer op_1: weights = b = -1: 'b' needs sizes from 1 up, or channels, such as channels 32");
  CHECK(with_weights("b = channels : glorot") ==
        "layer op_1: weights = b = channels : glorot: 'b' is no matrix, which glorot is for");
  CHECK(with_weights("b = channels : x") ==
        "layer op_1: weights = b = channels : x: 'b' begins at 'x'; it must be a number or glorot");
  CHECK(message(OpLayer("swish", "beta = x")) ==
        "layer op_1: attributes = beta = x: 'beta' must be a number");
  CHECK(message(OpLayer("swish", "gamma = 1")) ==
        "layer op_1: attributes = gamma = 1: 'swish' has no attribute 'gamma'. Known: beta.");
  CHECK(message(OpLayer("sum")) ==
        "layer op_1: 'sum' makes [] of [batch, 3]; a layer keeps batch and has channels of a known number");
}

TEST_CASE("plugin: LARIAT_PLUGIN_PATH names folders, never the working one") {
  const testing::TemporaryFolder folder;
  std::filesystem::copy(example("swish"), folder / "a_copy.so");
  testing::write_file(folder / "b.so", "no library");
  testing::write_file(folder / "c.txt", "not looked at");
  load_examples();
  setenv("LARIAT_PLUGIN_PATH", (folder.text() + ":.:relative").c_str(), 1);
  const std::vector<std::string> notices = load_plugins();
  unsetenv("LARIAT_PLUGIN_PATH");
  REQUIRE(notices.size() == 4);
  CHECK(notices[0] ==
        "LARIAT_PLUGIN_PATH: '.' is no absolute path and is left out; plugins are not taken from the working "
        "folder");
  CHECK(notices[1].starts_with("LARIAT_PLUGIN_PATH: 'relative' is no absolute path"));
  CHECK(notices[2] ==
        "left out: plugin '" + folder / "a_copy.so" + "': its op 'swish' is known already from '" +
            std::filesystem::canonical(example("swish")).string() + "'; load one of the two, or rename it");
  CHECK(notices[3].starts_with("left out: plugin '" + folder / "b.so" + "': it cannot be loaded: "));
}

TEST_CASE("plugin: an op of several inputs is a layer with weights, which may have penalties") {
  load_examples();
  const testing::TemporaryFolder folder;
  Sequential model{OpLayer("multiply", "", {.weights = "b = channels : 1", .weight_penalty = l1(0.05)}),
                   OpLayer("matmul", "", {.weights = "b = channels 6"}), Dense(0)};
  model.compile(Adam{.learning_rate = 1e-2});
  const data::Dataset dataset = testing::points(60, 3, 4, 1);
  model.fit(dataset, {.epochs = 20, .batch_size = 20});
  const std::vector<TensorZeros> zeros = model.zeros();
  REQUIRE(zeros.size() == 4);
  CHECK(zeros[2].name == "op_1/b");
  CHECK(zeros[2].penalty == "l1=0.05");
  CHECK(zeros[2].extents == Extents{4});
  CHECK(zeros[3].extents == Extents{4, 6});
  CHECK(model.report().text().find("op_1/b: 0.05 * |op_1/b|") != std::string::npos);
  model.save(folder / "model.safetensors");
  CHECK(Sequential::load(folder / "model.safetensors").parameter_hash() == model.parameter_hash());
}

TEST_CASE("plugin: a penalty's attributes in a recipe") {
  load_examples();
  const auto parsed = [](const std::string& text) { return parse_weight_penalty("kernel_penalty", text); };
  for (const char* text : {"ordered_l1=0.1:spread=3", "l1=0.5,norm2=0.001:axes=1:keep_dims=true"})
    CHECK(to_text(parsed(text)) == text);
  const WeightPenalty ordered{.by_op = {{"ordered_l1", {0.1, {{"spread", "3"}}}}}};
  CHECK(parsed("ordered_l1=0.1:spread=3") == ordered);
  CHECK_FALSE(parsed("ordered_l1=0.1") == ordered);
  Graph graph;
  const Value value = penalty_of(graph.parameter("w", {2, 2}), ordered);
  Store store;
  store.set("w", Tensor::of<float>({2, 2}, {1, -2, 0, 0}));
  graph.output("y", value);
  Program program(graph);
  // Weights from 4 to 1 by rank: 4·2 + 3·1.
  CHECK(program.run({}, store, *make_serial_executor())[0].at(0) == doctest::Approx(1.1));
  const auto message = [&](const std::string& text) { return message_of<UserError>([&] { parsed(text); }); };
  CHECK(message("ordered_l1=0.1:width=3") ==
        "kernel_penalty = ordered_l1=0.1:width=3: 'ordered_l1' has no attribute 'width'. Known: spread.");
  CHECK(message("ordered_l1=0.1:spread=x") ==
        "kernel_penalty = ordered_l1=0.1:spread=x: 'spread' must be a number");
  CHECK(message("ordered_l1=0.1:spread=1:spread=2") ==
        "kernel_penalty = ordered_l1=0.1:spread=1:spread=2: 'spread' is there twice");
}

}  // namespace lariat::plugin_test
