// Every block of C++ in README.md and docs/*.md compiles as it is printed. Blocks that name a file are built
// and run by plugin_install_test.cpp.
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <sstream>

#include "frontends/recipe/tables.hpp"
#include "tests/support/files.hpp"
#include "tests/support/program.hpp"
#include "tests/support/testing.hpp"

namespace lariat::documentation_test {

namespace {

namespace fs = std::filesystem;

// What a block takes for granted, by its first line of code.
const std::map<std::string, std::string>& contexts() {
  static const std::map<std::string, std::string> all{
      {"auto loss = mean(softmax_cross_entropy(logits, labels)) + 1e-3 * sum(abs(W));",
       "Graph g;\n"
       "const Value logits = g.input(\"z\", {dim::batch, 10}), labels = g.input(\"y\", {dim::batch}, i32);\n"
       "const Value W = g.parameter(\"W\", {4, 4});\n"},
      {"Sequential classifier{Dense(64, relu, {.kernel_penalty = l1(1e-4)}), Dense(10)};",
       "data::Dataset train, validation;\n"},
      {"Graph g;", "constexpr int64_t measurements = 100, units = 16;\nconst Tensor train_x, train_y;\n"},
      {"Sequential model{Dense(512, relu, {.kernel_penalty = l1(1e-4)}), Dropout(0.2), Dense(10)};",
       "data::Dataset train, test;\n"},
      {"const Value z = csr_matmul(values, columns, row_starts, w) + b;     // or matmul(X, w)",
       "Graph g;\n"
       "const Value values = g.input(\"v\", {3}), columns = g.input(\"c\", {3}, i32);\n"
       "const Value row_starts = g.input(\"s\", {3}, i32), y = g.input(\"y\", {2});\n"
       "const Value w = g.parameter(\"w\", {2}), b = g.parameter(\"b\", {});\n"},
      {"const std::shared_ptr<Ranks> ranks = mpi_ranks();  // nullptr: this process is alone", ""},
      {"const ModelValue heard = input(\"heard\"), asked = input(\"asked\");", ""},
      {"const ModelValue x = input();", ""},
      {"data::Dataset train = data::dataset_of_sequences(x, lengths, y);   // [n, frames, features], [n], "
       "[n, most], "
       "0 behind the end",
       "const Tensor x, lengths, y;\ndata::Dataset test;\n"},
      {"Recipe recipe = Recipe::load(\"digits.toml\");", ""},
      {"const auto program = inference_program(graph, {&y, 1}, &store);",
       "Graph graph;\n"
       "const Value y = 2 * graph.input(\"x\", {1, 3});\n"
       "const Tensor x(f32, {1, 3});\n"
       "const Store store;\n"
       "const auto executor = make_tbb_executor();\n"
       "const std::vector<std::vector<float>> examples;\n"},
      {"struct Noise : data::Source {          // asked by many threads at once; the same each time",
       "static const auto my_values = [](int64_t, std::span<float>) {};\n"
       "const auto label_of = [](int64_t i) { return static_cast<int>(i % 2); };\n"}};
  return all;
}

// A block in a namespace of its own, after the includes that it has.
struct Block {
  std::string includes = "#include <iostream>\n#include <lariat/lariat.hpp>\n", first, text;
};

Block read_block(std::istream& lines, const std::string& page, int& line_number) {
  Block block;
  std::string directives, body = fmt::format("#line {} \"{}\"\n", line_number + 1, page);
  for (std::string line; std::getline(lines, line) && ++line_number && line != "```";) {
    const bool is_include = line.starts_with("#include"), is_directive = line.starts_with("using namespace");
    if (!is_include && !is_directive && block.first.empty()) block.first = line;
    if (is_include) block.includes += line + "\n";
    if (is_directive) directives += line + "\n";
    // What stands elsewhere leaves its line.
    body += (is_include || is_directive ? "" : line) + "\n";
  }
  const auto context = contexts().find(block.first);
  block.text = fmt::format("{{\nusing namespace lariat;\n{}void block() {{\n{}{{\n{}}}\n}}\n}}\n", directives,
                           context == contexts().end() ? "" : context->second, body);
  return block;
}

}  // namespace

TEST_CASE("the C++ of README.md and docs compiles as it is printed") {
  const testing::ProgramRun found = testing::run_lariat({"-c", "command -v g++"}, {.program = "/bin/sh"});
  if (found.status != 0) return testing::skip("g++ is missing; ./run test installs it");
  const std::string root = LARIAT_SOURCE_ROOT;
  std::vector<std::string> pages{root + "/README.md"};
  for (const auto& entry : fs::directory_iterator(root + "/docs"))
    if (entry.path().extension() == ".md") pages.push_back(entry.path());
  // Blocks with the same includes are compiled together.
  std::map<std::string, std::string> units;
  size_t blocks = 0;
  for (const std::string& page : pages) {
    std::istringstream lines(testing::read_file(page));
    int line_number = 0;
    for (std::string line; std::getline(lines, line);) {
      ++line_number;
      if (line != "```cpp") continue;
      const Block block = read_block(lines, page, line_number);
      CAPTURE(block.text);
      CHECK(contexts().contains(block.first));
      units[block.includes] += fmt::format("namespace block_{} ", blocks++) + block.text;
    }
  }
  CHECK(blocks == contexts().size());
  const testing::TemporaryFolder folder;
  for (const auto& [includes, text] : units) {
    testing::write_file(folder / "unit.cpp", includes + text);
    const testing::ProgramRun run =
        testing::run_lariat({"-c", "g++ -std=c++20 -fsyntax-only -I'" + root + "/examples/include' -I'" +
                                       root + "' '" + folder / "unit.cpp" + "'"},
                            {.program = "/bin/sh"});
    CAPTURE(run.err);
    CHECK(run.status == 0);
  }
}

namespace {

// The kinds of a table, with their keys and defaults.
std::string kinds_table(const SpecKinds& kinds) {
  std::string text = "| kind | | keys |\n| --- | --- | --- |\n";
  for (const SpecKind* kind : kinds) {
    std::string keys;
    for (const SpecOption& option : kind->options)
      keys += (keys.empty() ? "`" : ", `") + option.name +
              (option.default_value.empty() ? "`" : " = " + option.default_value + "`");
    text += "| `" + kind->name + "` | " + kind->doc + " | " + keys + " |\n";
  }
  return text;
}

}  // namespace

TEST_CASE("docs/training.md has the tables of the records") {
  const std::string page = testing::read_file(std::string(LARIAT_SOURCE_ROOT) + "/docs/training.md");
  for (const SpecKinds* kinds : {&optimizer_spec_kinds(), &schedule_spec_kinds(), &callback_spec_kinds()}) {
    const std::string table = kinds_table(*kinds);
    INFO("docs/training.md should have\n" << table);
    CHECK(testing::contains(page, table));
  }
}

TEST_CASE("docs/reference.md is what the program prints") {
  const testing::ProgramRun run = testing::run_lariat({"recipe", "reference"});
  CHECK(run.status == 0);
  // Again: build/lariat recipe reference > docs/reference.md
  CHECK(testing::read_file(std::string(LARIAT_SOURCE_ROOT) + "/docs/reference.md") == run.out);
}

}  // namespace lariat::documentation_test
