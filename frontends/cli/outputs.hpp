#pragma once

#include <string>
#include <vector>

#include "graph/base/json.hpp"

namespace lariat {
class Recipe;
}

namespace lariat::cli {

/// Throws UserError where one of `outputs` cannot be written, or is also an input or another output. Called
/// before any long work; what is there stays as it is, and no reader of a pipe is waited for. "" is no file.
void check_outputs(const std::vector<std::string>& outputs, const std::vector<std::string>& inputs = {});

/// Throws UserError where writing one of `outputs` would replace one of the recipe's data; `folder` stands in
/// for its path where it is not empty.
void check_outputs(const std::vector<std::string>& outputs, const Recipe& recipe, const std::string& folder);

/// Both, of a training by the recipe, whose callbacks write as well: beside the model, or where they are told
/// to.
void check_outputs(std::vector<std::string> outputs, const std::vector<std::string>& inputs,
                   const Recipe& recipe, const std::string& folder, const std::string& model);

/// Whether both name one file, so that writing one changes the other; a device such as /dev/null may serve
/// twice.
bool same_file(const std::string& a, const std::string& b);

/// Where --json goes: a file, or nowhere ("").
class JsonFile {
 public:
  explicit JsonFile(std::string file) : file_(std::move(file)) {}
  void write(const Json& figures) const;

 private:
  std::string file_;
};

/// Throws UserError where a page would replace a file that is none of lariat's reports; an empty one, a
/// device or a pipe it may. "" is no file.
void check_report(const std::string& file);

class Arguments;

/// Where a run's report goes: what --report names, or MODEL.report.html beside the model; nowhere with
/// --no-report, or where the model is no file that others may lie beside.
class ReportFile {
 public:
  /// `doc` says what the page has.
  void declare(Arguments& arguments, const std::string& doc);
  /// Once the arguments are read. Says so where a file of that name is there that is none of lariat's
  /// reports, which then stays as it is. Throws UsageError where --report and --no-report are both given.
  void choose(const std::string& command, const std::string& model);
  /// "": nowhere.
  const std::string& name() const { return file_; }
  bool is_asked_for() const { return asked_for_; }
  /// As check_report(), of the name that --report gave.
  void check() const {
    if (asked_for_) check_report(file_);
  }

 private:
  std::string file_;
  bool left_out_ = false, asked_for_ = false;
};

}  // namespace lariat::cli
