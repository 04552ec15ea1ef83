#include "frontends/cli/training_report.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <limits>
#include <numeric>

#include "frontends/cli/console.hpp"
#include "frontends/cli/summary.hpp"
#include "frontends/cli/zeros_worth.hpp"
#include "frontends/data/labelled_rows.hpp"
#include "frontends/recipe/worst_examples.hpp"
#include "frontends/report/chart.hpp"
#include "frontends/report/png.hpp"
#include "graph/base/error.hpp"
#include "graph/base/instruction_set.hpp"
#include "graph/io/atomic_file.hpp"

namespace lariat::cli {

namespace {

constexpr size_t most_wrong = 12;
constexpr uintmax_t largest_file = 400000;
constexpr int64_t smallest_picture = 64, largest_picture = 16384;

// What lies side by side in the last axis of a recurrent layer's weights, as ops/ops.hpp has it.
std::vector<std::string> gates_of(const std::vector<LayerSpec>& layers, const std::string& parameter) {
  const std::vector<std::string> names = names_of(layers);
  for (size_t i = 0; i < layers.size(); ++i) {
    if (!parameter.starts_with(names[i] + "/")) continue;
    const std::string& kind = layers[i].kind;
    if (kind.ends_with("lstm")) return {"input gate", "forget gate", "candidate", "output gate"};
    if (kind.ends_with("gru")) return {"update gate", "reset gate", "candidate"};
  }
  return {};
}

std::vector<std::vector<std::string>> class_rows(const Evaluation& evaluation) {
  if (evaluation.by_class.empty()) return {};
  std::vector<std::vector<std::string>> rows{{"class", "precision", "recall", "F1",
                                              evaluation.weighted                    ? "weight"
                                              : evaluation.symbol_errors.symbols > 0 ? "times"
                                                                                     : "examples"}};
  for (const ClassScores& scores : evaluation.by_class)
    rows.push_back({scores.name, percent(scores.precision), percent(scores.recall), percent(scores.f1),
                    fmt::format("{:g}", scores.weight)});
  return rows;
}

void add_metrics(ReportData& data, const std::string& split, const Evaluation& evaluation) {
  constexpr const char* title = "Figures";
  if (data.tables.empty() || data.tables.front().title != title)
    data.tables.insert(data.tables.begin(), {title, {{"figure"}}});
  std::vector<std::vector<std::string>>& rows = data.tables.front().rows;
  rows.front().push_back(split);
  const auto put = [&](const std::string& name, const std::string& value) {
    auto row =
        std::find_if(rows.begin() + 1, rows.end(), [&](const auto& cells) { return cells[0] == name; });
    if (row == rows.end()) row = rows.insert(rows.end(), {name});
    row->resize(rows.front().size() - 1);
    row->push_back(value);
  };
  for (const auto& measure : measures(evaluation)) put(measure[0], measure[1]);
  put("loss", fmt::format("{:.4g}", evaluation.loss));
  put("examples", grouped(evaluation.examples));
  for (auto& row : rows) row.resize(rows.front().size());
}

// What one output gave for the test examples.
void add_output(ReportData& data, const std::string& output, const Evaluation& test, bool by_frame) {
  if (const auto rows = class_rows(test); !rows.empty()) data.by_class.push_back({output, rows});
  if (const std::vector<int64_t> counts = flattened(test.confusion); !counts.empty()) {
    const bool symbols = test.symbol_errors.symbols > 0;
    const int64_t counted = std::accumulate(counts.begin(), counts.end(), int64_t{0});
    data.confusions.push_back(
        {output, test.confusion_names, counts,
         fmt::format("{}{} test examples: rows are what it is, columns what it was taken for. Mistakes are "
                     "drawn in another colour than right answers.{}",
                     symbols                   ? grouped(counted) + " symbols of "
                     : counted > test.examples ? grouped(counted) + " frames of "
                                               : "",
                     grouped(test.examples),
                     symbols
                         ? " In the last row are symbols that were inserted, in the last column deleted ones."
                         : "")});
  }
  if (!test.mistakes.empty()) {
    constexpr size_t most = 12;
    const SymbolErrors& errors = test.symbol_errors;
    ReportData::Table table{
        fmt::format("Wrong symbols: {} of {}, {} substituted, {} inserted, {} deleted",
                    grouped(errors.errors()), grouped(errors.symbols), grouped(errors.substitutions),
                    grouped(errors.insertions), grouped(errors.deletions)),
        {{"is", "said", "times"}}};
    for (size_t i = 0; i < std::min(most, test.mistakes.size()); ++i) {
      const SymbolMistake& mistake = test.mistakes[i];
      table.rows.push_back({mistake.truth.empty() ? "nothing (inserted)" : mistake.truth,
                            mistake.said.empty() ? "nothing (deleted)" : mistake.said,
                            grouped(mistake.count)});
    }
    data.tables.push_back(std::move(table));
  }
  for (const Comparison& comparison : test.comparisons) {
    const std::string name = output.empty() || output == comparison.name
                                 ? comparison.name
                                 : fmt::format("{}/{}", output, comparison.name);
    data.pictures.push_back({name + ": what was found against what it is",
                             comparison_chart(name, comparison.truth, comparison.given),
                             fmt::format("{} {} {} test examples; on the line the two are equal.",
                                         grouped(static_cast<int64_t>(comparison.truth.size())),
                                         by_frame ? "frames of" : "of", grouped(test.examples))});
  }
}

void add_test(ReportData& data, const Evaluation& test, bool by_frame) {
  if (test.outputs.empty()) return add_output(data, {}, test, by_frame);
  for (size_t i = 0; i < test.outputs.size(); ++i)
    add_output(data, test.output_names[i], test.outputs[i], by_frame);
}

// A recording as a player, an image as a picture; "" where there is none, or a large one.
std::string media_of_file(const std::string& file) {
  std::error_code none;
  const auto size = std::filesystem::file_size(file, none);
  const std::string ending = std::filesystem::path(file).extension().string();
  if (none || size > largest_file) return {};
  for (const auto& [known, type] :
       {std::pair{".wav", "audio/wav"}, {".flac", "audio/flac"}, {".ogg", "audio/ogg"}})
    if (ending == known)
      return fmt::format("<audio controls preload=\"none\" src=\"{}\"></audio>",
                         data_uri(data::read_whole_file(file), type));
  for (const auto& [known, type] :
       {std::pair{".png", "image/png"}, {".jpg", "image/jpeg"}, {".jpeg", "image/jpeg"}})
    if (ending == known)
      return fmt::format("<img alt=\"\" src=\"{}\">", data_uri(data::read_whole_file(file), type));
  return {};
}

// The recordings of an example that is several, one behind the other, are players in that order.
std::string media_of(const std::string& source) {
  constexpr std::string_view joint = " + ";
  std::string media;
  const std::filesystem::path folder =
      std::filesystem::path(source.substr(0, source.find(joint))).parent_path();
  for (size_t at = 0; at < source.size();) {
    const size_t end = std::min(source.find(joint, at), source.size());
    const std::filesystem::path file = source.substr(at, end - at);
    const std::string one =
        media_of_file((at == 0 || file.has_parent_path() ? file : folder / file).string());
    if (one.empty()) return at == 0 ? media_of_file(source) : "";
    media += one;
    if (media.size() > 2 * largest_file) return {};
    at = end + joint.size();
  }
  return media;
}

// Values of a square as a picture, dark where they are large.
std::string picture_of(const data::Example& example) {
  const auto count = static_cast<int64_t>(example.values.size());
  const auto side = std::llround(std::sqrt(static_cast<double>(count)));
  if (side * side != count || count < smallest_picture || count > largest_picture) return {};
  const auto [low, high] = std::minmax_element(example.values.begin(), example.values.end());
  if (!(*low < *high)) return {};
  IndexedPicture picture{static_cast<int>(side), static_cast<int>(side), {}, {}};
  for (int shade = 0; shade < 256; ++shade) {
    const auto gray = static_cast<uint8_t>(255 - shade);
    picture.palette.push_back({gray, gray, gray, 255});
  }
  for (const float value : example.values)
    picture.pixels.push_back(static_cast<uint8_t>(255 * (value - *low) / (*high - *low)));
  return fmt::format("<img alt=\"\" src=\"{}\">", data_uri(png(picture)));
}

void add_wrong(ReportData& data, const RunResult& result, TrainingRun& run) {
  const data::Dataset* test = run.examples(data::Split::test);
  if (test == nullptr) return;
  const auto time_multiple = static_cast<int>(run.recipe().training().time_multiple);
  const bool images = data_kind_of(run.recipe().table("data")).form == DataForm::images;
  for (const WorstExample& example : worst_examples(
           run.model(), *test, most_wrong, {.time_multiple = time_multiple, .beam = run.recipe().beam()})) {
    std::string media = media_of(example.source);
    if (media.empty() && images) media = picture_of(data::loaded(test->examples[example.index]));
    data.examples.push_back({example.source, example.truth, example.said, media});
  }
  if (result.task == "numbers") {
    data.examples_title = "Where it is furthest from the truth";
    data.said_as = "found";
  }
  if (result.task == "symbols") {
    data.said_as = "heard as";
    data.examples_caption = "The test examples with the most wrong symbols, at most 12.";
    return;
  }
  data.examples_caption = result.task == "numbers"
                              ? "The test examples of which the numbers are furthest from the truth."
                              : "The test examples that are wrong and surest of it, at most 12.";
}

// Of symbols, what the validation data say after each epoch.
void add_error_curves(ReportData& data, const RunResult& result) {
  const double missing = std::numeric_limits<double>::quiet_NaN();
  LineChart chart{"Wrong symbols and right sequences by epoch", "%", {}, false, 0, 100};
  // In the colours of mistakes and of right answers.
  for (const auto& [name, color] : {std::pair{"symbol_error_rate", 6}, {"sequence_accuracy", 3}}) {
    std::vector<double> values;
    for (const EpochReport& epoch : result.history) {
      values.push_back(missing);
      for (const auto& [metric, value] : epoch.validation_metrics)
        if (metric == name) values.back() = 100 * std::min(1.0, value);
    }
    const bool any =
        std::any_of(values.begin(), values.end(), [](double value) { return !std::isnan(value); });
    if (any) chart.series.push_back({name, values, color});
  }
  if (!chart.series.empty())
    data.pictures.push_back({"Symbols", line_chart(chart), "On the validation examples, by the best path."});
}

// What an operator does to a weight, in words.
std::string effect_of(const std::string& operator_name) {
  std::vector<std::string> effects;
  const auto has = [&](const char* word) { return operator_name.find(word) != operator_name.npos; };
  if (has("group"))
    effects.emplace_back("groups whose length is below the threshold become exactly zero as a whole");
  else if (has("soft threshold"))
    effects.emplace_back(
        "weights smaller than the threshold become exactly zero, and all others come that much nearer to it");
  if (has("shrink")) effects.emplace_back("every weight is made smaller by a factor");
  if (has("clip")) effects.emplace_back("weights are kept within their bounds");
  if (has("hard threshold"))
    effects.emplace_back("weights below a bound become exactly zero, and others stay as they are");
  return effects.empty() ? fmt::format("the {} is applied", operator_name)
                         : fmt::format("{}", fmt::join(effects, "; "));
}

}  // namespace

std::vector<std::string> plain_words(const RunResult& result) {
  std::vector<std::string> sentences;
  for (const RewriteReport::Entry& entry : result.report.rewritten) {
    std::string zeros;
    for (const TensorZeros& tensor : result.tensors)
      if (tensor.name == entry.parameter)
        zeros = fmt::format(" At the end {} of its {} weights are exactly zero.",
                            percent(tensor.sparsity.fraction()), grouped(tensor.sparsity.count));
    sentences.push_back(fmt::format("{}: the penalty {} is no part of the gradient. After each step {}.{}",
                                    entry.parameter, fmt::join(entry.terms, " + "),
                                    effect_of(entry.operator_name), zeros));
  }
  for (const RewriteReport::Smooth& term : result.report.smooth)
    sentences.push_back(
        fmt::format("{}: {} is smooth, so its gradient is followed; it makes weights small, but none zero.",
                    term.parameters, term.term));
  for (const Refusal& refusal : result.report.refused)
    sentences.push_back(fmt::format("{} was left alone ({}): {}. It makes no weight exactly zero; {}.",
                                    refusal.term, refusal.code, refusal.reason, refusal.advice));
  if (sentences.empty()) sentences.push_back("The loss has no penalty, so no weight is made zero.");
  if (!result.report.note.empty()) sentences.push_back(result.report.note);
  return sentences;
}

ReportData training_report(const RunResult& result, TrainingRun& run, const std::string& recipe_text,
                           bool is_asked_for) {
  ReportData data;
  const Store& weights = run.model().store();
  const double missing = std::numeric_limits<double>::quiet_NaN();
  const auto figure = [&](std::string label, std::string value, std::string comment) {
    data.figures.push_back({std::move(label), std::move(value), std::move(comment)});
  };
  if (result.test)
    for (const auto& row : measures(*result.test))
      figure("test " + row[0], row[1], fmt::format("on {} examples", grouped(result.test->examples)));
  if (result.penalised.count > 0)
    figure("exact zeros", percent(result.penalised.fraction()),
           fmt::format("of {} penalised weights", grouped(result.penalised.count)));
  figure("weights kept", grouped(result.nonzeros()), fmt::format("of {}", grouped(result.parameters())));
  if (!result.model.empty()) figure("model file", bytes_text(file_bytes(result.model)), result.model);
  figure("training", duration(result.seconds),
         fmt::format("{} epochs, {} thread{}, seed {}", result.history.size(), result.threads,
                     result.threads == 1 ? "" : "s", result.seed));
  const bool validated = !result.history.empty() && result.history.back().validation_accuracy.has_value();
  data.accuracy_caption = validated ? "on the validation examples" : "on the training examples";
  for (const EpochReport& epoch : result.history)
    data.history.push_back({epoch.smooth, epoch.penalty,
                            (validated ? epoch.validation_accuracy : epoch.accuracy).value_or(missing),
                            epoch.penalised.fraction(), epoch.support_changes.value_or(missing),
                            epoch.prox_residual.value_or(missing)});
  if (result.task == "symbols") add_error_curves(data, result);
  if (result.test) add_test(data, *result.test, run.model().shape().targets.by_frame);
  for (const TensorZeros& tensor : result.tensors)
    if (tensor.penalised)
      data.weights.push_back(
          {tensor.name, weights.get(tensor.name), gates_of(run.model().layers(), tensor.name)});
  if (result.test) add_wrong(data, result, run);
  for (const auto& [split, evaluation] :
       {std::pair{"validation", &result.validation}, {"test", &result.test}})
    if (*evaluation) add_metrics(data, split, **evaluation);
  if (!result.model.empty() && !is_written_in_place(result.model)) {
    ZerosWorth worth = zeros_worth(result.model, run.examples(data::Split::test), is_asked_for ? 0.05 : 0.01);
    data.worth = std::move(worth.tables);
    data.worth_caption = std::move(worth.plainly);
  }
  data.certificate = result.certificate;
  data.plainly = plain_words(result);
  data.rewrite = result.report.text();
  data.versions = fmt::format("kernels for {}, {} thread{}, seed {}", name_of(instruction_set()),
                              result.threads, result.threads == 1 ? "" : "s", result.seed);
  data.recipe = recipe_text;
  data.notices = result.notices;
  data.notices.insert(data.notices.end(), result.skipped.begin(), result.skipped.end());
  return data;
}

}  // namespace lariat::cli
