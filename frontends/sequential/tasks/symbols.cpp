#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

#include "frontends/sequential/learning_records.hpp"
#include "graph/base/error.hpp"
#include "ops/ops.hpp"

namespace lariat {

namespace {

constexpr const char* no_symbol = "(none)";

std::vector<std::string> symbol_names(const DataShape& shape) {
  std::vector<std::string> names{"(blank)"};
  names.insert(names.end(), shape.classes.begin(), shape.classes.end());
  return names;
}

void check_symbol_shape(const DataShape& shape, const std::string& loss) {
  if (!shape.sequences)
    throw UserError(
        fmt::format("{} finds a sequence of symbols in a sequence of frames, but the data have no time axis; "
                    "give sequences, or take softmax_cross_entropy",
                    loss));
  if (!shape.targets.symbols)
    throw UserError(fmt::format(
        "{} learns a sequence of symbols, but the data have {}; give each example its symbols, "
        "counted from 1, as targets (Targets{{.width = 1, .symbols = true}})",
        loss,
        shape.targets.width == 0
            ? std::string("a label each")
            : fmt::format("{} targets each{}", shape.targets.width, shape.targets.by_frame ? " frame" : "")));
  if (shape.classes.empty())
    throw UserError(
        fmt::format("{} learns sequences of symbols, but the data name none; name them as classes", loss));
}

void check_symbols(const data::Example& example, const DataShape& shape) {
  const auto count = static_cast<float>(shape.classes.size());
  for (const float symbol : example.targets)
    if (!(symbol >= 1 && symbol <= count && symbol == std::floor(symbol)))
      throw UserError(fmt::format(
          "{}has the symbol {}, but the data have {} symbols, counted from 1; 0 is the blank, which is none",
          task_parts::place_of(example), symbol, shape.classes.size()));
}

Value symbol_targets(Graph& graph, const DataShape&) {
  return cast(graph.input("targets", {dim::batch, Dim::symbol("symbols")}), i32);
}

// What is taken for what, how often; the last place is of no symbol.
std::vector<std::vector<int64_t>> counted(const Outcome& outcome, SymbolErrors& all) {
  const size_t places = outcome.names.size();
  std::vector<std::vector<int64_t>> counts(places, std::vector<int64_t>(places));
  const auto place = [&](int32_t symbol) { return (static_cast<size_t>(symbol) + places - 1) % places; };
  for (const auto& [truth, said] : outcome.sequences) {
    const std::vector<AlignedSymbol> alignment = aligned(truth, said);
    for (const AlignedSymbol& pair : alignment) ++counts[place(pair.truth)][place(pair.said)];
    const SymbolErrors errors = errors_in(alignment);
    all = {all.symbols + errors.symbols, all.substitutions + errors.substitutions,
           all.insertions + errors.insertions, all.deletions + errors.deletions};
  }
  return counts;
}

ClassScores scores_of(const std::vector<std::vector<int64_t>>& counts, size_t symbol,
                      const std::string& name) {
  double said = 0, is = 0;
  for (size_t other = 0; other < counts.size(); ++other) {
    is += static_cast<double>(counts[symbol][other]);
    said += static_cast<double>(counts[other][symbol]);
  }
  const auto right = static_cast<double>(counts[symbol][symbol]);
  const auto ratio = [](double part, double all) { return all > 0 ? part / all : 0; };
  return {name, ratio(right, said), ratio(right, is), ratio(2 * right, said + is), is};
}

void show_symbols(const Outcome& outcome, Evaluation& evaluation) {
  evaluation.accuracy = std::numeric_limits<double>::quiet_NaN();
  evaluation.confusion = counted(outcome, evaluation.symbol_errors);
  evaluation.confusion_names.assign(outcome.names.begin() + 1, outcome.names.end());
  evaluation.confusion_names.emplace_back(no_symbol);
  const size_t symbols = outcome.names.size() - 1;
  for (size_t i = 0; i <= symbols; ++i) {
    if (i < symbols)
      evaluation.by_class.push_back(scores_of(evaluation.confusion, i, evaluation.confusion_names[i]));
    for (size_t j = 0; j <= symbols; ++j)
      if (const int64_t count = evaluation.confusion[i][j]; i != j && count > 0)
        evaluation.mistakes.push_back({i < symbols ? evaluation.confusion_names[i] : "",
                                       j < symbols ? evaluation.confusion_names[j] : "", count});
  }
  std::stable_sort(evaluation.mistakes.begin(), evaluation.mistakes.end(),
                   [](const SymbolMistake& a, const SymbolMistake& b) { return a.count > b.count; });
}

std::vector<int32_t> decode_symbols(std::span<const float> outputs, int64_t width, int64_t beam) {
  return beam > 0 ? prefix_beam_search(outputs, width, beam) : best_path(outputs, width);
}

constexpr const char* symbols_recipe =
    R"(# Sequences of symbols, such as the words or characters that are said in a recording: a table (CSV) names
# recordings in the column file, and in the column label what is said. Arrays of features: kind = "numpy" with
# X [n, frames, features], lengths and y [n, most symbols], padded with 0 at the end.
# Every key: lariat recipe show list
[data]
kind = "list"
path = ""  # a table of recordings, or a folder that holds train.csv, test.csv and perhaps validation.csv
file = "file"
label = "label"
symbols = "words"  # or "characters"
validation = 10
testing = 10

[features]
kind = "fbank"
num_mel_bins = 40
cmvn = "global"

# Where symbols are in the frames need not be known.
[loss]
kind = "ctc"

[metrics]
kinds = ["symbol_error_rate", "sequence_accuracy"]

# Half as many frames: each symbol needs one, and one more stands between equal neighbours.
[[layers]]
kind = "conv1d"
filters = 64
kernel = 5
stride = 2
activation = "relu"
kernel_penalty = "l1=1e-5"

[[layers]]
kind = "bidirectional_lstm"
units = 64
return_sequences = true
kernel_penalty = "l1=1e-5"

# 0 units: the blank, and one for each symbol.
[[layers]]
kind = "dense"
units = 0

[optimizer]
kind = "adam"
learning_rate = 0.002

[training]
epochs = 40
batch_size = 16
clip_norm = 5

# All errors are there until the first symbol is said, which may take many epochs: the loss says before that it gets better.
[[callbacks]]
kind = "early_stopping"
monitor = "validation_loss"
patience = 10

# Answers by prefix beam search; 0: the best path.
[prediction]
beam = 0
)";

}  // namespace

LearningTask task_records::symbols() {
  return {.name = "symbols",
          .doc = "a sequence of symbols, such as words or characters, from a longer sequence of frames",
          .check_shape = check_symbol_shape,
          .check_targets = check_symbols,
          .outputs = [](const DataShape& shape) { return static_cast<int64_t>(shape.classes.size()) + 1; },
          .reason =
              [](const DataShape& shape) {
                return fmt::format("the data have {} symbols, and the blank is one more",
                                   shape.classes.size());
              },
          .names = symbol_names,
          .targets = symbol_targets,
          .link = [](Value outputs) { return softmax(outputs); },
          .truth = nullptr,
          .metrics = {"symbol_error_rate", "sequence_accuracy"},
          .show = show_symbols,
          .describe = nullptr,
          .decode = decode_symbols,
          .recipe = symbols_recipe};
}

}  // namespace lariat
