// What a new op, layer, loss… takes: how many files name one that there is. The table is in CONTRIBUTING.md.
#include <algorithm>
#include <filesystem>
#include <map>
#include <regex>

#include "frontends/recipe/tables.hpp"
#include "frontends/sequential/sequential.hpp"
#include "graph/base/error.hpp"
#include "graph/program/evaluate.hpp"
#include "tests/support/files.hpp"
#include "tests/support/testing.hpp"
#include "tests/support/toy_data.hpp"

namespace lariat::files_per_kind_test {

using namespace lariat::testing;

namespace {

namespace fs = std::filesystem;

// Every source by its path from the root.
const std::map<std::string, std::string>& sources() {
  static const std::map<std::string, std::string> all = [] {
    std::map<std::string, std::string> found;
    const fs::path root = LARIAT_SOURCE_ROOT;
    for (const char* floor : {"graph", "ops", "autodiff", "frontends"})
      for (const auto& entry : fs::recursive_directory_iterator(root / floor))
        if (const std::string ending = entry.path().extension(); ending == ".cpp" || ending == ".hpp")
          found[fs::relative(entry.path(), root)] = read_file(entry.path());
    return found;
  }();
  return all;
}

std::vector<std::string> files_with(const std::string& pattern) {
  const std::regex expression(pattern);
  std::vector<std::string> files;
  for (const auto& [file, text] : sources())
    if (std::regex_search(text, expression)) files.push_back(file);
  return files;
}

// The names of a kind's records: what follows "TYPE SPACE::" at the beginning of a line, with their files.
std::map<std::string, std::string> records_of(const std::string& folder, const std::string& head) {
  std::map<std::string, std::string> names;
  for (const auto& [file, text] : sources()) {
    if (!file.starts_with(folder)) continue;
    for (size_t at = text.find("\n" + head); at != text.npos; at = text.find("\n" + head, at + 1)) {
      const size_t begin = at + 1 + head.size();
      names[text.substr(begin, text.find('(', begin) - begin)] = file;
    }
  }
  return names;
}

}  // namespace

TEST_CASE("files per kind: a record is one file, which no list names") {
  struct Kind {
    const char *folder, *type, *space;
    size_t count;
  };
  for (const Kind& kind :
       {Kind{"frontends/sequential/layers/", "LayerKind", "layer_records", layer_kinds().size()},
        Kind{"frontends/sequential/losses/", "LossKind", "loss_records", loss_kinds().size()},
        Kind{"frontends/sequential/metrics/", "MetricKind", "metric_records", metric_kinds().size()},
        Kind{"frontends/sequential/tasks/", "LearningTask", "task_records", tasks().size()},
        Kind{"frontends/sequential/schedules/", "ScheduleKind", "schedule_records", schedule_kinds().size()},
        Kind{"frontends/sequential/callbacks/", "CallbackKind", "callback_records",
             callback_spec_kinds().size()},
        Kind{"frontends/data_kinds/", "DataKind", "data_kind_records", data_kinds().size()},
        Kind{"frontends/cli/commands/", "Command", "command_records", 0},
        Kind{"autodiff/training/optimizers/", "OptimizerKind", "optimizer_records", optimizer_kinds().size()},
        Kind{"ops/", "OpDef", "records", 0}}) {
    const bool ops = std::string(kind.folder) == "ops/";
    CAPTURE(kind.folder);
    const std::string space = kind.space;
    const auto records = records_of(kind.folder, std::string(kind.type) + " " + space + "::");
    CHECK(records.size() > 3);
    if (kind.count > 0) CHECK(records.size() == kind.count);
    // Whoever names a record names its file's function.
    for (const auto& [file, text] : sources())
      for (size_t at = text.find(space + "::"); at != text.npos; at = text.find(space + "::", at + 1)) {
        if (at > 0 && (std::isalnum(static_cast<unsigned char>(text[at - 1])) || text[at - 1] == '_'))
          continue;
        const size_t begin = at + space.size() + 2;
        const std::string name = text.substr(begin, text.find('(', begin) - begin);
        // The record of an op may be asked by another op.
        if (const auto found = records.find(name);
            found != records.end() && !(ops && file.starts_with("ops/"))) {
          CAPTURE(name);
          CHECK(found->second == file);
        }
      }
  }
}

TEST_CASE("files per kind: one file is enough for a layer, a loss, an optimizer, a command") {
  // Neither by its name nor by a struct are these anywhere else; an op is also in ops.hpp.
  CHECK(files_with("\\blog_cosh\\b|\\bLogCosh\\b") ==
        std::vector<std::string>{"frontends/sequential/losses/log_cosh.cpp"});
  CHECK(files_with("\\bprelu\\b|\\bPrelu\\b") ==
        std::vector<std::string>{"frontends/sequential/layers/prelu.cpp"});
  CHECK(files_with("command_records::gradcheck") ==
        std::vector<std::string>{"frontends/cli/commands/gradcheck.cpp"});
  CHECK(files_with("OpDef records::softplus|^Value softplus\\(|\nValue softplus\\(") ==
        std::vector<std::string>{"ops/activation/softplus.cpp", "ops/ops.hpp"});
}

TEST_CASE("files per kind: what one file has is there in C++ by its name") {
  Sequential model{make_layer("dense units=8 kernel_penalty=l1=1e-3"), make_layer("prelu slope=0.5"),
                   Dense(1)};
  data::Dataset rows = points(30, 2, 4, 1);
  rows.targets.width = 1;
  for (data::Example& example : rows.examples) example.targets = {example.values[0]};
  model.compile(make_optimizer("lion", {{"learning_rate", 0.0}}), make_loss("log_cosh"), {make_metric("r2")});
  model.build(shape_of(rows));
  const Tensor slope = model.layer("prelu_1").weight("slope");
  CHECK(slope.extents() == Extents{8});
  CHECK(slope.at(3) == 0.5);
  model.compile(Adam{.learning_rate = 0.05}, make_loss("log_cosh"), {make_metric("r2")});
  model.fit(rows, {.epochs = 60});
  CHECK(model.evaluate(rows).metrics[0].second > 0.9);
  // max(x, 0) + slope·min(x, 0)
  Sequential alone{make_layer("prelu").named("p"), make_layer("flatten").named("f")};
  data::Dataset pair{.sequences = false};
  pair.targets.width = 2;
  pair.examples.push_back({"", 0, 1, 2, {3, -2}, {3, -0.5F}});
  alone.compile(Sgd{}, make_loss("mean_squared_error"));
  alone.build(shape_of(pair));
  CHECK(alone.evaluate(pair).loss == 0);
  CHECK(message_of<UserError>([] { make_layer("dens units=2"); }).ends_with("Did you mean 'dense'?"));
  CHECK(message_of<UserError>([] { make_layer("dense unit=2"); }) ==
        "layer dense has no key 'unit'. Did you mean 'units'?");
  CHECK(message_of<UserError>([] { make_loss("focla"); }).ends_with("Did you mean 'focal'?"));
  CHECK(message_of<UserError>([] { make_loss("focal gama=2"); }) ==
        "loss focal has no key 'gama'. Did you mean 'gamma'?");
  CHECK(message_of<UserError>([] { make_metric("acuracy"); }).ends_with("Did you mean 'accuracy'?"));
}

}  // namespace lariat::files_per_kind_test
