#include "frontends/linear/saved_linear.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

#include "frontends/data/libsvm.hpp"
#include "frontends/data/npy.hpp"
#include "frontends/sequential/model_file.hpp"
#include "graph/base/error.hpp"
#include "graph/base/json.hpp"

namespace lariat {

SavedLinear::SavedLinear(LinearProblem problem, Store parameters, bool zero_based)
    : problem_(std::move(problem)), parameters_(std::move(parameters)), zero_based_(zero_based) {
  parameters_.metadata().clear();
}

bool SavedLinear::is_one(const Store& store) {
  const auto found = store.metadata().find("format");
  return found != store.metadata().end() && found->second == linear_format;
}

void SavedLinear::save(const std::string& file, const std::map<std::string, std::string>& notes) const {
  Store out = parameters_;
  Json penalty = Json::array();
  for (const PenaltySpec& term : problem_.penalty)
    penalty.push_back(
        {{"coefficient", term.coefficient}, {"name", term.name}, {"attributes", term.attributes}});
  Json problem{{"loss", problem_.loss},    {"penalty", penalty},    {"bias", problem_.bias},
               {"delta", problem_.delta},  {"mean", problem_.mean}, {"classes", problem_.classes},
               {"zero_based", zero_based_}};
  if (problem_.offset) problem["offset"] = true;
  out.metadata() = notes;
  out.metadata()["problem"] = problem.dump();
  check_finite(out, "the model");
  seal(out, linear_format);
  out.save(file);
}

SavedLinear SavedLinear::of(const Store& store, const std::string& file) {
  check_format(store, linear_format, file);
  const auto damaged = [&] {
    throw UserError(
        fmt::format("'{}' is damaged: its problem and its weights do not fit; solve it again", file));
  };
  LinearProblem problem;
  bool zero_based = false;
  try {
    const Json json = parse_json(note_of(store, "problem", file));
    problem.loss = json.at("loss").get<std::string>();
    problem.bias = json.at("bias").get<bool>();
    problem.delta = json.at("delta").get<double>();
    problem.mean = json.at("mean").get<bool>();
    problem.classes = json.at("classes").get<std::vector<double>>();
    problem.offset = json.value("offset", false);
    zero_based = json.at("zero_based").get<bool>();
    for (const Json& term : json.at("penalty"))
      problem.penalty.push_back({term.at("coefficient").get<double>(), term.at("name").get<std::string>(),
                                 term.at("attributes").get<std::vector<std::string>>()});
  } catch (const Json::exception&) {
    damaged();
  }
  const std::vector<std::string>& losses = linear_losses();
  if (std::find(losses.begin(), losses.end(), problem.loss) == losses.end()) damaged();
  const auto fits = [&](const char* name, int64_t first) {
    const Tensor* tensor = store.find(name);
    if (tensor == nullptr || tensor->dtype() != f64) return false;
    Extents extents{first};
    if (problem.loss == "multinomial") {
      if (name == std::string_view("b")) extents.clear();
      extents.push_back(problem.outputs());
    }
    if (first < 0 && tensor->extents().size() == extents.size()) extents[0] = tensor->extents()[0];
    return tensor->extents() == extents;
  };
  if (!fits("w", -1) || (problem.bias && !fits("b", 1)) || problem.outputs() < 1) damaged();
  const size_t classes = problem.classes.size();
  if (problem.has_signs() ? classes != 0 && classes != 2 : problem.classifies() && classes < 2) damaged();
  check_finite(store, file);
  Store parameters;
  parameters.set("w", store.get("w"));
  if (problem.bias) parameters.set("b", store.get("b"));
  SavedLinear model(problem, parameters, zero_based);
  for (const auto& [name, note] : store.metadata())
    if (name != "problem") model.notes_.emplace(name, note);
  return model;
}

data::LabelledRows SavedLinear::read(const std::string& file, const std::string& labels,
                                     bool labelled) const {
  const bool dense = file.ends_with(".npy") || file.ends_with(".npz") || !labels.empty();
  data::LabelledRows rows;
  if (dense && !labelled && labels.empty() && file.ends_with(".npy")) {
    const Tensor x = data::parse_npy(data::read_whole_file(file), file);
    if (x.extents().size() != 2)
      throw UserError(fmt::format("{}: is {}; it must be a matrix [rows, columns]", file, text(x.extents())));
    rows.rows = x.extents()[0];
    rows.columns = x.extents()[1];
    rows.values.assign(x.data<double>(), x.data<double>() + x.count());
    rows.labels.assign(static_cast<size_t>(rows.rows), 0);
    for (int64_t row = 0; row < rows.rows; ++row) rows.places.push_back(row);
    rows.file = file;
    rows.unit = "row";
  } else {
    rows = dense ? data::read_npy(file, labels) : data::read_libsvm(file, zero_based_);
  }
  if (rows.columns > columns() || (dense && rows.columns < columns()))
    throw UserError(
        fmt::format("{}: has {} columns, but the model was fitted to {}; give rows with the same "
                    "columns",
                    file, rows.columns, columns()));
  // Text says no more columns than its largest index.
  rows.columns = columns();
  if (labelled) {
    LinearProblem problem = problem_;
    read_labels(rows, problem, problem_.classes);
  }
  return rows;
}

MetricValues SavedLinear::evaluate(const data::LabelledRows& rows) const {
  const std::vector<double> z = predict(rows);
  MetricValues metrics;
  for (const LinearScore& score : linear_scores(problem_))
    metrics.emplace_back(score.name, score.of(problem_, z, rows));
  return metrics;
}

std::vector<double> SavedLinear::predict(const data::LabelledRows& rows) const {
  if (problem_.offset && rows.offsets.empty())
    throw UserError(fmt::format(
        "{}: the model was fitted with an offset for each row, and these have none; give a file of "
        "them by --offset",
        rows.file));
  if (!problem_.offset && !rows.offsets.empty())
    throw UserError(fmt::format(
        "{}: the model was fitted without offsets, and these rows have some; leave --offset out", rows.file));
  return LinearPredictor(problem_, rows)(parameters_);
}

void read_labels(data::LabelledRows& rows, LinearProblem& problem, const std::vector<double>& classes,
                 const std::vector<double>& known) {
  const auto each_label = [&](auto&& take) {
    for (int64_t row = 0; row < rows.rows; ++row) take(row, rows.labels[static_cast<size_t>(row)]);
  };
  if (problem.loss == "poisson")
    each_label([&](int64_t row, double& label) {
      if (label < 0)
        throw UserError(fmt::format("{}: the label is {}, but the loss poisson takes counts, from 0",
                                    rows.place(row), label));
    });
  if (!problem.classifies()) return;
  problem.classes = classes;
  if (classes.empty() && problem.has_signs()) {
    // Classes are -1 and 1, or 0 and 1; never both kinds in one file.
    bool zeros = std::find(known.begin(), known.end(), 0) != known.end();
    bool negatives = std::find(known.begin(), known.end(), -1) != known.end();
    each_label([&](int64_t row, double& label) {
      zeros |= label == 0;
      negatives |= label == -1;
      if ((label != 0 && label != 1 && label != -1) || (zeros && negatives && label != 1))
        throw UserError(
            fmt::format("{}: the label is {}, which the loss {} does not take; labels must be -1 and 1, or 0 "
                        "and 1; for others say --classes, such as --classes 1,2",
                        rows.place(row), label, problem.loss));
    });
    problem.classes = {zeros ? 0.0 : -1.0, 1.0};
  } else if (classes.empty()) {
    problem.classes = known.empty() ? rows.labels : known;
    std::sort(problem.classes.begin(), problem.classes.end());
    problem.classes.erase(std::unique(problem.classes.begin(), problem.classes.end()), problem.classes.end());
    constexpr size_t most = 1000;
    if (problem.classes.size() < 2 || problem.classes.size() > most)
      throw UserError(fmt::format("{}: has {} different labels; the loss multinomial takes 2 to {} classes",
                                  rows.file, problem.classes.size(), most));
  }
  each_label([&](int64_t row, double& label) {
    const auto found = std::find(problem.classes.begin(), problem.classes.end(), label);
    if (found == problem.classes.end())
      throw UserError(fmt::format("{}: the label is {}, which is none of the classes {}", rows.place(row),
                                  label, fmt::join(problem.classes, ", ")));
    const auto place = found - problem.classes.begin();
    label = problem.has_signs() ? (place == 1 ? 1.0 : -1.0) : static_cast<double>(place);
  });
}

}  // namespace lariat
