#include "frontends/cli/linear_problem.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <functional>

#include "frontends/cli/console.hpp"
#include "frontends/data/libsvm.hpp"
#include "frontends/data/npy.hpp"
#include "frontends/data/option_table.hpp"
#include "frontends/sequential/op_attributes.hpp"
#include "frontends/sequential/weight_penalty.hpp"
#include "graph/base/error.hpp"
#include "graph/io/atomic_file.hpp"
#include "graph/ir/builder.hpp"
#include "graph/ir/registry.hpp"
#include "ops/ops.hpp"

namespace lariat::cli {

namespace {

const Strings penalty_names{"l1", "l2"};
const Strings loss_names{"logistic", "squared", "hinge-squared"};
const Strings method_names{"auto", "newton", "fista", "proximal-gradient"};

constexpr const char* penalty_form = "write coefficient*name, such as 1.0*l1 + 0.5*l2";

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

bool PenaltySpec::makes_zeros() const {
  if (name == "l1" || name == "l2") return name == "l1";
  return registry().get(name).penalty->nonsmooth;
}

std::vector<PenaltySpec> parse_penalty(const std::string& text) {
  std::vector<PenaltySpec> terms;
  const char *at = text.data(), *const end = at + text.size();
  const auto skip = [&] {
    while (at < end && *at == ' ') ++at;
  };
  for (skip(); at < end; skip()) {
    if (!terms.empty()) {
      if (*at != '+') throw UserError(fmt::format("'{}' cannot be read: {}", text, penalty_form));
      ++at;
      skip();
    }
    PenaltySpec term;
    if (const auto [rest, error] = std::from_chars(at, end, term.coefficient); error == std::errc{}) {
      at = rest;
      skip();
      if (at == end || *at != '*' || !std::isfinite(term.coefficient))
        throw UserError(fmt::format("'{}' cannot be read: {}", text, penalty_form));
      ++at;
      skip();
    }
    while (at < end && *at != ' ' && *at != '+') term.name += *at++;
    const size_t colon = term.name.find(':');
    std::string rest = colon == term.name.npos ? "" : term.name.substr(colon);
    term.name.resize(std::min(colon, term.name.size()));
    while (!rest.empty()) {
      const size_t next = std::min(rest.find(':', 1), rest.size());
      term.attributes.push_back(rest.substr(1, next - 1));
      rest.erase(0, next);
    }
    if (term.name.empty()) throw UserError(fmt::format("'{}' cannot be read: {}", text, penalty_form));
    Strings known = penalty_names;
    for (const std::string& op : penalty_ops()) known.push_back(op);
    if (std::find(known.begin(), known.end(), term.name) == known.end())
      throw UserError(fmt::format("there is no penalty '{}'.{}", data::shortened(term.name),
                                  did_you_mean(term.name, known)));
    if (!term.attributes.empty()) {
      if (term.name == "l1" || term.name == "l2")
        throw UserError(fmt::format("'{}' has no attributes: {}", term.name, penalty_form));
      attributes_from_text(registry().get(term.name), term.attributes);
    }
    terms.push_back(term);
  }
  if (terms.empty()) throw UserError(fmt::format("it is empty: {}", penalty_form));
  return terms;
}

void LinearProblem::declare(Arguments& arguments) {
  arguments.input("--data", "FILE", data, "the rows: LIBSVM text, a matrix X.npy, or X.npz with X and y");
  arguments.input("--labels", "FILE.npy", labels, "the labels of X.npy");
  arguments.option(
      "--loss", "NAME", [this](const std::string& text) { loss = choice("--loss", text, loss_names); },
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
  arguments.flag("--bias", bias, "add a bias, which is not penalised");
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

void LinearProblem::check(const std::string& command) {
  if (data.empty()) throw UsageError(fmt::format("{}: --data is missing. See {} --help", command, command));
  if (penalty_texts.empty()) penalty = {{1, "l1"}};
  for (const std::string& text : penalty_texts) {
    try {
      const std::vector<PenaltySpec> terms = parse_penalty(text);
      penalty.insert(penalty.end(), terms.begin(), terms.end());
    } catch (const UserError& error) {
      throw UsageError(fmt::format("{}: --penalty: {}", command, error.what()));
    }
  }
}

SolveOptions LinearProblem::solve_options(int with_threads, SolveProgress& progress) const {
  SolveOptions result = options;
  result.threads = with_threads;
  result.seed = static_cast<uint64_t>(seed.value_or(0));
  result.most_iterations = iterations.value_or(0);
  result.progress = [&progress](const convex::Progress& p) { progress(p); };
  return result;
}

data::LabelledRows LinearProblem::read() const {
  // A pipe has no name that would tell; only a matrix has labels of its own.
  const bool dense =
      data.ends_with(".npy") || data.ends_with(".npz") || (is_written_in_place(data) && !labels.empty());
  if (!dense && !labels.empty())
    throw UserError(
        fmt::format("--labels {}: the labels of LIBSVM text stand in the text; leave --labels out", labels));
  if (dense && zero_based)
    throw UserError(
        fmt::format("--zero-based is about the indices of LIBSVM text, but {} is a matrix", data));
  if (classes && !classifies())
    throw UserError(
        fmt::format("--classes is about the labels of two classes, but the loss {} takes numbers", loss));
  data::LabelledRows rows = dense ? data::read_npy(data, labels) : data::read_libsvm(data, zero_based);
  if (rows.columns == 0)
    throw UserError(fmt::format("{}: no row has an entry; each line should be 'label index:value …'", data));
  data::drop_empty_columns(rows);
  if (classes) rename_classes(rows, *classes);
  if (classifies()) make_signs(rows, loss);
  check_classes(rows, "every row");
  return rows;
}

void LinearProblem::check_classes(const data::LabelledRows& rows, const std::string& which) const {
  if (!classifies() || !bias) return;
  if (std::adjacent_find(rows.labels.begin(), rows.labels.end(), std::not_equal_to<>()) != rows.labels.end())
    return;
  throw UserError(
      fmt::format("{}: {} is of the class {}, so the loss falls for ever as the bias grows, and no solution "
                  "is best; leave "
                  "--bias out, or give rows of both classes",
                  rows.file, which, rows.labels.front()));
}

Store LinearProblem::with_all_columns(const Store& store, const data::LabelledRows& rows) const {
  Store result = store;
  if (rows.column_numbers.empty()) return result;
  Tensor all(f64, {rows.total_columns()});
  const Tensor& some = store.get("w");
  for (int64_t j = 0; j < rows.columns; ++j) all.data<double>()[rows.number_of(j)] = some.at(j);
  result.set("w", all);
  return result;
}

Value LinearProblem::prediction(Graph& graph, const data::LabelledRows& rows) const {
  const Value w = graph.parameter("w", {rows.columns}, init::zeros(), f64);
  const auto tensor = [](const auto& values) {
    return Tensor::of(Extents{static_cast<int64_t>(values.size())}, std::span(values));
  };
  Value z;
  if (rows.sparse()) {
    z = csr_matmul(graph.constant(tensor(rows.values)), graph.constant(tensor(rows.entry_columns)),
                   graph.constant(tensor(rows.row_starts)), w);
  } else {
    const Value x = graph.constant(Tensor::of({rows.rows, rows.columns}, std::span(rows.values)));
    z = reshape(matmul(x, reshape(w, {rows.columns, 1})), {rows.rows});
  }
  return bias ? z + graph.parameter("b", {1}, init::zeros(), f64) : z;
}

Value LinearProblem::build(Graph& graph, const data::LabelledRows& rows) const {
  const Value z = prediction(graph, rows);
  const Value y = graph.constant(Tensor::of({rows.rows}, std::span(rows.labels)));
  const Value w = graph.find_source("w");
  Value total = loss == "logistic"  ? sum(softplus(-(y * z)))
                : loss == "squared" ? 0.5 * sum(square(z - y))
                                    : sum(square(relu(1 - y * z)));
  for (const PenaltySpec& term : penalty)
    total = total +
            term.coefficient *
                (term.name == "l1" ? sum(abs(w))
                 : term.name == "l2"
                     ? sum(square(w))
                     : sum(lariat::build(term.name, {w},
                                         attributes_from_text(registry().get(term.name), term.attributes))));
  return total;
}

std::string LinearProblem::title() const {
  std::string text = loss + " loss";
  for (const PenaltySpec& term : penalty) {
    text += fmt::format(" + {}*{}", term.coefficient, term.name);
    for (const std::string& attribute : term.attributes) text += ":" + attribute;
  }
  return text + (bias ? ", with a bias" : "");
}

double LinearProblem::l1() const {
  double total = 0;
  for (const PenaltySpec& term : penalty) total += term.name == "l1" ? term.coefficient : 0;
  return total;
}

bool LinearProblem::makes_zeros() const {
  return std::any_of(penalty.begin(), penalty.end(),
                     [](const PenaltySpec& term) { return term.makes_zeros() && term.coefficient != 0; });
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
