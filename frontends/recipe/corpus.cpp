#include "frontends/recipe/corpus.hpp"

#include <fmt/format.h>
#include <tbb/global_control.h>
#include <tbb/task_arena.h>

#include <algorithm>
#include <filesystem>

#include "frontends/data/idx.hpp"
#include "frontends/speech/digits.hpp"
#include "frontends/speech/labelled_folders.hpp"
#include "graph/base/error.hpp"
#include "graph/exec/executor.hpp"

namespace lariat {

using data::Split;

Corpus::Corpus(const DataOptions& options, const std::string& kind, const std::string& folder)
    : options_(options), kind_(kind) {
  if (!folder.empty()) options_.path = folder;
  if (options_.path.empty())
    throw UserError("there are no data; give their folder, or set path in the recipe's [data]");
}

bool Corpus::holds(const std::string& file) const {
  std::error_code none;
  if (!std::filesystem::is_regular_file(file, none)) return false;
  const std::filesystem::path path = std::filesystem::canonical(file, none),
                              folder = std::filesystem::canonical(options_.path, none);
  if (none || std::mismatch(folder.begin(), folder.end(), path.begin(), path.end()).first != folder.end())
    return false;
  return is_audio() ? speech::is_audio_file(file)
                    : path.filename().string().find("-ubyte") != std::string::npos;
}

speech::ClipList Corpus::list(Split split) const {
  if (kind_ != "folders") {
    return speech::list_digits(options_.path, split,
                               {options_.held_out, static_cast<int>(options_.validation_count)});
  }
  const speech::LabelledFoldersOptions folders{options_.testing, options_.validation_percentage,
                                               options_.labels};
  speech::ClipList list = speech::list_labelled_folders(options_.path, split, folders);
  // A corpus that brings its own list holds its validation clips back even where nobody validates.
  const bool listed = std::filesystem::exists(std::filesystem::path(options_.path) / "validation_list.txt");
  if (split == Split::train && listed && !validates()) {
    const speech::ClipList more = speech::list_labelled_folders(options_.path, Split::validation, folders);
    list.entries.insert(list.entries.end(), more.entries.begin(), more.entries.end());
    std::sort(list.entries.begin(), list.entries.end(),
              [](const auto& a, const auto& b) { return a.file < b.file; });
  }
  return list;
}

data::Dataset Corpus::load(Split split) const {
  return data::load_idx(options_.path, split, options_.validation_count);
}

data::Dataset FrontEnd::examples(const speech::ClipSet& clips,
                                 const speech::Augmentation* augmentation) const {
  return speech::make_dataset(clips, extractor, statistics ? &*statistics : nullptr, augmentation);
}

void skip_short(data::Dataset& dataset, int64_t frames) {
  const auto is_short = [&](const data::Example& example) {
    return dataset.sequences && example.frames < frames;
  };
  for (const data::Example& example : dataset.examples)
    if (is_short(example))
      dataset.skipped.push_back(
          fmt::format("{}: is of {} frames, but the model needs {}", example.source, example.frames, frames));
  std::erase_if(dataset.examples, is_short);
  if (dataset.examples.empty())
    throw UserError(fmt::format("no clip is long enough; the first: {}", dataset.skipped.back()));
}

void with_threads(int threads, const std::function<void()>& action) {
  const int count = threads > 0 ? threads : available_threads();
  const tbb::global_control allowed(tbb::global_control::max_allowed_parallelism, static_cast<size_t>(count));
  tbb::task_arena(count).execute(action);
}

}  // namespace lariat
