#pragma once

#include <map>
#include <string>
#include <vector>

#include "frontends/search/range.hpp"
#include "frontends/search/trial.hpp"
#include "graph/base/json.hpp"

namespace lariat::search {

/// A study as Optuna's journal storage keeps it (optuna.storages.JournalFileStorage, of version 3): a line of
/// JSON for each operation. The file is whole at any time: save() puts a longer one in its place.
class Journal {
 public:
  struct Trial {
    TrialState state = TrialState::running;
    std::map<std::string, std::string> values;  ///< by the name of its range
    std::map<std::string, Json> notes;
    double score = 0;
  };

  Journal(std::string file, const std::string& study, bool larger_is_better);
  /// Throws UserError naming file and line where it is none, or has no study of that name.
  static Journal load(const std::string& file, const std::string& study);

  const std::map<std::string, Json>& notes() const { return notes_; }
  const std::vector<Trial>& trials() const { return trials_; }

  /// What is to be known of the study.
  void note(const std::string& name, const Json& value);
  /// Begins a trial and returns its number.
  size_t add_trial(const std::vector<Range>& ranges, const std::vector<std::string>& values);
  void note(size_t trial, const std::string& name, const Json& value);
  /// The score of a trial that goes on, after so many epochs.
  void report(size_t trial, int64_t epochs, double score);
  /// Ends a trial; `score` is not written where it failed.
  void finish(size_t trial, TrialState state, double score);

  /// Writes the file, where there is one ("" is none).
  void save() const;
  /// Removes the file where no trial has a result, so that the search can be begun as if it had not been.
  void remove_without_results() const;

 private:
  Journal() = default;
  void append(int operation, Json fields);
  void apply(const Json& line, const std::string& study);

  std::string file_, text_;
  bool found_ = false;  // the study
  int64_t studies_ = 0, study_ = 0;
  std::map<std::string, Json> notes_;
  std::vector<Trial> trials_;
};

}  // namespace lariat::search
