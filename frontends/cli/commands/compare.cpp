#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

#include "frontends/cli/arguments.hpp"
#include "frontends/cli/command_records.hpp"
#include "frontends/cli/console.hpp"
#include "frontends/cli/outputs.hpp"
#include "frontends/cli/table.hpp"
#include "frontends/recipe/run_summary.hpp"
#include "frontends/report/plot.hpp"
#include "frontends/report/report.hpp"
#include "graph/base/json.hpp"

namespace lariat::cli {

namespace {

using Runs = std::vector<RunSummary>;
constexpr int run_colors = 8;

// A row of a table: its name, and a cell for each run.
Strings run_cells(const std::string& name, const Runs& runs,
                  const std::function<std::string(const RunSummary&)>& cell) {
  Strings cells{name};
  for (const RunSummary& run : runs) cells.push_back(cell(run));
  return cells;
}

Strings run_heading(const std::string& name, const Runs& runs) {
  return run_cells(name, runs, [](const RunSummary& run) { return run.name; });
}

std::vector<Strings> metric_rows(const Runs& runs) {
  std::vector<Strings> rows{run_heading("", runs)};
  for (const auto& [split, member] :
       {std::pair{"test ", &RunSummary::test}, {"validation ", &RunSummary::validation}}) {
    Strings names;
    for (const RunSummary& run : runs)
      for (const auto& [name, value] : run.*member)
        if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
    for (const std::string& name : names)
      rows.push_back(run_cells(split + name, runs, [&, which = member](const RunSummary& run) {
        for (const auto& [known, value] : run.*which)
          if (known == name) return metric_text(name, value);
        return std::string();
      }));
  }
  const auto add = [&](const char* name, const std::function<std::string(const RunSummary&)>& cell) {
    rows.push_back(run_cells(name, runs, cell));
  };
  add("exact zeros", [](const RunSummary& run) { return percent(run.weights.fraction()); });
  add("of penalised weights", [](const RunSummary& run) {
    return run.penalised.count == 0 ? std::string() : percent(run.penalised.fraction());
  });
  add("weights", [](const RunSummary& run) { return grouped(run.weights.count); });
  add("not zero", [](const RunSummary& run) { return grouped(run.weights.count - run.weights.zeros); });
  add("model file", [](const RunSummary& run) {
    return run.bytes == 0 ? std::string() : bytes_text(static_cast<double>(run.bytes));
  });
  add("epochs", [](const RunSummary& run) {
    return run.history.empty() ? std::string() : fmt::format("{}", run.history.size());
  });
  add("training time",
      [](const RunSummary& run) { return run.seconds == 0 ? std::string() : duration(run.seconds); });
  return rows;
}

std::vector<Strings> difference_rows(const Runs& runs) {
  std::vector<Strings> rows{run_heading("key", runs)};
  for (const Difference& difference : differences(runs)) {
    rows.push_back({difference.key});
    rows.back().insert(rows.back().end(), difference.values.begin(), difference.values.end());
  }
  return rows;
}

std::string run_curves(const Runs& runs, Plot plot, const std::function<double(const EpochReport&)>& value) {
  plot.across = "epoch";
  plot.epochs = 1;
  int color = 0;
  bool any = false;
  for (const RunSummary& run : runs) {
    Curve curve{.name = run.name, .color = color % run_colors + 1, .dashed = color >= run_colors};
    ++color;
    for (const EpochReport& epoch : run.history) {
      curve.x.push_back(static_cast<double>(curve.x.size()) + 1);
      curve.y.push_back(value(epoch));
      any = any || std::isfinite(curve.y.back());
    }
    plot.epochs = std::max(plot.epochs, run.history.size());
    if (!curve.x.empty()) plot.curves.push_back(std::move(curve));
  }
  return any ? plot_chart(plot) : std::string();
}

ReportData comparison_page(const Runs& runs) {
  ReportData data;
  data.tables = {{"Figures", metric_rows(runs)}};
  const std::vector<Strings> different = difference_rows(runs);
  if (different.size() > 1) data.tables.push_back({"What differs in their recipes", different});
  const double none = std::nan("");
  const auto add = [&](const std::string& title, const std::string& svg, const std::string& caption) {
    if (!svg.empty()) data.pictures.push_back({title, svg, caption});
  };
  add("Loss",
      run_curves(runs, {.label = "Loss by epoch", .up = "loss", .logarithmic_up = true},
                 [](const EpochReport& epoch) { return epoch.smooth; }),
      "Without penalties, the mean over each epoch's batches. Logarithmic axis.");
  add("Accuracy on the validation data",
      run_curves(runs, {.label = "Validation accuracy by epoch", .up = "accuracy, %", .from_zero = false},
                 [&](const EpochReport& epoch) { return 100 * epoch.validation_accuracy.value_or(none); }),
      "");
  add("Loss on the validation data",
      run_curves(runs, {.label = "Validation loss by epoch", .up = "loss", .logarithmic_up = true},
                 [&](const EpochReport& epoch) { return epoch.validation_loss.value_or(none); }),
      "Logarithmic axis.");
  add("Exact zeros",
      run_curves(runs,
                 {.label = "Exact zeros by epoch", .up = "exact zeros, %", .minimum = 0, .maximum = 100},
                 [](const EpochReport& epoch) { return 100 * epoch.weights.fraction(); }),
      "The share of all weights.");
  return data;
}

Json json_of_run(const RunSummary& run) {
  Json history = Json::array();
  for (const EpochReport& epoch : run.history) history.push_back(parse_json(to_json(epoch)));
  return {{"run", run.path},
          {"name", run.name},
          {"task", run.task},
          {"test", parse_json(to_json(run.test))},
          {"validation", parse_json(to_json(run.validation))},
          {"zero_fraction", run.penalised.fraction()},
          {"zero_fraction_all", run.weights.fraction()},
          {"parameters", run.weights.count},
          {"nonzeros", run.weights.count - run.weights.zeros},
          {"model_bytes", run.bytes},
          {"seconds", run.seconds},
          {"history", history}};
}

}  // namespace

static void compare(const Strings& words) {
  Arguments arguments(
      "lariat compare",
      "Sets runs side by side: what differs in their recipes, figures, zeros, size and curves.",
      "lariat compare dense.safetensors sparse.safetensors --report compare.html");
  Strings paths;
  std::string report_name, json_name;
  arguments.words("RUN", paths, "a model, what lariat train --json wrote, or a folder that holds them");
  arguments.output("--report", "FILE.html", report_name, "write a page with curves and tables");
  arguments.plugins();
  arguments.json(json_name);
  if (!arguments.read(words)) return;
  check_outputs({report_name, json_name}, paths);
  check_report(report_name);
  const JsonFile json(json_name);
  const Runs runs = read_runs(paths);
  print(columns(metric_rows(runs), 0));
  const std::vector<Strings> different = difference_rows(runs);
  if (different.size() > 1) print("\n" + columns(different, 0));
  if (!report_name.empty()) {
    ReportData data = comparison_page(runs);
    data.title = fmt::format("Comparison of {} runs", runs.size());
    data.summary = fmt::format("lariat compare {}", fmt::join(words, " "));
    write_report(report_name, data);
  }
  Json list = Json::array(), keys = Json::array();
  for (const RunSummary& run : runs) list.push_back(json_of_run(run));
  for (const Difference& difference : differences(runs))
    keys.push_back({{"key", difference.key}, {"values", difference.values}});
  json.write({{"runs", list}, {"differences", keys}});
}

Command command_records::compare() {
  return {"compare", "set runs side by side", cli::compare, CommandGroup::models};
}

}  // namespace lariat::cli
