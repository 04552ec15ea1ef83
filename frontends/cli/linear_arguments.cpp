#include "frontends/cli/linear_arguments.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <numeric>

#include "frontends/cli/console.hpp"
#include "frontends/data/libsvm.hpp"
#include "frontends/data/npy.hpp"
#include "frontends/data/numbers.hpp"
#include "frontends/data/option_table.hpp"
#include "frontends/linear/saved_linear.hpp"
#include "frontends/spec/op_fingerprint.hpp"
#include "graph/base/error.hpp"
#include "graph/base/random.hpp"
#include "graph/io/atomic_file.hpp"
#include "graph/ir/registry.hpp"

namespace lariat::cli {

namespace {

const Strings method_names{"auto", "newton", "fista", "proximal-gradient"};

// "1,2".
std::vector<double> parse_classes(const std::string& text, bool two) {
  std::vector<double> classes;
  const char *at = text.data(), *const end = text.data() + text.size();
  for (;;) {
    double label = 0;
    const auto [rest, error] = std::from_chars(at, end, label);
    const bool again = std::find(classes.begin(), classes.end(), label) != classes.end();
    if (error != std::errc{} || !std::isfinite(label) || again || (rest != end && *rest != ',')) break;
    classes.push_back(label);
    if (rest == end && (two ? classes.size() == 2 : classes.size() >= 2)) return classes;
    if (rest == end) break;
    at = rest + 1;
  }
  throw UserError(fmt::format("--classes = {}: must be {} different labels, such as {}",
                              data::shortened(text), two ? "two" : "two or more", two ? "1,2" : "1,2,3"));
}

// What any of the ranks has, ascending.
template <class T>
std::vector<T> united(Ranks& ranks, std::vector<T> own, const std::string& what) {
  const auto put_in_order = [](std::vector<T>& numbers) {
    std::sort(numbers.begin(), numbers.end());
    numbers.erase(std::unique(numbers.begin(), numbers.end()), numbers.end());
  };
  put_in_order(own);
  const std::string bytes(reinterpret_cast<const char*>(own.data()), own.size() * sizeof(T));
  std::vector<T> all;
  for (const std::string& some : ranks.gather(bytes, what)) {
    const size_t before = all.size();
    all.resize(before + some.size() / sizeof(T));
    if (!some.empty()) std::memcpy(all.data() + before, some.data(), some.size());
  }
  put_in_order(all);
  return all;
}

std::string choice(const std::string& what, const std::string& text, const Strings& known) {
  const data::OptionDescription description{what, {}, "choice", data::range_of(known), {}};
  return known[data::parse_choice(description, text, known)];
}

}  // namespace

std::vector<double> numbers_for(const std::string& flag, const std::string& file, int64_t count,
                                const std::string& what, bool negative) {
  if (file.empty()) return {};
  std::vector<double> numbers = data::read_numbers(file);
  if (static_cast<int64_t>(numbers.size()) != count)
    throw UserError(fmt::format("{} {}: has {} numbers, but there are {} {}; give one for each", flag, file,
                                numbers.size(), count, what));
  for (size_t i = 0; i < numbers.size() && !negative; ++i)
    if (numbers[i] < 0)
      throw UserError(
          fmt::format("{} {}: number {} is {}; it must be 0 or more", flag, file, i + 1, numbers[i]));
  return numbers;
}

std::vector<double> row_weights(const std::string& file, int64_t rows) {
  std::vector<double> weights = numbers_for("--weights", file, rows, "rows", false);
  if (!weights.empty() && *std::max_element(weights.begin(), weights.end()) == 0)
    throw UserError(fmt::format("--weights {}: all are 0, so no row counts", file));
  return weights;
}

// "1e-6", as people write it.
static std::string power_text(double value) {
  std::string text = fmt::format("{}", value);
  if (const size_t at = text.find("e-0"); at != text.npos) text.erase(at + 2, 1);
  return text;
}

void LinearArguments::declare(Arguments& arguments) {
  arguments.input("--data", "FILE", data, "the rows: LIBSVM text, a matrix X.npy, or X.npz with X and y");
  arguments.input("--labels", "FILE.npy", labels, "the labels of X.npy");
  arguments.option(
      "--loss", "NAME",
      [this](const std::string& text) { problem.loss = choice("--loss", text, linear_losses()); },
      "logistic (the default): Σ log(1 + exp(-y·xw)); squared: Σ ½(xw - y)²; hinge-squared: Σ max(0, 1 - "
      "y·xw)²; poisson: Σ exp(xw) - y·xw of counts; huber: squared up to --delta, then linear; multinomial: "
      "softmax cross-entropy of several classes");
  arguments.repeated(
      "--penalty", "TERMS", penalty_texts,
      "such as \"1.0*l1 + 0.5*l2\": l1 is Σ|w|, l2 is Σw², group is Σ √n·‖w‖₂ over the groups of --groups, "
      "and any op that is a convex penalty can be named, "
      "one of a plugin too, with attributes after colons such as 0.1*ordered_l1:spread=2, or bounds: "
      "1*l1 + within:low=0:high=0.2; 1.0*l1 where it is not given");
  arguments.plugins();
  arguments.flag("--zero-based", zero_based,
                 "indices of LIBSVM text begin at 0, as scikit-learn writes them");
  arguments.option(
      "--classes", "A,B", classes_text,
      "the labels of the two classes where they are not -1 and 1, or 0 and 1; B counts as 1; of multinomial "
      "all of them, where not those that occur");
  arguments.option(
      "--delta", "D",
      [this](const std::string& text) {
        const data::OptionDescription description{"--delta", {}, "number", "a number above 0", {}};
        delta = data::parse_number(description, text, 1e-300, 1e300);
      },
      "where huber goes from squared to linear; 1 where it is not given");
  arguments.input("--weights", "FILE", weights, "how much each row counts: numbers of text or numpy");
  arguments.input("--offset", "FILE", offset, "what is added to each row's prediction");
  arguments.input("--penalty-factor", "FILE", penalty_factor,
                  "what multiplies each column's l1 and l2; 0: it is not penalised");
  arguments.input("--groups", "FILE", groups,
                  "the number of each column's group, for the penalty group; else each column is one");
  arguments.flag(
      "--standardize", standardized,
      "penalise weights of columns of standard deviation 1; what is written is of the data as they are");
  arguments.flag("--mean", problem.mean,
                 "take the mean of the loss over rows, not its sum, so that λ is what glmnet calls so");
  arguments.flag("--bias", problem.bias, "add a bias, which is not penalised");
  arguments.option(
      "--tolerance", "T",
      [this](const std::string& text) {
        const data::OptionDescription description{
            "--tolerance", {}, "number", "a number above 0, at most 1", {}};
        options.tolerance = data::parse_number(description, text, 1e-300, 1);
      },
      fmt::format("the relative duality gap to reach, or relative stationarity for penalties not of single "
                  "weights; {} where it is not given",
                  power_text(options.tolerance)));
  arguments.option(
      "--method", "NAME",
      [this](const std::string& text) {
        const data::OptionDescription description{"--method", {}, "choice", data::range_of(method_names), {}};
        options.method = static_cast<SolveMethod>(data::parse_choice(description, text, method_names));
      },
      "auto (the default: newton, or fista for penalties not of single weights), newton, fista or "
      "proximal-gradient");
  arguments.integer("--iterations", iterations, 1, 1000000000, "stop after so many, converged or not");
  arguments.integer(
      "--row-parts", parts, 1, 1000000,
      "cut the rows into so many parts, which ranks of mpirun share: the result has the same bits "
      "for any number of ranks; 8 with ranks");
  arguments.seed(seed);
  arguments.threads(threads);
  arguments.flag("--quiet", quiet, "no progress");
}

void LinearArguments::check(const std::string& command) {
  problem.offset = !offset.empty();
  problem.delta = delta.value_or(problem.delta);
  if (!classes_text.empty() && problem.classifies()) {
    try {
      classes = parse_classes(classes_text, problem.has_signs());
    } catch (const UserError& error) {
      throw UsageError(fmt::format("{}: {}", command, error.what()));
    }
  }
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

void LinearArguments::check_files(bool dense) const {
  if (!dense && !labels.empty())
    throw UserError(
        fmt::format("--labels {}: the labels of LIBSVM text stand in the text; leave --labels out", labels));
  if (dense && zero_based)
    throw UserError(
        fmt::format("--zero-based is about the indices of LIBSVM text, but {} is a matrix", data));
  if (!classes_text.empty() && !problem.classifies())
    throw UserError(
        fmt::format("--classes is about the labels of classes, but the loss {} takes numbers", problem.loss));
  if (delta && problem.loss != "huber")
    throw UserError(
        fmt::format("--delta is where the loss huber goes from squared to linear, but the loss is {}; leave "
                    "it out, or say "
                    "--loss huber",
                    problem.loss));
}

// What decides the result beside what files hold.
void LinearArguments::agree_on_settings(Ranks& ranks) const {
  std::vector<const OpDef*> penalties;
  for (const PenaltySpec& term : problem.penalty)
    if (const OpDef* op = registry().find(term.name)) penalties.push_back(op);
  ranks.agree(
      {{"other settings",
        fmt::format("{}\ndelta {}\nclasses {}\nstandardize {}\nmethod {}\ntolerance {}\niterations {}\n"
                    "seed {}\nrow-parts {}\n",
                    problem.title(), problem.delta, classes_text, standardized, name_of(options.method),
                    options.tolerance, iterations.value_or(0), seed.value_or(0), parts.value_or(0))},
       {"other plugins", plugins_among(penalties)}});
}

// The rows, or this rank's, whose columns are those of all.
data::LabelledRows LinearArguments::read_rows(bool shares, bool dense) {
  constexpr int64_t parts_of_ranks = 8;
  const std::shared_ptr<Ranks> ranks = shares ? ranks_of_process() : nullptr;
  const bool several = ranks && ranks->size() > 1;
  const auto cut = [&](int64_t rows) {
    if (ranks || (shares && parts))
      options.row_parts = RowParts(ranks, parts.value_or(std::min(rows, parts_of_ranks)), rows);
    return options.row_parts.is_one()
               ? std::pair(int64_t{0}, rows)
               : std::pair(options.row_parts.first_row(), options.row_parts.own_rows());
  };
  // One that has all rows may read them from a pipe.
  data::RowShare share{cut};
  data::RowShare* const of_several = several ? &share : nullptr;
  data::LabelledRows rows =
      dense ? data::read_npy(data, labels, of_several) : data::read_libsvm(data, zero_based, of_several);
  if (!several) cut(rows.rows);
  all_rows = several ? share.rows : rows.rows;
  if (several) {
    const uint64_t hash = share.hash + (zero_based ? 1 : 0);
    for (const std::string& columns : ranks->gather(fmt::format("{}", rows.columns), "the others' columns"))
      rows.columns = std::max<int64_t>(rows.columns, std::atoll(columns.c_str()));
    ranks->agree(
        {{"other data", fmt::format("{} rows of {} columns (hash {:016x})", all_rows, rows.columns, hash)}});
  }
  if (rows.columns == 0)
    throw UserError(fmt::format("{}: no row has an entry; each line should be 'label index:value …'", data));
  return rows;
}

// What further files say of rows and columns.
void LinearArguments::read_beside(data::LabelledRows& rows, Ranks* ranks) {
  rows.weights = row_weights(weights, all_rows);
  rows.offsets = numbers_for("--offset", offset, all_rows, "rows", true);
  if (!offset.empty() && problem.loss == "multinomial")
    throw UserError(
        "--offset is one number for each row, but multinomial predicts one for each class; leave it out");
  problem.factors = numbers_for("--penalty-factor", penalty_factor, rows.columns, "columns", false);
  problem.groups = numbers_for("--groups", groups, rows.columns, "columns", false);
  const bool grouped = std::any_of(problem.penalty.begin(), problem.penalty.end(),
                                   [](const PenaltySpec& term) { return term.name == "group"; });
  if (!groups.empty() && !grouped)
    throw UserError(fmt::format(
        "--groups {}: has no effect without the penalty group; write --penalty 1.0*group", groups));
  if (ranks != nullptr) {
    uint64_t hash = 0;
    for (const std::vector<double>* numbers :
         {&rows.weights, &rows.offsets, &problem.factors, &problem.groups})
      hash = hash_words(numbers->data(), numbers->size() * sizeof(double), hash);
    ranks->agree(
        {{"other weights, offsets, factors or groups", fmt::format("those with hash {:016x}", hash)}});
  }
  if (options.row_parts.is_one()) return;
  problem.counted = rows.weights.empty() ? static_cast<double>(all_rows)
                                         : std::accumulate(rows.weights.begin(), rows.weights.end(), 0.0);
  for (std::vector<double>* numbers : {&rows.weights, &rows.offsets}) {
    if (numbers->empty()) continue;
    const auto first = numbers->begin() + options.row_parts.first_row();
    *numbers = std::vector<double>(first, first + options.row_parts.own_rows());
  }
}

// Where there are more columns than entries, as with hashed features, and no term of the penalty sees those
// without.
void LinearArguments::drop_empty_columns(data::LabelledRows& rows, Ranks* ranks) const {
  if (!rows.sparse() || rows.columns <= all_entries || !problem.ignores_zeros()) return;
  std::vector<int64_t> used = data::used_columns(rows);
  if (ranks != nullptr) used = united(*ranks, used, "the others' columns");
  data::keep_columns(rows, std::move(used));
}

// Of classes there are few.
void LinearArguments::check_classes(const data::LabelledRows& rows, Ranks* others) const {
  if (others == nullptr || !problem.classifies()) return problem.check_classes(rows, "every row");
  std::vector<double> counted;
  for (int64_t row = 0; row < rows.rows; ++row)
    if (rows.weight(row) > 0) counted.push_back(rows.labels[static_cast<size_t>(row)]);
  data::LabelledRows all;
  all.file = rows.file;
  all.labels = united(*others, counted, "the others' classes");
  problem.check_classes(all, weights.empty() ? "every row" : "every row whose weight is not 0");
}

data::LabelledRows LinearArguments::read(bool shares) {
  // A pipe has no name that would tell; only a matrix has labels of its own.
  const bool dense =
      data.ends_with(".npy") || data.ends_with(".npz") || (is_written_in_place(data) && !labels.empty());
  check_files(dense);
  if (ranks_of_process()) agree_on_settings(*ranks_of_process());
  data::LabelledRows rows = read_rows(shares, dense);
  // Those that have other rows than this process.
  Ranks* const others = shares ? ranks_of_process().get() : nullptr;
  all_entries = static_cast<int64_t>(options.row_parts.sum(rows.rows, [&](int64_t row) {
    const auto at = static_cast<size_t>(row);
    return static_cast<double>(rows.sparse() ? rows.row_starts[at + 1] - rows.row_starts[at] : rows.columns);
  }));
  read_beside(rows, others);
  drop_empty_columns(rows, others);
  if (!problem.groups.empty() && problem.ignores_order()) data::sort_columns(rows, problem.groups);
  std::vector<double> known;
  if (others != nullptr && problem.classifies()) known = united(*others, rows.labels, "the others' labels");
  read_labels(rows, problem, classes, known);
  check_classes(rows, others);
  if (standardized) data::standardize(rows, options.row_parts);
  return rows;
}

void LinearArguments::save(const std::string& file, const Solution& solution, const data::LabelledRows& rows,
                           std::map<std::string, std::string> notes) const {
  if (file.empty()) return;
  notes["certificate"] = solution.certificate();
  notes["objective"] = fmt::format("{}", solution.objective);
  notes["rows"] = fmt::format("{}", all_rows);
  SavedLinear(problem, problem.with_all_columns(solution.store, rows), zero_based).save(file, notes);
}

void SolveProgress::operator()(const convex::Progress& progress) {
  if (const auto& ranks = ranks_of_process()) ranks->at(fmt::format("iteration {}", progress.iteration));
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
