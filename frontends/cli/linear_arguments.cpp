#include "frontends/cli/linear_arguments.hpp"

#include <fmt/format.h>

#include <charconv>
#include <cmath>

#include "frontends/cli/console.hpp"
#include "frontends/data/libsvm.hpp"
#include "frontends/data/npy.hpp"
#include "frontends/data/option_table.hpp"
#include "graph/base/error.hpp"
#include "graph/io/atomic_file.hpp"

namespace lariat::cli {

namespace {

const Strings method_names{"auto", "newton", "fista", "proximal-gradient"};

// The labels of the two classes become -1 and 1.
void rename_classes(data::LabelledRows& rows, std::pair<double, double> classes) {
  for (int64_t row = 0; row < rows.rows; ++row) {
    double& label = rows.labels[static_cast<size_t>(row)];
    if (label != classes.first && label != classes.second)
      throw UserError(fmt::format("{}: the label is {}, which is none of --classes {},{}", rows.place(row),
                                  label, classes.first, classes.second));
    label = label == classes.second ? 1 : -1;
  }
}

// "1,2".
std::pair<double, double> parse_classes(const std::string& text) {
  std::pair<double, double> classes;
  const char* const end = text.data() + text.size();
  const auto [comma, error] = std::from_chars(text.data(), end, classes.first);
  if (error == std::errc{} && comma != end && *comma == ',') {
    const auto [rest, second] = std::from_chars(comma + 1, end, classes.second);
    if (second == std::errc{} && rest == end && std::isfinite(classes.first) &&
        std::isfinite(classes.second) && classes.first != classes.second)
      return classes;
  }
  throw UserError(
      fmt::format("--classes = {}: must be two different labels, such as 1,2", data::shortened(text)));
}

// Classes are -1 and 1, or 0 and 1; never both kinds in one file.
void make_signs(data::LabelledRows& rows, const std::string& loss) {
  bool zeros = false, negatives = false;
  for (int64_t row = 0; row < rows.rows; ++row) {
    double& label = rows.labels[static_cast<size_t>(row)];
    zeros |= label == 0;
    negatives |= label == -1;
    if ((label != 0 && label != 1 && label != -1) || (zeros && negatives))
      throw UserError(
          fmt::format("{}: the label is {}, which the loss {} does not take; labels must be -1 and 1, or 0 "
                      "and 1; for others say --classes, such as --classes 1,2",
                      rows.place(row), label, loss));
  }
  if (zeros)
    for (double& label : rows.labels) label = label == 0 ? -1 : 1;
}

std::string choice(const std::string& what, const std::string& text, const Strings& known) {
  const data::OptionDescription description{what, {}, "choice", data::range_of(known), {}};
  return known[data::parse_choice(description, text, known)];
}

}  // namespace

void LinearArguments::declare(Arguments& arguments) {
  arguments.input("--data", "FILE", data, "the rows: LIBSVM text, a matrix X.npy, or X.npz with X and y");
  arguments.input("--labels", "FILE.npy", labels, "the labels of X.npy");
  arguments.option(
      "--loss", "NAME",
      [this](const std::string& text) { problem.loss = choice("--loss", text, linear_losses()); },
      "logistic (the default): Σ log(1 + exp(-y·xw)); squared: Σ ½(xw - y)²; hinge-squared: Σ max(0, 1 - "
      "y·xw)²");
  arguments.repeated(
      "--penalty", "TERMS", penalty_texts,
      "such as \"1.0*l1 + 0.5*l2\": l1 is Σ|w|, l2 is Σw², and any op that is a convex penalty can be named, "
      "one of a plugin too, with attributes such as 0.1*ordered_l1:spread=2; 1.0*l1 where it is not given");
  arguments.plugins();
  arguments.flag("--zero-based", zero_based,
                 "indices of LIBSVM text begin at 0, as scikit-learn writes them");
  arguments.option(
      "--classes", "A,B", [this](const std::string& text) { classes = parse_classes(text); },
      "the labels of the two classes where they are not -1 and 1, or 0 and 1; B counts as 1");
  arguments.flag("--bias", problem.bias, "add a bias, which is not penalised");
  arguments.option(
      "--tolerance", "T",
      [this](const std::string& text) {
        const data::OptionDescription description{
            "--tolerance", {}, "number", "a number above 0, at most 1", {}};
        options.tolerance = data::parse_number(description, text, 1e-300, 1);
      },
      "the relative duality gap to reach, or relative stationarity for penalties not of single weights; 1e-8 "
      "where it is not given");
  arguments.option(
      "--method", "NAME",
      [this](const std::string& text) {
        const data::OptionDescription description{"--method", {}, "choice", data::range_of(method_names), {}};
        options.method = static_cast<SolveMethod>(data::parse_choice(description, text, method_names));
      },
      "auto (the default: newton, or fista for penalties not of single weights), newton, fista or "
      "proximal-gradient");
  arguments.integer("--iterations", iterations, 1, 1000000000, "stop after so many, converged or not");
  arguments.seed(seed);
  arguments.threads(threads);
  arguments.flag("--quiet", quiet, "no progress");
}

void LinearArguments::check(const std::string& command) {
  if (data.empty()) throw UsageError(fmt::format("{}: --data is missing. See {} --help", command, command));
  if (penalty_texts.empty()) problem.penalty = {{1, "l1"}};
  for (const std::string& text : penalty_texts) {
    try {
      const std::vector<PenaltySpec> terms = parse_penalty(text);
      problem.penalty.insert(problem.penalty.end(), terms.begin(), terms.end());
    } catch (const UserError& error) {
      throw UsageError(fmt::format("{}: --penalty: {}", command, error.what()));
    }
  }
}

SolveOptions LinearArguments::solve_options(int with_threads, SolveProgress& progress) const {
  SolveOptions result = options;
  result.threads = with_threads;
  result.seed = static_cast<uint64_t>(seed.value_or(0));
  result.most_iterations = iterations.value_or(0);
  result.progress = [&progress](const convex::Progress& p) { progress(p); };
  return result;
}

data::LabelledRows LinearArguments::read() const {
  // A pipe has no name that would tell; only a matrix has labels of its own.
  const bool dense =
      data.ends_with(".npy") || data.ends_with(".npz") || (is_written_in_place(data) && !labels.empty());
  if (!dense && !labels.empty())
    throw UserError(
        fmt::format("--labels {}: the labels of LIBSVM text stand in the text; leave --labels out", labels));
  if (dense && zero_based)
    throw UserError(
        fmt::format("--zero-based is about the indices of LIBSVM text, but {} is a matrix", data));
  if (classes && !problem.classifies())
    throw UserError(fmt::format("--classes is about the labels of two classes, but the loss {} takes numbers",
                                problem.loss));
  data::LabelledRows rows = dense ? data::read_npy(data, labels) : data::read_libsvm(data, zero_based);
  if (rows.columns == 0)
    throw UserError(fmt::format("{}: no row has an entry; each line should be 'label index:value …'", data));
  data::drop_empty_columns(rows);
  if (classes) rename_classes(rows, *classes);
  if (problem.classifies()) make_signs(rows, problem.loss);
  problem.check_classes(rows, "every row");
  return rows;
}

void SolveProgress::operator()(const convex::Progress& progress) {
  if (quiet_) return;
  const auto line = [&] {
    // Far from the optimum there is no dual point yet.
    const std::string gap =
        std::isfinite(progress.relative_gap) ? fmt::format("{:.1e}", progress.relative_gap) : "-";
    return fmt::format("iteration {:>3}  objective {:.12g}  gap {:>7}  stationarity {:.1e}  nonzeros {}",
                       progress.iteration, progress.objective, gap, progress.stationarity,
                       grouped(progress.nonzeros));
  };
  if (on_terminal()) {
    if (line_.due()) line_.draw(line());
    return;
  }
  // Gradient methods take thousands of steps.
  int64_t every = 1;
  while (progress.iteration >= 20 * every) every *= 10;
  if (progress.iteration % every == 0) note(line() + "\n");
}

}  // namespace lariat::cli
