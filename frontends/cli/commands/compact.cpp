#include <fmt/format.h>

#include <algorithm>

#include "frontends/cli/arguments.hpp"
#include "frontends/cli/command_records.hpp"
#include "frontends/cli/console.hpp"
#include "frontends/cli/outputs.hpp"
#include "frontends/cli/summary.hpp"
#include "frontends/cli/table.hpp"
#include "frontends/compact/compact_model.hpp"
#include "frontends/compact/figures.hpp"
#include "frontends/sequential/model_file.hpp"
#include "graph/base/error.hpp"
#include "graph/base/json.hpp"

namespace lariat::cli {

namespace {

std::string both(const std::string& before, const std::string& after) {
  return before == after ? before : before + " -> " + after;
}

std::string microseconds(double seconds) { return fmt::format("{:.1f}", seconds * 1e6); }

std::string count_of(double number) { return grouped(static_cast<int64_t>(number)); }

LayerCost sum_of(const StackCost& cost) {
  LayerCost sum{"all", ""};
  for (const LayerCost& layer : cost.layers) {
    sum.weights += layer.weights;
    sum.zeros += layer.zeros;
    sum.bytes += layer.bytes;
    sum.multiply_adds += layer.multiply_adds;
  }
  sum.seconds = cost.seconds;
  return sum;
}

// The layer of that name; a new one, which selects channels of the data, cost nothing.
LayerCost layer_before(const StackCost& before, const LayerCost& layer) {
  const auto found = std::find_if(before.layers.begin(), before.layers.end(),
                                  [&](const LayerCost& other) { return other.name == layer.name; });
  return found == before.layers.end() ? LayerCost{layer.name, "none"} : *found;
}

std::string cost_table(const StackCost& before, const StackCost& after) {
  std::vector<Strings> rows{{"layer", "output", "weights", "of them 0", "bytes", "multiply-adds", "µs"}};
  const auto add = [&](const LayerCost& from, const LayerCost& to) {
    rows.push_back({from.name, both(from.output, to.output), both(grouped(from.weights), grouped(to.weights)),
                    both(grouped(from.zeros), grouped(to.zeros)),
                    both(grouped(static_cast<int64_t>(from.bytes)), grouped(static_cast<int64_t>(to.bytes))),
                    both(count_of(from.multiply_adds), count_of(to.multiply_adds)),
                    both(microseconds(from.seconds), microseconds(to.seconds))});
  };
  for (const LayerCost& layer : after.layers) add(layer_before(before, layer), layer);
  add(sum_of(before), sum_of(after));
  return columns(rows, 0);
}

Json json_of(const LayerCost& cost) {
  return {{"output", cost.output},
          {"weights", cost.weights},
          {"zeros", cost.zeros},
          {"bytes", cost.bytes},
          {"multiply_adds", cost.multiply_adds},
          {"seconds", cost.seconds}};
}

Json json_of(const StackCost& before, const StackCost& after) {
  Json layers = Json::array();
  for (const LayerCost& layer : after.layers)
    layers.push_back(
        {{"name", layer.name}, {"before", json_of(layer_before(before, layer))}, {"after", json_of(layer)}});
  return layers;
}

std::string removal_text(const CompactReport& report) {
  if (report.unread + report.zero + report.folded + report.unread_data == 0)
    return "no unit is useless: nothing was taken out\n";
  std::string text = fmt::format(
      "taken out: {} units that nothing reads, {} that are always 0, {} that are always "
      "another number\n",
      grouped(report.unread), grouped(report.zero), grouped(report.folded));
  if (report.unread_data > 0)
    text += fmt::format("nothing reads {} channels of the data: select_1 leaves them out\n",
                        grouped(report.unread_data));
  text += report.folded == 0
              ? "only terms of 0 are left out of sums, which may be added up in another order\n"
              : "biases hold the constants: a sum of n terms x·w may differ by 2·n·2^-24·Σ|x·w|\n";
  return text;
}

std::string difference_text(const ModelDifference& difference, const std::string& data) {
  const std::string found =
      difference.same_bits
          ? "exact, every bit is the same"
          : fmt::format("largest difference {:.3g}, {:.2g} of the largest number", difference.largest,
                        difference.largest / std::max(difference.largest_number, 1e-300));
  return fmt::format(
      "on {} examples of {}: {}; {}\n", grouped(static_cast<int64_t>(difference.examples)), data, found,
      difference.other_labels == 0 ? "same labels"
                                   : fmt::format("{} other labels", grouped(difference.other_labels)));
}

Json json_of(const ModelDifference& difference) {
  return {{"examples", difference.examples},
          {"largest_difference", difference.largest},
          {"largest_number", difference.largest_number},
          {"exact", difference.same_bits},
          {"other_labels", difference.other_labels}};
}

Tensor first_of(const data::Dataset& dataset) {
  const data::Example example = data::loaded(dataset.examples.front());
  Extents extents{example.dimensions};
  if (dataset.sequences) extents.insert(extents.begin(), example.frames);
  return Tensor::of<float>(extents, std::span<const float>(example.values));
}

}  // namespace

static void compact(const Strings& words) {
  Arguments arguments(
      "lariat compact",
      "Takes units out of a saved model that its zeros make useless: those that nothing reads, and those "
      "that are always the same. What is left is a model like any other.",
      "lariat compact digits.safetensors --out small.safetensors --check recordings");
  std::string file, out, check, json_name;
  std::optional<int64_t> threads;
  NumberForm form = NumberForm::float32;
  arguments.input_word("MODEL", file, "what lariat train wrote");
  arguments.output("--out", "SMALL", out, "the model file to write");
  arguments.option(
      "--check", "DATA", check,
      "compare predictions before and after: a folder, rows, or a recording, as the model takes them");
  arguments.weights(form);
  arguments.threads(threads);
  arguments.plugins();
  arguments.json(json_name);
  if (!arguments.read(words)) return;
  if (out.empty()) throw UsageError("lariat compact: --out is missing: name the file to write");
  check_outputs({out, json_name}, {file, check});
  const JsonFile json(json_name);
  const ThreadLimit limit(threads);

  const Store store = Store::load(file);
  SavedModel before = SavedModel::of(store, file);
  std::optional<data::Dataset> dataset;
  if (!check.empty()) dataset = data_for(before, check);
  const Stack old = stack_of(store, file);
  Stack stack = old;
  const CompactReport report = lariat::compact(stack);
  Store result = with_stack(store, stack, file);
  seal(result, model_format);
  SavedModel after = SavedModel::of(result, out);

  Json checks = nullptr;
  std::string text;
  if (dataset) {
    const ModelDifference difference =
        difference_of(before, after, *dataset, fmt::format("--check {}: ", check));
    if (difference.other_labels > 0)
      throw JobError(fmt::format("'{}' is not written: {}", out, difference_text(difference, check)));
    text = difference_text(difference, check);
    checks = json_of(difference);
  }
  if (form != NumberForm::float32) {
    round_weights(result, after.model().network(), form, file);
    stack = stack_of((seal(result, model_format), result), out);
    after = SavedModel::of(result, out);
    if (dataset) {
      const ModelDifference difference = difference_of(before, after, *dataset, "");
      text += fmt::format("as {}, {}", name_of(form), difference_text(difference, check));
      checks["rounded"] = json_of(difference);
    }
  }
  const auto executor = make_tbb_executor(limit.threads());
  const std::vector<StackCost> costs =
      costs_of({&old, &stack}, dataset ? first_of(*dataset) : example_for(old), *executor);
  save_model(result, out);
  const double bytes_before = file_bytes(file), bytes_after = file_bytes(out);

  print(cost_table(costs[0], costs[1]) + "\n" + removal_text(report) + text);
  for (const std::string& line : report.kept) print(line + "\n");
  print(fmt::format("{}: {}; {}: {}\n", file, bytes_text(bytes_before), out, bytes_text(bytes_after)));
  json.write({{"file", file},
              {"out", out},
              {"bytes_before", static_cast<int64_t>(bytes_before)},
              {"bytes_after", static_cast<int64_t>(bytes_after)},
              {"layers", json_of(costs[0], costs[1])},
              {"seconds_before", costs[0].seconds},
              {"seconds_after", costs[1].seconds},
              {"unread", report.unread},
              {"always_zero", report.zero},
              {"folded", report.folded},
              {"unread_data", report.unread_data},
              {"only_zeros", report.folded == 0},
              {"exact", checks.is_null() ? Json(nullptr) : checks["exact"]},
              {"kept", report.kept},
              {"weights", name_of(form)},
              {"threads", limit.threads()},
              {"check", checks}});
}

Command command_records::compact() {
  return {"compact", "take what zeros make useless out of a saved model", cli::compact, CommandGroup::files};
}

}  // namespace lariat::cli
