#include <fmt/format.h>

#include <algorithm>
#include <sstream>

#include "frontends/data_kinds/data_kind_records.hpp"
#include "frontends/data_kinds/recordings.hpp"
#include "frontends/data_kinds/row_files.hpp"
#include "frontends/tables/csv.hpp"
#include "graph/base/error.hpp"

namespace lariat {

namespace {

// What a label is a sequence of, where sequences are learned.
enum class SymbolUnit { words, characters };

struct ListData : RowsData {
  std::string file = "file", label = "label", speaker;
  SymbolUnit symbols = SymbolUnit::words;
};

const Fields<ListData>& list_fields() {
  using L = ListData;
  static const Fields<L> fields = joining(
      rows_fields<L>(
          "a table of recordings (.csv or .tsv), or a folder that holds train.csv, test.csv and perhaps "
          "validation.csv")
          .text("file", &L::file,
                "column that names each recording; relative names begin where the table lies")
          .text("label", &L::label, "column that says what it is, or with the loss ctc what is said in it")
          .text("speaker", &L::speaker, "column that says whose recordings join puts together; empty: any")
          .choice(
              "symbols", &L::symbols, {"words", "characters"},
              "with the loss ctc: what of a label is a symbol; spaces between words are characters, too"));
  return fields;
}

// A character of UTF-8 and what belongs to it, from `at` on; a byte of what is none.
size_t character_at(std::string_view text, size_t at) {
  size_t length = 1;
  while (at + length < text.size() && (static_cast<unsigned char>(text[at + length]) & 0xC0) == 0x80)
    ++length;
  return length;
}

std::vector<std::string> symbols_in(const std::string& label, SymbolUnit unit) {
  std::vector<std::string> words, characters;
  std::istringstream stream(label);
  for (std::string word; stream >> word;) words.push_back(word);
  if (unit == SymbolUnit::words) return words;
  for (const std::string& word : words) {
    if (!characters.empty()) characters.emplace_back(" ");
    for (size_t at = 0, length = 0; at < word.size(); at += length)
      characters.push_back(word.substr(at, length = character_at(word, at)));
  }
  return characters;
}

class ListReader : public RowFilesReader {
 public:
  ListReader(const ListData& options, const DataRequest& request)
      : RowFilesReader(options, request, {".csv", ".tsv"}), options_(options), of_symbols_(request.symbols) {}

  bool holds(const std::filesystem::path& file) const override {
    return RowFilesReader::holds(file) || speech::is_audio_file(file.string());
  }

  speech::ClipList list(data::Split split) const override {
    speech::ClipList list;
    // Which labels there are is said by what is trained on.
    each_row(data::Split::train, [&](const Row& row) {
      const std::vector<std::string> names = names_in(row);
      list.classes.insert(list.classes.end(), names.begin(), names.end());
    });
    std::sort(list.classes.begin(), list.classes.end());
    list.classes.erase(std::unique(list.classes.begin(), list.classes.end()), list.classes.end());
    const std::string table = file_of(split);
    each_row(split, [&](const Row& row) {
      speech::ClipList::Entry entry{row.file, 0, {}, row.speaker};
      for (const std::string& name : names_in(row)) {
        const auto place = std::lower_bound(list.classes.begin(), list.classes.end(), name);
        if (place == list.classes.end() || *place != name)
          throw UserError(fmt::format("{}: '{}' is labelled '{}', {}.{}", table, row.file, row.label,
                                      of_symbols_ ? fmt::format("of which training never saw '{}'", name)
                                                  : "which training never saw",
                                      did_you_mean(name, list.classes)));
        entry.label = static_cast<int>(place - list.classes.begin());
        entry.symbols.push_back(entry.label + 1);
      }
      if (!of_symbols_) entry.symbols.clear();
      list.entries.push_back(std::move(entry));
    });
    if (of_symbols_) {
      list.targets.width = 1;
      list.targets.symbols = true;
      if (options_.symbols == SymbolUnit::characters) list.targets.between = "";
    }
    if (list.entries.empty())
      throw UserError(
          fmt::format("'{}' has no clips for the {} split; change data.testing and data.validation", table,
                      data::name_of(split)));
    return list;
  }

 private:
  struct Row {
    std::string file, label, speaker;
  };

  std::vector<std::string> names_in(const Row& row) const {
    return of_symbols_ ? symbols_in(row.label, options_.symbols) : std::vector<std::string>{row.label};
  }

  template <class Take>
  void each_row(data::Split split, Take&& take) const {
    const std::string file = file_of(split);
    const data::TextTable table = data::read_csv(file);
    const auto column = [&](const std::string& key, const std::string& name) {
      const auto found = std::find(table.names.begin(), table.names.end(), name);
      if (found == table.names.end())
        throw UserError(fmt::format("{}: has no column '{}' ([data] {}).{}", file, name, key,
                                    did_you_mean(name, table.names)));
      return static_cast<size_t>(found - table.names.begin());
    };
    const size_t files = column("file", options_.file), labels = column("label", options_.label),
                 speakers = options_.speaker.empty() ? files : column("speaker", options_.speaker);
    for (size_t row = 0; row < table.rows.size(); ++row) {
      if (!is_of(row, split)) continue;
      const std::string& label = table.rows[row][labels];
      // Nothing may be said in a recording, and a word may be NA.
      if (!of_symbols_ && data::is_missing(label))
        throw UserError(
            fmt::format("{}: has no '{}'; give each recording one", table.place(row), options_.label));
      take(Row{(std::filesystem::path(file).parent_path() / table.rows[row][files]).string(), label,
               options_.speaker.empty() ? std::string() : table.rows[row][speakers]});
    }
  }

  ListData options_;
  bool of_symbols_;
};

}  // namespace

DataKind data_kind_records::list() {
  return {list_fields().kind("list", "recordings that a table names, with a label for each"),
          DataForm::recordings,
          [](const Spec& spec, const DataRequest& request) -> std::unique_ptr<DataReader> {
            return std::make_unique<ListReader>(list_fields().read(spec), request);
          },
          0,
          false,
          nullptr,
          false,
          true};
}

}  // namespace lariat
