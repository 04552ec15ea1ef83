#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <chrono>
#include <cmath>

#include "frontends/cli/command_records.hpp"
#include "frontends/cli/console.hpp"
#include "frontends/cli/linear_arguments.hpp"
#include "frontends/cli/outputs.hpp"
#include "frontends/cli/rank.hpp"
#include "frontends/cli/table.hpp"
#include "frontends/data/option_table.hpp"
#include "frontends/linear/regularisation_path.hpp"
#include "frontends/report/chart.hpp"
#include "frontends/report/report.hpp"
#include "graph/base/error.hpp"
#include "graph/base/json.hpp"
#include "graph/io/atomic_file.hpp"

namespace lariat::cli {

namespace {

struct Options {
  LinearArguments model;
  PathOptions path;
  std::optional<int64_t> count, folds;
  std::string table, coefficients, report, out, json;
};

void declare(Arguments& arguments, Options& options) {
  options.model.options.tolerance = 1e-6;
  options.model.declare(arguments);
  arguments.integer("--lambdas", options.count, 1, 100000, "how many λ there are; 100 where it is not given");
  arguments.option(
      "--ratio", "R",
      [&options](const std::string& text) {
        const data::OptionDescription description{"--ratio", {}, "number", "a number above 0, below 1", {}};
        options.path.ratio = data::parse_number(description, text, 1e-300, 1 - 1e-12);
      },
      "the last λ relative to the first, which is the smallest that makes every weight zero; 1e-3");
  arguments.integer("--folds", options.folds, 2, 1000, "cross-validate with so many folds");
  arguments.option("--score", "NAME", options.path.score,
                   "deviance of logistic, poisson and multinomial, accuracy of classes, auc of two, "
                   "mean-squared-error and "
                   "mean-absolute-error of numbers");
  arguments.output("--table", "FILE.csv", options.table, "write a line for each λ");
  arguments.output("--coefficients", "FILE.csv", options.coefficients,
                   "write the weights that are not zero: lambda, index from 1 (0 is the bias), weight");
  arguments.output("--report", "FILE.html", options.report, "write a page with weights and score against λ");
  arguments.output(
      "--out", "FILE", options.out,
      "write the weights as a safetensors file: of the λ that --folds chooses by one standard error, "
      "else of the last");
  arguments.json(options.json);
}

int64_t nonzeros(const Solution& solution) {
  const auto values = solution.store.get("w").values<double>();
  return std::count_if(values.begin(), values.end(), [](double w) { return w != 0; });
}

void write_text(const std::string& name, const std::string& text) {
  if (name.empty()) return;
  AtomicFile file(name);
  file.write(text);
  file.commit();
}

std::string table_csv(const RegularisationPath& path) {
  std::string text = "lambda,objective,relative_gap,nonzeros,iterations";
  if (!path.score.empty()) text += fmt::format(",{},standard_error", path.score);
  text += "\n";
  for (const PathPoint& point : path.points) {
    text += fmt::format("{},{},{},{},{}", point.lambda, point.solution.objective, point.solution.relative_gap,
                        nonzeros(point.solution), point.solution.iterations);
    if (!path.score.empty()) text += fmt::format(",{},{}", point.score, point.standard_error);
    text += "\n";
  }
  return text;
}

std::string coefficients_csv(const RegularisationPath& path, const data::LabelledRows& rows,
                             const LinearProblem& problem) {
  const bool several = problem.outputs() > 1;
  std::string text = several ? "lambda,index,class,weight\n" : "lambda,index,weight\n";
  const auto width = static_cast<size_t>(problem.outputs());
  for (const PathPoint& point : path.points) {
    const auto add = [&](int64_t index, size_t k, double weight) {
      text += fmt::format("{},{},", point.lambda, index);
      if (several) text += fmt::format("{},", problem.classes[k]);
      text += fmt::format("{}\n", weight);
    };
    if (problem.bias)
      for (size_t k = 0; k < width; ++k) add(0, k, point.solution.store.get("b").at(static_cast<int64_t>(k)));
    const Tensor w = point.solution.store.get("w");
    const auto values = w.values<double>();
    for (size_t i = 0; i < values.size(); ++i)
      if (values[i] != 0) {
        const auto column = static_cast<int64_t>(i / width);
        add(rows.number_of(column) + 1, i % width, values[i] / rows.scale(column));
      }
  }
  return text;
}

// The weights that are largest at the last λ; those that are not labelled are drawn as well, up to a limit.
std::string weight_chart(const RegularisationPath& path, const data::LabelledRows& rows,
                         const LinearProblem& problem) {
  constexpr size_t most_lines = 60, most_names = 8;
  constexpr int colors = 8;
  const auto width = static_cast<size_t>(problem.outputs());
  const auto last = path.points.back().solution.store.get("w").values<double>();
  std::vector<size_t> order;
  for (size_t j = 0; j < last.size(); ++j)
    if (last[j] != 0) order.push_back(j);
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return std::abs(last[a]) > std::abs(last[b]); });
  if (order.size() > most_lines) order.resize(most_lines);
  LineChart chart{.label = "Weights against lambda", .unit = "weight", .series = {}, .across = "λ"};
  for (const PathPoint& point : path.points) chart.places.push_back(point.lambda);
  for (size_t i = 0; i < order.size(); ++i) {
    const auto column = static_cast<int64_t>(order[i] / width);
    std::string name = fmt::format("{}", rows.number_of(column) + 1);
    if (width > 1) name += fmt::format(" of {}", problem.classes[order[i] % width]);
    Series series{i < most_names ? name : "", {}, static_cast<int>(i) % colors + 1};
    for (const PathPoint& point : path.points)
      series.values.push_back(point.solution.store.get("w").values<double>()[order[i]] / rows.scale(column));
    chart.series.push_back(std::move(series));
  }
  return line_chart(chart);
}

std::string score_chart(const RegularisationPath& path) {
  LineChart chart{.label = "Score against lambda", .unit = path.score, .series = {}, .across = "λ"};
  Series mean{"mean", {}, 1}, low{"− s.e.", {}, 3}, high{"+ s.e.", {}, 3};
  double lowest = 1e300, highest = -1e300;
  for (const PathPoint& point : path.points) {
    chart.places.push_back(point.lambda);
    mean.values.push_back(point.score);
    low.values.push_back(point.score - point.standard_error);
    high.values.push_back(point.score + point.standard_error);
    lowest = std::min(lowest, low.values.back());
    highest = std::max(highest, high.values.back());
  }
  chart.minimum = lowest;
  chart.maximum = highest;
  chart.series = {high, mean, low};
  return line_chart(chart);
}

std::string nonzero_chart(const RegularisationPath& path) {
  LineChart chart{
      .label = "Weights that are not zero against lambda", .unit = "weights", .series = {}, .across = "λ"};
  Series series{"not zero", {}, 2};
  for (const PathPoint& point : path.points) {
    chart.places.push_back(point.lambda);
    series.values.push_back(static_cast<double>(nonzeros(point.solution)));
  }
  chart.series = {series};
  return line_chart(chart);
}

void write_page(const Options& options, const RegularisationPath& path, const data::LabelledRows& rows,
                const Strings& words) {
  if (options.report.empty()) return;
  ReportData data;
  data.title = "Regularisation path of " + options.model.data;
  data.summary = fmt::format("lariat path {}", fmt::join(words, " "));
  data.figures = {{"largest λ", fmt::format("{:.4g}", path.largest_lambda), "every weight is zero"},
                  {"λ", fmt::format("{}", path.points.size()), options.model.problem.title()}};
  if (!path.score.empty())
    for (const auto& [label, at] :
         {std::pair{"best", path.best}, std::pair{"within one standard error", path.one_standard_error}})
      data.figures.push_back({fmt::format("{} λ", label), fmt::format("{:.4g}", path.points[at].lambda),
                              fmt::format("{} {:.4g}, {} weights", path.score, path.points[at].score,
                                          nonzeros(path.points[at].solution))});
  data.pictures.push_back(
      {"Weights", weight_chart(path, rows, options.model.problem),
       "Each line is a weight, from the smallest λ that makes all zero on the left; the largest carry "
       "their index."});
  if (!path.score.empty())
    data.pictures.push_back(
        {"Score on rows left out", score_chart(path), "The mean over folds and its standard error."});
  data.pictures.push_back({"How many weights are not zero", nonzero_chart(path), {}});
  write_report(options.report, data);
}

Json point_json(const RegularisationPath& path, size_t index) {
  const PathPoint& point = path.points[index];
  Json json{{"lambda", point.lambda},
            {"objective", point.solution.objective},
            {"relative_gap", finite_or_null(point.solution.relative_gap)},
            {"nonzeros", nonzeros(point.solution)},
            {"iterations", point.solution.iterations}};
  if (!path.score.empty()) {
    json["score"] = point.score;
    json["standard_error"] = point.standard_error;
  }
  return json;
}

// "3e-12", or "-" where it is not known.
std::string gap_text(const Solution& solution) {
  return std::isfinite(solution.relative_gap) ? fmt::format("{:.0e}", solution.relative_gap) : "-";
}

std::string summary(const RegularisationPath& path) {
  constexpr size_t lines = 12;
  std::vector<Strings> rows{{"λ", "objective", "gap", "not zero", path.score}};
  const size_t count = path.points.size(), every = std::max<size_t>(1, (count - 1) / (lines - 1));
  for (size_t i = 0; i < count; ++i) {
    if (i % every != 0 && i + 1 != count &&
        (path.score.empty() || (i != path.best && i != path.one_standard_error)))
      continue;
    const PathPoint& point = path.points[i];
    rows.push_back(
        {fmt::format("{:.4g}", point.lambda), fmt::format("{:.8g}", point.solution.objective),
         gap_text(point.solution), grouped(nonzeros(point.solution)),
         path.score.empty() ? "" : fmt::format("{:.4g} ± {:.2g}", point.score, point.standard_error)});
  }
  return columns(rows, 0);
}

// Where there is no duality gap, how far solutions are from stationary at most, and why that is all.
std::string not_certified(const RegularisationPath& path) {
  const Solution* farthest = nullptr;
  for (const PathPoint& point : path.points)
    if (!point.solution.not_certified.empty() &&
        (farthest == nullptr || point.solution.stationarity > farthest->stationarity))
      farthest = &point.solution;
  return farthest == nullptr ? "" : fmt::format("\n{}\n", farthest->certificate());
}

}  // namespace

static void path(const Strings& words) {
  Arguments arguments(
      "lariat path", "Fits a linear model for each of a falling sequence of λ, which multiplies the penalty.",
      "lariat path --data a9a --loss logistic --folds 5 --report path.html");
  Options options;
  declare(arguments, options);
  if (!arguments.read(words)) return;
  LinearArguments& model = options.model;
  const LinearProblem& problem = model.problem;
  model.check("lariat path");
  check_outputs({options.table, options.coefficients, options.report, options.out, options.json},
                model.inputs());
  check_report(options.report);
  const JsonFile json(options.json);
  options.path.ranks = ranks_of_process();
  if (options.folds && model.parts)
    throw UserError("lariat path: --row-parts is without effect with --folds, which ranks share whole");
  if (!model.threads) model.threads = threads_of_rank();
  const ThreadLimit limit(model.threads);
  options.path.count = options.count.value_or(100);
  options.path.folds = options.folds.value_or(0);
  options.path.seed = static_cast<uint64_t>(model.seed.value_or(0));

  using Clock = std::chrono::steady_clock;
  const auto since = [](Clock::time_point start) {
    return std::chrono::duration<double>(Clock::now() - start).count();
  };
  const auto start = Clock::now();
  const data::LabelledRows rows = model.read(!options.folds);
  const double read_seconds = since(start);
  SolveProgress silent(true);
  CountedProgress progress("λ", model.quiet);
  const auto solve_start = Clock::now();
  const RegularisationPath path =
      regularisation_path(problem, rows, options.path, model.solve_options(limit.threads(), silent),
                          [&](size_t done, size_t total) { progress(done, total); });
  const double seconds = since(solve_start);
  progress.finish();

  const size_t chosen = path.score.empty() ? path.points.size() - 1 : path.one_standard_error;
  model.save(options.out, path.points[chosen].solution, rows,
             {{"lambda", fmt::format("{}", path.points[chosen].lambda)}});
  write_text(options.table, table_csv(path));
  write_text(options.coefficients, coefficients_csv(path, rows, problem));
  write_page(options, path, rows, words);
  print(fmt::format("{}: {} rows, {} columns; {}\n\n{}", model.data, grouped(model.all_rows),
                    grouped(rows.total_columns()), problem.title(), summary(path)));
  const std::string doubt = not_certified(path);
  if (!doubt.empty()) print(doubt);
  if (!path.score.empty())
    print(fmt::format("\nbest {} at λ = {:.6g}; the sparsest within one standard error at λ = {:.6g}\n",
                      path.score, path.points[path.best].lambda,
                      path.points[path.one_standard_error].lambda));
  print(fmt::format("{} solutions in {}\n", path.points.size() * static_cast<size_t>(1 + options.path.folds),
                    duration(seconds)));

  Json points = Json::array();
  double worst = 0;
  for (size_t i = 0; i < path.points.size(); ++i) {
    points.push_back(point_json(path, i));
    worst = std::max(worst, path.points[i].solution.relative_gap);
  }
  Json figures{{"data", model.data},
               {"problem", problem.title()},
               {"largest_lambda", path.largest_lambda},
               {"largest_relative_gap", finite_or_null(worst)},
               {"seconds", seconds},
               {"read_seconds", read_seconds},
               {"threads", limit.threads()},
               {"seed", options.path.seed}};
  if (!path.score.empty()) {
    figures["score"] = path.score;
    figures["best"] = point_json(path, path.best);
    figures["one_standard_error"] = point_json(path, path.one_standard_error);
  }
  figures["points"] = points;
  json.write(figures);
  for (const PathPoint& point : path.points)
    if (!point.solution.converged)
      fail_together(fmt::format("at λ = {:.6g} {}", point.lambda, point.solution.shortfall));
}

Command command_records::path() {
  return {"path", "fit it along a sequence of penalties, with cross-validation", cli::path,
          CommandGroup::linear};
}

}  // namespace lariat::cli
