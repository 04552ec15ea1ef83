#include <fmt/format.h>

#include <chrono>
#include <cmath>

#include "autodiff/training/trainer.hpp"
#include "frontends/cli/command_records.hpp"
#include "frontends/cli/console.hpp"
#include "frontends/cli/linear_arguments.hpp"
#include "frontends/cli/outputs.hpp"
#include "frontends/cli/rank.hpp"
#include "graph/base/clock.hpp"
#include "graph/base/error.hpp"
#include "graph/base/json.hpp"
#include "graph/ir/graph.hpp"

namespace lariat::cli {

namespace {

// Zeros everywhere are no error, but rarely what was wanted.
std::string all_zero_notice(const LinearProblem& problem, const Solution& solution, Solver& solver) {
  if (problem.l1() <= 0 || sparsity(solution.store.get("w")).zeros != solution.store.get("w").count())
    return {};
  return fmt::format(
      "L201: every weight is zero, for the coefficient of l1, {:.6g}, is λ_max = {:.6g} or more",
      problem.l1(), problem.l1() * solver.largest_factor());
}

// One number, or one for each class; null where there is none.
Json bias_json(const LinearProblem& problem, const Solution& solution) {
  if (!problem.bias) return nullptr;
  const Tensor b = solution.store.get("b");
  if (b.count() == 1) return b.at(0);
  Json list = Json::array();
  for (int64_t k = 0; k < b.count(); ++k) list.push_back(b.at(k));
  return list;
}

}  // namespace

static void solve(const Strings& words) {
  Arguments arguments(
      "lariat solve",
      "Fits a linear model with a sparsity-inducing penalty to high accuracy, and proves it by a "
      "duality gap.",
      "lariat solve --data a9a --loss logistic --penalty \"1.0*l1\" --out weights.safetensors");
  LinearArguments model;
  const LinearProblem& problem = model.problem;
  std::string out, json_name;
  model.declare(arguments);
  arguments.output("--out", "FILE", out,
                   "write the model, weights w (and b): lariat evaluate, predict and inspect take it");
  arguments.json(json_name);
  if (!arguments.read(words)) return;
  model.check("lariat solve");
  check_outputs({out, json_name}, model.inputs());
  const JsonFile json(json_name);
  if (!model.threads) model.threads = threads_of_rank();
  const ThreadLimit limit(model.threads);

  const auto start = Clock::now();
  const data::LabelledRows rows = model.read(true);
  const double read_seconds = seconds_since(start);
  const auto solve_start = Clock::now();
  SolveProgress progress(model.quiet);
  Graph graph;
  Solver solver(problem.build(graph, rows), model.solve_options(limit.threads(), progress));
  Solution solution = solver.solve();
  problem.look_for_vanishing(solution, rows, model.options.tolerance);
  const double seconds = seconds_since(solve_start);
  progress.finish();

  const std::string notice = solution.converged ? all_zero_notice(problem, solution, solver) : "";
  if (!notice.empty()) report(notice);
  const Sparsity zeros = sparsity(solution.store.get("w"));
  const int64_t weights = rows.total_columns() * problem.outputs();
  model.save(out, solution, rows, {});
  print(fmt::format("{}: {} rows, {} columns, {} entries, read in {}\n", model.data, grouped(model.all_rows),
                    grouped(rows.total_columns()), grouped(model.all_entries), duration(read_seconds)));
  print(fmt::format("{}: objective {:.12g} = {:.12g} + penalty {:.12g}\n", problem.title(),
                    solution.objective, solution.smooth, solution.penalty));
  print(fmt::format("{} of {} weights are not zero; {} in {} iterations of {}, {}\n",
                    grouped(zeros.count - zeros.zeros), grouped(weights), solution.certificate(),
                    solution.iterations, name_of(solution.method), duration(seconds)));
  json.write({{"data", model.data},
              {"rows", model.all_rows},
              {"columns", rows.total_columns()},
              {"entries", model.all_entries},
              {"problem", problem.title()},
              {"objective", solution.objective},
              {"smooth", solution.smooth},
              {"penalty", solution.penalty},
              {"relative_gap", finite_or_null(solution.relative_gap)},
              {"gap", finite_or_null(solution.gap)},
              {"stationarity", solution.stationarity},
              {"prox_residual", solution.prox_residual},
              {"certificate", solution.certificate()},
              {"converged", solution.converged},
              {"shortfall", solution.shortfall},
              {"nonzeros", zeros.count - zeros.zeros},
              {"bias", bias_json(problem, solution)},
              {"iterations", solution.iterations},
              {"method", name_of(solution.method)},
              {"tolerance", model.options.tolerance},
              {"seconds", seconds},
              {"read_seconds", read_seconds},
              {"threads", limit.threads()},
              {"seed", model.seed.value_or(0)},
              {"notice", notice}});
  if (!solution.converged) fail_together(solution.shortfall);
}

Command command_records::solve() {
  return {"solve", "fit a sparse linear model to high accuracy, with a certificate", cli::solve,
          CommandGroup::linear};
}

}  // namespace lariat::cli
