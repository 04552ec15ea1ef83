#include "frontends/cli/json_file.hpp"

#include <nlohmann/json.hpp>

#include "frontends/cli/console.hpp"
#include "graph/atomic_file.hpp"

namespace lariat::cli {

void check_writable(const std::string& file) { AtomicFile probe(file); }

JsonFile::JsonFile(std::string file) : file_(std::move(file)) {
  if (file_ == "-") {
    silence_results();
  } else if (!file_.empty()) {
    check_writable(file_);
  }
}

void JsonFile::write(const nlohmann::ordered_json& figures) const {
  if (file_.empty()) return;
  // File names need not be UTF-8, JSON must be.
  const std::string text =
      figures.dump(1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
  if (file_ == "-") return print_json(text);
  AtomicFile out(file_);
  out.write(text);
  out.commit();
}

}  // namespace lariat::cli
