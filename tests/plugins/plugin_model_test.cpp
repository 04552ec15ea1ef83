// Saved models and the plugins that they need: an op of the same name is not taken for the one that was
// saved.
#include <filesystem>

#include "tests/support/files.hpp"
#include "tests/support/program.hpp"
#include "tests/support/testing.hpp"
#include "tests/support/toy_runs.hpp"

namespace lariat::plugin_model_test {

namespace {

namespace fs = std::filesystem;

std::string example(const std::string& name) { return LARIAT_BUILD_ROOT "/examples/" + name + ".so"; }

// A plugin with an op 'swish' that computes `formula`.
std::string other_swish(const testing::TemporaryFolder& folder, const std::string& file,
                        const std::string& plugin, const std::string& formula,
                        const std::string& domain = "") {
  testing::write_file(folder / (file + ".cpp"), R"(
#include "ops/plugin/lariat_op.hpp"
using namespace lariat::op;
static Op swish() {
  Op op = elementwise_with<1>("swish", "Another one.", {{"x"}}, [](const Attributes& a) {
    return [beta = a.real("beta")](auto x) { const auto b = static_cast<decltype(x)>(beta); return )" +
                                                    formula + R"(; };
  });
  op.attributes = {{"beta", Kind::real, "how steep", 1.0, {{0, 100}}}};
  op.domain = ")" + domain + R"(";
  return op;
}
LARIAT_PLUGIN(.name = ")" + plugin + R"(", .version = "2.0.0", .ops = {swish()})
)");
  const auto run = testing::run_lariat(
      {"-c", "g++ -std=c++20 -shared -fPIC -fvisibility=hidden -I'" LARIAT_SOURCE_ROOT "' -o '" +
                 folder / (file + ".so") + "' '" + folder / (file + ".cpp") + "'"},
      {.program = "/bin/sh"});
  REQUIRE_MESSAGE(run.status == 0, run.err);
  return folder / (file + ".so");
}

}  // namespace

TEST_CASE("plugin models: the op that was saved, no other one of its name, and no penalty for inference") {
  if (!testing::have_lariat()) return;
  const testing::TemporaryFolder folder;
  const std::string data = testing::write_images(folder), model = folder / "net.safetensors";
  testing::write_file(
      folder / "net.toml",
      "[data]\nkind = \"idx\"\n"
      "[[layers]]\nkind = \"dense\"\nunits = 8\nkernel_penalty = \"ordered_l1=1e-4:spread=2\"\n"
      "[[layers]]\nkind = \"op\"\nop = \"swish\"\nattributes = \"beta = 2\"\n"
      "[[layers]]\nkind = \"dense\"\n"
      "[optimizer]\nkind = \"adam\"\n[training]\nepochs = 1\nbatch_size = 16\n");
  const auto run = [&](std::vector<std::string> words, const std::vector<std::string>& plugins) {
    for (const std::string& plugin : plugins) {
      words.push_back("--plugin");
      words.push_back(plugin);
    }
    return testing::run_lariat(words);
  };
  const auto evaluate = [&](const std::vector<std::string>& plugins) {
    return run({"evaluate", model, "--data", data}, plugins);
  };
  const auto trained = run({"train", folder / "net.toml", "--data", data, "--out", model, "--seed", "1"},
                           {example("swish"), example("ordered_l1")});
  REQUIRE_MESSAGE(trained.status == 0, trained.err);

  // Only training needs the penalty.
  const auto figures = [](const std::string& out) { return out.substr(0, out.find("\ntime ")); };
  const auto without_penalty = evaluate({example("swish")});
  CAPTURE(without_penalty.err);
  CHECK(without_penalty.status == 0);
  CHECK(figures(without_penalty.out) == figures(evaluate({example("swish"), example("ordered_l1")}).out));

  const auto without = evaluate({});
  CHECK(without.status == 2);
  CHECK(without.err.starts_with("lariat: '" + model +
                                "' needs the op 'swish' of the plugin 'swish' version 1.0.0, which "
                                "is not loaded; load its plugin"));

  // One that is rounded otherwise is the same.
  CHECK(evaluate({other_swish(folder, "same", "swish", "x * fast::sigmoid(b * x)")}).status == 0);
  const auto refused = [&](const std::string& plugin, const std::string& why) {
    const auto evaluated = evaluate({plugin});
    CAPTURE(plugin);
    CAPTURE(evaluated.err);
    CHECK(evaluated.status == 2);
    CHECK(evaluated.err.starts_with("lariat: '" + model +
                                    "' needs the op 'swish' of the plugin 'swish' version 1.0.0; "
                                    "the one that is loaded, from the plugin '"));
    CHECK(evaluated.err.find(", " + why) != std::string::npos);
    CHECK(evaluated.err.ends_with("; load that plugin instead\n"));
  };
  refused(other_swish(folder, "values", "swish", "x / (1 + std::abs(b * x))"),
          "gives -0.5 where that one gives -0.268941");
  refused(other_swish(folder, "name", "acme", "x * fast::sigmoid(b * x)"), "is one of the plugin 'acme'");
  refused(other_swish(folder, "domain", "swish", "x * fast::sigmoid(b * x)", "acme.org"),
          "is one of the plugin 'swish', domain 'acme.org',");

  // What there is to see can be seen without any of them.
  const auto inspected = run({"inspect", model}, {});
  CAPTURE(inspected.err);
  CHECK(inspected.status == 0);
  CHECK(inspected.err.starts_with("lariat: '" + model + "' needs the op 'swish' of the plugin 'swish'"));
  CHECK(inspected.out.find("dense_1/kernel") != std::string::npos);
  CHECK(inspected.out.find("kernel_penalty=ordered_l1=0.0001:spread=2") != std::string::npos);
  CHECK(inspected.out.find("?") != std::string::npos);
  const auto known = run({"inspect", model}, {example("swish"), example("ordered_l1")});
  CHECK(known.status == 0);
  const auto last_line = [](const std::string& text) {
    return text.substr(text.rfind('\n', text.size() - 2) + 1);
  };
  CHECK(last_line(known.out) == last_line(inspected.out));
}

}  // namespace lariat::plugin_model_test
