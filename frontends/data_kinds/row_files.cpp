#include "frontends/data_kinds/row_files.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "frontends/data/random.hpp"
#include "graph/base/error.hpp"

namespace lariat {

RowFilesReader::RowFilesReader(const RowsData& options, const DataRequest& request,
                               std::vector<std::string> endings, bool whole)
    : options_(options),
      endings_(std::move(endings)),
      one_file_(whole || !std::filesystem::is_directory(request.path)) {
  options_.path = request.path;
  if (request.folds) options_.validation = 0;
  if (one_file_ && options_.testing + options_.validation >= 100)
    throw UserError(fmt::format(
        "[data] testing = {} and validation = {} leave no rows to train on; keep their sum below 100",
        options_.testing, options_.validation));
  cuts_validation_ = !one_file_ && options_.validation > 0 && found_file(data::Split::validation).empty();
}

bool RowFilesReader::holds(const std::filesystem::path& file) const {
  return one_file_ ||
         std::find(endings_.begin(), endings_.end(), file.extension().string()) != endings_.end();
}

bool RowFilesReader::validates() const {
  return options_.validation > 0 || (!one_file_ && !found_file(data::Split::validation).empty());
}

std::string RowFilesReader::found_file(data::Split split) const {
  for (const std::string& ending : endings_)
    if (const auto file = std::filesystem::path(options_.path) / (std::string(data::name_of(split)) + ending);
        std::filesystem::exists(file))
      return file.string();
  return {};
}

std::string RowFilesReader::file_of(data::Split split) const {
  if (one_file_) return options_.path;
  std::string file = found_file(split);
  if (split == data::Split::validation && cuts_validation_) file = found_file(data::Split::train);
  if (!file.empty()) return file;
  const std::string& ending = endings_.front();
  throw UserError(fmt::format("'{}' holds no {}{}; name a file, or a folder that holds train{} and test{}",
                              options_.path, data::name_of(split), ending, ending, ending));
}

bool RowFilesReader::is_of(size_t row, data::Split split) const {
  if (!one_file_ && (!cuts_validation_ || split == data::Split::test)) return true;
  data::RandomStream random(0, data::RandomPurpose::folds, static_cast<uint32_t>(row));
  const double place = random.uniform(0, 100), testing = one_file_ ? options_.testing : 0;
  const data::Split found = place < testing                         ? data::Split::test
                            : place < testing + options_.validation ? data::Split::validation
                                                                    : data::Split::train;
  return found == split;
}

}  // namespace lariat
