#pragma once

#include <string>
#include <vector>

namespace lariat::cli {

/// A project that builds at once and passes `lariat plugin check`. In its texts and names NAME stands for the
/// op's.
struct PluginTemplate {
  std::string kind, doc;
  std::vector<std::pair<std::string, std::string>> files;
};

/// The first is the one that is written where none is named.
const std::vector<PluginTemplate>& plugin_templates();

}  // namespace lariat::cli
