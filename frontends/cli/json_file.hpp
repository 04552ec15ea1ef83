#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

namespace lariat::cli {

/// Throws UserError where `file` cannot be written. What is there stays as it is.
void check_writable(const std::string& file);

/// Where --json goes: a file, "-" for standard output, or nowhere ("").
class JsonFile {
 public:
  /// Checks that the file can be written, before any work is done. For "-" print() is silenced.
  explicit JsonFile(std::string file);
  explicit operator bool() const { return !file_.empty(); }
  void write(const nlohmann::ordered_json& figures) const;

 private:
  std::string file_;
};

}  // namespace lariat::cli
