#pragma once

#include "frontends/recipe/corpus.hpp"
#include "frontends/sequential/sequential.hpp"

namespace lariat {

/// A model file of a training run: the model with its front end, so that recognition needs no options.
class SavedModel {
 public:
  /// Throws UserError naming the file where it is no such model, is damaged, or has been tampered with.
  static SavedModel load(const std::string& file);
  /// The same of what was read from that file.
  static SavedModel of(const Store& store, const std::string& file);

  /// Whether it takes recordings.
  bool is_audio() const { return front_end_.has_value(); }
  const std::vector<std::string>& classes() const { return model_.shape().classes; }
  Sequential& model() { return model_; }
  /// The recipe it was trained by. Throws UserError for a model that Sequential::save wrote.
  const Recipe& recipe() const;
  bool has_recipe() const { return recipe_.has_value(); }
  /// What the training noted in the file under this name, or "".
  std::string note(const std::string& name) const;
  /// The options of its features, every automatic value filled in. Throws UserError where it takes no
  /// recordings.
  const speech::FeatureOptions& features() const;
  /// What turns recordings into features. Throws UserError where it takes none.
  const FrontEnd& front_end() const;

  /// What the columns of the table that it was trained on are; nothing where it was trained on other data.
  const std::optional<data::Columns>& columns() const { return columns_; }

  /// What each file or recording says. Another sample rate is resampled and several channels are mixed down,
  /// and `notices` gets a line about each. Throws UserError naming the file where one cannot be used.
  std::vector<Prediction> recognize(const std::vector<std::string>& files,
                                    std::vector<std::string>* notices = nullptr);
  Prediction recognize(const speech::Audio& audio);
  /// Files or recordings as examples of the model's features.
  data::Dataset read_recordings(const std::vector<std::string>& files,
                                std::vector<std::string>* notices = nullptr) const;
  std::vector<Prediction> predict(const data::Dataset& dataset);
  /// The rows of a file as the model takes them: a CSV file with the columns that it was trained on, targets
  /// not needed, or an array that numpy.save wrote. Throws UserError naming the file, and the line.
  data::Dataset read_rows(const std::string& file) const;
  /// Whether it takes such rows of CSV.
  bool reads_rows() const { return columns_.has_value(); }

  /// A split of the data in `folder`, of the kind that the recipe has, as the model takes it; `held_out`
  /// stands in for the recipe's speakers. Recordings too short for the model are skipped.
  data::Dataset load_data(const std::string& folder, data::Split split = data::Split::test,
                          const std::vector<std::string>& held_out = {}) const;
  /// All rows of a file, with what is to be learned of them. Throws UserError where data of that kind are no
  /// such file.
  data::Dataset load_file(const std::string& file) const;
  Evaluation evaluate(const data::Dataset& dataset, int threads = 0);

 private:
  SavedModel(Sequential model, std::string file) : model_(std::move(model)), file_(std::move(file)) {}
  EvaluateOptions evaluate_options(int threads) const;

  Sequential model_;
  std::string file_;
  std::optional<Recipe> recipe_;
  std::optional<FrontEnd> front_end_;
  std::optional<data::Columns> columns_;
  std::map<std::string, std::string> notes_;
};

/// Adds what a model file needs to know of its front end.
void write_front_end(const FrontEnd& front_end, std::map<std::string, std::string>& notes,
                     std::map<std::string, Tensor>& tensors);

}  // namespace lariat
