#include <fmt/format.h>

#include <cmath>

#include "frontends/cli/arguments.hpp"
#include "frontends/cli/console.hpp"
#include "frontends/cli/linear_commands.hpp"
#include "frontends/cli/outputs.hpp"
#include "frontends/recipe/saved_model.hpp"
#include "graph/base/error.hpp"
#include "graph/base/json.hpp"
#include "graph/io/atomic_file.hpp"

namespace lariat::cli {

namespace {

// A field of a CSV file.
std::string csv_field(const std::string& text) {
  if (text.find_first_of(",\"\n\r") == text.npos) return text;
  std::string field = "\"";
  for (const char c : text) field += c == '"' ? "\"\"" : std::string(1, c);
  return field + "\"";
}

std::string csv_line(const Strings& fields) {
  std::string line;
  for (const std::string& field : fields) line += (line.empty() ? "" : ",") + csv_field(field);
  return line + "\n";
}

// A line for each row, or for each frame of one: what is said in words, then every output.
std::string csv_of(const std::vector<Prediction>& predictions, const LearningTask& task,
                   const DataShape& shape) {
  const bool by_frame = shape.targets.by_frame, worded = task.name != "numbers" && !by_frame;
  std::string text = "row";
  if (by_frame) text += ",frame";
  if (worded) text += ",prediction";
  for (const std::string& name : task.names(shape)) text += "," + csv_field(name);
  text += "\n";
  const auto width = static_cast<size_t>(task.outputs(shape));
  for (size_t row = 0; row < predictions.size(); ++row) {
    const Prediction& prediction = predictions[row];
    for (size_t at = 0; at < prediction.values.size(); at += width) {
      Strings fields{fmt::format("{}", row)};
      if (by_frame) fields.push_back(fmt::format("{}", at / width));
      if (worded) fields.push_back(prediction.label);
      for (size_t i = 0; i < width; ++i) fields.push_back(fmt::format("{}", prediction.values[at + i]));
      text += csv_line(fields);
    }
  }
  return text;
}

Json json_of_prediction(const Prediction& prediction) {
  Json object = Json::object();
  if (!prediction.label.empty() || !prediction.probabilities.empty()) object["label"] = prediction.label;
  if (std::isfinite(prediction.probability)) object["probability"] = prediction.probability;
  if (prediction.frames > 0) object["frames"] = prediction.frames;
  object["values"] = Json::array();
  for (const float value : prediction.values) object["values"].push_back(finite_or_null(double(value)));
  return object;
}

}  // namespace

void predict(const Strings& words) {
  Arguments arguments(
      "lariat predict",
      "Says what a saved model makes of rows that have no targets. The model knows its columns.",
      "lariat predict houses.safetensors new.csv --out prices.csv");
  std::string file, rows, out, json_name;
  std::optional<int64_t> threads;
  arguments.input_word("MODEL", file, "what lariat train, search, solve or path wrote");
  arguments.input_word(
      "DATA", rows,
      "CSV with the columns of the training, or an array of numpy.save; of a linear model LIBSVM "
      "text, whose labels are not looked at, or a matrix");
  arguments.output("--out", "FILE.csv", out, "where the predictions go, instead of standard output");
  arguments.threads(threads);
  arguments.plugins();
  arguments.json(json_name);
  if (!arguments.read(words)) return;
  check_outputs({out, json_name}, {file, rows});
  const JsonFile json(json_name);
  const ThreadLimit limit(threads);

  const auto write_csv = [&](const std::string& text) {
    if (out.empty()) return print(text);
    AtomicFile csv(out);
    csv.write(text);
    csv.commit();
  };
  const Store store = Store::load(file);
  if (SavedLinear::is_one(store)) {
    LinearPredictions predictions = predict_linear(SavedLinear::of(store, file), rows);
    write_csv(predictions.csv);
    predictions.figures["threads"] = limit.threads();
    return json.write(predictions.figures);
  }
  SavedModel model = SavedModel::of(store, file);
  const data::Dataset dataset = model.read_rows(rows);
  const std::vector<Prediction> predictions = model.predict(dataset);
  const LearningTask& task = *model.model().network().task;
  write_csv(csv_of(predictions, task, model.model().shape()));
  Json list = Json::array();
  for (const Prediction& prediction : predictions) list.push_back(json_of_prediction(prediction));
  json.write({{"task", task.name},
              {"names", task.names(model.model().shape())},
              {"predictions", list},
              {"threads", limit.threads()}});
}

}  // namespace lariat::cli
