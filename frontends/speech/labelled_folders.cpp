#include "frontends/speech/labelled_folders.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <filesystem>
#include <optional>
#include <set>
#include <sstream>
#include <system_error>

#include "graph/base/error.hpp"
#include "graph/base/random.hpp"
#include "graph/io/input_file.hpp"

namespace lariat::speech {

namespace {

namespace fs = std::filesystem;
using data::Split;

std::vector<std::string> labels_in(const std::string& folder, const std::vector<std::string>& wanted,
                                   const std::string& what) {
  std::vector<std::string> labels;
  for (const fs::path path : entries_of(folder)) {
    const std::string name = path.filename().string();
    // Speech Commands keeps noise in _background_noise_.
    if (fs::is_directory(path) && name[0] != '_' && name[0] != '.') labels.push_back(name);
  }
  if (labels.empty()) {
    throw UserError(fmt::format("'{}' holds no folder; it should hold one folder of {} per label", folder,
                                what.substr(0, what.find(' '))));
  }
  if (wanted.empty()) return labels;
  for (const std::string& label : wanted) {
    if (std::find(labels.begin(), labels.end(), label) == labels.end()) {
      throw UserError(
          fmt::format("data.labels: '{}' has no folder '{}'.{}", folder, label, did_you_mean(label, labels)));
    }
  }
  labels = wanted;
  std::sort(labels.begin(), labels.end());
  labels.erase(std::unique(labels.begin(), labels.end()), labels.end());
  return labels;
}

std::optional<std::set<std::string, std::less<>>> read_list(const fs::path& file) {
  std::istringstream stream;
  try {
    stream.str(InputFile(file.string()).rest());
  } catch (const std::system_error& error) {
    // A list that is there and cannot be read must not become another split.
    if (error.code().value() == ENOENT) return std::nullopt;
    throw UserError(fmt::format("{}: {}", file.string(), reason_of(error, "list")));
  }
  std::set<std::string, std::less<>> names;
  for (std::string line; std::getline(stream, line);) {
    while (!line.empty() && (line.back() == '\r' || line.back() == ' ')) line.pop_back();
    if (!line.empty()) names.insert(line);
  }
  return names;
}

// As Speech Commands names files: "SPEAKER_nohash_0.wav"; "" of others.
std::string speaker_in(const std::string& name) {
  const size_t mark = name.find("_nohash_");
  return mark == name.npos ? "" : name.substr(0, mark);
}

// In [0, 100), the same for all files of a speaker.
double percentile_of(const std::string& name) {
  const uint64_t hash = hash_name(std::string_view(name).substr(0, name.find("_nohash_")));
  // The upper bits of FNV-1a vary little for short names, so they are mixed (the finaliser of MurmurHash3).
  uint64_t mixed = (hash ^ (hash >> 33)) * 0xff51afd7ed558ccdull;
  mixed = (mixed ^ (mixed >> 33)) * 0xc4ceb9fe1a85ec53ull;
  return static_cast<double>((mixed ^ (mixed >> 33)) >> 11) * 0x1p-53 * 100;
}

// Where a corpus has a folder for each split, that of this one.
std::optional<fs::path> folder_of(const fs::path& folder, Split split) {
  const auto holds_folders = [](const fs::path& path) {
    std::error_code none;
    for (fs::directory_iterator at(path, none), end; !none && at != end; at.increment(none))
      if (at->is_directory(none)) return true;
    return false;
  };
  if (!holds_folders(folder / "train") || !holds_folders(folder / "test")) return std::nullopt;
  if (split == Split::validation && !holds_folders(folder / "validation")) return folder / "train";
  return folder / data::name_of(split);
}

void check_percentages(const LabelledFoldersOptions& options) {
  const auto check = [](const char* name, double value, double most) {
    if (value >= 0 && value <= most) return;
    throw UserError(fmt::format("{} = {}: must be a number from 0 to {}", name, value, most));
  };
  check("data.testing", options.testing_percentage, 100);
  check("data.validation", options.validation_percentage, 100 - options.testing_percentage);
}

}  // namespace

ClipList list_labelled_folders(const std::string& folder, Split split,
                               const LabelledFoldersOptions& options) {
  check_percentages(options);
  if (const auto part = folder_of(folder, split)) {
    LabelledFoldersOptions within = options;
    // Its labels are those of the training part.
    within.labels = labels_in((fs::path(folder) / "train").string(), options.labels, options.what);
    within.testing_percentage = 0;
    if (part->filename() != "train" || folder_of(folder, Split::validation)->filename() != "train")
      within.validation_percentage = 0;
    const Split of = part->filename() == "train" ? split : Split::train;
    return list_labelled_folders(part->string(), of, within);
  }
  ClipList list;
  list.classes = labels_in(folder, options.labels, options.what);
  const auto testing = read_list(fs::path(folder) / "testing_list.txt");
  const auto validation = read_list(fs::path(folder) / "validation_list.txt");
  const bool listed = testing.has_value() || validation.has_value();
  const auto split_of = [&](const std::string& label, const std::string& name) {
    if (listed) {
      const std::string path = label + "/" + name;
      if (testing && testing->contains(path)) return Split::test;
      return validation && validation->contains(path) ? Split::validation : Split::train;
    }
    const double percentile = percentile_of(name);
    if (percentile < options.testing_percentage) return Split::test;
    return percentile < options.testing_percentage + options.validation_percentage ? Split::validation
                                                                                   : Split::train;
  };
  size_t clips = 0;
  double first = 100;
  for (size_t label = 0; label < list.classes.size(); ++label) {
    std::vector<std::string> names;
    for (const std::string& file : entries_of((fs::path(folder) / list.classes[label]).string())) {
      if (options.accepts(file)) names.push_back(fs::path(file).filename().string());
    }
    clips += names.size();
    for (const std::string& name : names) {
      first = std::min(first, percentile_of(name));
      if (split_of(list.classes[label], name) != split) continue;
      list.entries.push_back({(fs::path(folder) / list.classes[label] / name).string(),
                              static_cast<int>(label),
                              {},
                              speaker_in(name)});
    }
  }
  if (clips == 0) {
    throw UserError(fmt::format("'{}': its folders hold no {}", folder, options.what));
  }
  if (list.entries.empty()) {
    throw UserError(fmt::format(
        "'{}' has no clips for the {} split; {}", folder, data::name_of(split),
        listed ? "check testing_list.txt and validation_list.txt"
        : split == Split::test
            // What stands before _nohash_ is in one part with all that has it.
            ? fmt::format("the first of them is in it from data.testing = {} on", std::floor(first) + 1)
            : "change data.testing and data.validation"));
  }
  return list;
}

}  // namespace lariat::speech
