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

}  // namespace lariat::cli
