#include "tests/export/c_tools.hpp"

#include <fmt/format.h>

#include "frontends/data/random.hpp"
#include "frontends/export/export_files.hpp"
#include "tests/support/testing.hpp"

namespace lariat::testing {

ProgramRun shell(const std::string& folder, const std::string& line) {
  return run_lariat({"-c", fmt::format("cd '{}' && {{ {}; }}", folder, line)}, {.program = "/bin/sh"});
}

bool have_programs(const std::vector<std::string>& names) {
  for (const std::string& name : names)
    if (shell("/", "command -v " + name).status != 0) {
      skip((name + " is missing; ./run test installs it").c_str());
      return false;
    }
  return true;
}

SavedModel random_model(const TemporaryFolder& folder, const std::vector<LayerSpec>& layers,
                        const DataShape& shape, double zeros, const FrontEnd* front_end) {
  Sequential model(layers);
  model.build(shape, 3);
  Store& store = model.store();
  uint32_t number = 0;
  for (const auto& [name, tensor] : Store(store)) {
    if (tensor.dtype() != f32) continue;
    data::RandomStream random(11, data::RandomPurpose::noise, ++number);
    Tensor changed = tensor.clone();
    for (float& value : changed.values<float>()) {
      if (name.find("norm") == name.npos && random.uniform() < zeros) {
        value = 0;
      } else {
        value += static_cast<float>(0.2 * random.normal());
      }
    }
    store.set(name, changed);
  }
  std::map<std::string, std::string> notes;
  std::map<std::string, Tensor> tensors;
  if (front_end) write_front_end(*front_end, notes, tensors);
  const std::string file = folder / "random.safetensors";
  model.save(file, notes, tensors);
  return SavedModel::load(file);
}

DataShape plain_shape(int64_t dimensions) {
  return {.sequences = false, .dimensions = dimensions, .classes = {"one", "two", "three"}, .targets = {}};
}

DataShape sequence_shape(int64_t dimensions) {
  return {.sequences = true, .dimensions = dimensions, .classes = {"one", "two", "three"}, .targets = {}};
}

void write_program(const std::string& folder, const to_c::CProgram& program) {
  for (const auto& [name, text] : program.files) write_file(folder + "/" + name, text);
}

namespace {

// One program that runs the self-tests of all.
std::string main_of(const std::vector<std::string>& names) {
  std::string text = "#include <stdio.h>\n", calls;
  for (const std::string& name : names) {
    text += fmt::format("int {}_self_test(void);\n", name);
    calls += fmt::format(
        "  if ((wrong = {0}_self_test()) != 0) failed = 1, printf(\"{0}: %d answers differ\\n\", wrong);\n",
        name);
  }
  return text + "int main(void) {\n  int wrong, failed = 0;\n" + calls + "  return failed;\n}\n";
}

std::string no_mains(const std::vector<std::string>& names) {
  std::string flags;
  for (const std::string& name : names) {
    std::string upper = name;
    for (char& c : upper) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
    flags += " -D" + upper + "_NO_MAIN";
  }
  return flags;
}

}  // namespace

void build_and_run(const TemporaryFolder& folder, const std::vector<std::string>& names,
                   const std::string& compiler) {
  write_file(folder / "main.c", main_of(names));
  const ProgramRun built = shell(
      folder.text(),
      fmt::format("rm -f *.o; ls *.c | xargs -P 2 -n 8 {0} -std=c99 -Wall -Wextra -Werror -pedantic{1} -c && "
                  "{0} *.o -lm -o all",
                  compiler, no_mains(names)));
  REQUIRE_MESSAGE(built.status == 0, built.err);
  const ProgramRun run = shell(folder.text(), "./all");
  CHECK_MESSAGE(run.status == 0, (run.out + run.err));
}

}  // namespace lariat::testing
