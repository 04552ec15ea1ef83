#include "frontends/data_kinds/data_kind.hpp"

#include <algorithm>

#include "frontends/data/transform.hpp"
#include "frontends/data_kinds/data_kind_records.hpp"
#include "graph/base/error.hpp"

namespace lariat {

speech::ClipList DataReader::list(data::Split) const {
  throw InternalError("data that are no recordings are loaded");
}

data::Dataset DataReader::load(data::Split) { throw InternalError("recordings are listed"); }

data::Dataset DataReader::fold(const data::FoldChoice& fold, data::Split split) {
  const data::Dataset all = load(data::Split::train);
  return data::chosen(all, data::part_of(data::fold_numbers(all, fold.count, fold.seed), fold, split));
}

const std::optional<data::Columns>& DataReader::columns() const {
  static const std::optional<data::Columns> none;
  return none;
}

void DataReader::set_columns(std::optional<data::Columns>) {}

const std::vector<DataKind>& data_kinds() {
  static const std::vector<DataKind> kinds{
#define LARIAT_DATA(name) data_kind_records::name(),
#include "data_records.inc"
#undef LARIAT_DATA
  };
  return kinds;
}

const DataKind& data_kind_of(const Spec& spec) {
  const auto found = std::find_if(data_kinds().begin(), data_kinds().end(),
                                  [&](const DataKind& kind) { return kind.spec.name == spec.kind; });
  require(found != data_kinds().end(), "a [data] table has a kind");
  return *found;
}

DataOptions data_options(const Spec& spec) {
  DataOptions options;
  for (const auto& [name, text] : spec.options) {
    if (name == "path") options.path = text;
    if (name == "positive") options.positive = text;
    if (name == "standardize_targets") options.standardize_targets = text == "true";
    if (name == "stream") options.stream = text == "true";
    if (name == "window") options.window = data::parse_integer({name, {}, {}, {}, {}}, text, 0, 1000000000);
    if (name == "join") options.join = data::parse_integer({name, {}, {}, {}, {}}, text, 1, most_joined);
    if (name == "labels") options.labels = split_words(text);
    if (name == "target") options.target = split_words(text);
    if (name == "features") options.features = split_words(text);
  }
  return options;
}

}  // namespace lariat
