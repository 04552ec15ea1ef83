// Checkpoints that were tampered with, or cut by an older program.
#include "frontends/recipe/checkpoint.hpp"

#include <fmt/format.h>

#include <cmath>
#include <functional>
#include <limits>
#include <nlohmann/json.hpp>

#include "frontends/sequential/model_file.hpp"
#include "graph/base/error.hpp"
#include "tests/support/files.hpp"
#include "tests/support/testing.hpp"

namespace lariat::checkpoint_test {

using lariat::testing::message_of;
using lariat::testing::TemporaryFolder;

namespace {

// In its second epoch of three.
Checkpoint checkpoint() {
  EpochReport epoch;
  epoch.epoch = 1;
  epoch.metrics = {{"accuracy", 0.5}};
  epoch.validation_loss = std::numeric_limits<double>::infinity();
  const Recipe recipe = Recipe::parse(
      "[data]\nkind = 'idx'\n[[layers]]\nkind = 'dense'\n[training]\nepochs = 3", "recipe.toml");
  FitState state{.epoch = 1, .step = 2, .total_steps = 12, .examples = 20, .loss = 3, .metrics = {7}};
  return {{}, recipe, state, {epoch}, 40};
}

std::string refused(const std::string& file, const std::string& note, const std::string& text) {
  checkpoint().save(file);
  Store store = Store::load(file);
  store.metadata()[note] = text;
  seal(store, checkpoint_format);
  store.save(file);
  return message_of<UserError>([&] { Checkpoint::load(file); });
}

std::string refused_progress(const std::string& file, const char* member, const nlohmann::json& value) {
  nlohmann::json progress = nlohmann::json::parse(to_json(checkpoint().state));
  progress[member] = value;
  return refused(file, "progress", progress.dump());
}

}  // namespace

TEST_CASE("checkpoint: what is not finite comes back as NaN") {
  const TemporaryFolder folder;
  checkpoint().save(folder / "c");
  const Checkpoint loaded = Checkpoint::load(folder / "c");
  CHECK(std::isnan(loaded.history.front().validation_loss.value()));
  CHECK(loaded.history.front().loss == 0);
  CHECK(loaded.state.metrics == std::vector<double>{7});
}

TEST_CASE("checkpoint: progress that cannot be is refused") {
  const TemporaryFolder folder;
  const std::string file = folder / "c", quoted = "'" + file + "': ";
  const auto damaged = [&](const char* member, const nlohmann::json& value) {
    return refused_progress(file, member, value);
  };
  for (const char* member : {"epoch", "step", "first_step", "total_steps", "examples"})
    for (const nlohmann::json& value : {nlohmann::json(-1), nlohmann::json(1e300), nlohmann::json(INT64_MIN)})
      CHECK(damaged(member, value) == quoted + "the checkpoint's progress has " + member + " = " +
                                          value.dump() + ": must be an integer from 0; it is damaged");
  const std::string contradicts = quoted + "the checkpoint's progress contradicts itself; it is damaged";
  CHECK(damaged("total_steps", 0) == contradicts);
  CHECK(damaged("examples", 0) == contradicts);
  CHECK(damaged("step", 0) == contradicts);
  const std::string notes = quoted + "its notes are damaged; start the training again";
  CHECK(damaged("epoch", 2) == notes);
  CHECK(damaged("epoch", 4) == notes);
  CHECK(damaged("metrics", {7, 8}) == notes);
  CHECK(damaged("loss", "much") ==
        quoted + "the checkpoint's progress lacks a member or has one of another type; it is damaged");
}

TEST_CASE("checkpoint: notes that nest deeply, and tensors that changed, are refused") {
  const TemporaryFolder folder;
  const std::string file = folder / "c";
  const std::string deep = std::string(100000, '[') + std::string(100000, ']');
  for (const char* note : {"recipe", "progress", "history", "train_examples"})
    CHECK(refused(file, note, deep) ==
          "'" + file + "': its note '" + note + "' is nested too deeply; save it again");
  checkpoint().save(file);
  Store store = Store::load(file);
  store.set("x", Tensor::scalar(1));
  store.save(file);
  CHECK(message_of<UserError>([&] { Checkpoint::load(file); }) ==
        "'" + file + "' is damaged: it does not hold what was saved; copy it again");
}

TEST_CASE("checkpoint: notes count as much as tensors; files of version 1 vouch for their tensors alone") {
  const TemporaryFolder folder;
  const std::string file = folder / "c",
                    damaged = "'" + file + "' is damaged: it does not hold what was saved";
  checkpoint().save(file);
  const Store saved = Store::load(file);
  const auto refused_after = [&](const std::function<void(Store&)>& change) {
    Store store = saved;
    change(store);
    store.save(file);
    return message_of<UserError>([&] { Checkpoint::load(file); }).starts_with(damaged);
  };
  for (const auto& [name, text] : saved.metadata()) {
    if (name == "format" || name == "format_version") continue;
    CHECK(refused_after([&](Store& store) { store.metadata()[name] += " "; }));
    CHECK(refused_after([&](Store& store) { store.metadata().erase(name); }));
  }
  CHECK(refused_after([](Store& store) { store.metadata()["more"] = "x"; }));

  Store old = saved;
  old.set("x", Tensor::scalar(1));
  old.metadata()["format_version"] = "1";
  old.metadata().erase("hash");
  old.metadata()["tensor_hash"] = "f9e6e6ef197c2b25";
  old.save(file);
  CHECK(message_of<UserError>([&] { Checkpoint::load(file); }).starts_with(damaged));
  old.metadata()["tensor_hash"] = fmt::format("{:016x}", old.hash());
  old.metadata()["more"] = "x";
  old.save(file);
  CHECK(Checkpoint::load(file).train_examples == 40);
}

}  // namespace lariat::checkpoint_test
