#include <fmt/format.h>

#include "frontends/sequential/callbacks/callback_parts.hpp"
#include "graph/io/atomic_file.hpp"

namespace lariat {

namespace {

constexpr const char* csv_log_ending = ".csv";

std::string csv_cell(const std::string& text) {
  if (text.find_first_of(",\"\n") == std::string::npos) return text;
  std::string quoted = "\"";
  for (const char c : text) quoted += c == '"' ? "\"\"" : std::string(1, c);
  return quoted + "\"";
}

class CsvLogRun final : public CallbackRun {
 public:
  explicit CsvLogRun(const CsvLog& options) : options_(options) {}

  void begin(FitView& view) override {
    file_ = callback_parts::file_of(view, "file", options_.file, csv_log_ending);
    AtomicFile::check(file_);
    if (!view.epochs.empty()) write_all(view);
  }
  void after_epoch(FitView& view, const EpochReport& report) override {
    // The first epoch says which columns there are.
    if (columns_.empty()) return write_all(view);
    callback_parts::append_to(file_, row(report));
  }

 private:
  void write_all(const FitView& view) {
    std::string text = "epoch";
    for (const auto& [name, value] : callback_parts::figures_of(view.epochs.front())) {
      columns_.push_back(name);
      text += "," + csv_cell(name);
    }
    text += ",seconds\n";
    for (const EpochReport& epoch : view.epochs) text += row(epoch);
    AtomicFile file(file_);
    file.write(text);
    file.commit();
  }
  std::string row(const EpochReport& report) const {
    std::string text = fmt::format("{}", report.epoch);
    for (const std::string& name : columns_) {
      const std::optional<double> value = callback_parts::figure_of(report, name);
      text += value ? fmt::format(",{}", *value) : ",";
    }
    return text + fmt::format(",{:.3f}\n", report.seconds);
  }

  CsvLog options_;
  std::string file_;
  std::vector<std::string> columns_;
};

const CallbackRecord<CsvLog>& csv_log_record() {
  static const CallbackRecord<CsvLog> record{
      .name = "csv_log",
      .doc = "a table with a row for each epoch",
      .fields = Fields<CsvLog>().text("file", &CsvLog::file, "to write; empty: MODEL.csv"),
      .start = [](const CsvLog& options) -> std::unique_ptr<CallbackRun> {
        return std::make_unique<CsvLogRun>(options);
      },
      .ending = csv_log_ending};
  return record;
}

}  // namespace

CallbackKind callback_records::csv_log() { return csv_log_record().kind(); }
CsvLog::operator Callback() const { return csv_log_record().callback(*this); }

}  // namespace lariat
