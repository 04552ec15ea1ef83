#include <fmt/format.h>

#include <cmath>
#include <filesystem>

#include "frontends/cli/arguments.hpp"
#include "frontends/cli/command_records.hpp"
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

// The predictions of one of the model's outputs.
const Prediction& of_head(const Prediction& prediction, size_t head) {
  return prediction.outputs.empty() ? prediction : prediction.outputs[head];
}

// What is said by each row in words, and how probable that is.
std::string csv_of_symbols(const std::vector<Prediction>& predictions, Strings header, const Strings& files) {
  header.insert(header.end(), {"prediction", "probability"});
  std::string text = csv_line(header);
  for (size_t row = 0; row < predictions.size(); ++row) {
    Strings fields{fmt::format("{}", row)};
    if (!files.empty()) fields.push_back(files[row]);
    fields.push_back(predictions[row].label);
    fields.push_back(fmt::format("{:.6g}", predictions[row].probability));
    text += csv_line(fields);
  }
  return text;
}

// Whether an output is told in words too.
bool is_worded(const Head& head) { return head.task->name != "numbers" && !head.shape.targets.by_frame; }

// A line for each row, or for each frame of one: the file where there are several, what is said in words,
// then every number, output by output.
std::string csv_of(const std::vector<Prediction>& predictions, const Network& network, const Strings& files) {
  const bool by_frame = network.heads.front().shape.targets.by_frame;
  Strings header{"row"};
  if (!files.empty()) header.emplace_back("file");
  if (network.task->decode != nullptr) return csv_of_symbols(predictions, std::move(header), files);
  if (by_frame) header.emplace_back("frame");
  for (const Head& head : network.heads) {
    if (is_worded(head)) header.push_back(head.name.empty() ? "prediction" : head.name);
    for (const std::string& name : head.task->names(head.shape))
      header.push_back(head.name.empty() || head.name == name ? name : head.name + "/" + name);
  }
  std::string text = csv_line(header);
  for (size_t row = 0; row < predictions.size(); ++row) {
    const int64_t frames = by_frame ? predictions[row].frames : 1;
    for (int64_t frame = 0; frame < frames; ++frame) {
      Strings fields{fmt::format("{}", row)};
      if (!files.empty()) fields.push_back(files[row]);
      if (by_frame) fields.push_back(fmt::format("{}", frame));
      for (size_t h = 0; h < network.heads.size(); ++h) {
        const Head& head = network.heads[h];
        const Prediction& prediction = of_head(predictions[row], h);
        const auto width = static_cast<size_t>(head.task->outputs(head.shape));
        if (is_worded(head)) fields.push_back(prediction.label);
        for (size_t i = 0; i < width; ++i)
          fields.push_back(fmt::format("{}", prediction.values[static_cast<size_t>(frame) * width + i]));
      }
      text += csv_line(fields);
    }
  }
  return text;
}

Json json_of_prediction(const Prediction& prediction, const Head& head) {
  const bool symbols = head.task->decode != nullptr;
  Json object = Json::object();
  if (is_worded(head)) object["label"] = prediction.label;
  if (std::isfinite(prediction.probability)) object["probability"] = prediction.probability;
  if (prediction.frames > 0) object["frames"] = prediction.frames;
  if (symbols) {
    object["label"] = prediction.label;
    object["symbols"] = prediction.symbols;
    return object;
  }
  object["values"] = Json::array();
  for (const float value : prediction.values) object["values"].push_back(finite_or_null(double(value)));
  return object;
}

}  // namespace

static void predict(const Strings& words) {
  Arguments arguments(
      "lariat predict",
      "Says what a saved model makes of rows that have no targets. The model knows its columns.",
      "lariat predict houses.safetensors new.csv --out prices.csv");
  std::string file, rows, offset, out, json_name;
  std::optional<int64_t> threads;
  arguments.input_word("MODEL", file, "what lariat train, search, solve or path wrote");
  arguments.input_word(
      "DATA", rows,
      "what the model was trained on, without what is learned: a table with its columns, LIBSVM text, whose "
      "labels are not looked at, an array or archive of numpy, an image or a folder of them, or an IDX file "
      "of images; of a linear model LIBSVM text or a matrix");
  arguments.input("--offset", "FILE", offset,
                  "of a linear model that was fitted with one: what is added to each row's prediction");
  arguments.output("--out", "FILE.csv", out, "where the predictions go, instead of standard output");
  arguments.threads(threads);
  arguments.plugins();
  arguments.json(json_name);
  if (!arguments.read(words)) return;
  check_outputs({out, json_name}, {file, rows, offset});
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
    LinearPredictions predictions = predict_linear(SavedLinear::of(store, file), {rows, {}, {}, offset});
    write_csv(predictions.csv);
    predictions.figures["threads"] = limit.threads();
    return json.write(predictions.figures);
  }
  if (!offset.empty())
    throw UserError(fmt::format("'{}' is no linear model, whose offsets --offset names; leave it out", file));
  SavedModel model = SavedModel::of(store, file);
  const data::Dataset dataset = model.read_rows(rows);
  const std::vector<Prediction> predictions = model.predict(dataset);
  const LearningTask& task = *model.model().network().task;
  const Network& network = model.model().network();
  Strings files;
  if (std::filesystem::is_directory(rows))
    for (const data::Example& example : dataset.examples) files.push_back(example.source);
  write_csv(csv_of(predictions, network, files));
  Json list = Json::array();
  for (const Prediction& prediction : predictions) {
    list.push_back(json_of_prediction(prediction, network.heads.front()));
    if (!files.empty()) list.back()["file"] = files[list.size() - 1];
    for (size_t h = 0; h < prediction.outputs.size(); ++h)
      list.back()["outputs"][network.heads[h].name] =
          json_of_prediction(prediction.outputs[h], network.heads[h]);
  }
  json.write({{"task", task.name},
              {"names", task.names(network.heads.front().shape)},
              {"predictions", list},
              {"threads", limit.threads()}});
}

Command command_records::predict() {
  return {"predict", "say what a saved model makes of rows of data", cli::predict, CommandGroup::uses};
}

}  // namespace lariat::cli
