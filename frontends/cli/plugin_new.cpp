#include <fmt/format.h>

#include <filesystem>

#include "frontends/cli/arguments.hpp"
#include "frontends/cli/console.hpp"
#include "frontends/cli/plugin.hpp"
#include "graph/atomic_file.hpp"
#include "graph/error.hpp"
#include "ops/plugin/loader.hpp"

namespace lariat::cli {

namespace {

namespace fs = std::filesystem;

// NAME stands for the name that was given.
constexpr const char* source = R"(// The op NAME. docs/write_an_op.md of Lariat explains every line.
#include <lariat/lariat_op.hpp>

using namespace lariat::op;

// y = x / (1 + |x|):  dx = dy / (1 + |x|)²
static Op NAME() {
  Op op = elementwise<1>("NAME", "x / (1 + |x|).", {{"x"}}, [](auto x) { return x / (1 + std::abs(x)); });
  op.gradient = [](const Gradient& g) -> Adjoints {
    return {g.adjoint(0) / square(1 + abs(g.in(0)))};
  };
  op.kinks = "At 0 the second derivative is 0.";
  op.samples = {{"values", {{{3}, {-1, 0.5, 4}}}, {}, {-0.5, 1.0 / 3, 0.8}},
                {"matrix", {{{2, 3}, {}, -2, 2, 0.1}}}};
  return op;
}

LARIAT_PLUGIN(.name = "NAME", .version = "0.1.0", .doc = "One op.", .ops = {NAME()})
)";

constexpr const char* makefile =
    R"(# Needs lariat-op.pc: where Lariat is not installed under /usr, PKG_CONFIG_PATH must name its folder.
CXX ?= g++
CXXFLAGS ?= -O3 -march=native

NAME.so: NAME.cpp
	$(CXX) -std=c++20 -Wall -Wextra $(CXXFLAGS) -fPIC -fvisibility=hidden $$(pkg-config --cflags lariat-op) -shared -o $@ $< $$(pkg-config --libs lariat-op)

clean:
	rm -f NAME.so

.PHONY: clean
)";

constexpr const char* meson =
    R"(project('NAME', 'cpp', version: '0.1.0', default_options: ['cpp_std=c++20', 'buildtype=release'])

shared_module('NAME', 'NAME.cpp', name_prefix: '', dependencies: dependency('lariat-op'),
              gnu_symbol_visibility: 'hidden', cpp_args: '-march=native')
)";

std::string with_name(std::string text, const std::string& name) {
  for (size_t at = 0; (at = text.find("NAME", at)) != std::string::npos; at += name.size())
    text.replace(at, 4, name);
  return text;
}

}  // namespace

void plugin_new(const Strings& words) {
  Arguments arguments(
      "lariat plugin new",
      "Writes a project with one op: a source, a Makefile and a meson.build, of which one is enough.",
      "lariat plugin new soft_sign soft_sign && make -C soft_sign");
  std::string name, folder;
  arguments.word("NAME", name, "of the op and the plugin");
  arguments.word("DIR", folder, "the folder to make");
  if (!arguments.read(words)) return;
  if (!is_op_name(name))
    throw UserError(
        fmt::format("'{}' is no name of an op: it is a letter from a to z, then a to z, 0 to 9 or _", name));
  std::error_code failure;
  if (fs::exists(folder, failure) && (!fs::is_directory(folder, failure) || !fs::is_empty(folder, failure)))
    throw UserError(fmt::format("'{}' is there already; name a folder that is not", folder));
  fs::create_directories(folder, failure);
  if (failure) throw UserError(fmt::format("the folder '{}' cannot be made: {}", folder, failure.message()));
  const std::vector<std::pair<std::string, const char*>> files{
      {name + ".cpp", source}, {"Makefile", makefile}, {"meson.build", meson}};
  for (const auto& [file, text] : files) {
    AtomicFile out((fs::path(folder) / file).string());
    out.write(with_name(text, name));
    out.commit();
  }
  print(fmt::format("{}: {}.cpp, Makefile, meson.build\n\nmake -C {}\nlariat plugin check {}/{}.so\n", folder,
                    name, folder, folder, name));
}

}  // namespace lariat::cli
