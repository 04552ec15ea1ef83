// Lariat as it is installed, in another place than it was installed to: the page docs/write_an_op.md, as
// printed, and what `lariat plugin new` writes, with each compiler.
#include <algorithm>
#include <sstream>

#include "graph/base/version.hpp"
#include "graph/ir/registry.hpp"
#include "ops/plugin/loader.hpp"
#include "tests/support/files.hpp"
#include "tests/support/program.hpp"
#include "tests/support/testing.hpp"
#include "tests/support/toy_runs.hpp"

namespace lariat::plugin_install_test {

namespace {

namespace fs = std::filesystem;

testing::ProgramRun shell(const std::string& script,
                          const std::map<std::string, std::string>& environment = {}) {
  return testing::run_lariat({"-ec", script}, {.program = "/bin/bash", .environment = environment});
}

// Installed once for all tests, then moved.
struct Installation {
  testing::TemporaryFolder folder;
  std::string prefix = folder / "moved";
  std::map<std::string, std::string> environment;

  Installation() {
    const auto run = shell("meson install -C '" LARIAT_BUILD_ROOT "' --no-rebuild --quiet --destdir '" +
                           folder / "stage" + "' && mv \"$(dirname \"$(dirname \"$(find '" +
                           folder / "stage" + "' -path '*/bin/lariat')\")\")\" '" + prefix + "'");
    REQUIRE_MESSAGE(run.status == 0, run.err);
    const auto found = shell("dirname \"$(find '" + prefix + "' -name lariat-op.pc)\"");
    const std::string path = std::getenv("PATH");
    environment = {{"PATH", prefix + "/bin:" + path},
                   {"PKG_CONFIG_PATH", found.out.substr(0, found.out.size() - 1)},
                   {"LC_ALL", "C"}};
  }
};

Installation& installation() {
  static Installation instance;
  return instance;
}

bool have_tools() {
  if (!testing::have_lariat()) return false;
  if (shell("for tool in meson ninja make pkg-config g++ clang++ nm; do command -v $tool; done").status == 0)
    return true;
  testing::skip("meson, make, pkg-config, g++ or clang++ is missing; ./run test installs them");
  return false;
}

struct Block {
  std::string language, file, text;
};

// The fenced blocks of a page: "```cpp dir/file.cpp" names a file to write.
std::vector<Block> blocks_of(const std::string& page) {
  std::vector<Block> blocks;
  std::istringstream lines(page);
  bool inside = false;
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("```")) {
      inside = !inside;
      if (inside) {
        std::istringstream words(line.substr(3));
        blocks.emplace_back();
        words >> blocks.back().language >> blocks.back().file;
      }
    } else if (inside) {
      blocks.back().text += line + "\n";
    }
  }
  return blocks;
}

}  // namespace

TEST_CASE("installed: the page docs/write_an_op.md works as printed") {
  if (!have_tools()) return;
  const testing::TemporaryFolder folder;
  fs::create_directory(folder / "mnist");
  fs::copy(testing::write_images(folder), folder / "mnist", fs::copy_options::recursive);
  int commands = 0, files = 0;
  for (const Block& block : blocks_of(testing::read_file(LARIAT_SOURCE_ROOT "/docs/write_an_op.md"))) {
    CAPTURE(block.text);
    if (!block.file.empty()) {
      testing::write_file(folder / block.file, block.text);
      ++files;
      continue;
    }
    REQUIRE(block.language == "sh");
    const auto run = shell("cd '" + folder.text() + "'\n" + block.text, installation().environment);
    CAPTURE(run.out);
    CAPTURE(run.err);
    REQUIRE(run.status == 0);
    ++commands;
  }
  CHECK(commands == 5);
  CHECK(files == 3);
  const auto without = shell("cd '" + folder.text() + "' && lariat evaluate net.safetensors --data mnist",
                             installation().environment);
  CHECK(without.status == 2);
  CHECK(without.err ==
        "lariat: 'net.safetensors' needs the op 'hard_swish' of the plugin 'hard_swish' version 0.1.0, which "
        "is not "
        "loaded; load its plugin with --plugin FILE, by load_plugin(path), or from a folder that "
        "LARIAT_PLUGIN_PATH "
        "names\n");
}

TEST_CASE("installed: the program of README.md is built by pkg-config, meson and CMake as printed") {
  if (!have_tools()) return;
  const testing::TemporaryFolder folder;
  std::string compile;
  int files = 0;
  for (const Block& block : blocks_of(testing::read_file(LARIAT_SOURCE_ROOT "/README.md"))) {
    if (!block.file.empty()) testing::write_file(folder / block.file, block.text), ++files;
    if (block.language == "sh" && block.text.starts_with("g++ ")) compile = block.text;
  }
  CHECK(files == 3);
  REQUIRE_FALSE(compile.empty());
  const auto run =
      shell("cd '" + folder.text() + "'\n" + compile +
                "./zeros >by_hand\n"
                "meson setup by_meson >/dev/null && ninja -C by_meson >/dev/null && by_meson/zeros >meson\n"
                "cmake -S . -B by_cmake -DCMAKE_PREFIX_PATH='" +
                installation().prefix +
                "' >/dev/null && cmake --build by_cmake >/dev/null && by_cmake/zeros >cmake\n"
                "cmp by_hand meson && cmp by_hand cmake && cat by_hand\n",
            installation().environment);
  CAPTURE(run.out);
  CAPTURE(run.err);
  CHECK(run.status == 0);
  CHECK(run.out.find("0, 0") != std::string::npos);
}

TEST_CASE(
    "installed: the template builds with g++ and clang++, by make and by meson, from the moved "
    "installation") {
  if (!have_tools()) return;
  const testing::TemporaryFolder folder;
  fs::create_directory(folder / "mnist");
  fs::copy(testing::write_images(folder), folder / "mnist", fs::copy_options::recursive);
  testing::write_file(folder / "net.toml",
                      "[data]\nkind = \"idx\"\n"
                      "[[layers]]\nkind = \"dense\"\nunits = 8\n[[layers]]\nkind = \"op\"\nop = \"my_op\"\n"
                      "[[layers]]\nkind = \"dense\"\n"
                      "[optimizer]\nkind = \"adam\"\n[training]\nepochs = 2\nbatch_size = 16\n");
  const std::string use =
      "lariat plugin check project/my_op.so\n"
      "lariat train net.toml --data mnist --out net.safetensors --seed 1 --plugin project/my_op.so\n"
      "lariat evaluate net.safetensors --data mnist --plugin project/my_op.so\n"
      "if lariat evaluate net.safetensors --data mnist; then exit 1; fi\n";
  const auto run = shell(
      "cd '" + folder.text() +
          "'\n"
          "lariat plugin new my_op project\n"
          "make -C project CXX=clang++ CXXFLAGS='-O2 -Werror'\n" +
          use + "make -C project clean\nmake -C project CXX=g++ CXXFLAGS='-O2 -Werror'\n" + use +
          "CXX=g++ meson setup --werror project/build project >/dev/null && ninja --quiet -C project/build\n"
          "plugins=$(pkg-config --variable=plugins lariat-op)\n"
          "test -d \"$plugins\"\n"
          "cp project/build/my_op.so \"$plugins\"\n"
          "lariat ops list | grep '^my_op '\n"
          "lariat gradcheck my_op\n"
          "nm -D --defined-only project/build/my_op.so project/my_op.so\n"
          "rm \"$plugins/my_op.so\"\n",
      installation().environment);
  CAPTURE(run.out);
  CAPTURE(run.err);
  CHECK(run.status == 0);
  CHECK(run.out.find("x / (1 + |x|).") != std::string::npos);  // ops list
  CHECK(run.out.find("1 of 1 ops passed") != std::string::npos);
  CHECK(run.out.find("FAULT") == std::string::npos);
}

TEST_CASE(
    "installed: every kind of template builds for any machine and passes its check, and so do the examples") {
  if (!have_tools()) return;
  const testing::TemporaryFolder folder;
  const auto run =
      shell("cd '" + folder.text() +
                "'\n"
                "for kind in op kernel penalty c; do\n"
                "  lariat plugin new my_$kind $kind --kind $kind\n"
                "  grep -q 'march=native$' $kind/Makefile $kind/meson.build && exit 1\n"
                "  make -C $kind CXX=g++ CC=gcc CXXFLAGS='-O2 -Werror' CFLAGS='-O2 -Werror'\n"
                "  lariat plugin check $kind/my_$kind.so\n"
                "  make -C $kind clean\n"
                "  make -C $kind CXX=clang++ CC=clang CXXFLAGS='-O2 -Werror' CFLAGS='-O2 -Werror'\n"
                "  lariat plugin check $kind/my_$kind.so\n"
                "done\n"
                // A word of the language is a name as good as any.
                "for kind in op kernel penalty c; do\n"
                "  lariat plugin new int \"my $kind\" --kind $kind\n"
                "  make -C \"my $kind\" CXX=g++ CC=gcc CXXFLAGS='-O1 -Werror' CFLAGS='-O1 -Werror'\n"
                "done\n"
                "lariat plugin check 'my op/int.so'\n"
                "meson setup --werror c/build c >/dev/null && ninja --quiet -C c/build\n"
                "lariat plugin check c/build/my_c.so\n"
                "share=$(dirname \"$(dirname \"$(command -v lariat)\")\")/share\n"
                "test -f \"$share/doc/lariat/write_an_op.md\"\n"
                "test -f \"$share/lariat/examples/demo.toml\"\n"
                "for source in \"$share\"/lariat/examples/plugins/*.cpp; do\n"
                "  g++ -std=c++20 -O1 -fPIC -fvisibility=hidden $(pkg-config --cflags lariat-op) -shared -o "
                "example.so "
                "\"$source\" $(pkg-config --libs lariat-op)\n"
                "  lariat plugin check example.so\n"
                "done\n",
            installation().environment);
  CAPTURE(run.out);
  CAPTURE(run.err);
  CHECK(run.status == 0);
  CHECK(run.out.find("FAULT") == std::string::npos);
  CHECK(run.out.find("not run") == std::string::npos);
}

TEST_CASE("installed: programs link with what pkg-config says, and headers are in nobody's way") {
  if (!have_tools()) return;
  const testing::TemporaryFolder folder;
  testing::write_file(folder / "recipe.cpp",
                      "#include <cstdio>\n#include <frontends/recipe/recipe.hpp>\n"
                      "int main(int, char** words) {"
                      " std::puts(lariat::Recipe::load(words[1]).to_json().c_str()); }\n");
  // A program with folders of its own that are called as Lariat's are.
  fs::create_directories(folder.path() / "own/graph");
  fs::create_directories(folder.path() / "own/ops");
  testing::write_file(folder / "own/graph/graph.hpp", "inline int own_graph = 3;\n");
  testing::write_file(folder / "own/ops/ops.hpp", "inline int own_ops = 4;\n");
  testing::write_file(folder / "own.cpp",
                      "#include <lariat/frontends/sequential/sequential.hpp>\n#include <lariat/lariat.hpp>\n"
                      "#include <graph/graph.hpp>\n#include <ops/ops.hpp>\n"
                      "int main() { lariat::Graph graph; return own_graph + own_ops - 7 + graph.size(); }\n");
  const auto run =
      shell("cd '" + folder.text() +
                "'\n"
                "for how in '' --static; do\n"
                "  g++ -std=c++20 recipe.cpp $(pkg-config $how --cflags --libs lariat) -o recipe\n"
                "  ./recipe '" LARIAT_SOURCE_ROOT
                "/examples/demo.toml' | grep -q '\"kind\":\"demo\"'\n"
                "done\n"
                "g++ -std=c++20 own.cpp $(pkg-config --cflags lariat) -Iown $(pkg-config --libs lariat) -o "
                "own.out\n./own.out\n"
                "cd '" +
                installation().prefix +
                "/include'\nls\n"
                "find . -name '*.hpp' | while read -r header; do\n"
                "  if grep -nE '#include \"(graph|ops|autodiff|frontends)/' \"$header\"; then exit 1; fi\n"
                "done\n"
                "test ! -e lariat/frontends/cli && test ! -e lariat/graph/passes/rewrite.hpp\n"
                "pkg-config --cflags lariat | tr ' ' '\\n' | grep '^-I'\n",
            installation().environment);
  CAPTURE(run.out);
  CAPTURE(run.err);
  CHECK(run.status == 0);
  CHECK(run.out.starts_with("lariat\n-I"));  // one folder, and one -I
  CHECK(std::count(run.out.begin(), run.out.end(), '\n') == 2);
}

TEST_CASE("installed: plugin new refuses names and folders") {
  if (!testing::have_lariat()) return;
  const testing::TemporaryFolder folder;
  testing::write_file(folder / "taken", "");
  const auto error = [&](const std::string& name, const std::string& where) {
    const auto run = testing::run_lariat({"plugin", "new", name, where});
    CHECK(run.status == 2);
    return run.err;
  };
  CHECK(error("My-Op", folder / "new") ==
        "lariat: 'My-Op' is no name of an op: it is a letter from a to z, then a to z, 0 to 9 or _\n");
  const auto kind = testing::run_lariat({"plugin", "new", "my_op", folder / "new", "--kind", "penalti"});
  CHECK(kind.status == 2);
  CHECK(kind.err.ends_with("there is no kind 'penalti' of plugins. Did you mean 'penalty'?\n"));
  CHECK(error("relu", folder / "new") ==
        "lariat: 'relu' is an op already, and a plugin cannot replace it; choose another name\n");
  CHECK(error("my_op", folder.text()) ==
        "lariat: '" + folder.text() + "' is there already; name a folder that is not\n");
  CHECK(error("my_op", folder / "taken") ==
        "lariat: '" + folder / "taken" + "' is there already; name a folder that is not\n");
  CHECK(error("my_op", folder / "taken/below")
            .starts_with("lariat: the folder '" + folder / "taken/below" + "' cannot be made: "));
}

TEST_CASE(
    "plugins on the command line: explicit ones must load, those of a folder are left out with a word") {
  if (!testing::have_lariat()) return;
  const testing::TemporaryFolder folder;
  testing::write_file(folder / "text.so", "no library");
  const auto none = testing::run_lariat({"ops", "list", "--plugin", folder / "none.so"});
  CHECK(none.status == 2);
  CHECK(none.err == "lariat ops list: plugin '" + folder / "none.so" +
                        "': there is no such file; give the path of a shared object\n");
  const auto left_out =
      testing::run_lariat({"ops", "show", "swish", "--plugin", LARIAT_BUILD_ROOT "/examples/swish.so"},
                          {.environment = {{"LARIAT_PLUGIN_PATH", folder.text()}}});
  CHECK(left_out.status == 0);
  CHECK(left_out.err.starts_with("lariat: left out: plugin '" + folder / "text.so" +
                                 "': it cannot be loaded: "));
  CHECK(left_out.out.find("\nOrigin\n  plugin  swish 1.0.0\n") != std::string::npos);
  // A file of that name in the working folder is nothing that anybody asked for.
  const auto unknown = testing::run_lariat({"ops", "show", "swish"});
  CHECK(unknown.status == 2);
}

TEST_CASE("plugin boundary: the header is C99, and nothing but the entry is exported") {
  const auto compiles = [](const std::string& command) {
    const auto run = shell("cd '" LARIAT_SOURCE_ROOT "' && " + command);
    CAPTURE(command);
    CAPTURE(run.err);
    CHECK(run.status == 0);
    CHECK(run.err.empty());
  };
  const std::string warnings =
      " -Wall -Wextra -Wpedantic -Wpadded -Wconversion -Wstrict-prototypes -Wmissing-prototypes -Werror "
      "-fsyntax-only ";
  compiles("gcc -std=c99 -x c" + warnings + "ops/plugin/lariat_op.h");
  compiles("gcc -std=c17 -x c" + warnings + "ops/plugin/lariat_op.h");
  compiles("g++ -std=c++98 -x c++ -Wall -Wextra -Werror -fsyntax-only ops/plugin/lariat_op.h");
  // What a struct of the boundary is made of.
  const std::string header = testing::read_file(LARIAT_SOURCE_ROOT "/ops/plugin/lariat_op.h");
  CHECK(header.find("std::") == std::string::npos);
  CHECK(header.find("#include <stdint.h>") != std::string::npos);
  const auto symbols =
      shell("cd '" LARIAT_BUILD_ROOT "/examples' && nm -D --defined-only *.so | grep -v -e '^$' -e ':$'");
  std::istringstream lines(symbols.out);
  int entries = 0;
  for (std::string line; std::getline(lines, line); ++entries)
    CHECK(line.ends_with(" T lariat_plugin_entry"));
  CHECK(entries == 3);
}

TEST_CASE("plugin boundary: a plugin compiled against the first released header loads and passes") {
  const testing::TemporaryFolder folder;
  const std::string source = LARIAT_SOURCE_ROOT "/tests/plugins/first_release";
  const auto run = shell("gcc -std=c99 -Wall -Wextra -Wpedantic -Werror -shared -fPIC -I'" + source + "' '" +
                         source + "/plugin.c' -o '" + folder / "first_release.so'");
  REQUIRE_MESSAGE(run.status == 0, run.err);
  if (!testing::have_lariat()) return;
  const auto checked = testing::run_lariat({"plugin", "check", folder / "first_release.so"});
  CAPTURE(checked.out);
  CAPTURE(checked.err);
  CHECK(checked.status == 0);
  CHECK(checked.out.starts_with("first_release 1.0.0: \n"));
}

TEST_CASE("installed: a CMake project finds the package") {
  if (!have_tools()) return;
  const testing::TemporaryFolder folder;
  testing::write_file(folder / "CMakeLists.txt",
                      "cmake_minimum_required(VERSION 3.20)\nproject(zeros LANGUAGES CXX)\n"
                      "find_package(lariat " +
                          std::string(version) +
                          " REQUIRED)\nadd_executable(zeros zeros.cpp)\n"
                          "target_link_libraries(zeros PRIVATE lariat::lariat)\n");
  testing::write_file(
      folder / "zeros.cpp",
      "#include <cstdio>\n#include <lariat/lariat.hpp>\n"
      "int main() {\n"
      "  lariat::Graph graph;\n"
      "  const lariat::Value w = graph.constant(lariat::Tensor::filled(lariat::f32, {3}, 2));\n"
      "  std::printf(\"%g\\n\", lariat::evaluate(lariat::sum(w)).item());\n}\n");
  const auto run =
      shell("cd '" + folder.text() + "' && cmake -S . -B out -DCMAKE_PREFIX_PATH='" + installation().prefix +
                "' >/dev/null && cmake --build out >/dev/null && out/zeros\n"
                "sed -i 's/lariat [0-9.]*/lariat 99.0/' CMakeLists.txt && ! cmake -S . -B other "
                "-DCMAKE_PREFIX_PATH='" +
                installation().prefix + "' 2>&1 >/dev/null | grep -q 99.0 && echo taken\n",
            installation().environment);
  CAPTURE(run.err);
  CHECK(run.out == "6\n");
}

}  // namespace lariat::plugin_install_test
