#include <algorithm>

#include "frontends/data_kinds/data_kind_records.hpp"
#include "frontends/data_kinds/recordings.hpp"
#include "frontends/speech/labelled_folders.hpp"

namespace lariat {

namespace {

struct FoldersData : DataOptions {
  double validation = 0, testing = 10;
};

const Fields<FoldersData>& folders_fields() {
  using F = FoldersData;
  static const std::string listed = ", where the folder holds no lists";
  static const Fields<F> fields = joining(
      data_fields<F>("folder that holds a folder of recordings for each label, or train and test with these")
          .number("validation", &F::validation, 0, 90,
                  "percent of the clips to validate on, and not to train on" + listed)
          .number("testing", &F::testing, 1, 90, "percent of the clips to test on" + listed)
          .list("labels", &F::labels, "only these folders; empty: all"));
  return fields;
}

std::unique_ptr<DataReader> open_folders(const Spec& spec, const DataRequest& request) {
  const FoldersData options = folders_fields().read(spec);
  const double validation = request.folds ? 0 : options.validation;
  const speech::LabelledFoldersOptions folders{options.testing, validation, options.labels};
  const bool validates = validation > 0;
  return std::make_unique<RecordingsReader>(
      [=, path = request.path](data::Split split) {
        speech::ClipList list = speech::list_labelled_folders(path, split, folders);
        // A corpus that brings its own list holds its validation clips back even where nobody validates.
        const bool listed = std::filesystem::exists(std::filesystem::path(path) / "validation_list.txt");
        if (split == data::Split::train && listed && !validates) {
          const speech::ClipList more = speech::list_labelled_folders(path, data::Split::validation, folders);
          list.entries.insert(list.entries.end(), more.entries.begin(), more.entries.end());
          std::sort(list.entries.begin(), list.entries.end(),
                    [](const auto& a, const auto& b) { return a.file < b.file; });
        }
        return list;
      },
      validates);
}

}  // namespace

DataKind data_kind_records::folders() {
  return {folders_fields().kind("folders", "one folder of recordings per label"), DataForm::recordings,
          open_folders};
}

}  // namespace lariat
