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

}  // namespace lariat::testing
